"""Every setting by its variable; a bad one in one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.config import Settings
from scheduler.errors import InvalidSetting

OTHER: dict[str, tuple[str, Any]] = {
    "data_dir": ("/srv/frugal", Path("/srv/frugal")),
    "database_url": ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
    "artifacts_url": ("/srv/artifacts", "/srv/artifacts"),
    "host": ("0.0.0.0", "0.0.0.0"),
    "allowed_hosts": ("a.example, b.example,", ("a.example", "b.example")),
    "zone": ("FR", "FR"),
    "intensity": ("neso, replay:/srv/meters,", ("neso", "replay:/srv/meters")),
    "electricity_maps_key": ("em-key", "em-key"),
    "watttime_user": ("me", "me"),
    "watttime_password": ("wt-password", "wt-password"),
    "entsoe_key": ("entsoe-key", "entsoe-key"),
    "watts_per_core": ("3.5", 3.5),
    "knowledge": ("off", "off"),
    "webhook_hosts": ("hooks.example, 127.0.0.1:9000", ("hooks.example", "127.0.0.1:9000")),
    "s3_roots": ("s3://bank/a/, s3://bank", ("s3://bank/a", "s3://bank")),
    "feed_roots": ("/srv/a, /srv/b", (Path("/srv/a"), Path("/srv/b"))),
    "webhook_secret": ("signing", "signing"),
    "log_level": ("DEBUG", "DEBUG"),
    "job_nice": ("0", 0),
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the tests must not speak here."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FRUGAL_{name.upper()}", raising=False)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_comes_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(Settings.load(), name)
    text, value = OTHER.get(name, (None, None))
    if text is None:  # a number: twice the default is another one, and within every limit
        value = default * 2
        text = str(value)
    assert value != default
    monkeypatch.setenv(f"FRUGAL_{name.upper()}", text)
    assert getattr(Settings.load(), name) == value


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_means_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FRUGAL_{name.upper()}", "")
    assert Settings.load() == Settings()
    assert getattr(Settings.load(), name) == Settings.model_fields[name].default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "http"),
        ("s3_roots", "s3://"),
        ("s3_roots", "s3://me:secret@bank/a"),
        ("s3_roots", "s3://bank/../a"),
        ("s3_roots", "file:///srv"),
        ("port", "65536"),
        ("job_nice", "20"),
        ("job_processes", "0"),
        ("lease_seconds", "-1"),
        ("knowledge", "everything"),
        ("log_level", "LOUD"),
        ("watts_per_core", "0"),
        ("tick_seconds", "nan"),
        ("max_upload_bytes", "1e308"),
        ("idle_seconds", "inf"),
    ],
)
def test_a_bad_value_is_one_line_without_the_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FRUGAL_{name.upper()}", value)
    with pytest.raises(InvalidSetting) as error:
        Settings.load()
    message = str(error.value)
    assert message.startswith(f"FRUGAL_{name.upper()}: ")
    assert "\n" not in message
    assert error.value.code == "invalid_setting"


def test_every_bad_value_is_named_and_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUGAL_PORT", "CANARY")
    monkeypatch.setenv("FRUGAL_TICK_SECONDS", "CANARY")
    with pytest.raises(InvalidSetting) as error:
        Settings.load()
    assert "FRUGAL_PORT" in str(error.value)
    assert "FRUGAL_TICK_SECONDS" in str(error.value)
    assert "CANARY" not in str(error.value)


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUGAL_PORT", "9000")
    assert Settings.load(port=9001).port == 9001
    assert Settings.load(allowed_hosts=("a",)).allowed_hosts == ("a",)


def test_settings_are_frozen_and_hide_passwords_and_keys() -> None:
    settings = Settings(
        database_url="postgresql://u:CANARY@h/d",
        electricity_maps_key="CANARY",
        watttime_user="CANARY",
        watttime_password="CANARY",
        entsoe_key="CANARY",
    )
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    assert "CANARY" not in repr(settings)
    assert "CANARY" not in str(settings)


def test_urls_lie_in_the_data_folder_unless_given(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/frugal.db"
    assert settings.resolved_artifacts_url == f"{tmp_path}/artifacts"
    assert settings.intensity_dir == tmp_path / "intensity"
    given = Settings(database_url="postgresql://h/d", artifacts_url="file:///a")
    assert (given.resolved_database_url, given.resolved_artifacts_url) == (
        "postgresql://h/d",
        "file:///a",
    )


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
