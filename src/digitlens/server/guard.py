"""Stands around everything: security headers, the last resort for mistakes, and time taken.

Pure ASGI; knows neither routes nor bodies.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitlens.server.metrics import Metrics
from digitlens.server.problems import REFUSED, of_exception, refused
from digitlens.server.site import POLICY

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_log = logging.getLogger("digitlens.server")


class Guard:
    """Middleware that no answer gets around."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on and looks after its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, answer = time.perf_counter(), _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # nothing that a client sends may end in a broken connection
            _log.exception("%s %r failed", scope["method"], scope["path"])
            refusal = of_exception(error)
            scope[REFUSED] = refusal.kind
            if not answer.status:
                await refused(refusal, scope["path"])(scope, receive, answer.send)
        self._count(scope, answer.status, time.perf_counter() - start)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.request(_route(scope), status, seconds)
        if cause := scope.get(REFUSED):
            self._metrics.refusal(cause)


class _Answer:
    """Adds the headers on the way out and keeps the status, 0 until there is one."""

    def __init__(self, send: Send) -> None:
        self.status = 0
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _route(scope: Scope) -> str:
    """The route as it is declared, never as it is asked for: clients could make up any number."""
    route: Any = scope.get("route")
    return route.path if isinstance(route, APIRoute) else "other"
