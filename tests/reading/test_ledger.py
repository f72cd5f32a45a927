import os
import sqlite3

import pytest

from digitlens.errors import DataError
from digitlens.reading import ledger as module
from digitlens.reading.ledger import COLUMNS, LockedError, Row, open_ledger


def row(picture, region="main", **values):
    return Row("2026-01-01T00:00:00+00:00", picture, "m", "hash", region, **values)


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_rows_stay_in_order_over_sessions(tmp_path, name):
    first, second = [row("a", reason='says "no", twice'), row("a", "other")], [row("b")]
    with open_ledger(tmp_path / "new" / name) as ledger:
        assert ledger.append(first) == 2
    with open_ledger(tmp_path / "new" / name) as ledger:
        assert ledger.append(second) == 3
        assert list(ledger.rows()) == list(enumerate([*first, *second], 1))


@pytest.mark.parametrize(
    "torn",
    [b"2026-01-01T00:01:00+00:00,b,m,ha", b"\0" * 40, b"\0" * 40 + b"sh,main,,,,,,,\n"],
)
def test_what_a_power_cut_left_is_cut_off(tmp_path, torn):
    path = tmp_path / "log.csv"
    with open_ledger(path) as ledger:
        ledger.append([row("a")])
    with path.open("ab") as file:
        file.write(torn)
    with open_ledger(path) as ledger:
        assert [each.picture for _, each in ledger.rows()] == ["a"]
        assert ledger.append([row("b")]) == 2
        assert [each.picture for _, each in ledger.rows()] == ["a", "b"]


@pytest.mark.parametrize("torn", [b"time,pict", b"\0" * 20])
def test_a_header_that_a_power_cut_left_is_written_again(tmp_path, torn):
    path = tmp_path / "log.csv"
    path.write_bytes(torn)
    with open_ledger(path) as ledger:
        assert ledger.append([row("a")]) == 1
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_row_is_one_line(tmp_path):
    with open_ledger(tmp_path / "log.csv") as ledger:
        ledger.append([row("a", reason="two\nlines")])
        assert [each.reason for _, each in ledger.rows()] == ["two lines"]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_a_log_has_one_writer(tmp_path, name):
    told = r"another digitlens watch writes to this log: stop it"
    with open_ledger(tmp_path / name), pytest.raises(DataError, match=told):
        open_ledger(tmp_path / name).__enter__()
    with open_ledger(tmp_path / name) as ledger:
        assert ledger.append([row("a")]) == 1


def test_the_name_of_a_new_log_is_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    with open_ledger(tmp_path / "log.csv"):
        assert os.name != "posix" or tmp_path.stat().st_ino in synced


def test_a_picture_is_in_a_database_once(tmp_path):
    with open_ledger(tmp_path / "log.db") as ledger:
        ledger.append([row("a")])
        assert ledger.append([row("a")]) == 1


def test_a_locked_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with open_ledger(tmp_path / "log.sqlite") as ledger:
        other = sqlite3.connect(tmp_path / "log.sqlite")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockedError, match=r"log.sqlite: database is locked"):
            ledger.append([row("a")])
        other.close()
        assert ledger.append([row("a")]) == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("log.txt", None, r"ends in \.csv"),
        ("log.csv", "a,b\n1,2\n", "expected a log of readings, whose first line is time,"),
        ("log.sqlite", "no database " * 99, "cannot be opened as a log"),
    ],
)
def test_what_is_no_log_is_left_alone(tmp_path, name, content, told):
    path = tmp_path / name
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=told), open_ledger(path):
        pass
    assert not content or path.read_text() == content


def test_the_header_names_the_columns(tmp_path):
    with open_ledger(tmp_path / "log.csv"):
        assert (tmp_path / "log.csv").read_text() == ",".join(COLUMNS) + "\n"
