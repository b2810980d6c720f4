"""The carbon intensity that what is expected of a job is told at: of its own zone, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scheduler.carbon.typical import yearly_mean
from scheduler.carbon.zones import known_zone
from scheduler.records import Job

BILLED, PLANNED, YEARLY = "bill", "plan", "year"
IN_WORDS = {
    BILLED: "the mean that its bill was priced at",
    PLANNED: "the mean that its plan expects",
    YEARLY: "the mean of {year}",
}


@dataclass(frozen=True, kw_only=True)
class JobIntensity:
    """Grams of CO2e per kWh of a job, where they come from, and what mean they are.

    `basis` is ``bill`` (of the job's own work, as it was priced), ``plan`` (as forecast) or
    ``year`` (the zone's yearly mean: before there is a plan or a bill).
    """

    zone: str
    grams_per_kwh: float
    source: str
    factor_type: str
    basis: Literal["bill", "plan", "year"]
    year: int | None = None  # of the figures, where they are of one

    @property
    def text(self) -> str:
        """Zone, source, how it counts, and which mean it is, in a line."""
        mean = IN_WORDS[self.basis].format(year=self.year)
        return f"{self.zone}: {self.source} ({self.factor_type}); {mean}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "text": self.text}


def zone_asked(request: Mapping[str, Any], home: str) -> str:
    """The zone that a request names, or else the service's own.

    >>> zone_asked({"when": {"policy": "now", "zone": "fra"}}, "DE"), zone_asked({}, "DE")
    ('FR', 'DE')
    """
    return known_zone(str((request.get("when") or {}).get("zone") or home))


def zone_of(job: Job, home: str) -> str:
    """The zone that a job is planned and billed in; else the service's own, `home`."""
    planned = (job.plan or {}).get("zone")
    return known_zone(str(planned)) if planned else zone_asked(job.request, home)


def yearly(zone: str) -> JobIntensity:
    """The yearly mean of a zone, for what is not planned and not billed yet."""
    mean = yearly_mean(zone)
    return JobIntensity(
        zone=zone,
        grams_per_kwh=mean.grams_per_kwh,
        source=mean.source,
        factor_type=mean.factor_type,
        basis="year",
        year=mean.year,
    )


def job_intensity(job: Job, home: str) -> JobIntensity:
    """The intensity of a job: of its bill, else of its plan, else its zone's yearly mean.

    Parameters
    ----------
    home : the service's own zone
    """
    billed = (job.receipt or {}).get("intensity") or {}
    if billed.get("grams_per_kwh"):
        return JobIntensity(
            zone=str(billed["zone"]),
            grams_per_kwh=float(billed["grams_per_kwh"]),
            source=str(billed["source"]),
            factor_type=str(billed["factor_type"]),
            basis="bill",
        )
    plan = job.plan or {}
    if plan.get("grams_per_kwh") and plan.get("zone"):
        return JobIntensity(
            zone=str(plan["zone"]),
            grams_per_kwh=float(plan["grams_per_kwh"]),
            source=str(plan.get("source")),
            factor_type=str(plan.get("factor_type")),
            basis="plan",
        )
    return yearly(zone_of(job, home))
