"""Reads any number of pictures on any number of machines into Parquet, each picture exactly once.

The source is listed once, split into shards. Each process claims shards at the destination and
writes the rows of each as one file; the state of the job is next to these files, in ``_batch``:

- ``run.json``: source, options and models; a machine with different ones is refused.
- ``shards/ID.json``: names of pictures; ``listed.json``: the number of shards, once known.
- ``leases/ID.N``: the owner of a shard, rewritten while it works. A lease older than the patience
  is taken over by whoever creates the next one, N + 1; ``clock`` gives the store's time.

A shard is done by whoever creates ``part-ID.parquet`` first, so a process that was merely slow, and
whose lease was taken over, does no harm.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from io import BytesIO
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from digitlens import __version__
from digitlens.errors import DataError, DigitlensError, ModelError, needs_extra
from digitlens.files import names_picture, sha256
from digitlens.imaging.document import Document, open_document
from digitlens.models.bundle import lines_of, load_line_card, open_roles
from digitlens.reading.batch import WorkerError, ordered_map, start_process
from digitlens.reading.constraints import Expectation
from digitlens.reading.notation import NotationOptions
from digitlens.reading.reader import DigitReader
from digitlens.reading.stores import Store, UnreadableError, open_store
from digitlens.results import value_text

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Row: TypeAlias = dict[str, Any]

STATE = "_batch"
RUN, LISTED, CLOCK = f"{STATE}/run.json", f"{STATE}/listed.json", f"{STATE}/clock"
SHARDS, LEASES = f"{STATE}/shards", f"{STATE}/leases"
LISTING = "listing"  # task of the lease for listing the source
FORMAT = 1

SHARD = 1000  # pictures: 10 to 25 s of drawings, some minutes of photos of 12 megapixels
SPLITS, MIN_SHARD = 64, 16  # maximum shards of a small source, and minimum pictures of each
PATIENCE = 60.0  # seconds after which a lease that was not renewed expires
_RENEWALS = 3  # renewals of a lease within that time
_FETCHERS = 8  # threads that fetch pictures: 160 a second at 50 ms each
_MAX_MISSES = 32  # claims in a row lost to others after which free shards are listed again
_PAUSES = 0.1, 5.0  # seconds: first and longest pause while there is nothing to do
_RECORD_FROM = 3  # from this lease of a shard on, the picture being read is recorded
_REPORT_INTERVAL = 0.5  # seconds between progress reports of a process
_CHECK_INTERVAL = 5.0  # seconds: minimum interval of progress checks, else 20 times their duration
_SPARE = 4  # deaths of processes allowed without a shard done, in addition to one per process
_GRACE = 30.0  # seconds for processes to finish a picture and release their lease
_NAMELESS = re.compile(r"^image(#\d+)?: ")


@dataclass(frozen=True)
class RowOptions:
    """Options for reading pictures, with the names that ``DigitReader`` uses."""

    model: str = "default"
    pages: str = "pages"
    expect: tuple[str, ...] = ()
    target_error: float | None = None
    notation: NotationOptions = field(default_factory=NotationOptions)

    def identity(self) -> Row:
        """Everything that results depend on: options, version and models, JSON-ready."""
        tiles, finder = open_roles(self.model, self.pages)
        cards = [tiles.card, finder.card, load_line_card(lines_of(tiles.folder))]
        models = sha256(json.dumps([asdict(card) for card in cards]).encode())
        known = {key: value for key, value in self.notation.items() if value is not None}
        reads_photos = all(find_spec(name) for name in ("pillow_heif", "pypdfium2"))
        return {
            **{"format": FORMAT, "digitlens": __version__, "models": models},
            **{"expect": list(self.expect), "target_error": self.target_error, "notation": known},
            "extra photo": reads_photos,
        }


class RowReader:
    """Reads pictures into rows of a table, with rows for errors as well; uses one thread."""

    def __init__(self, options: RowOptions | None = None) -> None:
        """Loads the models.

        Raises:
            ModelError: A model is missing, damaged, or cannot guarantee the target error.
            ValueError: ``expect`` is not a constraint.
        """
        self._options = options or RowOptions()
        chosen = self._options
        self._expected = Expectation.of(chosen.expect or None)
        try:
            self._reader = DigitReader(
                chosen.model, pages=chosen.pages, target_error=chosen.target_error, threads=1
            )
        except ValueError as error:
            raise ModelError(f"the target error cannot be kept: {error}") from error

    def rows(self, path: str, content: bytes) -> list[Row]:
        """One row per page of a file, see ``schema``; a single error row if it cannot be opened."""
        try:
            with open_document(BytesIO(content)) as document:
                count = document.count
                return [self._page(path, document, number) for number in range(1, count + 1)]
        except Exception as error:  # any error is part of this file's result
            return [error_row(path, error)]

    def _page(self, path: str, document: Document, number: int) -> Row:
        start = time.thread_time()
        try:
            page, notation = document.page(number), self._options.notation
            reading = self._reader.read(page, expect=self._expected, **notation)
        except Exception as error:  # the other pages are still read
            return error_row(path, error, number)
        numbers, digits = reading.numbers, reading.digits
        doubtful = any(each.status == "unsure" for each in (*numbers, *digits))
        return {
            **{"path": _utf8(path), "page": number},
            "status": "unsure" if doubtful else "sure" if digits else "empty",
            "text": reading.text,
            "digits_only": reading.digits_only,
            "values": [value_text(each.value) for each in numbers],
            "numbers": json.dumps([each.as_dict() for each in numbers], ensure_ascii=False),
            "confidence": min((each.confidence for each in numbers), default=None),
            "milliseconds": round(1000 * (time.thread_time() - start), 2),
            "model_sha256": reading.model_sha256,
        }


def error_row(path: str, error: Exception, page: int = 1) -> Row:
    """The row of a page that could not be read, with the error."""
    message = _NAMELESS.sub("", str(error))
    text = message if isinstance(error, DigitlensError) else f"{type(error).__name__}: {message}"
    return {"path": _utf8(path), "page": page, "status": "error", "error": _utf8(text)}


def _utf8(text: str) -> str:
    return os.fsencode(text).decode(errors="replace")  # file names may be invalid UTF-8


def schema() -> Any:
    """The pyarrow schema of a table of readings."""
    with needs_extra("cloud", "a batch"):
        import pyarrow as arrow  # noqa: PLC0415

    text = arrow.string()
    columns = {
        **{"path": text, "page": arrow.int32(), "status": text, "text": text, "digits_only": text},
        **{"values": arrow.list_(text), "numbers": text, "confidence": arrow.float32()},
        **{"error": text, "milliseconds": arrow.float32(), "model_sha256": text},
    }
    return arrow.schema(list(columns.items()))


def table_of_rows(rows: Sequence[Row]) -> Any:
    """Rows as a pyarrow table."""
    import pyarrow as arrow  # noqa: PLC0415

    return arrow.Table.from_pylist(list(rows), schema=schema())


def _parquet(rows: Sequence[Row]) -> bytes:
    from pyarrow import parquet  # noqa: PLC0415

    stream = BytesIO()
    parquet.write_table(table_of_rows(rows), stream, compression="zstd")
    return stream.getvalue()


@dataclass(frozen=True)
class BatchJob:
    """The source and destination of a batch, as folders or addresses, and its options."""

    source: str  # searched for pictures recursively, without hidden files and folders
    destination: str  # receives one Parquet file per shard
    options: RowOptions = field(default_factory=RowOptions)
    shard: int = SHARD  # maximum pictures per shard
    patience: float = PATIENCE  # seconds after which a lease that was not renewed is taken over

    def open_destination(self) -> Store:
        """Opens the destination and checks that it is for this job.

        Raises:
            DataError: It belongs to another job, or there are no pictures.
        """
        schema()
        store = open_store(self.destination)
        ours = {"source": self.source.rstrip("/"), **self.options.identity()}
        if not store.has(RUN):
            if next(picture_names(open_store(self.source)), None) is None:
                raise DataError(f"{self.source}: no pictures found, judging by file names")
            store.create(RUN, json.dumps(ours, indent=1).encode())
        theirs = json.loads(store.get(RUN))
        if keys := [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]:
            diff = "; ".join(f"{key}: {theirs.get(key)!r}, now {ours.get(key)!r}" for key in keys)
            raise DataError(
                f"{self.destination} has the results of another run ({diff}): resume with the same "
                "options and version, or name another --out"
            )
        return store


def picture_names(source: Store, after: str = "") -> Iterator[str]:
    """Names of pictures after a given one in ascending order; hidden ones are skipped."""
    names = source.names(after)
    return (name for name in names if names_picture(name) and "/." not in f"/{name}")


@dataclass
class Lease:
    """Ownership of a shard, which a thread has to renew regularly."""

    store: Store  # the destination, where the lease exists already
    task: str  # ID of the shard, or ``LISTING``
    number: int  # 1 for the first lease of the shard, and so on
    lost: Sequence[int] = ()  # indices of pictures on which processes died
    at: int | None = None  # index of the picture being read, if recorded
    _released: Event = field(default_factory=Event)

    @property
    def name(self) -> str:
        """Its name in the store."""
        return f"{LEASES}/{self.task}.{self.number}"

    @property
    def content(self) -> bytes:
        """Owner and progress as JSON."""
        owner = f"{socket.gethostname()}:{os.getpid()}"
        return json.dumps({"who": owner, "at": self.at, "lost": self.lost}).encode()

    def renew(self) -> None:
        """Rewrites the lease, so that it does not expire."""
        self.store.put(self.name, self.content)

    @contextmanager
    def renewed(self, patience: float) -> Generator[None]:
        """Renews the lease during the block, and releases it afterwards."""
        thread = Thread(target=self._renew, args=(patience / _RENEWALS,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._released.set()
            thread.join()  # otherwise it might rewrite the lease
            self.store.delete(self.name)

    def _renew(self, seconds: float) -> None:
        while not self._released.wait(seconds):
            with suppress(DataError):  # if it keeps failing, others take over
                self.renew()


def _part_name(task: str) -> str:
    return f"part-{task}.parquet"


@dataclass
class ShardQueue:
    """The shards of a destination, claimed one by one."""

    store: Store
    patience: float = PATIENCE
    done: set[str] = field(default_factory=set[str])  # shards known to be read
    total: int | None = None  # number of shards; None while the source is being listed
    _free: list[str] = field(default_factory=list[str])

    @property
    def finished(self) -> bool:
        """Whether all shards were read."""
        return self.total is not None and len(self.done) >= self.total

    def refresh(self) -> list[str]:
        """Updates which shards are done; returns all others."""
        if self.total is None and self.store.has(LISTED):
            self.total = json.loads(self.store.get(LISTED))["shards"]
        if self.total is None:
            known = [name.removesuffix(".json") for name in self.store.written(SHARDS)]
        else:
            known = [_shard_id(number) for number in range(self.total)]
        parts = self.store.written()
        self.done = {task for task in known if _part_name(task) in parts}
        return [task for task in known if task not in self.done]

    def claim(self) -> Lease | None:
        """Claims a shard that is free or whose lease expired; None if there is none now."""
        if not self._free:
            undone, leases = self.refresh(), self._leases()
            self._free = [task for task in undone if task not in leases]
            random.shuffle(self._free)  # so that machines do not compete for the same shard
            if self.total is None and LISTING not in leases:
                self._free.append(LISTING)  # claimed first, as ``pop`` takes the last
            now = self._store_time() if leases else 0.0
            for task, (number, written) in leases.items():
                if now - written > self.patience and (lease := self._take_over(task, number)):
                    return lease
        for _ in range(min(_MAX_MISSES, len(self._free))):
            if lease := self._create_lease(self._free.pop(), 1):
                return lease
        self._free.clear()
        return None

    def _create_lease(self, task: str, number: int, lost: Sequence[int] = ()) -> Lease | None:
        lease = Lease(self.store, task, number, lost)
        if not self.store.create(lease.name, lease.content):
            return None
        if self.store.has(LISTED if task == LISTING else _part_name(task)):  # done by now
            for k in range(1, number + 1):
                self.store.delete(Lease(self.store, task, k).name)
            return None
        return lease

    def _take_over(self, task: str, number: int) -> Lease | None:
        """Takes over an expired lease, recording the picture its owner was reading, if known."""
        try:
            state = json.loads(self.store.get(Lease(self.store, task, number).name))
        except UnreadableError:  # released in the meantime
            return None
        lost = [*state["lost"], *([] if state["at"] is None else [state["at"]])]
        return self._create_lease(task, number + 1, lost)

    def _leases(self) -> dict[str, tuple[int, float]]:
        """Number and time of writing of the latest lease of each shard that has one."""
        latest: dict[str, tuple[int, float]] = {}
        for name, written in self.store.written(LEASES).items():
            task, _, number = name.rpartition(".")
            latest[task] = max((int(number), written), latest.get(task, (0, 0.0)))
        return latest

    def _store_time(self) -> float:
        """The store's time; the clocks of machines may differ."""
        self.store.put(CLOCK, b"")
        return self.store.written(STATE)[CLOCK.rpartition("/")[2]]


def _shard_id(number: int) -> str:
    return f"{number:09}"


def list_source(store: Store, source: Store, size: int, stopped: Callable[[], bool]) -> None:
    """Lists the pictures of a source in shards, continuing from where another process stopped."""
    listed = sorted(store.written(SHARDS))
    last = json.loads(store.get(f"{SHARDS}/{listed[-1]}"))[-1] if listed else ""
    names, number = picture_names(source, last), len(listed)
    first_names = list(islice(names, SPLITS * size))
    if len(first_names) < SPLITS * size:
        size = min(size, max(MIN_SHARD, -(-len(first_names) // SPLITS)))
    names = chain(first_names, names)
    while content := list(islice(names, size)):
        is_new = store.create(f"{SHARDS}/{_shard_id(number)}.json", json.dumps(content).encode())
        if stopped() or not is_new:  # another process is listing
            return
        number += 1
    store.create(LISTED, json.dumps({"shards": number}).encode())


class Tally(NamedTuple):
    """The work of a process since its last report."""

    pictures: int = 0
    errors: int = 0
    shards: int = 0


class ShardWorker:
    """Reads shards, one after the other, until all are done."""

    def __init__(
        self,
        job: BatchJob,
        stopped: Callable[[float], bool],
        tell: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        """Loads the models; ``stopped`` waits up to some seconds and returns whether to stop."""
        self._job, self._stopped, self._tell = job, stopped, tell
        self._store, self._source = open_store(job.destination), open_store(job.source)
        self._queue = ShardQueue(self._store, job.patience)
        self._reader = RowReader(job.options)
        self._tally, self._reported = Tally(), time.monotonic()

    def run(self) -> None:
        """Works until all shards are done or it is stopped."""
        pause, longest = _PAUSES
        while not self._stopped(0):
            lease = self._queue.claim()
            if lease:
                with lease.renewed(self._job.patience):
                    self._work(lease)
                pause = _PAUSES[0]
            elif self._queue.finished or self._stopped(pause):
                break
            else:
                pause = min(2 * pause, longest, self._job.patience / _RENEWALS)
        self._report(Tally(), now=True)

    def _work(self, lease: Lease) -> None:
        if lease.task == LISTING:
            list_source(self._store, self._source, self._job.shard, lambda: self._stopped(0))
            return
        names: list[str] = json.loads(self._store.get(f"{SHARDS}/{lease.task}.json"))
        rows: list[Row] = []
        with closing(ordered_map(self._source.get, names, _FETCHERS)) as contents:
            for k, (name, done) in enumerate(contents):
                if self._stopped(0):
                    return
                if isinstance(done.error, UnreadableError):
                    new_rows = [error_row(name, done.error)]
                elif k in lease.lost:
                    new_rows = [error_row(name, WorkerError("a worker process died reading it"))]
                else:
                    if lease.number >= _RECORD_FROM:
                        lease.at = k
                        lease.renew()
                    new_rows = self._reader.rows(name, done.result())
                rows += new_rows
                self._report(Tally(1, sum(row["status"] == "error" for row in new_rows)))
        if self._store.create(_part_name(lease.task), _parquet(rows)):
            self._report(Tally(shards=1))
        self._queue.done.add(lease.task)
        for k in range(1, lease.number):
            self._store.delete(replace(lease, number=k).name)

    def _report(self, more: Tally, *, now: bool = False) -> None:
        self._tally = Tally(*map(sum, zip(self._tally, more, strict=True)))
        if now or time.monotonic() - self._reported > _REPORT_INTERVAL:
            self._tell(self._tally)
            self._tally, self._reported = Tally(), time.monotonic()


@dataclass
class BatchStatus:
    """The progress of a job."""

    pictures: int = 0  # pictures read by this machine in this run
    errors: int = 0  # error rows among these
    done: int = 0  # shards read by any machine in any run
    total: int | None = None  # number of shards; None while the source is being listed


def run_batch(
    job: BatchJob, workers: int, tell: Callable[[BatchStatus], None] = lambda _: None
) -> BatchStatus:
    """Works on a job with several processes, together with other machines, until it is done.

    If interrupted, processes finish their picture and release their shards.

    Args:
        job: The job.
        workers: Number of processes, each with one thread.
        tell: Called regularly with the progress.

    Raises:
        DataError: The destination has another job, a store is unreachable, or there is no picture.
        WorkerError: Processes keep dying.
        ModelError: See ``RowReader``.
    """
    queue, status, next_check = ShardQueue(job.open_destination()), BatchStatus(), time.monotonic()
    queue.refresh()
    with _Processes(job, 0 if queue.finished else workers) as processes:
        while processes.running:
            for tally in processes.tallies():
                status.pictures += tally.pictures
                status.errors += tally.errors
            start = time.monotonic()
            if start >= next_check:
                queue.refresh()
                next_check = start + max(_CHECK_INTERVAL, 20 * (time.monotonic() - start))
            status.done, status.total = len(queue.done), queue.total
            tell(status)
    queue.refresh()
    status.done, status.total = len(queue.done), queue.total
    return status


class _Processes:
    """The worker processes of a machine; they are asked to stop at the end of the block."""

    def __init__(self, job: BatchJob, number: int) -> None:
        self._job, self._number, self._deaths = job, number, 0
        self.running: dict[Connection, SpawnProcess] = {}

    def start(self) -> None:
        connection, process = start_process(_serve, self._job)
        self.running[connection] = process

    def tallies(self) -> Iterator[Tally]:
        """Yields the latest reports of processes; replaces processes that died."""
        for connection in wait(list(self.running), _REPORT_INTERVAL):
            assert isinstance(connection, Connection)
            try:
                report = connection.recv()
            except (EOFError, OSError):
                process = self.running.pop(connection)
                process.join()
                if process.exitcode:
                    self._replace()
            else:
                if isinstance(report, Exception):
                    raise report
                self._deaths = 0 if report.shards else self._deaths
                yield report

    def _replace(self) -> None:
        self._deaths += 1
        if self._deaths > self._number + _SPARE:
            raise WorkerError(
                "worker processes keep dying: if memory runs out, use fewer --workers"
            )
        self.start()

    def __enter__(self) -> _Processes:
        for _ in range(self._number):
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.running:
            with suppress(OSError):
                connection.send("stop")
        end = time.monotonic() + _GRACE
        for process in self.running.values():
            process.join(max(0.0, end - time.monotonic()))
            process.kill()


def _serve(connection: Connection, job: BatchJob) -> None:
    """The main function of a process: works until it is told to stop or its parent is gone."""
    stopping = Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and passes it on

    def request_stop(_number: int, _frame: object) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, request_stop)

    def stopped(seconds: float) -> bool:
        return stopping.is_set() or connection.poll(seconds)

    def tell(report: Tally | Exception) -> None:
        with suppress(OSError):  # the parent is gone
            connection.send(report)

    try:
        ShardWorker(job, stopped, tell).run()
    except (DigitlensError, OSError) as error:
        tell(error)
