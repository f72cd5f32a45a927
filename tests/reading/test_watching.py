import os
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from digitlens.errors import DataError, ImageError, TemplateError
from digitlens.reading.delivery import Deliveries
from digitlens.reading.ledger import LockedError, open_ledger
from digitlens.reading.meter import Candidate, RegionReading
from digitlens.reading.template import Template, make_region
from digitlens.reading.watching import Watch

REGION = make_region("main", {"box": [0, 0, 1, 1], "monotone": True, "unit": "m³"})


class Reader:
    """Reads what is written in a file; ``?`` is no picture, ``!`` shows something else."""

    def __init__(self, time=""):
        self.template = Template((REGION,), np.zeros((9, 9), np.uint8), time)
        self.read_files = []

    def read(self, content):
        text = content.decode()
        self.read_files.append(text)
        if text == "?":
            raise ImageError("image: is not a picture")
        if text == "!":
            raise TemplateError("does not show")
        return {"main": RegionReading(REGION, (Candidate(text, Decimal(text), 0.99),))}


@pytest.fixture
def place(tmp_path):
    """A folder for pictures, and a way to watch it anew."""
    folder = tmp_path / "in"
    folder.mkdir()

    def put(name, text, minute):
        (folder / name).write_text(text)
        os.utime(folder / name, (1_700_000_000 + 60 * minute,) * 2)

    def look(name="log.csv", reader=None, patient=False, ledger=None):
        reader = reader or Reader()
        ledger = ledger or open_ledger(tmp_path / name)
        watch = Watch(folder, reader, ledger, Deliveries(tmp_path / name, []))
        rows = list(watch.look(map(str, sorted(folder.iterdir())), patient=patient))
        return rows, reader, ledger, watch

    return SimpleNamespace(folder=folder, put=put, look=look)


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_each_picture_is_read_once_in_the_order_of_time(place, name):
    place.put("b.jpg", "10", 0)
    place.put("a.jpg", "11", 1)
    rows, reader, ledger, _ = place.look(name)
    ledger.close()
    assert reader.read_files == ["10", "11"]
    assert [(row.picture, row.value, row.status) for row in rows] == [
        ("b.jpg", "10", "value"),
        ("a.jpg", "11", "value"),
    ]
    place.put("c.jpg", "9", 2)
    rows, reader, ledger, _ = place.look(name)
    ledger.close()
    assert reader.read_files == ["9"]
    assert [(row.status, row.reason) for row in rows] == [
        ("rejected", "9 is 9 m³, which cannot follow 11 within 0.02 h")
    ]


def test_a_log_with_times_of_a_spreadsheet_is_refused_or_understood(place, tmp_path):
    place.put("a.jpg", "11", 1)
    place.look()
    log = tmp_path / "log.csv"
    text = log.read_text()
    log.write_text(text.replace("2023-11-14T22:14:20+00:00", "2023-11-14 22:14"))
    place.put("b.jpg", "12", 99)
    assert [row.value for row in place.look()[0]] == ["12"]
    log.write_text(text.replace("2023-11-14T22:14:20+00:00", "14.11.2023 22:14"))
    with pytest.raises(DataError, match=r"row 1 of the log: expected a time as in .* 22:14'"):
        place.look()


def test_a_picture_that_was_only_touched_is_not_read_again(place):
    place.put("a.jpg", "11", 1)
    place.look()
    os.utime(place.folder / "a.jpg", (1_800_000_000, 1_800_000_000))
    rows, reader, *_ = place.look()
    assert rows == []
    assert reader.read_files == []
    place.put("a.jpg", "12", 3)  # another picture of the same name
    assert [row.value for row in place.look()[0]] == ["12"]


def test_what_cannot_be_read_is_a_row_and_the_others_follow(place):
    for minute, text in enumerate("?!7"):
        place.put(f"{minute}.jpg", text, minute)
    rows, *_ = place.look()
    assert [(row.status, row.reason, row.value) for row in rows] == [
        ("error", "is not a picture", ""),
        ("rejected", "does not show", ""),
        ("value", "", "7"),
    ]


def test_a_file_that_may_not_be_read_is_a_row(place, monkeypatch):
    place.put("a.jpg", "5", 0)

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    (row,), *_ = place.look()
    assert (row.status, row.reason) == ("error", "cannot be read (Permission denied)")


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_after_a_kill_it_goes_on_with_what_is_not_in_the_log(place, tmp_path, name):
    for minute in range(3):
        place.put(f"{minute}.jpg", str(minute), minute)
    ledger = open_ledger(tmp_path / name)
    watch = Watch(place.folder, Reader(), ledger, Deliveries(tmp_path / name, []))
    looked = watch.look(map(str, place.folder.iterdir()), patient=False)
    assert next(looked).picture == "0.jpg"  # and no more: the process is gone
    looked.close()
    ledger.close()
    _, reader, ledger, _ = place.look(name)
    assert reader.read_files == ["1", "2"]
    assert [row.picture for _, row in ledger.rows()] == ["0.jpg", "1.jpg", "2.jpg"]
    ledger.close()


def test_a_locked_log_holds_nothing_up_and_loses_nothing(place, tmp_path, capsys):
    place.put("a.jpg", "1", 0)
    place.put("b.jpg", "2", 1)
    ledger = open_ledger(tmp_path / "log.csv")
    append = ledger.append

    def locked(_):
        raise LockedError("log.csv: database is locked")

    ledger.append = locked
    rows, _, _, watch = place.look(ledger=ledger)
    assert len(rows) == 2
    assert watch.write() == 2
    assert capsys.readouterr().err.count("locked") == 1
    ledger.append = append
    assert watch.write() == 0
    assert [row.value for _, row in ledger.rows()] == ["1", "2"]


def test_a_file_that_is_being_written_is_left_for_later(place):
    (place.folder / "a.jpg").write_text("5")
    rows, *_ = place.look(patient=True)
    assert rows == []
    assert len(place.look()[0]) == 1


def test_names_may_tell_the_time(place):
    place.put("2026-03-01_1200.jpg", "5", 0)
    place.put("other.jpg", "6", 1)
    rows, *_ = place.look(reader=Reader("%Y-%m-%d_%H%M"))
    assert sorted(row.time[:4] for row in rows) == ["2023", "2026"]
