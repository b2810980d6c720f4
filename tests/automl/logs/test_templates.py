from __future__ import annotations

import json
import random
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.logs import tree
from automl.logs.entities import named
from automl.logs.masking import MASK, mask, tokens
from automl.logs.templates import TemplateMiner, Templates, mine

KINDS = (
    "session opened for {name} from {ip}",
    "session closed for {name} after {n} seconds",
    "Received blk_{n} of size {n} from /{ip}:{p}",
    "read /data/{name}/part-{n} in {f} ms",
    "request {uuid} done",
    "job=0x{h} failed",
)


def written(n_lines: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Lines made from kinds, and the kind of each."""
    chance = random.Random(seed)
    kinds = [chance.randrange(len(KINDS)) for _ in range(n_lines)]
    lines = [
        KINDS[kind].format(
            name="".join(chance.choices("abcdefghij", k=6)),
            ip=".".join(str(chance.randrange(256)) for _ in range(4)),
            n=chance.randrange(10**8),
            p=chance.randrange(65536),
            f=round(chance.random() * 9, 3),
            h=f"{chance.randrange(2**40):x}",
            uuid=f"{chance.randrange(2**32):08x}-0a1b-4c3d-8e9f-{chance.randrange(2**48):012x}",
        )
        for kind in kinds
    ]
    return lines, kinds


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("took 12.5 ms", "took <*> ms"),
        ("from 10.251.73.220:50010 ok", "from <*> ok"),
        ("uid=0 euid=-1", "uid=<*> euid=<*>"),
        ("blk_-1608999687919862906 gone", "<*> gone"),
        ("req-38101a0b-2096-447d-96ea-a692162415ae done", "<*> done"),
        ("id 0xDEADbeef set", "id <*> set"),
        ("commit deadbeefcafe done", "commit <*> done"),
        ("open /etc/httpd/conf now", "open <*> now"),
        ("see https://a.example/b?c=1 now", "see <*> now"),
        ("2024-01-02T03:04:05 was it", "<*> was it"),
        ("first line 1\n at second", "first line <*>"),
        ("no number here", "no number here"),
        ("E17", "E17"),
    ],
)
def test_what_varies_is_masked(message, expected):
    assert mask(pa.array([message])).to_pylist() == [expected]


def test_lists_of_any_length_are_one_mask():
    short, long = mask(
        pa.array(["to 10.0.0.1:1 done", "to 10.0.0.1:1 10.0.0.2:1, 10.0.0.3:1 done"])
    )
    assert tokens(short.as_py()) == tokens(long.as_py()) == ("to", MASK, "done")


def test_kinds_of_lines_are_found_again():
    lines, kinds = written(3_000)
    found = mine([pa.array(lines)])
    numbers = found.assign(pa.array(lines))
    groups = {(number, kind) for number, kind in zip(numbers.tolist(), kinds, strict=True)}
    assert len(groups) == len(found) == len(KINDS)
    assert found.counts == tuple(sorted(found.counts, reverse=True))
    assert sum(found.counts) == found.n_lines == 3_000


@given(st.randoms(use_true_random=False), st.integers(1, 500))
@settings(max_examples=15)
def test_the_order_of_lines_and_batches_does_not_matter(chance, size):
    lines, _ = written(600)
    expected = mine([pa.array(lines)])
    chance.shuffle(lines)
    miner = TemplateMiner()
    for at in range(0, len(lines), size):
        miner.update(pa.array(lines[at : at + size]))
    assert miner.templates() == expected


def test_a_rare_word_beside_a_frequent_one_is_told_apart_and_names_are_not():
    lines = ["responder for block 1 terminating"] * 200 + ["responder for block 1 Interrupted."]
    names = [f"hello {chr(97 + one // 26)}{chr(97 + one % 26)} and welcome" for one in range(60)]
    found = mine([pa.array(lines + names)])
    assert set(found.texts) == {
        "responder for block <*> terminating",
        "responder for block <*> Interrupted.",
        "hello <*> and welcome",
    }


def test_of_several_templates_that_fit_the_one_of_most_words_is_meant():
    found = Templates(
        texts=("<*> <*> c", "a <*> <*>", "<*> b c", "a b <*>", "<*>"), counts=(5,) * 5, n_lines=25
    )
    lines = ["a b c", "a x c", "x b c", "x y c", "a b z", "x y z", "single", "a b c d", "", None]

    def brute(line: str | None) -> int:
        words = (line or "").split()
        fits = [
            (-sum(word != MASK for word in text.split()), number)
            for number, text in enumerate(found.texts)
            if len(text.split()) == len(words)
            and all(one in (MASK, other) for one, other in zip(text.split(), words, strict=True))
        ]
        return min(fits)[1] if fits else -1

    assert found.assign(pa.array(lines)).tolist() == [brute(one) for one in lines]
    assert brute("a b c") == 2
    assert brute("a b c d") == -1


def test_json_there_and_back_and_some_of_them():
    lines, _ = written(500)
    found = mine([pa.array(lines)])
    again = Templates.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    some = found.only([2, 0])
    numbers, fewer = found.assign(pa.array(lines)), some.assign(pa.array(lines))
    assert (fewer == np.select([numbers == 2, numbers == 0], [0, 1], -1)).all()


def test_chunked_and_dictionary_messages_are_assigned_alike():
    lines, _ = written(50)
    found = mine([pa.array(lines)])
    expected = found.assign(pa.array(lines)).tolist()
    chunked = pa.chunked_array([lines[:20], lines[20:]])
    for messages in (chunked, chunked.dictionary_encode(), pa.array(lines, pa.large_string())):
        assert found.assign(messages).tolist() == expected
    assert found.assign(pa.array([], pa.string())).tolist() == []
    assert found.assign(pa.chunked_array([], pa.string())).tolist() == []


def test_memory_is_bounded_by_templates_taking_the_place_of_lines():
    lines, kinds = written(4_000)
    miner = TemplateMiner(max_distinct=50)
    for at in range(0, len(lines), 100):
        miner.update(pa.array(lines[at : at + 100]))
    assert len(miner._counts) <= 150
    found = miner.templates(min_lines=20)
    numbers = found.assign(pa.array(lines))
    for kind in range(len(KINDS)):
        of_kind = numbers[np.array(kinds) == kind]
        assert (of_kind == np.bincount(of_kind[of_kind >= 0]).argmax()).mean() > 0.95


def test_free_text_cannot_make_templates_grow(monkeypatch):
    monkeypatch.setattr(tree, "MAX_GROUPS", 20)
    chance = random.Random(0)
    lines = [" ".join(chance.choices("abcdefghijklmnop", k=8)) for _ in range(3_000)]
    found = mine([pa.array(["the pump has stopped"] * 9 + lines)])
    assert len(found) <= 20 * (tree.MAX_CHILDREN + 1) + 1
    assert found.texts[0] == "the pump has stopped" or "the pump has stopped" in found.texts


@given(st.lists(st.text(max_size=30), max_size=30))
@settings(max_examples=60)
def test_any_messages_have_templates_that_fit_them(lines):
    found = mine([pa.array(lines, pa.string())])
    numbers = found.assign(pa.array(lines, pa.string()))
    for line, number in zip(lines, numbers.tolist(), strict=True):
        words = tokens(mask(pa.array([line])).to_pylist()[0])
        assert (number == -1) == (not words)


@given(st.lists(st.text("ab_1 ,.()[-", max_size=25), max_size=8), st.sampled_from(["b_", "a", "1"]))
@settings(max_examples=80)
def test_entities_are_those_of_a_plain_search(messages, prefix):
    found = named(pa.array(messages, pa.string()), prefix)
    expected = []
    for row, text in enumerate(messages):
        words = [re.sub(r"[.:/-]{1,3}$", "", word) for word in re.split(r"[ ,()\[]+", text)]
        keys = [one for one in words if one.startswith(prefix) and len(one) > len(prefix)]
        expected += [(row, key) for key in dict.fromkeys(keys)]
    assert list(zip(found.row.tolist(), found.key.to_pylist(), strict=True)) == expected


@pytest.mark.data
def test_grouping_of_the_hdfs_sample_is_that_by_hand(shared_data):
    import pandas as pd

    by_hand = pd.read_csv(shared_data / "hdfs" / "HDFS_2k.log_structured.csv.gz")
    messages = pa.array(by_hand["Content"].astype(str))
    numbers = mine([messages]).assign(messages)
    pairs = set(zip(numbers.tolist(), by_hand["EventId"], strict=True))
    assert len(pairs) == by_hand["EventId"].nunique() == len(set(numbers.tolist())) == 14
