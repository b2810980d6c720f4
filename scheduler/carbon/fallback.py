"""The service's source: live, then cached, then typical; and it says which one it was."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from scheduler.carbon.cache import Cache
from scheduler.carbon.correction import LONGEST, corrected
from scheduler.carbon.feed import Feed, ReplayFeed, WebFeed
from scheduler.carbon.filling import NEAR, by_hour, filled
from scheduler.carbon.kept import FORECASTS
from scheduler.carbon.replay import Replay
from scheduler.carbon.series import IntensitySeries, IntensitySource
from scheduler.carbon.skill import SPAN, Trial, Verdict, compared, tried
from scheduler.carbon.typical import Typical
from scheduler.carbon.web_source import STALE, newest
from scheduler.carbon.zones import known_zone
from scheduler.errors import ForecastUnavailable

log = logging.getLogger(__name__)

# (profile of what is ahead, history, now=) -> what is expected, in the units of the history
Correct = Callable[..., IntensitySeries]

LOOK_BACK = LONGEST * timedelta(hours=1)
# Forecasts judged in one call, so that none waits long: after a restart a week of them is at hand.
_MOST_JUDGED = 4


class Fallback:
    """An IntensitySource that answers for every known zone, whatever fails.

    Parameters
    ----------
    sources : sequence of IntensitySource
        Asked in this order; a bill and a plan never mix two of them.
    cache : Cache, optional
        Where what they answer is kept; in memory if not given.
    typical : IntensitySource, optional
        What is known without a network; the packaged profile if not given.
    correct : function
        Brings a typical profile to what was measured lately.

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
        cache: Cache | None = None,
        typical: IntensitySource | None = None,
        correct: Correct = corrected,
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
        self._typical, self._correct = typical or Typical(), correct
        self._trials: dict[tuple[str, str], dict[datetime, tuple[Trial, Trial] | None]] = {}
        self._believed: dict[tuple[str, str], bool] = {}
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
        """Some weeks of history by the hour, if its newest reading is not older than six hours."""
        past = _or_none(feed.history, zone, now - LOOK_BACK, now, now=now)
        return None if past is None or now - past.end > STALE else by_hour(past)

    def _profile(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return self._typical.forecast(zone, start, end, now=start)

    def _corrected(
        self, past: IntensitySeries, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """The profile, corrected by what was measured lately and in the units of that."""
        profile = self._profile(past.zone, start, end)
        return replace(
            _estimated(self._correct(profile, past, now=now)),
            source=f"{profile.source}, corrected by {past.source}",
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

        Each is judged once, when a day has passed since it was issued.
        """
        with self._lock:
            trials = self._trials.setdefault((feed.name, zone), {})
            for at in [at for at in trials if not now - FORECASTS < at <= now - SPAN]:
                del trials[at]
        judged = 0
        for one in reversed(feed.issued(zone, now=now)):
            at = one.issued_at
            if at in trials or at + SPAN > past.end or judged == _MOST_JUDGED:
                continue
            pair = self._tried(one, past)
            judged += 1
            with self._lock:
                trials[at] = pair
        with self._lock:
            pairs = [pair for _, pair in sorted(trials.items()) if pair is not None]
        verdict = compared(pairs)
        said = verdict.own_is_better
        if self._believed.get((feed.name, zone), True) != said:
            log.info(
                "%s, zone %s: over %d forecasts its own reach %.0f %% of the oracle's saving, the"
                " corrected profile %.0f %%",
                *(feed.name, zone, verdict.n_compared),
                *(100 * (share or 0) for share in (verdict.own_share, verdict.rival_share)),
            )
        self._believed[feed.name, zone] = said
        return verdict

    def _tried(self, own: IntensitySeries, past: IntensitySeries) -> tuple[Trial, Trial] | None:
        """How a forecast chose, and how the corrected profile would have at that time."""
        at = own.issued_at
        known = past.between(at - LOOK_BACK, at)
        if not known.readings:
            return None
        rival = replace(self._corrected(known, own.start, own.end, now=at), issued_at=at)
        truth = past.between(at, at + SPAN)
        mine, theirs = tried(own, truth), tried(rival, truth)
        return None if mine is None or theirs is None else (mine, theirs)


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
