"""What a server counts for Prometheus, in a registry of its own.

Knows names and labels; every label has few values, whatever clients send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from digitlens.results import Reading

MEDIA_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
# How a reason begins, and the label it is counted under.
_REASONS = (("hardly a digit", "unlike a digit"), ("more than the digits", "not expected"))


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "digitlens_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._answers = self._counter("responses", "Answers.", "route", "status")
        self._digits = self._counter("digits", "Digits on pictures that were read.", "status")
        self._rejects = self._counter("rejects", "What was taken for no digit.", "reason")
        self._tiles = self._counter("tiles", "Tiles that were classified.")
        self._refused = self._counter("refused_requests", "Requests refused.", "cause")
        ProcessCollector(registry=self._registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Shows a number as it is when it is asked for."""
        Gauge(f"digitlens_{name}", text, registry=self._registry).set_function(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self._seconds.labels(route).observe(seconds)
        self._answers.labels(route, str(status)).inc()

    def refusal(self, cause: str) -> None:
        """Counts a request that was refused."""
        self._refused.labels(cause).inc()

    def readings(self, readings: Iterable[Reading]) -> None:
        """Counts the digits of pages, and those rejected by reason."""
        for reading in readings:
            for digit in (digit for line in reading.lines for digit in line):
                self._digits.labels(digit.status).inc()
                if digit.status == "rejected":
                    self._rejects.labels(_label(digit.reason)).inc()

    def tiles(self, count: int) -> None:
        """Counts tiles that were classified."""
        self._tiles.inc(count)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"digitlens_{name}", text, labels, registry=self._registry)


def _label(reason: str) -> str:
    return next((label for start, label in _REASONS if reason.startswith(start)), "other")
