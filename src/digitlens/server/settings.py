"""What a server may be told: where it listens, whom it lets in, and how much it takes on.

Knows no web framework. Limits that clients rely on, and that are in the OpenAPI document, are
constants; the others are fields.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from digitlens.models.bundle import DEFAULT
from digitlens.models.page_model import PAGES as PAGE_MODEL

PICTURES = 64  # a request
PAGES = 100  # of all pictures of a request together
TILES = 1024  # a request: half a second of one core

_POSITIVE = ("workers", "time_limit", "body_limit", "body_time", "idle_time", "memory")


def cores() -> int:
    """Of this machine."""
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """How a server is set up.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        model: The classifier of tiles: a shipped model's name, or a model or run folder.
        pages: The digit detector, likewise.
        workers: Threads that decode and read, each on one core.
        queue: Requests that may wait for a worker; the next one is refused.
        time_limit: Seconds from the end of a request's body to its answer.
        body_limit: Bytes of one request's body.
        body_time: Seconds for one request's body to arrive.
        idle_time: Seconds for the head of a request to arrive, on a new connection and between
            two requests.
        memory: Bytes of all bodies that are held at a time.
        cors: Origins whose pages may ask, ``*`` for all; none by default.
        hosts: Names by which the server may be called; none for any.
        token: What clients must present as bearer token; empty for no token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: str | Path = DEFAULT
    pages: str | Path = PAGE_MODEL
    workers: int = field(default_factory=cores)
    queue: int = 128
    time_limit: float = 30.0
    body_limit: int = 32_000_000
    body_time: float = 30.0
    idle_time: float = 15.0
    memory: int = 512_000_000
    cors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ValueError(f"expected {name} above 0, found {getattr(self, name)}")
        if self.queue < 0:
            raise ValueError(f"expected queue of 0 or more, found {self.queue}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"expected port from 0 to 65535, found {self.port}")
