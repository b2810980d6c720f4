"""The pages of jobs: the list, and one job as it runs and when it has ended."""

from __future__ import annotations

import pytest

from tests.browser.conftest import LONG, FinishedJob, Visitor, customers

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_the_shared_job_has_a_model(finished_job: FinishedJob, visitor: Visitor) -> None:
    assert len(LONG) == 200
    labels = [line.rsplit(";", 1)[1] for line in customers().splitlines()[1:]]
    assert 0.05 < labels.count("yes") / len(labels) < 0.2
    with visitor.service.client() as client:
        assert client.job(finished_job.id)["state"] == "DONE"
        assert client.card(finished_job.model)["target"] == "fragile"
