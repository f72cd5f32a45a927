import asyncio
import gc
import threading
import time
import weakref

import pytest

from digitlens.server.pool import Pool
from digitlens.server.problems import Refusal


async def never():
    await asyncio.Event().wait()


async def at_once():
    return


async def submitted(pool, work, gone=never):
    """A task whose work has been handed in."""
    task = asyncio.create_task(pool.run(work, gone))
    await asyncio.sleep(0.01)
    return task


@pytest.fixture
def pools():
    made = []

    def pool(workers=1, queue=1, time_limit=5.0):
        made.append(Pool(workers, queue, time_limit))
        return made[-1]

    yield pool
    for pool in made:
        pool.close()


@pytest.fixture
def latch():
    event = threading.Event()
    yield event
    event.set()


def test_work_is_done_in_another_thread(pools):
    async def run():
        return await pools().run(lambda _: threading.current_thread().name, never)

    assert asyncio.run(run()).startswith("digitlens-worker")


def test_what_work_raises_comes_back(pools):
    def fail(_):
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(pools().run(fail, never))


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(pools, latch):
    pool = pools(workers=1, queue=1)

    async def run():
        tasks = [await submitted(pool, lambda _: latch.wait(5)) for _ in range(2)]
        assert (pool.inside, pool.waiting) == (2, 1)
        start = time.perf_counter()
        with pytest.raises(Refusal) as refusal:
            await pool.run(lambda _: None, never)
        assert time.perf_counter() - start < 0.1
        latch.set()
        assert await asyncio.gather(*tasks) == [True, True]
        return refusal.value

    refusal = asyncio.run(run())
    assert refusal.kind == "queue-full"
    assert int(refusal.headers["Retry-After"]) >= 1
    assert pool.inside == 0


def test_what_waits_too_long_is_refused_and_never_begun(pools, latch):
    pool, begun = pools(time_limit=0.05), []

    async def run():
        running = await submitted(pool, lambda _: latch.wait(5))
        with pytest.raises(Refusal) as refusal:
            await pool.run(lambda _: begun.append(1), never)
        with pytest.raises(Refusal):
            await running
        latch.set()
        return refusal.value

    assert asyncio.run(run()).kind == "time-limit"
    pool.close()
    assert not begun
    assert pool.inside == 0


def test_what_runs_too_long_stops_at_its_next_check(pools, latch):
    pool, steps = pools(time_limit=0.05), []

    def work(job):
        latch.wait(5)
        steps.append("first")
        job.check()
        steps.append("second")

    with pytest.raises(Refusal, match=r"not ready within 0\.05 s"):
        asyncio.run(pool.run(work, never))
    latch.set()
    pool.close()
    assert steps == ["first"]


def test_what_a_client_that_left_had_waiting_is_dropped(pools, latch):
    pool, begun = pools(), []

    async def run():
        running = await submitted(pool, lambda _: latch.wait(5))
        with pytest.raises(Refusal) as refusal:
            await pool.run(lambda _: begun.append(1), at_once)
        assert pool.inside == 1  # its place is free again
        latch.set()
        await running
        return refusal.value

    assert asyncio.run(run()).kind == "gone"
    pool.close()
    assert not begun


def test_what_is_dropped_keeps_nothing_of_its_request(pools, latch):
    pool = pools()

    class Body:
        def work(self, _):
            pass

    async def run():
        running = await submitted(pool, lambda _: latch.wait(5))
        body = Body()
        kept = weakref.ref(body)
        with pytest.raises(Refusal):
            await pool.run(body.work, at_once)
        del body
        gc.collect()
        assert kept() is None
        latch.set()
        await running

    asyncio.run(run())


def test_a_closed_pool_finishes_what_runs_and_takes_nothing(pools, latch):
    pool = pools()

    async def run():
        running = await submitted(pool, lambda _: latch.wait(5) and "done")
        closing = asyncio.create_task(asyncio.to_thread(pool.close))
        await asyncio.sleep(0.01)
        with pytest.raises(Refusal) as refusal:
            await pool.run(lambda _: None, never)
        latch.set()
        await closing
        return await running, refusal.value.kind

    assert asyncio.run(run()) == ("done", "stopping")
