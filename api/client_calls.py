"""What `FrugalClient` can ask beside data, jobs and models: schedules, the ledger and the grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
PAGE = 100
LEDGER_PAGE = 1000


class Calls:
    """What sends a request and reads its answer: `FrugalClient`."""

    def _json(self, method: str, path: str, **request: Any) -> Json:
        raise NotImplementedError


class ScheduleCalls(Calls):
    """Daily schedules and their runs."""

    def schedules(self) -> list[Json]:
        """Every schedule of the project, newest first."""
        found: list[Json] = []
        params: dict[str, str | int] = {"limit": PAGE}
        while True:
            page = self._json("GET", "/v1/schedules", params=params)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    def add_schedule(self, request: Mapping[str, Any]) -> Json:
        """Have a model trained again on every day that is worth it; never retried."""
        return self._json("POST", "/v1/schedules", json=dict(request))

    def schedule(self, schedule_id: str) -> Json:
        """One schedule and when it is due next."""
        return self._json("GET", _path(schedule_id))

    def pause_schedule(self, schedule_id: str) -> Json:
        """Let no day have a run until `resume_schedule`."""
        return self._json("PATCH", _path(schedule_id), json={"state": "PAUSED"})

    def resume_schedule(self, schedule_id: str) -> Json:
        """Let a paused schedule go on."""
        return self._json("PATCH", _path(schedule_id), json={"state": "ACTIVE"})

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule; a job that it has submitted goes on."""
        self._json("DELETE", _path(schedule_id))

    def runs(self, schedule_id: str, *, limit: int | None = None) -> list[Json]:
        """What became of each local date, newest first: all of them, or the newest `limit`."""
        found: list[Json] = []
        params: dict[str, str | int] = {}
        while limit is None or len(found) < limit:
            params["limit"] = PAGE if limit is None else min(PAGE, limit - len(found))
            page = self._json("GET", f"{_path(schedule_id)}/runs", params=params)
            found += page["items"]
            if page["next_before"] is None:
                break
            params["before"] = page["next_before"]
        return found


class CarbonCalls(Calls):
    """The bill of the project, and the grid."""

    def ledger(self, *, group_by: str | None = None, **chosen: str) -> Json:
        """Lines of the ledger, or sums by `group_by`, of all pages, and their total.

        Parameters
        ----------
        group_by : str, optional
            job, dataset, phase, day or schedule.
        chosen : str
            Which lines: ``job``, ``dataset``, ``schedule``, ``phase``, and the days ``from`` and
            ``to``, in UTC.

        Returns
        -------
        dict
            ``items`` and ``total``.
        """
        params: dict[str, str | int] = {"limit": LEDGER_PAGE, **chosen}
        if group_by is not None:
            params["group_by"] = group_by
        items: list[Json] = []
        while True:
            page = self._json("GET", "/v1/ledger", params=params)
            items += page["items"]
            if page["next_cursor"] is None:
                return {"items": items, "total": page["total"]}
            params["cursor"] = page["next_cursor"]

    def intensity(self, zone: str | None = None) -> Json:
        """The newest carbon intensity that is known of a zone, else of the service's own."""
        return self._json("GET", "/v1/intensity", params={} if zone is None else {"zone": zone})

    def zones(self) -> Json:
        """The zones of the grid that a job may name."""
        return self._json("GET", "/v1/zones")


def _path(schedule_id: str) -> str:
    return f"/v1/schedules/{quote(schedule_id, safe='')}"
