"""Each picture becomes rows exactly once, even if workers are slow, killed or misconfigured."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from io import BytesIO
from itertools import count

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from digitlens.errors import DataError, ImageError
from digitlens.reading import shards
from digitlens.reading.batch import WorkerError
from digitlens.reading.shards import (
    LISTED,
    PATIENCE,
    BatchJob,
    RowOptions,
    RowReader,
    ShardQueue,
    ShardWorker,
    Tally,
    list_source,
    run_batch,
)
from digitlens.reading.stores import _CloudStore, open_store

SOURCE, DEST = "s3://bucket/in", "s3://bucket/out"
HOUR = 3600.0


class Fake:
    """A fake reader: the content of a picture is its text; calls ``before`` with each path."""

    read, before = Counter(), staticmethod(lambda _: None)

    def __init__(self, _options):
        pass

    def rows(self, path, content):
        Fake.before(path)
        Fake.read[path] += 1
        if content == b"torn":
            return [shards.error_row(path, ImageError("image: is damaged"))]
        return [{"path": path, "page": 1, "status": "sure", "text": content.decode()}]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(shards, "RowReader", Fake)
    monkeypatch.setattr(Fake, "read", Counter())
    yield Fake
    Fake.before = staticmethod(lambda _: None)


@pytest.fixture
def job(fake, bucket):  # noqa: ARG001
    """Forty pictures in shards of ten, in a bucket."""
    for number in range(40):
        bucket.things[f"in/{number:02}.png"] = str(number).encode(), 0.0
    made = BatchJob(SOURCE, DEST, shard=10)
    made.open_destination()
    return made


def listed(job):
    store = open_store(job.destination)
    list_source(store, open_store(job.source), job.shard, lambda: False)
    return ShardQueue(store, job.patience)


def never(seconds):
    time.sleep(seconds)
    return False


def rows_of(bucket):
    parts = [bucket.things[name][0] for name in bucket.names("out/part-")]
    return [row for part in parts for row in pyarrow.parquet.read_table(BytesIO(part)).to_pylist()]


def is_whole(bucket, number=40):
    """Whether each picture has one row and no lease is left."""
    paths = sorted(row["path"] for row in rows_of(bucket))
    return paths == [f"{k:02}.png" for k in range(number)] and not bucket.names("out/_batch/leases")


def test_pictures_and_errors_become_rows(job, bucket, fake):
    bucket.things["in/07.png"] = b"torn", 0.0
    bucket.things["in/.hidden/1.png"] = bucket.things["in/notes.txt"] = b"", 0.0
    told = []
    ShardWorker(job, never, told.append).run()
    assert is_whole(bucket)
    rows = {row["path"]: row for row in rows_of(bucket)}
    assert rows["31.png"]["text"] == "31"
    assert (rows["07.png"]["status"], rows["07.png"]["error"]) == ("error", "is damaged")
    assert Tally(*map(sum, zip(*told, strict=True))) == Tally(40, 1, 4)
    assert set(fake.read.values()) == {1}


def test_few_pictures_are_split_into_small_shards(bucket):
    for number in range(40):
        bucket.things[f"in/{number:02}.png"] = b"", 0.0
    listed(BatchJob(SOURCE, DEST))
    assert [len(json.loads(each)) for each in _shards(bucket)] == [16, 16, 8]


def _shards(bucket):
    return [bucket.things[name][0] for name in bucket.names("out/_batch/shards")]


@pytest.mark.usefixtures("job")
def test_listing_resumes_where_another_stopped(bucket, monkeypatch):
    monkeypatch.setattr(shards, "SPLITS", 1)
    stops = count(1)
    store, source = open_store(DEST), open_store(SOURCE)
    list_source(store, source, 10, lambda: next(stops) == 2)
    assert len(_shards(bucket)) == 2
    assert not store.has(LISTED)
    list_source(store, source, 10, lambda: False)
    assert [name for each in _shards(bucket) for name in json.loads(each)] == [
        f"{k:02}.png" for k in range(40)
    ]
    assert json.loads(store.get(LISTED)) == {"shards": 4}


@pytest.mark.usefixtures("job")
def test_concurrent_listings_list_each_picture_once(bucket, monkeypatch):
    monkeypatch.setattr(shards, "SPLITS", 1)
    store, source = open_store(DEST), open_store(SOURCE)
    others = iter([True])

    def other_lists():
        if next(others, False):
            list_source(store, source, 10, lambda: False)
        return False

    list_source(store, source, 10, other_lists)
    assert sum(len(json.loads(each)) for each in _shards(bucket)) == 40
    assert json.loads(store.get(LISTED)) == {"shards": 4}


def test_each_shard_is_claimed_by_one_process(job):
    queue, other = listed(job), ShardQueue(open_store(DEST))
    mine = [queue.claim(), queue.claim()]
    theirs = [lease for _ in range(4) if (lease := other.claim())]
    tasks = [lease.task for lease in (*mine, *theirs)]
    assert len(theirs) == 2
    assert len(set(tasks)) == 4
    assert queue.claim() is None
    assert not queue.finished


def test_leases_expire_by_the_clock_of_the_store(job, bucket):
    bucket.now = lambda: 5 * HOUR  # far from this machine's clock
    queue = listed(job)
    leases = [queue.claim() for _ in range(4)]
    bucket.now = lambda: 5 * HOUR + PATIENCE / 2
    leases[0].renew()
    bucket.now = lambda: 5 * HOUR + PATIENCE + 1
    other = ShardQueue(open_store(DEST))
    taken = [other.claim() for _ in range(3)]
    assert {lease.task for lease in taken} == {lease.task for lease in leases[1:]}
    assert {lease.number for lease in taken} == {2}
    assert other.claim() is None


def test_expired_lease_is_taken_over_by_only_one_process(job, bucket):
    queue = listed(job)
    while queue.claim():
        pass
    bucket.now = lambda: time.time() + HOUR
    queues = [ShardQueue(open_store(DEST)) for _ in range(6)]
    taken = []
    threads = [
        threading.Thread(target=lambda queue=queue: taken.append(queue.claim())) for queue in queues
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tasks = [lease.task for lease in taken if lease]
    assert tasks
    assert len(tasks) == len(set(tasks))


def test_lease_is_renewed_during_the_work_and_released_after_it(job, bucket):
    lease = listed(job).claim()
    name = f"out/{lease.name}"
    before = bucket.things[name][1]
    with lease.renewed(patience=0.06):
        end = time.monotonic() + 5
        while bucket.things[name][1] == before and time.monotonic() < end:
            time.sleep(0.01)
        assert bucket.things[name][1] > before
    assert name not in bucket.things


def test_slow_process_whose_shards_were_taken_over_does_no_harm(job, bucket, fake):
    """A process is held up in its first shard until another has finished all shards."""
    held = iter([True])

    def hold(_path):
        if next(held, False):
            leases = {**{name: bucket.things[name] for name in bucket.names("out/_batch/leases")}}
            for name, (content, _) in leases.items():
                bucket.things[name] = content, 0.0  # expired
            ShardWorker(job, never).run()

    fake.before = staticmethod(hold)
    told = []
    ShardWorker(job, never, told.append).run()
    assert is_whole(bucket)
    assert Counter(fake.read.values()) == {1: 30, 2: 10}
    assert sum(tally.shards for tally in told) == 0


def test_lost_response_does_no_harm(job, bucket):
    bucket.lost = 2
    ShardWorker(job, never).run()
    assert bucket.lost == 0
    assert is_whole(bucket)


def test_stopped_worker_releases_its_shard_and_another_continues(job, bucket, fake):
    ShardWorker(job, lambda _: sum(fake.read.values()) == 15).run()
    assert len(bucket.names("out/part-")) == 1
    assert bucket.names("out/_batch/leases") == []
    ShardWorker(job, never).run()
    assert is_whole(bucket)
    assert max(fake.read.values()) == 2


def test_picture_that_kills_processes_becomes_an_error(job, bucket, fake):
    """Each process dies before it reads the picture, and its lease expires."""

    def end(path):
        if path == "13.png":
            raise SystemExit

    fake.before = staticmethod(end)
    for _ in range(3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_CloudStore, "delete", lambda *_: None)  # dead workers release nothing
            with pytest.raises(SystemExit):
                ShardWorker(job, never).run()
        bucket.now = lambda now=bucket.now: now() + HOUR
    ShardWorker(job, never).run()
    assert is_whole(bucket)
    errors = {row["path"]: row["error"] for row in rows_of(bucket) if row["status"] == "error"}
    assert errors == {"13.png": "a worker process died reading it"}


def test_missing_picture_is_an_error_row_but_a_store_failure_is_raised(job, bucket, monkeypatch):
    listed(job)
    del bucket.things["in/22.png"]
    failing = iter([True])
    get = _CloudStore.get

    def fails(store, name):
        if name == "23.png" and next(failing, False):
            raise DataError("the store is on fire")
        return get(store, name)

    monkeypatch.setattr(_CloudStore, "get", fails)
    with pytest.raises(DataError, match="on fire"):
        ShardWorker(job, never).run()
    ShardWorker(job, never).run()
    assert is_whole(bucket)
    assert [row["path"] for row in rows_of(bucket) if row["status"] == "error"] == ["22.png"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(RowOptions(), expect=("4",)), r"expect: \[\], now \['4'\]"),
        (replace(RowOptions(), notation={"decimal": ","}), "notation: {}, now {'decimal': ','}"),
        (replace(RowOptions(), model="swift"), "models: '[0-9a-f]+', now '[0-9a-f]+'"),
    ],
)
def test_a_run_with_other_options_is_refused(job, other, said):
    replace(job, shard=5, patience=9.0).open_destination()  # may differ
    with pytest.raises(DataError, match=f"s3://bucket/out has the results of another run .{said}"):
        replace(job, options=other).open_destination()


def test_another_source_or_version_is_refused(job, bucket, monkeypatch):
    bucket.things["in/more/1.png"] = b"", 0.0
    with pytest.raises(DataError, match="source: 's3://bucket/in', now 's3://bucket/in/more'"):
        replace(job, source="s3://bucket/in/more").open_destination()
    monkeypatch.setattr(shards, "__version__", "99")
    with pytest.raises(DataError, match="now '99'"):
        job.open_destination()


def test_source_without_pictures_is_refused(bucket):
    with pytest.raises(DataError, match="s3://bucket/in: no pictures found"):
        BatchJob(SOURCE, DEST).open_destination()
    assert not bucket.things


@pytest.fixture(scope="module")
def rows(examples):
    """The rows of an example, a truncated example and a file of two pages."""
    reader, pages = RowReader(), BytesIO()
    drawing = Image.open(examples / "drawing.png").convert("L")
    drawing.save(pages, "TIFF", save_all=True, append_images=[Image.new("L", (40, 30), 255)])
    content = (examples / "note.jpg").read_bytes()
    found = [reader.rows("note.jpg", content), reader.rows("torn", content[:5000])]
    return [*found, reader.rows("pages.tif", pages.getvalue())]


def test_row_has_status_text_values_and_numbers(rows):
    [row] = rows[0]
    assert (row["status"], row["text"], row["digits_only"]) == ("sure", "2048", "2048")
    assert row["values"] == ["2048"]
    [number] = json.loads(row["numbers"])
    assert number["confidence"] == pytest.approx(row["confidence"], abs=1e-6)
    assert row["milliseconds"] > 0


def test_each_page_is_a_row_and_a_truncated_picture_an_error_row(rows):
    assert [(row["page"], row["status"], row["text"]) for row in rows[2]] == [
        (1, "sure", "7"),
        (2, "empty", ""),
    ]
    [row] = rows[1]
    assert row["status"] == "error"
    assert row["error"].startswith("is damaged")


def test_rows_become_a_table_with_the_schema(rows):
    table = shards.table_of_rows([row for some in rows for row in some])
    assert table.schema.equals(shards.schema())
    assert table["page"].to_pylist() == [1, 1, 1, 2]
    assert table["confidence"].null_count == 2


def test_undecodable_names_and_any_error_become_rows():
    row = shards.error_row("\udcff.png", MemoryError("too large"))
    assert shards.table_of_rows([row])["path"].to_pylist()[0].strip("\ufffd") == ".png"
    assert row["error"] == "MemoryError: too large"


# From here on with real worker processes.

KILLS = pytest.mark.skipif(not hasattr(os, "killpg"), reason="the system has no such signals")


@pytest.fixture
def drawn(bucket):
    """Forty blank pictures, one of them truncated, and a job in shards of ten."""
    file = BytesIO()
    Image.fromarray(np.full((28, 28), 255, np.uint8)).save(file, "PNG")
    for number in range(40):
        bucket.things[f"in/{number:02}.png"] = file.getvalue(), 0.0
    bucket.things["in/13.png"] = b"\x89PNG torn", 0.0
    return BatchJob(SOURCE, DEST, shard=10, patience=1.0)


def started(*options):
    command = [sys.executable, "-m", "digitlens", "batch", SOURCE, "--out", DEST, *options]
    return subprocess.Popen(
        [*command, "--shard", "10", "--patience", "1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


@KILLS
@pytest.mark.usefixtures("drawn")
def test_processes_finish_the_work_of_others_that_were_killed(bucket):
    """A process group is killed while it waits for pictures; two others finish the work."""
    bucket.held = {f"in/{number}4.png" for number in range(4)}
    first = started("--workers", "2")
    until(lambda: len({name[3] for name in bucket.asked}) == 2)
    held = bucket.names("out/_batch/leases")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert len(held) >= 2
    assert bucket.names("out/part-") == []
    bucket.release()
    others = [started("--workers", "1") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in others]
    assert [process.returncode for process in others] == [0, 0], said
    assert all("4 of 4 shards are in s3://bucket/out" in each for each in said)
    assert sum(int(each.split()[0]) for each in said) >= 40
    assert is_whole(bucket)
    assert [row["path"] for row in rows_of(bucket) if row["status"] == "error"] == ["13.png"]


@KILLS
@pytest.mark.usefixtures("drawn")
def test_interrupted_process_releases_its_shards(bucket):
    bucket.held = {f"in/{number}4.png" for number in range(4)}
    process = started("--workers", "1")
    until(lambda: bucket.asked)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # the signal arrives before the picture
    bucket.release()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("interrupted: run the same command again to resume\n")
    assert bucket.names("out/_batch/leases") == []
    assert bucket.names("out/part-") == []


def test_dead_processes_are_restarted_a_limited_number_of_times(drawn, monkeypatch):
    monkeypatch.setattr(shards, "_serve", os._exit)  # fails there: its argument is not a number
    monkeypatch.setattr(shards, "_SPARE", 0)
    starts, start = [], shards._Processes.start
    monkeypatch.setattr(shards._Processes, "start", lambda self: starts.append(start(self)))
    with pytest.raises(WorkerError, match="fewer --workers"):
        run_batch(drawn, 1)
    assert len(starts) == 2
