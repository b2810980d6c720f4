"""What a predictor child does: one champion, loaded once, answering bodies of rows."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from automl.errors import DataError
from scheduler.child import Channel, error_line

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.options import ReadingLimits, ReadingOptions
    from automl.search.anomaly import AnomalyRanker
    from automl.search.champion import Champion
    from automl.search.reasons import Reason

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# A column of which more cells than this lie outside the range once seen has drifted.
DRIFT_SHARE = 0.05
# New levels are usual where a column has many (importers, products); not in most of the rows.
UNSEEN_SHARE = 0.5
# What reading says of a cell that is not of its column's type.
_WRONG_TYPE = {"type_conflict", "ambiguous_date", "date_range"}
# What to do about an error of reading, where rows are sent and nothing can be declared.
_ADVICE = {
    "mixed_timezones": "send all of them with an offset, or none",
    "encoding": "send UTF-8",
    "ambiguous_date": "write dates like 2024-06-30",
    "ambiguous_dialect": "send values between commas, or JSON",
    "key_type_mismatch": "send both as the model was trained on",
}


def serve(
    channel: Channel,
    folder: str,
    sha256: str,
    about: Mapping[str, Any],
    types: Mapping[str, str],
    limits: Mapping[str, int],
    max_rows: int,
    reading: Mapping[str, Any] | None = None,
) -> None:
    """Answer requests until the starter hangs up.

    A request is a JSON line ``{"content_type", "accept", "reasons", "now", "length"}`` and so many
    bytes; so is the answer, ``{"result": {"content_type", "report", "length"}}``, or an error line
    alone.

    Raises
    ------
    DataError
        ``corrupt_model``: the champion's files are not those that were saved.
    """
    from automl.data.options import ReadingLimits, ReadingOptions
    from automl.search.anomaly_files import load_model
    from automl.search.champion import Champion
    from automl.search.compact import Compact
    from scheduler.plain_prediction import plainly

    champion = load_model(folder, sha256=sha256)
    most = ReadingLimits(**limits)
    options = ReadingOptions.from_json(reading or {})
    compact = None
    if isinstance(champion, Champion):
        compact = Compact(champion, types=types, options=options, limits=most)
    channel.write_line({"result": "ready"})
    while True:
        request = channel.read_line()
        body = channel.read_exactly(request["length"])
        try:
            quick = None
            if compact is not None and isinstance(champion, Champion):
                quick = plainly(
                    compact,
                    body,
                    request=request,
                    about=about,
                    threshold=champion.threshold,
                    max_rows=max_rows,
                )
            if quick is not None:
                _reply(channel, *quick, content_type=JSON)
                continue
            events = None
            if champion.tables is not None:
                frame, events = around_of(
                    body,
                    request["content_type"],
                    champion=champion,
                    limits=most,
                    max_rows=max_rows,
                    now=request["now"],
                )
            else:
                frame = rows_of(
                    body,
                    request["content_type"],
                    champion=champion,
                    types=types,
                    limits=most,
                    options=options,
                    max_rows=max_rows,
                )
            content, report = answer(
                champion,
                frame,
                about=about,
                accept=request["accept"],
                n_reasons=request.get("reasons", 0),
                events=events,
            )
        except Exception as error:
            channel.write_line(error_line(error))
            continue
        _reply(channel, content, report, content_type=request["accept"])


def _reply(
    channel: Channel, content: bytes, report: Mapping[str, Any], *, content_type: str
) -> None:
    head = {"content_type": content_type, "report": dict(report), "length": len(content)}
    channel.write_line({"result": head})
    channel.write(content)


def rows_of(
    body: bytes,
    content_type: str,
    *,
    champion: Champion | AnomalyRanker,
    types: Mapping[str, str],
    limits: ReadingLimits,
    options: ReadingOptions,
    max_rows: int,
) -> pd.DataFrame:
    """Return the rows of a body, with the champion's columns read as their types.

    `options` are those that the training rows were read by, as far as they are about cells.

    Raises
    ------
    DataError
        ``wrong_type``, ``non_finite``, ``too_many_rows``, and those of reading.
    """
    from automl.data.bodies import read_rows
    from automl.search.champion import needed_columns

    known = {name: types[name] for name in champion.columns if name in types}
    try:
        return read_rows(
            body,
            content_type,
            limits=limits,
            types=known,
            options=options,
            needed=needed_columns(champion.encoder, champion.columns),
            max_rows=max_rows,
        )
    except DataError as error:
        if error.code == "no_rows":  # a table of a header only
            import pandas as pd

            return pd.DataFrame()
        raise as_sent(error) from None


def around_of(
    body: bytes,
    content_type: str,
    *,
    champion: Champion | AnomalyRanker,
    limits: ReadingLimits,
    max_rows: int,
    now: str,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return rows with the features of the tables sent with them, and what became of those.

    JSON has the tables beside the rows; any other body has rows only, and no events then.

    Raises
    ------
    DataError
        As `rows_of`; ``unknown_table``, ``missing_columns``, and those of putting tables together.
    """
    import pandas as pd

    from automl.data.bodies import read_tables
    from automl.relations.came import warned

    around = champion.tables
    assert around is not None
    needed = around.needed(champion.own_columns)
    try:
        sent = read_tables(
            body,
            content_type,
            limits=limits,
            types=around.readable(),
            options={name: cell_options(one) for name, one in around.reading.items()},
            entities=around.entities,
            keys=around.keys(),
            needed=needed,
            max_rows=max_rows,
        )
        tables = {**sent.tables}
        for name, text in sent.logs.items():
            tables[name] = around.lines(name, text, limits=limits)
        rows = tables.pop(around.entities)
        if not rows.num_rows:
            return pd.DataFrame(), {}
        absent = [name for name in needed if name not in rows.column_names]
        if absent:
            raise missing(absent)
        moment = around.moment(sent.now, asked=now)
        own = champion.own_columns
        relations = around.relations(rows, tables, now=moment, own=own, kinds=sent.kinds)
    except DataError as error:
        raise as_sent(error) from None
    told = {
        "tables": around.told(relations, tables),
        "warnings": warned(relations, relations.about["counts"]),
    }
    return around.featured(relations), told


def as_sent(error: DataError) -> DataError:
    """Return the error of a body as one who sends rows can use it: without advice on uploads.

    How cells are read was settled when the model was trained; a request declares nothing.

    >>> told = as_sent(DataError("row 2 is no number; declare its type", code="type_conflict"))
    >>> told.code, str(told)
    ('wrong_type', 'row 2 is no number; send what the model was trained on')
    """
    text, found, _ = str(error).partition("; declare")
    if found:
        advice = _ADVICE.get(error.code, "send what the model was trained on")
        error.args = (f"{text}; {advice}",)
    if error.code in _WRONG_TYPE:
        error.code = "wrong_type"
    return error


def cell_options(options: Mapping[str, Any]) -> ReadingOptions:
    """Return how further cells of a table are read, by the options of its upload."""
    from automl.data.options import ReadingOptions, for_more_rows

    return ReadingOptions.from_json(for_more_rows(options, profile={}))


def answer(
    champion: Champion | AnomalyRanker,
    frame: pd.DataFrame,
    *,
    about: Mapping[str, Any],
    accept: str,
    n_reasons: int = 0,
    events: Mapping[str, Any] | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return probabilities and alerts in the order of the rows, and how the rows look.

    Without labels the probability is null, and ``anomaly`` is beside it: the share of the training
    rows that look less odd.

    With `n_reasons`, each row has so many columns that moved it furthest: in JSON a list, in a
    table the columns ``reason_1``, ``contribution_1`` and so on.

    Returns
    -------
    (bytes, dict)
        The body of type `accept`, and the report: ``n_rows``, ``extra_columns``,
        ``unseen_categories`` and ``out_of_range`` by column, and ``drift``.

    Raises
    ------
    DataError
        ``missing_columns``, ``wrong_type``, ``non_finite``, ``no_typical_row``,
        ``too_many_rows`` for reasons.
    """
    report: dict[str, Any] = {
        "n_rows": len(frame),
        "extra_columns": [],
        "unseen_categories": {},
        "out_of_range": {},
        "drift": False,
    }
    if len(frame):
        checked = champion.check(frame)
        _refuse(checked)
        report |= {name: checked[name] for name in report if name in checked}
        if events is not None:
            report |= dict(events)
        report["drift"] = drifted(checked, n_rows=len(frame))
    scores, alert = scored(champion, frame)
    why: list[tuple[Reason, ...]] = []
    if n_reasons:
        from automl.search.reasons import reasons

        why = reasons(champion, frame, n_reasons=n_reasons)
    if accept == JSON:
        values = zip(*scores.values(), alert, strict=True)
        names = (*scores, "alert")
        predictions: list[dict[str, Any]] = [dict(zip(names, own, strict=True)) for own in values]
        for prediction, own in zip(predictions, why, strict=False):
            prediction["reasons"] = [asdict(reason) for reason in own]
        content = {"predictions": predictions, **about, "report": report}
        return json.dumps(content, allow_nan=False).encode(), report
    import pyarrow as pa

    columns: dict[str, Any] = {name: pa.array(own, pa.float64()) for name, own in scores.items()}
    columns["alert"] = pa.array(alert, pa.bool_())
    for i in range(n_reasons):
        nth = [row[i] if i < len(row) else None for row in why]
        moved = [reason.column if reason else None for reason in nth]
        shares = [reason.contribution if reason else None for reason in nth]
        columns[f"reason_{i + 1}"] = pa.array(moved, pa.string())
        columns[f"contribution_{i + 1}"] = pa.array(shares, pa.float64())
    table = pa.table(columns)
    buffer = io.BytesIO()
    if accept == CSV:
        import pyarrow.csv

        pyarrow.csv.write_csv(table, buffer)
    elif accept == PARQUET:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, buffer)
    else:
        raise DataError(f"predictions are not written as {accept}", code="unsupported_format")
    return buffer.getvalue(), report


def drifted(looks: Mapping[str, Any], *, n_rows: int) -> bool:
    """Whether rows lie so far from the training data that the scores are to be doubted."""
    unseen = max(looks["unseen_categories"].values(), default=0)
    return bool(looks["out_of_range_share"] > DRIFT_SHARE or unseen > UNSEEN_SHARE * n_rows)


def scored(
    champion: Champion | AnomalyRanker, frame: pd.DataFrame
) -> tuple[dict[str, list[Any]], list[bool]]:
    """Each row's probability, or that there is none and its anomaly; and whether it is alerted."""
    from automl.search.anomaly import AnomalyRanker

    if isinstance(champion, AnomalyRanker):
        odd = champion.anomaly(frame).tolist() if len(frame) else []
        alert = [value >= champion.threshold for value in odd]
        return {"probability": [None] * len(odd), "anomaly": odd}, alert
    probability = champion.predict_proba(frame).tolist() if len(frame) else []
    return {"probability": probability}, [value >= champion.threshold for value in probability]


def _refuse(checked: Mapping[str, Any]) -> None:
    """Raise what stands against predicting these rows; names of columns only."""
    absent = checked["missing_columns"]
    if absent:
        raise missing(absent)
    for name, code, said in (
        ("unreadable", "wrong_type", "has cells of another type than the model was trained on"),
        ("non_finite", "non_finite", "has infinite numbers"),
    ):
        found = checked.get(name) or {}
        if found:
            column = next(iter(found))
            raise DataError(
                f"column {column!r} {said}",
                code=code,
                column=column,
                details={"columns": list(found)},
            )


def missing(columns: Sequence[str]) -> DataError:
    """Return the error of rows that lack columns."""
    return DataError(
        f"{len(columns)} column(s) that the model needs are missing, first {columns[0]!r}",
        code="missing_columns",
        column=columns[0],
        details={"columns": list(columns)},
    )
