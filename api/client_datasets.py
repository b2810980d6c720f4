"""What `FrugalClient` can ask about data sets: hand over a table, read what was understood."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.client_calls import Json, path_of
from api.client_frames import is_frame, write_parquet
from api.client_uploads import PIECE_BYTES, Progress, UploadCalls

CONTENT_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".csv": "text/csv",
}
ANY_TYPE = "application/octet-stream"


class DatasetCalls(UploadCalls):
    """Data sets."""

    def upload(
        self,
        data: Any,
        *,
        name: str | None = None,
        options: Mapping[str, str] | None = None,
        wait: bool = True,
        upload_id: str | None = None,
        progress: Progress | None = None,
    ) -> Json:
        """Send a file or a table as a data set, and wait until it is read in.

        What is larger than 16 MiB goes in pieces, each sent again where the connection breaks.

        Parameters
        ----------
        data : path, or a table of pandas, polars or Arrow
            A file is CSV, Parquet, JSON Lines or a log, each also gzipped. A table goes as Parquet.
        name : str, optional
            Name of the data set; absent: the file's.
        options : mapping, optional
            How to read it, e.g. ``{"delimiter": ";", "decimal": ","}``; absent ones are guessed.
        wait : bool
            Return only when the data set is READY or INVALID.
        upload_id : str, optional
            Go on with an upload in pieces that broke off, as `UploadBroken` names it.
        progress : callable, optional
            Is told the bytes that are there, and how many there will be.

        Returns
        -------
        dict
            The data set: id, state, n_rows, bytes_in, bytes_stored, problem, ...
        """
        if is_frame(data):
            with tempfile.TemporaryDirectory(prefix="frugal-") as folder:
                path = Path(folder) / "data.parquet"
                write_parquet(data, path)
                dataset = self._sent(path, name or "data", options, upload_id, progress)
        else:
            path = Path(data)
            dataset = self._sent(path, name or path.name, options, upload_id, progress)
        return self.wait_dataset(dataset["id"]) if wait else dataset

    def _sent(
        self,
        path: Path,
        name: str,
        options: Mapping[str, str] | None,
        upload_id: str | None,
        progress: Progress | None,
    ) -> Json:
        size = path.stat().st_size
        if upload_id is not None or size > PIECE_BYTES:
            return self.upload_in_pieces(
                path, name=name, options=options, upload_id=upload_id, progress=progress
            )
        params = {"name": name, **(options or {})}
        headers = {"Content-Type": CONTENT_TYPES.get(path.suffix, ANY_TYPE)}
        # The same bytes with the same options are the same data set: sent twice, it is one.
        body = path.read_bytes()
        dataset = self._again("POST", "/v1/datasets", params=params, data=body, headers=headers)
        if progress is not None:
            progress(size, size)
        return dataset

    def datasets(self) -> list[Json]:
        """Every data set of the project, newest first."""
        return list(self._pages("/v1/datasets"))

    def dataset(self, dataset_id: str) -> Json:
        """One data set."""
        return self._json("GET", path_of("datasets", dataset_id))

    def append(self, dataset_id: str, data: Path | str, *, wait: bool = True) -> Json:
        """Append the rows of a file, as a new version of the data set."""
        path = Path(data)
        headers = {"Content-Type": CONTENT_TYPES.get(path.suffix, ANY_TYPE)}
        url = path_of("datasets", dataset_id, "versions")
        dataset = self._again("POST", url, data=path.read_bytes(), headers=headers)
        return self.wait_dataset(dataset["id"]) if wait else dataset

    def versions(self, dataset_id: str) -> list[Json]:
        """Every version of a data set that rows were appended to, the first one first."""
        found: list[Json] = self._json("GET", path_of("datasets", dataset_id, "versions"))["items"]
        return found

    def profile(self, dataset_id: str) -> Json:
        """What is in a data set, and what was guessed about it."""
        return self._json("GET", path_of("datasets", dataset_id, "profile"))

    def delete_dataset(self, dataset_id: str, *, force: bool = False) -> list[str]:
        """Delete a data set and the versions built on it; their ids.

        With `force` also while a job uses it, which is then cancelled.
        """
        params = {"force": str(force).lower()}
        answer = self._json("DELETE", path_of("datasets", dataset_id), params=params)
        return list(answer.get("deleted", [dataset_id]))

    def wait_dataset(self, dataset_id: str, *, poll_seconds: float = 0.2) -> Json:
        """The data set, once it is no longer INGESTING."""
        while (dataset := self.dataset(dataset_id))["state"] == "INGESTING":
            time.sleep(poll_seconds)
        return dataset
