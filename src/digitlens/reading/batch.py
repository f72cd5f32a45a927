"""Reads many things at once: in threads and in order, or in processes that take over.

Knows what is done with a thing, in threads and processes, but no pictures.
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

# Things that are taken from the stream for each worker: one that it works on, and others whose
# results wait for one that takes longer. With two, a 12-megapixel photo among drawings makes the
# other worker wait.
AHEAD = 4
_SOON = 1.0  # seconds

Thing = TypeVar("Thing")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What came of a thing: a value, or what was raised."""

    value: Result | None = None
    error: BaseException | None = None

    def result(self) -> Result:
        """The value; raises what was raised."""
        if self.error:
            raise self.error
        return self.value  # type: ignore[return-value]


def ordered_map(
    work: Callable[[Thing], Result], things: Iterable[Thing], workers: int | None = None
) -> Generator[tuple[Thing, Done[Result]]]:
    """Works on each thing; things are taken, and results given, in the caller's thread.

    No more than ``AHEAD`` things for each worker are taken before their results are asked for,
    however long the stream. With one worker there are no threads: each thing is worked on when its
    result is asked for.

    Args:
        work: What is done with each; called from several threads at once.
        things: Any number.
        workers: Threads; None takes one for each core.

    Yields:
        Each thing with what came of it. Closing or interrupting the generator ends the work: what
        has not been begun never is, and what has been is not waited for.

    Raises:
        ValueError: ``workers`` is less than one.
    """
    count = cores() if workers is None else workers
    if count < 1:
        raise ValueError(f"expected at least one worker, found {workers}")
    return _alone(work, things) if count == 1 else _together(work, things, count)


def _alone(
    work: Callable[[Thing], Result], things: Iterable[Thing]
) -> Generator[tuple[Thing, Done[Result]]]:
    for thing in things:
        done = _attempt(partial(work, thing))
        yield thing, done
        del thing, done  # gone before the next is taken


def _together(
    work: Callable[[Thing], Result], things: Iterable[Thing], workers: int
) -> Generator[tuple[Thing, Done[Result]]]:
    coming = iter(things)
    first = list(islice(coming, 2))
    if len(first) < 2:  # the only one needs no threads, which take 20 ms to load
        yield from _alone(work, first)
        return
    coming = chain(first, coming)
    del first
    from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415

    pool = ThreadPoolExecutor(workers, thread_name_prefix="digitlens-read")
    begun: deque[tuple[Thing, Future[Result]]] = deque()
    try:
        while True:
            free = AHEAD * workers - len(begun)
            begun.extend((thing, pool.submit(work, thing)) for thing in islice(coming, free))
            if not begun:
                return
            wait([begun[0][1]])
            thing, future = begun.popleft()
            error = future.exception()
            yield thing, Done(error=error) if error else Done(future.result())
            del thing, future, error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _attempt(work: Callable[[], Result]) -> Done[Result]:
    try:
        return Done(work())
    except Exception as error:  # whatever it is, it belongs to this piece of work
        return Done(error=error)


class WorkerError(DigitlensError):
    """A process came to an end before its work did."""


class ProcessPool(Generic[Thing, Result]):
    """Works on things in other processes, as soon as they are ready.

    Until a process is ready, and for what cannot be sent to one, the work is done here. Things and
    results are pickled on their way; nothing is written to files. Safe to use from several threads,
    of which each keeps one process busy.

    Attributes:
        size: Number of other processes.
    """

    def __init__(
        self,
        work: Callable[[Thing], Result],
        prepare: Callable[[], Callable[[Thing], Result]],
        size: int,
    ) -> None:
        """Starts nothing yet.

        Args:
            work: What is done with each thing in this process.
            prepare: Called once in each other process, gives what is done with each thing there;
                can be pickled.
            size: Number of other processes.
        """
        self._work = work
        self._prepare = prepare
        self.size = size
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []

    def start(self) -> None:
        """Starts the processes, unless they were started; does not wait until they are ready."""
        if not self._workers:
            self._workers = [_Worker(self._prepare) for _ in range(self.size)]
            self._idle = self._workers.copy()

    def __call__(self, thing: Thing) -> Result:
        """What comes of a thing.

        Raises:
            WorkerError: The process that worked on it came to an end; the next go on without it.
            Exception: What the work raised, here or there.
        """
        worker = self._free()
        if worker is None:
            return self._work(thing)
        try:
            if not worker.send(thing):
                self._give_back(worker)
                return self._work(thing)
            done = worker.receive()
        except (EOFError, OSError) as error:
            raise WorkerError(worker.end()) from error
        self._give_back(worker)
        return done.result()

    def close(self) -> None:
        """Ends the processes at once, whatever they do."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()

    def _free(self) -> _Worker | None:
        with self._lock:
            for worker in self._idle:
                if worker.ready():
                    self._idle.remove(worker)
                    return worker
        return None

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)


class _Worker:
    """A process that does one thing after another, and ends when nobody can ask it for more."""

    def __init__(self, prepare: Callable[[], Callable[[Any], object]]) -> None:
        self._connection, self._process = start_process(_serve, prepare)
        self._ready = self._begun = False

    def ready(self) -> bool:
        """Whether it has begun to wait for things, or come to an end."""
        self._ready = self._ready or self._connection.poll()
        return self._ready

    def send(self, thing: object) -> bool:
        """Sends it something to work on, unless that cannot be sent.

        Raises:
            Exception: Why it has not begun.
            EOFError, OSError: It has come to an end.
        """
        if not self._begun:
            self.receive().result()
            self._begun = True
        try:
            self._connection.send(thing)
        except (AttributeError, TypeError, PicklingError):  # an open file, say
            return False
        return True

    def receive(self) -> Done[Any]:
        """What came of the last piece of work."""
        return self._connection.recv()

    def end(self) -> str:
        """Says what became of it."""
        self.join()
        code = self._process.exitcode
        how = f"signal {-code}" if code and code < 0 else f"exit code {code}"
        return (
            f"the process that read it came to an end ({how}): if memory ran out, read with fewer "
            'workers; a script has to ask for processes below  if __name__ == "__main__":'
        )

    def kill(self) -> None:
        """Ends it."""
        self._process.kill()

    def join(self) -> None:
        """Waits for its end, which is near."""
        self._process.join(_SOON)


def _serve(connection: Connection, prepare: Callable[[], Callable[[Any], object]]) -> None:
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent is interrupted, and ends it
    with suppress(EOFError, OSError):  # nobody is there any more
        prepared = _attempt(prepare)
        _tell(connection, Done(error=prepared.error))
        while not prepared.error:
            _tell(connection, _attempt(partial(prepared.result(), connection.recv())))


def _tell(connection: Connection, done: Done[object]) -> None:
    try:
        connection.send(done)
    except (AttributeError, TypeError, PicklingError):
        what = done.error or done.value
        connection.send(Done(error=RuntimeError(f"{type(what).__name__}: {what}")))


def start_process(
    serve: Callable[[Connection, Any], None], what: object
) -> tuple[Connection, SpawnProcess]:
    """Starts a process that Ctrl-C does not reach, and gives our end of a connection to it.

    ``serve`` is called there, with the other end and what it is about.
    """
    import multiprocessing  # noqa: PLC0415  (few pictures can do without)

    # A forked process would inherit locks that threads of this one hold.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, what), daemon=True)
    with _uninterrupted():
        process.start()
    theirs.close()  # so that its end is the end of the connection
    return ours, process


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Ctrl-C waits within the block, and never reaches processes that are started in it."""
    import signal  # noqa: PLC0415

    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker  # noqa: PLC0415

    resource_tracker.ensure_running()  # which lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
