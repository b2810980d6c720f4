"""The service's source: live, then cached, then typical; and it says which one it was."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.carbon.cache import Cache
from scheduler.carbon.feed import Feed, ReplayFeed, WebFeed
from scheduler.carbon.filling import NEAR, filled, levelled
from scheduler.carbon.replay import Replay
from scheduler.carbon.series import IntensitySeries, IntensitySource
from scheduler.carbon.skill import Verdict, compared
from scheduler.carbon.web_source import STALE, newest
from scheduler.carbon.zones import known_zone
from scheduler.errors import ForecastUnavailable

log = logging.getLogger(__name__)

# (profile that covers the history and what is ahead, history, now=) -> what is expected
Correct = Callable[..., IntensitySeries]

LOOK_BACK = timedelta(days=28)
# Forecasts that are compared with what came true; more of them cost time and tell no more.
_MOST_COMPARED = 24


class Fallback:
    """An IntensitySource that answers for every known zone, whatever fails.

    Parameters
    ----------
    sources : sequence of IntensitySource
        Asked in this order; a bill and a plan never mix two of them.
    cache : Cache
        Where what they answer is kept.
    typical : IntensitySource
        What is known without a network.
    correct : function
        Brings a typical profile to what was measured lately: `scheduler.carbon.correction`.

    A forecast is the first source's own where it has one, unless over the last days the corrected
    profile chose better hours; else the profile corrected by the first source's history, if that
    is not older than six hours; else the same from the cache; else the profile. Ahead of where a
    source's own forecast ends, the profile goes on from its last level.

    Raises DataError `unknown_zone`, with the list, for a zone that nobody knows.
    """

    name = "live, else cached, else typical"

    def __init__(
        self,
        sources: Sequence[IntensitySource],
        *,
        typical: IntensitySource,
        correct: Correct,
        cache: Cache | None = None,
    ) -> None:
        kept = cache or Cache()
        self._live: list[Feed] = []
        self._cached: list[Feed] = []
        for source in sources:
            if isinstance(source, Replay):
                self._live.append(ReplayFeed(source))
            else:
                feed = WebFeed(source, kept)
                self._live.append(feed)
                self._cached.append(feed.remembered)
        self._typical, self._correct = typical, correct
        self._verdicts: dict[tuple[str, str], tuple[datetime, Verdict]] = {}
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was, without holes: they are filled from the profile and marked as estimated."""
        zone, end = known_zone(zone), min(end, now)
        if start >= end:
            raise ForecastUnavailable(f"nothing has passed since {start.isoformat()}")
        for feed in (*self._live, *self._cached):
            # A day around, so that a hole is filled at the level of its neighbours.
            known = _or_none(feed.history, zone, start - NEAR, min(end + NEAR, now), now=now)
            if known is not None and known.between(start, end).readings:
                return filled(known, self._profile(zone, start - NEAR, end + NEAR), start, end)
        return _estimated(self._profile(zone, start, end))

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        """The newest reading, if it is not older than six hours, or the profile's of this hour."""
        zone = known_zone(zone)
        for feed in (*self._live, *self._cached):
            known = _or_none(feed.history, zone, now - 2 * STALE, now, now=now)
            if known is not None and now - known.end <= STALE:
                return newest(known, now=now)
        return _estimated(self._typical.latest(zone, now=now))

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What is expected in [start, end), all of it."""
        zone = known_zone(zone)
        found = (
            self._by(self._live, zone, start, end, now=now)
            or self._by(self._cached, zone, start, end, now=now)
            or _hourly(_estimated(self._profile(zone, start, end)), now=now)
        )
        if self._said.get(zone) != found.source:
            self._said[zone] = found.source
            log.info("zone %s: forecasts are now by %s", zone, found.source)
        return found

    def _by(
        self, feeds: Sequence[Feed], zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries | None:
        """A forecast by one of these feeds, or None where none of them has anything new enough."""
        for feed in feeds:
            own = _or_none(feed.forecast, zone, start, end, now=now)
            if own is None or now - own.issued_at > STALE:
                continue
            past = self._past(feed, zone, now=now)
            if past is None:
                return self._extended(own, own, start, end)
            verdict = self._verdict(feed, zone, past, now=now)
            if not verdict.own_is_better:
                return self._corrected(past, start, end, now=now)
            if verdict.own_error_grams is not None:
                own = replace(own, error_grams=verdict.own_error_grams)
            return self._extended(own, past, start, end)
        for feed in feeds:
            past = self._past(feed, zone, now=now)
            if past is not None:
                return self._corrected(past, start, end, now=now)
        return None

    def _past(self, feed: Feed, zone: str, *, now: datetime) -> IntensitySeries | None:
        """Some weeks of history, if its newest reading is not older than six hours."""
        past = _or_none(feed.history, zone, now - LOOK_BACK, now, now=now)
        return None if past is None or now - past.end > STALE else past

    def _profile(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return self._typical.forecast(zone, start, end, now=start)

    def _corrected(
        self, past: IntensitySeries, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """The profile, at the level of the past and corrected by what was unusual lately."""
        profile = self._profile(past.zone, min(past.start, start), end)
        expected = self._correct(levelled(profile, past), past, now=now).between(start, end)
        return replace(
            _estimated(expected),
            source=f"{profile.source}, corrected by {past.source}",
            factor_type=past.factor_type,
            signal=past.signal,
            issued_at=past.end,
        )

    def _extended(
        self, own: IntensitySeries, past: IntensitySeries, start: datetime, end: datetime
    ) -> IntensitySeries:
        """A source's own forecast, and the corrected profile from where it ends."""
        profile = self._profile(own.zone, start - NEAR, max(own.end, start) + NEAR)
        whole = filled(own, profile, start, min(own.end, end))
        if own.end >= end:
            return whole
        # Seen from its end, the forecast is the latest that is known.
        so_far = past.between(past.start, own.start)
        known = replace(own, readings=(*so_far.readings, *own.readings))
        tail = self._corrected(known, own.end, end, now=own.end)
        return replace(
            whole,
            source=f"{own.source}, then {profile.source}",
            readings=(*whole.readings, *tail.readings),
        )

    def _verdict(self, feed: Feed, zone: str, past: IntensitySeries, *, now: datetime) -> Verdict:
        """Whether the feed's own forecasts chose better lately than corrected profiles would have.

        Judged once an hour.
        """
        hour, key = now.replace(minute=0, second=0, microsecond=0), (feed.name, zone)
        with self._lock:
            judged = self._verdicts.get(key)
        if judged is not None and judged[0] == hour:
            return judged[1]
        own: list[IntensitySeries] = []
        rivals: list[IntensitySeries] = []
        issued = feed.issued(zone, now=now)
        for one in issued[:: -(-len(issued) // _MOST_COMPARED) or 1]:
            known = past.between(past.start, one.issued_at)
            if known.readings and one.readings:
                rival = self._corrected(known, one.start, one.end, now=one.issued_at)
                own.append(one)
                rivals.append(replace(rival, issued_at=one.issued_at))
        verdict = compared(own, rivals, past)
        with self._lock:
            self._verdicts[key] = hour, verdict
        if verdict.own_share is not None and verdict.rival_share is not None:
            log.info(
                "%s, zone %s: its own forecasts reach %.0f %% of the oracle, the corrected profile"
                " %.0f %%, over %d forecasts",
                *(feed.name, zone, 100 * verdict.own_share, 100 * verdict.rival_share),
                verdict.n_compared,
            )
        return verdict


def _or_none(
    ask: Callable[..., IntensitySeries], zone: str, start: datetime, end: datetime, *, now: datetime
) -> IntensitySeries | None:
    try:
        return ask(zone, start, end, now=now)
    except ForecastUnavailable as error:
        log.debug("intensities: %s", error)
        return None


def _estimated(series: IntensitySeries) -> IntensitySeries:
    """The series, with every reading marked as an estimate and where it comes from."""
    return replace(
        series,
        readings=tuple(
            replace(one, is_estimated=True, source=one.source or series.source)
            for one in series.readings
        ),
    )


def _hourly(profile: IntensitySeries, *, now: datetime) -> IntensitySeries:
    """The profile as a forecast that is never old: it says of every hour what it always did."""
    return replace(profile, issued_at=now.replace(minute=0, second=0, microsecond=0))
