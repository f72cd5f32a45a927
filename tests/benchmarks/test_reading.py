import json
import os
import sys
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

import harness
import reading

MADE = {"date": "2030-01-01", "processor": "", "machine": "m", "cores": 2, "load": 0.1}
FOLDER = {"pictures": 100, "cores": 1, "speed": [10.0], "gain": 1.0, "busy": 0.99,
          "megabytes": 200.6, "right": 1.0}  # fmt: skip
PAGE = {"name": "page", "figure": "page", "milliseconds": [10.0, 10.04, 12.0], "right": True,
        "peers": {"default": [20.0, 30.0], "line": [1.0, 3.0]}}  # fmt: skip
START = {"name": "drawing", "figure": "cold_start", "milliseconds": [200, 300, 220, 210, 250],
         "cpu_milliseconds": 195.0, "megabytes": 86.5}  # fmt: skip


def test_pictures_have_the_requested_size():
    assert reading.photo(64, 48).shape == (48, 64, 3)
    tile = reading.tile("3")
    assert (tile.shape, tile.dtype) == ((28, 28), np.uint8)
    assert tile.max() > 200
    assert not tile[:3].any()


def test_page_times_and_memory_are_recorded(monkeypatch, tmp_path, capsys):
    note = reading.photo(600, 350)
    small = [
        harness.Case("tile", "a tile", reading.tile("3"), "3"),
        harness.Case("note", "a note", note, reading.NOTE),
    ]
    monkeypatch.setattr(reading, "cases", lambda: small)
    arguments = ["reading", "--only", "pages", "--rounds", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    reading.main()
    assert capsys.readouterr().out == (tmp_path / "reading.md").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "reading.json").read_text(encoding="utf-8"))
    assert [row["text"] for row in record["pages"]] == ["3", "2048"]
    assert record["pages"][1]["text_of_file"] == "2048"
    assert all(row["right"] and min(row["milliseconds"]) > 0 for row in record["pages"])
    assert 20 < record["pages"][1]["megabytes"] < 2000
    figures = record["figures"]
    assert list(figures) == ["reading.tile", "reading.note", "reading.memory"]
    assert figures["reading.note"]["n"] == 2


def test_start_of_each_program_has_time_and_memory():
    hello = (("-c", "print('hello')"), "hello\n", "")
    started = {"hello": hello, "pass": (("-c", "pass"), "", "")}
    first, second = reading.measure_starts(started, Path(sys.executable), 2)
    assert first["name"] == "hello"
    for row in (first, second):
        assert len(row["milliseconds"]) == 2
        assert min(row["milliseconds"]) > 0
        assert 1 < row["megabytes"] < 500
        assert row["cpu_milliseconds"] > 0


@pytest.mark.parametrize("program", ["print('other')", "print('hello'); raise SystemExit(3)"])
def test_wrong_answer_is_not_timed(program):
    wrong = (("-c", program), "hello\n", "")
    with pytest.raises(SystemExit, match="expected 'hello"):
        reading.measure_starts({"wrong": wrong}, Path(sys.executable), 1)


def test_input_files_exist_and_drawn_folders_are_labelled(monkeypatch, tmp_path):
    started = reading.programs(tmp_path).values()
    assert "cold_start" in {figure for *_, figure in started}
    files = [part for arguments, *_ in started for part in arguments if "/" in part]
    assert files
    assert all(Path(file).is_file() for file in files)
    small = reading.drawing("7")  # large pictures take seconds
    monkeypatch.setattr(reading, "photo", lambda *_: small)
    drawn = reading.write_pictures(tmp_path / "all", 100)
    assert [path.exists() for path, _ in drawn] == [True] * 100
    texts = {".png": set("0123456789"), ".jpg": {reading.NOTE}}
    assert all(text in texts[path.suffix] for path, text in drawn)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot limit a process")
def test_folder_is_read_with_each_number_of_cores(monkeypatch, tmp_path):
    def cost(command, cores):
        said = "".join(f"{path}\t7\n" for path in sorted(Path(command[-1]).iterdir()))
        return {"wall": 1000.0, "cpu": 500.0 * cores, "megabytes": 30.0 * cores, "said": said}

    monkeypatch.setattr(reading, "cost", cost)
    rows = reading.measure_folder(tmp_path, 10, 1)
    assert rows[0]["cores"] == 1
    assert all(row["seconds"] == [1.0] and row["speed"] == [10.0] for row in rows)
    assert all(row["busy"] == 0.5 and row["gain"] == 1 for row in rows)
    drawn = sorted((tmp_path / "all").iterdir())
    assert rows[0]["right"] == sum(path.name == "0007.png" for path in drawn) / 10


def test_without_affinity_no_folder_is_measured(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pytest.raises(SystemExit, match="cannot limit a process"):
        reading.measure_folder(tmp_path, 2, 1)


def test_report_and_figures_cover_all_parts():
    two = {**FOLDER, "cores": 2, "speed": [20.0, 10.0, 16.0], "gain": 1.6, "busy": 0.9}
    two["right"] = 0.995
    wrong = {**PAGE, "name": "photo", "figure": "photo", "right": False, "megabytes": 321.4}
    record = {**MADE, "pages": [PAGE, wrong], "starts": [START], "folder": [FOLDER, two]}
    text = reading.report(record)
    assert "| page | 10.0 | 11.6 | yes | 25.0 | 2.0 |" in text
    assert "| photo | 10.0 | 11.6 | no | 25.0 | 2.0 |" in text
    assert "Reading photo, from a JPEG file in a fresh process: 321 MB in memory." in text
    assert "| drawing | 220 | 210 | 250 | 195 | 86 |" in text
    assert "| 100 | 1 | 10.0 | 1.00 | 99 % | 201 | 100.0 % |" in text
    assert "| 100 | 2 | 16.0 | 1.60 | 90 % | 201 | 99.5 % |" in text
    values = {row.name: (row.value, row.n) for row in reading.figures(record)}
    assert values["reading.page"] == (10.04, 3)
    assert values["reading.page.rapidocr.default"] == (25.0, 2)
    assert values["reading.memory"] == (321.4, 1)
    assert values["cold_start.seconds"] == (0.22, 5)
    assert values["reading.folder.pictures_per_second"] == (16.0, 3)
    assert values["reading.folder.one_core.pictures_per_second"] == (10.0, 1)
    assert values["reading.folder.scaling"] == (1.6, 1)


def test_cost_and_throughput_follow_from_processor_time(monkeypatch, tmp_path):
    def run(place, command, *_, **__):
        pictures = len(list(place.iterdir())) - 1
        each = 0.01 if pictures > 20 else 0.1
        return next(noise) + each * pictures * (1.25 if command == "batch" else 1)

    noise = cycle([0.7, 0.5])
    small = reading.drawing("7")  # large pictures take seconds
    monkeypatch.setattr(reading, "photo", lambda *_: small)
    monkeypatch.setattr(reading, "cpu_seconds", run)
    monkeypatch.setattr(reading, "cores", lambda: 2)
    rows = reading.measure_cores(tmp_path, 201, 2)
    line = "| drawings | read | 10.0 | 360,000 | 100 % | 2,778 |"
    assert line in reading.report({**MADE, "cores_each": rows})
    assert [round(row["share"], 3) for row in rows] == [1, 0.8, 0.8] * 2
    assert [round(row["ms"], 1) for row in rows] == [10, 12.5, 12.5, 100, 125, 125]


def test_pictures_are_read_by_each_command(monkeypatch, tmp_path):
    asked = []

    def cost(command, number):
        asked.append((command[3], number))
        return {"cpu": 2000.0, "failed": 0}

    monkeypatch.setattr(reading, "cost", cost)
    assert reading.cpu_seconds(tmp_path, "read", number=1) == 2.0
    assert reading.cpu_seconds(tmp_path, "batch", "--workers", "1") == 2.0
    assert asked == [("read", 1), ("batch", 0)]
    assert len(list(tmp_path.iterdir())) == 1
