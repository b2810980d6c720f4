"""What `FrugalClient` can ask about daily schedules and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.client_calls import PAGE, Calls, Json, path_of


class ScheduleCalls(Calls):
    """Daily schedules and their runs."""

    def schedules(self) -> list[Json]:
        """Every schedule of the project, newest first."""
        return list(self._pages("/v1/schedules"))

    def add_schedule(self, request: Mapping[str, Any]) -> Json:
        """Have a model trained again on every day that is worth it; never retried."""
        return self._json("POST", "/v1/schedules", json=dict(request))

    def schedule(self, schedule_id: str) -> Json:
        """One schedule and when it is due next."""
        return self._json("GET", path_of("schedules", schedule_id))

    def pause_schedule(self, schedule_id: str) -> Json:
        """Let no day have a run until `resume_schedule`."""
        return self._again("PATCH", path_of("schedules", schedule_id), json={"state": "PAUSED"})

    def resume_schedule(self, schedule_id: str) -> Json:
        """Let a paused schedule go on."""
        return self._again("PATCH", path_of("schedules", schedule_id), json={"state": "ACTIVE"})

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule; a job that it has submitted goes on."""
        self._json("DELETE", path_of("schedules", schedule_id))

    def runs(self, schedule_id: str, *, limit: int | None = None) -> list[Json]:
        """What became of each local date, newest first: all of them, or the newest `limit`."""
        found: list[Json] = []
        params: dict[str, str | int] = {}
        while limit is None or len(found) < limit:
            params["limit"] = PAGE if limit is None else min(PAGE, limit - len(found))
            page = self._json("GET", path_of("schedules", schedule_id, "runs"), params=params)
            found += page["items"]
            if page["next_before"] is None:
                break
            params["before"] = page["next_before"]
        return found
