"""Axes of the page's charts: where values lie, and which of them are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

TICKS = 4  # about


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        label: What it measures, with its unit.
        low: Where it starts.
        high: Where it ends.
        ticks: Values that are written, and how.
        is_log: Whether equal steps are equal ratios.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the start to 1 at the end; beyond them it is put at them."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = log10(low), log10(high), log10(at)
        return (at - low) / (high - low)


def linear(
    label: str,
    values: Iterable[float],
    write: Callable[[float], str],
    *,
    low: float | None = None,
    high: float | None = None,
    whole: bool = False,
) -> Axis:
    """An axis with even steps that holds some values.

    Args:
        label: What it measures.
        values: Any number; those outside 0 to 1 widen an axis that has no ends given.
        write: How a tick is written.
        low: Where it starts; None chooses a tick below all values.
        high: Where it ends; likewise.
        whole: Whether only whole numbers may be ticks.
    """
    held = list(values) or [0.0, 1.0]
    start = min(held) if low is None else low
    end = max(held) if high is None else high
    if end <= start:
        start, end = (start - 0.5, end + 0.5) if low is None else (start, start + 1)
    step = max(_step((end - start) / TICKS), 1 if whole else 0)
    first = floor(start / step + 1e-9) * step if low is None else start
    last = ceil(end / step - 1e-9) * step if high is None else end
    begin, stop = ceil(first / step - 1e-9), floor(last / step + 1e-9)
    ticks = [round(number * step, 12) for number in range(begin, stop + 1)]
    return Axis(label, first, last, tuple((tick, write(tick)) for tick in ticks))


def logarithmic(label: str, values: Iterable[float], write: Callable[[float], str]) -> Axis:
    """An axis with even ratios: ticks at 1, 2 and 5 times powers of ten, or at the powers alone.

    Args:
        label: What it measures.
        values: Above 0.
        write: How a tick is written.
    """
    held = list(values)
    powers = range(floor(log10(min(held))) - 1, ceil(log10(max(held))) + 2)
    all_ticks = sorted(step * 10.0**power for power in powers for step in (1, 2, 5))
    low = max(tick for tick in all_ticks if tick <= min(held))
    high = min(tick for tick in all_ticks if tick >= max(held))
    if high <= low:
        low, high = low / 2, high * 2
    ticks = [tick for tick in all_ticks if low <= tick <= high]
    if len(ticks) > TICKS + 2:
        ticks = [tick for tick in ticks if log10(tick) % 1 < 1e-9]
    return Axis(label, low, high, tuple((tick, write(tick)) for tick in ticks), is_log=True)


def _step(least: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below a number."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least * (1 - 1e-9))
