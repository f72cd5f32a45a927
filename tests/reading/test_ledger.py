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
    ledger = open_ledger(tmp_path / "new" / name)
    assert ledger.append(first) == 2
    ledger.close()
    ledger = open_ledger(tmp_path / "new" / name)
    assert ledger.append(second) == 3
    assert list(ledger.rows()) == list(enumerate([*first, *second], 1))
    ledger.close()


def test_a_torn_line_is_cut_off(tmp_path):
    path = tmp_path / "log.csv"
    open_ledger(path).append([row("a")])
    with path.open("ab") as file:
        file.write(b"2026-01-01T00:01:00+00:00,b,m,ha")
    ledger = open_ledger(path)
    assert [each.picture for _, each in ledger.rows()] == ["a"]
    assert ledger.append([row("b")]) == 2
    assert [each.picture for _, each in ledger.rows()] == ["a", "b"]


def test_a_picture_is_in_a_database_once(tmp_path):
    ledger = open_ledger(tmp_path / "log.db")
    ledger.append([row("a")])
    assert ledger.append([row("a")]) == 1
    ledger.close()


def test_a_locked_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    ledger = open_ledger(tmp_path / "log.sqlite")
    other = sqlite3.connect(tmp_path / "log.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LockedError, match=r"log.sqlite: database is locked"):
        ledger.append([row("a")])
    other.close()
    assert ledger.append([row("a")]) == 1
    ledger.close()


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
    with pytest.raises(DataError, match=told):
        open_ledger(path)
    assert not content or path.read_text() == content


def test_the_header_names_the_columns(tmp_path):
    open_ledger(tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text() == ",".join(COLUMNS) + "\n"
