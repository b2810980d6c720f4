"""Sessions of a log from its raw lines: ranked without labels, and learnt with those of a file."""

from __future__ import annotations

import io
import random
import time
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from automl.search.anomaly import AnomalyRanker
from scheduler.execution import execute
from tests.api.pages.test_pages import ask
from tests.api.parts import Site, build
from tests.api.relations import assembled, frame_csv, uploaded

pytestmark = pytest.mark.slow  # starts children

N_SESSIONS, N_ODD = 300, 12
USUAL = ("opened file", "read 10 blocks", "wrote 3 blocks", "closed file")


def log_of(prefix: str = "s", seed: int = 3) -> tuple[str, dict[str, int]]:
    """Lines of sessions, the odd ones with an error that is retried, and which they are."""
    chance = random.Random(seed)
    lines: list[tuple[str, str]] = []
    labels = {}
    for i in range(N_SESSIONS):
        name, odd = f"{prefix}{i:04d}", i % (N_SESSIONS // N_ODD) == 0
        labels[name] = int(odd)
        own = [USUAL[0]] + [chance.choice(USUAL[1:3]) for _ in range(chance.randint(1, 4))]
        own += ["checksum mismatch of block 7, retried"] * 5 if odd else []
        lines += [(name, text) for text in [*own, USUAL[3]]]
    return "\n".join(f"{name} {text}" for name, text in lines) + "\n", labels


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("sessions"), reads_files=True)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


def log_table(dataset: str, **more: str) -> dict[str, Any]:
    return {
        "role": "log",
        "key": "key",
        "time_format": "order",
        "message": "message",
        "exclude": ["line"],
        "source": {"dataset": dataset},
        **more,
    }


def sessions(site: Site, lines: str) -> dict[str, Any]:
    log = uploaded(site, lines.encode(), name="app.log", log_format="key_message")
    assert log["state"] == "READY", log["problem"]
    spec = {
        "tables": {"log": log_table(log["id"])},
        "windows": {"table": "log", "sessions": "key"},
    }
    return assembled(site, spec, name="sessions")


def run(site: Site, **request: Any) -> dict[str, Any]:
    answer = site.post("/v1/jobs", json=request)
    assert answer.status_code == 202, answer.text
    job = site.claim()
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    found: dict[str, Any] = site.get(f"/v1/jobs/{answer.json['id']}").json
    assert found["state"] == "DONE", found["problem"]
    return found


@pytest.fixture(scope="module")
def ranked(site: Site) -> dict[str, Any]:
    dataset = sessions(site, log_of()[0])
    assert dataset["state"] == "READY", dataset["problem"]
    assert dataset["n_rows"] == N_SESSIONS
    objective = {"alert_rate": N_ODD / N_SESSIONS}
    return run(site, dataset=dataset["id"], target=None, model="odd", objective=objective)


def test_sessions_without_labels_are_ranked_by_what_their_lines_say(
    site: Site, ranked: dict[str, Any]
) -> None:
    groups = {one["name"]: one for one in ranked["result"]["tables"]["feature_groups"]}
    assert groups["log.templates"]["kept"]
    assert not groups["log.sequences"]["kept"]
    lines, labels = log_of()
    anomaly = asked(site, "odd", labels, lines)
    assert oddest(anomaly) == {name for name, label in labels.items() if label}


def test_each_session_gets_the_same_alone_in_a_batch_and_after_a_reload(
    site: Site, ranked: dict[str, Any]
) -> None:
    lines, labels = log_of("t", seed=8)  # another day's
    together = asked(site, "odd", labels, lines)
    assert oddest(together) == {name for name, label in labels.items() if label}
    one = next(name for name, label in labels.items() if label)
    own = "".join(line + "\n" for line in lines.splitlines() if line.startswith(f"{one} "))
    assert asked(site, "odd", [one], own) == {one: together[one]}
    newer = sessions(site, lines)
    answer = site.post("/v1/models/odd/predictions", json={"dataset": newer["id"], "format": "csv"})
    assert answer.status_code == 202, answer.text
    done = ended(site, answer.headers["Location"])
    assert done["state"] == "DONE", done["problem"]
    content = site.get(done["content"])
    batch = pd.read_csv(io.BytesIO(content.data)).set_index("key")["anomaly"]
    assert batch.to_dict() == pytest.approx(together)
    model = site.store.get_model(site.project, "odd")
    loaded = AnomalyRanker.load(site.artifacts.path(model.artifact), sha256=model.sha256)
    assert loaded.tables is not None
    assert loaded.own_columns == []
    assert set(loaded.tables.featurizer.columns) <= set(loaded.columns)


def test_labels_in_a_second_file_are_learnt_from(site: Site) -> None:
    lines, labels = log_of()
    log = uploaded(site, lines.encode(), name="app.log", log_format="key_message")
    rows = pd.DataFrame(
        {"session": list(labels), "label": ["odd" if v else "" for v in labels.values()]}
    )
    rows["label"] = rows["label"].replace("", "usual")
    table = uploaded(site, frame_csv(rows), name="labels.csv")
    spec = {
        "tables": {
            "session": {"role": "entities", "source": {"dataset": table["id"]}},
            "log": log_table(log["id"], to="session.session"),
        },
        "key": "session",
        "target": "label",
        "positive": "odd",
    }
    dataset = assembled(site, spec)
    assert dataset["state"] == "READY", dataset["problem"]
    request = {"mode": "eco", "limits": {"trials": 2}}
    done = run(site, dataset=dataset["id"], model="learnt", **request)
    assert any(one["kept"] for one in done["result"]["tables"]["feature_groups"])
    answer = site.post(
        "/v1/models/learnt/predict",
        json={"rows": [{"session": name} for name in labels], "tables": {"log": {"log": lines}}},
    )
    assert answer.status_code == 200, answer.text
    found = [one["probability"] for one in answer.json["predictions"]]
    assert roc_auc_score(list(labels.values()), found) > 0.99


def test_without_a_target_the_labels_that_are_there_make_nothing_odd(site: Site) -> None:
    lines, labels = log_of()
    log = uploaded(site, lines.encode(), name="app.log", log_format="key_message")
    table = uploaded(
        site, frame_csv(pd.DataFrame({"key": list(labels), "bad": list(labels.values())}))
    )
    spec = {
        "tables": {
            "session": {"role": "entities", "source": {"dataset": table["id"]}},
            "log": log_table(log["id"], to="session"),
        },
        "key": "key",
        "target": "bad",
    }
    dataset = assembled(site, spec)
    done = run(site, dataset=dataset["id"], target=None, model="unlabelled")
    assert done["request"]["exclude"] == ["key", "bad"]


def asked(site: Site, model: str, names: Iterable[str], lines: str) -> dict[str, float]:
    """The anomaly of each session by its lines."""
    body = {"rows": [{"key": name} for name in names], "tables": {"log": {"log": lines}}}
    answer = site.post(f"/v1/models/{model}/predict", json=body)
    assert answer.status_code == 200, answer.text
    found = [one["anomaly"] for one in answer.json["predictions"]]
    return dict(zip(names, found, strict=True))


def oddest(anomaly: dict[str, float]) -> set[str]:
    return set(sorted(anomaly, key=lambda name: -anomaly[name])[:N_ODD])


def ended(site: Site, location: str) -> dict[str, Any]:
    end = time.monotonic() + 240
    while (found := site.get(location).json)["state"] == "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return dict(found)


def test_what_was_not_tried_is_told_as_such_everywhere(site: Site, ranked: dict[str, Any]) -> None:
    job = ranked["id"]
    for path in ("receipt", "leaderboard", "frugality"):
        found = site.get(f"/v1/jobs/{job}/{path}")
        assert found.status_code == 200, found.text
    groups = site.get(f"/v1/jobs/{job}/leaderboard").json["tables"]["feature_groups"]
    assert "log.sequences" in {one["name"] for one in groups}
    card = site.get("/v1/models/odd/card").json
    assert {one["score"] for one in card["feature_groups"]} == {None}
    content = zipfile.ZipFile(io.BytesIO(site.get("/v1/models/odd/export").data))
    readme = content.read("README.md").decode()
    assert "AnomalyRanker.load" in readme
    assert "champion.anomaly(champion.tables.featured(relations))" in readme
    for page in (f"/ui/jobs/{job}", f"/ui/jobs/{job}/leaderboard", "/ui/models/odd"):
        found = ask(site, page)
        assert found.status_code == 200, page
