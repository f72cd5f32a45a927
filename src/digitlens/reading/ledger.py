"""The log of readings: a CSV file or an SQLite database that only grows, a picture at a time.

All rows of a picture are written at once and reach the disk before the next picture: after a kill
a picture is there whole, or it is not and is read again. After a power cut the last rows of a CSV
file may be missing, never a half of one. One process writes to a log at a time.
"""

from __future__ import annotations

import csv
import os
import sqlite3
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from digitlens.errors import DataError
from digitlens.files import write_bytes
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


@contextmanager
def open_ledger(path: Path) -> Generator[Ledger]:
    """Opens a log of readings, or begins one; no other process may until the block ends.

    Args:
        path: Ends in ``.csv``, or ``.sqlite``, ``.sqlite3`` or ``.db``.

    Raises:
        DataError: It ends in anything else, is something else, or cannot be opened, as while
            another process has it open.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", *DATABASES):
        raise DataError(f"{path}: expected a name that ends in .csv or {', '.join(DATABASES)}")
    with ExitStack() as opened:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _lock(path, opened.enter_context(path.with_name(f"{path.name}.lock").open("w")))
            if suffix == ".csv":
                ledger: Ledger = CsvLedger(path)
            else:
                base = opened.enter_context(closing(sqlite3.connect(path, timeout=PATIENCE)))
                ledger = SqliteLedger(path, base)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be opened as a log of readings ({error})") from error
        yield ledger


class CsvLedger:
    """A CSV file with a header, a line for each row."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file, and cuts off what a power cut left; see ``open_ledger``."""
        self._path = path
        header = csv_of([COLUMNS]).encode()
        start = _start(path, len(header)).rstrip(b"\0")
        if start != header and header.startswith(start):
            write_bytes(path, header)
        with path.open("r+b") as file:
            _check_header(path, file)
            file.truncate(file.tell() + _whole(file))
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
        lines = (map(_on_one_line, astuple(row)) for row in rows)
        try:
            self._write(csv_of(lines).encode())
        except OSError as error:  # as when a spreadsheet has it open
            raise LockedError(f"{self._path}: {error.strerror or error}") from error
        self._count += len(rows)
        return self._count

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


def _start(path: Path, length: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(length)


def _whole(file: BinaryIO) -> int:
    """Bytes up to the end of the last line that has one and holds no zeros of a power cut."""
    whole = end = 0
    for line in file:
        end += len(line)
        if line.endswith(b"\n") and b"\0" not in line:
            whole = end
    return whole


def _on_one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _lock(path: Path, file: IO[str]) -> None:
    """Locks a log by a file next to it, until that is closed or the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (of one platform)

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415  (of the others)

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise DataError(
            f"{path}: another digitlens watch writes to this log: stop it, or give another file "
            "to --out"
        ) from error


class SqliteLedger:
    """A table ``readings``; a transaction for each picture."""

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        """Makes the table if there is none; see ``open_ledger``."""
        self._path, self._base = path, base
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
