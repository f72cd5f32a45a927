"""``POST /v1/read``: pictures in, readings out."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from digitlens.imaging.documents import Document, open_document
from digitlens.models.bundle import Card
from digitlens.models.line_bundle import LineCard
from digitlens.reading.expect import Pattern
from digitlens.reading.reader import DigitReader
from digitlens.results import Digit, Reading
from digitlens.server.answers import ReadAnswer
from digitlens.server.bodies import Picture, Wanted, receive
from digitlens.server.pool import Job
from digitlens.server.problems import Refusal, responses
from digitlens.server.questions import ReadOptions
from digitlens.server.service import Service, service_of
from digitlens.server.settings import PAGES

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
    tiles: bool

    def as_dict(self) -> dict[str, Any]:
        reading = self.reading.as_dict()
        if self.tiles:
            digits = (digit for line in self.reading.lines for digit in line)
            told = (values for line in reading["lines"] for values in line)
            for digit, values in zip(digits, told, strict=True):
                values["tile"] = _encoded(digit)
        place = {"name": self.picture.given, "page": self.number, "page_count": self.count}
        return {**place, "seconds": self.seconds, **reading}


def identity(card: Card | LineCard) -> dict[str, str]:
    """Which model it was."""
    sha256 = card.recognizer_sha256 if isinstance(card, LineCard) else card.sha256
    return {"name": card.name, "sha256": sha256}


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
        "lines": identity(cards["lines"]),
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
    reading = reader.read(document.page(number), expect=pattern)
    return _Page(picture, number, document.count, seconds_since(start), reading, options.tiles)


def _encoded(digit: Digit) -> str:
    """The tile that the classifier saw, in base64; nothing where it was not asked."""
    return "" if digit.tile is None else base64.b64encode(digit.tile.tobytes()).decode()
