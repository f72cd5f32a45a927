import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from digitlens.errors import ModelError
from digitlens.models import session
from digitlens.models.session import Lazy, cores, map_threads, open_session, run_graph


def test_invalid_graph_is_refused_in_one_line():
    with pytest.raises(ModelError, match="bars is not a graph that onnxruntime can load") as caught:
        open_session(b"not a graph", name="bars")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("asked", "given"), [(0, 5), (1, 1), (3, 3)])
def test_session_has_the_requested_threads_or_one_per_usable_core(
    folder, monkeypatch, asked, given
):
    monkeypatch.setattr(session, "cores", lambda: 5)
    found = open_session(folder / "model.onnx", name="bars", threads=asked)
    assert found.get_session_options().intra_op_num_threads == given


def test_only_cores_that_this_process_may_use_are_counted(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 6}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_piece_is_processed_once_and_errors_are_raised(threads):
    done = []
    negated = map_threads(lambda piece: done.append(piece) or -piece, range(9), threads)
    assert list(negated) == [*range(0, -9, -1)]
    assert sorted(done) == [*range(9)]
    done.clear()

    def fail(piece):
        done.append(piece)
        raise RuntimeError("as a graph does")

    with pytest.raises(RuntimeError, match="as a graph does"):
        map_threads(fail, range(6), threads)
    assert len(done) == len(set(done))


@pytest.mark.parametrize(
    ("sizes", "even"),
    [([5, 5], True), ([5, 5, 5, 5], True), ([9, 5, 4], True), ([5, 5, 5], False), ([9, 1], False)],
)
def test_pieces_are_even_if_two_threads_end_together(sizes, even):
    assert session.is_even(sizes, 2) is even
    assert session.is_even(sizes, 1)


def test_caller_does_all_work_when_the_interpreter_shuts_down(monkeypatch):
    def refuse(*_):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    assert map_threads(str, range(4), 2) == ["0", "1", "2", "3"]


def test_lazy_value_is_created_once_for_all_threads_on_first_use():
    made, meeting = [], threading.Barrier(4, timeout=10)
    lazy = Lazy(lambda: made.append(1) or object())
    assert not made

    def ask():
        meeting.wait()
        return lazy()

    with ThreadPoolExecutor(4) as pool:
        assert len({id(task.result()) for task in [pool.submit(ask) for _ in range(4)]}) == 1
    assert len(made) == 1


def test_lazy_value_is_created_again_after_a_failure():
    results = iter([ValueError("not yet"), None])

    def make():
        if error := next(results):
            raise error
        return 7

    lazy = Lazy(make)
    with pytest.raises(ValueError, match="not yet"):
        lazy()
    assert lazy() == 7


class Graph:
    """Stands in for a session: each run does the next of some steps."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def run(self, *_):
        return self.steps.pop(0)()


def full():
    raise RuntimeError("Available memory of 1 is smaller than requested bytes of 2")


def test_run_waits_for_others_if_memory_is_full():
    begun, end, order = threading.Event(), threading.Event(), []

    def long():
        begun.set()
        end.wait(10)
        order.append("long")
        return []

    def refused():
        end.set()
        full()

    with ThreadPoolExecutor() as pool:
        other = pool.submit(run_graph, Graph(long), None, {})
        begun.wait(10)
        second = Graph(refused, lambda: order.append("second") or [])
        assert run_graph(second, None, {}) == other.result() == []
    assert order == ["long", "second"]


def test_run_fails_if_memory_never_suffices():
    with pytest.raises(ModelError, match=r"needs more than the \d+ MB"):
        run_graph(Graph(full, full), None, {})


def test_graph_that_does_not_fit_in_memory_is_a_memory_error(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr("onnxruntime.InferenceSession", fails)
    with pytest.raises(MemoryError):
        open_session(b"", name="bars")
