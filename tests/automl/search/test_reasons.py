"""Reasons add up to the score, agree with Shapley's definition, and name table columns."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.data.encoding import EncoderInfo, TableEncoder
from automl.errors import DataError
from automl.meters.cpu_time import CpuTimeMeter
from automl.search import reasons as module
from automl.search.champion import Champion
from automl.search.reasons import contributions, reasons, typical_row
from automl.search.run import search
from tests.automl.search.problems import rare


@pytest.fixture(scope="module")
def champion() -> Champion:
    return search(rare(), meter=CpuTimeMeter(), mode="eco", pick="most_accurate").champion


def _sources(champion: Champion) -> list[np.ndarray]:
    origins = champion.encoder.origins
    return [np.flatnonzero([o == name for o in origins]) for name in dict.fromkeys(origins)]


def test_all_contributions_add_up_to_the_distance_from_the_typical_row(champion: Champion) -> None:
    X = rare(seed=5).X.head(30)
    matrix = champion.matrix(X)
    shares = contributions(champion, matrix, _sources(champion))
    typical = np.asarray(champion.typical)[None, :]
    expected = champion.logit(matrix) - champion.logit(typical)
    np.testing.assert_allclose(shares.sum(axis=1), expected, atol=1e-9)


def test_sampled_orders_come_near_to_shapleys_definition(
    champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = champion.matrix(rare(seed=6).X.head(5))
    sources = _sources(champion)[:6]
    typical = np.asarray(champion.typical)
    rows = np.tile(typical, (5, 1))
    for own in sources:  # six columns differ at most, so that every order can be gone through
        rows[:, own] = matrix[:, own]
    truth = np.zeros((5, len(sources)))
    every = list(permutations(range(len(sources))))
    for order in every:
        at = np.tile(typical, (5, 1))
        before = champion.logit(at)
        for k in order:
            at[:, sources[k]] = rows[:, sources[k]]
            after = champion.logit(at)
            truth[:, k] += (after - before) / len(every)
            before = after
    sampled = contributions(champion, rows, sources)
    assert np.abs(sampled - truth).max() < 0.15 * np.abs(truth).max()
    monkeypatch.setattr(module, "EXACT_COLUMNS", len(sources))
    np.testing.assert_allclose(contributions(champion, rows, sources), truth, atol=1e-6)


def test_a_row_has_the_same_reasons_whatever_it_is_sent_with(champion: Champion) -> None:
    X = rare(seed=7).X.head(12)
    together = reasons(champion, X, n_reasons=3)
    alone = [reasons(champion, X.iloc[[i]], n_reasons=3)[0] for i in range(len(X))]
    for one, other in zip(together, alone, strict=True):
        assert [r.column for r in one] == [r.column for r in other]
        np.testing.assert_allclose(
            [r.contribution for r in one], [r.contribution for r in other], atol=1e-6
        )
    furthest = [abs(r.contribution) for r in together[0]]
    assert furthest == sorted(furthest, reverse=True)
    assert {r.column for row in together for r in row} <= set(X.columns)


def test_a_typical_row_has_no_reasons_and_a_saved_champion_the_same(
    champion: Champion, tmp_path: Path
) -> None:
    champion.save(tmp_path / "model")
    loaded = Champion.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.typical, champion.typical)
    X = rare(seed=8).X.head(3)
    assert reasons(loaded, X, n_reasons=2) == reasons(champion, X, n_reasons=2)
    matrix = np.asarray(champion.typical)[None, :]
    assert not contributions(champion, matrix, _sources(champion)).any()


def test_what_cannot_be_explained_says_so(champion: Champion) -> None:
    X = rare(seed=8).X
    with pytest.raises(DataError, match="made before reasons") as failure:
        reasons(replace(champion, typical=None), X.head(1), n_reasons=1)
    assert failure.value.code == "no_typical_row"
    many = pd.concat([X] * (1 + 2_000_000 // len(X)), ignore_index=True)
    with pytest.raises(DataError, match="send at most") as failure:
        reasons(champion, many, n_reasons=1)
    assert failure.value.code == "too_many_rows"
    assert reasons(champion, X.head(0), n_reasons=1) == []


def test_the_typical_row_is_medians_and_commonest_levels() -> None:
    X = pd.DataFrame(
        {
            "age": [30, 40, 90, None],
            "empty": [None, None, None, 1.0],
            "city": ["a", "b", "b", None],
            "opened": pd.to_datetime(["2024-01-03", "2024-02-03", "2024-05-01", "2024-06-09"]),
        }
    )
    encoder = TableEncoder().fit(X)
    matrix = encoder.transform(X)
    typical = typical_row(matrix, encoder.info)
    at = {name: encoder.origins.index(name) for name in ("age", "empty", "city")}
    assert typical[at["age"]] == 40
    assert np.isnan(typical[at["empty"]])
    assert typical[at["city"]] == 1
    assert len(encoder.origins) == len(encoder.names)
    assert encoder.origins.count("opened") > 1  # its parts are one column of the table
    assert isinstance(encoder.info, EncoderInfo)


def test_wide_rows_are_gone_through_block_by_block(
    champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = champion.matrix(rare(seed=8).X.head(6))
    whole = contributions(champion, matrix, _sources(champion))
    for cells in (1, 2 * matrix.shape[1]):  # a step, and two, at a time
        monkeypatch.setattr(module, "BLOCK_CELLS", cells)
        shares = contributions(champion, matrix, _sources(champion))
        np.testing.assert_allclose(shares, whole, atol=1e-5)


def test_what_would_take_too_long_is_refused_after_its_first_block(
    champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.search.reasons.BLOCK_CELLS", 200)
    monkeypatch.setattr("automl.search.reasons.MOST_SECONDS", 1e-6)
    with pytest.raises(DataError, match="send at most") as failure:
        reasons(champion, rare(seed=8).X.head(50), n_reasons=1)
    assert failure.value.code == "too_many_rows"
    assert int(str(failure.value.details["most_rows"])) >= 1
    assert len(reasons(champion, rare(seed=8).X.head(1), n_reasons=1)) == 1
