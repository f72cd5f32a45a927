"""What every route of one server shares: its settings, models, pool and counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar, cast

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
)

from digitlens.errors import ModelError
from digitlens.models.bundle import Card
from digitlens.models.line_bundle import LineCard
from digitlens.models.reconstructor import Reconstructor
from digitlens.models.session import Lazy
from digitlens.reading.reader import DigitReader
from digitlens.results import Reading
from digitlens.server.limits import Job, Pool, Settings
from digitlens.server.problems import Refusal

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
        self._tiles = self._counter("tiles", "Tiles that were classified.")
        self._refused = self._counter("refused_requests", "Requests refused.", "cause")
        ProcessCollector(registry=self._registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Shows a number as it is when it is asked for."""
        Gauge(f"digitlens_{name}", text, registry=self._registry).set_function(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self._seconds.labels(route).observe(seconds)
        self._answers.labels(route, str(status)).inc()

    def refusal(self, cause: str) -> None:
        """Counts a request that was refused."""
        self._refused.labels(cause).inc()

    def readings(self, readings: Iterable[Reading]) -> None:
        """Counts the digits of pages, and those rejected by reason."""
        for reading in readings:
            for digit in (digit for line in reading.lines for digit in line):
                self._digits.labels(digit.status).inc()
                if digit.status == "rejected":
                    self._rejects.labels(_label(digit.reason)).inc()

    def tiles(self, count: int) -> None:
        """Counts tiles that were classified."""
        self._tiles.inc(count)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"digitlens_{name}", text, labels, registry=self._registry)


def _label(reason: str) -> str:
    return next((label for start, label in _REASONS if reason.startswith(start)), "other")


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

    async def work(self, request: Request, work: Callable[[Job[T]], T]) -> T:
        """Does a request's work in the pool, as long as its client is there."""

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                await asyncio.sleep(0)

        return await self.pool.run(work, gone)

    async def answer(self, request: Request, work: Callable[[Job[bytes]], bytes]) -> Response:
        """Answers with the JSON that work in the pool gives."""
        return Response(await self.work(request, work), media_type="application/json")


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
