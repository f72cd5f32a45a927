"""Opens ONNX graphs with onnxruntime, now or when needed, and shares work among cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import onnxruntime as ort

from digitlens.errors import ModelError, lacks_memory

# Bytes for all graphs of a process. Reading a large page takes up to 150 MB per thread, so that
# each core can read one, and a graph that requests any amount is still refused early.
_MEMORY, _MEMORY_PER_CORE = 256 << 20, 160 << 20
_FOLDED = 4 << 20  # bytes of one constant that is computed on loading, outside that limit
Piece = TypeVar("Piece")
Made = TypeVar("Made")
Shape = Sequence[int | None]
_UNEVEN = 1.1  # times what each of several threads would do if all had as much


def cores() -> int:
    """How many processors this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_session(graph: bytes | Path, *, name: str, threads: int = 0) -> Any:
    """Opens an ONNX graph for inference on the CPU.

    Args:
        graph: The graph, or its file; a file may keep its weights in another one next to it.
        name: What the error calls it.
        threads: Threads for one batch; 0 takes one per core.

    Raises:
        ModelError: onnxruntime cannot load the graph.
    """
    options = ort.SessionOptions()
    # onnxruntime's own choice for 0 ties each thread to a core, also to one that is taken.
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 4  # what fails is raised, and need not be told twice
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    folded = "optimization.constant_folding_max_output_size_in_bytes"
    options.add_session_config_entry(folded, str(_FOLDED))
    # Small layers follow each other faster than a sleeping thread wakes up; threads that spin
    # after a run hold up what comes next: the other network, or the user.
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
    place = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
    usual = ("arena_extend_strategy", "initial_chunk_size_bytes", "max_dead_bytes_per_chunk")
    with suppress(Exception):  # another library has registered its own
        ort.create_and_register_allocator(
            place, ort.OrtArenaCfg({"max_mem": memory_limit(), **dict.fromkeys(usual, -1)})
        )


def memory_limit() -> int:
    """Bytes that all graphs of this process may hold at once while they run."""
    return _MEMORY + _MEMORY_PER_CORE * cores()


@dataclass(frozen=True)
class Port:
    """An input or output of a graph."""

    name: str
    dtype: str = "float"  # as onnxruntime calls it
    sides: tuple[Any, ...] = ()  # the last ones of its shape

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
    """Opens a graph as ``open_session`` does, and checks what it takes and gives.

    Raises:
        ModelError: onnxruntime cannot load it, or it is not what it has to be.
    """
    session = open_session(graph, name=name, threads=threads)
    check_ports(session, name=name, what=what, inputs=inputs, outputs=outputs)
    return session


def check_ports(
    session: Any, *, name: str, what: str, inputs: Sequence[Port], outputs: Sequence[Port]
) -> None:
    """Raises ModelError where a graph does not take and give what it has to, in this order."""
    wanted = inputs, outputs
    found = [
        [Port(each.name, each.type[len("tensor(") : -1], tuple(each.shape)) for each in ports]
        for ports in (session.get_inputs(), session.get_outputs())
    ]
    if not all(map(_fit, found, wanted)):
        ports = (", ".join(map(str, each)) for each in (*wanted, *found))
        said = "expected a graph from {} to {}, found one from {} to {}".format(*ports)
        raise ModelError(f"{name} is not {what}: {said}")


def _fit(found: Sequence[Port], wanted: Sequence[Port]) -> bool:
    """Whether ports are as wanted."""
    cut = [
        replace(port, sides=port.sides[len(port.sides) - len(each.sides) :])
        for port, each in zip(found, wanted, strict=False)
    ]
    return len(found) == len(wanted) and cut == list(wanted)


def run_graph(
    session: Any, names: Sequence[str] | None, feed: Mapping[str, Any], *shapes: Shape, **more: Any
) -> list[Any]:
    """Runs a graph; what comes out has the shapes it should, whatever the graph says of itself.

    Args:
        session: The open graph.
        names: Of its outputs; None takes all.
        feed: Its inputs.
        shapes: Of the first outputs; None for a side of any length.
        more: Options of the run.

    Raises:
        ModelError: It fails, or something of another shape comes out.
    """
    try:
        outputs: list[Any] = session.run(names, feed, **more)
    except Exception as error:  # onnxruntime's own errors share no public base class
        if "Available memory of" in str(error):
            limit = f"the {memory_limit() >> 20} MB that all graphs of a process share"
            raise ModelError(
                f"a graph needs more than {limit}: read fewer pictures at once"
            ) from error
        raise ModelError(f"a graph fails: {first_line(error)}: export the model again") from error
    for output, shape in zip(outputs, shapes, strict=False):
        sides = zip(output.shape, shape, strict=False)
        if output.ndim != len(shape) or any(known not in (None, side) for side, known in sides):
            found = f"a graph gives {list(output.shape)}, expected {list(shape)}"
            raise ModelError(f"{found}: export the model again")
    return outputs


def first_line(error: Exception) -> str:
    """The first line of an error's message; onnxruntime adds pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class Lazy(Generic[Made]):
    """Something that is made when it is first asked for; safe to use from several threads."""

    def __init__(self, make: Callable[[], Made]) -> None:
        """Remembers how to make it; if that raises, the next call tries again."""
        self._make: Callable[[], Made] | None = make
        self._made: list[Made] = []
        self._lock = threading.Lock()

    @property
    def is_made(self) -> bool:
        """Whether it was made already."""
        return bool(self._made)

    def __call__(self) -> Made:
        """It; made now if it never was."""
        with self._lock:
            if self._make:
                self._made.append(self._make())
                self._make = None  # and what it was to be made of
            return self._made[0]


def is_even(sizes: Iterable[int], threads: int) -> bool:
    """Whether threads that each take the next of some pieces of work end at about the same time.

    Then it is quicker than to have them share each layer of a graph, at whose end they wait.
    """
    loads = [0] * threads
    for size in sizes:
        loads[loads.index(min(loads))] += size
    return threads * max(loads) <= _UNEVEN * sum(loads)


def share(
    work: Callable[[Piece], Made], pieces: Sequence[Piece], threads: int, /
) -> Iterable[Made]:
    """Works on pieces in so many threads; gives what comes of them, in their order.

    What ``work`` raises is raised here; other pieces may be worked on or not.
    """
    if threads == 1 or len(pieces) == 1:
        return [work(piece) for piece in pieces]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (slow to load)

    with ThreadPoolExecutor(threads, "digitlens-model") as pool:
        try:
            made = pool.map(work, pieces)
        except RuntimeError:  # the interpreter is ending and starts no threads: alone
            made = map(work, pieces)
        return list(made)
