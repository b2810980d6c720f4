"""Which rows a champion has seen."""

from __future__ import annotations

import numpy as np
import pytest

from automl.search.seen import Seen, hashes

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(30_000, 5)).astype(np.float32)
ROWS[RNG.random(ROWS.shape) < 0.1] = np.nan


def test_a_seen_row_never_passes_for_new() -> None:
    for n_rows in (1, 10, 3_000, 20_000):
        assert Seen.of(hashes(ROWS[:n_rows])).holds(hashes(ROWS[:n_rows])).all()


def test_few_new_rows_pass_for_seen() -> None:
    seen = Seen.of(hashes(ROWS[:20_000]))
    assert seen.holds(hashes(ROWS[20_000:])).mean() < 0.03
    assert len(seen.bits) * 8 <= 2 * 10 * 20_000


def test_rows_go_by_their_cells() -> None:
    base = np.array([[1.0, np.nan, 0.0]], dtype=np.float32)
    alike = np.array([[1.0, -np.float32(np.nan), -0.0]], dtype=np.float32)
    assert hashes(base) == hashes(alike)
    for other in ([1.0, np.nan, 1e-30], [np.nan, 1.0, 0.0], [1.0, 0.0, 0.0]):
        assert hashes(base) != hashes(np.array([other], dtype=np.float32))


def test_the_hash_of_a_row_does_not_depend_on_its_place_or_memory_order() -> None:
    assert (hashes(ROWS[::-1])[::-1] == hashes(ROWS)).all()
    assert (hashes(np.asfortranarray(ROWS)) == hashes(ROWS)).all()


@pytest.mark.parametrize(
    ("grown", "within"),
    [
        (ROWS[:2_000], True),
        (ROWS[:500], False),
        (ROWS[1:2_000], False),
        (np.concatenate([ROWS[2_000:3_000], ROWS[:1_000]])[::-1], None),
    ],
)
def test_all_its_rows_are_within_an_appended_table(grown: np.ndarray, within: bool | None) -> None:
    found = Seen.of(hashes(ROWS[:1_000])).is_within(hashes(grown))
    # Shuffled rows may be recognised or not; that they are is never said of rows that are not.
    assert found is within or within is None


def test_no_rows() -> None:
    assert not len(Seen.of(hashes(ROWS[:0])).holds(hashes(ROWS[:0])))
