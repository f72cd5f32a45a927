"""What a stage has to do, and how fast a machine could do it at most; measures nothing itself.

A roofline (S. Williams et al., "Roofline: an insightful visual performance model for multicore
architectures", 2009) with a third roof: what each call costs, however little it does.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ARITHMETIC, MEMORY, CALLS = "arithmetic", "memory", "calls"
SIZES = (2**18, 2**23, 2**28)  # bytes of the arrays whose copying is measured


@dataclass(frozen=True)
class Work:
    """What has to be done.

    Attributes:
        flops: Of convolutions and matrix products, two for each multiply-add.
        bytes: That each operator is given and gives, each of them once; weights are among them.
        calls: Of operators, or of whatever else each costs something by itself.
        runs: Of a whole graph, each of which costs something beside its operators.
    """

    flops: float = 0.0
    bytes: float = 0.0
    calls: float = 0.0
    runs: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops,
            self.bytes + other.bytes,
            self.calls + other.calls,
            self.runs + other.runs,
        )

    def __mul__(self, factor: float) -> Work:
        return Work(
            self.flops * factor, self.bytes * factor, self.calls * factor, self.runs * factor
        )


@dataclass(frozen=True)
class Machine:
    """What it can do at most, as measured.

    Attributes:
        peaks: FLOP/s of a large matrix product, by number of threads.
        bandwidths: Bytes/s of a copy, read and written both counted, by number of threads and by
            the bytes of the array that is copied, in the order of ``SIZES``.
        calls: Seconds of a call that does next to nothing, by what is called.
    """

    peaks: Mapping[int, float]
    bandwidths: Mapping[int, Mapping[int, float]]
    calls: Mapping[str, float]

    def bandwidth(self, threads: int, traffic: float) -> float:
        """Bytes/s for operators that move so many bytes each: small arrays stay in the caches."""
        found = self.bandwidths[threads]
        size = max((size for size in found if 2 * size <= traffic), default=min(found))
        # A copy of a large array is never the faster one; if it was, the small ones were disturbed.
        return max(speed for other, speed in found.items() if other >= size)

    def limits(self, work: Work, threads: int, what: str) -> dict[str, float]:
        """Seconds that work takes at least, by what it is limited by.

        Args:
            work: What has to be done.
            threads: That do it.
            what: Is called, a key of ``calls``.
        """
        traffic = work.bytes / max(1.0, work.calls)
        return {
            ARITHMETIC: work.flops / self.peaks[threads],
            MEMORY: work.bytes / self.bandwidth(threads, traffic),
            CALLS: work.calls * self.calls[what] + work.runs * self.calls["run"],
        }


@dataclass(frozen=True)
class Stage:
    """A part of training or of reading.

    Attributes:
        key: Its name in records.
        name: Its name for people.
        work: What it has to do.
        seconds: Measured, each of them for all of the work.
        threads: That work on it.
        what: Is called, see ``Machine.limits``.
        advice: What makes it as slow as it is, and what would help; a sentence or two.
        parts: That follow each other in it, if its limit is the sum of theirs.
    """

    key: str
    name: str
    work: Work
    seconds: Sequence[float]
    threads: int
    what: str
    advice: str
    parts: Sequence[Stage] = ()

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    def limit(self, machine: Machine) -> tuple[str, float]:
        """What limits it on a machine, and the seconds it takes at least."""
        if self.parts:
            return "its parts", sum(part.limit(machine)[1] for part in self.parts)
        limits = machine.limits(self.work, self.threads, self.what)
        name = max(limits, key=limits.__getitem__)
        return name, limits[name]
