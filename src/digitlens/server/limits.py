"""What one server takes on: its settings, who may ask, how large and how slow.

``Gate`` checks host, token and size, ``http_protocol`` gives up slow connections. Every refusal has
a kind, which decides status and title, and is the label it is counted under. Limits that clients
rely on, and that are in the OpenAPI document, are constants; the others are fields of ``Settings``.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from digitlens.errors import ImageError, MissingExtraError
from digitlens.models.bundle import DEFAULT
from digitlens.models.bundle import PAGES as PAGE_MODEL
from digitlens.models.session import cores

MEDIA_TYPE = "application/problem+json"
PROTOCOL = "/v2"  # below it, errors have the shape of the Open Inference Protocol
REFUSED = "digitlens.refused"  # where the kind of a refusal stands in the scope, to be counted

PICTURES = 64  # a request
PAGES = 100  # of all pictures of a request together
TILES = 1024  # a request: half a second of one core

_LINGER = 1.0  # seconds for a request on an open connection when the server is told to stop
_LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")
_POSITIVE = ("processes", "workers", "time_limit", "body_limit", "body_time", "idle_time", "memory")
_LOCKED = ("/v1/", "/v2/", "/metrics")
_OPEN = (f"{PROTOCOL}/health/",)  # probes of the system that starts and stops servers


@dataclass(frozen=True)
class Settings:
    """How a server is set up."""

    host: str = "127.0.0.1"  # address to listen on
    port: int = 8000  # port to listen on; 0 takes a free one
    # the classifier of tiles: a shipped model's name, or a model or run folder
    model: str | Path = DEFAULT
    pages: str | Path = PAGE_MODEL  # the digit detector, in the same way
    processes: int = 1  # that answer; threads, queue and memory are shared out among them
    workers: int = field(default_factory=cores)  # threads that decode and read, each on one core
    queue: int = 128  # requests that may wait for a worker; the next one is refused
    time_limit: float = 30.0  # seconds from the end of a request's body to its answer
    body_limit: int = 32_000_000  # bytes of one request's body
    body_time: float = 30.0  # seconds for one request's body to arrive
    # seconds for the head of a request to arrive, on a new connection and between two requests
    idle_time: float = 15.0
    memory: int = 512_000_000  # bytes of all bodies that are held at a time
    cors: tuple[str, ...] = ()  # origins whose pages may ask, ``*`` for all; none by default
    # names by which the server may be called; none for any, or, where it listens to this machine
    # alone and wants no token, for those of this machine: see ``names``
    hosts: tuple[str, ...] = ()
    # what clients must present as bearer token; empty for no token
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ValueError(f"expected {name} above 0, found {getattr(self, name)}")
        if self.queue < 0:
            raise ValueError(f"expected queue of 0 or more, found {self.queue}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"expected port from 0 to 65535, found {self.port}")
        if self.processes > 1 and sys.platform == "win32":
            raise ValueError("expected 1 for processes: on Windows several cannot share a port")

    @property
    def of_each(self) -> Settings:
        """What each of its processes takes on."""
        workers, queue = (-(-size // self.processes) for size in (self.workers, self.queue))
        memory = max(self.memory // self.processes, self.body_limit)
        return replace(self, processes=1, workers=workers, queue=queue, memory=memory)

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which the server may be called, in small letters; none for any.

        A page elsewhere may give its own name the address of this machine, and then its scripts
        may ask what listens there (DNS rebinding): under that name.
        """
        own = _LOCAL if self.host in _LOCAL and not self.token else ()
        return tuple(host.lower() for host in self.hosts or own)


class Gate:
    """Middleware in front of all routes."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._names = settings.names
        self._token = settings.token.encode()
        self._held = 0  # bytes of all bodies held at the moment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + self._settings.body_time
        size, complete = 0, False

        async def counted() -> Message:
            nonlocal size, complete
            if complete:  # what follows is that the client is gone, whenever that may be
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                detail = f"the body was not complete within {self._settings.body_time:g} s"
                raise Refusal("slow-body", detail, {"Connection": "close"}) from None
            complete = not message.get("more_body", False)
            more = len(message.get("body", b""))
            size += more
            self._hold(more, size)
            return message

        try:
            self._check(scope)
            await self._app(scope, counted, send)
        except Refusal as refusal:  # before any route was reached
            scope[REFUSED] = refusal.kind
            await refused(refusal, scope["path"])(scope, receive, send)
        finally:
            self._held -= size

    def _hold(self, more: int, size: int) -> None:
        """Makes room for ``more`` bytes of a body of which ``size`` are there with them."""
        self._held += more
        if size > self._settings.body_limit:
            raise self._too_large(f"more than {self._settings.body_limit:,}")
        if self._held > self._settings.memory:
            detail = "the server is receiving too much at a time: try again in 1 s"
            raise Refusal("memory-full", detail, {"Retry-After": "1"})

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._names and _name(headers.get("host", "")) not in self._names:
            expected = "expected a name that the server goes by: `--allow-host` gives it one"
            raise Refusal("wrong-host", expected)
        locked = scope["path"].startswith((*_LOCKED, PROTOCOL))
        if self._token and locked and not scope["path"].startswith(_OPEN):
            self._check_token(headers.get("authorization", ""))
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal("unsupported-type", "expected a body that is not compressed")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._settings.body_limit:
            raise self._too_large(f"{int(length):,}")

    def _check_token(self, presented: str) -> None:
        scheme, _, token = presented.partition(" ")
        # Headers are bytes, which the framework takes for Latin-1.
        same = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not same:
            expected = "expected the server's token as  Authorization: Bearer TOKEN, "
            detail = f"{expected} found {'another one' if presented else 'none'}"
            raise Refusal("unauthorized", detail, {"WWW-Authenticate": "Bearer"})

    def _too_large(self, found: str) -> Refusal:
        limit = self._settings.body_limit
        return Refusal("too-large", f"expected a body of at most {limit:,} bytes, found {found}")


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and (port.isdecimal() or not port) else host.lower()


def http_protocol(idle_time: float) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that waits for the head of a request no longer than that.

    uvicorn waits without end for a head that never ends, and for what is left of a body that was
    refused already. Open connections are what a server runs out of first.
    """
    return type("TimeoutProtocol", (_TimeoutProtocol,), {"idle_time": idle_time})


class _LingeringTransport:
    """A transport that is closed one way only while the client is still sending.

    Closed both ways at once, it would be reset, and the client would see that in place of why its
    body was refused.
    """

    def __init__(self, transport: asyncio.Transport, sending: Callable[[], bool]) -> None:
        self.half_closed = False
        self._transport = transport
        self._sending = sending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self.half_closed or self._transport.is_closing()

    def close(self) -> None:
        if self.half_closed or self._transport.is_closing() or not self._sending():
            self._transport.close()
            return
        self.half_closed = True
        try:
            self._transport.write_eof()
            self._transport.resume_reading()
        except OSError:  # the client is gone already
            self._transport.close()


class _TimeoutProtocol(H11Protocol):
    idle_time: float
    ending = False  # whether each connection ends with its next answer
    _alarm: asyncio.TimerHandle | None = None
    _lingering: _LingeringTransport

    def connection_made(self, transport: Any) -> None:
        self._lingering = _LingeringTransport(transport, self._refused)
        super().connection_made(self._lingering)  # pyright: ignore[reportArgumentType]
        self._wait(_LINGER if self.ending else self.idle_time)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering.half_closed:  # it has its answer
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()
            if self.ending:
                self._end()

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is before:  # otherwise the next request was here already
            self._wait(self.idle_time)

    def shutdown(self) -> None:
        """Ends the connection, once what is asked on it or is under way to it is answered."""
        self.ending = True
        cycle: Any = self.cycle  # None before the first request
        if cycle and not cycle.response_complete:
            self._end()
        else:
            self._wait(_LINGER)

    def _end(self) -> None:
        """Says that there will be no further answer, and sees to it."""
        self.cycle.keep_alive = False
        self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _refused(self) -> bool:
        """Whether the request was answered before all of it was here."""
        cycle: Any = self.cycle
        return bool(cycle and cycle.response_complete and cycle.more_body)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._alarm = self.loop.call_later(seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None


_URN = "urn:problem-type:digitlens:"
_SHOWN = 3  # faults of one request


# Of each kind of refusal the HTTP status, and what is the matter, the same each time.
KINDS = {
    "malformed": (400, "The request cannot be parsed"),
    "unauthorized": (401, "A token is needed"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This is asked for in another way"),
    "slow-body": (408, "The request took too long to arrive"),
    "too-large": (413, "The request is too large"),
    "unsupported-type": (415, "This type of content is not read"),
    "wrong-host": (421, "The server does not go by this name"),
    "invalid": (422, "The request asks for something impossible"),
    "picture": (422, "A picture cannot be read"),
    "queue-full": (429, "Too many requests are waiting"),
    "memory-full": (429, "Too much is being sent at a time"),
    "gone": (499, "The client is gone"),
    "internal": (500, "The server has made a mistake"),
    "stopping": (503, "The server is stopping"),
    "time-limit": (504, "The answer took too long"),
}
_OF_STATUS = {404: "not-found", 405: "method-not-allowed"}


class Refusal(Exception):  # noqa: N818  (not an error of the server's)
    """A request is not answered: a key of ``KINDS``, and what was wrong, for a person."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})


class Problem(BaseModel):
    """Problem details as of RFC 9457."""

    type: str = Field(examples=[_URN + "picture"])
    title: str = Field(examples=["A picture cannot be read"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["note.png: is empty, expected a picture"])
    instance: str = Field(examples=["/v1/read"])


def refused(refusal: Refusal, path: str) -> Response:
    """The response that says why a request to ``path`` is refused."""
    status, title = KINDS[refusal.kind]
    if path == PROTOCOL or path.startswith(PROTOCOL + "/"):
        content, media = {"error": refusal.detail}, "application/json"
    else:
        content = {"type": _URN + refusal.kind, "title": title, "status": status}
        content |= {"detail": refusal.detail, "instance": path}
        media = MEDIA_TYPE
    return Response(json.dumps(content), status, refusal.headers, media)


def explain(errors: Iterable[Any]) -> str:
    """The first few faults that pydantic found, in words."""
    texts = [_fault(error) for error in errors]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "; ".join(texts[:_SHOWN] + more)


def invalid(error: ValidationError) -> Refusal:
    """The refusal of what pydantic found wrong with a request."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    kinds = {"json_invalid": "malformed", "too_long": "too-large"}
    return Refusal(kinds.get(errors[0]["type"], "invalid"), explain(errors))


def of_exception(error: Exception) -> Refusal:
    """The refusal that an exception amounts to; of the server's own mistakes it tells nothing."""
    if isinstance(error, Refusal):
        return error
    make = next((make for kind, make in _MAKERS if isinstance(error, kind)), None)
    if make:
        return make(error)
    return Refusal("internal", "the request could not be answered; the server's log says why")


def answer_refusals(app: FastAPI) -> None:
    """Has an application answer with problems whatever goes wrong on purpose."""
    for error in (Refusal, *(kind for kind, _ in _MAKERS)):
        app.add_exception_handler(error, _answer_refusal)


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """What an OpenAPI operation may answer in place of success."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles: dict[int | str, list[str]] = {}
    for status, title in map(KINDS.__getitem__, kinds):
        titles.setdefault(status, []).append(title)
    return {
        status: {"description": "; ".join(texts), "content": content}
        for status, texts in titles.items()
    }


async def _answer_refusal(request: Request, error: Exception) -> Response:
    refusal = of_exception(error)
    request.scope[REFUSED] = refusal.kind
    return refused(refusal, request.scope["path"])


def _of_status(error: HTTPException) -> Refusal:
    kind = _OF_STATUS.get(error.status_code, "malformed")
    phrase = HTTPStatus(error.status_code).phrase
    detail = str(error.detail) if error.detail != phrase else KINDS[kind][1].lower()
    return Refusal(kind, detail, error.headers)


def _fault(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query"))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


_MAKERS: list[tuple[type[Exception], Callable[[Any], Refusal]]] = [
    (ImageError, lambda error: Refusal("picture", str(error))),
    (MissingExtraError, lambda error: Refusal("unsupported-type", str(error))),
    (ValidationError, invalid),
    (RequestValidationError, lambda error: Refusal("invalid", explain(error.errors()))),
    (HTTPException, _of_status),
    (ClientDisconnect, lambda _: Refusal("gone", "the client closed the connection")),
]
