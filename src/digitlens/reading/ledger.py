"""The log of readings: an append-only CSV file or SQLite database, written picture by picture.

All rows of a picture are written together and reach the disk before the next picture: after a kill
a picture is either complete, or missing and read again. After a power cut the last rows of a CSV
file may be missing, but never half a row. Only one process writes to a log at a time.

Readings can also be posted to a webhook or an MQTT broker, in order, with retries until delivered.
A file next to the log has the number of the last row delivered; all later rows are the queue. After
a kill at the wrong moment a reading may be delivered twice, with the same ``id``.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, field, fields
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from digitlens.errors import DataError, needs_extra
from digitlens.files import lock, sha256, write_bytes, write_json
from digitlens.progress import note
from digitlens.tabular import csv_of

DATABASES = (".sqlite", ".sqlite3", ".db")
LOCKED_PATIENCE = 5.0  # seconds to wait for a database that another program has locked
PATIENCE = 10.0  # seconds: timeout for the delivery of one reading
_PAUSES = (5.0, 300.0)  # seconds before a retry: the first, doubled each time, and the longest
_MAX_POSTS = 50  # maximum readings delivered before the folder is checked again
_PORTS = {"mqtt": 1883, "mqtts": 8883}

Post = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Row:
    """The reading of one region of a picture, as text."""

    time: str  # when the picture was taken, ISO 8601 with its zone
    picture: str  # its path relative to the watched folder, with ``/`` as separator
    modified: str  # when its file was written, in the same format
    sha256: str  # hash of the file
    region: str = ""  # name in the template; empty if the picture could not be read at all
    value: str = ""  # the accepted value; empty unless the status is ``value``
    unit: str = ""  # unit of the value
    status: str = ""  # see ``Verdict``; ``error`` for a picture that could not be read
    reason: str = ""  # why there is no value
    text: str = ""  # the digits as read
    read: str = ""  # their value, even if it was not accepted
    confidence: str = ""  # probability of ``read``, 0 to 1


COLUMNS = tuple(field.name for field in fields(Row))


class LockedError(Exception):
    """The log cannot be written now; a retry may succeed."""


@contextmanager
def open_ledger(path: Path) -> Generator[Ledger]:
    """Opens or creates a log of readings; locks it against other processes until the block ends.

    Args:
        path: A file with the suffix ``.csv``, ``.sqlite``, ``.sqlite3`` or ``.db``.

    Raises:
        DataError: The suffix is another one, the file is not a log, or it cannot be opened, for
            example because another process has it open.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", *DATABASES):
        raise DataError(f"{path}: expected a name that ends in .csv or {', '.join(DATABASES)}")
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock_file = stack.enter_context(path.with_name(f"{path.name}.lock").open("w"))
            if not lock(lock_file.fileno()):
                raise DataError(
                    f"{path}: another digitlens watch writes to this log: stop it, or give another "
                    "file to --out"
                )
            if suffix == ".csv":
                ledger: Ledger = CsvLedger(path)
            else:
                db = stack.enter_context(closing(sqlite3.connect(path, timeout=LOCKED_PATIENCE)))
                ledger = _SqliteLedger(path, db)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be opened as a log of readings ({error})") from error
        yield ledger


class CsvLedger:
    """A log as a CSV file with a header and one line per row."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file, without lines torn by a power cut; see ``open_ledger``."""
        self._path = path
        self._intact_size: int | None = None  # length of the file before a write that failed
        header = csv_of([COLUMNS]).encode()
        beginning = b""
        with suppress(FileNotFoundError), path.open("rb") as file:
            beginning = file.read(len(header)).rstrip(b"\0")
        if beginning != header and header.startswith(beginning):
            write_bytes(path, header)
        with path.open("r+b") as file:
            first_line = file.readline(4096).decode("utf-8-sig").strip()
            if first_line != ",".join(COLUMNS):
                raise DataError(
                    f"{path}: expected a log of readings, whose first line is "
                    f"{','.join(COLUMNS)}; found {first_line[:80]!r}: give another file to --out"
                )
            file.truncate(file.tell() + _complete_size(file))
        self._count = sum(1 for _ in self.rows())

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with its number, in ascending order."""
        with self._path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            next(lines)
            for number, line in enumerate(lines, 1):
                yield number, Row(*(line + [""] * len(COLUMNS))[: len(COLUMNS)])

    def append(self, rows: Sequence[Row]) -> int:
        """Writes all rows of one picture or none; returns the number of the last.

        Raises LockedError if the log cannot be written now.
        """
        lines = ([" ".join(text.splitlines()) for text in astuple(row)] for row in rows)
        try:
            self._write(csv_of(lines).encode())
        except OSError as error:  # for example, a spreadsheet has it open
            raise LockedError(f"{self._path}: {error.strerror or error}") from error
        self._count += len(rows)
        return self._count

    def _write(self, content: bytes) -> None:
        # Unbuffered: a buffer would write the rest again when the file is truncated or closed.
        with self._path.open("ab", buffering=0) as file:
            if self._intact_size is not None:
                file.truncate(self._intact_size)
            self._intact_size = file.seek(0, os.SEEK_END)
            try:
                remaining = memoryview(content)
                while remaining:
                    remaining = remaining[file.write(remaining) :]
                os.fsync(file.fileno())
            except OSError:  # a full disk: keep no part of a picture
                file.truncate(self._intact_size)
                raise
            self._intact_size = None


def _complete_size(file: BinaryIO) -> int:
    """Bytes up to the end of the last complete line without zero bytes left by a power cut."""
    complete = end = 0
    for line in file:
        end += len(line)
        if line.endswith(b"\n") and b"\0" not in line:
            complete = end
    return complete


class _SqliteLedger:
    """A log as the table ``readings`` of an SQLite database, which is created if missing."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        columns = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS)
        with self._db:
            self._db.execute(
                f"CREATE TABLE IF NOT EXISTS readings (id INTEGER PRIMARY KEY, {columns}, "
                "UNIQUE (picture, modified, sha256, region))"
            )

    def rows(self) -> Iterator[tuple[int, Row]]:
        query = f"SELECT id, {', '.join(COLUMNS)} FROM readings ORDER BY id"  # noqa: S608
        with closing(self._db.execute(query)) as cursor:
            for number, *values in cursor:
                yield number, Row(*values)

    def append(self, rows: Sequence[Row]) -> int:
        placeholders = ", ".join("?" * len(COLUMNS))
        insert = f"INSERT OR IGNORE INTO readings ({', '.join(COLUMNS)}) VALUES ({placeholders})"  # noqa: S608
        try:
            with self._db:
                self._db.executemany(insert, [astuple(row) for row in rows])
            return int(self._db.execute("SELECT MAX(id) FROM readings").fetchone()[0])
        except sqlite3.OperationalError as error:  # locked, or the disk is full
            raise LockedError(f"{self._path}: {error}") from error


Ledger: TypeAlias = CsvLedger | _SqliteLedger


@dataclass
class Delivery:
    """The queue of one receiver."""

    name: str  # its address without password; unique among receivers
    post: Post  # delivers one reading, or raises ``OSError``
    sent: int | None = None  # number of the last row delivered
    waiting: deque[tuple[int, Row]] = field(default_factory=deque)  # rows with their numbers
    _pause: float = _PAUSES[0]
    _retry_at: float = 0.0
    _is_failing: bool = False

    def flush(self) -> bool:
        """Delivers queued readings until one fails; returns whether any was delivered."""
        if time.monotonic() < self._retry_at:
            return False
        for count in range(_MAX_POSTS):
            if not self.waiting:
                return count > 0
            number, row = self.waiting[0]
            try:
                self.post(message(number, row))
            except (OSError, HTTPException, ValueError) as error:
                self._schedule_retry(error)
                return count > 0
            self.sent, self._pause = number, _PAUSES[0]
            self.waiting.popleft()
            if self._is_failing:
                self._is_failing = False
                note(f"digitlens: {self.name}: can be reached again")
        return True

    def _schedule_retry(self, error: Exception) -> None:
        if not self._is_failing:  # reported once
            count = len(self.waiting)
            waits = "1 reading waits" if count == 1 else f"{count} readings wait"
            note(f"digitlens: {self.name}: cannot be reached ({error}): {waits} to be posted later")
        self._is_failing = True
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _PAUSES[1])


class Deliveries:
    """All receivers of a log."""

    def __init__(self, log: Path, receivers: list[Delivery]) -> None:
        """Resumes after an earlier run; new receivers get no earlier readings."""
        self._path = log.with_name(f"{log.name}.sent.json")
        self.receivers = receivers
        try:
            sent_numbers = json.loads(self._path.read_text(encoding="utf-8")) if receivers else {}
        except FileNotFoundError:
            sent_numbers = {}
        except (OSError, ValueError) as error:
            raise DataError(f"{self._path}: cannot be read ({error}): remove it") from error
        for each in receivers:
            # Names written by earlier versions lack the hash of the query.
            each.sent = sent_numbers.get(each.name, sent_numbers.get(each.name.partition("?")[0]))

    def replay(self, number: int, row: Row) -> None:
        """Queues a row written to the log by an earlier run, unless it was delivered."""
        for each in self.receivers:
            if each.sent is not None and number > each.sent:
                each.waiting.append((number, row))

    def start(self, last: int) -> None:
        """Ends the replay of the log; ``last`` is the number of its last row."""
        for each in self.receivers:
            each.sent = last if each.sent is None else min(last, each.sent)  # the log may be new
        self._save()

    def add(self, last: int, rows: list[Row]) -> None:
        """Queues rows that were written; ``last`` is the number of the last one."""
        for each in self.receivers:
            each.waiting.extend(enumerate(rows, last - len(rows) + 1))

    def flush(self) -> int:
        """Delivers what can be delivered; returns the number of readings still queued."""
        delivered = [each.flush() for each in self.receivers]
        if any(delivered):
            self._save()
        return sum(len(each.waiting) for each in self.receivers)

    def _save(self) -> None:
        if self.receivers:
            write_json(self._path, {each.name: each.sent for each in self.receivers})


def message(number: int, row: Row) -> dict[str, Any]:
    """A reading as JSON-ready values; ``value`` is None unless it was accepted."""
    values = asdict(row) | {"value": row.value or None}
    return {"id": number, **values, "confidence": float(row.confidence or 0)}


def webhook(url: str) -> Delivery:
    """Posts each reading as a JSON object.

    Args:
        url: ``http://`` or ``https://``, then ``[user:password@]host[:port]`` and a path.

    Raises:
        ValueError: The address has another form.
    """
    parts = _parse_url(url, ("http", "https"))
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    headers = {"Content-Type": "application/json"}
    if parts.username:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    opener = build_opener(_RefuseRedirects)

    def post(reading: Mapping[str, Any]) -> None:
        body = json.dumps(reading).encode()
        with opener.open(Request(address, body, headers), timeout=PATIENCE):
            pass

    return Delivery(_public_address(parts), post)


class _RefuseRedirects(HTTPRedirectHandler):
    """Makes redirects an error, as the redirected request would not contain the reading."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Returns no request."""


def mqtt(url: str) -> Delivery:
    """Publishes each reading as a JSON object, to a topic that ends in the name of its region.

    Args:
        url: ``mqtt://[user:password@]host[:port]/topic``, or ``mqtts://`` for TLS.

    Raises:
        ValueError: The address has another form.
        MissingExtraError: The extra ``mqtt`` is not installed.
    """
    parts = _parse_url(url, tuple(_PORTS))
    topic = unquote(parts.path).strip("/")
    if not topic or "+" in topic or "#" in url:
        raise ValueError(f"expected a topic after the host, as in mqtt://host/meter; found {url!r}")
    with needs_extra("mqtt"):
        from paho.mqtt import client as paho  # noqa: PLC0415  (an extra)
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    def post(reading: Mapping[str, Any]) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = PATIENCE
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set()
        client.connect(str(parts.hostname), parts.port or _PORTS[parts.scheme])
        client.loop_start()
        try:
            subtopic = f"{topic}/{reading['region']}".rstrip("/")
            publication = client.publish(subtopic, json.dumps(reading), qos=1)
            publication.wait_for_publish(PATIENCE)
            if not publication.is_published():
                raise TimeoutError("the broker did not acknowledge the message")
        except RuntimeError as error:
            raise OSError(str(error)) from error
        finally:
            client.disconnect()
            client.loop_stop()

    return Delivery(_public_address(parts), post)


def _parse_url(url: str, schemes: tuple[str, ...]) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"expected an address that begins with {schemes[0]}://, found {url!r}")
    _ = parts.port  # raises ValueError if it is invalid
    return parts


def _public_address(parts: SplitResult) -> str:
    """The address without a password; a hash replaces the query, which may contain one too."""
    query_hash = sha256(parts.query.encode())[:8] if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query_hash).geturl()
