"""What the routes share: settings, models, pool and counters; and what comes with a request.

Pictures, tiles and options are taken out of bodies: multipart, raw bytes or JSON. What takes long,
as JSON with megabytes of base64, is left to a function that a thread of the pool calls.
"""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from fastapi import Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from digitlens.errors import ModelError
from digitlens.models.bundle import Card, LineCard
from digitlens.models.networks import Reconstructor
from digitlens.models.session import Lazy
from digitlens.reading.reader import DigitReader
from digitlens.results import Reading
from digitlens.server.limits import PICTURES, TILES, Job, Pool, Refusal, Settings
from digitlens.server.schemas import (
    CONSTRAINTS,
    JSON,
    MULTIPART,
    NAME,
    RAW,
    TILE,
    ClassifyRequest,
    InferInput,
    ReadOptions,
    ReadRequest,
)

T = TypeVar("T")
_WARM_UP = (280, 280)  # pixels
METRICS_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
# How a reason begins, and the label it is counted under.
_REASONS = (("hardly a digit", "unlike a digit"), ("more than the digits", "not expected"))


class Metrics:
    """Counters of one server for Prometheus; no label has many values, whatever clients send."""

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
        self._digits = self._counter("digits", "Digits on pictures that were read.", "status")
        self._rejects = self._counter("rejects", "What was taken for no digit.", "reason")
        self.tiles = self._counter("tiles", "Tiles that were classified.")
        self.refused = self._counter("refused_requests", "Requests refused.", "cause")
        ProcessCollector(registry=self._registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Shows a number as it is when it is asked for."""
        Gauge(f"digitlens_{name}", text, registry=self._registry).set_function(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self._seconds.labels(route).observe(seconds)
        self._answers.labels(route, str(status)).inc()

    def reading(self, reading: Reading) -> None:
        """Counts the digits of a page, and those rejected by reason."""
        for digit in (digit for line in reading.lines for digit in line):
            self._digits.labels(digit.status).inc()
            if digit.status == "rejected":
                known = (label for start, label in _REASONS if digit.reason.startswith(start))
                self._rejects.labels(next(known, "other")).inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"digitlens_{name}", text, labels, registry=self._registry)


@dataclass
class Service:
    """One server at work.

    Attributes:
        reconstructor: The autoencoder, loaded by the first request that wants it.
        stopping: Whether it takes no more requests.
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
        """The cards of the models, by what they do."""
        reader = self.reader
        return {"tiles": reader.classifier.card, "pages": reader.finder.card, "lines": reader.card}

    def reader_at(self, target_error: float | None) -> DigitReader:
        """The reader, sure where at most such a share of what it is sure of is wrong.

        Raises:
            Refusal: The model cannot promise so few errors.
        """
        if target_error is None:
            return self.reader
        try:
            return self.reader.at(target_error)
        except (ModelError, ValueError) as error:
            raise Refusal("invalid", f"target_error: {error}") from error

    async def answer(self, request: Request, work: Callable[[Job[bytes]], bytes]) -> Response:
        """Answers with the JSON that work in the pool gives, as long as the client is there."""
        return Response(await self.run(request, work), media_type="application/json")

    async def run(self, request: Request, work: Callable[[Job[T]], T]) -> T:
        """What work in the pool gives, as long as the client is there."""

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                await asyncio.sleep(0)

        return await self.pool.run(work, gone)


def service_of(request: Request) -> Service:
    """The server that a request came to."""
    return cast("Service", request.app.state.service)


def start(settings: Settings) -> Service:
    """Loads the models and reads once, so that what is broken is known before anyone asks.

    Raises:
        ModelError: A model is missing, damaged or of a newer format.
    """
    # Requests come many at a time: a core is used best by a thread that shares it with nobody.
    reader = DigitReader(settings.model, pages=settings.pages, threads=1)
    reader.read(np.full(_WARM_UP, 255, np.uint8))
    service = assemble(settings, reader)
    service.reconstructor()
    return service


def assemble(settings: Settings, reader: DigitReader) -> Service:
    """A server around a reader that is there."""
    pool = Pool(settings.workers, settings.queue, settings.time_limit)
    metrics = Metrics()
    metrics.watch("queue_depth", "Requests waiting for a worker.", lambda: pool.waiting)
    metrics.watch("in_progress", "Requests waiting or being read.", lambda: pool.inside)
    return Service(settings, reader, pool, metrics)


Tiles = npt.NDArray[np.uint8]
INPUT = "tiles"  # the one tensor of the Open Inference Protocol
FIELDS = ("file", "files")
_FIELD_BYTES = 4096
_EXPECTED = f"expected {MULTIPART}, {JSON} or one of {', '.join(RAW)}"


class UploadedPicture(io.BytesIO):
    """The bytes of a file, with the name that the client gave it, if any, and one for errors."""

    def __init__(self, data: bytes, given: str | None = None) -> None:
        super().__init__(data)
        self.given = given[:NAME] if given else None
        self.name = self.given or "image"


@dataclass(frozen=True)
class Upload:
    """What a client wants read."""

    pictures: list[UploadedPicture]
    options: ReadOptions


async def receive_pictures(request: Request, options: ReadOptions) -> Callable[[], Upload]:
    """Receives a body; what is left to decode is done when the result is called.

    Raises:
        Refusal: The body is empty, of another type, damaged, or of too many pictures.
    """
    kind = media_type(request)
    if kind == MULTIPART:
        async with _form(request) as form:
            wanted = _pictures_of_form(form, options)
        return lambda: wanted
    body = await request.body()
    if not body:
        raise Refusal("malformed", f"the body is empty: {_EXPECTED}")
    if kind == JSON:
        return lambda: _pictures_of_json(body, options)
    if is_raw(kind):
        return lambda: Upload([UploadedPicture(body)], options)
    raise Refusal("unsupported-type", f"{_EXPECTED}; found {kind[:80]}")


def media_type(request: Request) -> str:
    """The type of a request's body, without parameters; empty where it says none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_raw(kind: str) -> bool:
    """Whether a body of this type is the bytes of one file; none said is taken to be so."""
    return kind in {"", *RAW} or kind.startswith("image/")


def _pictures_of_json(body: bytes, options: ReadOptions) -> Upload:
    asked = ReadRequest.model_validate_json(body)
    pictures = [UploadedPicture(picture.data, picture.name) for picture in asked.pictures]
    said = asked.options.model_dump(include=asked.model_fields_set)
    return Upload(pictures, options.updated(said))


@asynccontextmanager
async def _form(request: Request) -> AsyncGenerator[FormData]:
    limits = {"max_files": PICTURES, "max_fields": len(ReadOptions.model_fields) + CONSTRAINTS}
    parser = _FormParser(request.headers, request.stream(), **limits, max_part_size=_FIELD_BYTES)
    try:
        form = await parser.parse()
        if not parser.whole:  # what was cut off must not be left out silently
            raise Refusal("malformed", "the form is cut off: expected a boundary at its end")
        yield form
    except MultiPartException as error:
        kind = "too-large" if "Too many files" in error.message else "malformed"
        raise Refusal(kind, error.message) from error
    finally:
        parser.close()


class _FormParser(MultiPartParser):
    spool_max_size = 1 << 62  # no picture is ever written to a disk
    whole = False  # whether the last boundary was there

    def on_end(self) -> None:
        self.whole = True

    def close(self) -> None:
        for file in self._files_to_close_on_error:  # also of a part that was never whole
            file.close()


def options_of(fields: Iterable[tuple[str, str]]) -> ReadOptions:
    """Options from names and values, of which ``expect`` may be there several times."""
    said: dict[str, Any] = {}
    for name, value in fields:
        said[name] = [*said.get(name, ()), value] if name == "expect" else value
    return ReadOptions.model_validate(said)


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
    said = options_of(fields)
    return Upload(pictures, options.updated(said.model_dump(exclude_unset=True)))


def check_tiles(data: bytes) -> Tiles:
    """uint8[N, 28, 28]; the bytes of tiles, one after the other.

    Raises:
        Refusal: There is no tile, half a tile, or too many.
    """
    count, rest = divmod(len(data), TILE)
    if rest or not count:
        raise Refusal(
            "invalid", f"expected {TILE} bytes a tile, one tile at least, found {len(data):,} bytes"
        )
    if count > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {count:,}")
    return np.frombuffer(data, np.uint8).reshape(-1, 28, 28)


async def receive_tiles(request: Request) -> Callable[[], Tiles]:
    """What reads the tiles out of a request's body, in whatever form they came.

    Raises:
        Refusal: The body is empty or of another type; the function itself raises, too.
    """
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


def tiles_of_tensor(inputs: list[InferInput], after: bytes) -> Tiles:
    """uint8[N, 28, 28] of a request's one input."""
    if [one.name for one in inputs] != [INPUT]:
        raise Refusal("malformed", f"expected the input {INPUT!r} alone")
    given = inputs[0]
    if given.datatype != "UINT8" or given.shape[1:] != [28, 28] or given.shape[0] < 1:
        found = f"{given.datatype[:20]} {given.shape}"
        raise Refusal("malformed", f"{INPUT}: expected UINT8 of shape [N, 28, 28], found {found}")
    if given.shape[0] > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {given.shape[0]:,}")
    data = after if given.data is None else _bytes_of_numbers(given.data)
    if len(data) != math.prod(given.shape):
        expected = f"{math.prod(given.shape):,} values for shape {given.shape}"
        raise Refusal("malformed", f"{INPUT}: expected {expected}, found {len(data):,}")
    return check_tiles(data)


def _bytes_of_numbers(data: list[Any]) -> bytes:
    """Whole numbers from 0 to 255, flat or nested to any depth."""
    try:
        values = np.array(data)
    except ValueError:  # ragged
        values = np.array("")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise Refusal("malformed", f"{INPUT}: expected whole numbers from 0 to 255")
    return values.astype(np.uint8).tobytes()
