"""What every journal of a search keeps; other implementations add themselves to MAKERS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from automl.cost import Cost
from automl.search.journal import Journal, MemoryJournal
from automl.trial import Candidate, Proposal, Trial

MAKERS: dict[str, Callable[[], Journal]] = {"memory": MemoryJournal}


@pytest.fixture(params=sorted(MAKERS))
def journal(request: pytest.FixtureRequest) -> Journal:
    return MAKERS[request.param]()


EXPECTED = Cost(cpu_seconds=0.5, joules=2.0, meter="expected")


def proposal(C: float = 0.1, *, n_rows: int = 100) -> Proposal:
    return Proposal(
        candidate=Candidate(model="logistic", params={"C": C}), rung="screening", n_rows=n_rows
    )


def trial(number: int, *, error: str | None = None) -> Trial:
    return Trial(
        number=number,
        proposal=proposal(),
        cost=Cost(cpu_seconds=0.1 + 0.2, joules=1.5, wall_seconds=0.4, meter="cpu_time"),
        expected=EXPECTED,
        score=None if error else 0.1 + 0.2,
        interval=None if error else (0.2, 0.4),
        scores={} if error else {"average_precision": 0.1 + 0.2, "roc_auc": 0.8},
        predict_joules=None if error else 0.01,
        peak_memory_bytes=1 << 30,
        details={} if error else {"parts": [{"best_iteration": 31, "nested": {"a": [1, 2.5]}}]},
        error=error,
    )


def arrays(n: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    return {"rows": rng.permutation(n).astype(np.int64), "logit": rng.normal(size=n)}


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert list(journal.finished()) == []
    assert journal.interrupted() is None
    assert journal.out_of_fold(0) is None


def test_an_ended_trial_comes_back_as_it_was(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), arrays())
    assert list(journal.finished()) == [trial(0)]
    assert journal.interrupted() is None


def test_out_of_fold_arrays_come_back_bit_for_bit(journal: Journal) -> None:
    given = arrays()
    given["logit"][:2] = [np.nextafter(0.1, 1), -1e300]
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), given)
    found = journal.out_of_fold(0)
    assert found is not None
    assert set(found) == {"rows", "logit"}
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()


def test_kept_arrays_do_not_follow_later_changes(journal: Journal) -> None:
    given = arrays()
    before = given["logit"].copy()
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), given)
    given["logit"][:] = 0
    found = journal.out_of_fold(0)
    assert found is not None
    np.testing.assert_array_equal(found["logit"], before)


def test_a_failed_trial_is_finished_and_has_no_arrays(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0, error="MemoryError: "), None)
    assert [t.error for t in journal.finished()] == ["MemoryError: "]
    assert journal.out_of_fold(0) is None


def test_a_begun_trial_that_never_ended_is_told(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), arrays())
    journal.begin(1, proposal(2.0, n_rows=7), EXPECTED)
    begun = journal.interrupted()
    assert begun is not None
    assert (begun.number, begun.proposal, begun.expected) == (1, proposal(2.0, n_rows=7), EXPECTED)
    assert [t.number for t in journal.finished()] == [0]


def test_an_interrupted_trial_can_be_ended(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0, error="its process died"), None)
    assert journal.interrupted() is None
    assert [t.number for t in journal.finished()] == [0]


def test_trials_come_back_ordered_by_number(journal: Journal) -> None:
    for number in range(12):
        journal.begin(number, proposal(number + 1.0), EXPECTED)
        journal.end(trial(number), arrays())
    assert [t.number for t in journal.finished()] == list(range(12))


def test_a_number_is_begun_once(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    with pytest.raises(ValueError):
        journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), arrays())
    with pytest.raises(ValueError):
        journal.begin(0, proposal(), EXPECTED)


def test_trials_do_not_overlap(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    with pytest.raises(ValueError):
        journal.begin(1, proposal(2.0), EXPECTED)


def test_a_trial_that_was_not_begun_cannot_end(journal: Journal) -> None:
    with pytest.raises(ValueError):
        journal.end(trial(3), arrays())


def test_a_trial_ends_once(journal: Journal) -> None:
    journal.begin(0, proposal(), EXPECTED)
    journal.end(trial(0), arrays())
    with pytest.raises(ValueError):
        journal.end(trial(0), arrays())
    assert len(journal.finished()) == 1
