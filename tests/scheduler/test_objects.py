"""Which objects a URI may name, and which of those below it are data."""

from __future__ import annotations

import pytest

from automl.errors import DataError
from scheduler.objects import allowed_uri, state_of_objects

ROOTS = ("s3://bank/data", "s3://whole-bucket")


@pytest.mark.parametrize(
    ("uri", "plain"),
    [
        ("s3://bank/data", "s3://bank/data"),
        ("s3://bank/data/", "s3://bank/data"),
        ("s3://bank/data/2024/1 of 2.parquet", "s3://bank/data/2024/1 of 2.parquet"),
        ("s3://bank/data/caf\u00e9=1/", "s3://bank/data/caf\u00e9=1"),
        ("s3://whole-bucket", "s3://whole-bucket"),
        ("s3://whole-bucket/x", "s3://whole-bucket/x"),
    ],
)
def test_what_lies_below_a_root(uri: str, plain: str) -> None:
    assert allowed_uri(uri, ROOTS, field="here") == plain


@pytest.mark.parametrize(
    "uri",
    [
        "s3://",
        "s3://bank",
        "s3://bank/database",
        "s3://bank/dat",
        "s3://bank/../bank/data",
        "s3://bank/data/../database",
        "s3://bank/data/./x",
        "s3://bank/data/..",
        "s3://bank/data//x",
        "s3://bank/data/%2e%2e/database",
        "s3://bank/data/%2E./database",
        "s3://bank/data/..%2fdatabase",
        "s3://bank/data/..\\database",
        "s3://bank/data%2f..",
        "s3://bank/data?versionId=1",
        "s3://bank/data#x",
        "s3://bank/data\0",
        "s3://bank/data/\n",
        "s3://me:secret@bank/data",
        "s3://bank:9000/data",
        "s3://BANK/data",
        "s3://whole-bucket.evil.example/x",
        "s3://whole-bucket-2",
        "s3://169.254.169.254/latest",
        "s3:/bank/data",
        "S3://bank/data",
    ],
)
@pytest.mark.parametrize("roots", [ROOTS, ()])
def test_nothing_else_is_named(uri: str, roots: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        allowed_uri(uri, roots, field="here")
    assert (caught.value.code, caught.value.details) == ("uri_not_allowed", {"field": "here"})
    assert "secret" not in str(caught.value)


def test_a_change_is_seen() -> None:
    one = {"uri": "s3://bank/data/1.parquet", "n_bytes": 5, "modified": 7}
    assert state_of_objects([one]) == state_of_objects([dict(one)])
    states = {
        state_of_objects([{**one, **change}])
        for change in ({}, {"n_bytes": 6}, {"modified": 8}, {"uri": "s3://bank/data/2.parquet"})
    }
    assert len(states | {state_of_objects([])}) == 5
