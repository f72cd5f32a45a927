"""Serves the page of a training from a thread beside it, as long as a block lasts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from digitlens.errors import DigitlensError
from digitlens.server.connections import careful
from digitlens.server.watch.app import HOST, create_watch_app
from digitlens.server.watch.routes import Show

_IDLE = 15.0  # seconds
_PATIENCE = 5.0  # seconds for the server to stop; its thread would not keep the process


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
    """Answers from a thread; gives the address, and stops at the end of the block.

    Args:
        show: What the page is shown.
        listener: From ``listen``; closed at the end.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            create_watch_app(show),
            http=careful(_IDLE),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}/"  # what comes at once waits in the queue
    finally:
        show.closing = server.should_exit = True
        thread.join(_PATIENCE)
        listener.close()
