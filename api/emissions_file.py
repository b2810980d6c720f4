"""The emissions of a job in the format of codecarbon's emissions.csv, for tools that read it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from api.auth import produces
from api.context import now, parts, project_id
from automl.cost import JOULES_PER_KWH
from scheduler.records import Job
from scheduler.settlement import bill_so_far

emissions_file = APIBlueprint("emissions_file", __name__, url_prefix="/v1", tag="Carbon")

CSV = "text/csv"
# In codecarbon's order (3.3, output_methods.emissions_data.EmissionsData); what nobody measured
# here stays empty rather than 0.
COLUMNS = (
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions",
    "emissions_rate", "cpu_power", "gpu_power", "ram_power", "cpu_energy", "gpu_energy",
    "ram_energy", "energy_consumed", "water_consumed", "country_name", "country_iso_code",
    "region", "cloud_provider", "cloud_region", "os", "python_version", "codecarbon_version",
    "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude", "latitude", "ram_total_size",
    "tracking_mode", "cpu_utilization_percent", "gpu_utilization_percent",
    "ram_utilization_percent", "ram_used_gb", "on_cloud", "pue", "wue",
)  # fmt: skip


@emissions_file.get("/jobs/<job_id>/emissions")
@produces(CSV)
@emissions_file.doc(operation_id="getEmissionsFile", responses={200: "CSV"})
def show(job_id: str) -> Any:
    """Return the phases of a job as rows of codecarbon's emissions.csv.

    One row a phase: `run_id` is the job, `experiment_id` the phase. Units are codecarbon's:
    seconds, kilograms of CO2e, kilograms a second, watts, kWh.
    """
    job = parts().store.get_job(project_id(), job_id)
    bill: Mapping[str, Any] | None = job.receipt
    if bill is None:
        bill = bill_so_far(job, parts().store, zone=parts().settings.zone, now=now())
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for phase in bill.get("phases") or ():
        writer.writerow(row_of(phase, job=job, bill=bill))
    headers = {"Content-Disposition": f'attachment; filename="emissions-{job.id}.csv"'}
    return Response(text.getvalue(), mimetype=CSV, headers=headers)


def row_of(phase: Mapping[str, Any], *, job: Job, bill: Mapping[str, Any]) -> dict[str, Any]:
    """One phase as codecarbon writes a run.

    Where watts are a constant per core, what is above the processor's share is memory's; a counter
    of the processor is told whole as the processor's.
    """
    seconds, kwh = float(phase["wall_seconds"]), float(phase["kwh"])
    kilograms = float(phase["gco2e"]) / 1000
    watts = (bill.get("meter") or {}).get("watts_per_core")
    pue = float(bill.get("pue") or 1.0)
    cpu = kwh
    if watts is not None:
        cpu = min(kwh, float(watts) * float(phase["cpu_seconds"]) / JOULES_PER_KWH * pue)
    at = job.finished_at or job.started_at or job.submitted_at

    def power(energy: float) -> float | str:
        return 3.6e6 * energy / seconds if seconds > 0 else ""

    return {
        "timestamp": at.replace(tzinfo=None).isoformat(timespec="seconds"),
        "project_name": job.model_name,
        "run_id": job.id,
        "experiment_id": phase["name"],
        "duration": seconds,
        "emissions": kilograms,
        "emissions_rate": kilograms / seconds if seconds > 0 else "",
        "cpu_power": power(cpu),
        "ram_power": power(kwh - cpu),
        "cpu_energy": cpu,
        "ram_energy": kwh - cpu,
        "energy_consumed": kwh,
        "region": (phase.get("intensity") or {}).get("zone", ""),  # of the grid, no ISO country
        "tracking_mode": "process",
        "pue": pue,
    }
