"""A model card as Markdown, and what its other forms share with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from api.card_carbon import NO_USE, carbon_lines
from scheduler.records import Model

MAX_ITEMS = 200
ANOMALY_RANKING = "anomaly ranking"  # as `automl.search.anomaly` has it: numpy stays out of here

SCORES = {
    "average_precision": "average precision",
    "roc_auc": "area under the ROC curve",
    "precision_at_recall": "precision at the recall asked for",
    "cost_saving": "share of the cost saved against the better of alerting nobody and everybody",
    "expected_cost": "cost per row at the cheapest threshold, in the unit of the request",
    "recall_at_alert_rate": "recall: of all positives, the share that is alerted",
    "recall_at_threshold": "recall at the threshold: of all positives, the share that is alerted",
    "precision_at_threshold": "precision at the threshold: of all alerts, the share of positives",
    "cost_at_threshold": "cost per row at the threshold, in the unit of the request",
    "precision_at_alert_rate": "precision: of all alerts, the share that is positive",
    "expected_calibration_error": "expected calibration error",
    "prevalence": "prevalence: what a random order would reach in average precision",
    "n_validation_positives": "positives that these figures rest on",
}


COMPARED = {
    "average_precision": "average precision",
    "roc_auc": "the area under the ROC curve",
    "recall_at_alert_rate": "the recall at the alert rate",
    "precision_at_recall": "the precision at a recall",
    "expected_cost": "the cost that their alerts save",
}
NUMBERS = ("alert_rate", "recall", "missed_cost", "alert_cost")
# Why a threshold is where it is, unless it is by the alert rate.
WHY = {
    "precision_at_recall": ": the most precise one that finds the share of positives asked for",
    "expected_cost": ": where an alert costs what none does",
}


def markdown(model: Model) -> str:
    """The card of a model for people; every text of the data is shown as text, never as markup."""
    card = dict(model.card)
    lines = [f"# {escaped(model.name)}, version {model.version}", ""]
    unlabelled = card.get("kind") == ANOMALY_RANKING
    lines += _purpose(card, model)
    objective = _objective(card)
    for title, body in (
        (
            "How good it is",
            _unmeasured(card) if unlabelled else _scores(card.pop("scores", {}), objective),
        ),
        ("Alerts", _odd_alerts(card) if unlabelled else _alerts(card, objective)),
        ("By subgroup", _subgroups(card.pop("subgroups", None))),
        ("What it leans on", _importance(card.pop("importance", None))),
        ("What it is made of", _members(card.pop("members", ()))),
        ("Columns it reads", _columns(card)),
        ("Columns left out", _left_out(card)),
        ("What it took", _cost(card)),
        ("What its life is expected to take", _life(card)),
        ("Warnings", _warnings(card.pop("warnings", ()))),
        ("Provenance", _provenance(card, model)),
    ):
        written = list(body)
        if written:
            lines += ["", f"## {title}", "", *written]
    for name, value in card.items():
        lines += ["", f"## {_words(name).capitalize()}", "", *_body(value, depth=0)]
    return "\n".join(lines) + "\n"


def _purpose(card: dict[str, Any], model: Model) -> Iterator[str]:
    if card.get("kind") == ANOMALY_RANKING:
        for name in ("kind", "target", "positive"):
            card.pop(name, None)
        yield "An anomaly ranking: how odd a row is among those it was trained on. No probability."
        yield f"Registered {model.created_at.isoformat(timespec='seconds')}."
        return
    positive, target = card.pop("positive", None), card.pop("target", None)
    kind = _scalar(card.pop("kind", "model"))
    if positive is not None:
        values = positive if isinstance(positive, list) else [positive]
        what = f" `{_code(target)}` is {' or '.join(f'`{_code(value)}`' for value in values)}"
        yield f"A {kind}: the probability that{what}."
    elif target is not None:
        yield f"A {kind}: the probability of a positive `{_code(target)}`."
    yield f"Registered {model.created_at.isoformat(timespec='seconds')}."


def _objective(card: dict[str, Any]) -> Mapping[str, Any]:
    """What models were compared by; a card of an older version has the alert rate only."""
    provenance = dict(card.get("provenance") or {})
    found = provenance.pop("objective", {"alert_rate": card.get("alert_rate")})
    if provenance:
        card["provenance"] = provenance
    return dict(found)


def _scores(scores: Mapping[str, Any], objective: Mapping[str, Any]) -> Iterator[str]:
    if scores:
        scores = _with_precision(scores, objective.get("alert_rate"))
        metric = objective.get("metric")
        if metric is not None:
            numbers = {name: objective[name] for name in NUMBERS if name in objective}
            given = f" ({_pairs(numbers)})" if numbers else ""
            yield f"Models were compared by {COMPARED.get(metric, _words(metric))}{given}."
            yield ""
        yield (
            "On rows that the judged models were not fitted to, weighted to the true prevalence. "
            "The same rows chose the model, when boosting stops and how members weigh: with few "
            "positives the figures are optimistic."
        )
        yield ""
        yield from _table(
            ("Figure", "Value"),
            ((SCORES.get(name, _words(name)), value) for name, value in scores.items()),
        )


def _unmeasured(card: dict[str, Any]) -> Iterator[str]:
    yield _scalar(card.pop("measured", "Nothing was measured."))
    method = card.pop("method", None)
    if method is not None:
        yield ""
        yield f"How odd a row is: {_scalar(method)}."


def _odd_alerts(card: dict[str, Any]) -> Iterator[str]:
    threshold, rate = card.pop("threshold", None), card.pop("alert_rate", None)
    if threshold is not None and rate is not None:
        yield (
            f"A row is alerted if it looks odder than {100 * threshold:.6g} % of the training "
            f"rows, which is so for {100 * rate:.3g} % of those."
        )


def _with_precision(scores: Mapping[str, Any], alert_rate: float | None) -> dict[str, Any]:
    """The scores, and after the recall the precision that it implies at the same alert rate."""
    written: dict[str, Any] = {}
    for name, value in scores.items():
        written[name] = value
        prevalence = scores.get("prevalence")
        if name == "recall_at_alert_rate" and alert_rate and prevalence is not None:
            written["precision_at_alert_rate"] = value * prevalence / alert_rate
    return written


def _alerts(card: dict[str, Any], objective: Mapping[str, Any]) -> Iterator[str]:
    threshold, rate = card.pop("threshold", None), card.pop("alert_rate", None)
    if threshold is not None and rate is not None:
        yield (
            f"A row is alerted from a probability of {_scalar(threshold)} on, which "
            f"{100 * rate:.3g} % of the rows reached in validation"
            f"{WHY.get(objective.get('metric', ''), '')}."
        )
    calibration = card.pop("calibration", None)
    if isinstance(calibration, Mapping):
        yield ""
        yield f"Probabilities: {_pairs(calibration)}."


PART_HEAD = ("Part", "Rows", "Positive", "Recall", "Precision", "Predicted", "Observed")


def part_cells(part: Mapping[str, Any]) -> tuple[str, ...]:
    """A part of a subgroup's rows as texts; what is not told is too few to tell."""

    def rate(name: str) -> str:
        value = part.get(name)
        if value is None:
            return "too few"
        ends = (part.get(f"{name}_low"), part.get(f"{name}_high"))
        return f"{value:.3f}" + ("" if None in ends else f" ({ends[0]:.3f}–{ends[1]:.3f})")

    n_positive = part.get("n_positive")
    counted = "too few" if n_positive is None else f"{n_positive:,}"
    return (
        str(part["level"]),
        f"{part['n_rows']:,}",
        counted,
        *(rate(name) for name in ("recall", "precision", "predicted", "observed")),
    )


def _subgroups(told: Mapping[str, Any] | None) -> Iterator[str]:
    if told:
        yield escaped(str(told["note"]))
        for one in told["columns"]:
            yield ""
            yield f"### `{_code(one['column'])}`"
            yield ""
            yield from _table(PART_HEAD, map(part_cells, one["parts"]))
            if one["n_too_few"]:
                yield ""
                yield f"Parts with too few rows to tell of: {one['n_too_few']}."


def _importance(told: Mapping[str, Any] | None) -> Iterator[str]:
    if told:
        yield escaped(str(told["method"]))
        yield ""
        rows = ((one["column"], one["importance"]) for one in told["columns"])
        yield from _table(("Column", "Mean change of the log-odds"), rows)


def _members(members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if members:
        yield from _table(
            ("Weight", "Model", "Trial", "Rows fitted on", "Parameters"),
            (
                (
                    member.get("weight"),
                    member.get("model"),
                    member.get("trial"),
                    _rows(member.get("fitted_rows")),
                    _pairs(member.get("params") or {}),
                )
                for member in members
            ),
            written=(4,),
        )


def _rows(n_rows: Any) -> str:
    """A count of rows; a card of an older version knows none."""
    return f"{n_rows:,}" if isinstance(n_rows, int) else "not recorded"


def _columns(card: dict[str, Any]) -> Iterator[str]:
    columns, types = card.pop("columns", ()), card.pop("types", {})
    rows = [
        (column.get("name"), types.get(column.get("name"), column.get("type")))
        if isinstance(column, Mapping)
        else (column, types.get(column))
        for column in columns
    ]
    if rows:
        yield from _table(("Column", "Type"), rows)


def _left_out(card: dict[str, Any]) -> Iterator[str]:
    columns = [*card.pop("excluded", ()), *card.pop("dropped_columns", ())]
    if columns:
        rows = ((column.get("column"), column.get("why")) for column in columns)
        yield from _table(("Column", "Why"), rows)


def _cost(card: dict[str, Any]) -> Iterator[str]:
    carbon = list(carbon_lines(card))
    cost, _, _ = card.pop("cost", {}), card.pop("intensity", None), card.pop("energy", None)
    named = {"total": "to make it, the data read in included", "predict": "to predict 1,000 rows"}
    rows = [
        (named.get(name, name), row.get("cpu_seconds"), row.get("kwh"), row.get("gco2e"))
        for name, row in cost.items()
        if isinstance(row, Mapping)
    ]
    if rows:
        yield from _table(("What", "CPU-seconds", "kWh", "gCO2e"), rows)
    for line in carbon:
        yield ""
        yield escaped(line)


LIFE = {
    "search": "finding it",
    "refit": "fitting it on all rows",
    "use": "predicting",
    "retrains": "fitting it again",
    "total": "all of it",
}


def _life(card: dict[str, Any]) -> Iterator[str]:
    life, row = card.pop("lifetime", None), card.pop("row_milliseconds", None)
    if isinstance(life, Mapping) and not life.get("declared"):
        yield NO_USE
    elif isinstance(life, Mapping):
        yield escaped(f"{life['use']} {life['method']}")
        yield ""
        joules, grams = life.get("joules") or {}, life.get("gco2e") or {}
        yield from _table(
            ("What", "Joules", "gCO2e"),
            ((LIFE.get(name, name), one, grams.get(name)) for name, one in joules.items()),
        )
    if row is not None:
        yield ""
        yield f"One row alone takes {_scalar(row)} milliseconds of CPU time, encoding included."


def _warnings(warnings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for warning in warnings[:MAX_ITEMS]:
        yield f"- `{_code(warning.get('code'))}`: {_scalar(warning.get('detail'))}"


def _provenance(card: dict[str, Any], model: Model) -> Iterator[str]:
    yield f"- job `{model.job_id}`, data set `{model.dataset_id}`"
    yield f"- SHA-256 of the manifest `{model.sha256}`"
    yield from _body(card.pop("provenance", {}), depth=0)


def _table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], *, written: Sequence[int] = ()
) -> Iterator[str]:
    """A table; the cells of `written` columns are Markdown already."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for count, row in enumerate(rows):
        if count == MAX_ITEMS:
            yield f"| and more{' |' * len(head)}"
            return
        cells = (cell if i in written else _scalar(cell) for i, cell in enumerate(row))
        yield f"| {' | '.join(cells)} |"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {_scalar(value)}" for name, value in values.items())


def _words(name: str) -> str:
    return escaped(str(name).replace("_", " "))


def _body(value: Any, *, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Mapping):
        for name, below in list(value.items())[:MAX_ITEMS]:
            if isinstance(below, Mapping | list) and below:
                yield f"{indent}- {_words(name)}:"
                yield from _body(below, depth=depth + 1)
            else:
                yield f"{indent}- {_words(name)}: {_scalar(below)}"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value[:MAX_ITEMS]:
            written = _pairs(item) if isinstance(item, Mapping) else _scalar(item)
            yield f"{indent}- {written}"
        if len(value) > MAX_ITEMS:
            yield f"{indent}- and {len(value) - MAX_ITEMS:,} more"
    else:
        yield f"{indent}{_scalar(value)}"


def _scalar(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | Mapping):
        return ", ".join(_scalar(item) for item in value) or "none"
    return escaped(str(value))


def _code(value: Any) -> str:
    """Text between backticks, where only a backtick could end it and a pipe a table's cell."""
    return " ".join(str(value).split()).replace("`", "'").replace("|", "/").replace("<", "&lt;")


def escaped(text: str) -> str:
    """Text that Markdown and HTML show as it is.

    >>> escaped("<script> *x*")
    '&lt;script&gt; \\\\*x\\\\*'
    """
    text = " ".join(text.split())
    for mark in "\\`*_[]#|~":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
