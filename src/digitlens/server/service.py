"""What every route of one server shares: its settings, models, pool and counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
from fastapi import Request, Response

from digitlens.errors import ModelError
from digitlens.models.bundle import Card
from digitlens.models.lazily import Lazily
from digitlens.models.line_bundle import LineCard
from digitlens.models.reconstructor import Reconstructor
from digitlens.reading.reader import DigitReader
from digitlens.server.metrics import Metrics
from digitlens.server.pool import Job, Pool
from digitlens.server.problems import Refusal
from digitlens.server.settings import Settings

T = TypeVar("T")
_WARM_UP = (280, 280)  # pixels


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
    reconstructor: Lazily[Reconstructor] = field(
        default_factory=lambda: Lazily(lambda: Reconstructor(threads=1))
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
