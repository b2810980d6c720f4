"""The settings and their table in the README are the same thing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.readme_demo import section, settings_table
from scheduler.config import Settings

ROOT = Path(__file__).resolve().parent.parent
TABLE = section((ROOT / "README.md").read_text(), "settings")


def rows() -> dict[str, tuple[str, str]]:
    """Variable -> (default, meaning) as the README has them."""
    cells = (re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in TABLE.splitlines()[2:])
    return {name.strip("`"): (default.strip("`"), meaning) for name, default, meaning in cells}


def test_the_table_is_the_one_that_the_settings_make() -> None:
    assert settings_table() == TABLE, "make generated"


def test_every_setting_is_there_with_its_description_and_no_other() -> None:
    described = {
        f"FRUGAL_{name.upper()}": field.description for name, field in Settings.model_fields.items()
    }
    assert {name: meaning for name, (_, meaning) in rows().items()} == described
    assert all(described.values())


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_default_of_the_table_is_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in Settings.model_fields:
        monkeypatch.delenv(f"FRUGAL_{other.upper()}", raising=False)
    expected = getattr(Settings(), name)
    default, _ = rows()[f"FRUGAL_{name.upper()}"]
    if default:
        monkeypatch.setenv(f"FRUGAL_{name.upper()}", default)
    assert getattr(Settings(), name) == expected
