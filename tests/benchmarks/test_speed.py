"""The run of all speed benchmarks, on small scripts that stand in for them."""

import json
import sys

import pytest

import harness
import speed

ABOUT = {"date": "2026-11-21", "processor": "P", "threads": 2, "load": 0.1}
WRITES = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--out") + 1])
name = Path(__file__).stem
row = dict(value=len(sys.argv), spread=None, n=1, unit="s", better="lower")
(folder / f"{name}.json").write_text(json.dumps({"figures": {f"{name}.time": row}}))
"""


def ratio(name, value):
    return harness.Figure(name, value, None, 1, "x", "higher")


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Writes benchmark scripts from their texts; returns the output folder."""
    monkeypatch.setattr(speed, "HERE", tmp_path)

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "out").mkdir()
        return tmp_path / "out"

    return write


def test_figures_of_all_benchmarks_are_merged(scripts):
    folder = scripts(one=WRITES, two=WRITES)
    about, figures = speed.run_all(["one", "two"], folder, {**ABOUT})
    assert about["failed"] == {}
    assert set(about["seconds"]) == {"one", "two"}
    assert [figure.value for figure in figures] == [3, 3]


def test_failed_benchmarks_are_reported(scripts):
    failing = "import sys; sys.exit(3)"
    folder = scripts(one=WRITES, fails=failing, silent="")
    (folder / "fails.json").write_text(json.dumps({"figures": [1]}))  # from an earlier run
    names = ["missing", "fails", "silent", "one"]
    about, figures = speed.run_all(names, folder, {**ABOUT})
    assert [figure.name for figure in figures] == ["one.time"]
    assert set(about["failed"]) == {"missing", "fails", "silent"}
    assert "exit status 3" in about["failed"]["fails"]
    assert about["failed"]["silent"].startswith("silent.json cannot be read")


@pytest.mark.parametrize(("name", "code"), [("one", 0), ("fails", 1)])
def test_exit_code_is_1_if_a_benchmark_failed(scripts, monkeypatch, name, code):
    folder = scripts(one=WRITES, fails="import sys; sys.exit(3)")
    monkeypatch.setattr(speed, "BENCHMARKS", (name,))
    monkeypatch.setattr(sys, "argv", ["speed.py", "--out", str(folder)])
    assert speed.main() == code
    assert (folder / "speed.json").is_file()


def test_summary_has_ratios_and_lists_what_is_missing(monkeypatch):
    rows = (
        ("training", "training.seconds", {"Keras": "keras", "X": "none"}),
        ("reading", "reading.time", {}),
    )
    monkeypatch.setattr(speed, "SUMMARY", rows)
    figures = [
        harness.Figure("training.seconds", 0.7512, 0.0213, 30, "s", "lower"),
        ratio("training.keras.ratio", 61.23),
    ]
    lines = speed.summary(ABOUT, figures).splitlines()
    assert lines[0] == "Speed on 2026-11-21, P, 2 threads, load before 0.1."
    assert "| training | 0.751 ± 0.021 s | Keras 61.2 |" in lines
    assert "| reading | not measured |  |" in lines


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (61.26, "61.3"), (412345.6, "412,346"), (0, "0")]
)
def test_numbers_have_three_significant_digits_and_percentages_two_decimals(value, text):
    assert speed.number(value) == text
    share = harness.Figure("a", 99.1534, 0.0778, 30, "%", "higher")
    assert speed.measured(share) == "99.15 ± 0.08 %"


def test_results_page_gets_the_table_of_the_newest_record(tmp_path):
    readme = tmp_path / "results.md"
    old = "a\n<!-- table: benchmarks/records/2026-11-21_speed/summary.md -->\n| old |\n<!-- end -->"
    other = "\n<!-- table: benchmarks/records/2026-11-21_peers/peers.md -->\n| b |\n<!-- end -->\n"
    readme.write_text(old + other)
    harness.update_page(readme, "2026-12-24_speed/summary.md", "| new \\1 |\n")
    new = "<!-- table: benchmarks/records/2026-12-24_speed/summary.md -->\n| new \\1 |\n"
    assert readme.read_text() == f"a\n{new}<!-- end -->{other}"
