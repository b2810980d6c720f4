"""What a frugality report is made from: a job with its bill, its data and its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.quantities import column, digits, duration, energy, share, size
from api.schemas_frugality import (
    DataUsed,
    Equivalence,
    Figure,
    Later,
    LeftOut,
    Less,
    PhaseRow,
)
from automl.cost import JOULES_PER_KWH
from scheduler.equivalents import readable
from scheduler.records import Job, Model, StoredDataset

NOT_KNOWN = "not known"
# Below this a saving is rounding; `scheduler.pricing.NOISE` is a share, this is grams.
NO_GRAMS = 1e-12


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A job and what belongs to it.

    Parameters
    ----------
    receipt : its bill, or the phases so far
    dataset : None where its record is gone
    model : the model that it made; None where it made none, or it was deleted
    serving : the version of that name that answers; None where none does
    """

    job: Job
    receipt: Mapping[str, Any]
    dataset: StoredDataset | None
    model: Model | None
    serving: int | None = None

    @property
    def request(self) -> Mapping[str, Any]:
        return self.job.request

    @property
    def admission(self) -> Mapping[str, Any]:
        return dict(self.request.get("admission") or {})

    @property
    def card(self) -> Mapping[str, Any]:
        return {} if self.model is None else self.model.card

    @property
    def result(self) -> Mapping[str, Any]:
        return dict(self.job.result or {})

    @property
    def stop(self) -> Mapping[str, Any]:
        return dict(self.result.get("stop") or {})

    @property
    def total(self) -> Mapping[str, Any]:
        return dict(self.receipt["total"])

    @property
    def levers(self) -> Mapping[str, Any]:
        return dict(self.receipt.get("levers") or {})

    @property
    def less(self) -> Mapping[str, Any]:
        return dict(self.levers.get("less") or {})

    @property
    def later(self) -> Mapping[str, Any]:
        return dict(self.levers.get("later") or {})

    @property
    def intensity(self) -> Mapping[str, Any]:
        found = self.receipt.get("intensity") or self.total.get("intensity")
        return dict(found or {})


def figure(
    name: str, label: str, value: float | None, unit: str | None, text: str | None = None
) -> Figure:
    """A figure; its text is the number with its unit where none is given.

    >>> figure("trials", "Models fitted", 12, None).text
    '12'
    """
    if text is None:
        text = NOT_KNOWN if value is None else f"{digits(value)}{f' {unit}' if unit else ''}"
    return Figure(name=name, label=label, value=value, unit=unit, text=text)


def count(name: str, label: str, value: int | None, of: int | None = None) -> Figure:
    """A count, and of how many.

    >>> count("rows", "Rows", 50, 200).text
    '50 of 200 (25 %)'
    """
    if value is None:
        return figure(name, label, None, None)
    text = f"{value:,}"
    if of:
        text += f" of {of:,} ({share(value / of)})"
    return Figure(name=name, label=label, value=float(value), unit=None, text=text)


def data_used(facts: Facts) -> DataUsed:
    """Rows, columns, tables and bytes: what the search and the champion read, and what not."""
    admission, less, dataset = facts.admission, facts.less, facts.dataset
    n_rows = admission.get("n_rows") or (None if dataset is None else dataset.n_rows)
    labelled = admission.get("n_labelled")
    used = [
        count("rows", "Rows of the data", n_rows),
        count("rows_labelled", "Rows with a label", labelled, n_rows),
        count("rows_positive", "Positive rows", admission.get("n_positive"), labelled),
        count("rows_champion", "Rows that the champion was fitted on, at most", fitted(facts)),
        count(
            "row_fits",
            "Rows fitted on, summed over all trials",
            less.get("rows_trained_on"),
            less.get("rows_if_every_trial_had_all"),
        ),
        *_columns(facts),
    ]
    tables = facts.receipt.get("storage") or {}
    groups = facts.receipt.get("feature_groups") or ()
    unused = []
    if n_rows is not None and labelled is not None:
        unused.append(count("rows_without_label", "Rows without a label", n_rows - labelled))
    if less.get("rows_if_every_trial_had_all") is not None:
        whole, read = less["rows_if_every_trial_had_all"], less.get("rows_trained_on") or 0
        unused.append(
            count("row_fits_spared", "Rows that trials were not fitted on", whole - read, whole)
        )
    left_out = columns_left_out(facts)
    unused.append(count("columns_unused", "Columns that the model does not read", len(left_out)))
    if groups:
        kept = sum(bool(one["kept"]) for one in groups)
        used.append(count("feature_groups", "Groups of features computed", kept, len(groups)))
        dropped = len(groups) - kept
        unused.append(count("feature_groups_unused", "Groups of features not kept", dropped))
    return DataUsed(
        used=[*used, *_bytes(facts, tables)],
        unused=unused,
        columns_left_out=left_out,
        features_left_out=[
            LeftOut(name=str(one["name"]), why=str(one["why"])) for one in groups if not one["kept"]
        ],
    )


def fitted(facts: Facts) -> int | None:
    """Rows of the champion's fullest fit; None where there is none."""
    rows = [one.get("fitted_rows") for one in facts.card.get("members") or ()]
    return max((one for one in rows if one is not None), default=None)


def _columns(facts: Facts) -> list[Figure]:
    profile = {} if facts.dataset is None else dict(facts.dataset.profile or {})
    named = profile.get("columns") or ()
    found = [count("columns", "Columns of the data", len(named))] if named else []
    found.append(
        count("columns_offered", "Columns offered to the search", facts.admission.get("n_features"))
    )
    if facts.card.get("columns"):
        n_columns = len(facts.card["columns"])
        found.append(count("columns_champion", "Columns and features of the champion", n_columns))
    tables = (facts.dataset.spec or {}).get("tables") if facts.dataset is not None else None
    if tables:
        found.append(count("tables", "Tables put together", len(tables)))
    return found


def columns_left_out(facts: Facts) -> list[LeftOut]:
    """Columns that the model never reads, each with the reason."""
    card = facts.card
    if card:
        named = [*(card.get("excluded") or ()), *(card.get("dropped_columns") or ())]
    else:
        named = [
            {"column": name, "why": "excluded by the request"}
            for name in facts.request.get("exclude") or ()
        ] + list(facts.admission.get("excluded") or ())
    found = [LeftOut(name=str(one["column"]), why=str(one["why"])) for one in named]
    for table, columns in (facts.receipt.get("not_read") or {}).items():
        found += [
            LeftOut(name=f"{table}.{name}", why="no feature that was kept needs it")
            for name in columns
        ]
    return found


def _bytes(facts: Facts, tables: Mapping[str, Any]) -> list[Figure]:
    dataset = facts.dataset
    found = []

    def add(name: str, label: str, value: float | None) -> None:
        if value is not None:
            found.append(figure(name, label, float(value), "bytes", size(value)))

    if dataset is not None:
        add("bytes_in", "Bytes uploaded", dataset.bytes_in)
        add("bytes_stored", "Bytes kept, compressed", dataset.bytes_stored)
    add("bytes_search", "Bytes read by the search", tables.get("bytes_read_by_search"))
    add(
        "bytes_champion",
        "Bytes that the champion reads of all entities",
        tables.get("bytes_read_by_champion"),
    )
    if not tables:
        found.append(
            figure(
                "bytes_search",
                "Bytes read by the search and the champion",
                None,
                "bytes",
                "not counted for a single table, whose columns are each read once"
                + (
                    "" if dataset is None or dataset.bytes_stored is None else ": at most the above"
                ),
            )
        )
    return found


def phase_rows(receipt: Mapping[str, Any]) -> tuple[list[PhaseRow], PhaseRow]:
    """The lines of the bill and their total; the figures are the bill's own."""
    lines = [*receipt["phases"], receipt["total"]]
    grams, kwh = ([float(line[name]) for line in lines] for name in ("gco2e", "kwh"))
    texts = zip(
        column(grams, of=grams[-1], units="mass"),
        column(kwh, of=kwh[-1], units="energy"),
        strict=True,
    )
    rows = [
        PhaseRow(
            phase=str(line["name"]),
            duration_seconds=float(line.get("wall_seconds") or 0.0),
            gco2=line["gco2e"],
            kwh=line["kwh"],
            cpu_seconds=line["cpu_seconds"],
            duration=duration(float(line.get("wall_seconds") or 0.0)),
            gco2_text=mass,
            kwh_text=power,
        )
        for line, (mass, power) in zip(lines, texts, strict=True)
    ]
    return rows[:-1], rows[-1]


def compute(facts: Facts) -> list[Figure]:
    """Models fitted, CPU time and energy."""
    total, less, meter = facts.total, facts.less, dict(facts.receipt.get("meter") or {})
    found = [
        count("trials", "Models fitted in the search", less.get("n_trials")),
        count("trials_failed", "Of them failed", less.get("n_failed")),
        figure(
            "cpu_seconds", "CPU time", total["cpu_seconds"], "s", duration(total["cpu_seconds"])
        ),
        figure("energy", "Energy", total["kwh"], "kWh", energy(total["kwh"])),
    ]
    limits = facts.request.get("limits") or {}
    for name, unit in (("cpu_seconds", "CPU-s"), ("joules", "J"), ("gco2e", "g CO2e")):
        if limits.get(name) is not None:
            found.append(figure(f"limit_{name}", "Limit of the request", limits[name], unit))
    expected = facts.admission.get("expected") or {}
    if expected.get("joules") is not None:
        kwh = expected["joules"] / JOULES_PER_KWH
        found.append(
            figure("expected_energy", "Energy expected beforehand", kwh, "kWh", energy(kwh))
        )
    if facts.receipt.get("attempts"):
        found.append(count("attempts", "Processes that worked on it", facts.receipt["attempts"]))
    if meter.get("watts_per_core") is not None:
        found.append(figure("watts_per_core", "Watts of a core", meter["watts_per_core"], "W"))
    return found


def equivalence(facts: Facts) -> Equivalence | None:
    """The distance by car that emits as much; None before there is a bill."""
    found = (facts.receipt.get("equivalents") or {}).get("car_km")
    if found is None:
        return None
    return Equivalence(
        value=found["value"],
        unit="km",
        text=f"{found['text']} by car",
        source=str(found["source"]),
    )


def saved(grams: float | None) -> str:
    """A saving in words; a negative one says so.

    >>> saved(0.0012), saved(-0.5), saved(0.0), saved(None)
    ('1.2 mg less', '500 mg more: nothing was saved', 'nothing', 'not known')
    """
    if grams is None:
        return NOT_KNOWN
    if abs(grams) < NO_GRAMS:
        return "nothing"
    if grams < 0:
        return f"{readable(-grams)} more: nothing was saved"
    return f"{readable(grams)} less"


def less_of(facts: Facts) -> Less:
    """What doing less saved, by expectation, and what was not trained on, as counted."""
    less = facts.less
    brute, start = less.get("brute_force"), less.get("start")
    found, notes = [], []
    if brute is not None:
        kwh = brute["expected_joules"] / JOULES_PER_KWH
        grams = brute["expected_gco2e"]
        found += [
            figure("brute_energy", "Brute force, expected energy", kwh, "kWh", energy(kwh)),
            figure("brute_gco2", "Brute force, expected CO2e", grams, "g", readable(grams)),
        ]
        notes.append(
            "Against a brute-force search (60 trials of five folds), as it is expected to cost by "
            "the same cost model: it did not run, so this is no measurement."
        )
    else:
        notes.append("Nobody said what brute force would have taken: no saving is claimed.")
    if less.get("share_of_rows") is not None:
        part = less["share_of_rows"]
        found.append(
            figure(
                "share_of_rows", "Rows fitted on, of all rows each time", part, None, share(part)
            )
        )
    if start is not None and start.get("expected_saved_gco2e") is not None:
        grams = start["expected_saved_gco2e"]
        found.append(
            figure("start_saved", "Spared by the model it started from", grams, "g", saved(grams))
        )
    grams = None if brute is None else brute["expected_saved_gco2e"]
    return Less(
        figures=found, saved_gco2=grams, saved_text=saved(grams), is_expectation=True, notes=notes
    )


def later_of(facts: Facts) -> Later:
    """What waiting saved: of the bill, the same joules priced from the submission on."""
    later = facts.later
    grams = later.get("saved_gco2e")
    found = []
    for name, label in (
        ("gco2e", "Emitted, the reading of the data left out"),
        ("gco2e_at_submission", "The same begun at the submission"),
        ("planned_saving_gco2e", "Saving that the plan expected"),
    ):
        if later.get(name) is not None:
            found.append(figure(name, label, later[name], "g", readable(later[name])))
    waited = (later.get("waited_seconds") or 0.0) + (later.get("paused_seconds") or 0.0)
    if later:
        found.append(figure("waited", "Waited and paused", waited, "s", duration(waited)))
    notes = []
    if not later:
        notes.append("There is no bill yet.")
    elif later.get("policy") == "now":
        notes.append("The job ran at once: nothing was moved to a cleaner hour.")
    if later and grams is None:
        notes.append("The hours compared are priced by several sources, which do not compare.")
    if later.get("provisional"):
        notes.append("Provisional: intensities not yet published are looked up again.")
    return Later(
        figures=found,
        saved_gco2=grams,
        saved_text=saved(grams),
        provisional=bool(later.get("provisional")),
        notes=notes,
    )


def use_of(facts: Facts) -> list[Figure]:
    """The model in use: per 1,000 rows as measured, and its life as it is expected to be."""
    found = []
    line = facts.receipt.get("predict_per_1000_rows")
    if line is not None:
        found += [
            figure(
                "use_energy", "1,000 predictions, energy", line["kwh"], "kWh", energy(line["kwh"])
            ),
            figure(
                "use_gco2", "1,000 predictions, CO2e", line["gco2e"], "g", readable(line["gco2e"])
            ),
        ]
    life = (facts.card.get("lifetime") or {}).get("gco2e") or {}
    if life.get("total") is not None:
        found.append(
            figure(
                "life_gco2",
                "The model's whole life, expected",
                life["total"],
                "g",
                readable(life["total"]),
            )
        )
    return found
