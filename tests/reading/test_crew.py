import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from digitlens.errors import ModelError
from digitlens.reading.crew import Crew, HelperError
from digitlens.reading.stream import in_order

WAIT = 30  # seconds at most
HERE = "here"


def work(thing):
    """What a process beside this one does: tells what it was given, and who it is."""
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


def started(crew):
    """The crew, when its processes are ready."""
    crew.start()
    end = time.monotonic() + WAIT
    while not all(helper.ready() for helper in crew._helpers):
        assert time.monotonic() < end
        time.sleep(0.01)
    return crew


@pytest.fixture(scope="module", autouse=True)
def findable():
    """Processes beside this one import this module, by the name that pytest gives it."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    yield
    sys.path.pop(0)


@pytest.fixture(scope="module")
def crew():
    crew = Crew(here, prepare, 2)
    yield started(crew)
    crew.close()


def test_everything_is_done_here_before_it_is_started():
    crew = Crew(here, prepare, 2)
    assert [crew(thing) for thing in range(3)] == [HERE] * 3
    crew.close()


def test_things_are_done_elsewhere_in_order_by_all_of_them(crew):
    done = [future.result() for _, future in in_order(crew, range(60), 2)]
    assert [thing for thing, _ in done] == list(range(60))
    processes = {process for _, process in done}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_what_cannot_be_sent_is_done_here(crew):
    assert crew(threading.Lock()) == HERE
    assert crew(1) != HERE


def test_an_error_belongs_to_its_thing(crew):
    with pytest.raises(ZeroDivisionError, match="of this one alone"):
        crew("fail")
    with pytest.raises(RuntimeError, match="function"):
        crew("unspeakable")
    assert crew("next")[0] == "next"


def test_an_interruption_is_not_for_them(crew):
    assert crew("interrupted")[0] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="ends processes in another way")
def test_who_ends_before_its_work_is_named_and_the_others_go_on():
    crew = started(Crew(here, prepare, 2))
    with pytest.raises(HelperError, match=r"signal 15.*fewer workers"):
        crew("end")
    assert crew(1) == (1, crew(2)[1])
    with pytest.raises(HelperError):
        crew("end")
    assert crew(1) == HERE
    crew.close()


def test_why_it_cannot_begin_is_said():
    crew = started(Crew(here, prepare_in_vain, 1))
    with pytest.raises(ModelError, match="the model is gone"):
        crew(1)
    crew.close()


def test_closing_ends_what_is_begun_at_once():
    crew = started(Crew(here, prepare, 2))
    done = in_order(crew, ["long", "long"], 2)
    worker = threading.Thread(target=lambda: list(done))
    worker.start()
    while crew._idle:
        time.sleep(0.01)
    start = time.monotonic()
    crew.close()
    worker.join(WAIT)
    assert time.monotonic() - start < WAIT / 2
    assert not any(helper._process.is_alive() for helper in crew._helpers)
