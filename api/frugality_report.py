"""The frugality report: put together from the facts of a job, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from api.card import escaped
from api.card_carbon import intensity_line as card_intensity_line
from api.frugality_afnor import afnor
from api.frugality_automl import green_automl
from api.frugality_bill import compute, equivalence, phase_rows, use_of
from api.frugality_data import data_used
from api.frugality_facts import Facts
from api.frugality_savings import later_of, less_of
from api.frugality_sci import sci_of
from api.quantities import digits
from api.schemas_frugality import Checklist, Figure, FrugalityAnswer, LeftOut, PhaseRow

# Longer lists are cut in what people read; JSON has all of it.
MAX_LISTED = 50
PHASE_HEAD = ("Phase", "Duration", "gCO2", "kWh")


def report_of(facts: Facts, *, machine: tuple[float, float, int] | None = None) -> FrugalityAnswer:
    """The report of a job; `machine` as `api.frugality_sci.sci_of` takes it."""
    job, model, receipt = facts.job, facts.model, facts.receipt
    phases, total = phase_rows(receipt)
    return FrugalityAnswer(
        job=job.id,
        state=job.state.value,
        final=job.receipt is not None,
        dataset=job.dataset_id,
        dataset_name=None if facts.dataset is None else facts.dataset.name,
        model=None if model is None else model.name,
        version=None if model is None else model.version,
        target=job.request.get("target"),
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        data=data_used(facts),
        compute=compute(facts),
        phases=phases,
        total=total,
        equivalence=equivalence(facts),
        less=less_of(facts),
        later=later_of(facts),
        use=use_of(facts),
        meter=dict(receipt.get("meter") or {}),
        intensity=dict(facts.intensity) or None,
        uncertainty=receipt.get("uncertainty"),
        method=list(receipt.get("method") or ()),
        sci=sci_of(facts, machine=machine),
        green_automl=green_automl(facts),
        afnor=afnor(facts),
    )


def heading(report: FrugalityAnswer) -> str:
    """What the report is of."""
    if report.model is None:
        return f"Frugality report, job {report.job[:8]}"
    return f"Frugality report, {report.model} version {report.version}"


def intensity_line(report: FrugalityAnswer) -> str:
    """The carbon intensity in one sentence."""
    found = report.intensity
    if not found:
        return "The carbon intensity is not known yet."
    return card_intensity_line(found)


def markdown(report: FrugalityAnswer) -> str:
    """The report for people; every text of the data is shown as text, never as markup."""
    lines = [f"# {escaped(heading(report))}", "", *_about(report)]
    for title, body in (
        ("Emissions by phase", _phases(report)),
        ("Saved by doing less", _saved(report.less.saved_text, report.less.figures, report.less)),
        ("Saved by waiting", _saved(report.later.saved_text, report.later.figures, report.later)),
        ("Data used", _figures(report.data.used)),
        ("Data not used", _unused(report)),
        ("Compute", _figures(report.compute)),
        ("In use", _figures(report.use)),
        ("How it was measured", _method(report)),
        ("Software carbon intensity", _sci(report)),
        (report.green_automl.title, _checklist(report.green_automl)),
        (report.afnor.title, _checklist(report.afnor)),
    ):
        written = list(body)
        if written:
            lines += ["", f"## {escaped(title)}", "", *written]
    return "\n".join(lines) + "\n"


def _about(report: FrugalityAnswer) -> Iterator[str]:
    yield f"- job `{report.job}`, {report.state}"
    name = "" if report.dataset_name is None else f" ({escaped(report.dataset_name)})"
    yield f"- data set `{report.dataset}`{name}"
    if report.finished_at is not None:
        yield f"- ended {report.finished_at.isoformat(timespec='seconds')}"
    if not report.final:
        yield "- the job has not ended: these are the phases so far"


def _phases(report: FrugalityAnswer) -> Iterator[str]:
    yield from _table(PHASE_HEAD, (_cells(row) for row in (*report.phases, report.total)))
    if report.equivalence is not None:
        yield ""
        yield f"As much as {report.equivalence.text} ({escaped(report.equivalence.source)})."


def _cells(row: PhaseRow) -> tuple[str, ...]:
    return row.phase, row.duration, row.gco2_text, row.kwh_text


def _saved(text: str, figures: Sequence[Figure], about: object) -> Iterator[str]:
    expected = " (expected, not measured)" if getattr(about, "is_expectation", False) else ""
    yield f"**{escaped(text)}**{expected}"
    yield ""
    yield from _figures(figures)
    for note in getattr(about, "notes", ()):
        yield ""
        yield escaped(note)


def _figures(figures: Sequence[Figure]) -> Iterator[str]:
    if figures:
        yield from _table(("Figure", "Value"), ((one.label, one.text) for one in figures))


def _unused(report: FrugalityAnswer) -> Iterator[str]:
    yield from _figures(report.data.unused)
    for title, left in (
        ("Column", report.data.columns_left_out),
        ("Group of features", report.data.features_left_out),
    ):
        if left:
            yield ""
            yield from _table((title, "Why it is not read"), _listed(left))


def _listed(left: Sequence[LeftOut]) -> Iterator[tuple[str, str]]:
    for one in left[:MAX_LISTED]:
        yield one.name, one.why
    if len(left) > MAX_LISTED:
        yield f"and {len(left) - MAX_LISTED:,} more", ""


def _method(report: FrugalityAnswer) -> Iterator[str]:
    yield f"- meter: {escaped(str(report.meter.get('meter', 'not known')))}"
    yield f"- carbon intensity: {escaped(intensity_line(report))}"
    if report.uncertainty:
        yield f"- uncertainty: {escaped(report.uncertainty)}"
    for line in report.method:
        yield f"- {escaped(line)}"


def _sci(report: FrugalityAnswer) -> Iterator[str]:
    sci = report.sci
    yield f"{escaped(sci.formula)}, with"
    yield ""
    yield f"- E = {report.total.kwh_text}"
    yield f"- I = {digits(sci.grams_per_kwh)} g/kWh, so that E x I = {report.total.gco2_text}"
    yield f"- M: {escaped(sci.embodied)}"
    yield f"- boundary: {escaped(sci.boundary)}"
    yield f"- {'conforms' if sci.conforms else 'does not conform'}: {escaped(sci.why)}"
    yield ""
    rows = ((one.functional_unit, one.text, one.note) for one in sci.scores)
    yield from _table(("R", "Score", "Note"), rows)
    yield ""
    yield f"Source: [{escaped(sci.source.title)}]({sci.source.url})."


def _checklist(found: Checklist) -> Iterator[str]:
    for note in found.notes:
        yield escaped(note)
        yield ""
    yield (
        f"{found.n_answered} answered, {found.n_partly} partly, "
        f"{found.n_not_available} not available."
    )
    for theme in dict.fromkeys(one.theme for one in found.points):
        yield ""
        yield f"### {escaped(theme)}"
        for one in found.points:
            if one.theme != theme:
                continue
            yield ""
            yield f"**{escaped(one.id)}: {escaped(one.asks)}** – {one.status}"
            yield ""
            for line in one.evidence:
                yield f"- evidence: {escaped(line)}"
            if one.missing:
                yield f"- missing: {escaped(one.missing)}"
            for source in one.sources:
                yield f"- source: [{escaped(source.title)}]({source.url}), {escaped(source.by)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(escaped(cell) for cell in row)} |"
