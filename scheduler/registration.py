"""A champion into the store: its files, its card, and the end of its job, all at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.cost import JOULES_PER_KWH
from automl.data.options import for_more_rows
from scheduler.declared_use import is_declared, predictions, use_text
from scheduler.pricing import Price
from scheduler.records import Job, JobState, Model, StoredDataset
from scheduler.work import CANCELLED, Work, end

if TYPE_CHECKING:
    from automl.search.ranking import Ranking
    from automl.search.run import SearchResult

LIFE_METHOD = (
    "Finding and fitting it are as billed; predicting is what 1,000 rows took when that was "
    "measured, times the rows of its use; fitting it again is as the cost model expects."
)


def register(
    work: Work,
    found: SearchResult | Ranking,
    bill: Mapping[str, Any],
    stored: StoredDataset,
    *,
    row_milliseconds: float,
    price: Price,
    tables: Mapping[str, Any] | None = None,
    challenge: Mapping[str, Any] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Job:
    """Store the champion and end the job in one transaction with its model.

    `tables` is what is told of the tables around its rows, `challenge` how it did beside the
    champion; None where there are none. `told` is what else its card says.
    """
    profile = stored.profile or {}
    types = {one["name"]: one["type"] for one in profile.get("columns", ())}
    reading = for_more_rows(stored.options, profile=profile)
    cancelled = work.heart.cancel_requested.is_set() and CANCELLED in found.stop_reason
    key = f"models/{uuid.uuid4().hex}"
    with work.artifacts.staging() as folder:
        sha256 = found.champion.save(folder)
        work.artifacts.put_folder(key, folder)
    job = work.job
    warned = {(one["code"], one.get("column")) for one in job.warnings}
    new = [one for one in found.warnings if (one["code"], one.get("column")) not in warned]
    warnings = [dict(warning) for warning in (*job.warnings, *new)]
    model = Model(
        id=uuid.uuid4().hex,
        project_id=job.project_id,
        name=job.model_name,
        version=0,  # the store gives the next one
        job_id=job.id,
        dataset_id=job.dataset_id,
        created_at=work.clock(),
        artifact=key,
        sha256=sha256,
        card=found.champion.card()
        | {
            "provenance": _provenance(found, job),
            "target": job.request["target"],
            "positive": job.request.get("positive"),
            "excluded": _left_out(job),
            # How rows to predict are read; an integer column may well get 3.5 some day.
            "types": {
                name: "number" if types.get(name) == "integer" else types[name]
                for name in found.champion.columns
                if name in types
            },
            **({"reading": reading} if reading else {}),
            "cost": {"total": bill["total"], "predict": bill["predict_per_1000_rows"]},
            "row_milliseconds": row_milliseconds,
            "lifetime": _life(found, bill, job.request),
            "intensity": bill["intensity"],
            "energy": {"meter": bill["meter"], "uncertainty": bill["uncertainty"]},
            "warnings": warnings,
            **(told or {}),
            **(tables or {}),
        },
    )
    done = end(
        work,
        state=JobState.CANCELLED if cancelled else JobState.DONE,
        stop_reason=found.stop_reason,
        result={
            "front": list(found.front),
            "picks": dict(found.picks),
            "lifetimes": {str(number): one.to_json() for number, one in found.lifetimes.items()},
            "choice": dict(found.choice),
            "champion": found.champion.provenance.get("trial"),
            "members": {str(one.trial): one.weight for one in found.champion.members},
            "warnings": [dict(warning) for warning in new],
            "stop": found.stop.to_json(),
            "knowledge": dict(found.champion.provenance.get("knowledge") or {})
            | {"suggestions": [one.to_json() for one in found.suggestions]},
            **({} if challenge is None else {"challenge": dict(challenge)}),
            **({} if tables is None else {"tables": dict(tables)}),
        },
        receipt=bill,
        ledger=price.lines,
        settle_at=price.settle_at,
        model=model,
    )
    if (done.problem or {}).get("code") == "data_deleted":
        work.artifacts.delete(key)
    return done


def _life(
    found: SearchResult | Ranking, bill: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The champion's life: what it took so far as billed, and its use and retrains as expected.

    Finding it is all that the bill has beside its refit: other models that were tried, and the
    reading of the data. Its use is what a prediction took when it was measured, times those that
    the request declares; `declared` tells whether it did. Grams are at the bill's intensity.
    """
    life = found.lifetimes.get(int(found.champion.provenance["trial"]))
    measured = bill["predict_per_1000_rows"]
    if life is None or measured is None:
        return None
    total = bill["total"]
    refit = [line for line in bill["phases"] if line["name"] == "refit"]
    spent = {
        unit: {
            "search": total[unit] - sum(line[unit] for line in refit),
            "refit": sum(line[unit] for line in refit),
        }
        for unit in ("joules", "gco2e")
    }
    n_predictions = predictions(request)
    ahead = {"use": measured["joules"] * n_predictions / 1000, "retrains": life.retrains}
    per_joule = bill["intensity"]["grams_per_kwh"] / JOULES_PER_KWH
    joules = spent["joules"] | ahead
    grams = spent["gco2e"] | {name: one * per_joule for name, one in ahead.items()}
    return {
        "joules": joules | {"total": sum(joules.values())},
        "gco2e": grams | {"total": sum(grams.values())},
        "predictions": n_predictions,
        "declared": is_declared(request),
        "use": use_text(request),
        "method": LIFE_METHOD,
    }


def _provenance(found: SearchResult | Ranking, job: Job) -> dict[str, Any]:
    """The champion's provenance, which groups were kept together in words."""
    provenance = dict(found.champion.provenance)
    validation = dict(provenance.get("validation") or {})
    if validation.get("by_group"):
        named = job.request.get("group_column") is not None
        validation["by_group"] = "named" if named else "identical rows"
    return provenance | ({"validation": validation} if validation else {})


def _left_out(job: Job) -> list[dict[str, Any]]:
    """Columns that the model never saw, each with the reason."""
    roles = ("time_column", "group_column", "weight_column")
    named = [(job.request.get(role), f"named as {role}") for role in roles]
    named += [(name, "excluded by the request") for name in job.request.get("exclude") or ()]
    said = [{"column": name, "why": why} for name, why in named if name is not None]
    return said + list((job.request.get("admission") or {}).get("excluded", ()))
