"""The log of readings: a CSV file or an SQLite database that only grows, a picture at a time.

All rows of a picture are written at once and reach the disk before the next picture: after a kill
a picture is there whole, or it is not and is read again. After a power cut the last rows of a CSV
file may be missing, never a half of one. One process writes to a log at a time.

Readings can be posted to a webhook or an MQTT broker too, each in its order, again until it
arrives. What was delivered is a number in a file next to the log: what the log has after it is the
queue. A reading may arrive twice, after a kill in the wrong moment; its ``id`` is the same then.
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
PATIENCE = 10.0  # seconds for one reading to arrive
_PAUSES = (5.0, 300.0)  # seconds until the next try: the first, which doubles, and the longest
_AT_ONCE = 50  # readings, until pictures are looked at again
_PORTS = {"mqtt": 1883, "mqtts": 8883}

Post = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Row:
    """What was read in one region of a picture, as text."""

    time: str  # when the picture was taken, ISO 8601 with its zone
    picture: str  # its path from the watched folder, ``/`` between folders
    modified: str  # when its file was written, as ``time``
    sha256: str  # of the file
    region: str = ""  # name in the template; empty where the picture could not be read at all
    value: str = ""  # what is stored as the value; empty unless the status is ``value``
    unit: str = ""  # of the value
    status: str = ""  # see ``Verdict``; ``error`` for a picture that could not be read
    reason: str = ""  # why there is no value
    text: str = ""  # the digits, as read
    read: str = ""  # what they would say; also where that is no value
    confidence: str = ""  # of that, 0 to 1


COLUMNS = tuple(field.name for field in fields(Row))


class LockedError(Exception):
    """The log cannot be written now; later perhaps."""


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
            mark = opened.enter_context(path.with_name(f"{path.name}.lock").open("w"))
            if not lock(mark.fileno()):
                raise DataError(
                    f"{path}: another digitlens watch writes to this log: stop it, or give another "
                    "file to --out"
                )
            if suffix == ".csv":
                ledger: Ledger = CsvLedger(path)
            else:
                base = opened.enter_context(closing(sqlite3.connect(path, timeout=LOCKED_PATIENCE)))
                ledger = _SqliteLedger(path, base)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be opened as a log of readings ({error})") from error
        yield ledger


class CsvLedger:
    """A CSV file with a header, a line for each row."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file, and cuts off what a power cut left; see ``open_ledger``."""
        self._path = path
        self._torn: int | None = None  # where the file ended before rows that were not written
        header = csv_of([COLUMNS]).encode()
        start = b""
        with suppress(FileNotFoundError), path.open("rb") as file:
            start = file.read(len(header)).rstrip(b"\0")
        if start != header and header.startswith(start):
            write_bytes(path, header)
        with path.open("r+b") as file:
            found = file.readline(4096).decode("utf-8-sig").strip()
            if found != ",".join(COLUMNS):
                raise DataError(
                    f"{path}: expected a log of readings, whose first line is "
                    f"{','.join(COLUMNS)}; found {found[:80]!r}: give another file to --out"
                )
            file.truncate(file.tell() + _whole(file))
        self._count = sum(1 for _ in self.rows())

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row with its number, which grows."""
        with self._path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            next(lines)
            for number, line in enumerate(lines, 1):
                yield number, Row(*(line + [""] * len(COLUMNS))[: len(COLUMNS)])

    def append(self, rows: Sequence[Row]) -> int:
        """Writes the rows of one picture, all of them or none; gives the number of the last.

        Raises LockedError where it cannot be written now.
        """
        lines = ([" ".join(text.splitlines()) for text in astuple(row)] for row in rows)
        try:
            self._write(csv_of(lines).encode())
        except OSError as error:  # as when a spreadsheet has it open
            raise LockedError(f"{self._path}: {error.strerror or error}") from error
        self._count += len(rows)
        return self._count

    def _write(self, content: bytes) -> None:
        # Unbuffered: what did not fit would be written again when the file is cut or closed.
        with self._path.open("ab", buffering=0) as file:
            if self._torn is not None:
                file.truncate(self._torn)
            self._torn = file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:  # a full disk: no half of a picture stays
                file.truncate(self._torn)
                raise
            self._torn = None


def _whole(file: BinaryIO) -> int:
    """Bytes up to the end of the last line that has one and holds no zeros of a power cut."""
    whole = end = 0
    for line in file:
        end += len(line)
        if line.endswith(b"\n") and b"\0" not in line:
            whole = end
    return whole


class _SqliteLedger:
    """The same as a table ``readings``, which is made if there is none."""

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self._path, self._base = path, base
        columns = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS)
        with self._base:
            self._base.execute(
                f"CREATE TABLE IF NOT EXISTS readings (id INTEGER PRIMARY KEY, {columns}, "
                "UNIQUE (picture, modified, sha256, region))"
            )

    def rows(self) -> Iterator[tuple[int, Row]]:
        query = f"SELECT id, {', '.join(COLUMNS)} FROM readings ORDER BY id"  # noqa: S608
        with closing(self._base.execute(query)) as found:
            for number, *values in found:
                yield number, Row(*values)

    def append(self, rows: Sequence[Row]) -> int:
        places = ", ".join("?" * len(COLUMNS))
        insert = f"INSERT OR IGNORE INTO readings ({', '.join(COLUMNS)}) VALUES ({places})"  # noqa: S608
        try:
            with self._base:
                self._base.executemany(insert, [astuple(row) for row in rows])
            return int(self._base.execute("SELECT MAX(id) FROM readings").fetchone()[0])
        except sqlite3.OperationalError as error:  # locked, or the disk is full
            raise LockedError(f"{self._path}: {error}") from error


Ledger: TypeAlias = CsvLedger | _SqliteLedger


@dataclass
class Delivery:
    """The way to one receiver."""

    name: str  # what to call it, without its password; no two receivers share one
    post: Post  # delivers one reading, or raises ``OSError``
    sent: int | None = None  # number of the last row that was delivered
    waiting: deque[tuple[int, Row]] = field(default_factory=deque)  # rows with their numbers
    _pause: float = _PAUSES[0]
    _next: float = 0.0
    _failing: bool = False

    def flush(self) -> bool:
        """Delivers what waits, as far as it can at once; gives whether anything was delivered."""
        if time.monotonic() < self._next:
            return False
        for count in range(_AT_ONCE):
            if not self.waiting:
                return count > 0
            number, row = self.waiting[0]
            try:
                self.post(message(number, row))
            except (OSError, HTTPException, ValueError) as error:
                self._wait(error)
                return count > 0
            self.sent, self._pause = number, _PAUSES[0]
            self.waiting.popleft()
            if self._failing:
                self._failing = False
                note(f"digitlens: {self.name}: can be reached again")
        return True

    def _wait(self, error: Exception) -> None:
        if not self._failing:  # said once
            count = len(self.waiting)
            waits = "1 reading waits" if count == 1 else f"{count} readings wait"
            note(f"digitlens: {self.name}: cannot be reached ({error}): {waits} to be posted later")
        self._failing = True
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _PAUSES[1])


class Deliveries:
    """All receivers of a log."""

    def __init__(self, log: Path, receivers: list[Delivery]) -> None:
        """Takes up where an earlier run ended; to new receivers nothing old is posted."""
        self._path = log.with_name(f"{log.name}.sent.json")
        self.receivers = receivers
        try:
            known = json.loads(self._path.read_text(encoding="utf-8")) if receivers else {}
        except FileNotFoundError:
            known = {}
        except (OSError, ValueError) as error:
            raise DataError(f"{self._path}: cannot be read ({error}): remove it") from error
        for each in receivers:
            # Names had no mark of a query once.
            each.sent = known.get(each.name, known.get(each.name.partition("?")[0]))

    def begin(self, number: int, row: Row) -> None:
        """Queues a row of the log that an earlier run wrote, if it was not delivered."""
        for each in self.receivers:
            if each.sent is not None and number > each.sent:
                each.waiting.append((number, row))

    def begun(self, last: int) -> None:
        """Says that the log has ended, with this number."""
        for each in self.receivers:
            each.sent = last if each.sent is None else min(last, each.sent)  # the log may be new
        self._keep()

    def add(self, last: int, rows: list[Row]) -> None:
        """Queues rows that were written, of which the last has this number."""
        for each in self.receivers:
            each.waiting.extend(enumerate(rows, last - len(rows) + 1))

    def flush(self) -> int:
        """Delivers what can be delivered; gives how many readings still wait."""
        delivered = [each.flush() for each in self.receivers]
        if any(delivered):
            self._keep()
        return sum(len(each.waiting) for each in self.receivers)

    def _keep(self) -> None:
        if self.receivers:
            write_json(self._path, {each.name: each.sent for each in self.receivers})


def message(number: int, row: Row) -> dict[str, Any]:
    """A reading as JSON-ready values; ``value`` is None unless it is one."""
    values = asdict(row) | {"value": row.value or None}
    return {"id": number, **values, "confidence": float(row.confidence or 0)}


def webhook(url: str) -> Delivery:
    """Posts each reading as a JSON object.

    Args:
        url: ``http://`` or ``https://``, then ``[user:password@]host[:port]`` and a path.

    Raises:
        ValueError: It is no such address.
    """
    parts = _parts(url, ("http", "https"))
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    headers = {"Content-Type": "application/json"}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    opener = build_opener(_Refused)

    def post(reading: Mapping[str, Any]) -> None:
        body = json.dumps(reading).encode()
        with opener.open(Request(address, body, headers), timeout=PATIENCE):
            pass

    return Delivery(_shown(parts), post)


class _Refused(HTTPRedirectHandler):
    """A redirection is an error: what follows it is a request without the reading."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """No request follows."""


def mqtt(url: str) -> Delivery:
    """Publishes each reading as a JSON object, in a topic that ends in the name of its region.

    Args:
        url: ``mqtt://[user:password@]host[:port]/topic``, or ``mqtts://`` for TLS.

    Raises:
        ValueError: It is no such address.
        MissingExtraError: The extra ``mqtt`` is not installed.
    """
    parts = _parts(url, tuple(_PORTS))
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
            place = f"{topic}/{reading['region']}".rstrip("/")
            sent = client.publish(place, json.dumps(reading), qos=1)
            sent.wait_for_publish(PATIENCE)
            if not sent.is_published():
                raise TimeoutError("it does not acknowledge")
        except RuntimeError as error:
            raise OSError(str(error)) from error
        finally:
            client.disconnect()
            client.loop_stop()

    return Delivery(_shown(parts), post)


def _parts(url: str, schemes: tuple[str, ...]) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"expected an address that begins with {schemes[0]}://, found {url!r}")
    _ = parts.port  # raises ValueError for what is none
    return parts


def _shown(parts: SplitResult) -> str:
    """The address without a password; a mark stands for a query, which may hold one too."""
    mark = sha256(parts.query.encode())[:8] if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=mark).geturl()
