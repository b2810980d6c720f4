"""What `FrugalClient` can ask of models: predictions, curves, and which version answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, overload

from api.client_calls import Json, ServiceError, given, path_of
from api.client_datasets import CONTENT_TYPES
from api.client_frames import (
    blocks,
    from_rows,
    is_frame,
    joined,
    n_rows_of,
    to_parquet,
    to_rows,
)
from api.client_reports import ReportCalls

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

PARQUET = CONTENT_TYPES[".parquet"]
CSV = CONTENT_TYPES[".csv"]
# As the service has it, unless its operator said another number; then pieces are halved.
BLOCK_ROWS = 100_000
TOO_LARGE = 413
Rows = Sequence[Mapping[str, Any]] | Path | str | bytes | IO[bytes]  # a str is a path
FrameT = TypeVar("FrameT", bound="IntoFrame")


class PredictionWarning(UserWarning):
    """The rows look different from those that the model was trained on, or lack its tables."""


class ModelCalls(ReportCalls):
    """Models."""

    def models(self) -> list[Json]:
        """Of each name the version that answers, newest first."""
        return list(self._pages("/v1/models"))

    def model(self, name: str, *, version: int | None = None) -> Json:
        """The version of a model that answers, or the one asked for."""
        return self._json("GET", path_of("models", name), params=given(version=version))

    def promotions(self, name: str) -> Json:
        """Which version of a model answers, which there are, and which answered since when."""
        return self._json("GET", path_of("models", name, "promotions"))

    def promote(self, name: str, version: int, *, because: str = "") -> Json:
        """Let a version answer from now on, also when newer ones come."""
        body = {"version": version} | ({"because": because} if because else {})
        return self._again("POST", path_of("models", name, "promote"), json=body)

    def rollback(self, name: str) -> Json:
        """Let the version answer again that did before; never retried."""
        return self._json("POST", path_of("models", name, "rollback"))

    def delete_model(self, name: str) -> None:
        """Delete every version of a model."""
        self._json("DELETE", path_of("models", name))

    def curves(
        self,
        model: str,
        *,
        version: int | None = None,
        member: int | None = None,
        missed_cost: float | None = None,
        alert_cost: float | None = None,
    ) -> Json:
        """Precision-recall, calibration, gain and cost curves of a model or of one finalist."""
        params = given(
            version=version, member=member, missed_cost=missed_cost, alert_cost=alert_cost
        )
        return self._json("GET", path_of("models", model, "curves"), params=params)

    def drift(self, model: str, *, version: int | None = None) -> Json:
        """What has moved since a model was trained: each column, by how much and since when."""
        return self._json("GET", path_of("models", model, "drift"), params=given(version=version))

    def export(self, model: str, destination: Path | str, *, version: int | None = None) -> Path:
        """Save weights, manifest and loader of a model as one archive."""
        return self._save(path_of("models", model, "export"), destination, **given(version=version))

    @overload
    def predict(
        self,
        model: str,
        rows: Rows,
        *,
        content_type: str | None = None,
        version: int | None = None,
        reasons: int = 0,
        tables: Mapping[str, Any] | None = None,
        now: str | None = None,
    ) -> Json: ...

    @overload
    def predict(
        self,
        model: str,
        rows: FrameT,
        *,
        content_type: str | None = None,
        version: int | None = None,
        reasons: int = 0,
        tables: Mapping[str, Any] | None = None,
        now: str | None = None,
    ) -> FrameT: ...

    def predict(
        self,
        model: str,
        rows: Any,
        *,
        content_type: str | None = None,
        version: int | None = None,
        reasons: int = 0,
        tables: Mapping[str, Any] | None = None,
        now: str | None = None,
    ) -> Any:
        """Calibrated probabilities of rows, in their order.

        A table of pandas, polars or Arrow is answered by one of the same kind, with the columns
        ``probability`` and ``alert`` (and ``reason_1``, ``contribution_1``, ...), pandas' with the
        same index; it may have any number of rows. Rows as mappings, or as a CSV or Parquet file,
        are answered by a dictionary of ``predictions`` and a ``report``.

        With `reasons`, so many columns of each row that moved its score furthest. A model of
        several tables takes rows as mappings or as a table, and beside them `tables`: by name,
        rows as mappings, a table, or ``{"log": text}`` for the lines of a raw log; `now` is the
        cut-off where the spec has one for all rows.

        Warns
        -----
        PredictionWarning
            Of a table, whose answer has no report: its rows have drifted, or the model was trained
            with other tables that did not come.
        """
        path = path_of("models", model, "predict")
        params = given(version=version) | ({"reasons": reasons} if reasons else {})
        if is_frame(rows) and tables is None and now is None:
            bodies = (
                answer
                for block in blocks(rows, BLOCK_ROWS)
                for answer in self._predicted(path, block, params)
            )
            return joined(list(bodies), like=rows)
        if is_frame(rows):
            body = _body(to_rows(rows), tables, now)
            answer = self._again("POST", path, params=params, json=body)
            _warn(answer["report"])
            return from_rows([_flat(one) for one in answer["predictions"]], like=rows)
        if isinstance(rows, str | Path):
            kind = content_type or CONTENT_TYPES.get(Path(rows).suffix, CSV)
            content = Path(rows).read_bytes()
        elif isinstance(rows, bytes) or hasattr(rows, "read"):
            kind = content_type or CSV
            content = rows if isinstance(rows, bytes) else rows.read()
        else:
            return self._again("POST", path, params=params, json=_body(rows, tables, now))
        headers = {"Content-Type": kind}
        return self._again("POST", path, params=params, data=content, headers=headers)

    def predict_file(
        self,
        model: str,
        rows: bytes,
        *,
        content_type: str,
        accept: str = CSV,
        version: int | None = None,
        reasons: int = 0,
    ) -> tuple[bytes, Json]:
        """Predictions of one file of rows as the bytes of another, and the report on the rows."""
        params = given(version=version) | ({"reasons": reasons} if reasons else {})
        headers = {"Content-Type": content_type, "Accept": accept}
        path = path_of("models", model, "predict")
        with self._request("POST", path, params=params, data=rows, headers=headers) as answer:
            return answer.content, json.loads(answer.headers.get("Prediction-Report", "{}"))

    def _predicted(self, path: str, block: Any, params: Json) -> Iterator[bytes]:
        """Parquet files of predictions; of a block that is too large, those of its halves."""
        headers = {"Content-Type": PARQUET, "Accept": PARQUET}
        body = to_parquet(block)
        try:
            with self._request("POST", path, params=params, data=body, headers=headers) as answer:
                content, report = answer.content, answer.headers.get("Prediction-Report", "{}")
        except ServiceError as error:
            n_rows = n_rows_of(block)
            if error.status != TOO_LARGE or n_rows < 2:
                raise
            for half in blocks(block, -(-n_rows // 2)):
                yield from self._predicted(path, half, params)
            return
        _warn(json.loads(report))
        yield content


def _body(rows: Any, tables: Mapping[str, Any] | None, now: str | None) -> Json:
    body: Json = {"rows": list(rows)}
    if tables is not None:
        body["tables"] = {name: _around(one) for name, one in tables.items()}
    return body | given(now=now)


def _around(table: Any) -> Any:
    if is_frame(table):
        return to_rows(table)
    return table if isinstance(table, Mapping) else list(table)


def _flat(prediction: Json) -> Json:
    """A prediction as the row of a table, as the service writes it in CSV and Parquet."""
    flat = {name: value for name, value in prediction.items() if name != "reasons"}
    for number, reason in enumerate(prediction.get("reasons") or (), start=1):
        flat[f"reason_{number}"] = reason["column"]
        flat[f"contribution_{number}"] = reason["contribution"]
    return flat


def absent_tables(report: Mapping[str, Any]) -> str | None:
    """What it means that a model's tables did not come with the rows; None where all came.

    >>> absent_tables({"tables": {"balances": {"rows": 0, "missing": "no rows came"}}})[:27]
    "no rows of 'balances' came:"
    """
    tables: Mapping[str, Mapping[str, Any]] = report.get("tables") or {}
    absent = [name for name, one in tables.items() if "missing" in one]
    if not absent:
        return None
    return (
        f"no rows of {some(absent)} came: these predictions are as if nothing had happened there, "
        "and not as good as the model's card says"
    )


def some(names: Collection[str]) -> str:
    """The first of some names, and how many more.

    >>> some("abcdefg")
    "'a', 'b', 'c', 'd', 'e' and 2 more"
    """
    first, more = list(names)[:5], len(names) - 5
    return ", ".join(map(repr, first)) + (f" and {more} more" if more > 0 else "")


def _warn(report: Mapping[str, Any]) -> None:
    told = []
    absent = absent_tables(report)
    if absent is not None:
        told.append(f"{absent}; give them as tables=")
    if report.get("drift"):
        odd = [*report.get("out_of_range", ()), *report.get("unseen_categories", ())]
        told.append(f"the rows look different from those the model was trained on: {some(odd)}")
    for text in told:
        warnings.warn(text, PredictionWarning, stacklevel=4)
