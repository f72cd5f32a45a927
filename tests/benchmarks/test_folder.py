import importlib
import os
import subprocess
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

ROW = {"way": folder.COMMAND, "pictures": 1000, "cores": 1, "pictures_per_second": 10.0,
       "seconds": [10.0], "busy": 0.99, "megabytes_some": 120.4, "megabytes": 200.6,
       "right": 1.0}  # fmt: skip
MADE = {"date": "2030-01-01", "processor": "", "machine": "m", "cores": 2, "load": 0.1}


def test_the_kinds_are_mixed_and_labelled(tmp_path):
    drawn = folder.draw(tmp_path / "all", 4)
    assert [path.exists() for path, _ in drawn] == [True] * 4
    texts = {".png": {"0", "1", "2", "3"}, ".jpg": {"402867 193548"}}
    assert all(text in texts[path.suffix] for path, text in drawn)


@pytest.mark.skipif(not Path("/proc").exists(), reason="cannot look at a process")
@pytest.mark.parametrize("way", folder.PROGRAMS)
def test_a_run_says_how_long_it_took_and_what_is_right(monkeypatch, way):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(folder, "EACH", 0.02)
    run = folder.read(way, [(EXAMPLES / "drawing.png", "7"), (EXAMPLES / "drawing.png", "8")], 1)
    assert run["right"] == 0.5
    assert run["seconds"] > 0
    assert 0 < run["busy"] < 1.5
    assert 20 < run["megabytes"] < 2000


@pytest.mark.skipif(not Path("/proc").exists(), reason="cannot look at a process")
def test_memory_is_that_of_all_processes():
    hold = "import sys; held = b'x' * 50_000_000; print(1, flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {hold!r}]);"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert 50 < folder.held_by(process.pid) < 100
        process.stdin.close()
    assert folder.held_by(process.pid) == 0


def test_the_table_has_the_curve():
    two = {**ROW, "cores": 2, "pictures_per_second": 18.0, "busy": 0.9, "right": 0.995}
    many = {**ROW, "way": folder.THREADS, "pictures": 250, "pictures_per_second": 5.0}
    del many["megabytes_some"]
    rows = {"cores_used": [ROW, two], "read_many": [many]}
    text = folder.table({**MADE, "pictures": 1000, "few": 100, "rounds": 3, **rows})
    assert "| busy | MB | MB, 100 pictures | read right |" in text
    assert "| digitlens read | 1,000 | 1 | 10.0 | 1.00 | 99 % | 201 | 120 | 100.0 % |" in text
    assert "| digitlens read | 1,000 | 2 | 18.0 | 1.80 | 90 % | 201 | 120 | 99.5 % |" in text
    assert "| read_many, threads | 250 | 1 | 5.0 | 1.00 | 99 % | 201 |  | 100.0 % |" in text


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
