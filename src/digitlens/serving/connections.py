"""Connections that are given up when no request comes in time, however its bytes trickle."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def impatient(idle_time: float) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that waits for the head of a request no longer than that.

    uvicorn waits without end for a head that never ends, and for what is left of a body that was
    refused already. Open connections are what a server runs out of first.
    """
    return type("Impatient", (_Impatient,), {"idle_time": idle_time})


class _Impatient(H11Protocol):
    idle_time: float
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is before:  # otherwise the next request was here already
            self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        self._alarm = self.loop.call_later(self.idle_time, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
