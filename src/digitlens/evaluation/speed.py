"""How fast a classifier answers, by the clock, and on which machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.report import PredictProba

CPUINFO = Path("/proc/cpuinfo")
SINGLE = 200  # calls with one tile: a median of fewer moves from one look to the next
BATCH = 1000  # tiles of a call
ROUNDS = 7  # calls with that many
Times = tuple[float, ...]


@dataclass(frozen=True)
class Speed:
    """Seconds that calls took, each measured by itself, after one that was not counted.

    Attributes:
        single: Of calls with one tile.
        batch: Of calls with ``batch_size`` tiles.
        batch_size: Tiles.
    """

    single: Times
    batch: Times
    batch_size: int

    @property
    def one(self) -> float:
        """Median seconds of one tile alone."""
        return median(self.single)

    @property
    def slow(self) -> float:
        """Seconds within which 95 % of single tiles were answered."""
        return quantiles(self.single, n=20)[-1]

    @property
    def per_second(self) -> float:
        """Tiles a second of the median batch."""
        return self.batch_size / median(self.batch)

    def as_dict(self) -> dict[str, Any]:
        """The figures and how often was measured, JSON-ready."""
        return {
            "one_tile_seconds": self.one,
            "one_tile_seconds_95": self.slow,
            "tiles_per_second": self.per_second,
            "calls": len(self.single),
            "rounds": len(self.batch),
            "batch_size": self.batch_size,
        } | {"batch_seconds": asdict(self)["batch"]}


def measure_speed(
    predict_proba: PredictProba,
    tiles: npt.NDArray[np.uint8],
    *,
    calls: int = SINGLE,
    rounds: int = ROUNDS,
    on_progress: Callable[[int], object] | None = None,
) -> Speed:
    """Times a model on one tile at a time, and on many at once.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10].
        tiles: uint8[N, 28, 28], N >= 1; the first ``BATCH`` of them are a batch.
        calls: With one tile, 2 or more.
        rounds: With a batch.
        on_progress: Called after every call with its number of tiles, ``tiles_timed`` in all.
    """
    if not len(tiles):
        raise ValueError("expected one tile or more to be timed with, found none")
    batch = tiles[:BATCH]
    alone = [tiles[number % len(tiles)][None] for number in range(calls)]
    single = _timed(predict_proba, alone, on_progress)
    many = _timed(predict_proba, [batch] * rounds, on_progress)
    return Speed(single, many, len(batch))


def tiles_timed(n: int) -> int:
    """How many tiles a model answers while its speed is measured with n tiles."""
    return SINGLE + min(n, BATCH) * ROUNDS


def _timed(
    predict_proba: PredictProba,
    parts: list[npt.NDArray[np.uint8]],
    on_progress: Callable[[int], object] | None,
) -> Times:
    predict_proba(parts[0])  # the first call of a shape prepares what later ones reuse
    found: list[float] = []
    for part in parts:
        start = perf_counter()
        predict_proba(part)
        found.append(perf_counter() - start)
        if on_progress:
            on_progress(len(part))
    return tuple(found)


def describe_machine(cpuinfo: Path = CPUINFO) -> str:
    """Processor, cores and system of this machine, in words; argument as for ``processor``."""
    cores = os.cpu_count() or 1
    system = f"{platform.system()}, Python {platform.python_version()}"
    name = processor(cpuinfo) or platform.machine()
    return f"{name}, {cores} {'core' if cores == 1 else 'cores'}, {system}"


def processor(cpuinfo: Path = CPUINFO) -> str:
    """Name of the processor, perhaps empty, from where Linux names it or as Python knows it."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
