import threading
import time
from itertools import count, islice

import pytest

from digitlens.reading import stream
from digitlens.reading.stream import AHEAD, in_order

WAIT = 10  # seconds at most


def results(done):
    return [future.result() for _, future in done]


@pytest.mark.parametrize("workers", [1, 2, 5, None])
def test_results_come_in_order_whoever_is_done_first(workers):
    def work(number):
        time.sleep(0.002 * (number % 3 == 0))
        return number**2

    assert results(in_order(work, range(30), workers)) == [number**2 for number in range(30)]
    assert [thing for thing, _ in in_order(work, "abc"[:0], workers)] == []


def test_several_are_worked_on_at_once():
    meeting = threading.Barrier(3, timeout=WAIT)  # nobody leaves before three are there
    assert len(results(in_order(lambda _: meeting.wait(), range(6), 3))) == 6


def test_one_worker_needs_no_thread_and_nothing_is_done_ahead():
    taken = []
    done = in_order(lambda _: threading.get_ident(), map(taken.append, count()), 1)
    assert not taken
    assert {future.result() for _, future in islice(done, 3)} == {threading.get_ident()}
    assert len(taken) == 3


@pytest.mark.parametrize("workers", [2, 3])
def test_a_stream_without_end_is_taken_a_few_ahead(workers):
    taken = []
    things = (taken.append(k) or k for k in count())
    done = in_order(lambda thing: thing, things, workers)
    for asked in range(50):
        next(done)
        assert asked < len(taken) <= asked + AHEAD * workers
    done.close()
    assert len(taken) < 50 + AHEAD * workers


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_belongs_to_its_thing(workers):
    def work(number):
        return 12 // number

    done = list(in_order(work, [3, 0, 2], workers))
    assert [thing for thing, _ in done] == [3, 0, 2]
    assert isinstance(done[1][1].exception(), ZeroDivisionError)
    assert [done[k][1].result() for k in (0, 2)] == [4, 6]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_stream_is_raised_to_whoever_asks(workers):
    def things():
        yield 1
        raise OSError("the folder is gone")

    with pytest.raises(OSError, match="the folder is gone"):
        list(in_order(str, things(), workers))


def test_what_was_not_begun_when_it_is_closed_never_is():
    begun, go_on = [], threading.Event()

    def work(number):
        begun.append(number)
        assert number == 0 or go_on.wait(WAIT)

    done = in_order(work, range(100), 2)
    next(done)
    start = time.monotonic()
    done.close()
    assert time.monotonic() - start < WAIT / 2  # what was begun is not waited for
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("digitlens-read"):
            thread.join(WAIT)
    assert len(begun) <= 3


def test_threads_end_with_the_stream():
    list(in_order(str, range(10), 4))
    left = [t for t in threading.enumerate() if t.name.startswith("digitlens-read")]
    for thread in left:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in left)


def test_less_than_one_worker_is_refused_at_once():
    with pytest.raises(ValueError, match="at least one worker, found 0"):
        in_order(str, [], 0)


def test_as_many_work_as_there_are_cores_for_the_process(monkeypatch):
    monkeypatch.setattr(stream, "cores", lambda: 1)
    assert [future.result() for _, future in in_order(lambda _: threading.get_ident(), "ab")] == [
        threading.get_ident()
    ] * 2
