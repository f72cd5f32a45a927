"""Processes that work beside this one, since Python lets one thread of a process run at a time.

Knows what is done with a thing, here and there, but no pictures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from digitlens.errors import DigitlensError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_SOON = 1.0  # seconds

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class HelperError(DigitlensError):
    """A process that helped came to an end before its work did."""


class Crew(Generic[Thing, Result]):
    """Works on things in processes beside this one, as soon as they are there.

    Until a process is ready, and for what cannot be sent to one, the work is done here. Things and
    results are pickled on their way; nothing is written to files. Safe to use from several threads,
    of which each keeps one process busy.

    Attributes:
        size: Processes beside this one.
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
            prepare: Called once in each process beside it, gives what is done with each thing
                there; can be pickled.
            size: Processes beside this one.
        """
        self._work = work
        self._prepare = prepare
        self.size = size
        self._lock = threading.Lock()
        self._helpers: list[_Helper] = []
        self._idle: list[_Helper] = []

    def start(self) -> None:
        """Starts the processes, unless they were started; does not wait until they are ready."""
        if not self._helpers:
            self._helpers = [_Helper(self._prepare) for _ in range(self.size)]
            self._idle = self._helpers.copy()

    def __call__(self, thing: Thing) -> Result:
        """What comes of a thing.

        Raises:
            HelperError: The process that worked on it came to an end; the next go on without it.
            Exception: What the work raised, here or there.
        """
        helper = self._free()
        if helper is None:
            return self._work(thing)
        try:
            if not helper.send(thing):
                self._give_back(helper)
                return self._work(thing)
            done, outcome = helper.receive()
        except (EOFError, OSError) as error:
            raise HelperError(helper.end()) from error
        self._give_back(helper)
        if done:
            return outcome
        raise outcome

    def close(self) -> None:
        """Ends the processes at once, whatever they do."""
        for helper in self._helpers:
            helper.kill()
        for helper in self._helpers:
            helper.join()

    def _free(self) -> _Helper | None:
        with self._lock:
            for helper in self._idle:
                if helper.ready():
                    self._idle.remove(helper)
                    return helper
        return None

    def _give_back(self, helper: _Helper) -> None:
        with self._lock:
            self._idle.append(helper)


class _Helper:
    """A process that does one thing after another, and ends when nobody can ask it for more."""

    def __init__(self, prepare: Callable[[], Callable[[Any], object]]) -> None:
        import multiprocessing  # noqa: PLC0415  (few pictures can do without)

        # A forked process would inherit locks that threads of this one hold.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
        self._ready = self._begun = False
        with _uninterrupted():
            self._process.start()
        theirs.close()  # so that its end is the end of the connection

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
            self._begun, outcome = self.receive()
            if not self._begun:
                raise outcome
        try:
            self._connection.send(thing)
        except (AttributeError, TypeError, PicklingError):  # an open file, say
            return False
        return True

    def receive(self) -> tuple[bool, Any]:
        """Whether the work was done, and what came of it or was raised."""
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

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it is interrupted, and ends it
    with suppress(EOFError, OSError):  # nobody is there any more
        done, work = _outcome(prepare)
        _tell(connection, done, None if done else work)
        while done:
            _tell(connection, *_outcome(partial(work, connection.recv())))


def _outcome(work: Callable[[], object]) -> tuple[bool, Any]:
    try:
        return True, work()
    except Exception as error:  # whatever it is, it belongs to this piece of work
        return False, error


def _tell(connection: Connection, done: bool, outcome: object) -> None:
    try:
        connection.send((done, outcome))
    except (AttributeError, TypeError, PicklingError):
        connection.send((False, RuntimeError(f"{type(outcome).__name__}: {outcome}")))


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
