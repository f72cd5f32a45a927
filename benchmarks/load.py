"""Clients that load a server over loopback: so many at a time, or so many a second.

HTTP/1.1 by hand over asyncio, so that clients take as little of the machine as they can.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PATIENCE = 60.0  # seconds for one answer


@dataclass(frozen=True)
class Shot:
    """A request as it goes over the wire, and what its answer must be.

    Attributes:
        name: What is asked, the same for the same picture.
        wire: Head and body.
        bad: Whether it must be refused.
    """

    name: str
    wire: bytes
    bad: bool = False


@dataclass
class Outcome:
    """What came of many requests.

    Attributes:
        seconds: How long they took, those that must be answered with 200.
        elapsed: How long the load lasted.
        errors: Answers other than they must be, by what they were.
        refused: How many bad requests were refused as they must be.
        bodies: The last answer to each, by name.
    """

    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    bodies: dict[str, bytes] = field(default_factory=dict)

    def add(self, shot: Shot, status: int, body: bytes, seconds: float) -> None:
        if shot.bad and 400 <= status < 500:
            self.refused += 1
        elif not shot.bad and status == 200:
            self.seconds.append(seconds)
            self.bodies[shot.name] = body
        else:
            self.errors[f"{shot.name if shot.bad else 'picture'}: {status}"] += 1

    def merged(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.seconds + other.seconds,
            self.elapsed + other.elapsed,
            self.errors + other.errors,
            self.refused + other.refused,
            self.bodies | other.bodies,
        )

    def summary(self) -> dict[str, Any]:
        """JSON-ready; requests a second are all that were answered as they must be."""
        times = 1000 * np.array(self.seconds or [np.nan])
        return {
            "answered": len(self.seconds),
            "refused": self.refused,
            "per_second": round((len(self.seconds) + self.refused) / self.elapsed, 1),
            "p50_ms": round(float(np.percentile(times, 50)), 1),
            "p99_ms": round(float(np.percentile(times, 99)), 1),
            "errors": dict(self.errors),
        }


def request(path: str, body: bytes, kind: str) -> bytes:
    """A POST as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def multipart(path: str, picture: bytes) -> bytes:
    """A POST of a form with one file."""
    start = '--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    body = f"{start}Content-Type: image/png\r\n\r\n".encode() + picture + b"\r\n--frontier--\r\n"
    return request(path, body, "multipart/form-data; boundary=frontier")


def closed(port: int, shots: Sequence[Shot], clients: int, seconds: float) -> Outcome:
    """So many clients, each asking again as soon as it is answered."""
    return asyncio.run(_closed(port, shots, clients, seconds))


def open_loop(port: int, shots: Sequence[Shot], rate: float, seconds: float) -> Outcome:
    """So many requests a second, evenly spaced, whether earlier ones are answered or not.

    Time counts from when a request was due, so that a server cannot slow down its clients.
    """
    return asyncio.run(_open_loop(port, shots, rate, seconds))


async def _closed(port: int, shots: Sequence[Shot], clients: int, seconds: float) -> Outcome:
    outcome = Outcome()
    start = time.perf_counter()

    async def client(first: int) -> None:
        async with _Connection(port) as connection:
            turn = first
            while time.perf_counter() < start + seconds:
                await connection.ask(shots[turn % len(shots)], outcome, time.perf_counter())
                turn += clients

    await asyncio.gather(*(client(k) for k in range(clients)))
    outcome.elapsed = time.perf_counter() - start
    return outcome


async def _open_loop(port: int, shots: Sequence[Shot], rate: float, seconds: float) -> Outcome:
    outcome, idle = Outcome(), list[_Connection]()
    start = time.perf_counter()

    async def one(shot: Shot, due: float) -> None:
        connection = idle.pop() if idle else await _Connection(port).__aenter__()
        await connection.ask(shot, outcome, due)
        idle.append(connection)

    tasks: list[asyncio.Task[None]] = []
    for turn in range(int(rate * seconds)):
        due = start + turn / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(shots[turn % len(shots)], due)))
    await asyncio.gather(*tasks)
    outcome.elapsed = time.perf_counter() - start
    for connection in idle:
        await connection.__aexit__()
    return outcome


class _Connection:
    """One client's connection, opened again when the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "_Connection":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, shot: Shot, outcome: Outcome, due: float) -> None:
        """Sends a request, and adds the answer, or that there was none."""
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self._exchange(shot.wire)
        except (OSError, EOFError, TimeoutError) as error:
            outcome.errors[type(error).__name__] += 1
            await self.__aexit__()
            await self.__aenter__()
        else:
            outcome.add(shot, status, body, time.perf_counter() - due)

    async def _exchange(self, wire: bytes) -> tuple[int, bytes]:
        self._writer.write(wire)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        return int(head.split(None, 2)[1]), await self._reader.readexactly(length)
