"""Measures what a machine can do at most: arithmetic, memory, and calls that do nothing."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper

from cost_model import SIZES, Machine
from flops import bandwidth, peak_flops

CALLS = 200  # of each measurement, of which the fastest of ten counts
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
    return dataclasses.replace(machine, peaks=peaks)


def torch_call() -> float:
    """Seconds of an operator of PyTorch on one number."""
    number, out = torch.ones(1), torch.empty(1)
    return _fastest(lambda: torch.neg(number, out=out))


def graph_calls() -> dict[str, float]:
    """Seconds of a node of a graph in onnxruntime on one number, and of a run of it beside that."""
    number = {"in": np.ones(1, np.float32)}
    one, many = (_chain(count) for count in (1, 1 + NODES))
    alone = _fastest(lambda: one.run(None, number))
    node = max(0.0, _fastest(lambda: many.run(None, number)) - alone) / NODES
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
    """Seconds of importing an empty module."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(MODULES):
            Path(folder, f"empty_{number}.py").write_text("")
        command = [python, "-c", IMPORT, folder, str(MODULES)]
        runs = [subprocess.run(command, check=True, capture_output=True) for _ in range(4)]
        return min(float(done.stdout) for done in runs[1:])


def _fastest(call: Callable[[], object]) -> float:
    """Seconds of a call, the mean of many, the fastest of ten times."""
    found: list[float] = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        found.append((time.perf_counter() - start) / CALLS)
    return min(found)
