import os
import signal
import sys
import threading
import time
from itertools import count, islice
from pathlib import Path

import pytest

from digitlens.errors import ModelError
from digitlens.reading import batch
from digitlens.reading.batch import PREFETCH, ProcessPool, WorkerError, ordered_map

WAIT = 30  # seconds at most


def results(done):
    return [each.result() for _, each in done]


@pytest.mark.parametrize("workers", [1, 2, 5, None])
def test_results_keep_the_input_order(workers):
    def work(number):
        time.sleep(0.002 * (number % 3 == 0))
        return number**2

    assert results(ordered_map(work, range(30), workers)) == [number**2 for number in range(30)]
    assert [thing for thing, _ in ordered_map(work, "abc"[:0], workers)] == []


def test_items_are_processed_concurrently():
    meeting = threading.Barrier(3, timeout=WAIT)  # opens only when three threads wait
    assert len(results(ordered_map(lambda _: meeting.wait(), range(6), 3))) == 6


def test_one_worker_runs_in_the_calling_thread_without_prefetching():
    taken = []
    done = ordered_map(lambda _: threading.get_ident(), map(taken.append, count()), 1)
    assert not taken
    assert {each.result() for _, each in islice(done, 3)} == {threading.get_ident()}
    assert len(taken) == 3


@pytest.mark.parametrize("workers", [2, 3])
def test_unbounded_stream_is_read_only_a_few_items_ahead(workers):
    taken = []
    things = (taken.append(k) or k for k in count())
    done = ordered_map(lambda thing: thing, things, workers)
    for asked in range(50):
        next(done)
        assert asked < len(taken) <= asked + PREFETCH * workers
    done.close()
    assert len(taken) < 50 + PREFETCH * workers


@pytest.mark.parametrize("workers", [1, 2])
def test_error_is_returned_with_its_item(workers):
    def work(number):
        return 12 // number

    done = list(ordered_map(work, [3, 0, 2], workers))
    assert [thing for thing, _ in done] == [3, 0, 2]
    assert isinstance(done[1][1].error, ZeroDivisionError)
    assert [done[k][1].result() for k in (0, 2)] == [4, 6]


@pytest.mark.parametrize("workers", [1, 2])
def test_error_of_the_input_stream_is_raised_to_the_consumer(workers):
    def things():
        yield 1
        raise OSError("the folder is gone")

    with pytest.raises(OSError, match="the folder is gone"):
        list(ordered_map(str, things(), workers))


def test_closing_discards_items_not_yet_started():
    begun, go_on = [], threading.Event()

    def work(number):
        begun.append(number)
        assert number == 0 or go_on.wait(WAIT)

    done = ordered_map(work, range(100), 2)
    next(done)
    start = time.monotonic()
    done.close()
    assert time.monotonic() - start < WAIT / 2  # does not wait for running work
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("digitlens-read"):
            thread.join(WAIT)
    assert len(begun) <= 3


def test_threads_end_with_the_stream():
    list(ordered_map(str, range(10), 4))
    left = [t for t in threading.enumerate() if t.name.startswith("digitlens-read")]
    for thread in left:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in left)


def test_default_number_of_workers_is_the_number_of_cores(monkeypatch):
    monkeypatch.setattr(batch, "cores", lambda: 1)
    assert [each.result() for _, each in ordered_map(lambda _: threading.get_ident(), "ab")] == [
        threading.get_ident()
    ] * 2


# Processes

HERE = "here"


def work(thing):
    """The work of a worker process: returns its input and its process id, or fails on demand."""
    if thing == "fail":
        raise ZeroDivisionError("of this one alone")
    if thing == "end":
        os.kill(os.getpid(), signal.SIGTERM)
    if thing == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
    if thing == "long":
        time.sleep(WAIT)
    return (lambda: 0) if thing == "unspeakable" else (thing, os.getpid())


def prepare():
    return work


def prepare_in_vain():
    raise ModelError("the model is gone")


def here(_):
    return HERE


def started(pool):
    """Starts a pool and waits until its processes are ready."""
    pool.start()
    end = time.monotonic() + WAIT
    while not all(worker.is_ready() for worker in pool._workers):
        assert time.monotonic() < end
        time.sleep(0.01)
    return pool


@pytest.fixture(scope="module", autouse=True)
def findable():
    """Lets worker processes import this module under the name that pytest gives it."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    yield
    sys.path.pop(0)


@pytest.fixture(scope="module")
def pool():
    pool = ProcessPool(here, prepare, 2)
    yield started(pool)
    pool.close()


def test_pool_runs_work_in_this_process_until_started():
    pool = ProcessPool(here, prepare, 2)
    assert [pool(thing) for thing in range(3)] == [HERE] * 3
    pool.close()


def test_started_pool_uses_all_its_processes_and_keeps_the_order(pool):
    done = [future.result() for _, future in ordered_map(pool, range(60), 2)]
    assert [thing for thing, _ in done] == list(range(60))
    processes = {process for _, process in done}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_unpicklable_input_is_processed_in_this_process(pool):
    assert pool(threading.Lock()) == HERE
    assert pool(1) != HERE


def test_error_in_a_worker_process_is_raised_for_its_item(pool):
    with pytest.raises(ZeroDivisionError, match="of this one alone"):
        pool("fail")
    with pytest.raises(RuntimeError, match="function"):
        pool("unspeakable")
    assert pool("next")[0] == "next"


def test_worker_processes_ignore_ctrl_c(pool):
    assert pool("interrupted")[0] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="ends processes in another way")
def test_dead_worker_process_is_reported_and_the_others_continue():
    pool = started(ProcessPool(here, prepare, 2))
    with pytest.raises(WorkerError, match=r"signal 15.*fewer workers"):
        pool("end")
    assert pool(1) == (1, pool(2)[1])
    with pytest.raises(WorkerError):
        pool("end")
    assert pool(1) == HERE
    pool.close()


def test_startup_error_of_a_worker_process_is_raised():
    pool = started(ProcessPool(here, prepare_in_vain, 1))
    with pytest.raises(ModelError, match="the model is gone"):
        pool(1)
    pool.close()


def test_closing_the_pool_stops_running_work_at_once():
    pool = started(ProcessPool(here, prepare, 2))
    done = ordered_map(pool, ["long", "long"], 2)
    worker = threading.Thread(target=lambda: list(done))
    worker.start()
    while pool._idle:
        time.sleep(0.01)
    start = time.monotonic()
    pool.close()
    worker.join(WAIT)
    assert time.monotonic() - start < WAIT / 2
    assert not any(worker._process.is_alive() for worker in pool._workers)
