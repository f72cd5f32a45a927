"""Opens ONNX graphs with onnxruntime, immediately or on demand, and distributes work over cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import onnxruntime as ort

from digitlens.errors import ModelError, lacks_memory

# Bytes for all graphs of a process. Reading a large page takes up to 150 MB per thread, so that
# each core can read one, and a graph that requests any amount is still refused early.
_MEMORY, _MEMORY_PER_CORE = 256 << 20, 160 << 20
_MAX_FOLDED = 4 << 20  # bytes of one constant that is computed on loading, outside that limit
Piece = TypeVar("Piece")
Result = TypeVar("Result")
Shape = Sequence[int | None]
_MAX_IMBALANCE = 1.1  # maximum load of a thread, relative to the mean load


def cores() -> int:
    """Returns the number of processors available to this process, at most those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_session(graph: bytes | Path, *, name: str, threads: int = 0) -> Any:
    """Opens an ONNX graph for inference on the CPU.

    Args:
        graph: The graph, or its file; a file may have its weights in another one next to it.
        name: Its name in error messages.
        threads: Threads for one batch; 0 uses one per core.

    Raises:
        ModelError: onnxruntime cannot load the graph.
    """
    options = ort.SessionOptions()
    # With 0, onnxruntime would pin each thread to a core, even to a busy one.
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 4  # errors are raised and need not be logged as well
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    folding_key = "optimization.constant_folding_max_output_size_in_bytes"
    options.add_session_config_entry(folding_key, str(_MAX_FOLDED))
    # Threads spin briefly, since small layers follow each other faster than a sleeping thread wakes
    # up, but stop after a run, so that they do not slow down the next network or other programs.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        for port in (*session.get_inputs(), *session.get_outputs()):
            _ = port.name, port.shape  # names that are not UTF-8 fail only when they are read
        return session
    except Exception as error:  # onnxruntime's own errors share no public base class
        if lacks_memory(error):
            raise MemoryError from error
        raise ModelError(
            f"{name} is not a graph that onnxruntime can load: {first_line(error)}"
        ) from error


@cache
def _bound_memory() -> None:
    """Registers one size-limited arena for all graphs; a graph may request any amount of memory."""
    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    info = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
    defaults = ("arena_extend_strategy", "initial_chunk_size_bytes", "max_dead_bytes_per_chunk")
    with suppress(Exception):  # another library has registered its own
        ort.create_and_register_allocator(
            info, ort.OrtArenaCfg({"max_mem": memory_limit(), **dict.fromkeys(defaults, -1)})
        )


def memory_limit() -> int:
    """Bytes that all graphs of this process may hold at once while they run."""
    return _MEMORY + _MEMORY_PER_CORE * cores()


@dataclass(frozen=True)
class Port:
    """An input or output of a graph."""

    name: str
    dtype: str = "float"  # as onnxruntime calls it
    sides: tuple[Any, ...] = ()  # the last dimensions of its shape

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, ('...', *self.sides)))}]"


def open_graph(
    graph: bytes | Path,
    *,
    name: str,
    threads: int = 0,
    what: str,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
) -> Any:
    """Opens a graph like ``open_session`` and checks its inputs and outputs.

    Raises:
        ModelError: onnxruntime cannot load it, or its inputs or outputs are not as expected.
    """
    session = open_session(graph, name=name, threads=threads)
    check_ports(session, name=name, what=what, inputs=inputs, outputs=outputs)
    return session


def check_ports(
    session: Any, *, name: str, what: str, inputs: Sequence[Port], outputs: Sequence[Port]
) -> None:
    """Raises ModelError unless a graph has these inputs and outputs, in this order."""
    expected = inputs, outputs
    found = [
        [Port(each.name, each.type[len("tensor(") : -1], tuple(each.shape)) for each in ports]
        for ports in (session.get_inputs(), session.get_outputs())
    ]
    if not all(map(_ports_match, found, expected)):
        ports = (", ".join(map(str, each)) for each in (*expected, *found))
        message = "expected a graph from {} to {}, found one from {} to {}".format(*ports)
        raise ModelError(f"{name} is not {what}: {message}")


def _ports_match(found: Sequence[Port], expected: Sequence[Port]) -> bool:
    """Returns whether ports are as wanted."""
    trimmed = [
        replace(port, sides=port.sides[len(port.sides) - len(each.sides) :])
        for port, each in zip(found, expected, strict=False)
    ]
    return len(found) == len(expected) and trimmed == list(expected)


def run_graph(
    session: Any, names: Sequence[str] | None, feed: Mapping[str, Any], *shapes: Shape, **more: Any
) -> list[Any]:
    """Runs a graph and checks the shapes of its outputs, regardless of those it declares.

    Args:
        session: The open graph.
        names: Names of the outputs to return; None returns all.
        feed: Inputs by name.
        shapes: Expected shapes of the first outputs; None for a dimension of any size.
        more: Further arguments of the session's ``run``.

    Raises:
        ModelError: The graph fails, or an output has another shape.
    """
    outputs = _run(partial(session.run, names, feed, **more))
    for output, shape in zip(outputs, shapes, strict=False):
        sides = zip(output.shape, shape, strict=False)
        if output.ndim != len(shape) or any(known not in (None, side) for side, known in sides):
            found = f"a graph returns {list(output.shape)}, expected {list(shape)}"
            raise ModelError(f"{found}: export the model again")
    return outputs


_idle, _running = threading.Condition(), set[object]()  # the runs in progress


def _run(run: Callable[[], list[Any]]) -> list[Any]:
    """Runs a graph; if other runs hold the memory, once more when they have ended."""
    token = object()
    with _idle:
        _running.add(token)
    try:
        return _attempt(run)
    except MemoryError:
        pass
    finally:
        with _idle:
            _running.remove(token)
            _idle.notify_all()
    with _idle:  # no other run starts before this one has ended
        _idle.wait_for(lambda: not _running)
        try:
            return _attempt(run)
        except MemoryError as error:
            limit = f"the {memory_limit() >> 20} MB that all graphs of a process share"
            raise ModelError(f"a graph needs more than {limit}: export the model again") from error


def _attempt(run: Callable[[], list[Any]]) -> list[Any]:
    """Raises MemoryError where the arena is full, ModelError for any other failure."""
    try:
        return run()
    except Exception as error:  # onnxruntime's own errors share no public base class
        if "Available memory of" in str(error):
            raise MemoryError from error
        raise ModelError(f"a graph fails: {first_line(error)}: export the model again") from error


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message; onnxruntime adds many more."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class Lazy(Generic[Result]):
    """A value that is created on first use; safe to use from several threads."""

    def __init__(self, make: Callable[[], Result]) -> None:
        """Takes the function that creates the value; if it raises, the next use tries again."""
        self._make: Callable[[], Result] | None = make
        self._made: list[Result] = []
        self._lock = threading.Lock()

    @property
    def is_made(self) -> bool:
        """Whether the value exists already."""
        return bool(self._made)

    def __call__(self) -> Result:
        """Returns the value, creating it if needed."""
        with self._lock:
            if self._make:
                self._made.append(self._make())
                self._make = None  # also frees what it refers to
            return self._made[0]


def is_even(sizes: Iterable[int], threads: int) -> bool:
    """Returns whether threads that take pieces of work in turn finish at about the same time.

    If so, that is faster than sharing each layer of a graph, after which threads wait.
    """
    loads = [0] * threads
    for size in sizes:
        loads[loads.index(min(loads))] += size
    return threads * max(loads) <= _MAX_IMBALANCE * sum(loads)


def map_threads(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], threads: int, /
) -> Iterable[Result]:
    """Applies ``work`` to pieces in several threads; returns the results in order.

    If ``work`` raises, so does this function; other pieces may or may not have been processed.
    """
    if threads == 1 or len(pieces) == 1:
        return [work(piece) for piece in pieces]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (slow to load)

    with ThreadPoolExecutor(threads, "digitlens-model") as pool:
        try:
            results = pool.map(work, pieces)
        except RuntimeError:  # at interpreter exit no threads start: use this one
            results = map(work, pieces)
        return list(results)
