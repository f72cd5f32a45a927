"""``POST /v1/read``: pictures in, readings out."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from digitlens.data.documents import Document, open_document
from digitlens.model.bundle import Card
from digitlens.recognition.expect import Pattern
from digitlens.recognition.reader import DigitReader
from digitlens.recognition.sight import Examination
from digitlens.recognition.turns import turned_on
from digitlens.recognition.voters import tiles_shown
from digitlens.results import Reading
from digitlens.serving.answers import ReadAnswer
from digitlens.serving.bodies import Picture, Wanted, receive
from digitlens.serving.pool import Job
from digitlens.serving.problems import Refusal, responses
from digitlens.serving.questions import ReadOptions
from digitlens.serving.service import Service, service_of
from digitlens.serving.settings import PAGES

router = APIRouter()
PROBLEMS = responses(
    *("malformed", "unauthorized", "slow-body", "too-large", "unsupported-type", "wrong-host"),
    *("invalid", "picture", "queue-full", "memory-full", "internal", "stopping", "time-limit"),
)


@router.post(
    "/v1/read",
    response_class=Response,
    responses={200: {"model": ReadAnswer}, **PROBLEMS},
    summary="Read the digits on pictures",
)
async def read(request: Request) -> Response:
    """Reads one or many pictures, and every page of PDF and TIFF files.

    Send a picture as the whole body, files as `multipart/form-data`, or base64 in JSON. The
    options stand in the query, and in forms and JSON also in fields of the same names.
    """
    service = service_of(request)
    # FastAPI takes longer to fill in a model of the query than to do all else for a request.
    options = ReadOptions.model_validate(dict(request.query_params))
    wanted = await receive(request, options)
    return await service.answer(request, lambda job: _read(service, wanted(), job))


@dataclass(frozen=True)
class _Page:
    """What was read on one page."""

    picture: Picture
    number: int
    count: int
    seconds: float
    reading: Reading
    tiles: list[str] | None

    def as_dict(self) -> dict[str, Any]:
        reading = self.reading.as_dict()
        if self.tiles is not None:
            tiles = iter(self.tiles)
            for digit in (digit for line in reading["lines"] for digit in line):
                digit["tile"] = next(tiles)
        place = {"name": self.picture.given, "page": self.number, "page_count": self.count}
        return {**place, "seconds": self.seconds, **reading}


def identity(card: Card) -> dict[str, str]:
    """Which model it was."""
    return {"name": card.name, "sha256": card.sha256}


def seconds_since(start: float) -> float:
    """Time on the clock of jobs, in tenths of milliseconds."""
    return round(time.perf_counter() - start, 4)


def _read(service: Service, wanted: Wanted, job: Job[bytes]) -> bytes:
    reader = service.reader_at(wanted.options.target_error)
    pages = list(_pages(reader, wanted, job))
    service.metrics.readings(page.reading for page in pages)
    cards = service.cards
    answer = {
        "model": identity(cards["tiles"]),
        "pages": identity(cards["pages"]),
        "seconds": seconds_since(job.started),
        "readings": [page.as_dict() for page in pages],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _pages(reader: DigitReader, wanted: Wanted, job: Job[bytes]) -> Iterator[_Page]:
    left = PAGES
    for picture in wanted.pictures:
        job.check()
        with open_document(picture) as document:
            left -= document.count
            if left < 0:
                raise Refusal("too-large", f"expected at most {PAGES} pages, found more")
            for number in range(1, document.count + 1):
                job.check()
                yield _page(reader, picture, document, number, wanted.options)


def _page(
    reader: DigitReader, picture: Picture, document: Document, number: int, options: ReadOptions
) -> _Page:
    start = time.perf_counter()
    pattern = Pattern.parse(options.expect) if options.expect else None
    seen = reader.examine(document.page(number), expect=pattern)
    tiles = _tiles(seen) if options.tiles else None
    return _Page(picture, number, document.count, seconds_since(start), seen.reading, tiles)


def _tiles(seen: Examination) -> list[str]:
    """The tile that the classifier saw of each digit, line by line, in base64."""
    height, width = seen.page.shape[:2]
    lines = turned_on(seen.reading.lines, seen.turn, width, height)
    digits = [digit for line in lines for digit in line]
    boxes = np.array([digit.box.as_list() for digit in digits], np.float32).reshape(-1, 4)
    tiles = tiles_shown([digit.tile for digit in digits], seen.turned, boxes)
    return [base64.b64encode(tile.tobytes()).decode() for tile in tiles]
