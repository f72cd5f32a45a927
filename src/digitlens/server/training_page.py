"""The live page of a training: its history in bounded memory, served from a thread.

A newly opened page receives the whole history, an open one only updates. The points of a curve are
bounded: the longer it is, the more steps a point averages. The server accepts local host names
only; it serves the subject, the sample, updates, and predictions for drawings.
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
from digitlens.results import Outputs, plain_fields
from digitlens.server.app import Assets, Guard, uvicorn_config
from digitlens.server.limits import Gate, Refusal, Settings, answer_refusals
from digitlens.server.service import Metrics
from digitlens.server.site import STATIC
from digitlens.training.monitor import Check, Pulse, SampleScore

MAX_POINTS = 2000  # points of a curve: more than a screen has columns

Values = tuple[float, ...]


class Curve:
    """A curve of points that each average the same number of steps; pairs merge if there are many.

    Attributes:
        points: For each, the serial number of the update that completed it, and its values: the
            number of its last step, and means.
    """

    def __init__(self, limit: int = MAX_POINTS) -> None:
        self.points: list[tuple[int, Values]] = []
        self._limit = limit
        self._stride = 1
        self._pending: list[Values] = []  # steps of the next, incomplete point

    def add(self, serial: int, values: Values) -> None:
        """Adds a step: its number, then the values to average."""
        self._pending.append(values)
        if len(self._pending) == self._stride:
            self.points.append((serial, _mean(self._pending)))
            self._pending = []
        if len(self.points) == 2 * self._limit:
            self.points = [
                (later[0], _mean([earlier[1], later[1]]))
                for earlier, later in zip(self.points[::2], self.points[1::2], strict=True)
            ]
            self._stride *= 2

    def since(self, serial: int) -> list[Values]:
        """The points completed by updates after ``serial``."""
        return [values for number, values in self.points if number > serial]


def _mean(values: list[Values]) -> Values:
    """The means, to five digits; NaN and infinity, which JSON lacks, become 1e9."""
    means = (sum(column) / len(values) for column in list(zip(*values, strict=True))[1:])
    short = (float(f"{mean:.5g}") if abs(mean) < float("inf") else 1e9 for mean in means)
    return values[-1][0], *short


@dataclass(frozen=True)
class TrainingInfo:
    """The training, for the head of the page, and the sample that it is scored on."""

    name: str
    recipe: dict[str, Any]
    sample: str
    count: int


@dataclass(frozen=True)
class Position:
    """How far a page has read: the serial of its last update, and the network it was about."""

    serial: int = 0
    member: int = 0


class LiveHistory:
    """The curves, scores and progress of a training, and the number of open pages."""

    def __init__(self, info: TrainingInfo) -> None:
        self.info = info
        self._lock = threading.Lock()
        self._serial = 1  # a position of 0 has received nothing
        self._pulse: Pulse | None = None
        self._steps, self._checks = Curve(), Curve()
        self._score: tuple[int, SampleScore] | None = None
        self._ended = ""
        self.readers = 0

    def record(self, update: Pulse | Check) -> None:
        """Adds an update from a watcher."""
        with self._lock:
            self._serial += 1
            if isinstance(update, Check):
                score = update.score
                self._checks.add(self._serial, (update.step, score.loss, score.accuracy))
                self._score = self._serial, score
                return
            if self._pulse and self._pulse.model != update.model:
                self._steps, self._checks = Curve(), Curve()
            self._pulse = update
            for point in update.points:
                values = (point.step, point.loss, point.accuracy, point.learning_rate)
                self._steps.add(self._serial, values)

    def end(self, outcome: str) -> None:
        """Records that the training is over, and a sentence on how it ended."""
        with self._lock:
            self._serial += 1
            self._ended = outcome

    def join(self, change: int) -> None:
        """Counts a page that was opened (1) or closed (-1)."""
        with self._lock:
            self.readers += change

    def since(self, position: Position) -> tuple[dict[str, Any] | None, Position]:
        """The updates since ``position``, JSON-ready, None if there are none; and the new position.

        ``whole`` is true if they are the whole history: at first, and when a new member begins.
        """
        with self._lock:
            if position.serial == self._serial:
                return None, position
            member = self._pulse.model if self._pulse else 0
            is_whole = not position.serial or member != position.member
            after = -1 if is_whole else position.serial
            return self._changes(is_whole, after), Position(self._serial, member)

    def _changes(self, is_whole: bool, after: int) -> dict[str, Any]:
        changes: dict[str, Any] = {
            "whole": is_whole,
            "steps": self._steps.since(after),
            "checks": self._checks.since(after),
            "ended": self._ended,
        }
        if self._pulse:
            changes["progress"] = _progress(self._pulse)
        if self._score and self._score[0] > after:
            score = self._score[1]
            mistakes = [
                (m.index, m.truth, m.answer, round(m.confidence, 4)) for m in score.mistakes
            ]
            changes |= {"confusion": score.confusion.tolist(), "mistakes": mistakes}
        return changes


def _progress(pulse: Pulse) -> dict[str, Any]:
    left = pulse.seconds_left
    return {
        "member": pulse.model,
        "members": pulse.models,
        **plain_fields(pulse, "epoch", "epochs", "step", "steps"),
        "images_per_second": round(pulse.images_per_second),
        "seconds_left": None if left is None else round(left, 1),
        "rows": list(pulse.rows),
    }


HOST = "127.0.0.1"
_PAGE = Path(__file__).with_name("watch") / "page"
_SHARED_PATHS = ("style.css", "icon.svg", "app/")  # files shared with the reader's page
MAX_SIDE = 1024  # maximum side of a drawing
_POLL_SECONDS = 0.1  # seconds between two checks for updates
_STREAM = "text/event-stream"
_RAW = "application/octet-stream"
_IDLE_SECONDS = 15.0  # seconds
_STOP_LIMIT = 5.0  # seconds to wait for the server's thread, which does not keep the process alive
Predict = Callable[[npt.NDArray[np.uint8]], Outputs | None]
router = APIRouter()


@dataclass
class PageData:
    """The data of a page: the training, its sample uint8[N, 28, 28], the network's outputs."""

    history: LiveHistory
    tiles: npt.NDArray[np.uint8]
    predict: Predict
    closing: bool = False


@router.get("/subject")
async def subject(request: Request) -> dict[str, Any]:
    """Returns the training and the sample that it is scored on."""
    return vars(_page_data(request).history.info)


@router.get("/tiles")
async def tiles(request: Request) -> Response:
    """Returns the sample, 784 bytes per tile."""
    return Response(_page_data(request).tiles.tobytes(), media_type=_RAW)


@router.get("/news")
async def news(request: Request) -> StreamingResponse:
    """Streams the whole history, then updates, as server-sent events."""
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(stream(_page_data(request)), headers=headers, media_type=_STREAM)


@router.post("/answer")
async def answer(
    request: Request,
    width: Annotated[int, Query(ge=1, le=MAX_SIDE)],
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """Returns the network's prediction for a drawing: one byte of ink per pixel, row by row."""
    # Other web sites cannot send this type without a preflight request, which is refused.
    if content_type != _RAW:
        raise Refusal("unsupported-type", f"expected {_RAW}, found {content_type or 'none'}")
    body = await request.body()
    height, rest = divmod(len(body), width)
    if rest or not 1 <= height <= MAX_SIDE:
        expected = f"expected 1 to {MAX_SIDE} rows of {width} bytes"
        raise Refusal("invalid", f"{expected}, found {len(body):,} bytes")
    ink = np.frombuffer(body, np.uint8).reshape(height, width)
    return JSONResponse(await run_in_threadpool(_predict, ink, _page_data(request).predict))


async def stream(data: PageData) -> AsyncGenerator[str]:
    """Updates as server-sent events; a page that reconnects receives the whole history."""
    position = Position()
    data.history.join(1)
    try:
        yield "retry: 1000\n\n"
        while not data.closing:
            changes, position = data.history.since(position)
            if changes:
                yield f"data: {json.dumps(changes, separators=(',', ':'))}\n\n"
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        data.history.join(-1)


def _page_data(request: Request) -> PageData:
    data: PageData = request.app.state.data
    return data


def _predict(ink: npt.NDArray[np.uint8], predict: Predict) -> dict[str, Any]:
    """The tile of a drawing and the network's prediction; None before the network has any."""
    tile = to_tile(ink)
    answer: dict[str, Any] = {"tile": tile.ravel().tolist(), "probabilities": None, "digit": None}
    outputs = predict(tile[None]) if tile.any() else None
    if outputs is not None:
        answer["probabilities"] = [round(float(value), 5) for value in outputs.probabilities[0]]
        if outputs.digit is not None:
            answer["digit"] = round(float(outputs.digit[0]), 4)
    return answer


def listen(port: int) -> socket.socket:
    """A listening socket on the loopback address; ``port`` 0 picks a free port."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        problem = f"port {port} cannot be listened on ({error.strerror})"
        raise DigitlensError(f"{problem}: name another with --watch-port, or 0 for any") from error


@contextmanager
def serving(data: PageData, listener: socket.socket) -> Generator[str]:
    """Serves from a thread, yields the address, and stops at the end of the block."""
    config = uvicorn_config(
        create_watch_app(data), _IDLE_SECONDS, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}/"  # early requests wait in the backlog
    finally:
        data.closing = server.should_exit = True
        thread.join(_STOP_LIMIT)
        listener.close()


def create_watch_app(data: PageData) -> FastAPI:
    """The application of one training; it accepts local host names only."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.data = data
    app.include_router(router)
    app.router.default = _Files()
    answer_refusals(app)
    app.add_middleware(Gate, settings=Settings(HOST, 0, body_limit=MAX_SIDE**2))
    app.add_middleware(Guard, metrics=Metrics())
    return app


class _Files(Assets):
    """The files of this page, and those shared with the reader's page."""

    def __init__(self) -> None:
        super().__init__(_PAGE)
        self._shared = Assets(STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path."""
        if path.startswith(_SHARED_PATHS):
            return await self._shared.get_response(path, scope)
        return await super().get_response(path, scope)
