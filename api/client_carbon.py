"""What `FrugalClient` can ask about the bill of the project, and about the grid."""

from __future__ import annotations

from api.client_calls import Calls, Json, given

LEDGER_PAGE = 1000


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
        return self._json("GET", "/v1/intensity", params=given(zone=zone))

    def zones(self) -> Json:
        """The zones of the grid that a job may name."""
        return self._json("GET", "/v1/zones")
