"""What `FrugalClient` can ask about several tables together, and about whole data sets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.client_calls import Json, given, path_of
from api.client_datasets import DatasetCalls
from api.client_frames import is_frame


class TableCalls(DatasetCalls):
    """Data sets of several tables, and predictions for every row of a data set."""

    def assemble(
        self,
        spec: Mapping[str, Any],
        files: Mapping[str, Any] | None = None,
        *,
        name: str = "data",
        wait: bool = True,
    ) -> Json:
        """Upload the tables of a spec and put them together as one data set.

        Parameters
        ----------
        spec : mapping
            As the service describes it; the `reading` of a table are the options of its upload.
        files : mapping of table to path, or to a table of pandas, polars or Arrow
            Tables that are left out name a data set themselves, as their `source`.
        name : str
            Of the data set.
        wait : bool
            Return only when the data set is READY or INVALID. A table that is INVALID is returned
            itself.
        """
        tables = {one: dict(about) for one, about in spec["tables"].items()}
        for one, path in (files or {}).items():
            options = {key: _text(value) for key, value in tables[one].pop("reading", {}).items()}
            named = one if is_frame(path) else None
            uploaded = self.upload(path, name=named, options=options)
            if uploaded["state"] != "READY":
                return uploaded
            tables[one]["source"] = {"dataset": uploaded["id"]}
        body = {"name": name, "spec": {**spec, "tables": tables}}
        dataset = self._again("POST", "/v1/datasets", json=body)
        return self.wait_dataset(dataset["id"]) if wait else dataset

    def renew(
        self,
        dataset_id: str,
        *,
        sources: Mapping[str, Mapping[str, str]] | None = None,
        wait: bool = True,
    ) -> Json:
        """Put the next version of a data set of several tables together, from their newest rows.

        `sources` are other places of some tables, as in a spec. Where nothing has changed, it is
        the version that is there already.
        """
        url = path_of("datasets", dataset_id, "versions")
        dataset = self._again("POST", url, json={"sources": dict(sources or {})})
        return self.wait_dataset(dataset["id"]) if wait else dataset

    def predict_dataset(
        self,
        model: str,
        dataset: str,
        *,
        format: str = "parquet",
        version: int | None = None,
        wait: bool = True,
    ) -> Json:
        """Predict every row of a data set; `download_predictions` fetches the file."""
        params = given(version=version)
        path = path_of("models", model, "predictions")
        body = {"dataset": dataset, "format": format}
        begun = self._json("POST", path, params=params, json=body)
        while wait and begun["state"] == "RUNNING":
            time.sleep(0.2)
            begun = self.predictions(begun["id"])
        return begun

    def predictions(self, batch_id: str) -> Json:
        """Predictions of a whole data set: their state, and what came of them."""
        return self._json("GET", path_of("predictions", batch_id))

    def download_predictions(self, batch_id: str, destination: Path | str) -> Path:
        """Save the file of predictions that are DONE."""
        return self._save(path_of("predictions", batch_id, "content"), destination)


def _text(value: Any) -> str:
    """An option as the query of an upload has it."""
    return value if isinstance(value, str) else json.dumps(value)
