"""Serves the page of a training from a thread of its own, as long as a block lasts.

Answers to this machine's own names only: the subject, the sample, news, and answers to drawings.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import uvicorn
from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Scope

from digitlens.errors import DigitlensError
from digitlens.imaging.tiles import to_tile
from digitlens.outputs import Outputs
from digitlens.server import problems
from digitlens.server.app import Assets, Guard, quiet_config
from digitlens.server.limits import Gate, Settings
from digitlens.server.problems import Refusal
from digitlens.server.service import Metrics
from digitlens.server.site import STATIC
from digitlens.server.watch.live import Live, Mark

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # with any other in its Host header, a request is of a page elsewhere
_PAGE = Path(__file__).with_name("page")
_SHARED = ("style.css", "icon.svg", "app/")  # what the page takes from that of the reader
MOST_PIXELS = 1024  # a side of a drawing
_PACE = 0.1  # seconds between two looks for news
_STREAM = "text/event-stream"
_RAW = "application/octet-stream"
_IDLE = 15.0  # seconds
_PATIENCE = 5.0  # seconds for the server to stop; its thread would not keep the process
Answers = Callable[[npt.NDArray[np.uint8]], Outputs | None]
router = APIRouter()


@dataclass
class Show:
    """What a page is shown: the training, its sample uint8[N, 28, 28], and what it answers."""

    live: Live
    tiles: npt.NDArray[np.uint8]
    answers: Answers
    closing: bool = False


@router.get("/subject")
async def subject(request: Request) -> dict[str, Any]:
    """What is trained, and what it is scored on."""
    return _show(request).live.info.as_dict()


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


def listen(port: int) -> socket.socket:
    """A socket on this machine's own address, with a port of its own if ``port`` is 0.

    Raises:
        DigitlensError: The port is taken or not allowed.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise DigitlensError(
            f"port {port} cannot be listened on ({error.strerror}): name another one with "
            "--watch-port, or 0 for any"
        ) from error


@contextmanager
def serving(show: Show, listener: socket.socket) -> Generator[str]:
    """Answers from a thread; gives the address, and stops at the end of the block."""
    config = quiet_config(
        create_watch_app(show), _IDLE, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}/"  # what comes at once waits in the queue
    finally:
        show.closing = server.should_exit = True
        thread.join(_PATIENCE)
        listener.close()


def create_watch_app(show: Show) -> FastAPI:
    """The application of one training; it answers to this machine's own names only."""
    app = FastAPI(
        title="digitlens train --watch",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.show = show
    app.include_router(router)
    app.router.default = _Files()
    problems.install(app)
    app.add_middleware(Gate, settings=Settings(HOST, 0, hosts=NAMES, body_limit=MOST_PIXELS**2))
    app.add_middleware(Guard, metrics=Metrics())
    return app


class _Files(Assets):
    """The files of this page, and those that it shares with the page of the reader."""

    def __init__(self) -> None:
        super().__init__(_PAGE)
        self._shared = Assets(STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path."""
        if path.startswith(_SHARED):
            return await self._shared.get_response(path, scope)
        return await super().get_response(path, scope)
