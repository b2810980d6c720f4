import json

from benchmarks import results


def row(system, ap, **more):
    return {"set": "a", "seed": 0, "system": system, "ap": ap, **more}


def test_the_last_line_of_a_key_counts(tmp_path):
    path = tmp_path / "new" / "search.jsonl"
    results.append(path, [row("one", 0.1), row("two", 0.2)])
    results.append(path, [row("one", 0.3)])
    found = results.read(path)
    assert found["a", 0, "one"]["ap"] == 0.3
    assert found["a", 0, "two"]["ap"] == 0.2


def test_a_half_written_line_is_skipped(tmp_path):
    path = tmp_path / "search.jsonl"
    path.write_text(json.dumps(row("one", 0.1)) + "\n" + '{"set": "a", "se')
    assert list(results.read(path)) == [("a", 0, "one")]


def test_a_failed_row_is_not_done():
    rows = {("a", 0, "one"): row("one", 0.1), ("a", 0, "two"): row("two", None, error="exit 1")}
    assert results.done(rows, [("a", 0, "one")])
    assert not results.done(rows, [("a", 0, "two")])
    assert not results.done(rows, [("a", 0, "one"), ("a", 1, "one")])


def test_provenance_says_machine_date_and_commit(monkeypatch):
    monkeypatch.setenv("FRUGAL_COMMIT", "abc1234")
    found = results.provenance()
    assert found["commit"] == "abc1234"
    assert "CPUs" in found["machine"]
    assert found["date"].endswith("+00:00")
