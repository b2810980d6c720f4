from __future__ import annotations

import itertools
import json
import math
import re
import zlib
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.features.featurizer import Featurizer, groups_of
from automl.features.group import FittedGroup, Group
from automl.features.levels import LogLevels, levels_of
from automl.features.parameters import Parameters, numbers_at
from automl.features.sequences import Sequences
from automl.features.templates import LogTemplates
from automl.features.words import Words
from automl.relations.tables import EventTable, Relations
from tests.automl.features.log_rows import log_relations, without_the_others
from tests.automl.features.making import compare, event_table, relations, visible

KINDS = ("templates", "sequences", "levels", "parameters", "words")
GROUPS = [f"log.{kind}" for kind in KINDS]


@pytest.fixture(scope="module")
def made() -> Relations:
    return log_relations()


@pytest.fixture(scope="module")
def fitted(made) -> Featurizer:
    return Featurizer.fit(made, GROUPS, seed=0)


def fit(group: Group, made: Relations) -> Any:
    found = group.fit(made.tables["log"], made.spans("log"), seed=0)
    assert found is not None
    return found


def frame(group: FittedGroup, made: Relations) -> pd.DataFrame:
    columns = group.transform(made.tables["log"], made.spans("log"))
    assert all(one.dtype == np.float32 for one in columns)
    return pd.DataFrame(dict(zip(group.columns, columns, strict=True)))


def numbered(group, messages) -> list[int]:
    return group.templates.assign(pa.array(list(messages), pa.string(), from_pandas=True)).tolist()


def test_templates_are_those_of_a_plain_loop(made):
    group = fit(LogTemplates(), made)
    k, texts = len(group.templates), group.templates.texts
    assert "card ordered, reference <*>" in texts
    assert len(texts) == 5  # what one or two subjects said is none
    shares = [(n + 1) / (group.templates.n_lines + k + 1) for n in (*group.templates.counts, 0)]
    expected = []
    for row in range(made.n_rows):
        found: dict[str, Any] = {}
        for window in group.windows:
            seen = numbered(group, visible(made, row, window)["message"])
            whole = numbered(group, visible(made, row)["message"])
            counts, n = Counter(seen), len(seen) or math.nan
            for number in range(k):
                found[f"log.template.{number}.count.{window.name}"] = counts[number]
                found[f"log.template.{number}.share.{window.name}"] = counts[number] / n
            name = f"log.templates.{{}}.{window.name}"
            rarity = [-math.log(shares[one]) for one in seen]
            found[name.format("kinds")] = len(counts)
            found[name.format("rarity_mean")] = np.mean(rarity) if seen else math.nan
            found[name.format("rarity_max")] = max(rarity, default=math.nan)
            found[name.format("unseen")] = counts[-1]
            found[name.format("unseen_share")] = counts[-1] / n
            before = whole[: len(whole) - len(seen)]
            found[name.format("fresh")] = len(set(seen) - set(before))
        expected.append(found)
    compare(frame(group, made), expected)


def test_sequences_are_those_of_a_plain_loop(made):
    group = fit(Sequences(), made)
    k = len(group.templates)
    states = [
        [one if one >= 0 else k for one in numbered(group, visible(made, row)["message"])]
        for row in range(made.n_rows)
    ]
    turns: Counter[tuple[int, int]] = Counter()
    rows_with: Counter[tuple[int, int]] = Counter()
    whole = Counter(tuple(one) for one in states if one and len(one) <= 64)
    for one in states:
        steps = list(zip([k + 1, *one], one, strict=False))
        turns.update(steps)
        rows_with.update(set(steps))
    totals = Counter(
        {state: sum(n for (a, _), n in turns.items() if a == state) for state in range(k + 2)}
    )
    known = {turn: n for turn, n in turns.items() if rows_with[turn] >= 3}
    assert group.turns == known
    expected = []
    for one in states:
        steps = list(zip([k + 1, *one], one, strict=False))
        surprise = [math.log((totals[a] + k + 1) / (known.get((a, b), 0) + 1)) for a, b in steps]
        found = {
            "surprise_mean": np.mean(surprise) if one else math.nan,
            "surprise_max": max(surprise, default=math.nan),
            "surprise_last": surprise[-1] if one else math.nan,
            "rare": sum(value > -math.log(0.01) for value in surprise),
            "new": sum(turn not in known for turn in steps),
            "last": one[-1] if one else math.nan,
            "same": math.log1p(whole[tuple(one)] if whole[tuple(one)] >= 3 else 0),
        }
        for number, pair in enumerate(group.pairs):
            found[f"pair.{number}.count"] = list(itertools.pairwise(one)).count(pair)
        for number, triple in enumerate(group.triples):
            triples = list(zip(one, one[1:], one[2:], strict=False))
            found[f"triple.{number}.count"] = triples.count(triple)
        expected.append({f"log.sequence.{name}": value for name, value in found.items()})
    compare(frame(group, made), expected)


def test_the_order_within_a_sequence_counts():
    lines = [("E1", "E2", "E3")] * 8 + [("E3", "E2", "E1")] * 8
    table = event_table(
        "log",
        subject=np.repeat(range(16), 3).tolist(),
        time=list(range(48)),
        columns={"message": [one for line in lines for one in line]},
        role="log",
        message="message",
    )
    made = relations(table, subjects=range(16), cut_off=[np.inf] * 16)
    group = fit(Sequences(), made)
    assert len(group.sequences) == 2
    assert set(group.sequences.values()) == {8}


def test_levels_are_those_of_a_plain_loop(made):
    group = fit(LogLevels(), made)
    assert group.reads == ("level",)
    code = {"debug": 0, "INFO": 1, "WARN": 2, "ERROR": 3}
    expected = []
    for row in range(made.n_rows):
        found: dict[str, Any] = {}
        for window in group.windows:
            levels = [code.get(one, -1) for one in visible(made, row, window)["level"]]
            n = len(levels) or math.nan
            for name, counted in (
                ("debug", levels.count(0)),
                ("info", levels.count(1)),
                ("warning", levels.count(2)),
                ("error", levels.count(3)),
            ):
                found[f"log.level.{name}.count.{window.name}"] = counted
                found[f"log.level.{name}.share.{window.name}"] = counted / n
        seen = visible(made, row)
        errors = np.flatnonzero(seen["level"] == "ERROR")
        last = errors[-1] if len(errors) else None
        found["log.level.since_error"] = (
            math.nan if last is None else (made.cut_off[row] - seen["time"].iloc[last]) / 86_400
        )
        found["log.level.lines_since_error"] = math.nan if last is None else len(seen) - 1 - last
        expected.append(found)
    compare(frame(group, made), expected)


def test_a_log_without_levels_says_errors_in_words(made):
    table = made.tables["log"]
    bare = replace(table, columns=table.columns.select(["message"]))
    said = fit(LogLevels(), replace(made, tables={"log": bare}))
    assert said.is_said
    found = levels_of(table.columns["message"], is_said=True)
    expected = [
        -1 if one is None else 3 if "failed" in one else 1
        for one in table.columns["message"].to_pylist()
    ]
    assert found.tolist() == expected


def test_parameters_are_those_of_a_plain_loop(made):
    group = fit(Parameters(), made)
    texts = group.templates.texts
    assert sorted((texts[one], place) for one, place in group.places) == [
        ("card ordered, reference <*>", 0),
        ("payment of <*> EUR failed", 0),
        ("transfer of <*> EUR sent", 0),
    ]
    expected = []
    for row in range(made.n_rows):
        found = {}
        for one, place in group.places:
            pattern = re.escape(texts[one]).replace(re.escape("<*>"), r"(\d+)")
            values = [
                float(match[1])
                for message in visible(made, row, group.window)["message"].dropna()
                if (match := re.fullmatch(pattern, message))
            ]
            name = f"log.parameter.{one}.{place}.{{}}.{group.window.name}"
            found[name.format("mean")] = np.mean(values) if values else math.nan
            found[name.format("max")] = max(values, default=math.nan)
            found[name.format("last")] = values[-1] if values else math.nan
        expected.append(found)
    compare(frame(group, made), expected)


@pytest.mark.parametrize(
    ("message", "template", "expected"),
    [
        ("took 1.5 ms of 20", "took <*> ms of <*>", [1.5, 20.0]),
        ("took +3 ms of -2", "took <*> ms of <*>", [3.0, -2.0]),
        ("size=12 left=x", "size=<*> left=<*>", [12.0, None]),
        ("12 (a+b) [c]", "<*> (a+b) [c]", [12.0]),
        ("of 10.0.0.1", "of <*>", [None]),
        ("of 12345678901234567890", "of <*>", [None]),
        ("something else", "of <*>", [None]),
        ("of 5\nand more", "of <*>", [5.0]),
    ],
)
def test_numbers_at_the_places_of_a_template(message, template, expected):
    found = [values[0] for values in numbers_at(pa.array([message]), template)]
    assert [None if math.isnan(one) else one for one in found] == expected


def test_words_are_those_of_a_plain_loop(made):
    group = fit(Words(), made)
    hashes = group.hashes["message"]

    def words(message: str | None) -> set[int]:
        found = re.findall("[a-z]{2,}", re.sub(r"\d\S*", " ", (message or "").lower()))
        return {zlib.crc32(word.encode()) % 2**16 for word in found}

    assert words("failed") <= set(hashes)
    expected = []
    for row in range(made.n_rows):
        seen = [
            words(one if isinstance(one, str) else None) for one in visible(made, row)["message"]
        ]
        expected.append(
            {
                f"log.message.word.{one}.share": np.mean([one in some for some in seen])
                if seen
                else math.nan
                for one in hashes
            }
        )
    compare(frame(group, made), expected)


@given(st.lists(st.integers(0, 59), min_size=1, max_size=20))
@settings(max_examples=20)
def test_a_row_gets_the_same_bytes_in_any_company(made, fitted, rows):
    at = np.array(rows)
    expected = fitted.transform(made).to_numpy()[at].tobytes()
    assert fitted.transform(made.take(at)).to_numpy().tobytes() == expected
    assert fitted.transform(without_the_others(made, at)).to_numpy().tobytes() == expected


def test_json_there_and_back_and_blocks_of_any_size_give_the_same_bytes(made, fitted, monkeypatch):
    expected = fitted.transform(made).to_numpy().tobytes()
    text = json.dumps(fitted.to_json())
    again = Featurizer.from_json(json.loads(text))
    assert again.transform(made).to_numpy().tobytes() == expected
    for size in (1, 13, 100):
        monkeypatch.setattr("automl.features.segments.blocks.__kwdefaults__", {"size": size})
        monkeypatch.setattr("automl.features.mined.BLOCK", size)
        assert again.transform(made).to_numpy().tobytes() == expected
    assert not re.search(r"[qwxz]{6}", text)  # what one entity said is not in the model


def test_some_columns_have_the_bytes_that_they_have_among_all(made, fitted):
    whole = fitted.transform(made)
    for name in [one for group in fitted.groups for one in list(group.columns)[::9]]:
        alone = fitted.only([name])
        assert alone.transform(made)[name].to_numpy().tobytes() == whole[name].to_numpy().tobytes()


def test_no_line_at_or_after_the_cut_off_is_seen(made, fitted):
    table = made.tables["log"]
    _, at = np.unique(made.subjects["log"], return_index=True)  # one row per subject
    rows = made.take(at)
    cut_off = dict(zip(rows.subjects["log"].tolist(), rows.cut_off.tolist(), strict=True))
    late = np.array(
        [
            time >= cut_off.get(int(subject), -np.inf)
            for subject, time in zip(table.subject, table.time, strict=True)
        ]
    )
    assert late.any()
    ruined = table.columns.set_column(
        0, "level", pa.array(np.where(late, "FATAL", table.columns["level"].to_numpy()))
    )
    messages = np.where(late, "payment of 7 EUR failed", table.columns["message"].to_numpy())
    ruined = ruined.set_column(1, "message", pa.array(messages))
    other = replace(rows, tables={"log": replace(table, columns=ruined)})
    expected = fitted.transform(rows).to_numpy().tobytes()
    assert fitted.transform(other).to_numpy().tobytes() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_where_there_is_nothing_to_say_there_is_no_group(kind):
    empty = pa.table({"level": pa.array([], pa.string()), "message": pa.array([], pa.string())})
    table = EventTable(
        name="log",
        role="log",
        subject=np.empty(0, dtype=np.int64),
        time=np.empty(0),
        columns=empty,
        message="message",
    )
    made = relations(table, subjects=[0, 1], cut_off=[np.inf, 5.0])
    assert Featurizer.fit(made, [f"log.{kind}"], seed=0).columns == []


def test_an_entity_without_lines_has_no_bytes_but_zeros_and_nan(made, fitted):
    nobody = without_the_others(made, np.array([0]))
    alone = replace(nobody, subjects={"log": np.array([999])})
    values = fitted.transform(alone).to_numpy()
    assert (np.isnan(values) | (values == 0)).all()


def test_a_log_offers_these_groups_and_a_series_does_not(made):
    assert set(GROUPS) <= {one.name for one in groups_of(made)}
    series = replace(made.tables["log"], role="series", message=None)
    assert not set(GROUPS) & {one.name for one in groups_of(replace(made, tables={"log": series}))}
