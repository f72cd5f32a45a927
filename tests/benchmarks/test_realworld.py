import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

import harness
import realworld

ROOT = Path(__file__).parents[2]


def result(label, text, *confidences, full=None, marked="", ms=5):
    said = harness.Output(marked or text, text, ms, confidences)
    return harness.Result(harness.Case("multi", "file", None, label, full), said)


def test_promises_table_has_the_error_rate_of_stated_digits():
    rows = [result("12", "12", 0.9, 0.99), result("3", "8", 0.95)]
    text = realworld.guarantee_table(rows, {"a": 0.9, "b": 0.99, "c": None})
    assert [line.split(" | ")[:3] for line in text.splitlines()[2:]] == [
        ["| a", "3", "33.33 %"],
        ["| b", "1", "0.00 %"],
        ["| c", "0", ""],
    ]
    assert set(realworld.thresholds()) >= {"at least 99 % confidence", "at most 0.5 % wrong"}


def test_sure_counts_the_high_confidence_digits():
    assert realworld.count_sure([result("12", "13", 0.995, 0.992), result("5", "5", 0.9)]) == (2, 1)


def test_line_breaks_matter_for_exact_but_not_for_digits():
    found = result("12\n34", "1234")
    assert not realworld.is_exact(found)
    assert realworld.summary([found])["digits"] == 1


def test_summary():
    rows = [result("12", "12"), result("34", "3"), result("", "")]
    summary = realworld.summary(rows)
    assert (summary["n"], summary["exact"], summary["digits"]) == (3, pytest.approx(2 / 3), 0.75)
    assert realworld.summary([result("", "5")])["digits"] is None


@pytest.mark.parametrize(
    ("note", "full"),
    [
        ("full text: MFG 06.10.2015 / EXP 06.10.2016; crop=48,98,200,148", True),
        ("phone photo", False),
        ("sudoku; crop=1,2,3,4", False),
    ],
)
def test_full_text_of_a_note_ends_before_its_crop(note, full):
    found = "MFG 06.10.2015 / EXP 06.10.2016" if full else None
    assert harness.full_text(note) == found


@pytest.mark.parametrize(
    ("text", "marked", "marks"),
    [
        ("06102015", "MFG 06.10.2015", True),
        ("06102015", "06.10. 2015", False),
        ("06102015", "06102015", False),
        ("06102013", "06.10.2013", False),
    ],
)
def test_marks_are_scored_if_the_full_text_is_known(text, marked, marks):
    known = result("06102015", text, full="Mfg. 06.10.2015", marked=marked)
    assert realworld.marks_are_right(known) is marks
    assert realworld.marks_are_right(result("1", "1")) is None


def test_table_shows_the_best_mode_of_the_peer():
    said = [("digitlens", "13"), ("default", ""), ("line", "12"), ("digits", "12")]
    scores = {
        name: realworld.summary([result("12", text, ms=ms)]) for ms, (name, text) in enumerate(said)
    }
    row = "| 0.0 % | 0.0 to 79.3 | 50.0 % | 0 | 100.0 % | 100.0 % | 2 | recogniser alone |"
    assert f"| counter wheels | 1 {row}\n" in realworld.table({"meter": scores})


def test_folder_is_read_and_recorded(tmp_path, monkeypatch, capsys):
    rows = [("note.jpg", "multi", "2048", "pen"), ("corner.png", "single", "4", "pen")]
    rows += [("labels.csv", "reject", "", "no picture")]
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([("file", "kind", "label", "source"), *rows])
    for name, *_ in rows[:2]:
        shutil.copy(ROOT / "examples" / name, tmp_path)
    out = tmp_path / "record"
    monkeypatch.setattr(
        sys, "argv", ["realworld", str(tmp_path), "--out", str(out), "--wrong", "--threads", "1"]
    )
    realworld.main()
    assert "corner.png: '4' read as '3'" in capsys.readouterr().out
    kinds = json.loads((out / "realworld.json").read_text())["kinds"]
    assert [kinds[kind]["digitlens"]["exact"] for kind in kinds] == [0, 1, 0]
    table = (out / "realworld.md").read_text(encoding="utf-8")
    assert "| several digits | 1 | 100.0 % |" in table
    assert "| one digit | 1 | 0.0 % |" in table
