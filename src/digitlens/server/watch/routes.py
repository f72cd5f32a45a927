"""What the page of a training asks for: its subject, its sample, news, and answers to drawings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from digitlens.imaging.tiles import to_tile
from digitlens.outputs import Outputs
from digitlens.server.problems import Refusal
from digitlens.server.watch.live import Live, Mark

MOST_PIXELS = 1024  # a side of a drawing
_PACE = 0.1  # seconds between two looks for news
_STREAM = "text/event-stream"
_RAW = "application/octet-stream"

Answers = Callable[[npt.NDArray[np.uint8]], Outputs | None]
router = APIRouter()


@dataclass
class Show:
    """What a page is shown.

    Attributes:
        live: The training so far.
        tiles: uint8[N, 28, 28]; the sample that it is scored on.
        answers: What the network says as it stands; None before its first step.
        closing: Whether the server stops: streams end.
    """

    live: Live
    tiles: npt.NDArray[np.uint8]
    answers: Answers
    closing: bool = False


@router.get("/subject")
async def subject(request: Request) -> dict[str, Any]:
    """What is trained, and what it is scored on."""
    return _show(request).live.subject.as_dict()


@router.get("/tiles")
async def tiles(request: Request) -> Response:
    """The sample, 784 bytes a tile."""
    return Response(_show(request).tiles.tobytes(), media_type=_RAW)


@router.get("/news")
async def news(request: Request) -> StreamingResponse:
    """All that was seen so far, then what is new, as server-sent events."""
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(stream(_show(request)), headers=headers, media_type=_STREAM)


@router.post("/answer")
async def answer(
    request: Request,
    width: Annotated[int, Query(ge=1, le=MOST_PIXELS)],
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """What the network says, as it stands, of a drawing's ink: one byte a pixel, row by row."""
    # A page elsewhere cannot send this type without asking first, and is refused.
    if content_type != _RAW:
        raise Refusal("unsupported-type", f"expected {_RAW}, found {content_type or 'none'}")
    ink = _ink(await request.body(), width)
    return JSONResponse(await run_in_threadpool(_answer, ink, _show(request).answers))


async def stream(show: Show) -> AsyncGenerator[str]:
    """News as server-sent events; a page that comes back is given all there is."""
    mark = Mark()
    show.live.join(1)
    try:
        yield "retry: 1000\n\n"
        while not show.closing:
            told, mark = show.live.since(mark)
            if told:
                yield f"data: {json.dumps(told, separators=(',', ':'))}\n\n"
            await asyncio.sleep(_PACE)
    finally:
        show.live.join(-1)


def _show(request: Request) -> Show:
    show: Show = request.app.state.show
    return show


def _ink(body: bytes, width: int) -> npt.NDArray[np.uint8]:
    height, rest = divmod(len(body), width)
    if rest or not 1 <= height <= MOST_PIXELS:
        raise Refusal(
            "invalid",
            f"expected 1 to {MOST_PIXELS} rows of {width} bytes, found {len(body):,} bytes",
        )
    return np.frombuffer(body, np.uint8).reshape(height, width)


def _answer(ink: npt.NDArray[np.uint8], answers: Answers) -> dict[str, Any]:
    """The tile of a drawing and what the network says of it; nothing where it does not know yet."""
    tile = to_tile(ink)
    found: dict[str, Any] = {"tile": tile.ravel().tolist(), "probabilities": None, "digit": None}
    outputs = answers(tile[None]) if tile.any() else None
    if outputs is not None:
        found["probabilities"] = [round(float(value), 5) for value in outputs.probabilities[0]]
        if outputs.digit is not None:
            found["digit"] = round(float(outputs.digit[0]), 4)
    return found
