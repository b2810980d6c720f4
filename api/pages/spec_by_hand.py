"""A spec to begin with where nothing could be proposed: no table is that of the entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.pages.asking import Json

LINE, MESSAGE = "line", "message"  # columns that every raw log is read into
MADE_OF = "no table has one row for each entity, so they are made from one"


def begun(
    sources: Mapping[str, Json],
    *,
    columns: Mapping[str, Sequence[Json]],
    logs: Mapping[str, str],
) -> tuple[Json, list[Json]]:
    """A spec whose entities are made from its first table, and the reasons for its parts.

    Parameters
    ----------
    sources : by table, where its rows are
    columns : by table, its columns as its profile has them
    logs : by table that was a raw log, the format of its lines

    >>> of_log = [{"name": one, "type": "string"} for one in ("key", "message")]
    >>> spec, _ = begun({"calls": {}}, columns={"calls": of_log}, logs={"calls": "key_message"})
    >>> spec["windows"], spec["tables"]["calls"]["time_format"]
    ({'table': 'calls', 'sessions': 'key'}, 'order')
    """
    tables, reasons = {}, [{"field": "entities", "reason": MADE_OF}]
    for name, source in sources.items():
        kinds = {str(one["name"]): str(one["type"]) for one in columns.get(name, ())}
        table: Json = {"role": "log" if name in logs else "series", "source": source}
        time = next((one for one, kind in kinds.items() if kind == "timestamp"), None)
        if time is not None:
            table["time"] = time
            reasons.append({"field": f"tables.{name}.time", "reason": f"{time} has times"})
        elif name in logs:
            table["time_format"] = "order"
            why = "a log without times: the order of its lines stands in for them"
            reasons.append({"field": f"tables.{name}.time_format", "reason": why})
        if name in logs:
            why = f"it was read from a raw log of the format {logs[name]}"
            reasons.append({"field": f"tables.{name}", "reason": why})
            table |= {one: [LINE] for one in ("exclude",) if LINE in kinds}
            table |= {one: MESSAGE for one in ("message",) if MESSAGE in kinds}
        tables[name] = table
    first = next(iter(sources))
    windows: Json = {"table": first}
    if first in logs and "key" in [one["name"] for one in columns.get(first, ())]:
        windows["sessions"] = "key"
    return {"tables": tables, "windows": windows}, reasons
