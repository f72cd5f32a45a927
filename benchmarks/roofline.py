"""What a stage has to do, what a machine can do at most, and how fast the stage could be with it.

A roofline (S. Williams et al., "Roofline: an insightful visual performance model for multicore
architectures", 2009) with a third roof: what each call costs, however little it does. Arithmetic is
measured as a large matrix product, memory as the copy of STREAM (J. McCalpin, "Memory bandwidth and
machine balance", 1995).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper

from harness import timed

ARITHMETIC, MEMORY, CALLS = "arithmetic", "memory", "calls"
SIZES = (2**18, 2**23, 2**28)  # bytes of the arrays whose copying is measured
SECONDS = 1.0  # of each large product or copy, of which the fastest counts
SIDE = 2048  # of the matrices: 16 MB each in float32, hundreds of multiply-adds for each byte
REPEATS = 200  # of each call, of which the fastest of ten counts
NODES = 100
MODULES = 200

# Imports empty modules, whose bytecode lies there after a first run.
IMPORT = """
import sys, time
sys.path.insert(0, sys.argv[1])
start = time.perf_counter()
for number in range(int(sys.argv[2])):
    __import__(f"empty_{number}")
print((time.perf_counter() - start) / int(sys.argv[2]))
"""


@dataclass(frozen=True)
class Work:
    """What has to be done."""

    flops: float = 0.0  # of convolutions and matrix products, two for each multiply-add
    # that each operator is given and gives, each of them once; weights are among them
    bytes: float = 0.0
    calls: float = 0.0  # of operators, or of whatever else each costs something by itself
    runs: float = 0.0  # of a whole graph, each of which costs something beside its operators

    def __add__(self, other: Work) -> Work:
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, factor: float) -> Work:
        return Work(*(factor * each for each in astuple(self)))


@dataclass(frozen=True)
class Machine:
    """What it can do at most, as measured."""

    peaks: Mapping[int, float]  # FLOP/s of a large matrix product, by number of threads
    # Bytes/s of a copy, read and written both counted, by number of threads and by the bytes of the
    # array that is copied, in the order of ``SIZES``
    bandwidths: Mapping[int, Mapping[int, float]]
    calls: Mapping[str, float]  # seconds of a call that does next to nothing, by what is called

    def bandwidth(self, threads: int, traffic: float) -> float:
        """Bytes/s for operators that move so many bytes each: small arrays stay in the caches."""
        found = self.bandwidths[threads]
        size = max((size for size in found if 2 * size <= traffic), default=min(found))
        # A copy of a large array is never the faster one; if it was, the small ones were disturbed.
        return max(speed for other, speed in found.items() if other >= size)

    def limits(self, work: Work, threads: int, what: str) -> dict[str, float]:
        """Seconds that work takes at least with so many threads, by what it is limited by."""
        traffic = work.bytes / max(1.0, work.calls)
        return {
            ARITHMETIC: work.flops / self.peaks[threads],
            MEMORY: work.bytes / self.bandwidth(threads, traffic),
            CALLS: work.calls * self.calls[what] + work.runs * self.calls["run"],
        }


@dataclass(frozen=True)
class Stage:
    """A part of training or of reading."""

    key: str  # its name in records; ``name`` is that for people
    name: str
    work: Work
    seconds: Sequence[float]  # measured, each of them for all of the work, by so many threads
    threads: int
    what: str  # is called, see ``Machine.limits``
    parts: Sequence[Stage] = ()  # that follow each other in it, if its limit is the sum of theirs

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def limit(self, machine: Machine) -> tuple[str, float]:
        """What limits it on a machine, and the seconds it takes at least."""
        if self.parts:
            return "its parts", sum(part.limit(machine)[1] for part in self.parts)
        limits = machine.limits(self.work, self.threads, self.what)
        name = max(limits, key=limits.__getitem__)
        return name, limits[name]


def measure_machine(threads: Collection[int], dtype: torch.dtype) -> Machine:
    """With each number of threads, in the number format in which networks are trained."""
    counts = sorted(threads)
    return Machine(
        {count: peak_flops(dtype, count) for count in counts},
        {count: {size: bandwidth(count, copied=size) for size in SIZES} for count in counts},
        {"torch": torch_call(), **graph_calls(), "import": import_call()},
    )


def measured_again(machine: Machine, dtype: torch.dtype) -> Machine:
    """With the better of both peaks: what else was running meanwhile is none of its limits."""
    peaks = {count: max(peak, peak_flops(dtype, count)) for count, peak in machine.peaks.items()}
    return replace(machine, peaks=peaks)


def peak_flops(dtype: torch.dtype, threads: int) -> float:
    """FLOP/s of a large matrix product in a format, at best."""
    one, two = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    with _threads(threads):
        return 2 * SIDE**3 / _best(lambda: torch.mm(one, two, out=out))


def bandwidth(threads: int, copied: int) -> float:
    """Bytes/s of a copy between arrays of so many bytes, read and written both counted."""
    source = torch.ones(copied // 4)
    target = torch.zeros_like(source)
    with _threads(threads):
        return 2 * copied / _best(lambda: target.copy_(source))


def _best(call: Callable[[], object]) -> float:
    """Seconds of the fastest call: what slows down the others is not the machine's limit."""
    found = timed(call, 3)
    while sum(found) < SECONDS:
        found += timed(call, 20, warm=0)
    return min(found)


@contextmanager
def _threads(count: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def torch_call() -> float:
    number, out = torch.ones(1), torch.empty(1)
    return _call(lambda: torch.neg(number, out=out))


def graph_calls() -> dict[str, float]:
    """Seconds of a node of a graph in onnxruntime on one number, and of a run of it beside that."""
    number = {"in": np.ones(1, np.float32)}
    one, many = (_chain(count) for count in (1, 1 + NODES))
    alone = _call(lambda: one.run(None, number))
    node = max(0.0, _call(lambda: many.run(None, number)) - alone) / NODES
    return {"node": node, "run": max(0.0, alone - node)}


def _chain(nodes: int) -> Any:
    """A session whose graph negates a number again and again."""
    names = ["in", *(f"step_{number}" for number in range(nodes - 1)), "out"]
    steps = [helper.make_node("Neg", [names[i]], [names[i + 1]]) for i in range(nodes)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("in", "out")]
    graph = helper.make_graph(steps, "chain", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(
        onnx.ModelProto.SerializeToString(model), options, providers=["CPUExecutionProvider"]
    )


def import_call(python: str = sys.executable) -> float:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(MODULES):
            Path(folder, f"empty_{number}.py").write_text("")
        command = [python, "-c", IMPORT, folder, str(MODULES)]
        runs = [subprocess.run(command, check=True, capture_output=True) for _ in range(4)]
        return min(float(done.stdout) for done in runs[1:])


def _call(call: Callable[[], object]) -> float:
    return min(timed(lambda: [call() for _ in range(REPEATS)], 10, warm=0)) / REPEATS
