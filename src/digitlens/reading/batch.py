"""Ordered parallel map over a stream: in threads, or in processes once they are ready.

Knows the work to do for each item, but nothing of pictures.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from digitlens.errors import DigitlensError
from digitlens.models.session import cores

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

# Items taken from the stream per worker: the one in progress, and others whose results wait for a
# slower one. With 2, a 12-megapixel photo among drawings stalls the other worker.
PREFETCH = 4
_EXIT_TIMEOUT = 1.0  # seconds to wait for the exit of a worker process

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The outcome for an item: a value or an exception."""

    value: Result | None = None
    error: BaseException | None = None

    def result(self) -> Result:
        """Returns the value, or raises the exception."""
        if self.error:
            raise self.error
        return self.value  # type: ignore[return-value]


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Generator[tuple[Item, Done[Result]]]:
    """Applies a function to each item of a stream, several at once; yields results in order.

    Items are taken and results yielded in the caller's thread, with at most ``PREFETCH`` items per
    worker in flight, however long the stream. With one worker there are no threads: each item is
    processed when its result is requested.

    Args:
        work: The function; called from several threads at once.
        items: The items; any number.
        workers: Number of threads; None uses one per core.

    Yields:
        Each item with its outcome. Closing or interrupting the generator stops the work: items not
        yet started are dropped, and those in progress are not waited for.

    Raises:
        ValueError: ``workers`` is less than one.
    """
    count = cores() if workers is None else workers
    if count < 1:
        raise ValueError(f"expected at least one worker, found {workers}")
    return _map_serially(work, items) if count == 1 else _map_in_threads(work, items, count)


def _map_serially(
    work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[tuple[Item, Done[Result]]]:
    for item in items:
        done = _attempt(partial(work, item))
        yield item, done
        del item, done  # freed before the next item is taken


def _map_in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[tuple[Item, Done[Result]]]:
    stream = iter(items)
    first_items = list(islice(stream, 2))
    if len(first_items) < 2:  # a single item needs no threads, whose modules take 20 ms to load
        yield from _map_serially(work, first_items)
        return
    stream = chain(first_items, stream)
    del first_items
    from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415

    pool = ThreadPoolExecutor(workers, thread_name_prefix="digitlens-read")
    pending: deque[tuple[Item, Future[Result]]] = deque()
    try:
        while True:
            free = PREFETCH * workers - len(pending)
            pending.extend((item, pool.submit(work, item)) for item in islice(stream, free))
            if not pending:
                return
            wait([pending[0][1]])
            item, future = pending.popleft()
            error = future.exception()
            yield item, Done(error=error) if error else Done(future.result())
            del item, future, error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _attempt(work: Callable[[], Result]) -> Done[Result]:
    try:
        return Done(work())
    except Exception as error:  # any error is part of this item's outcome
        return Done(error=error)


class WorkerError(DigitlensError):
    """A worker process died during its work."""


class ProcessPool(Generic[Item, Result]):
    """Runs a function in worker processes, as soon as they are ready.

    Until a process is ready, and for items that cannot be pickled, the function runs in this
    process. Items and results are pickled in transit; nothing is written to files. Safe to use from
    several threads, each of which keeps one process busy.

    Attributes:
        size: Number of worker processes.
    """

    def __init__(
        self,
        work: Callable[[Item], Result],
        prepare: Callable[[], Callable[[Item], Result]],
        size: int,
    ) -> None:
        """Starts no process yet; see ``start``.

        Args:
            work: The function for items handled in this process.
            prepare: Called once in each worker process; returns the function for items handled
                there. Must be picklable.
            size: Number of worker processes.
        """
        self._work = work
        self._prepare = prepare
        self.size = size
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []

    def start(self) -> None:
        """Starts the processes if needed; does not wait until they are ready."""
        if not self._workers:
            self._workers = [_Worker(self._prepare) for _ in range(self.size)]
            self._idle = self._workers.copy()

    def __call__(self, item: Item) -> Result:
        """Returns the result for an item.

        Raises:
            WorkerError: The process working on it died; later items do without that process.
            Exception: Whatever the function raised, in this or a worker process.
        """
        worker = self._take_idle()
        if worker is None:
            return self._work(item)
        try:
            if not worker.send(item):
                self._give_back(worker)
                return self._work(item)
            done = worker.receive()
        except (EOFError, OSError) as error:
            raise WorkerError(worker.exit_message()) from error
        self._give_back(worker)
        return done.result()

    def close(self) -> None:
        """Kills the processes at once."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()

    def _take_idle(self) -> _Worker | None:
        with self._lock:
            for worker in self._idle:
                if worker.is_ready():
                    self._idle.remove(worker)
                    return worker
        return None

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)


class _Worker:
    """A process that handles one item after another, and exits when its parent is gone."""

    def __init__(self, prepare: Callable[[], Callable[[Any], object]]) -> None:
        self._connection, self._process = start_process(_serve, prepare)
        self._is_ready = self._is_prepared = False

    def is_ready(self) -> bool:
        """Whether it has started waiting for items, or exited."""
        self._is_ready = self._is_ready or self._connection.poll()
        return self._is_ready

    def send(self, item: object) -> bool:
        """Sends it an item; returns False if the item cannot be pickled.

        Raises:
            Exception: The error with which its preparation failed.
            EOFError, OSError: It has exited.
        """
        if not self._is_prepared:
            self.receive().result()
            self._is_prepared = True
        try:
            self._connection.send(item)
        except (AttributeError, TypeError, PicklingError):  # an open file, for example
            return False
        return True

    def receive(self) -> Done[Any]:
        """Waits for the outcome of the last item."""
        return self._connection.recv()

    def exit_message(self) -> str:
        """Waits for its exit; returns the error message about it."""
        self.join()
        code = self._process.exitcode
        how = f"signal {-code}" if code and code < 0 else f"exit code {code}"
        return (
            f"the worker process died ({how}): if memory ran out, use fewer workers; a script must "
            'start its processes under  if __name__ == "__main__":'
        )

    def kill(self) -> None:
        """Kills the process."""
        self._process.kill()

    def join(self) -> None:
        """Waits up to a second for its exit."""
        self._process.join(_EXIT_TIMEOUT)


def _serve(connection: Connection, prepare: Callable[[], Callable[[Any], object]]) -> None:
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and kills it
    with suppress(EOFError, OSError):  # the parent is gone
        preparation = _attempt(prepare)
        _send(connection, Done(error=preparation.error))
        while not preparation.error:
            _send(connection, _attempt(partial(preparation.result(), connection.recv())))


def _send(connection: Connection, done: Done[object]) -> None:
    try:
        connection.send(done)
    except (AttributeError, TypeError, PicklingError):
        outcome = done.error or done.value
        connection.send(Done(error=RuntimeError(f"{type(outcome).__name__}: {outcome}")))


def start_process(
    serve: Callable[[Connection, Any], None], argument: object
) -> tuple[Connection, SpawnProcess]:
    """Starts a process that ignores Ctrl-C; returns the parent's end of a connection, and it.

    The process calls ``serve`` with the other end of the connection and ``argument``.
    """
    import multiprocessing  # noqa: PLC0415  (not needed for few pictures)

    # A forked process would inherit locks held by threads of this one.
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=serve, args=(child_end, argument), daemon=True)
    with _delayed_interrupts():
        process.start()
    child_end.close()  # so that the connection closes when the process exits
    return parent_end, process


@contextmanager
def _delayed_interrupts() -> Generator[None]:
    """Delays Ctrl-C until the end of the block, and blocks it in processes started in it."""
    import signal  # noqa: PLC0415

    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker  # noqa: PLC0415

    resource_tracker.ensure_running()  # started before, as it unblocks SIGINT
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
