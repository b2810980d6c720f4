"""Columns that tell the likeliest target outright are said in the profile, before any job."""

from __future__ import annotations

import random
from typing import Any

import pytest

from automl.data import roles
from tests.automl.data.reading import read

N = 2_000


def profile_of(*, told: bool = True, n_positive: int = 100, **odd: Any) -> dict[str, Any]:
    """Profile of a table with a rare `fraud`, a column that tells it, and others that do not."""
    chance = random.Random(0)
    lines = ["amount,refund.days,town,fraud"]
    for number in range(N):
        fraud = int(number < n_positive)
        days = 30 * fraud + chance.random() if told else chance.random()
        amount = chance.gauss(50 + 20 * fraud, 30)
        lines.append(f"{amount:.2f},{days:.3f},{chance.choice(['Lyon', 'Metz'])},{fraud}")
    chance.shuffle(body := lines[1:])
    return read("\n".join([lines[0], *body]) + "\n", **odd)[0]


def leaks(profile: dict[str, Any]) -> dict[str, list[str]]:
    """Roles that name a leak, by column."""
    return {
        column["name"]: [role for role in column["roles"] if role.startswith("leaks:")]
        for column in profile["columns"]
    }


def test_a_column_that_tells_the_target_is_named_with_the_reason() -> None:
    profile = profile_of()
    assert profile["target_candidates"][0]["name"] == "fraud"
    assert leaks(profile) == {
        "amount": [],
        "refund.days": ["leaks:fraud"],
        "town": [],
        "fraud": [],
    }
    assert "AUC of 1.0000" in profile["columns"][1]["why"]
    warned = [one["column"] for one in profile["warnings"] if one["code"] == "leakage_suspected"]
    assert warned == ["refund.days"]


@pytest.mark.parametrize(
    "options", [{"told": False}, {"n_positive": 19}], ids=["an honest table", "by chance"]
)
def test_otherwise_nothing_is_said(options: dict[str, Any]) -> None:
    profile = profile_of(**options)
    assert not any(leaks(profile).values())
    assert "leakage_suspected" not in [one["code"] for one in profile["warnings"]]


def test_few_rows_are_looked_at_where_rows_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def spy(target: str, *, n_rows: int, **more: Any) -> list[Any]:
        looked.append(n_rows)
        return []

    monkeypatch.setattr(roles, "leaks_to", spy)
    monkeypatch.setattr(roles, "LEAK_BYTES", 10_000)
    profile_of()
    assert 1 <= looked[0] < 300
