"""Two records of speed compared, on records made up here."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import check
import harness

MACHINE = {"processor": "P", "cores": 2, "threads": 2, "load": 0.1, "versions": {"numpy": "2"}}


def seconds(value, **changes):
    row = {"value": value, "spread": 0.5, "n": 100, "unit": "s", "better": "lower"}
    return {**row, **changes}


def write(folder, figures, **about):
    folder.mkdir()
    (folder / "speed.json").write_text(json.dumps({**MACHINE, **about, "figures": figures}))
    return str(folder)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Compares two mappings of figures; gives the exit code."""

    def compare(old, new, *options, about=None):
        paths = [write(tmp_path / "old", old), write(tmp_path / "new", new, **(about or {}))]
        monkeypatch.setattr(sys, "argv", ["check.py", *paths, *options])
        return check.main()

    return compare


def verdict(old, new):
    figures = [harness.as_figure({"name": "a", **row}) for row in (old, new)]
    return check.judge(*figures).verdict


def test_a_difference_counts_beyond_both_chance_and_five_per_cent():
    # A standard error of 0.05 each: three of the difference are 0.21, which is 2.1 %.
    assert verdict(seconds(10), seconds(10.4)) == "same"
    assert verdict(seconds(10), seconds(10.6)) == "worse"
    assert verdict(seconds(10), seconds(9.4)) == "better"
    # Ten times the spread, and chance alone does as much.
    assert verdict(seconds(10, spread=5), seconds(10.6, spread=5)) == "same"
    assert verdict(seconds(10, spread=5), seconds(12.2, spread=5)) == "worse"


def test_more_is_better_where_a_figure_says_so():
    assert verdict(seconds(10), seconds(20, better="higher")) == "better"
    assert verdict(seconds(10), seconds(5, better="higher")) == "worse"


@pytest.mark.parametrize("alone", [{"spread": None}, {"n": 1}])
def test_what_was_measured_once_needs_a_larger_difference(alone):
    assert verdict(seconds(10, **alone), seconds(11.9)) == "same"
    assert verdict(seconds(10), seconds(12.1, **alone)) == "worse"


def test_accuracy_needs_no_margin_beside_chance():
    share = {"unit": "%", "better": "higher", "spread": 0.08, "n": 30}
    assert verdict(seconds(99.15, **share), seconds(99.0, **share)) == "worse"
    assert verdict(seconds(99.15, **share), seconds(99.12, **share)) == "same"


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.floats(0, 1e3), st.integers(1, 1000))
def test_what_is_worse_one_way_is_never_worse_the_other_way(old, new, spread, n):
    there = verdict(seconds(old, spread=spread, n=n), seconds(new, spread=spread, n=n))
    back = verdict(seconds(new, spread=spread, n=n), seconds(old, spread=spread, n=n))
    assert (there, back) not in {("worse", "worse"), ("better", "better")}
    if old == new:
        assert there == "same"


def test_the_exit_code_says_whether_something_got_slower(run, capsys):
    assert run({"a": seconds(1), "b": seconds(2)}, {"a": seconds(2), "b": seconds(1)}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| a | 1 s | 2 s | +100.0 % |")
    assert lines[3].endswith("| better |")
    assert lines[-1] == "0 figures are the same; 1 got worse or are gone"


def test_nothing_slower_is_exit_code_zero(run, capsys):
    assert run({"a": seconds(1), "b": seconds(1)}, {"a": seconds(1), "b": seconds(0.5)}) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 figures are the same; 0")


def test_a_figure_that_is_gone_counts_and_a_new_one_does_not(run, capsys):
    assert run({"a": seconds(1), "b": seconds(1)}, {"a": seconds(1), "c": seconds(1)}) == 1
    out = capsys.readouterr().out
    assert "| b | 1 s |  |  |  | gone |" in out
    assert "| c |  | 1 s |  |  | new |" in out


def test_another_unit_is_another_figure(run, capsys):
    assert run({"a": seconds(1)}, {"a": seconds(1000, unit="ms")}) == 1
    out = capsys.readouterr().out
    assert "| a | 1 s |  |  |  | gone |" in out
    assert "| a |  | 1,000 ms |  |  | new |" in out


def test_what_was_nothing_may_become_something():
    errors = {"spread": 0.0, "unit": "errors"}
    assert verdict(seconds(0, **errors), seconds(0, **errors)) == "same"
    assert verdict(seconds(0, **errors), seconds(2, **errors)) == "worse"


def test_a_peer_that_got_slower_is_shown_and_not_counted(run, capsys):
    assert run({"a": seconds(1, peer=True)}, {"a": seconds(2, peer=True)}) == 0
    assert "| worse (peer) |" in capsys.readouterr().out


def test_json_has_every_figure(run, capsys):
    assert run({"a": seconds(1), "b": seconds(1)}, {"a": seconds(1), "b": seconds(2)}, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["worse"] == 1
    assert [change["verdict"] for change in found["changes"]] == ["same", "worse"]


@pytest.mark.parametrize("other", [{"processor": "Q"}, {"cores": 4}, {"threads": 1}])
def test_another_machine_is_refused_unless_asked_for(run, capsys, other):
    assert run({"a": seconds(1)}, {"a": seconds(1)}, about=other) == 2
    said = capsys.readouterr()
    assert not said.out
    assert next(iter(other)) in said.err


def test_another_machine_may_be_asked_for(run):
    assert run({"a": seconds(1)}, {"a": seconds(1)}, "--anyway", about={"cores": 4}) == 0


def test_other_versions_and_a_busy_machine_are_said(run, capsys):
    about = {"load": 1.5, "versions": {"numpy": "3"}}
    assert run({"a": seconds(1)}, {"a": seconds(1)}, about=about) == 0
    said = capsys.readouterr().err
    assert "busy before the new record: load 1.5" in said
    assert "numpy: 2 in the old record, 3 in the new one" in said


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ([], "no record of speed"),
        ({"a": {"value": 1}}, "'a' lacks better, n, spread, unit"),
        ({"a": seconds("1")}, "expected a number"),
        ({"a": seconds(1, spread=-1)}, "expected a spread of 0 or more"),
        ({"a": seconds(1, better="more")}, "expected lower or higher"),
        ({"a": seconds(1, n=0)}, "expected n of 1"),
    ],
)
def test_what_is_no_record_is_named(run, capsys, figures, said):
    assert run({"a": seconds(1)}, figures) == 2
    assert said in capsys.readouterr().err


def test_a_record_that_is_not_there_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["check.py", str(tmp_path), str(tmp_path)])
    assert check.main() == 2
    assert "speed.json cannot be read" in capsys.readouterr().err
