import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


cold_start = load("cold_start")
Program = cold_start.Program

MADE = {"date": "2030-01-01", "processor": "", "machine": "m", "cores": 2, "load": 0.1}


def test_each_program_costs_something():
    said = Program("hello", ("-c", "print('hello')"), "hello\n", bounded=True)
    result = cold_start.measured([said, Program("pass", ("-c", "pass"))], Path(sys.executable), 2)
    first, second = result["programs"]
    assert (first["name"], first["target"], second["target"]) == ("hello", [250, 120], None)
    for row in (first, second):
        assert 0 < row["quartiles"][0] <= row["milliseconds"] <= row["quartiles"][1]
        assert 1 < row["megabytes"] < 500
        assert row["cpu_milliseconds"] > 0


@pytest.mark.parametrize("program", ["print('other')", "raise SystemExit(3)"])
def test_a_wrong_answer_is_not_timed(program):
    wrong = Program("wrong", ("-c", program), "hello\n")
    with pytest.raises(SystemExit, match="wrong: expected 'hello"):
        cold_start.measured([wrong], Path(sys.executable), 1)


def test_what_is_measured_has_figures():
    row = {"figure": "cold_start", "seconds": [0.2, 0.3, 0.22, 0.21, 0.25], "megabytes": 86.5}
    found = cold_start.figures({"programs": [row, {"figure": ""}]})
    seconds, memory = found
    assert (seconds["name"], seconds["value"], seconds["n"]) == ("cold_start.seconds", 0.22, 5)
    assert seconds["spread"] == pytest.approx(0.04)
    assert (memory["name"], memory["value"], memory["unit"]) == ("cold_start.memory", 86.5, "MB")


def test_the_table_names_targets():
    row = {"name": "drawing", "milliseconds": 200.4, "quartiles": [190.0, 210.0], "megabytes": 86.2,
           "cpu_milliseconds": 195.0, "target": [250, 120]}  # fmt: skip
    text = cold_start.table({**MADE, "rounds": 15, "programs": [row, {**row, "target": None}]})
    assert "| drawing | 200 | 190 to 210 | 195 | 86 | at most 250 ms, 120 MB |" in text
    assert "| drawing | 200 | 190 to 210 | 195 | 86 |  |" in text
    assert "n = 15 each" in text


def test_what_is_read_is_there(tmp_path):
    started = cold_start.programs(tmp_path)
    assert sum(program.bounded for program in started) == 2
    assert "cold_start" in {program.figure for program in started}
    files = [part for program in started for part in program.arguments if "/" in part]
    assert files
    assert all(Path(file).is_file() for file in files)
