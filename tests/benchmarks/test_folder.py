import importlib
import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EXAMPLES = BENCHMARKS.parent / "examples"


def load(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


folder = load("folder")

ROW = {"cores": 1, "pictures_per_second": 10.0, "seconds": [10.0], "busy": 0.99,
       "megabytes_some": 120.4, "megabytes": 200.6, "right": 1.0}  # fmt: skip
MADE = {"date": "2030-01-01", "processor": "", "machine": "m", "cores": 2, "load": 0.1}


def test_the_kinds_are_mixed_and_labelled(tmp_path):
    drawn = folder.draw(tmp_path, 4)
    assert [path.exists() for path, _ in drawn] == [True] * 4
    texts = {".png": {"0", "1", "2", "3"}, ".jpg": {"402867\n193548"}}
    assert all(text in texts[path.suffix] for path, text in drawn)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot limit a process to a core")
def test_a_run_says_how_long_it_took_and_what_is_right(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run = folder.read([(EXAMPLES / "drawing.png", "7"), (EXAMPLES / "drawing.png", "8")], 1)
    assert run["right"] == 0.5
    assert run["seconds"] > 0
    assert 0 < run["busy"] < 1.5
    assert 20 < run["megabytes"] < 2000


def test_the_table_has_the_curve():
    two = {**ROW, "cores": 2, "pictures_per_second": 18.0, "busy": 0.9, "right": 0.995}
    text = folder.table({**MADE, "pictures": 1000, "rounds": 3, "cores_used": [ROW, two]})
    assert "| cores | pictures/s | speed-up | busy | MB, 100 | MB, 1,000 | read right |" in text
    assert "| 1 | 10.0 | 1.00 | 99 % | 120 | 201 | 100.0 % |" in text
    assert "| 2 | 18.0 | 1.80 | 90 % | 120 | 201 | 99.5 % |" in text


def test_the_figures_are_those_of_all_cores_and_of_one():
    two = {**ROW, "cores": 2, "pictures_per_second": 16.0, "seconds": [5.0, 10.0, 6.25]}
    found = folder.figures({"pictures": 100, "cores_used": [ROW, two]})
    values = {row["name"]: (row["value"], row["n"]) for row in found}
    assert values["folder.pictures_per_second"] == (16.0, 3)
    assert values["folder.one_core.pictures_per_second"] == (10.0, 1)
    assert values["folder.scaling"] == (1.6, 1)
    names = {row["name"] for row in folder.figures({"pictures": 100, "cores_used": [ROW]})}
    assert names == {"folder.pictures_per_second", "folder.busy", "folder.memory"}


def test_without_affinity_nothing_is_measured(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(sys, "argv", ["folder"])
    with pytest.raises(SystemExit, match="cannot limit a process"):
        folder.main()
