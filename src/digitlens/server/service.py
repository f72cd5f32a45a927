"""State shared by the routes (settings, models, worker pool, metrics) and parsing of requests.

``Pool`` runs jobs in a bounded number of threads, with a deadline for each request. Pictures, tiles
and options are parsed from multipart, raw or JSON bodies. Slow parsing, such as megabytes of base64
in JSON, is deferred to a function that a thread of the pool calls.
"""

from __future__ import annotations

import asyncio
import io
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from inspect import isgeneratorfunction
from itertools import islice
from typing import Any, Generic, TypeVar, cast

import numpy as np
from fastapi import Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    multiprocess,
)
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from digitlens.errors import ModelError
from digitlens.models.bundle import Card, LineCard
from digitlens.models.classifier import Probabilities, Tiles
from digitlens.models.networks import Reconstructor
from digitlens.models.session import Lazy
from digitlens.reading.reader import DigitReader
from digitlens.results import Reading
from digitlens.server.limits import PICTURES, TILES, Refusal, Settings
from digitlens.server.schemas import (
    CONSTRAINTS,
    JSON,
    MULTIPART,
    NAME_LENGTH,
    RAW,
    TILE,
    ClassifyRequest,
    InferInput,
    ReadOptions,
    ReadRequest,
)

T = TypeVar("T")
_WARM_UP = (280, 280)  # pixels
_BATCHED_BYTES = 16384  # maximum bytes of a request whose tiles are batched with those of others
METRICS_TYPE = CONTENT_TYPE_LATEST
# prometheus_client's variable for the folder in which several processes share their metrics.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_LATEST_WEIGHT = 0.05  # weight of the latest run in the moving average of job times
_BATCH = 16  # maximum number of jobs in one run: larger batches are hardly faster
# Beginning of a reason, and its label in the metrics.
_REJECT_LABELS = (("hardly a digit", "unlike a digit"), ("more than the digits", "not expected"))


class Metrics:
    """Prometheus metrics of one server; clients cannot make up new label values."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "digitlens_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._answers = self._counter("responses", "Answers.", "route", "status")
        self._digits = self._counter("digits", "Digits read.", "status")
        self._rejects = self._counter("rejects", "Objects rejected as not a digit.", "reason")
        self.tiles = self._counter("tiles", "Tiles classified.")
        self.refused = self._counter("refused_requests", "Requests refused.", "cause")
        self._waiting = self._gauge("queue_depth", "Requests waiting for a worker.")
        self._in_progress = self._gauge("in_progress", "Requests waiting or being read.")
        ProcessCollector(registry=self._registry)

    def pool(self, waiting: int, in_progress: int) -> None:
        """Sets the number of waiting requests, and of all requests in progress."""
        self._waiting.set(waiting)
        self._in_progress.set(in_progress)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self._seconds.labels(route).observe(seconds)
        self._answers.labels(route, str(status)).inc()

    def reading(self, reading: Reading) -> None:
        """Counts the digits of a page by status, and rejected ones by reason."""
        for digit in (digit for line in reading.lines for digit in line):
            self._digits.labels(digit.status).inc()
            if digit.status == "rejected":
                names = (label for start, label in _REJECT_LABELS if digit.reason.startswith(start))
                self._rejects.labels(next(names, "other")).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, summed over processes if there are several."""
        registry = self._registry
        if folder := os.environ.get(COUNTERS):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, folder)
        return generate_latest(registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        registry = self._registry
        return Gauge(f"digitlens_{name}", text, registry=registry, multiprocess_mode="livesum")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"digitlens_{name}", text, labels, registry=self._registry)


Steps = Generator[Any, Any, T]  # work that yields its part of a batch, and is sent the results


class Job(Generic[T]):
    """The work of one request.

    Attributes:
        started: Time of submission, on the clock ``time.perf_counter``.
        steps: The remaining work; set to None once nobody waits, which also frees the body.
        result: The future of the result; set in the event loop.
        can_batch: Whether the job can be batched with others.
    """

    def __init__(
        self, work: Callable[[Job[T]], T | Steps[T]], time_limit: float, *, can_batch: bool = False
    ) -> None:
        self.started = time.perf_counter()
        self.steps: Steps[T] | None = _make_steps(work, self)
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.can_batch = can_batch
        self._time_limit = time_limit
        self._settle: Callable[[], object] = self.result.cancel

    def check(self) -> None:
        """Raises a Refusal, which ends the job, if nobody waits for it or its time is up."""
        if self.steps is None or time.perf_counter() > self.started + self._time_limit:
            raise self.timeout_refusal()

    def timeout_refusal(self) -> Refusal:
        """The refusal of a request whose time is up."""
        return Refusal("time-limit", f"the answer was not ready within {self._time_limit:g} s")

    def advance(self, answer: Any = None) -> Any:
        """Runs until the job yields its part of a batch and returns the part; None once done."""
        try:
            self.check()
            assert self.steps
            return self.steps.send(answer)
        except StopIteration as end:
            self._end(partial(self.result.set_result, end.value))
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends the job with an error."""
        self._end(partial(self.result.set_exception, error))

    def deliver(self) -> None:
        """Sets the result, in the event loop, if somebody still waits for it."""
        if not self.result.done():
            self._settle()

    def _end(self, settle: Callable[[], object]) -> None:
        self.steps, self._settle = None, settle


def _make_steps(work: Callable[[Job[T]], T | Steps[T]], job: Job[T]) -> Steps[T]:
    outcome = work(job)
    return (yield from cast("Steps[T]", outcome)) if isinstance(outcome, Generator) else outcome


class Pool:
    """Worker threads with a queue; used from one event loop.

    Jobs that can be batched are, if they wait at the same time.
    """

    def __init__(
        self,
        settings: Settings,
        answer_batch: Callable[[list[Any]], Iterable[Any]] = tuple,
        on_change: Callable[[int, int], object] = lambda _waiting, _inside: None,
    ) -> None:
        """Starts no thread yet.

        ``answer_batch`` maps the parts that several jobs yield to one answer each; ``on_change`` is
        called with the number of waiting jobs and of all jobs whenever these change.
        """
        self._workers = settings.workers
        self._capacity = settings.workers + settings.queue
        self._time_limit = settings.time_limit
        self._answer_batch = answer_batch
        self._on_change = on_change
        self._threads = ThreadPoolExecutor(self._workers, "digitlens-worker")
        self._lock = threading.Lock()
        self._waiting = deque[Job[Any]]()
        self._running = 0  # jobs
        self._busy = 0  # threads
        self._closed = False
        self._job_seconds = 0.1  # average time of a job

    @property
    def waiting(self) -> int:
        """Number of jobs waiting for a worker."""
        return len(self._waiting)

    @property
    def in_progress(self) -> int:
        """Number of jobs running or waiting."""
        return self._running + self.waiting

    async def run(
        self,
        work: Callable[[Job[T]], T | Steps[T]],
        disconnection: Callable[[], Coroutine[Any, Any, None]],
        *,
        can_batch: bool = False,
    ) -> T:
        """Runs work in a thread; the work calls ``check`` of its job between steps.

        Work that can be batched is a generator: it yields its part and is sent the results. Raises
        Refusal if the queue is full, the time is up, the client is gone or the pool is closed.
        """
        job = Job(work, self._time_limit, can_batch=can_batch)
        self._submit(job)
        disconnected = asyncio.ensure_future(disconnection())
        tasks: set[asyncio.Future[Any]] = {job.result, disconnected}
        try:
            await asyncio.wait(tasks, timeout=self._time_limit, return_when=asyncio.FIRST_COMPLETED)
            if job.result.done():
                return job.result.result()
            if disconnected.done():
                raise Refusal("gone", "the client closed the connection")
            raise job.timeout_refusal()
        finally:
            disconnected.cancel()
            if not job.result.done():
                self._drop_job(job)

    def close(self) -> None:
        """Refuses new work and waits for the present jobs."""
        self._closed = True
        self._threads.shutdown(wait=True)

    def _submit(self, job: Job[Any]) -> None:
        with self._lock:
            if self._closed:
                raise Refusal("stopping", "the server is stopping: use another one")
            if self.in_progress >= self._capacity:
                wait = max(1, math.ceil(self.in_progress * self._job_seconds / self._workers))
                detail = f"{self.waiting} requests are waiting: try again in {wait} s"
                raise Refusal("queue-full", detail, {"Retry-After": str(wait)})
            self._waiting.append(job)
            self._on_change(self.waiting, self.in_progress)
            if self._busy < self._workers:
                self._busy += 1
                self._threads.submit(self._work)

    def _drop_job(self, job: Job[Any]) -> None:
        """Drops a job that nobody waits for; if it has not begun, frees its place in the queue."""
        job.steps = None
        job.result.cancel()
        with self._lock, suppress(ValueError):
            self._waiting.remove(job)
            self._on_change(self.waiting, self.in_progress)

    def _work(self) -> None:
        """Runs jobs in one thread until none wait."""
        while jobs := self._take_jobs():
            start = time.perf_counter()
            self._run_jobs(jobs)
            seconds = (time.perf_counter() - start) / len(jobs)
            self._job_seconds += _LATEST_WEIGHT * (seconds - self._job_seconds)
            with self._lock:
                self._running -= len(jobs)
                self._on_change(self.waiting, self.in_progress)
            with suppress(RuntimeError):  # the event loop has ended: nobody waits
                jobs[0].result.get_loop().call_soon_threadsafe(_deliver, jobs)

    def _take_jobs(self) -> list[Job[Any]]:
        """The job that has waited longest, and those batched with it; if none, frees the thread."""
        with self._lock:
            if not self._waiting:
                self._busy -= 1
                return []
            jobs = [self._waiting.popleft()]
            if jobs[0].can_batch:
                jobs += islice((job for job in self._waiting if job.can_batch), _BATCH - 1)
                for job in jobs[1:]:
                    self._waiting.remove(job)
            self._running += len(jobs)
            self._on_change(self.waiting, self.in_progress)
            return jobs

    def _run_jobs(self, jobs: Iterable[Job[Any]]) -> None:
        parts = [(job, part) for job in jobs if (part := job.advance()) is not None]
        if not parts:
            return
        try:
            answers = self._answer_batch([part for _, part in parts])
            for (job, _), answer in zip(parts, answers, strict=True):
                job.advance(answer)
        except Exception as error:
            for job, _ in parts:
                job.fail(error)


def _deliver(jobs: Iterable[Job[Any]]) -> None:
    for job in jobs:
        job.deliver()


@dataclass
class Service:
    """The state of a running server.

    Attributes:
        reconstructor: The autoencoder, loaded on first use.
        stopping: Whether it is shutting down.
    """

    settings: Settings
    reader: DigitReader
    pool: Pool
    metrics: Metrics
    reconstructor: Lazy[Reconstructor] = field(
        default_factory=lambda: Lazy(lambda: Reconstructor(threads=1))
    )
    stopping: bool = False

    @property
    def cards(self) -> dict[str, Card | LineCard]:
        """The cards of the models, by role."""
        reader = self.reader
        return {"tiles": reader.classifier.card, "pages": reader.finder.card, "lines": reader.card}

    def reader_at(self, target_error: float | None) -> DigitReader:
        """The reader with thresholds for a target error; Refusal if that cannot be guaranteed."""
        if target_error is None:
            return self.reader
        try:
            return self.reader.at(target_error)
        except (ModelError, ValueError) as error:
            raise Refusal("invalid", f"target_error: {error}") from error

    async def answer(
        self, request: Request, work: Callable[[Job[bytes]], bytes | Steps[bytes]]
    ) -> Response:
        """Runs work in the pool and responds with its JSON; stops if the client disconnects."""
        return Response(await self.run(request, work), media_type=JSON)

    async def run(self, request: Request, work: Callable[[Job[T]], T | Steps[T]]) -> T:
        """Runs work in the pool and returns its result; stops if the client disconnects.

        Work that yields tiles is sent their probabilities; small requests are batched.
        """

        async def disconnection() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                await asyncio.sleep(0)

        small = isgeneratorfunction(work) and len(await request.body()) <= _BATCHED_BYTES
        return await self.pool.run(work, disconnection, can_batch=small)


def service_of(request: Request) -> Service:
    """The service that handles a request."""
    return cast("Service", request.app.state.service)


def start(settings: Settings) -> Service:
    """Loads the models and reads a blank page, so that faults show before the first request."""
    # Requests are concurrent: one thread per request uses the cores best.
    reader = DigitReader(settings.model, pages=settings.pages, threads=1)
    reader.read(np.full(_WARM_UP, 255, np.uint8))
    service = make_service(settings, reader)
    service.reconstructor()
    return service


def make_service(settings: Settings, reader: DigitReader) -> Service:
    """The service around a loaded reader."""

    def classify(batch: list[Tiles]) -> list[Probabilities]:
        rows = reader.classifier.predict_proba(np.concatenate(batch))
        return np.split(rows, np.cumsum([len(tiles) for tiles in batch[:-1]]))

    metrics = Metrics()
    return Service(settings, reader, Pool(settings, classify, metrics.pool), metrics)


INPUT = "tiles"  # the only input tensor in the Open Inference Protocol
FIELDS = ("file", "files")
_FIELD_BYTES = 4096
_EXPECTED = f"expected {MULTIPART}, {JSON} or one of {', '.join(RAW)}"


class UploadedPicture(io.BytesIO):
    """The bytes of a file, with the client's name for it, if any, and a name for errors."""

    def __init__(self, data: bytes, client_name: str | None = None) -> None:
        super().__init__(data)
        self.client_name = client_name[:NAME_LENGTH] if client_name else None
        self.name = self.client_name or "image"


@dataclass(frozen=True)
class Upload:
    """The pictures that a client sent, and the options for reading them."""

    pictures: list[UploadedPicture]
    options: ReadOptions


async def receive_pictures(request: Request, options: ReadOptions) -> Callable[[], Upload]:
    """Receives a body and returns a function that does the remaining decoding.

    Raises Refusal if the body is empty, of another type, damaged, or has too many pictures.
    """
    kind = media_type(request)
    if kind == MULTIPART:
        upload = await _receive_form(request, options)
        return lambda: upload
    body = await request.body()
    if not body:
        raise Refusal("malformed", f"the body is empty: {_EXPECTED}")
    if kind == JSON:
        return lambda: _pictures_of_json(body, options)
    if is_raw(kind):
        return lambda: Upload([UploadedPicture(body)], options)
    raise Refusal("unsupported-type", f"{_EXPECTED}; found {kind[:80]}")


def media_type(request: Request) -> str:
    """The content type of a request, without parameters; empty if none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_raw(content_type: str) -> bool:
    """Whether a body of this type is the bytes of one file; assumed if no type is given."""
    return content_type in {"", *RAW} or content_type.startswith("image/")


def _pictures_of_json(body: bytes, options: ReadOptions) -> Upload:
    read_request = ReadRequest.model_validate_json(body)
    pictures = [UploadedPicture(picture.data, picture.name) for picture in read_request.pictures]
    fields = read_request.model_dump(exclude_unset=True, exclude={"images", "image"})
    return Upload(pictures, options.updated(fields))


async def _receive_form(request: Request, options: ReadOptions) -> Upload:
    parser = _FormParser(
        request.headers,
        request.stream(),
        max_files=PICTURES,
        max_fields=len(ReadOptions.model_fields) + CONSTRAINTS,
        max_part_size=_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
        if not parser.is_complete:  # a truncated form must not lose parts silently
            raise Refusal("malformed", "the form is cut off: expected a boundary at its end")
        return _pictures_of_form(form, options)
    except MultiPartException as error:
        kind = "too-large" if "Too many files" in error.message else "malformed"
        raise Refusal(kind, error.message) from error
    finally:
        parser.close()


class _FormParser(MultiPartParser):
    spool_max_size = 1 << 62  # pictures are never written to disk
    is_complete = False  # whether the last boundary was received

    def on_end(self) -> None:
        self.is_complete = True

    def close(self) -> None:
        for file in self._files_to_close_on_error:  # including those of incomplete parts
            file.close()


def options_of(fields: Iterable[tuple[str, str]]) -> ReadOptions:
    """Options from names and values; ``expect`` may occur several times."""
    options: dict[str, Any] = {}
    for name, value in fields:
        options[name] = [*options.get(name, ()), value] if name == "expect" else value
    return ReadOptions.model_validate(options)


def _pictures_of_form(form: FormData, options: ReadOptions) -> Upload:
    pictures: list[UploadedPicture] = []
    fields: list[tuple[str, str]] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in FIELDS:
                expected = f"expected files in parts named {' or '.join(FIELDS)}"
                raise Refusal("invalid", f"{expected}, found {name[:80]!r}")
            pictures.append(UploadedPicture(value.file.read(), value.filename))
        elif name in FIELDS:
            raise Refusal("malformed", f"the part {name!r} has no file name: send it as a file")
        else:
            fields.append((name[:80], value))
    if not pictures:
        raise Refusal("malformed", f"expected a part named {' or '.join(FIELDS)}, found none")
    form_options = options_of(fields)
    return Upload(pictures, options.updated(form_options.model_dump(exclude_unset=True)))


def check_tiles(data: bytes) -> Tiles:
    """uint8[N, 28, 28] from bytes; Refusal if there are none, too many, or an incomplete tile."""
    count, rest = divmod(len(data), TILE)
    if rest or not count:
        raise Refusal(
            "invalid", f"expected {TILE} bytes per tile, at least one, found {len(data):,} bytes"
        )
    if count > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {count:,}")
    return np.frombuffer(data, np.uint8).reshape(-1, 28, 28)


async def receive_tiles(request: Request) -> Callable[[], Tiles]:
    """Receives a body and returns a function that decodes its tiles, from JSON or raw bytes."""
    kind = media_type(request)
    body = await request.body()
    if not body:
        raise Refusal("malformed", "the body is empty, expected tiles")
    if kind == JSON:
        return lambda: _tiles_of_json(body)
    if is_raw(kind) and not kind.startswith("image/"):
        return lambda: check_tiles(body)
    raise Refusal("unsupported-type", f"expected {JSON} or {RAW[1]}, found {kind[:80]}")


def _tiles_of_json(body: bytes) -> Tiles:
    tiles = ClassifyRequest.model_validate_json(body).tiles
    return check_tiles(tiles) if isinstance(tiles, bytes) else np.array(tiles, np.uint8)


def tiles_of_tensor(inputs: list[InferInput], tail: bytes) -> Tiles:
    """uint8[N, 28, 28] from the only input of a request."""
    if [tensor.name for tensor in inputs] != [INPUT]:
        raise Refusal("malformed", f"expected only the input {INPUT!r}")
    tensor = inputs[0]
    if tensor.datatype != "UINT8" or tensor.shape[1:] != [28, 28] or tensor.shape[0] < 1:
        found = f"{tensor.datatype[:20]} {tensor.shape}"
        raise Refusal("malformed", f"{INPUT}: expected UINT8 of shape [N, 28, 28], found {found}")
    if tensor.shape[0] > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {tensor.shape[0]:,}")
    data = tail if tensor.data is None else _bytes_of_numbers(tensor.data)
    if len(data) != math.prod(tensor.shape):
        expected = f"{math.prod(tensor.shape):,} values for shape {tensor.shape}"
        raise Refusal("malformed", f"{INPUT}: expected {expected}, found {len(data):,}")
    return check_tiles(data)


def _bytes_of_numbers(data: list[Any]) -> bytes:
    """The bytes of whole numbers from 0 to 255, flat or nested to any depth."""
    try:
        values = np.array(data)
    except ValueError:  # ragged
        values = np.array("")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise Refusal("malformed", f"{INPUT}: expected whole numbers from 0 to 255")
    return values.astype(np.uint8).tobytes()
