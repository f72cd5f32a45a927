import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from digitlens.models.lazily import Lazily


def test_it_is_made_once_and_not_before():
    made = []
    lazily = Lazily(lambda: made.append(1) or object())
    assert not made
    assert lazily() is lazily()
    assert len(made) == 1


def test_many_threads_get_the_same():
    meeting = threading.Barrier(4, timeout=10)

    def ask():
        meeting.wait()
        return lazily()

    lazily = Lazily(object)
    with ThreadPoolExecutor(4) as pool:
        assert len({id(task.result()) for task in [pool.submit(ask) for _ in range(4)]}) == 1


def test_what_could_not_be_made_is_tried_again():
    results = iter([ValueError("not yet"), None])

    def make():
        if error := next(results):
            raise error
        return 7

    lazily = Lazily(make)
    with pytest.raises(ValueError, match="not yet"):
        lazily()
    assert lazily() == 7
