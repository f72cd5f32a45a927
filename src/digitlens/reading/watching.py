"""Watches a folder: reads each picture once by a template, keeps a log, and posts what is new.

The log is the memory: which pictures were read, and what the last values were, is taken from it. A
file that may not be read now is a row, and is tried again each time.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from digitlens.errors import DataError, DigitlensError, TemplateError
from digitlens.files import sha256
from digitlens.progress import note
from digitlens.reading.delivery import Deliveries
from digitlens.reading.ledger import Ledger, LockedError, Row
from digitlens.reading.meter import History, RegionReading, TemplateReader, Verdict

SETTLED = 2.0  # seconds without a change, after which a file is taken to be whole


class Watch:
    """Reads the pictures of a folder that are new since the last time."""

    def __init__(
        self,
        folder: Path,
        reader: TemplateReader,
        ledger: Ledger,
        deliveries: Deliveries,
        vote: int = 1,
    ) -> None:
        """Takes up where the log ends.

        Args:
            folder: Where pictures arrive.
            reader: Reads them.
            ledger: The log.
            deliveries: Where else readings go.
            vote: See ``History``.

        Raises:
            DataError: A row of the log has no time.

        Attributes:
            unread: Names of the pictures that could not be read so far.
        """
        self._folder, self._reader, self._ledger = folder, reader, ledger
        self._deliveries = deliveries
        self._histories = {region.name: History(vote) for region in reader.template.regions}
        self._known: set[tuple[str, str]] = set()  # picture with its time, and with its hash
        self._refused: set[tuple[str, str]] = set()  # the same of files that could not be opened
        self._torn: set[tuple[str, str]] = set()  # hash and region, of a picture half in the log
        self._seen: dict[str, tuple[int, int]] = {}  # time and size, when it was last looked at
        self._unwritten: deque[list[Row]] = deque()
        self._is_locked = False
        self.unread: set[str] = set()
        self._recall()

    def _recall(self) -> None:
        """Takes from the log what was read, and queues what was not delivered."""
        last, newest = 0, list[Row]()
        for last, row in self._ledger.rows():
            if newest and _pairs(newest[0]) != _pairs(row):
                newest.clear()
            newest.append(row)
            if row.sha256:
                self._known |= _pairs(row)
            else:
                self._refused |= _pairs(row)
            self._deliveries.begin(last, row)
            if history := self._histories.get(row.region):
                when = _time(row.time, last)
                history.remember(when, _decimal(row.read), _decimal(row.value))
        regions = {row.region for row in newest}
        if regions and "" not in regions and self._histories.keys() - regions:
            # The power failed between the rows of a picture: it is read again, for the others.
            self._known -= {pair for row in newest for pair in _pairs(row)}
            self._torn = {(row.sha256, row.region) for row in newest}
        self._deliveries.begun(last)

    def look(self, paths: Iterable[str], *, patient: bool) -> Iterator[Row]:
        """Reads those of some pictures that are new, the oldest first; writes and posts them.

        Args:
            paths: Of pictures in the folder.
            patient: Whether to leave files that may still be written for the next time.

        Yields:
            What was read.
        """
        new = (found for path in paths if (found := self._new(path, patient=patient)))
        for when, modified, path in sorted(new):
            rows = self._read(path, when, modified)
            if rows:
                self._unwritten.append(rows)
                self.write()
                self._deliveries.flush()
                yield from rows

    def write(self) -> int:
        """Writes what is not written yet; gives how many pictures still are not."""
        try:
            while self._unwritten:
                last = self._ledger.append(self._unwritten[0])
                self._deliveries.add(last, self._unwritten.popleft())
            self._is_locked = False
        except LockedError as error:
            if not self._is_locked:
                note(f"digitlens: {error}: readings wait and are written later")
            self._is_locked = True
        return len(self._unwritten)

    def _new(self, path: str, *, patient: bool) -> tuple[datetime, str, str] | None:
        """When a picture was taken and its file written; None if it is not to be read now."""
        try:
            found = Path(path).stat()
        except OSError:
            return None  # gone meanwhile
        stamp = found.st_mtime_ns, found.st_size
        before, self._seen[path] = self._seen.get(path), stamp
        written = datetime.fromtimestamp(found.st_mtime_ns // 1000 / 1e6, UTC)
        modified = written.isoformat(timespec="microseconds")
        if (self._name(path), modified) in self._known:
            return None
        if patient and before != stamp and time.time() - found.st_mtime < SETTLED:
            return None
        return self._taken(path, written), modified, path

    def _taken(self, path: str, written: datetime) -> datetime:
        if self._reader.template.time:
            with suppress(ValueError):
                taken = datetime.strptime(Path(path).stem, self._reader.template.time)
                return taken.astimezone(UTC)
        return written

    def _name(self, path: str) -> str:
        name = Path(os.path.relpath(path, self._folder)).as_posix()
        return " ".join(os.fsencode(name).decode(errors="replace").splitlines())

    def _read(self, path: str, when: datetime, modified: str) -> list[Row]:
        """The rows of a picture; none where it was read before."""
        name = self._name(path)
        told = when.isoformat(timespec="seconds"), name, modified
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            return []  # gone meanwhile
        except OSError as error:
            self.unread.add(name)
            if (name, modified) in self._refused:
                return []
            self._refused.add((name, modified))
            reason = f"cannot be read ({error.strerror or error}): it is tried again"
            return self._none((*told, ""), when, "error", reason)
        self.unread.discard(name)
        digest = sha256(content)
        known = (name, digest) in self._known
        self._known |= {(name, modified), (name, digest)}
        if known:  # only touched
            return []
        try:
            found = self._reader.read(content)
        except DigitlensError as error:
            status = "rejected" if isinstance(error, TemplateError) else "error"
            self.unread |= {name} if status == "error" else set()
            reason = str(error).removeprefix("image: ")
            return self._none((*told, digest), when, status, reason)
        new = (each for each in found.values() if (digest, each.region.name) not in self._torn)
        return [self._row((*told, digest), when, each) for each in new]

    def _none(
        self, told: tuple[str, str, str, str], when: datetime, status: str, reason: str
    ) -> list[Row]:
        """The row of a picture on which no region could be read."""
        for history in self._histories.values():
            history.remember(when, None, None)
        return [Row(*told, status=status, reason=reason)]

    def _row(self, told: tuple[str, str, str, str], when: datetime, found: RegionReading) -> Row:
        history = self._histories[found.region.name]
        verdict = history.weigh(found, when)
        read = verdict.read
        history.remember(when, read.value if read else None, verdict.value)
        return Row(
            *told,
            region=found.region.name,
            value=_value(verdict),
            unit=found.region.unit,
            status=verdict.status,
            reason=verdict.reason,
            text=read.text if read else "",
            read="" if read is None or read.value is None else f"{read.value:f}",
            confidence=f"{read.probability:.4f}" if read else "",
        )


def _pairs(row: Row) -> set[tuple[str, str]]:
    """What a picture is known again by: its name with its time, and with its hash."""
    return {(row.picture, row.modified), (row.picture, row.sha256)}


def _value(verdict: Verdict) -> str:
    if verdict.status != "value" or verdict.read is None:
        return ""
    return verdict.read.text if verdict.value is None else f"{verdict.value:f}"


def _time(text: str, number: int) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise DataError(
            f"row {number} of the log: expected a time as in 2026-01-31T12:00:00+00:00, found "
            f"{text!r}: mend it, or give another file to --out"
        ) from error


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None
