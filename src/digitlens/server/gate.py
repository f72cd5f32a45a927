"""Decides who comes in, and how much they may carry: host name, token, and size of the body.

Pure ASGI; counts the bytes that arrive, whatever the request says of itself.
"""

from __future__ import annotations

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitlens.server.problems import PROTOCOL, REFUSED, Refusal, refused
from digitlens.server.settings import Settings

_LOCKED = ("/v1/", "/v2/", "/metrics")
_OPEN = (f"{PROTOCOL}/health/",)  # asked by who starts and stops servers


class Gate:
    """Middleware in front of all routes."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._hosts = {host.lower() for host in settings.hosts}
        self._token = settings.token.encode()
        self._held = 0  # bytes of all bodies that are here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self)
        try:
            self._check(scope)
            await self._app(scope, body.receive, send)
        except Refusal as refusal:  # before any route was reached
            scope[REFUSED] = refusal.kind
            await refused(refusal, scope["path"])(scope, receive, send)
        finally:
            self._held -= body.size

    def hold(self, more: int, size: int) -> None:
        """Makes room for ``more`` bytes of a body of which ``size`` are there with them."""
        self._held += more
        if size > self._settings.body_limit:
            raise self._too_large(f"more than {self._settings.body_limit:,}")
        if self._held > self._settings.memory:
            raise Refusal(
                "memory-full",
                "the server is receiving too much at a time: try again in 1 s",
                {"Retry-After": "1"},
            )

    @property
    def body_time(self) -> float:
        """Seconds for one body to arrive."""
        return self._settings.body_time

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._hosts and _name(headers.get("host", "")) not in self._hosts:
            raise Refusal("wrong-host", "expected one of the names the server was given as host")
        if self._token and _locked(scope["path"]):
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
            found = "another one" if presented else "none"
            raise Refusal(
                "unauthorized",
                f"expected the server's token as  Authorization: Bearer TOKEN,  found {found}",
                {"WWW-Authenticate": "Bearer"},
            )

    def _too_large(self, found: str) -> Refusal:
        limit = self._settings.body_limit
        return Refusal("too-large", f"expected a body of at most {limit:,} bytes, found {found}")


class _Body:
    """The body of one request on its way in.

    Attributes:
        size: Bytes of it that came so far.
    """

    def __init__(self, receive: Receive, gate: Gate) -> None:
        self.size = 0
        self._receive = receive
        self._gate = gate
        self._end = asyncio.get_running_loop().time() + gate.body_time
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:  # what follows is that the client is gone, whenever that may be
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._receive()
        except TimeoutError:
            detail = f"the body was not complete within {self._gate.body_time:g} s"
            raise Refusal("slow-body", detail, {"Connection": "close"}) from None
        self._complete = not message.get("more_body", False)
        more = len(message.get("body", b""))
        self.size += more
        self._gate.hold(more, self.size)
        return message


def _locked(path: str) -> bool:
    return path.startswith((*_LOCKED, PROTOCOL)) and not path.startswith(_OPEN)


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and (port.isdecimal() or not port) else host.lower()
