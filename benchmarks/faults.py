"""Workers that are killed or frozen at random moments lose no job and do nothing twice.

    python -m benchmarks.faults                  # 500 kills and 100 pauses, then the control
    python -m benchmarks.faults --postgresql     # 100 and 30 on a throw-away PostgreSQL

Two workers claim, run and end jobs through the real store, under leases of a second. Each round
one of them is ended by SIGKILL and replaced, or stopped by SIGSTOP for 1.4 leases and let go on.
Afterwards the history of every job is read: each job that was accepted is there and has ended,
each of its trials ended once, and nothing was written under an epoch that was over. The control
runs the pauses with fencing taken out; it has to be caught, or the harness could not see anything.
Exits with 1 when something was lost or doubled, or the control was not caught.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.fault_worker import LEASE_SECONDS, N_TRIALS, submit, work
from scheduler.records import JobState
from scheduler.store import Store

FORK = multiprocessing.get_context("fork")
N_WORKERS = 2
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run of the harness left in the database."""

    accepted: int  # jobs whose submission was answered
    lost: int  # of these, not in the database
    unfinished: int
    quarantined: int  # three deaths each: by rule, not lost
    trials: int  # that ended
    doubled: int  # trials or ends written twice
    stale: int  # writes under an epoch that was over
    seconds: float

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.unfinished or self.doubled or self.stale)


def run(
    url: str, *, n_kills: int, n_pauses: int, seed: int, fenced: bool = True, folder: Path
) -> Found:
    """Kill and freeze workers of one database, let the last ones finish, read what is there."""
    rng = random.Random(seed)
    store = Store(url)
    store.migrate()
    store.close()  # no connection crosses a fork
    began = time.monotonic()
    acks = folder / "accepted"
    acks.touch()
    workers = [_fork(work, url, fenced) for _ in range(N_WORKERS)]
    client = _fork(submit, url, str(acks))
    rounds = ["kill"] * n_kills + ["pause"] * n_pauses
    rng.shuffle(rounds)
    try:
        for number, what in enumerate(rounds):
            time.sleep(rng.uniform(0.1, 0.45))
            index = rng.randrange(N_WORKERS)
            if what == "kill":
                _kill(workers[index])
                workers[index] = _fork(work, url, fenced)
            else:
                os.kill(workers[index].pid or 0, signal.SIGSTOP)
                time.sleep(1.4 * LEASE_SECONDS)
                os.kill(workers[index].pid or 0, signal.SIGCONT)
            if number % 10 == 9:  # so is the one who submits
                _kill(client)
                client = _fork(submit, url, str(acks))
        _kill(client)
        _drain(url)
    finally:
        for process in (*workers, client):
            _kill(process)
    return _read(url, accepted=acks.read_text().split(), seconds=time.monotonic() - began)


def _fork(target: Any, *arguments: Any) -> Any:
    process = FORK.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def _kill(process: Any) -> None:
    process.kill()
    process.join()


def _drain(url: str) -> None:
    """Wait until no job is open."""
    store = Store(url)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        counts = store.count_jobs()
        if not sum(count for state, count in counts.items() if not state.is_final):
            break
        time.sleep(0.2)
    store.close()


def _read(url: str, *, accepted: list[str], seconds: float) -> Found:
    """The history of every job, against the rules."""
    store = Store(url)
    states: Counter[str] = Counter()
    lost = doubled = stale = n_trials = 0
    for job_id in accepted:
        try:
            job = store.job(job_id)
        except LookupError:
            lost += 1
            continue
        states[job.state] += 1
        epoch, ended = 0, Counter[str]()
        for event in store.events(job_id):
            if event.data.get("state") == JobState.RUNNING and "epoch" in event.data:
                epoch = int(event.data["epoch"])
            elif event.kind == "trial":
                ended[f"trial {event.data['number']}"] += 1
                stale += event.data["details"]["epoch"] != epoch
            elif event.kind == "end" and event.data["state"] == JobState.DONE:
                ended["end"] += 1
                stale += event.data["stop_reason"] != f"epoch {epoch}"
        doubled += sum(count - 1 for count in ended.values())
        n_trials += sum(count for name, count in ended.items() if name != "end")
        if job.state is JobState.DONE and len(ended) != N_TRIALS + 1:
            lost += 1
    store.close()
    final = {JobState.DONE, JobState.QUARANTINED}
    return Found(
        accepted=len(accepted),
        lost=lost,
        unfinished=sum(count for state, count in states.items() if state not in final),
        quarantined=states[JobState.QUARANTINED],
        trials=n_trials,
        doubled=doubled,
        stale=stale,
        seconds=round(seconds, 1),
    )


@contextmanager
def _databases(*, postgresql: bool) -> Iterator[Any]:
    """A maker of URLs of empty databases."""
    with tempfile.TemporaryDirectory() as folder:
        if not postgresql:
            yield lambda name: f"sqlite:///{folder}/{name}.db"
            return
        from tests.postgres import cluster

        with cluster() as server:

            def made(name: str) -> str:
                server.execute(f"CREATE DATABASE {name}")
                return server.url(name)

            yield made


def main() -> int:
    """Run, print one JSON object a run, and say whether nothing was lost or doubled."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--pauses", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    n_kills = given.kills if given.kills is not None else (100 if given.postgresql else 500)
    n_pauses = given.pauses if given.pauses is not None else (30 if given.postgresql else 100)
    with _databases(postgresql=given.postgresql) as url, tempfile.TemporaryDirectory() as folder:
        fenced = run(
            url("fenced"), n_kills=n_kills, n_pauses=n_pauses, seed=given.seed, folder=Path(folder)
        )
        print(json.dumps({"kills": n_kills, "pauses": n_pauses, **asdict(fenced)}), flush=True)
        (Path(folder) / "accepted").unlink()
        control = run(
            url("control"),
            n_kills=0,
            n_pauses=min(n_pauses, 30),
            seed=given.seed,
            fenced=False,
            folder=Path(folder),
        )
        print(json.dumps({"control": "without fencing", **asdict(control)}))
    caught = bool(control.stale or control.doubled)
    print(f"{'nothing lost or doubled' if fenced.is_clean else 'LOST OR DOUBLED'};", end=" ")
    print("the control was caught" if caught else "THE CONTROL WAS NOT CAUGHT")
    return 0 if fenced.is_clean and caught else 1


if __name__ == "__main__":
    sys.exit(main())
