"""What is stored of entity rows is read in parts as it is read whole."""

from __future__ import annotations

import numpy as np
import pytest

from automl.relations import entities
from automl.relations.entities import Entities, write_entities


@pytest.mark.parametrize("few", [0, 3])
def test_any_positions_give_the_rows_that_were_written(tmp_path, monkeypatch, few):
    rng = np.random.default_rng(1)
    monkeypatch.setattr(entities, "GROUP_ROWS", 7)
    monkeypatch.setattr(entities, "FEW_GROUPS", few)
    cut_off = np.where(rng.random(40) < 0.2, np.inf, rng.normal(size=40))
    town = rng.integers(-1, 5, 40)
    write_entities(tmp_path, cut_off=cut_off, subjects={"town": town})
    read = Entities(tmp_path)
    for positions in ([0], [39, 0, 3, 3], [13, 14, 6, 7], [], list(range(40))[::-1]):
        at = np.array(positions, dtype=np.int64)
        assert read.cut_off(at).tolist() == cut_off[at].tolist()
        assert read.subjects("town", at).tolist() == town[at].tolist()
