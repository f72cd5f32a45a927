"""Settings and limits of one server: host names, token, sizes and time limits; refusals.

``Gate`` checks host, token and size; ``http_protocol`` drops slow connections. Every refusal has a
kind, which determines its status and title, and is its label in the metrics. Limits that are part
of the API, and in the OpenAPI document, are constants; the others are fields of ``Settings``.
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
REFUSED = "digitlens.refused"  # key of the refusal's kind in the scope, for the metrics

PICTURES = 64  # per request
PAGES = 100  # per request, over all its pictures
TILES = 1024  # per request: half a second of one core

_LINGER = 1.0  # seconds to wait for a request on an open connection when the server stops
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
_POSITIVE = ("processes", "workers", "time_limit", "body_limit", "body_time", "idle_time", "memory")
_LOCKED_PATHS = ("/v1/", "/v2/", "/metrics")
_OPEN_PATHS = (f"{PROTOCOL}/health/",)  # probed by orchestrators, without a token


@dataclass(frozen=True)
class Settings:
    """Configuration of a server."""

    host: str = "127.0.0.1"  # address to listen on
    port: int = 8000  # port to listen on; 0 picks a free one
    # tile classifier: the name of a shipped model, or a model or run folder
    model: str | Path = DEFAULT
    pages: str | Path = PAGE_MODEL  # digit detector, given in the same way
    processes: int = 1  # server processes; threads, queue and memory are divided among them
    workers: int = field(default_factory=cores)  # threads that decode and read, each on one core
    queue: int = 128  # maximum number of requests waiting for a worker; more are refused
    time_limit: float = 30.0  # seconds from the end of a request's body to its answer
    body_limit: int = 32_000_000  # bytes of one request's body
    body_time: float = 30.0  # seconds for one request's body to arrive
    # seconds for the head of a request to arrive, on a new connection or between two requests
    idle_time: float = 15.0
    memory: int = 512_000_000  # maximum bytes of all request bodies held at once
    cors: tuple[str, ...] = ()  # origins that may use the API, ``*`` for all; none by default
    # accepted host names; if empty, any name, or, if the server listens on this machine only and
    # has no token, this machine's local names: see ``names``
    hosts: tuple[str, ...] = ()
    # bearer token that clients must present; empty for none
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
            raise ValueError("expected 1 for processes: on Windows, processes cannot share a port")

    @property
    def per_process(self) -> Settings:
        """The settings of each of its processes."""
        workers, queue = (-(-size // self.processes) for size in (self.workers, self.queue))
        memory = max(self.memory // self.processes, self.body_limit)
        return replace(self, processes=1, workers=workers, queue=queue, memory=memory)

    @property
    def names(self) -> tuple[str, ...]:
        """The accepted host names in lower case; empty for any.

        Checking them prevents DNS rebinding: a web site that resolves its own name to this
        machine's address lets its scripts send requests here, but under that name.
        """
        local = _LOCAL_HOSTS if self.host in _LOCAL_HOSTS and not self.token else ()
        return tuple(host.lower() for host in self.hosts or local)


class Gate:
    """Middleware in front of all routes: checks host, token, size and time of requests."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._names = settings.names
        self._token = settings.token.encode()
        self._held_bytes = 0  # bytes of all bodies currently held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._settings.body_time
        size, complete = 0, False

        async def receive_counted() -> Message:
            nonlocal size, complete
            if complete:  # the next message is the disconnect, which has no time limit
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body was not complete within {self._settings.body_time:g} s"
                raise Refusal("slow-body", detail, {"Connection": "close"}) from None
            complete = not message.get("more_body", False)
            count = len(message.get("body", b""))
            size += count
            self._reserve(count, size)
            return message

        try:
            self._check(scope)
            await self._app(scope, receive_counted, send)
        except Refusal as refusal:  # raised before a route was reached
            scope[REFUSED] = refusal.kind
            await refused(refusal, scope["path"])(scope, receive, send)
        finally:
            self._held_bytes -= size

    def _reserve(self, count: int, size: int) -> None:
        """Reserves ``count`` bytes for a body that has ``size`` bytes so far, these included."""
        self._held_bytes += count
        if size > self._settings.body_limit:
            raise self._too_large(f"more than {self._settings.body_limit:,}")
        if self._held_bytes > self._settings.memory:
            detail = "the server is receiving too much data at once: try again in 1 s"
            raise Refusal("memory-full", detail, {"Retry-After": "1"})

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._names and _host_name(headers.get("host", "")) not in self._names:
            expected = "expected a host name that the server accepts: add it with `--allow-host`"
            raise Refusal("wrong-host", expected)
        locked = scope["path"].startswith((*_LOCKED_PATHS, PROTOCOL))
        if self._token and locked and not scope["path"].startswith(_OPEN_PATHS):
            self._check_token(headers.get("authorization", ""))
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal("unsupported-type", "expected a body that is not compressed")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._settings.body_limit:
            raise self._too_large(f"{int(length):,}")

    def _check_token(self, presented: str) -> None:
        scheme, _, token = presented.partition(" ")
        # Headers are bytes, which the framework decodes as Latin-1.
        same = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not same:
            expected = "expected the server's token as  Authorization: Bearer TOKEN, "
            detail = f"{expected} found {'another one' if presented else 'none'}"
            raise Refusal("unauthorized", detail, {"WWW-Authenticate": "Bearer"})

    def _too_large(self, found: str) -> Refusal:
        limit = self._settings.body_limit
        return Refusal("too-large", f"expected a body of at most {limit:,} bytes, found {found}")


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and (port.isdecimal() or not port) else host.lower()


def http_protocol(idle_time: float) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn that waits at most ``idle_time`` seconds for a request head.

    uvicorn itself waits indefinitely for an incomplete head, and for the rest of a refused body.
    Open connections are the first resource that a server runs out of.
    """
    return type("TimeoutProtocol", (_TimeoutProtocol,), {"idle_time": idle_time})


class _LingeringTransport:
    """A transport that is half-closed while the client is still sending.

    A full close would reset the connection, and the client would see the reset instead of the
    refusal of its body.
    """

    def __init__(self, transport: asyncio.Transport, is_sending: Callable[[], bool]) -> None:
        self.half_closed = False
        self._transport = transport
        self._is_sending = is_sending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self.half_closed or self._transport.is_closing()

    def close(self) -> None:
        if self.half_closed or self._transport.is_closing() or not self._is_sending():
            self._transport.close()
            return
        self.half_closed = True
        try:
            self._transport.write_eof()
            self._transport.resume_reading()
        except OSError:  # the client has already disconnected
            self._transport.close()


class _TimeoutProtocol(H11Protocol):
    idle_time: float
    ending = False  # whether each connection closes after its next answer
    _timer: asyncio.TimerHandle | None = None
    _lingering: _LingeringTransport

    def connection_made(self, transport: Any) -> None:
        self._lingering = _LingeringTransport(transport, self._is_answered_early)
        super().connection_made(self._lingering)  # pyright: ignore[reportArgumentType]
        self._start_timer(_LINGER if self.ending else self.idle_time)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering.half_closed:  # already answered
            return
        previous_cycle = self.cycle
        super().data_received(data)
        if self.cycle is not previous_cycle:
            self._stop_timer()
            if self.ending:
                self._end_keep_alive()

    def on_response_complete(self) -> None:
        previous_cycle = self.cycle
        super().on_response_complete()
        if self.cycle is previous_cycle:  # otherwise the next request has already arrived
            self._start_timer(self.idle_time)

    def shutdown(self) -> None:
        """Closes the connection after the current or an arriving request is answered."""
        self.ending = True
        cycle: Any = self.cycle  # None before the first request
        if cycle and not cycle.response_complete:
            self._end_keep_alive()
        else:
            self._start_timer(_LINGER)

    def _end_keep_alive(self) -> None:
        """Announces in the current answer that the connection closes, and disables keep-alive."""
        self.cycle.keep_alive = False
        self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _is_answered_early(self) -> bool:
        """Whether the request was answered before all of it arrived."""
        cycle: Any = self.cycle
        return bool(cycle and cycle.response_complete and cycle.more_body)

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


_URN = "urn:problem-type:digitlens:"
_FAULTS = 3  # faults listed per request


# HTTP status and fixed title of each kind of refusal.
KINDS = {
    "malformed": (400, "The request cannot be parsed"),
    "unauthorized": (401, "A token is required"),
    "not-found": (404, "There is nothing at this address"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "slow-body": (408, "The request took too long to arrive"),
    "too-large": (413, "The request is too large"),
    "unsupported-type": (415, "This content type is not supported"),
    "wrong-host": (421, "The server does not accept this host name"),
    "invalid": (422, "The request has invalid values"),
    "picture": (422, "A picture cannot be read"),
    "queue-full": (429, "Too many requests are waiting"),
    "memory-full": (429, "Too much data is being received at once"),
    "gone": (499, "The client closed the connection"),
    "internal": (500, "The server failed to handle the request"),
    "stopping": (503, "The server is stopping"),
    "time-limit": (504, "The answer took too long"),
}
_KIND_OF_STATUS = {404: "not-found", 405: "method-not-allowed"}


class Refusal(Exception):  # noqa: N818  (not a fault of the server)
    """A request is refused: its kind, a key of ``KINDS``, and a readable reason."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})


class Problem(BaseModel):
    """Problem details as defined in RFC 9457."""

    type: str = Field(examples=[_URN + "picture"])
    title: str = Field(examples=["A picture cannot be read"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["note.png: is empty, expected a picture"])
    instance: str = Field(examples=["/v1/read"])


def refused(refusal: Refusal, path: str) -> Response:
    """The response to a refused request to ``path``."""
    status, title = KINDS[refusal.kind]
    if path == PROTOCOL or path.startswith(PROTOCOL + "/"):
        content, media = {"error": refusal.detail}, "application/json"
    else:
        content = {"type": _URN + refusal.kind, "title": title, "status": status}
        content |= {"detail": refusal.detail, "instance": path}
        media = MEDIA_TYPE
    return Response(json.dumps(content), status, refusal.headers, media)


def explain_errors(errors: Iterable[Any]) -> str:
    """The first few faults that pydantic found, as text."""
    texts = [_fault_text(error) for error in errors]
    more = [f"and {len(texts) - _FAULTS} more"] if len(texts) > _FAULTS else []
    return "; ".join(texts[:_FAULTS] + more)


def invalid_refusal(error: ValidationError) -> Refusal:
    """The refusal of a request that pydantic found invalid."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    kinds = {"json_invalid": "malformed", "too_long": "too-large"}
    return Refusal(kinds.get(errors[0]["type"], "invalid"), explain_errors(errors))


def refusal_of(error: Exception) -> Refusal:
    """The refusal for an exception; unexpected exceptions are not described to the client."""
    if isinstance(error, Refusal):
        return error
    make = next((make for kind, make in _REFUSAL_MAKERS if isinstance(error, kind)), None)
    if make:
        return make(error)
    return Refusal("internal", "the request could not be answered; see the server's log")


def answer_refusals(app: FastAPI) -> None:
    """Makes an application answer expected exceptions with problem details."""
    for error in (Refusal, *(kind for kind, _ in _REFUSAL_MAKERS)):
        app.add_exception_handler(error, _answer_refusal)


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for kinds of refusal."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles: dict[int | str, list[str]] = {}
    for status, title in map(KINDS.__getitem__, kinds):
        titles.setdefault(status, []).append(title)
    return {
        status: {"description": "; ".join(texts), "content": content}
        for status, texts in titles.items()
    }


async def _answer_refusal(request: Request, error: Exception) -> Response:
    refusal = refusal_of(error)
    request.scope[REFUSED] = refusal.kind
    return refused(refusal, request.scope["path"])


def _http_refusal(error: HTTPException) -> Refusal:
    kind = _KIND_OF_STATUS.get(error.status_code, "malformed")
    phrase = HTTPStatus(error.status_code).phrase
    detail = str(error.detail) if error.detail != phrase else KINDS[kind][1].lower()
    return Refusal(kind, detail, error.headers)


def _fault_text(error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"] if part not in ("body", "query"))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{location}: {message}" if location else message


_REFUSAL_MAKERS: list[tuple[type[Exception], Callable[[Any], Refusal]]] = [
    (ImageError, lambda error: Refusal("picture", str(error))),
    (MissingExtraError, lambda error: Refusal("unsupported-type", str(error))),
    (ValidationError, invalid_refusal),
    (RequestValidationError, lambda error: Refusal("invalid", explain_errors(error.errors()))),
    (HTTPException, _http_refusal),
    (ClientDisconnect, lambda _: Refusal("gone", "the client closed the connection")),
]
