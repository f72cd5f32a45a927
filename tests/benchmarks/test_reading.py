import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from digitlens.datasets.mnist import Split

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


reading, drawing, provenance = load("reading"), load("drawing"), load("provenance")


def test_photos_are_dark_ink_on_uneven_paper():
    photo = drawing.photo(320, 200, "12\n34")
    assert (photo.shape, photo.dtype) == ((200, 320, 3), np.uint8)
    assert np.array_equal(photo, drawing.photo(320, 200, "12\n34"))
    first, last = photo[:40, :40].mean(), photo[-40:, -40:].mean()
    assert first - last > 20
    share = (photo.mean(axis=2) < 90).mean()
    assert 0.01 < share < 0.2
    assert (drawing.photo(320, 200, "12").mean(axis=2) < 90).any(axis=1).sum() < 150


def test_each_digit_has_strokes_in_its_box():
    tiles = [drawing.tile(digit) for digit in "0123456789"]
    assert all((tile.shape, tile.dtype) == ((28, 28), np.uint8) for tile in tiles)
    assert all(tile.max() == 255 and not tile[:3].any() and not tile[-3:].any() for tile in tiles)
    assert len({tile.tobytes() for tile in tiles}) == 10


def test_a_tile_grows_tenfold():
    tile = drawing.tile("5")
    nearest = reading.enlarge(tile, "nearest")
    assert np.array_equal(nearest, np.kron(tile, np.ones((10, 10), np.uint8)))
    smooth = reading.enlarge(tile, "bicubic")
    assert smooth.shape == (280, 280)
    assert len(np.unique(smooth)) > len(np.unique(nearest))


def test_times_and_memory_are_recorded(monkeypatch, tmp_path, capsys):
    page = drawing.photo(320, 200, "402")
    small = [
        reading.Case("a tile", "tile", drawing.tile("3"), "3"),
        reading.Case("a page", "page", page, "402", 9),
    ]
    monkeypatch.setattr(reading, "cases", lambda: small)
    monkeypatch.setattr(sys, "argv", ["reading", "--rounds", "2", "--out", str(tmp_path)])
    reading.main()
    assert capsys.readouterr().out == (tmp_path / "reading.md").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "reading.json").read_text(encoding="utf-8"))
    assert [row["text"] for row in record["pictures"]] == ["3", "402"]
    assert all(0 < row["milliseconds"] <= row["milliseconds_90"] for row in record["pictures"])
    assert record["memory"]["text"] == "402"
    assert 20 < record["memory"]["megabytes"] < 2000
    figures = {row["name"]: row for row in record["figures"]}
    assert list(figures) == ["reading.tile", "reading.page", "reading.memory"]
    assert figures["reading.page"]["value"] == record["pictures"][1]["milliseconds"]
    assert figures["reading.page"]["n"] == 2


def test_the_table_names_targets_and_what_was_read_wrong():
    row = {"name": "page", "milliseconds": 10.04, "milliseconds_90": 12, "target": 25}
    wrong = {**row, "name": "photo", "target": None, "right": False}
    memory = {"name": "photo", "megabytes": 321.4, "target": 600}
    made = {"date": "2030-01-01", "processor": "", "machine": "m", "threads": 2, "load": 0.1}
    pictures = [{**row, "right": True}, wrong]
    text = reading.table({**made, "pictures": pictures, "memory": memory})
    assert "| page | 10.0 | 12.0 | at most 25 ms | yes |" in text
    assert "| photo | 10.0 | 12.0 |  | no |" in text
    assert "321 MB in memory (target: less than 600 MB)" in text


class OneWrong:
    """Says what the label is that the corner pixel tells, except of 1, 2 and 3."""

    def __init__(self, **_):
        pass

    def read_many(self, pages):
        said = {1: "", 2: "7", 3: "3\n3"}
        values = [min(int(page[0, 0]), 255 - int(page[0, 0])) for page in pages]
        return [SimpleNamespace(text=said.get(value, str(value))) for value in values]


@pytest.fixture
def split():
    labels = np.arange(8, dtype=np.uint8)
    return Split(np.broadcast_to(labels[:, None, None], (8, 28, 28)).copy(), labels)


def test_enlarged_tiles_are_counted_in_both_polarities(split, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reading, "DigitReader", OneWrong)
    monkeypatch.setattr(reading, "BATCH", 3)
    monkeypatch.setattr(reading, "load_mnist", lambda _: SimpleNamespace(test=split))
    monkeypatch.setattr(sys, "argv", ["reading", "--mnist280", "--out", str(tmp_path)])
    reading.main()
    record = json.loads((tmp_path / "mnist280.json").read_text(encoding="utf-8"))
    assert list(record["polarities"]) == ["white on black", "black on white"]
    for row in record["polarities"].values():
        assert (row["right"], row["exact"]) == (5, 5 / 8)
        assert (row["nothing_read"], row["one_digit_wrong"], row["several_read"]) == (1, 1, 1)
        assert row["interval"] == pytest.approx([0.306, 0.863], abs=0.001)
    assert (
        "| black on white | 8 | 62.50 % | 30.57 to 86.32 | 1 | 1 | 1 |" in capsys.readouterr().out
    )


def test_a_limit_takes_tiles_from_the_whole_split(split, monkeypatch):
    monkeypatch.setattr(reading, "DigitReader", OneWrong)
    result = reading.enlarged(split, "nearest", 2)
    assert (result["n"], result["polarities"]["white on black"]["right"]) == (2, 2)  # 0 and 4


def test_the_processor_has_a_name(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Fast 3\nmodel name\t: Fast 3\n"
    )
    assert provenance.processor(tmp_path / "cpuinfo") == "Fast 3"
    assert isinstance(provenance.processor(tmp_path / "nothing"), str)
