"""Runs a server until it is told to stop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import uvicorn

from digitlens.server.app import create_app
from digitlens.server.connections import careful
from digitlens.server.service import Service, start
from digitlens.server.settings import Settings

_GRACE = 5.0  # seconds more than the time limit, for what runs when the server is told to stop


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Loads the models, listens, and answers until SIGINT or SIGTERM; then finishes what runs.

    Args:
        settings: Where to listen, and the limits.
        ready: Called with the address once requests are answered.

    Raises:
        ModelError: A model is missing, damaged or of a newer format.
        OSError: The address cannot be listened on.
    """
    Server(start(settings), ready).listen()


class Server(uvicorn.Server):
    """Listens with a service, and says when it is ready."""

    def __init__(self, service: Service, ready: Callable[[str], None]) -> None:
        super().__init__(_config(service))
        self._settings = service.settings
        self._ready = ready

    def listen(self) -> None:
        """Answers until it is told to stop."""
        with (
            _listen(self._settings) as listener,
            contextlib.suppress(KeyboardInterrupt),  # raised again by uvicorn once all is done
        ):
            self.run([listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, then says where."""
        await super().startup(sockets)
        self._ready(_address((sockets or [])[0]))


def _config(service: Service) -> uvicorn.Config:
    settings = service.settings
    return uvicorn.Config(
        create_app(service),
        http=careful(settings.idle_time),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # a line a request costs time, and /metrics says more
        server_header=False,
        timeout_keep_alive=max(1, round(settings.idle_time)),
        timeout_graceful_shutdown=round(settings.time_limit + _GRACE),
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=1024)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
