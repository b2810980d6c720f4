"""Predictions without a model in the service: a child per champion, warm while it is used."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from automl.errors import DataError
from scheduler.answering import ANSWERED, FAILED, REFUSED, Answering
from scheduler.artifacts import ArtifactStore
from scheduler.child import Child, result_of
from scheduler.clock import utc_now
from scheduler.config import Settings
from scheduler.errors import ChildDied, Gone, QueueFull
from scheduler.records import Model

log = logging.getLogger(__name__)

LOAD_SECONDS = 120.0
ANSWER_SECONDS = 120.0
# A request waits so long for those before it; then it is told to come back.
WAIT_SECONDS = 30.0
MOST_WARM = 4
MOST_HEADER = 4096  # characters: proxies in front of a service refuse long headers
BUSY = "predictor_busy"


class _Warm:
    """A champion's child and the lock that puts its requests in a row."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.turn = threading.Lock()
        self.child: Child | None = None
        self.used = time.monotonic()


class Predictor:
    """Answers bodies of rows with bodies of predictions.

    The first request for a champion starts a child, which checks every checksum before it parses
    anything; it is released after `idle_seconds` without a request, or when other champions
    need the room. A child that died is replaced once per request.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        settings: Settings,
        *,
        wait_seconds: float = WAIT_SECONDS,
        most_warm: int = MOST_WARM,
    ) -> None:
        self._artifacts, self._settings = artifacts, settings
        self._wait_seconds, self._most_warm = wait_seconds, most_warm
        self._lock = threading.Lock()
        self._warm: dict[str, _Warm] = {}
        self._timer: threading.Timer | None = None
        self._stopped = False
        self.answering = Answering()

    def predict(
        self, model: Model, body: bytes, *, content_type: str, accept: str, n_reasons: int = 0
    ) -> tuple[bytes, str, dict[str, str]]:
        """Return the predictions for a body of rows.

        Parameters
        ----------
        model : Model
            Which champion answers.
        content_type, accept : what the body is, and what the answer is to be: JSON, CSV, Parquet
        n_reasons : so many columns of each row that moved its score furthest

        Returns
        -------
        (bytes, str, dict)
            Body, content type, and headers: ``Prediction-Report``, the report as JSON, which a
            JSON body has inside as well.

        Raises
        ------
        DataError
            The rows: ``missing_columns, wrong_type, non_finite, too_many_rows``, and those of
            reading. The model: ``corrupt_model``, ``no_typical_row`` for reasons.
        QueueFull
            ``predictor_busy``: others were still being answered after `wait_seconds`.
        ChildDied
            The rows killed two children.
        Gone
            The model's files were deleted.
        """
        began, result, n_rows = time.monotonic(), FAILED, 0
        try:
            head, content = self._answer(
                model, body, content_type=content_type, accept=accept, n_reasons=n_reasons
            )
            result, n_rows = ANSWERED, int(head["report"]["n_rows"])
        except DataError:
            result = REFUSED
            raise
        finally:
            self.answering.count(result, seconds=time.monotonic() - began, n_rows=n_rows)
        return content, head["content_type"], {"Prediction-Report": in_header(head["report"])}

    def _answer(
        self, model: Model, body: bytes, *, content_type: str, accept: str, n_reasons: int
    ) -> tuple[dict[str, Any], bytes]:
        warm = self._claim(model)
        try:
            asked: dict[str, Any] = {"content_type": content_type, "accept": accept}
            asked |= {"reasons": n_reasons, "now": utc_now().isoformat()}
            return self._ask(warm, model, body, asked)
        finally:
            warm.used = time.monotonic()
            warm.turn.release()
            self._schedule()

    def _claim(self, model: Model) -> _Warm:
        key = f"{model.artifact}:{model.sha256}:{model.version}"
        end = time.monotonic() + self._wait_seconds
        while True:
            with self._lock:
                if self._stopped:
                    raise QueueFull("the service is stopping", code=BUSY)
                warm = self._warm.setdefault(key, _Warm(key))
                n_over = max(0, len(self._warm) - self._most_warm)
                others = [one for one in self._warm.values() if one is not warm]
                extra = sorted(others, key=lambda one: one.used)[:n_over]
            for one in extra:
                self._release(one, lambda: True)
            if not warm.turn.acquire(timeout=max(0.0, end - time.monotonic())):
                raise QueueFull(
                    f"model {model.name} is answering others for {self._wait_seconds:g} s already",
                    code=BUSY,
                )
            with self._lock:
                if self._warm.get(key) is warm:
                    return warm
            warm.turn.release()  # it was let go while we waited

    def _ask(
        self, warm: _Warm, model: Model, body: bytes, asked: dict[str, Any]
    ) -> tuple[dict[str, Any], bytes]:
        request = {**asked, "length": len(body)}
        fresh = False
        while True:
            if warm.child is None or not warm.child.is_alive():
                self._drop(warm)
                warm.child = self._load(model)
                fresh = True
            deadline = time.monotonic() + ANSWER_SECONDS
            try:
                warm.child.write_line(request)
                warm.child.write(body)
                head: dict[str, Any] = result_of(warm.child.read_line(deadline=deadline))
                return head, warm.child.read_exactly(head["length"], deadline=deadline)
            except ChildDied as error:
                if warm.child.is_alive():  # it said so itself, and goes on
                    raise
                self._drop(warm)
                log.warning("predictor of model %s %d died: %s", model.name, model.version, error)
                if fresh or error.code == "child_timed_out":
                    raise

    def _load(self, model: Model) -> Child:
        if not self._artifacts.exists(model.artifact):
            raise Gone("the model was deleted")
        began = time.monotonic()
        settings = self._settings
        child = Child(
            "scheduler.prediction:serve",
            {
                "folder": str(self._artifacts.path(model.artifact)),
                "sha256": model.sha256,
                "about": {"model": model.name, "version": model.version},
                "types": dict(model.card.get("types") or {}),
                "reading": dict(model.card.get("reading") or {}),
                "limits": {
                    "max_decoded_bytes": min(
                        settings.max_decoded_bytes, 8 * settings.max_body_bytes
                    ),
                    "max_columns": settings.max_columns,
                    "max_cell_bytes": settings.max_cell_bytes,
                },
                "max_rows": settings.max_predict_rows,
            },
            memory_bytes=settings.child_memory_bytes,
            cpu_seconds=None,
        )
        try:
            result_of(child.read_line(deadline=time.monotonic() + LOAD_SECONDS))
        except BaseException:
            child.close()
            raise
        log.info(
            "predictor of model %s %d started in %.1f s, process %d",
            model.name,
            model.version,
            time.monotonic() - began,
            child.pid,
        )
        return child

    def _drop(self, warm: _Warm) -> None:
        if warm.child is not None:
            warm.child.close()
            warm.child = None

    def _release(self, warm: _Warm, wanted: Callable[[], bool]) -> bool:
        """End a child unless it is answering; return whether it was ended."""
        if not warm.turn.acquire(blocking=False):
            return False
        try:
            with self._lock:
                if not wanted():
                    return False
                if self._warm.get(warm.key) is warm:
                    del self._warm[warm.key]
            self._drop(warm)
            return True
        finally:
            warm.turn.release()

    def release_idle(self, *, idle_seconds: float) -> int:
        """End the children that had no request for so long; return how many."""
        with self._lock:
            idle = list(self._warm.values())
        n_ended = 0
        for warm in idle:

            def still_idle(one: _Warm = warm) -> bool:
                return time.monotonic() - one.used >= idle_seconds

            if still_idle() and self._release(warm, still_idle):
                n_ended += 1
        if n_ended:
            log.info("%d predictors released after %g s without a request", n_ended, idle_seconds)
        return n_ended

    def _schedule(self) -> None:
        """Look again when the first child may be idle for long enough: no polling in between."""
        with self._lock:
            if self._timer is not None or self._stopped or not self._warm:
                return
            oldest = min(one.used for one in self._warm.values())
            idle = self._settings.idle_seconds
            pause = max(0.05, oldest + idle - time.monotonic())
            self._timer = threading.Timer(pause, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
        self.release_idle(idle_seconds=self._settings.idle_seconds)
        self._schedule()

    def pids(self) -> list[int]:
        """Return the process ids of the warm children."""
        with self._lock:
            children = [one.child for one in self._warm.values()]
        return [child.pid for child in children if child is not None]

    def is_busy(self) -> bool:
        """Return whether any child is answering."""
        with self._lock:
            return any(one.turn.locked() for one in self._warm.values())

    def stop(self) -> None:
        """End all children; requests under way fail."""
        with self._lock:
            self._stopped = True
            warm, self._warm = list(self._warm.values()), {}
            if self._timer is not None:
                self._timer.cancel()
        for one in warm:
            if one.child is not None:
                one.child.close()


def in_header(report: Mapping[str, Any]) -> str:
    """The report as JSON in a header; ``cut`` names what is left out of one that is too long.

    >>> in_header({"n_rows": 3, "out_of_range": {"x" * 5000: 1}})
    '{"n_rows": 3, "cut": ["out_of_range"]}'
    """
    kept, cut = dict(report), list[str]()
    while True:
        text = json.dumps({**kept, "cut": cut} if cut else kept, ensure_ascii=True)
        if len(text) <= MOST_HEADER:
            return text
        cut.append(max(kept, key=lambda name: len(json.dumps(kept[name]))))
        del kept[cut[-1]]
