"""The log of readings: a CSV file or an SQLite database that only grows, a picture at a time.

All rows of a picture are written at once and reach the disk before the next picture: after a kill
a picture is there whole, or it is not and is read again.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import BinaryIO, Protocol

from digitlens.errors import DataError
from digitlens.tabular import csv_of

DATABASES = (".sqlite", ".sqlite3", ".db")
PATIENCE = 5.0  # seconds to wait for a database that another program has locked


@dataclass(frozen=True)
class Row:
    """What was read in one region of a picture, as text.

    Attributes:
        time: When the picture was taken, ISO 8601 with its zone.
        picture: Its path from the watched folder, ``/`` between folders.
        modified: When its file was written, as ``time``.
        sha256: Of the file.
        region: Name in the template; empty where the picture could not be read at all.
        value: What is stored as the value; empty unless the status is ``value``.
        unit: Of the value.
        status: See ``Verdict``; ``error`` for a picture that could not be read.
        reason: Why there is no value.
        text: The digits, as read.
        read: What they would say; also where that is no value.
        confidence: Of that, 0 to 1.
    """

    time: str
    picture: str
    modified: str
    sha256: str
    region: str = ""
    value: str = ""
    unit: str = ""
    status: str = ""
    reason: str = ""
    text: str = ""
    read: str = ""
    confidence: str = ""


COLUMNS = tuple(field.name for field in fields(Row))


class LockedError(Exception):
    """The log cannot be written now; later perhaps."""


class Ledger(Protocol):
    """A log of readings."""

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with its number, which grows."""
        ...

    def append(self, rows: Sequence[Row]) -> int:
        """Writes the rows of one picture, all of them or none.

        Returns:
            The number of the last one.

        Raises:
            LockedError: It cannot be written now.
        """
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


def open_ledger(path: Path) -> Ledger:
    """Opens a log of readings, or begins one.

    Args:
        path: Ends in ``.csv``, or ``.sqlite``, ``.sqlite3`` or ``.db``.

    Raises:
        DataError: It ends in anything else, is something else, or cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", *DATABASES):
        raise DataError(f"{path}: expected a name that ends in .csv or {', '.join(DATABASES)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return CsvLedger(path) if suffix == ".csv" else SqliteLedger(path)
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be opened as a log of readings ({error})") from error


class CsvLedger:
    """A CSV file with a header; what a kill left of a last picture is cut off."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file; see ``open_ledger``."""
        self._path = path
        self._count = 0
        if not path.exists() or not path.stat().st_size:
            self._write(csv_of([COLUMNS]).encode())
        with path.open("r+b") as file:
            _check_header(path, file)
            _cut_torn_line(file)
        self._count = sum(1 for _ in self.rows())

    def rows(self) -> Iterator[tuple[int, Row]]:
        """See ``Ledger``."""
        with self._path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            next(lines)
            for number, line in enumerate(lines, 1):
                yield number, Row(*(line + [""] * len(COLUMNS))[: len(COLUMNS)])

    def append(self, rows: Sequence[Row]) -> int:
        """See ``Ledger``."""
        try:
            self._write(csv_of(astuple(row) for row in rows).encode())
        except OSError as error:  # as when a spreadsheet has it open
            raise LockedError(f"{self._path}: {error.strerror or error}") from error
        self._count += len(rows)
        return self._count

    def close(self) -> None:
        """See ``Ledger``."""

    def _write(self, content: bytes) -> None:
        with self._path.open("ab") as file:
            end = file.tell()
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            except OSError:  # a full disk: no half of a picture stays
                file.truncate(end)
                raise


def _check_header(path: Path, file: BinaryIO) -> None:
    header = file.readline(4096).decode("utf-8-sig").strip()
    if header != ",".join(COLUMNS):
        raise DataError(
            f"{path}: expected a log of readings, whose first line is {','.join(COLUMNS)}; found "
            f"{header[:80]!r}: give another file to --out"
        )


def _cut_torn_line(file: BinaryIO) -> None:
    """Cuts off a last line without an end, which a power cut left."""
    end = file.seek(0, os.SEEK_END)
    place = end
    while place:
        start = max(0, place - 4096)
        file.seek(start)
        found = file.read(place - start).rfind(b"\n")
        if found >= 0:
            place = start + found + 1
            break
        place = start
    if place < end:
        file.truncate(place)


class SqliteLedger:
    """A table ``readings``; a transaction for each picture."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the database; see ``open_ledger``."""
        self._path = path
        self._base = sqlite3.connect(path, timeout=PATIENCE)
        columns = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS)
        with self._base:
            self._base.execute(
                f"CREATE TABLE IF NOT EXISTS readings (id INTEGER PRIMARY KEY, {columns}, "
                "UNIQUE (picture, modified, sha256, region))"
            )

    def rows(self) -> Iterator[tuple[int, Row]]:
        """See ``Ledger``."""
        query = f"SELECT id, {', '.join(COLUMNS)} FROM readings ORDER BY id"  # noqa: S608
        with closing(self._base.execute(query)) as found:
            for number, *values in found:
                yield number, Row(*values)

    def append(self, rows: Sequence[Row]) -> int:
        """See ``Ledger``."""
        places = ", ".join("?" * len(COLUMNS))
        insert = f"INSERT OR IGNORE INTO readings ({', '.join(COLUMNS)}) VALUES ({places})"  # noqa: S608
        try:
            with self._base:
                self._base.executemany(insert, [astuple(row) for row in rows])
            return int(self._base.execute("SELECT MAX(id) FROM readings").fetchone()[0])
        except sqlite3.OperationalError as error:  # locked, or the disk is full
            raise LockedError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """See ``Ledger``."""
        self._base.close()
