"""No cell value appears in any error text, details or traceback of the reading."""

from __future__ import annotations

import json
import traceback

import pyarrow as pa
import pytest

from tests.automl.data.reading import parquet_bytes, refused, zipped

CANARY = "FR7630006000011234567890189"
FILES: dict[str, bytes | str] = {
    "ragged": f"a,b\n{CANARY},1\n{CANARY},2,3\n",
    "short": f"a,b\n{CANARY},1\n{CANARY}\n",
    "conflict": "a,b\n" + "1,2\n" * 1_200_000 + f"{CANARY},2\n",
    "declared": f"a,b\n1,{CANARY}\n",
    "quote": f'a,b\n1,"{CANARY}\n',
    "nul": f"a,b\n1,{CANARY}\0\n",
    "utf8": f"a,b\n1,{CANARY}".encode() + b"\xc3\xa9\xff\n",
    "one column": f"a\n{CANARY}\n",
    "header": f"a,b\n1,2,{CANARY}\n3,4,{CANARY}\n",
    "long": f"a,b\n1,{CANARY * 5_000}\n",
    "jsonl": '{"a": 1, "b": 2}\n' + f'{{"a": "{CANARY}}}\n',
    "jsonl mixed": '{"a": 1, "b": 2}\n' + f'{{"a": "{CANARY}", "b": 2}}\n',
    "jsonl nested": f'{{"a": ["{CANARY}"], "b": 2}}\n',
    "key": f"a,b\n{CANARY},1\n{CANARY},2\n",
    "parquet": parquet_bytes(pa.table({"a": [CANARY] * 10, "b": range(10)}))[:-9],
    "gzip": zipped(f"a,b\n1,{CANARY}\n" * 100)[:-20],
    "date": f"a,b\n1,2024-01-01\n2,2024-02-31 {CANARY}\n",
}
OPTIONS: dict[str, dict[str, object]] = {
    "declared": {"types": {"b": "number"}},
    "date": {"types": {"b": "timestamp"}},
    "key": {"key": "a"},
}


@pytest.mark.parametrize("name", FILES)
def test_errors_name_places_only(name: str) -> None:
    error = refused(FILES[name], **OPTIONS.get(name, {}))
    # what a log would show: causes that are suppressed are not part of it
    text = "".join(traceback.format_exception(error)) + json.dumps(error.details) + str(vars(error))
    assert CANARY not in text
    assert CANARY[:12] not in str(error)
