"""Entities made from a series or a log: windows of it with a horizon ahead, or sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from automl.data.target import labels, wanted
from automl.errors import DataError
from automl.relations.events import require
from automl.relations.key_columns import Bools
from automl.relations.keys import KeyIndex
from automl.relations.spec import CutOff, Link, Spec, TableSpec, Windows
from automl.relations.tables import SECONDS_PER_DAY, Floats, Integers, first_at
from automl.relations.times import read_times

CUT_OFF, LABEL = "cut_off", "label"


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Rows in the order of series and time.

    Parameters
    ----------
    series : int64, ascending; which series a row is of
    time : float64, ascending within a series
    first : int64; row of the table at which each series first comes
    order : int64; row of the table that each one is
    """

    series: Integers
    time: Floats
    first: Integers
    order: Integers
    dated: bool

    def bounds(self) -> tuple[Integers, Integers]:
        """First row of each series, and one past its last."""
        numbers = np.arange(len(self.first))
        start = np.searchsorted(self.series, numbers, side="left")
        return start.astype(np.int64), np.searchsorted(self.series, numbers, side="right").astype(
            np.int64
        )


@dataclass(frozen=True, kw_only=True)
class Made:
    """Windows: their series, their cut-offs, and the stretch of rows that their label is of."""

    series: Integers
    cut_off: Floats
    start: Integers
    end: Integers


def make_entities(
    spec: Spec, tables: Mapping[str, pa.Table]
) -> tuple[Spec, Mapping[str, pa.Table]]:
    """The spec and tables with the entity table that the spec's windows make; as they are without.

    The entity table is called `windows` (`sessions`), has the series' key columns, `cut_off`, and
    the label under its own name, 1 or 0. Its key is the series, so that windows of one series stay
    together. A window whose horizon is not all there is left out. Where lengths are times of dates
    they are days.

    Raises
    ------
    DataError
        ``column_not_found``; ``no_windows`` where no series is as long as a window.
    """
    windows = spec.windows
    if windows is None:
        return spec, tables
    about, rows = spec.tables[windows.table], tables[windows.table]
    if windows.sessions is not None:
        return _sessions(spec, windows, tables)
    key = about.link.columns
    stretches = _stretches(rows, about, key)
    made = _by_time(windows, stretches) if windows.by_time else _by_rows(windows, stretches)
    if not len(made.cut_off):
        raise DataError(
            f"no series of '{windows.table}' is as long as a window and its horizon",
            code="no_windows",
            table=windows.table,
        )
    at = pa.array(stretches.first[made.series])
    columns = {name: rows.column(name).take(at) for name in key}
    columns[_free(CUT_OFF, key)] = pa.array(made.cut_off)
    if windows.label is not None:
        hits = _hits(spec, windows, rows, about)[stretches.order]
        columns[windows.label] = pa.array(_any(hits, made.start, made.end).astype(np.int8))
    cut_off = CutOff(
        column=_free(CUT_OFF, key),
        time_format="epoch_s" if stretches.dated else "number",
        gap=spec.cut_off.gap,
    )
    return _with_entities(spec, windows, tables, pa.table(columns), key=key, cut_off=cut_off)


def _stretches(rows: pa.Table, about: TableSpec, key: tuple[str, ...]) -> Stretches:
    require(rows, [*key, *filter(None, [about.time])], about)
    column = None if about.time is None else rows.column(about.time)
    times = read_times(column, about.time_format, n_rows=rows.num_rows)
    if key:
        index = KeyIndex([rows.column(name) for name in key], names=key, table=about.name)
        series, n_series = index.codes, index.n_keys
    else:
        series, n_series = np.zeros(rows.num_rows, dtype=np.int64), 1
    order = np.lexsort((times.values, series)).astype(np.int64)
    order = order[(series[order] >= 0) & ~np.isnan(times.values[order])]
    first = np.zeros(n_series, dtype=np.int64)
    known = np.flatnonzero(series >= 0)[::-1]
    first[series[known]] = known
    return Stretches(
        series=series[order],
        time=times.values[order],
        first=first,
        order=order,
        dated=times.dated,
    )


def _by_rows(windows: Windows, stretches: Stretches) -> Made:
    """Windows of so many rows; rows of the time of a window's last row are in it too."""
    length, horizon = max(int(windows.length or 1), 1), int(windows.horizon)
    step = max(int(windows.step or length), 1)
    start, stop = stretches.bounds()
    counts = np.maximum((stop - start - length - horizon) // step + 1, 0)
    series = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
    last = start[series] + length - 1 + number * step
    # just after the last row: what comes at the next time is not known yet
    cut_off = np.nextafter(stretches.time[last], np.inf)
    end = first_at(stretches.time, start[series], stop[series], cut_off)
    kept = end + horizon <= stop[series]
    kept[1:] &= (series[1:] != series[:-1]) | (cut_off[1:] != cut_off[:-1])
    series, cut_off, end = series[kept], cut_off[kept], end[kept]
    if horizon:
        return Made(series=series, cut_off=cut_off, start=end, end=end + horizon)
    begin = np.maximum(end - length, start[series])
    return Made(series=series, cut_off=cut_off, start=begin, end=end)


def _by_time(windows: Windows, stretches: Stretches) -> Made:
    """Windows of so much time, from each series' first row on."""
    unit = SECONDS_PER_DAY if stretches.dated else 1.0
    if windows.length is None:
        raise DataError(
            "spec, windows.length: windows by time need one",
            code="bad_spec",
            details={"field": "windows.length"},
        )
    length, horizon = windows.length * unit, windows.horizon * unit
    step = (windows.step or windows.length) * unit
    start, stop = stretches.bounds()
    some = start < stop
    began = np.where(some, stretches.time[np.minimum(start, len(stretches.time) - 1)], 0.0)
    ended = np.where(some, stretches.time[stop - 1], 0.0)
    counts = np.floor((ended - began - length - horizon) / step).astype(np.int64) + 1
    counts = np.where(some, np.maximum(counts, 0), 0)
    series = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
    cut_off = began[series] + length + number * step
    low, high = (cut_off, cut_off + horizon) if horizon else (cut_off - length, cut_off)
    return Made(
        series=series,
        cut_off=cut_off,
        start=first_at(stretches.time, start[series], stop[series], low),
        end=first_at(stretches.time, start[series], stop[series], high),
    )


def _sessions(
    spec: Spec, windows: Windows, tables: Mapping[str, pa.Table]
) -> tuple[Spec, Mapping[str, pa.Table]]:
    """One entity for each value of a column; all of its rows are known."""
    name = windows.sessions
    assert name is not None
    about, rows = spec.tables[windows.table], tables[windows.table]
    require(rows, [name], about)
    index = KeyIndex([rows.column(name)], names=(name,), table=windows.table)
    first = np.zeros(index.n_keys, dtype=np.int64)
    known = np.flatnonzero(index.codes >= 0)[::-1]
    first[index.codes[known]] = known
    columns = {name: rows.column(name).take(pa.array(first))}
    if windows.label is not None:
        hits = _hits(spec, windows, rows, about)
        some = np.bincount(index.codes[known], weights=hits[known], minlength=index.n_keys) > 0
        columns[windows.label] = pa.array(some.astype(np.int8))
    return _with_entities(
        spec, windows, tables, pa.table(columns), key=(name,), cut_off=spec.cut_off
    )


def _with_entities(
    spec: Spec,
    windows: Windows,
    tables: Mapping[str, pa.Table],
    entities: pa.Table,
    *,
    key: tuple[str, ...],
    cut_off: CutOff,
) -> tuple[Spec, Mapping[str, pa.Table]]:
    called = _free("windows" if windows.sessions is None else "sessions", tuple(spec.tables))
    specs = {called: TableSpec(name=called, role="entities")}
    for name, about in spec.tables.items():
        if name == windows.table:
            link = Link(columns=key, table=called if key else None, to=key)
            # what tells the label is not to be learnt from
            left = tuple(dict.fromkeys([*about.exclude, *filter(None, [windows.label])]))
            # a series too short for a window, or a line without a session, is nobody's
            specs[name] = replace(about, link=link, exclude=left, orphans="drop")
        elif about.link.table == windows.table and set(about.link.to) == set(key):
            specs[name] = replace(about, link=replace(about.link, table=called))
        else:
            specs[name] = about
    made = replace(
        spec,
        tables=specs,
        entities=called,
        key=key,
        target=windows.label,
        positive=None if windows.label is None else 1,
        cut_off=cut_off,
        windows=None,
    )
    return made, {**tables, called: entities}


def _hits(spec: Spec, windows: Windows, rows: pa.Table, about: TableSpec) -> Bools:
    assert windows.label is not None
    require(rows, [windows.label], about)
    column = rows.column(windows.label).combine_chunks()
    hits: Bools = labels(column, wanted(spec.positive)) == 1
    return hits


def _any(hits: Bools, start: Integers, end: Integers) -> Bools:
    """Whether any row of each stretch is one."""
    before = np.append(0, np.cumsum(hits))
    found: Bools = before[end] > before[start]
    return found


def _free(name: str, taken: tuple[str, ...]) -> str:
    while name in taken:
        name += "_"
    return name
