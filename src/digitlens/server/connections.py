"""Connections that are given up when no request comes in time, and closed so that answers arrive.

Knows the insides of uvicorn's protocol for HTTP/1.1, and neither routes nor answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def careful(idle_time: float) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that waits for the head of a request no longer than that.

    uvicorn waits without end for a head that never ends, and for what is left of a body that was
    refused already. Open connections are what a server runs out of first.
    """
    return type("Careful", (_Careful,), {"idle_time": idle_time})


class _Lingering:
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


class _Careful(H11Protocol):
    idle_time: float
    _alarm: asyncio.TimerHandle | None = None
    _lingering: _Lingering

    def connection_made(self, transport: Any) -> None:
        self._lingering = _Lingering(transport, self._refused)
        super().connection_made(self._lingering)  # pyright: ignore[reportArgumentType]
        self._wait()

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

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is before:  # otherwise the next request was here already
            self._wait()

    def _refused(self) -> bool:
        """Whether the request was answered before all of it was here."""
        cycle: Any = self.cycle
        return bool(cycle and cycle.response_complete and cycle.more_body)

    def _wait(self) -> None:
        self._stop_waiting()
        self._alarm = self.loop.call_later(self.idle_time, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
