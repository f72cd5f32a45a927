"""Opens ONNX graphs with onnxruntime, now or when needed, and shares work among cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import onnxruntime as ort

from digitlens.errors import ModelError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Piece = TypeVar("Piece")
Made = TypeVar("Made")


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
    options.log_severity_level = 3
    # Threads that spin after a run hold up what comes next: the other network, or the user.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no public base class
        raise ModelError(
            f"{name} is not a graph that onnxruntime can load: {first_line(error)}"
        ) from error


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


class Team:
    """Threads that share pieces of work; safe to use from several threads.

    Attributes:
        size: How many work at once, the calling one included.
    """

    def __init__(self, size: int) -> None:
        """Starts nothing yet; with a size of 1 there are no threads at all."""
        self.size = size
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0  # that the threads belong to: a forked one does not inherit them

    def share(self, work: Callable[[Piece], object], pieces: Sequence[Piece]) -> None:
        """Works on each piece once, in any order; the calling thread works too.

        What ``work``, called from several threads at once, raises is raised here; others may be
        done or not. Nobody is woken for whom there is no piece.
        """
        waiting = iter(list(pieces))  # threads can share the iterator of a list

        def toil() -> None:
            for piece in waiting:
                work(piece)

        helpers: list[Future[None]] = []
        with suppress(RuntimeError):  # the interpreter is ending and starts no more work: alone
            for _ in range(min(self.size, len(pieces)) - 1):
                helpers.append(self._threads().submit(toil))
        try:
            toil()
        finally:
            for helper in helpers:
                # One that has not begun will find nothing to do; to wait for it could take forever.
                if not helper.cancel():
                    helper.result()

    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (slow to load)

        if self._pool is None or self._process != os.getpid():
            self._pool = ThreadPoolExecutor(self.size - 1, "digitlens-model")
            self._process = os.getpid()
        return self._pool
