import pytest

from benchmarks import results, search
from benchmarks.sets import SETS, Table
from benchmarks.systems import SIX_SETS, SYSTEMS, answers
from tests.benchmarks.test_sets import made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.jsonl"


@pytest.fixture
def ran(monkeypatch, path):
    """The runs that a command makes, with results of their own."""
    calls = []

    def fake(table, *, seed, system, cpu_seconds, trials):
        calls.append((table.name, seed, system, cpu_seconds))
        return [
            {
                "set": table.name, "seed": seed, "system": one, "ap": 0.5, "roc_auc": 0.5,
                "ece": 0.01, "cpu_seconds": 2.0, "measured_cpu_seconds": 2.0, "peak_mb": 1.0,
                "import_cpu_seconds": 1.0, "extrapolated": False, "n_rows": 1000,
                "n_positive": 100, "alert_share": 0.01, "n_test": 300,
            }
            for one in answers(system)
        ]  # fmt: skip

    def loaded(name):
        table = made(40)
        return Table(name=name, X=table.X, y=table.y)

    monkeypatch.setattr(search, "run", fake)
    monkeypatch.setattr(search, "load", loaded)

    def command(*arguments):
        calls.clear()
        code = search.main([*arguments, "--results", str(path)])
        return code, list(calls)

    return command


def test_what_is_done_is_skipped(ran):
    asked = ("--sets", "stroke", "--systems", "lightgbm,brute")
    _, calls = ran(*asked, "--seeds", "0")
    assert [(seed, system) for _, seed, system, _ in calls] == [(0, "lightgbm"), (0, "brute")]
    _, calls = ran(*asked)
    assert {seed for _, seed, _, _ in calls} == {1, 2, 3, 4}
    assert ran(*asked)[1] == []


def test_again_replaces(ran, path):
    asked = ("--sets", "stroke", "--systems", "lightgbm,histgb", "--seeds", "0")
    ran(*asked)
    _, calls = ran(*asked, "--again", "histgb")
    assert [system for _, _, system, _ in calls] == ["histgb"]
    assert len(results.read(path)) == 2
    assert len(path.read_text().splitlines()) == 3


def test_a_budget_of_another_is_skipped_until_that_is_known(ran, capsys):
    asked = ("--sets", "stroke", "--seeds", "0")
    assert ran(*asked, "--systems", "flaml-4x")[1] == []
    assert "skipped, frugal has no result" in capsys.readouterr().out
    _, calls = ran(*asked, "--systems", "frugal,flaml-4x")
    assert calls == [("stroke", 0, "frugal", None), ("stroke", 0, "flaml-4x", 8.0)]


def test_no_minutes_no_runs(ran, capsys):
    _, calls = ran("--sets", "stroke", "--systems", "lightgbm", "--budget-minutes", "0")
    assert calls == []
    assert "the same command goes on" in capsys.readouterr().out


def test_the_table_runs_nothing(ran):
    assert ran("--table", "--sets", "stroke") == (0, [])


def test_slow_rivals_get_one_split_and_the_slowest_six_sets():
    table = Table(name="hmeq", X=made(40).X, y=made(40).y)
    found = list(search.planned(table, systems=list(SYSTEMS), seeds=None))
    assert [seed for seed, name in found if name == "autogluon-60"] == [0]
    assert [seed for seed, name in found if name == "brute"] == [0, 1, 2, 3, 4]
    assert "hmeq" not in SIX_SETS
    assert not [name for _, name in found if name == "mljar-300"]


def test_large_sets_get_two_splits():
    large = made(20_000)
    assert large.seeds == (0, 1)
    assert made(19_999).seeds == (0, 1, 2, 3, 4)


def test_an_unknown_system_is_refused(ran, capsys):
    with pytest.raises(SystemExit):
        ran("--systems", "nothing")
    assert "'nothing' is not one of" in capsys.readouterr().err


def test_all_sets_are_in_the_order():
    assert sorted(search.BY_SIZE) == sorted(SETS)


def test_a_missed_floor_fails_the_command(ran):
    # Equal scores on twelve sets: no gain over the default, and brute's CPU is as large.
    names = ",".join(search.BY_SIZE[:12])
    code, _ = ran("--sets", names, "--systems", "lightgbm,frugal", "--seeds", "0")
    assert code == 1
    code, _ = ran("--sets", "stroke", "--systems", "lightgbm,frugal", "--seeds", "0")
    assert code == 0  # one set says nothing
