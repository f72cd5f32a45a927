import os
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from digitlens.errors import DataError, ImageError, TemplateError
from digitlens.reading.ledger import Deliveries, LockedError, open_ledger
from digitlens.reading.meter import Candidate, RegionReading
from digitlens.reading.template import Template, make_region
from digitlens.reading.watching import Watch

REGION = make_region("main", {"box": [0, 0, 1, 1], "monotone": True, "unit": "m³"})


class Reader:
    """A fake reader of a file's text; ``?`` is not a picture, ``!`` shows something else."""

    def __init__(self, time="", regions=(REGION,)):
        self.template = Template(tuple(regions), np.zeros((9, 9), np.uint8), time)
        self.read_files = []

    def read(self, content):
        text = content.decode()
        self.read_files.append(text)
        if text == "?":
            raise ImageError("image: is not a picture")
        if text == "!":
            raise TemplateError("does not show")
        seen = (Candidate(text, Decimal(text), 0.99),)
        return {each.name: RegionReading(each, seen) for each in self.template.regions}


@pytest.fixture
def place(tmp_path):
    """A folder of pictures, with functions to add pictures and to run the watcher on it."""
    folder = tmp_path / "in"
    folder.mkdir()

    def put(name, text, minute):
        (folder / name).write_text(text)
        os.utime(folder / name, (1_700_000_000 + 60 * minute,) * 2)

    @contextmanager
    def watched(name="log.csv", reader=None):
        with open_ledger(tmp_path / name) as ledger:
            yield (
                Watch(folder, reader or Reader(), ledger, Deliveries(tmp_path / name, []), 0),
                ledger,
            )

    def poll(name="log.csv", reader=None, patient=False):
        reader = reader or Reader()
        with watched(name, reader) as (watch, _):
            return list(watch.poll(paths(), patient=patient)), reader

    def paths():
        return list(map(str, sorted(folder.iterdir())))

    return SimpleNamespace(folder=folder, put=put, poll=poll, watched=watched, paths=paths)


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_each_picture_is_read_once_in_order_of_time(place, name):
    place.put("b.jpg", "10", 0)
    place.put("a.jpg", "11", 1)
    rows, reader = place.poll(name)
    assert reader.read_files == ["10", "11"]
    assert [(row.picture, row.value, row.status) for row in rows] == [
        ("b.jpg", "10", "value"),
        ("a.jpg", "11", "value"),
    ]
    place.put("c.jpg", "9", 2)
    rows, reader = place.poll(name)
    assert reader.read_files == ["9"]
    assert [(row.status, row.reason) for row in rows] == [
        ("rejected", "9 is 9 m³, which cannot follow 11 within 0.02 h")
    ]


def test_times_rewritten_by_a_spreadsheet_are_understood_or_refused(place, tmp_path):
    place.put("a.jpg", "11", 1)
    place.poll()
    log = tmp_path / "log.csv"
    text = log.read_text()
    log.write_text(text.replace("2023-11-14T22:14:20+00:00", "2023-11-14 22:14"))
    place.put("b.jpg", "12", 99)
    assert [row.value for row in place.poll()[0]] == ["12"]
    log.write_text(text.replace("2023-11-14T22:14:20+00:00", "14.11.2023 22:14"))
    with pytest.raises(DataError, match=r"row 1 of the log: expected a time as in .* 22:14'"):
        place.poll()


def test_a_picture_that_was_only_touched_is_not_read_again(place):
    place.put("a.jpg", "11", 1)
    place.poll()
    os.utime(place.folder / "a.jpg", (1_800_000_000, 1_800_000_000))
    rows, reader = place.poll()
    assert rows == []
    assert reader.read_files == []
    place.put("a.jpg", "12", 3)  # another picture of the same name
    assert [row.value for row in place.poll()[0]] == ["12"]


def test_unreadable_picture_becomes_a_row_and_the_others_follow(place):
    for minute, text in enumerate("?!7"):
        place.put(f"{minute}.jpg", text, minute)
    rows, _ = place.poll()
    assert [(row.status, row.reason, row.value) for row in rows] == [
        ("error", "is not a picture", ""),
        ("rejected", "does not show", ""),
        ("value", "", "7"),
    ]


def test_file_without_read_permission_becomes_a_row_and_is_retried(place, monkeypatch):
    place.put("a.jpg", "5", 0)

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, place.watched() as (watch, _):
        patch.setattr("pathlib.Path.read_bytes", refuse)
        (row,) = watch.poll(place.paths(), patient=False)
        assert row.status == "error"
        assert row.reason == "cannot be read (Permission denied); will be retried"
        assert list(watch.poll(place.paths(), patient=False)) == []
        assert watch.unread == {"a.jpg"}
    with monkeypatch.context() as patch, place.watched() as (watch, _):
        patch.setattr("pathlib.Path.read_bytes", refuse)
        assert list(watch.poll(place.paths(), patient=False)) == []  # nor after a restart
        patch.undo()
        assert [row.value for row in watch.poll(place.paths(), patient=False)] == ["5"]
        assert watch.unread == set()
        assert list(watch.poll(place.paths(), patient=False)) == []


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_killed_watcher_resumes_with_the_pictures_not_in_the_log(place, name):
    for minute in range(3):
        place.put(f"{minute}.jpg", str(minute), minute)
    with place.watched(name) as (watch, _):
        looked = watch.poll(place.paths(), patient=False)
        assert next(looked).picture == "0.jpg"  # then the process is killed
        looked.close()
    _, reader = place.poll(name)
    assert reader.read_files == ["1", "2"]
    with open_ledger(place.folder.parent / name) as ledger:
        assert [row.picture for _, row in ledger.rows()] == ["0.jpg", "1.jpg", "2.jpg"]


def test_power_cut_neither_loses_nor_duplicates_rows(place, tmp_path):
    regions = [make_region(name, {"box": [0, 0, 1, 1]}) for name in ("day", "night")]
    reader = Reader(regions=regions)
    place.put("0.jpg", "5", 0)
    place.put("1.jpg", "6", 1)
    place.poll(reader=reader)
    log = tmp_path / "log.csv"
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    for torn in ("".join(lines[:-1]), whole[:-30], "".join(lines[:-2]), whole):
        log.write_text(torn)
        place.poll(reader=reader)
        assert log.read_text() == whole


def test_locked_log_neither_blocks_nor_loses_rows(place, capsys):
    place.put("a.jpg", "1", 0)
    place.put("b.jpg", "2", 1)

    def locked(_):
        raise LockedError("log.csv: database is locked")

    with place.watched() as (watch, ledger):
        append, ledger.append = ledger.append, locked
        assert len(list(watch.poll(place.paths(), patient=False))) == 2
        assert watch.write() == 2
        assert capsys.readouterr().err.count("locked") == 1
        ledger.append = append
        assert watch.write() == 0
        assert [row.value for _, row in ledger.rows()] == ["1", "2"]


def test_a_file_that_is_being_written_is_left_for_later(place):
    (place.folder / "a.jpg").write_text("5")
    rows, _ = place.poll(patient=True)
    assert rows == []
    assert len(place.poll()[0]) == 1


def test_time_of_a_picture_can_come_from_its_name(place):
    place.put("2026-03-01_1200.jpg", "5", 0)
    place.put("other.jpg", "6", 1)
    rows, _ = place.poll(reader=Reader("%Y-%m-%d_%H%M"))
    assert sorted(row.time[:4] for row in rows) == ["2023", "2026"]


def test_restarted_watcher_relearns_the_digits_of_a_counter_from_old_pictures(place):
    counter = make_region("main", {"box": [0, 0, 1, 1], "kind": "counter", "digits": 2})

    class Looking(Reader):
        def looks(self, content):
            self.looked_at.append(content.decode())
            return {"main": np.zeros((2, 32, 24), np.uint8)}

    def poll():
        reader = Looking(regions=(counter,))
        reader.looked_at = []
        rows, _ = place.poll(reader=reader)
        return [row.value for row in rows], reader.looked_at

    for minute, text in enumerate(["11", "12", "13", "14", "25", "26"]):
        place.put(f"{minute}.jpg", text, minute)
    assert poll() == (["11", "12", "13", "14", "25", "26"], [])
    assert poll() == ([], [])  # nothing new, so no old picture is opened
    (place.folder / "5.jpg").unlink()
    place.put("6.jpg", "27", 6)
    read, looked_at = poll()
    assert read == ["27"]
    assert looked_at == ["12", "13", "14", "25"]  # the newest three of each digit that still exist
