"""Watches a folder: reads each picture once with a template, logs and posts the readings.

The log is the only state: the pictures already read and the last values are restored from it. A
file that cannot be opened gets a row in the log and is retried each time.
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
from typing import NamedTuple

from digitlens.errors import DataError, DigitlensError, TemplateError
from digitlens.files import sha256
from digitlens.progress import note
from digitlens.reading.ledger import Deliveries, Ledger, LockedError, Row
from digitlens.reading.meter import WAIT, History, RegionReading, TemplateReader, Verdict

_LATEST = 3  # pictures of the log per digit from which its look is relearnt after a start
SETTLED = 2.0  # seconds without a change after which a file is considered complete


class Watch:
    """Reads the new pictures of a folder."""

    def __init__(
        self,
        folder: Path,
        reader: TemplateReader,
        ledger: Ledger,
        deliveries: Deliveries,
        wait: int = WAIT,
    ) -> None:
        """Resumes from the log; raises DataError if a row of it has no valid time.

        Pictures arrive in ``folder``; readings also go to ``deliveries``; ``wait``: ``History``.
        """
        self._folder, self._reader, self._ledger = folder, reader, ledger
        self._deliveries = deliveries
        regions = reader.template.regions
        self._histories = {region.name: History(region, wait) for region in regions}
        self._undecided: deque[_Undecided] = deque()
        self._read_keys: set[tuple[str, str]] = set()  # pictures by name and time, by name and hash
        self._unopened: set[tuple[str, str]] = set()  # the same for files that could not be opened
        self._torn: set[tuple[str, str]] = set()  # hash and region of a picture half in the log
        self._stamps: dict[str, tuple[int, int]] = {}  # time and size of files at the last check
        self._unwritten: deque[list[Row]] = deque()
        self._is_locked = False  # whether the log was locked at the last write
        # By region and digit, the newest rows with a value that contains the digit.
        self._latest: dict[tuple[str, str], deque[Row]] = {}
        self.unread: set[str] = set()  # names of pictures that could not be read so far
        self._replay_log()

    def _replay_log(self) -> None:
        """Restores known pictures and values from the log, and queues undelivered rows."""
        last, newest = 0, list[Row]()
        for last, row in self._ledger.rows():
            if newest and _keys(newest[0]) != _keys(row):
                newest.clear()
            newest.append(row)
            if row.sha256:
                self._read_keys |= _keys(row)
            else:
                self._unopened |= _keys(row)
            self._deliveries.replay(last, row)
            when, value = _parse_time(row.time, last), _parse_decimal(row.value)
            if value is not None and (history := self._histories.get(row.region)):
                history.restore(when, value)
                for digit in set(row.text):
                    self._latest.setdefault((row.region, digit), deque(maxlen=_LATEST)).append(row)
        regions = {row.region for row in newest}
        if regions and "" not in regions and self._histories.keys() - regions:
            # A power cut left only some rows of the last picture: read it again for the others.
            self._read_keys -= {pair for row in newest for pair in _keys(row)}
            self._torn = {(row.sha256, row.region) for row in newest}
        self._deliveries.start(last)

    def _relearn_looks(self) -> None:
        """Relearns the look of the counters' digits from pictures of the log."""
        counters = {each.name for each in self._reader.template.regions if each.kind == "counter"}
        rows = {row for (name, _), rows in self._latest.items() if name in counters for row in rows}
        self._latest.clear()
        for row in sorted(rows, key=lambda each: each.time):
            with suppress(OSError, DigitlensError):  # the file is gone or was replaced
                content = (self._folder / row.picture).read_bytes()
                if sha256(content) == row.sha256:
                    self._histories[row.region].relearn(
                        self._reader.looks(content)[row.region], row.text
                    )

    def poll(self, paths: Iterable[str], *, patient: bool) -> Iterator[Row]:
        """Reads those pictures that are new, the oldest first; logs and posts the readings.

        A doubtful picture, and all after it, wait for later ones.

        Args:
            paths: Paths of pictures in the folder.
            patient: Whether to skip files that may still be written until the next call, and to let
                doubtful pictures wait for others.

        Yields:
            The rows of decided pictures.
        """
        new = (picture for path in paths if (picture := self._times_if_new(path, patient=patient)))
        for when, modified, path in sorted(new):
            self._read(path, when, modified)
            yield from self._decided()
        if not patient:
            yield from self._decided(last=True)

    def _decided(self, *, last: bool = False) -> Iterator[Row]:
        """Decides pictures in order, up to the first that has to wait."""
        while self._undecided:
            picture = self._undecided[0]
            for found in picture.found[len(picture.rows) :]:
                verdict = self._histories[found.region.name].decide(last=last)
                if verdict is None:
                    return
                picture.rows.append(_row(picture.picture_id, found, verdict))
            self._undecided.popleft()
            if picture.rows:
                self._unwritten.append(picture.rows)
                self.write()
                self._deliveries.flush()
                yield from picture.rows

    def write(self) -> int:
        """Writes pending rows to the log; returns the number of pictures still pending."""
        try:
            while self._unwritten:
                last = self._ledger.append(self._unwritten[0])
                self._deliveries.add(last, self._unwritten.popleft())
            self._is_locked = False
        except LockedError as error:
            if not self._is_locked:
                note(f"digitlens: {error}: readings will be written later")
            self._is_locked = True
        return len(self._unwritten)

    def _times_if_new(self, path: str, *, patient: bool) -> tuple[datetime, str, str] | None:
        """Times when a picture was taken and its file written; None if it is not to be read now."""
        try:
            info = Path(path).stat()
        except OSError:
            return None  # deleted in the meantime
        stamp = info.st_mtime_ns, info.st_size
        old_stamp, self._stamps[path] = self._stamps.get(path), stamp
        written = datetime.fromtimestamp(info.st_mtime_ns // 1000 / 1e6, UTC)
        modified = written.isoformat(timespec="microseconds")
        if (self._name(path), modified) in self._read_keys:
            return None
        if patient and old_stamp != stamp and time.time() - info.st_mtime < SETTLED:
            return None
        return self._time_taken(path, written), modified, path

    def _time_taken(self, path: str, written: datetime) -> datetime:
        if self._reader.template.time:
            with suppress(ValueError):
                taken = datetime.strptime(Path(path).stem, self._reader.template.time)
                return taken.astimezone(UTC)
        return written

    def _name(self, path: str) -> str:
        name = Path(os.path.relpath(path, self._folder)).as_posix()
        return " ".join(os.fsencode(name).decode(errors="replace").splitlines())

    def _read(self, path: str, when: datetime, modified: str) -> None:
        """Reads a picture and queues it for a decision, unless it was read before."""
        name = self._name(path)
        picture_id = when.isoformat(timespec="seconds"), name, modified
        self._relearn_looks()
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            return  # deleted in the meantime
        except OSError as error:
            self.unread.add(name)
            if (name, modified) not in self._unopened:
                self._unopened.add((name, modified))
                reason = f"cannot be read ({error.strerror or error}); will be retried"
                self._undecided.append(_unreadable((*picture_id, ""), "error", reason))
            return
        self.unread.discard(name)
        digest = sha256(content)
        known = (name, digest) in self._read_keys
        self._read_keys |= {(name, modified), (name, digest)}
        if known:  # same content with a new time
            return
        try:
            readings = self._reader.read(content)
        except DigitlensError as error:
            status = "rejected" if isinstance(error, TemplateError) else "error"
            self.unread |= {name} if status == "error" else set()
            reason = str(error).removeprefix("image: ")
            self._undecided.append(_unreadable((*picture_id, digest), status, reason))
            return
        new = [each for each in readings.values() if (digest, each.region.name) not in self._torn]
        for each in new:
            self._histories[each.region.name].observe(each, when)
        self._undecided.append(_Undecided((*picture_id, digest), new, []))


PictureId = tuple[str, str, str, str]  # time, name, time of the file and hash of a picture


class _Undecided(NamedTuple):
    """A picture whose rows are not all decided."""

    picture_id: PictureId
    found: list[RegionReading]  # readings of its regions
    rows: list[Row]  # rows of the first of these, which are decided


def _unreadable(picture_id: PictureId, status: str, reason: str) -> _Undecided:
    """A picture of which no region could be read."""
    return _Undecided(picture_id, [], [Row(*picture_id, status=status, reason=reason)])


def _row(picture_id: PictureId, reading: RegionReading, verdict: Verdict) -> Row:
    read, value = verdict.read, ""
    if verdict.status == "value" and read is not None:
        value = read.text if verdict.value is None else f"{verdict.value:f}"
    return Row(
        *picture_id,
        region=reading.region.name,
        value=value,
        unit=reading.region.unit,
        status=verdict.status,
        reason=verdict.reason,
        text=read.text if read else "",
        read="" if read is None or read.value is None else f"{read.value:f}",
        confidence=f"{read.probability:.4f}" if read else "",
    )


def _keys(row: Row) -> set[tuple[str, str]]:
    """The keys that identify a picture: its name with its time, and with its hash."""
    return {(row.picture, row.modified), (row.picture, row.sha256)}


def _parse_time(text: str, number: int) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise DataError(
            f"row {number} of the log: expected a time as in 2026-01-31T12:00:00+00:00, found "
            f"{text!r}: correct it, or give another file to --out"
        ) from error


def _parse_decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None
