import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import ModelError
from digitlens.models import session
from digitlens.models.session import Lazy, Team, cores, open_session


def test_what_is_no_graph_is_refused_in_one_line():
    with pytest.raises(ModelError, match="bars is not a graph that onnxruntime can load") as caught:
        open_session(b"not a graph", name="bars")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("asked", "given"), [(0, 5), (1, 1), (3, 3)])
def test_a_session_has_the_threads_asked_for_or_one_per_usable_core(
    folder, monkeypatch, asked, given
):
    monkeypatch.setattr(session, "cores", lambda: 5)
    found = open_session(folder / "model.onnx", name="bars", threads=asked)
    assert found.get_session_options().intra_op_num_threads == given


def test_only_the_cores_that_this_process_may_use_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 6}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@given(size=st.integers(1, 5), pieces=st.lists(st.integers(), max_size=30))
def test_each_piece_is_worked_on_once(size, pieces):
    done = []
    Team(size).share(done.append, pieces)
    assert sorted(done) == sorted(pieces)


@pytest.mark.parametrize("broken", range(6))
def test_what_goes_wrong_in_a_piece_reaches_whoever_asked(broken):
    def work(piece):
        time.sleep(0.001)
        if piece == broken:
            raise ModelError("broken")

    team = Team(3)
    with pytest.raises(ModelError, match="broken"):
        team.share(work, range(6))
    done = []
    team.share(done.append, range(6))
    assert sorted(done) == list(range(6))


def test_teams_ask_each_other_and_themselves_without_waiting_forever():
    team, done = Team(2), []

    def outer(piece):
        team.share(lambda inner: done.append((piece, inner)), range(3))

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(team.share, outer, range(4)) for _ in range(4)]:
            job.result(30)
    assert len(done) == 4 * 4 * 3


def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    team = Team(2)
    team.share(lambda _: None, range(2))
    before = team._pool
    monkeypatch.setattr(os, "getpid", lambda: -1)
    done = []
    team.share(done.append, range(4))
    assert sorted(done) == [0, 1, 2, 3]
    assert team._pool is not before


def test_when_the_interpreter_ends_whoever_asks_works_alone():
    team, done = Team(2), []
    team.share(lambda _: None, range(2))
    team._pool.shutdown()
    team.share(done.append, range(4))
    assert done == [0, 1, 2, 3]


def test_what_is_lazy_is_made_once_for_all_threads_and_not_before():
    made, meeting = [], threading.Barrier(4, timeout=10)
    lazy = Lazy(lambda: made.append(1) or object())
    assert not made

    def ask():
        meeting.wait()
        return lazy()

    with ThreadPoolExecutor(4) as pool:
        assert len({id(task.result()) for task in [pool.submit(ask) for _ in range(4)]}) == 1
    assert len(made) == 1


def test_what_could_not_be_made_is_tried_again():
    results = iter([ValueError("not yet"), None])

    def make():
        if error := next(results):
            raise error
        return 7

    lazy = Lazy(make)
    with pytest.raises(ValueError, match="not yet"):
        lazy()
    assert lazy() == 7
