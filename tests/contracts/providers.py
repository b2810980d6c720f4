"""Providers of intensities on a local server: their documented shapes, and how they go wrong."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import cos, pi
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scheduler.carbon.eco2mix import Eco2mix
from scheduler.carbon.electricity_maps import ElectricityMaps
from scheduler.carbon.energy_charts import EnergyCharts
from scheduler.carbon.entsoe import EntsoE
from scheduler.carbon.fuels import LIFECYCLE_GRAMS
from scheduler.carbon.neso import Neso
from scheduler.carbon.series import IntensitySource
from scheduler.carbon.watttime import WattTime

KEY = "CANARY-of-a-key"
HOUR = timedelta(hours=1)
POUND = 0.45359237
# In data: what a value or a time is turned into. Of these, "repeated" is no fault: an hour that
# was first published wrong comes twice.
DATA_FAULTS = ("nan", "negative", "past", "x1000", "no_rows", "types", "no_members")
TRANSPORT_FAULTS = (
    "down", "slow", "drip", "429", "500", "html", "10_mb", "truncated", "redirect", "deep", "gzip",
)  # fmt: skip
ZONE_FAULTS = ("wrong_zone",)


def truth(at: datetime) -> float:
    """What the intensity is, in g/kWh: a day's wave, whole numbers, lowest at 13:00 UTC."""
    return round(200 + 100 * cos((at.hour - 1 + at.minute / 60) / 12 * pi))


def expectation(at: datetime) -> float:
    """What providers forecast: a little more than comes true."""
    return truth(at) + 7


@dataclass
class World:
    """The time it is, and what is wrong now."""

    now: datetime
    fault: str = ""
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def rows(
        self, start: datetime, end: datetime, value: Callable[[datetime], float], *, minutes: int
    ) -> list[tuple[datetime, Any]]:
        step = timedelta(minutes=minutes)
        start = start.replace(minute=start.minute // minutes * minutes, second=0, microsecond=0)
        count = max(0, -(-(end - start) // step))
        rows = [(at, value(at)) for at in (start + index * step for index in range(count))]
        match self.fault:
            case "nan":
                return [(at, float("nan")) for at, _ in rows]
            case "negative":
                return [(at, -one) for at, one in rows]
            case "past":
                return [(at - timedelta(days=40), one) for at, one in rows]
            case "x1000":
                return [(at, one * 1000) for at, one in rows]
            case "no_rows":
                return []
            case "types":
                return [(at, {"g": one}) for at, one in rows]
            case "repeated":
                return [row for at, one in rows for row in ((at, 1.0), (at, one))]
            case _:
                return rows


def iso(at: datetime) -> str:
    return at.isoformat()


def eco2mix(world: World, path: str, query: dict[str, str]) -> Any:
    """ODRE, Explore API v2.1, `exports/json`: an array of rows; the future is null."""
    dataset = path.split("/")[1]
    assert path == f"/{dataset}/exports/json", path
    assert query["select"] == "date_heure,taux_co2"
    texts = query["where"].split("date'")[1:]
    start, end = (datetime.fromisoformat(text.split("'")[0]) for text in texts)
    minutes = 15 if dataset == "eco2mix-national-tr" else 30
    rows = world.rows(start, min(end, world.now), truth, minutes=minutes)
    ahead = [(end - HOUR / 4, None)] if end > world.now else []
    return [{"date_heure": iso(at), "taux_co2": value} for at, value in rows + ahead]


def energy_charts(world: World, path: str, query: dict[str, str]) -> Any:
    """Energy-Charts `/co2eq`: three arrays; what is not known yet is null."""
    assert path == "/co2eq"
    assert query["country"] == "de"
    start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
    past = world.rows(start, min(end, world.now), truth, minutes=15)
    ahead = world.rows(max(start, world.now), end, expectation, minutes=15)
    return {
        "unix_seconds": [int(at.timestamp()) for at, _ in past + ahead],
        "co2eq": [value for _, value in past] + [None] * len(ahead),
        "co2eq_forecast": [None] * len(past) + [value for _, value in ahead],
        "deprecated": False,
    }


def neso(world: World, path: str, query: dict[str, str]) -> Any:
    """NESO `/intensity/{from}/{to}` and `/intensity/{from}/fw48h`: half hours."""
    _, name, begin, until = path.split("/")
    assert name == "intensity"
    start = datetime.fromisoformat(begin)
    end = start + 48 * HOUR if until == "fw48h" else datetime.fromisoformat(until)
    assert end - start <= timedelta(days=14)
    value = expectation if until == "fw48h" else truth
    return {
        "data": [
            {
                "from": f"{at:%Y-%m-%dT%H:%MZ}",
                "to": f"{at + HOUR / 2:%Y-%m-%dT%H:%MZ}",
                "intensity": {
                    "forecast": one,
                    "actual": one if at < world.now else None,
                    "index": "moderate",
                },
            }
            for at, one in world.rows(start, end, value, minutes=30)
        ]
    }


def electricity_maps(world: World, path: str, query: dict[str, str]) -> Any:
    """Electricity Maps v3: `history` is the last day, `past-range` any, `forecast` hours ahead."""
    assert query["shouldUseFallbackCallerLookup"] == "false"
    zone = "ES" if world.fault == "wrong_zone" else query["zone"]
    about = {"zone": zone, "temporalGranularity": "hourly"}
    common = {"emissionFactorType": query["emissionFactorType"], "updatedAt": iso(world.now)}
    what = path.removeprefix("/v3/carbon-intensity/")
    if what == "forecast":
        end = world.now + int(query["horizonHours"]) * HOUR
        rows = world.rows(world.now, end, expectation, minutes=60)
        forecast = [{"carbonIntensity": value, "datetime": iso(at)} for at, value in rows]
        return {**about, "forecast": forecast, "updatedAt": iso(world.now)}
    if what == "history":
        start, end = world.now - 24 * HOUR, world.now
    else:
        assert what == "past-range"
        start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        assert end - start <= timedelta(days=10)
    records = [
        {
            "zone": zone,
            "carbonIntensity": value,
            "datetime": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            **common,
            "isEstimated": at.hour == 3,
            "estimationMethod": None,
        }
        for at, value in world.rows(start, min(end, world.now), truth, minutes=60)
    ]
    return {**about, "history" if what == "history" else "data": records}


def watttime(world: World, path: str, query: dict[str, str]) -> Any:
    """WattTime v3: points every five minutes in pounds per megawatt-hour."""
    if path == "/login":
        return {"token": "eyJ.token"}
    start, end, value = world.now, world.now, truth
    if path == "/v3/historical":
        start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        end = min(end, world.now)
    else:
        assert path == "/v3/forecast"
        end += int(query["horizon_hours"]) * HOUR
        value = expectation
    region = "PJM_DC" if world.fault == "wrong_zone" else query["region"]
    points = world.rows(start, end, lambda at: value(at) / POUND, minutes=5)
    return {
        "data": [{"point_time": iso(at), "value": one} for at, one in points],
        "meta": {
            "data_point_period_seconds": 300,
            "region": region,
            "warnings": [],
            "signal_type": query["signal_type"],
            "units": "lbs_co2_per_mwh",
            "model": {"date": "2023-03-01"},
            "generated_at": iso(world.now),
        },
    }


def entsoe(world: World, path: str, query: dict[str, str]) -> str:
    """ENTSO-E A75: megawatts of lignite and nuclear whose mix has the true intensity."""
    assert path == "/api"
    assert (query["documentType"], query["processType"]) == ("A75", "A16")
    start, end = (
        datetime.strptime(query[name], "%Y%m%d%H%M").replace(tzinfo=UTC)
        for name in ("periodStart", "periodEnd")
    )
    end = min(end, world.now.replace(minute=0, second=0, microsecond=0))
    area = "10YES-REE------0" if world.fault == "wrong_zone" else query["in_Domain"]
    rows = world.rows(start, end, truth, minutes=60)
    if not rows:
        return (
            '<?xml version="1.0"?><Acknowledgement_MarketDocument xmlns="urn:a"><Reason>'
            "<code>999</code><text>No matching data found</text></Reason>"
            "</Acknowledgement_MarketDocument>"
        )
    coal, nuclear = LIFECYCLE_GRAMS["B02"], LIFECYCLE_GRAMS["B14"]

    def megawatts(kind: str, grams: Any) -> Any:
        if not isinstance(grams, (int, float)):
            return "many"
        if world.fault == "x1000":
            return 8e9
        if world.fault in ("nan", "negative"):
            return grams
        share = (grams - nuclear) / (coal - nuclear)
        return 10_000 * (share if kind == "B02" else 1 - share)

    def series(kind: str, domain: str, first: datetime, points: list[tuple[int, Any]]) -> str:
        listed = "".join(
            f"<Point><position>{at}</position><quantity>{mw}</quantity></Point>"
            for at, mw in points
        )
        stop = first + len(rows) * HOUR
        return (
            f"<TimeSeries><mRID>1</mRID><businessType>A01</businessType><{domain}.mRID"
            f' codingScheme="A01">{area}</{domain}.mRID>'
            "<quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name>"
            f"<curveType>A03</curveType><MktPSRType><psrType>{kind}</psrType></MktPSRType>"
            f"<Period><timeInterval><start>{first:%Y-%m-%dT%H:%MZ}</start>"
            f"<end>{stop:%Y-%m-%dT%H:%MZ}</end></timeInterval><resolution>PT60M</resolution>"
            f"{listed}</Period></TimeSeries>"
        )

    first = rows[0][0]
    every = [(int((at - first) / HOUR) + 1, value) for at, value in rows]
    body = "".join(
        series(
            kind, "inBiddingZone_Domain", first, [(at, megawatts(kind, one)) for at, one in every]
        )
        for kind in ("B02", "B14")
    )
    # Pumps: what they draw, and what they give back once; neither is in the mix.
    body += series("B10", "outBiddingZone_Domain", first, [(1, 500.0)])
    body += series("B10", "inBiddingZone_Domain", first, [(1, 900.0)])
    return (
        '<?xml version="1.0" encoding="UTF-8"?><GL_MarketDocument'
        ' xmlns="urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0">'
        f"<mRID>1</mRID><type>A75</type>{body}</GL_MarketDocument>"
    )


@dataclass(frozen=True)
class Provider:
    """A client, where it is asked for, and what answers it."""

    make: Callable[..., IntensitySource]
    respond: Callable[[World, str, dict[str, str]], Any]
    zone: str
    foreign: str  # a zone it has not
    forecasts: bool = True
    names_zone: bool = False  # whether its answers say of which zone they are
    ratio: bool = False  # whether it is a ratio, which a wrong unit does not change

    def __str__(self) -> str:
        return self.respond.__name__


PROVIDERS = [
    Provider(Eco2mix, eco2mix, "FR", "DE", forecasts=False),
    Provider(EnergyCharts, energy_charts, "DE", "US-CAL-CISO"),
    Provider(Neso, neso, "GB", "FR"),
    Provider(
        lambda **how: ElectricityMaps(key=KEY, **how),
        electricity_maps, "FR", "WORLD", names_zone=True,
    ),
    Provider(
        lambda **how: WattTime(user="me", password=KEY, **how),
        watttime, "US-CAL-CISO", "US-TEX-ERCO", names_zone=True,
    ),
    Provider(
        lambda **how: EntsoE(key=KEY, **how),
        entsoe, "DE", "US-CAL-CISO", forecasts=False, names_zone=True, ratio=True,
    ),
]  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    world: World
    respond: Callable[[World, str, dict[str, str]], Any]
    stopped: threading.Event

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        world, fault = self.world, self.world.fault
        world.requests.append((unquote(parts.path), query, dict(self.headers)))
        if fault == "down":  # for who cannot point the client elsewhere
            self.close_connection = True
            return
        content = type(self).respond(world, unquote(parts.path), query)
        text = content if isinstance(content, str) else json.dumps(content)
        status, headers = 200, {"Content-Type": "application/json"}
        body = text.encode()
        match fault:
            case "slow":
                self.stopped.wait(60)
            case "429":
                status, headers["Retry-After"], body = 429, "3600", b"{}"
            case "500":
                status, body = 500, b"<html>oh</html>"
            case "html":
                headers["Content-Type"], body = "text/html", b"<!DOCTYPE html><p>Maintenance"
            case "10_mb":
                body += b" " * 10 * 2**20  # all it should be, and too long
            case "truncated":
                body = body[: len(body) // 2]
            case "redirect":
                status, headers["Location"] = 302, f"/elsewhere{self.path}"
            case "deep":
                body = b"[" * 200_000
            case "gzip":
                headers["Content-Encoding"], body = "gzip", base64.b64decode("H4sIAAAAAAAAAwMA")
            case "no_members":
                body = b"{}"
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault == "drip":  # each byte starts a socket's time limit anew
                for byte in body:
                    if self.stopped.wait(0.05):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
            self.wfile.write(body)
        except OSError:
            pass  # the client has had enough


@contextmanager
def serving(provider: Provider, world: World) -> Iterator[str]:
    """The address at which the provider answers as the world says; "down" is not answered."""
    stopped = threading.Event()
    handler = type(
        "Handler",
        (_Handler,),
        {"world": world, "respond": staticmethod(provider.respond), "stopped": stopped},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> str:
    """The address of a port that nobody listens at."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        return f"http://127.0.0.1:{server.server_address[1]}"


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
