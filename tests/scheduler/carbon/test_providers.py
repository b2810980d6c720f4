"""What only one provider does: tokens, plans that are not paid for, plants, periods, plain XML."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.carbon.eco2mix import Eco2mix
from scheduler.carbon.electricity_maps import ElectricityMaps
from scheduler.carbon.entsoe import EntsoE
from scheduler.carbon.neso import Neso
from scheduler.carbon.transport import Call
from scheduler.carbon.watttime import WattTime
from scheduler.carbon.xml_document import parsed
from scheduler.errors import ForecastUnavailable

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Web:
    """Answers in the place of HTTP, from one function of path and parameters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any]) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []

        def get(_: Call, path: str, params=None, *, headers=None, login=None) -> Any:
            self.asked.append((path, dict(params or {}), dict(headers or {})))
            found = answer(path, **(params or {}))
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(Call, "json", get)
        monkeypatch.setattr(Call, "body", get)


def refused() -> ForecastUnavailable:
    return ForecastUnavailable("answered with status 401", code="refused")


# WattTime


def watttime_answer(path: str, **params: str) -> Any:
    if path == "/login":
        return {"token": "t"}
    return {
        "data": [{"point_time": (NOON - HOUR).isoformat(), "value": 1000}],
        "meta": {
            "region": params["region"],
            "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh",
            "data_point_period_seconds": 300,
        },
    }


def test_pounds_per_megawatt_hour_become_grams(monkeypatch: pytest.MonkeyPatch) -> None:
    Web(monkeypatch, watttime_answer)
    series = WattTime(user="u", password="p").history("GB", NOON - HOUR, NOON, now=NOON)
    (reading,) = series.readings
    assert reading.grams_per_kwh == pytest.approx(453.59237)
    assert reading.end - reading.start == timedelta(minutes=5)
    assert (series.signal, series.factor_type) == ("marginal", "direct")


def test_a_token_is_used_for_half_an_hour_and_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"token": "t"}

    def answer(path: str, **params: str) -> Any:
        if path != "/login" and web.asked[-1][2]["Authorization"] != f"Bearer {good['token']}":
            return refused()
        return good.copy() if path == "/login" else watttime_answer(path, **params)

    web = Web(monkeypatch, answer)
    source = WattTime(user="u", password="p")

    def logins(now: datetime) -> int:
        before = len([1 for path, _, _ in web.asked if path == "/login"])
        source.history("US-CAL-CISO", NOON - HOUR, NOON, now=now)
        return len([1 for path, _, _ in web.asked if path == "/login"]) - before

    assert logins(NOON) == 1
    assert logins(NOON + HOUR / 3) == 0
    assert logins(NOON + HOUR) == 1
    assert logins(NOON) == 1  # the clock was set back
    good["token"] = "another"  # the provider forgot ours
    assert logins(NOON) == 1
    assert web.asked[-1][1]["region"] == "CAISO_NORTH"


def test_a_wrong_password_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web(monkeypatch, lambda path, **_: refused())
    with pytest.raises(ForecastUnavailable) as error:
        WattTime(user="u", password="p").latest("GB", now=NOON)
    assert error.value.code == "refused"
    assert len(web.asked) == 1


@pytest.mark.parametrize("token", ["a\r\nX: y", "é", 5, None])
def test_a_token_that_is_no_header_is_refused(token: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Web(monkeypatch, lambda path, **_: {"token": token})
    with pytest.raises(ForecastUnavailable):
        WattTime(user="u", password="p").latest("GB", now=NOON)


@pytest.mark.parametrize("name", ["region", "signal_type", "units"])
def test_watttime_of_something_else_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(path: str, **params: str) -> Any:
        found = watttime_answer(path, **params)
        if path != "/login":
            found["meta"][name] = "other"
        return found

    Web(monkeypatch, answer)
    with pytest.raises(ForecastUnavailable, match=name):
        WattTime(user="u", password="p").history("GB", NOON - HOUR, NOON, now=NOON)


# Electricity Maps


def em_row(at: datetime, **more: Any) -> dict[str, Any]:
    return {"datetime": at.isoformat(), "carbonIntensity": 50, "isEstimated": True, **more}


def test_a_free_account_has_its_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(path: str, **params: str) -> Any:
        if not path.endswith("/history"):
            return refused()
        return {"zone": "FR", "history": [em_row(NOON - i * HOUR) for i in range(1, 25)]}

    web = Web(monkeypatch, answer)
    source = ElectricityMaps(key="k")
    series = source.history("FR", NOON - 72 * HOUR, NOON, now=NOON)
    assert (series.start, series.end) == (NOON - 24 * HOUR, NOON)
    assert all(one.is_estimated for one in series.readings)
    assert all(headers == {"auth-token": "k"} for _, _, headers in web.asked)
    assert {params["shouldUseFallbackCallerLookup"] for _, params, _ in web.asked} == {"false"}
    for ask in (
        lambda: source.forecast("FR", NOON, NOON + HOUR, now=NOON),
        lambda: source.history("FR", NOON - 72 * HOUR, NOON - 48 * HOUR, now=NOON),
    ):
        with pytest.raises(ForecastUnavailable) as error:
            ask()
        assert error.value.code == "refused"


@pytest.mark.parametrize(
    "answer",
    [
        {"zone": "ES", "history": [em_row(NOON - HOUR)]},
        {"history": [em_row(NOON - HOUR)]},
        {"zone": "FR", "history": [em_row(NOON - HOUR, zone="ES")]},
        {"zone": "FR", "history": [em_row(NOON - HOUR, emissionFactorType="direct")]},
        {"zone": None, "history": [em_row(NOON - HOUR)]},
        {"zone": "FR", "history": "none"},
        {"zone": "FR"},
        [],
    ],
)
def test_another_zone_or_other_factors_are_refused(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown zone falls back to the caller's address there; not here."""
    Web(monkeypatch, lambda path, **_: answer)
    with pytest.raises(ForecastUnavailable) as error:
        ElectricityMaps(key="k").latest("FR", now=NOON)
    assert error.value.code == "bad_answer"


def test_direct_factors_are_asked_for_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    row = em_row(NOON - HOUR, emissionFactorType="direct")
    web = Web(monkeypatch, lambda path, **_: {"zone": "FR", "history": [row]})
    series = ElectricityMaps(key="k", factor_type="direct").latest("FR", now=NOON)
    assert series.factor_type == "direct"
    assert "direct" in series.source
    assert web.asked[0][1]["emissionFactorType"] == "direct"


# NESO


def neso_row(at: datetime, actual: int | None, forecast: int | None = 100) -> dict[str, Any]:
    intensity = {"forecast": forecast, "actual": actual, "index": "low"}
    return {"from": f"{at:%Y-%m-%dT%H:%MZ}", "to": f"{at + HOUR / 2:%Y-%m-%dT%H:%MZ}",
            "intensity": intensity}  # fmt: skip


def test_nesos_own_estimate_stands_in_for_two_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [neso_row(NOON - i * HOUR / 2, 50 if i > 8 else None) for i in range(1, 17)]
    Web(monkeypatch, lambda path, **_: {"data": rows})
    series = Neso().history("GB", NOON - 8 * HOUR, NOON, now=NOON)
    assert [one.is_estimated for one in series.readings] == [False] * 8 + [True] * 4
    assert series.end == NOON - 2 * HOUR


@pytest.mark.parametrize(
    "rows",
    [
        [neso_row(NOON - HOUR, None)],
        [{**neso_row(NOON - HOUR, 5), "to": NOON.isoformat(), "from": NOON.isoformat()}],
        [{**neso_row(NOON - HOUR, 5), "to": (NOON + 5 * HOUR).isoformat()}],
        [neso_row(NOON - HOUR, 5), neso_row(NOON - HOUR + timedelta(minutes=10), 5)],
    ],
)
def test_neso_without_actuals_or_with_overlaps(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Web(monkeypatch, lambda path, **_: {"data": rows})
    with pytest.raises(ForecastUnavailable):
        Neso().latest("GB", now=NOON)


# eCO2mix


def test_quarters_without_a_value_leave_half_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """RTE filled every other quarter of an hour for years."""
    quarters = [NOON - 2 * HOUR + index * HOUR / 4 for index in range(8)]
    rows = [
        {"date_heure": at.isoformat(), "taux_co2": None if at.minute % 30 else 20}
        for at in quarters
    ]
    web = Web(monkeypatch, lambda path, **_: rows)
    series = Eco2mix().history("FR", NOON - 2 * HOUR, NOON, now=NOON)
    assert series.covered(NOON - 2 * HOUR, NOON) == 1
    assert "taux_co2 is not null" in web.asked[0][1]["where"]


# ENTSO-E


def document(*series: str, root: str = "GL_MarketDocument") -> bytes:
    return f'<?xml version="1.0"?><{root} xmlns="urn:x">{"".join(series)}</{root}>'.encode()


def generation(
    kind: str, points: dict[int, float], *, hours: int = 4, step: str = "PT60M", unit: str = "MAW",
    area: str = "10YFR-RTE------C",
) -> str:  # fmt: skip
    listed = "".join(
        f"<Point><position>{at}</position><quantity>{mw}</quantity></Point>"
        for at, mw in points.items()
    )
    start = NOON - 4 * HOUR
    return (
        f"<TimeSeries><inBiddingZone_Domain.mRID>{area}</inBiddingZone_Domain.mRID>"
        f"<quantity_Measure_Unit.name>{unit}</quantity_Measure_Unit.name>"
        f"<MktPSRType><psrType>{kind}</psrType></MktPSRType><Period><timeInterval>"
        f"<start>{start:%Y-%m-%dT%H:%MZ}</start><end>{start + hours * HOUR:%Y-%m-%dT%H:%MZ}</end>"
        f"</timeInterval><resolution>{step}</resolution>{listed}</Period></TimeSeries>"
    )


def mix(monkeypatch: pytest.MonkeyPatch, *bodies: bytes) -> list[tuple[float, float]]:
    """Hours before noon and g/kWh."""
    queue = list(bodies)
    Web(monkeypatch, lambda path, **_: queue.pop(0))
    series = EntsoE(key="k").history("FR", NOON - 4 * HOUR, NOON, now=NOON)
    return [((NOON - one.start) / HOUR, round(one.grams_per_kwh, 6)) for one in series.readings]


def test_a_mix_is_weighted_by_its_megawatts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mix(
        monkeypatch,
        document(
            generation("B14", {1: 300, 2: 300, 3: 100, 4: 0}),
            generation("B04", {1: 100, 2: 0, 3: 100, 4: 50}),
        ),
    )
    assert found == [(4, (300 * 12 + 100 * 490) / 400), (3, 12), (2, 251), (1, 490)]


def test_points_that_are_left_out_repeat_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mix(
        monkeypatch, document(generation("B14", {1: 100}), generation("B05", {1: 100, 3: 300}))
    )
    assert found == [(4, 416), (3, 416), (2, 618), (1, 618)]


def test_hours_in_which_a_plant_is_not_reported_yet_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mix(
        monkeypatch,
        document(
            generation("B14", {1: 100, 2: 100, 3: 100, 4: 100}),
            generation("B05", {1: 100, 2: 100, 3: 100}, hours=3),
        ),
    )
    assert [hour for hour, _ in found] == [4, 3, 2]


def test_quarters_and_hours_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mix(
        monkeypatch,
        document(
            generation("B14", {1: 100}),
            generation("B16", dict.fromkeys(range(1, 17), 100.0), step="PT15M"),
        ),
    )
    assert len(found) == 16
    assert {grams for _, grams in found} == {30}


def test_storage_and_the_unknown_count_as_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mix(
        monkeypatch,
        document(*(generation(kind, {1: 100}) for kind in ("B14", "B10", "B20", "B25", "B15"))),
    )
    assert {grams for _, grams in found} == {12}


@pytest.mark.parametrize(
    "body",
    [
        document(generation("B14", {1: 1}, area="10YES-REE------0")),
        document(generation("B14", {1: 1}, unit="KWT")),
        document(generation("B99", {1: 1})),
        document(generation("B14", {1: -1})),
        document(generation("B14", {1: float("nan")})),
        document(generation("B14", {1: 1e9})),
        document(generation("B14", {0: 1})),
        document(generation("B14", {10**9: 1})),
        document(generation("B14", {1: 1}, step="P1Y")),
        document(generation("B14", {1: 1}, hours=-1)),
        document(generation("B14", {1: 1}, hours=10**5)),
        document(generation("B14", {1: 0})),  # nothing runs
        document(),
        document(root="Publication_MarketDocument"),
        document("<Reason><code>999</code></Reason>", root="Acknowledgement_MarketDocument"),
        b"", b"<", b"\xff\xfe", b"<a>" * 100, b"<html><body>Maintenance</body></html>",
    ],
)  # fmt: skip
def test_other_documents_are_one_error(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ForecastUnavailable):
        mix(monkeypatch, body)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd">',
        "<!DOCTYPE a>",
    ],
)
def test_a_document_type_is_refused(doctype: str) -> None:
    with pytest.raises(ForecastUnavailable, match="document type"):
        parsed(f'<?xml version="1.0"?>{doctype}<a>&b;</a>'.encode())


def test_deep_xml_is_refused() -> None:
    assert parsed(b"<a>" * 30 + b"</a>" * 30).tag == "a"
    with pytest.raises(ForecastUnavailable, match="deep"):
        parsed(b"<a>" * 100_000)
