"""A bounded pool of threads in which requests are decoded and read, with a deadline for each.

Knows jobs, not pictures. A job that nobody waits for any more is dropped where it waits, and
stops at its next check where it runs.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from digitlens.server.problems import Refusal

T = TypeVar("T")
_RECENT = 0.05  # share of the newest job in the mean time of one


class Job(Generic[T]):
    """Work of one request.

    Attributes:
        started: When it was handed in, on the clock ``time.perf_counter``.
    """

    def __init__(self, work: Callable[[Job[T]], T], time_limit: float) -> None:
        self.started = time.perf_counter()
        self._end = self.started + time_limit
        self._work: Callable[[Job[T]], T] | None = work

    def drop(self) -> None:
        """Forgets the work, and with it the request's body; what runs stops at its next check."""
        self._work = None

    def check(self) -> None:
        """Ends the job, by an exception, if nobody waits for it any more or its time is over."""
        if self._work is None or time.perf_counter() > self._end:
            raise Refusal("time-limit", "the answer was not ready in time")

    def run(self) -> T:
        """Does the work; called by a thread of the pool."""
        self.check()
        assert self._work is not None
        return self._work(self)


class Pool:
    """Threads and the queue in front of them; used from one event loop."""

    def __init__(self, workers: int, queue: int, time_limit: float) -> None:
        """Starts no thread yet.

        Args:
            workers: How many jobs run at a time.
            queue: How many may wait for that.
            time_limit: Seconds from handing in to the result.
        """
        self._workers = workers
        self._room = workers + queue
        self._time_limit = time_limit
        self._threads = ThreadPoolExecutor(workers, "digitlens-worker")
        self._lock = threading.Lock()
        self._inside = 0
        self._seconds = 0.1  # a job takes, on average

    @property
    def inside(self) -> int:
        """How many jobs run or wait."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return max(0, self._inside - self._workers)

    async def run(
        self, work: Callable[[Job[T]], T], gone: Callable[[], Coroutine[Any, Any, None]]
    ) -> T:
        """Does work in a thread and waits for it.

        Args:
            work: What to do; calls ``check`` of the job it is given between steps.
            gone: Waits until the client is gone.

        Raises:
            Refusal: The queue is full, the time over, the client gone or the pool closed.
        """
        job = Job(work, self._time_limit)
        future = self._submit(job)
        result = asyncio.wrap_future(future)
        watch = asyncio.ensure_future(gone())
        both: set[asyncio.Future[Any]] = {result, watch}
        try:
            await asyncio.wait(both, timeout=self._time_limit, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            raise self._unfinished(watch)
        finally:
            watch.cancel()
            if not result.done():
                job.drop()
                future.cancel()  # makes room at once where it has not begun
                result.cancel()

    def close(self) -> None:
        """Takes no more work, and waits for what runs."""
        self._threads.shutdown(wait=True)

    def _unfinished(self, watch: asyncio.Future[None]) -> Refusal:
        if watch.done():
            return Refusal("gone", "the client closed the connection")
        return Refusal("time-limit", f"the answer was not ready within {self._time_limit:g} s")

    def _submit(self, job: Job[T]) -> Future[T]:
        with self._lock:
            if self._inside >= self._room:
                raise self._full()
            self._inside += 1
        try:
            future = self._threads.submit(self._timed, job)
        except RuntimeError as error:  # shut down
            self._leave()
            raise Refusal("stopping", "the server is stopping: ask another one") from error
        future.add_done_callback(lambda _future: self._leave())
        return future

    def _full(self) -> Refusal:
        wait = max(1, math.ceil(self._inside * self._seconds / self._workers))
        detail = f"{self.waiting} requests are waiting: try again in {wait} s"
        return Refusal("queue-full", detail, {"Retry-After": str(wait)})

    def _timed(self, job: Job[T]) -> T:
        start = time.perf_counter()
        try:
            return job.run()
        finally:
            took = time.perf_counter() - start
            self._seconds += _RECENT * (took - self._seconds)

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
