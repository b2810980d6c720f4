"""ENTSO-E's Transparency Platform: generation per kind of plant, weighted by its emissions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from scheduler.carbon.fuels import LEFT_OUT, LIFECYCLE_GRAMS
from scheduler.carbon.readings import bad_answer, instant
from scheduler.carbon.series import FactorType, Reading
from scheduler.carbon.transport import MAX_BYTES, TIMEOUT_SECONDS, Call
from scheduler.carbon.web_source import WebSource
from scheduler.carbon.xml_document import child_text, children, parsed
from scheduler.errors import ForecastUnavailable

# Energy Identification Codes of control areas and countries, from the platform's guide.
_AREAS = {
    "AT": "10YAT-APG------L",
    "BA": "10YBA-JPCC-----D",
    "BE": "10YBE----------2",
    "BG": "10YCA-BULGARIA-R",
    "CH": "10YCH-SWISSGRIDZ",
    "CY": "10YCY-1001A0003J",
    "CZ": "10YCZ-CEPS-----N",
    "DE": "10Y1001A1001A83F",
    "DK": "10Y1001A1001A65H",
    "EE": "10Y1001A1001A39I",
    "ES": "10YES-REE------0",
    "FI": "10YFI-1--------U",
    "FR": "10YFR-RTE------C",
    "GE": "10Y1001A1001B012",
    "GR": "10YGR-HTSO-----Y",
    "HR": "10YHR-HEP------M",
    "HU": "10YHU-MAVIR----U",
    "IE": "10YIE-1001A00010",
    "IT": "10YIT-GRTN-----B",
    "LT": "10YLT-1001A0008Q",
    "LU": "10YLU-CEGEDEL-NQ",
    "LV": "10YLV-1001A00074",
    "MD": "10Y1001A1001A990",
    "ME": "10YCS-CG-TSO---S",
    "MK": "10YMK-MEPSO----8",
    "NL": "10YNL----------L",
    "NO": "10YNO-0--------C",
    "PL": "10YPL-AREA-----S",
    "PT": "10YPT-REN------W",
    "RO": "10YRO-TEL------P",
    "RS": "10YCS-SERBIATSOV",
    "SE": "10YSE-1--------K",
    "SI": "10YSI-ELES-----O",
    "SK": "10YSK-SEPS-----K",
}
_STEPS = {
    "PT15M": timedelta(minutes=15),
    "PT30M": timedelta(minutes=30),
    "PT60M": timedelta(hours=1),
    "PT1H": timedelta(hours=1),
}
_SLOT = timedelta(minutes=15)
_MOST_DAYS = timedelta(days=10)  # so that a body stays below the limit of bytes
_MOST_SLOTS = 60 * 96


class EntsoE(WebSource):
    """Production in European countries, by life-cycle factors of ours; imports are not in it.

    Parameters
    ----------
    key : str
        The security token of the user's account.
    """

    name = "ENTSO-E generation by IPCC 2014 life-cycle factors"
    factor_type: FactorType = "lifecycle"
    address = "https://web-api.tp.entsoe.eu"

    def __init__(
        self,
        *,
        key: str,
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(base_url=base_url, timeout=timeout, max_bytes=max_bytes)
        self._key = key

    def _zone(self, zone: str) -> str:
        if zone not in _AREAS:
            raise self._unsupported(zone)
        return _AREAS[zone]

    def _history(
        self, call: Call, zone: str, start: datetime, end: datetime, now: datetime
    ) -> tuple[Reading, ...]:
        generation = _Generation()
        while start < end:
            upto = min(start + _MOST_DAYS, end)
            params = {
                "documentType": "A75",  # actual generation per type
                "processType": "A16",  # realised
                "in_Domain": self._zone(zone),
                "periodStart": f"{start:%Y%m%d%H%M}",
                "periodEnd": f"{upto:%Y%m%d%H%M}",
                "securityToken": self._key,
            }
            generation.add(call.body("/api", params), area=self._zone(zone))
            start = upto
        return generation.readings()


@dataclass(kw_only=True)
class _Generation:
    """Megawatts by quarter of an hour and kind of plant, as documents add them up."""

    megawatts: dict[datetime, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    step: timedelta = timedelta(hours=1)  # the finest that any kind of plant is given in

    def add(self, body: bytes, *, area: str) -> None:
        """Read one GL_MarketDocument; one that only acknowledges says there is nothing."""
        root = parsed(body)
        if root.tag == "Acknowledgement_MarketDocument":
            raise ForecastUnavailable("it has no generation of this time", code="no_readings")
        if root.tag != "GL_MarketDocument":
            raise bad_answer("it is no GL_MarketDocument")
        for series in children(root, "TimeSeries"):
            if child_text(series, "outBiddingZone_Domain.mRID") is not None:
                continue  # what pumps and plants themselves used
            if child_text(series, "inBiddingZone_Domain.mRID") != area:
                raise bad_answer("it is of another area than was asked for, or of none")
            if child_text(series, "quantity_Measure_Unit.name") != "MAW":
                raise bad_answer("its unit is not MAW")
            plants = next(children(series, "MktPSRType"), None)
            kind = None if plants is None else child_text(plants, "psrType")
            if kind is None or (kind not in LIFECYCLE_GRAMS and kind not in LEFT_OUT):
                raise bad_answer("a kind of plant is not known")
            for period in children(series, "Period"):
                self._add_period(period, kind)

    def _add_period(self, period: Element, kind: str) -> None:
        interval = next(children(period, "timeInterval"), None)
        if interval is None:
            raise bad_answer("a period has no interval")
        start = instant(child_text(interval, "start"))
        end = instant(child_text(interval, "end"))
        step = _STEPS.get(child_text(period, "resolution") or "")
        if step is None or not timedelta(0) < end - start <= _MOST_SLOTS * _SLOT:
            raise bad_answer("a period has no known resolution or no sensible length")
        self.step = min(self.step, step)
        points = sorted(_points(period))
        # Curve type A03 leaves out points that repeat the one before.
        for index, (position, megawatts) in enumerate(points):
            slot = start + (position - 1) * step
            last = index + 1 == len(points)
            upto = end if last else min(start + (points[index + 1][0] - 1) * step, end)
            while slot < upto:
                self.megawatts[slot][kind] = megawatts
                slot += _SLOT

    def readings(self) -> tuple[Reading, ...]:
        """Mean emissions of the plants at work, for each step in which all of them are known."""
        seen: dict[str, int] = defaultdict(int)
        for kinds in self.megawatts.values():
            for kind in kinds:
                seen[kind] += 1
        # Kinds of plant come with different delays: a mix with half of them missing is another mix.
        usual = {kind for kind, count in seen.items() if 2 * count > len(self.megawatts)}
        grams: dict[datetime, list[tuple[float, float]]] = defaultdict(list)
        for slot, kinds in self.megawatts.items():
            if not usual <= kinds.keys():
                continue
            counted = {kind: mw for kind, mw in kinds.items() if kind in LIFECYCLE_GRAMS}
            total = sum(counted.values())
            if total > 0:
                mass = sum(mw * LIFECYCLE_GRAMS[kind] for kind, mw in counted.items())
                grams[_begin(slot, self.step)].append((mass, total))
        return tuple(
            Reading(
                start=start,
                end=start + self.step,
                grams_per_kwh=sum(mass for mass, _ in parts) / sum(total for _, total in parts),
            )
            for start, parts in sorted(grams.items())
            if len(parts) * _SLOT == self.step
        )


def _points(period: Element) -> Iterator[tuple[int, float]]:
    for point in children(period, "Point"):
        position, quantity = child_text(point, "position"), child_text(point, "quantity")
        try:
            found = int(position or ""), float(quantity or "")
        except ValueError:
            raise bad_answer("a point has no position or no quantity") from None
        # 1 TW is more than all of Europe; NaN fails both comparisons.
        if not 1 <= found[0] <= _MOST_SLOTS or not 0 <= found[1] <= 1e6:
            raise bad_answer("a position or a quantity is out of range")
        yield found


def _begin(at: datetime, step: timedelta) -> datetime:
    minutes = int(step.total_seconds() // 60)
    return (
        at.replace(minute=at.minute // minutes * minutes) if minutes < 60 else at.replace(minute=0)
    )
