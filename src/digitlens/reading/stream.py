"""Works on a stream of things in several threads: few at a time, with results in its order.

Knows threads and order, but no pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from itertools import chain, islice
from typing import TypeVar

from digitlens.models.session import cores

# Things that are taken from the stream for each worker: one that it works on, and others whose
# results wait for one that takes longer. With two, a 12-megapixel photo among drawings makes the
# other worker wait.
AHEAD = 4

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Thing], Result], things: Iterable[Thing], workers: int | None = None
) -> Generator[tuple[Thing, Future[Result]]]:
    """Works on each thing; things are taken, and results given, in the caller's thread.

    No more than ``AHEAD`` things for each worker are taken before their results are asked for,
    however long the stream. With one worker there are no threads: each thing is worked on when its
    result is asked for.

    Args:
        work: What is done with each; called from several threads at once.
        things: Any number.
        workers: Threads; None takes one for each core.

    Yields:
        Each thing with its future, which is done: ``result`` gives what came of it, or raises what
        was raised. Whoever closes the generator, or interrupts it, ends the work: what has not been
        begun never is, and what has been is not waited for.

    Raises:
        ValueError: ``workers`` is less than one.
    """
    count = cores() if workers is None else workers
    if count < 1:
        raise ValueError(f"expected at least one worker, found {workers}")
    return _alone(work, things) if count == 1 else _together(work, things, count)


def _alone(
    work: Callable[[Thing], Result], things: Iterable[Thing]
) -> Generator[tuple[Thing, Future[Result]]]:
    for thing in things:
        future: Future[Result] = Future()
        try:
            future.set_result(work(thing))
        except Exception as error:  # whatever it is, it belongs to this thing alone
            future.set_exception(error)
        yield thing, future
        del thing, future  # gone before the next is taken


def _together(
    work: Callable[[Thing], Result], things: Iterable[Thing], workers: int
) -> Generator[tuple[Thing, Future[Result]]]:
    coming = iter(things)
    first = list(islice(coming, 2))
    if len(first) < 2:  # the only one needs no threads, which take 5 ms to load
        yield from _alone(work, first)
        return
    coming = chain(first, coming)
    del first
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    pool = ThreadPoolExecutor(workers, thread_name_prefix="digitlens-read")
    begun: deque[tuple[Thing, Future[Result]]] = deque()
    try:
        while True:
            free = AHEAD * workers - len(begun)
            begun.extend((thing, pool.submit(work, thing)) for thing in islice(coming, free))
            if not begun:
                return
            wait([begun[0][1]])
            yield begun.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
