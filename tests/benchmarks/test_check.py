"""The comparison of two speed records, on made-up ones."""

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
    """Compares two dicts of figures and returns the exit code."""

    def compare(old, new, *options, about=None):
        paths = [write(tmp_path / "old", old), write(tmp_path / "new", new, **(about or {}))]
        monkeypatch.setattr(sys, "argv", ["check.py", *paths, *options])
        try:
            return check.main()
        except SystemExit as error:
            return error.code

    return compare


def verdict(old, new):
    return check.judge(*(harness.Figure("a", **row) for row in (old, new)))["verdict"]


MORE, SHARE = {"better": "higher"}, {"unit": "%", "better": "higher", "spread": 0.08, "n": 30}
ERRORS = {"spread": 0.0, "unit": "errors"}


@pytest.mark.parametrize(
    ("old", "new", "about", "expected"),
    [
        # Standard errors of 0.05 each: three times that of the difference is 0.21, or 2.1 %.
        *((10, 10.4, {}, "same"), (10, 10.6, {}, "worse"), (10, 9.4, {}, "better")),
        # With ten times the spread, this can be chance.
        *((10, 10.6, {"spread": 5}, "same"), (10, 12.2, {"spread": 5}, "worse")),
        *((10, 20, MORE, "better"), (10, 5, MORE, "worse")),
        # A single measurement needs a larger difference.
        *((10, 11.9, {"spread": None}, "same"), (10, 12.1, {"spread": None}, "worse")),
        *((10, 11.9, {"n": 1}, "same"), (10, 12.1, {"n": 1}, "worse")),
        # Accuracy needs no margin in addition to chance.
        *((99.15, 99.0, SHARE, "worse"), (99.15, 99.12, SHARE, "same")),
        # A zero may become nonzero.
        *((0, 0, ERRORS, "same"), (0, 2, ERRORS, "worse")),
    ],
)
def test_difference_counts_beyond_both_chance_and_five_per_cent(old, new, about, expected):
    assert verdict(seconds(old, **about), seconds(new, **about)) == expected


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.floats(0, 1e3), st.integers(1, 1000))
def test_swapped_records_are_never_both_worse_or_both_better(old, new, spread, n):
    there = verdict(seconds(old, spread=spread, n=n), seconds(new, spread=spread, n=n))
    back = verdict(seconds(new, spread=spread, n=n), seconds(old, spread=spread, n=n))
    assert (there, back) not in {("worse", "worse"), ("better", "better")}
    if old == new:
        assert there == "same"


@pytest.mark.parametrize(
    ("old", "new", "code", "lines"),
    [
        (
            {"a": seconds(1), "b": seconds(2)},
            {"a": seconds(2), "b": seconds(1)},
            1,
            ["| a | s | 1 | 2 | +100.0 % |", "| better |", "0 figures are the same; 1 got worse"],
        ),
        ({"a": seconds(1)}, {"a": seconds(0.5)}, 0, ["0 figures are the same; 0 got"]),
        (
            {"a": seconds(1), "b": seconds(1)},
            {"a": seconds(1), "c": seconds(1)},
            1,
            ["| b | s | 1 |  |  |  | gone |", "| c | s |  | 1 |  |  | new |"],
        ),
        (
            {"a": seconds(1)},
            {"a": seconds(1000, unit="ms")},
            1,
            ["| a | s | 1 |  |  |  | gone |", "| a | ms |  | 1,000 |  |  | new |"],
        ),
        ({"a": seconds(1, peer=True)}, {"a": seconds(2, peer=True)}, 0, ["| worse (peer) |"]),
    ],
    ids=["slower", "faster", "gone and new", "another unit", "a peer"],
)
def test_exit_code_is_1_if_a_figure_got_worse_or_is_gone(run, capsys, old, new, code, lines):
    assert run(old, new) == code
    out = capsys.readouterr().out
    assert all(line in out for line in lines)


@pytest.mark.parametrize("other", [{"processor": "Q"}, {"cores": 4}, {"threads": 1}])
@pytest.mark.parametrize("anyway", [False, True])
def test_another_machine_is_refused_without_anyway(run, capsys, other, anyway):
    options = ["--anyway"] if anyway else []
    assert run({"a": seconds(1)}, {"a": seconds(1)}, *options, about=other) == (0 if anyway else 2)
    said = capsys.readouterr()
    assert bool(said.out) == anyway
    assert next(iter(other)) in said.err


def test_other_versions_and_a_busy_machine_are_reported(run, capsys):
    about = {"load": 1.5, "versions": {"numpy": "3"}}
    assert run({"a": seconds(1)}, {"a": seconds(1)}, about=about) == 0
    said = capsys.readouterr().err
    assert "busy before the new record: load 1.5" in said
    assert "numpy: 2 in the old record, 3 in the new one" in said


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        *(([], "cannot be read as a speed record"), ({}, "has no figures")),
        ({"a": {"value": 1}}, "missing 4 required positional arguments"),
    ],
)
def test_malformed_record_is_reported(run, capsys, figures, said):
    assert run({"a": seconds(1)}, figures) == 2
    assert said in capsys.readouterr().err


def test_missing_record_is_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["check.py", str(tmp_path), str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        check.main()
    assert "speed.json cannot be read" in capsys.readouterr().err
