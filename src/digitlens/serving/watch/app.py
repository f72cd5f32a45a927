"""The application behind the page of a training: its files, its news, and answers to drawings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Scope

from digitlens.data.tiles import to_tile
from digitlens.outputs import Outputs
from digitlens.serving import problems
from digitlens.serving.assets import FOLDER, Assets
from digitlens.serving.gate import Gate
from digitlens.serving.guard import Guard
from digitlens.serving.metrics import Metrics
from digitlens.serving.problems import Refusal
from digitlens.serving.settings import Settings
from digitlens.serving.watch.live import Live, Mark

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # any other in the Host header is a page elsewhere that was rebound
MOST_PIXELS = 1024  # a side of a drawing
_PAGE = Path(__file__).with_name("page")
_SHARED = ("style.css", "icon.svg", "app/")  # what the page takes from that of the reader
_PACE = 0.1  # seconds between two looks for news
_STREAM = "text/event-stream"
_RAW = "application/octet-stream"

Answers = Callable[[npt.NDArray[np.uint8]], Outputs | None]


@dataclass
class Show:
    """What a page is shown.

    Attributes:
        live: The training so far.
        tiles: uint8[N, 28, 28]; the sample that it is scored on.
        answers: What the network says as it stands.
        closing: Whether the server stops: streams end.
    """

    live: Live
    tiles: npt.NDArray[np.uint8]
    answers: Answers
    closing: bool = False


def create_watch_app(show: Show) -> FastAPI:
    """The application of one training; it answers to this machine's own names only."""
    app = FastAPI(title="digitlens train --watch", docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    _add_routes(app, show)
    app.router.default = _Files()
    problems.install(app)
    settings = Settings(HOST, 0, hosts=NAMES, body_limit=MOST_PIXELS**2)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Guard, metrics=Metrics())
    return app


def _add_routes(app: FastAPI, show: Show) -> None:
    @app.get("/subject")
    async def subject() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        told = show.live.subject
        return {"name": told.name, "recipe": told.recipe, "sample": told.sample} | {
            "count": len(told.labels)
        }

    @app.get("/tiles")
    async def tiles() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(show.tiles.tobytes(), media_type=_RAW)

    @app.get("/news")
    async def news() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        return StreamingResponse(
            _news(show), headers={"Cache-Control": "no-store"}, media_type=_STREAM
        )

    @app.post("/answer")
    async def answer(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        width: Annotated[int, Query(ge=1, le=MOST_PIXELS)],
        content_type: Annotated[str, Header()] = "",
    ) -> Response:
        # No form of another site can send this type without asking first, which nobody may.
        if content_type != _RAW:
            raise Refusal("unsupported-type", f"expected {_RAW}, found {content_type or 'none'}")
        ink = _ink(await request.body(), width)
        return JSONResponse(await run_in_threadpool(_answer, ink, show.answers))


async def _news(show: Show) -> AsyncGenerator[str]:
    """News as server-sent events; a page that comes back is given all there is."""
    mark = Mark()
    show.live.join(1)
    try:
        yield "retry: 1000\n\n"
        while not show.closing:
            news, mark = show.live.since(mark)
            if news:
                yield f"data: {json.dumps(news, separators=(',', ':'))}\n\n"
            await asyncio.sleep(_PACE)
    finally:
        show.live.join(-1)


def _ink(body: bytes, width: int) -> npt.NDArray[np.uint8]:
    height, rest = divmod(len(body), width)
    if rest or not 1 <= height <= MOST_PIXELS:
        raise Refusal(
            "invalid",
            f"expected rows of {width} bytes, at most {MOST_PIXELS}, one byte a pixel, "
            f"found {len(body):,} bytes",
        )
    return np.frombuffer(body, np.uint8).reshape(height, width)


def _answer(ink: npt.NDArray[np.uint8], answers: Answers) -> dict[str, Any]:
    """The tile of a drawing and what the network says of it; nothing where it does not know yet."""
    tile = to_tile(ink)
    outputs = answers(tile[None])
    if outputs is None or not tile.any():
        return {"tile": tile.ravel().tolist(), "probabilities": None, "digit": None}
    digit = None if outputs.digit is None else round(float(outputs.digit[0]), 4)
    return {
        "tile": tile.ravel().tolist(),
        "probabilities": [round(float(value), 5) for value in outputs.probabilities[0]],
        "digit": digit,
    }


class _Files(Assets):
    """The files of this page, and those that it shares with the page of the reader."""

    def __init__(self) -> None:
        super().__init__(_PAGE)
        self._shared = Assets(FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path."""
        if path.startswith(_SHARED):
            return await self._shared.get_response(path, scope)
        return await super().get_response(path, scope)
