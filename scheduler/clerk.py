"""What follows the end of a job and may take its time: bills, prices, calls to webhooks."""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import datetime

from automl.errors import FrugalError
from scheduler.config import Settings
from scheduler.errors import StoreUnavailable
from scheduler.settlement import Prices, settle
from scheduler.store import Store
from scheduler.webhooks import deliver

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0


class Clerk:
    """Settles and delivers in a thread of its own, so that no tick waits for a network.

    Parameters
    ----------
    prices : where intensities come from; by default as the settings say, looked up when needed
    """

    def __init__(self, store: Store, settings: Settings, *, prices: Prices | None = None) -> None:
        self._store, self._settings, self._prices = store, settings, prices
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def poke(self, now: datetime) -> None:
        """Look for work in the background, unless that is under way; returns at once."""
        with self._lock:
            busy = self._thread is not None and self._thread.is_alive()
            if busy or self._stopped:
                return
            self._thread = threading.Thread(
                target=self._guarded, args=(now,), name="clerk", daemon=True
            )
            self._thread.start()

    def _guarded(self, now: datetime) -> None:
        try:
            self.work(now)
        except StoreUnavailable as error:
            log.warning("the store is out of reach, trying again: %s", error)
        except Exception as error:
            log.error("bills or webhooks: %s", type(error).__name__, exc_info=error)

    def work(self, now: datetime) -> None:
        """Do what is due at `now`; idempotent.

        What is told to a webhook does not wait for prices, nor the other way round.
        """
        settings = self._settings
        with contextlib.ExitStack() as after:
            after.callback(
                deliver,
                self._store,
                now=now,
                hosts=settings.webhook_hosts,
                secret=settings.webhook_secret,
            )
            self._settle(now)

    def _settle(self, now: datetime) -> None:
        if self._prices is None:
            try:
                self._prices = Prices.of(settings=self._settings)
            except FrugalError as error:
                log.error("no bill can be priced: %s", error)
                return
        n_settled = settle(self._store, self._prices, now=now)
        if n_settled:
            log.info("%d bills settled", n_settled)

    def stop(self) -> None:
        """Begin nothing new, and give what is under way a moment; it is done again otherwise."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)
