import asyncio
import gc
import io
import json
import struct
import tempfile
import threading
import time
import weakref
import zlib

import numpy as np
import pytest
from PIL import Image

from digitlens.results import Box, Digit, Reading
from digitlens.server.limits import PICTURES, Refusal, Settings
from digitlens.server.schemas import NAME_LENGTH
from digitlens.server.service import Metrics, Pool, UploadedPicture


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("hardly a digit, closest to 3 (12 %)", "unlike a digit"),
        ("more than the digits that were expected", "not expected"),
        ("because a client could make this up", "other"),
    ],
)
def test_reject_reasons_map_to_few_labels(reason, label):
    digit = Digit(3, 0.1, (0.1,) * 10, Box(0, 0, 1, 1), "rejected", reason)
    metrics = Metrics()
    metrics.reading(Reading(((digit,),), 1, 1, "m", "x"))
    assert f'digitlens_rejects_total{{reason="{label}"}} 1.0' in metrics.text().decode()


def test_pictures_are_not_written_to_disk_and_requests_not_logged(
    client, picture, monkeypatch, caplog, capfd
):
    def fail(*_, **__):
        raise AssertionError("a file was made")

    large = encoded("BMP", (3000, 1000))  # larger than web frameworks keep in memory
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    monkeypatch.setattr(tempfile, "mkstemp", fail)
    caplog.set_level("DEBUG", "digitlens")
    assert len(large) > 3_000_000
    for content, status in {large: 200, picture[:20]: 422}.items():
        answer = client.post("/v1/read", files={"file": ("secret.bmp", content)})
        assert answer.status_code == status, answer.text
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_uploaded_picture_has_a_short_name_for_errors():
    assert (UploadedPicture(b"").name, UploadedPicture(b"", "").client_name) == ("image", None)
    assert UploadedPicture(b"", "a" * 999).name == "a" * NAME_LENGTH


PNG, JSON = {"Content-Type": "image/png"}, {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
CURL = {"Content-Type": "application/x-www-form-urlencoded"}


def encoded(kind, size=(64, 64)):
    out = io.BytesIO()
    Image.effect_noise(size, 50).save(out, kind)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def gif_claiming(width, height):
    small = encoded("GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


def form(count, data=b"x"):
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%d.png"\r\n\r\n%s\r\n'
    return b"".join(part % (k, data) for k in range(count)) + b"--b--\r\n"


def picture_json(data):
    return json.dumps({"image": {"data": data}}).encode()


MANY = json.dumps({"images": [{"data": "eA=="}] * 10_000}).encode()
TEXT = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--b--\r\n'
FAULTS = {
    "empty body": (b"", PNG, 400, "empty"),
    "empty JSON": (b"", JSON, 400, "empty"),
    "empty form": (b"", FORM, 400, "cut off"),
    "empty file in a form": (form(1, b""), FORM, 422, "0.png: is empty"),
    "truncated PNG": (encoded("PNG")[:900], PNG, 422, "damaged or cut off"),
    "truncated JPEG": (encoded("JPEG")[:900], PNG, 422, "damaged or cut off"),
    "text": (b"seven", PNG, 422, "is not a picture"),
    "a web page": (b"<html>7</html>", PNG, 422, "a web page"),
    "SVG": (b"<svg/>", PNG, 422, "SVG"),
    "an archive": (b"PK\3\4" + b"\0" * 100, PNG, 422, "is not a picture"),
    "another type": (b"7", {"Content-Type": "text/plain"}, 415, "text/plain"),
    "as curl sends data": (b"7", CURL, 415, "multipart/form-data"),
    "a compressed body": (b"7", {**PNG, "Content-Encoding": "gzip"}, 415, "not compressed"),
    "bomb": (png_claiming(50_000, 50_000), PNG, 422, "at most 100,000,000 are decoded"),
    "huge bomb": (png_claiming(2**31 - 1, 2**31 - 1), PNG, 422, "pixels"),
    "GIF bomb": (gif_claiming(65_535, 65_535), PNG, 422, "pixels"),
    "bomb without data": (png_claiming(9_999, 9_999), PNG, 422, "damaged or cut off"),
    "10,000 files": (form(10_000), FORM, 413, "Too many files"),
    "10,000 pictures": (MANY, JSON, 413, f"at most {PICTURES}"),
    "no boundary": (b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
    "no form": (b"\0" * 100, FORM, 400, "Invalid"),
    "a file of another name": (form(1).replace(b'"file"', b'"photo"'), FORM, 422, "'photo'"),
    "a file as text": (TEXT % (b"file", b"x"), FORM, 400, "no file name"),
    "a path": (TEXT % (b"path", b"/etc/passwd"), FORM, 400, "part named file"),
    "a URL": (b'{"image": {"url": "http://localhost/"}}', JSON, 422, "image.data"),
    "bad JSON": (b'{"image": {', JSON, 400, "JSON"),
    "JSON in UTF-16": ('{"image": {}}'.encode("utf-16"), JSON, 400, "JSON"),
    "deep JSON": (b'{"image": ' + b"[" * 100_000, JSON, 400, "JSON"),
    "deep objects": (b'{"image":' * 50_000, JSON, 400, "JSON"),
    "JSON of another shape": (b"[7]", JSON, 422, "object"),
    "no picture in JSON": (b'{"expect": "4"}', JSON, 422, "images"),
    "one and many": (b'{"image": {"data": ""}, "images": [{"data": ""}]}', JSON, 422, "either"),
    "bad base64": (picture_json("????"), JSON, 422, "base64"),
    "base64 cut off": (picture_json("abc"), JSON, 422, "base64"),
    "no base64": (picture_json(7), JSON, 422, "base64"),
    "empty base64": (picture_json(""), JSON, 422, "is empty"),
    "NaN": (b'{"image": {"data": "eA=="}, "target_error": NaN}', JSON, 422, "target_error"),
    "infinity": (b'{"image": {"data": "eA=="}, "target_error": 1e999}', JSON, 422, "target_error"),
    "a surrogate": (b'{"image": {"data": "eA==", "name": "\\ud800"}}', JSON, 400, "JSON"),
    "too large": (b"x" * 2_000_000, PNG, 413, "at most 1,000,000 bytes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_invalid_bodies_get_status_and_reason(serve, picture, name):
    body, headers, status, words = FAULTS[name]
    client = serve(body_limit=1_000_000)
    answer = client.post("/v1/read", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert words in answer.json()["detail"]
    assert client.post("/v1/read", content=picture, headers=PNG).status_code == 200


def test_memory_of_concurrent_bodies_is_limited(serve):
    client = serve(memory=100)
    answer = client.post("/v1/read", content=b"x" * 200, headers=PNG)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    for _ in range(3):  # the refused body is no longer counted
        assert client.post("/v1/read", content=b"x" * 99, headers=PNG).status_code == 422


def in_thread(client, content, answers, path="/v1/read", headers=PNG):
    def ask():
        answers.append(client.post(path, content=content, headers=headers))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_full_queue_is_429_at_once(serve, reader, picture):
    client, answers = serve(workers=1, queue=1), []
    reader.open.clear()
    threads = [in_thread(client, picture, answers)]
    assert reader.busy.acquire(timeout=5)
    threads.append(in_thread(client, picture, answers))
    while "digitlens_queue_depth 1.0" not in client.get("/metrics").text:
        time.sleep(0.01)
    refused = client.post("/v1/read", content=picture, headers=PNG)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["type"].endswith(":queue-full")
    reader.open.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]


def test_tiles_of_requests_are_classified_in_one_batch(serve, reader, picture, monkeypatch):
    counts, predict = [], reader.classifier.predict_proba

    def counted(tiles):
        counts.append(len(tiles))
        return predict(tiles)

    monkeypatch.setattr(reader.classifier, "predict_proba", counted)
    client, answers = serve(workers=1), ([], [], [], [])
    tensor = {"name": "tiles", "shape": [1, 28, 28], "datatype": "UINT8", "data": [5] * 784}
    infer = json.dumps({"inputs": [tensor]}).encode()
    raw = {"Content-Type": "application/octet-stream"}
    reader.open.clear()
    threads = [in_thread(client, picture, answers[0])]
    assert reader.busy.acquire(timeout=5)
    threads += [
        in_thread(client, bytes([3]) * 784 * 2, answers[1], "/v1/classify", raw),
        in_thread(client, infer, answers[2], "/v2/models/tiles/infer", JSON),
        in_thread(client, bytes([7]) * 784 * 21, answers[3], "/v1/classify", raw),  # alone
    ]
    while "digitlens_queue_depth 3.0" not in client.get("/metrics").text:
        time.sleep(0.01)
    reader.open.set()
    for thread in threads:
        thread.join()
    (_,), (two,), (one,), (many,) = answers
    assert [each["value"] for each in two.json()["predictions"]] == [3, 3]
    assert np.argmax(one.json()["outputs"][0]["data"]) == 5
    assert [each["value"] for each in many.json()["predictions"]] == [7] * 21
    assert sorted(counts) == [3, 21]


def test_timeout_is_504(serve, reader, picture):
    client = serve(time_limit=0.1)
    reader.open.clear()
    answer = client.post("/v1/read", content=picture, headers=PNG)
    assert answer.status_code == 504
    assert "within 0.1 s" in answer.json()["detail"]
    reader.open.set()
    assert client.post("/v1/read", content=picture, headers=PNG).status_code == 200


def test_internal_error_reveals_nothing(serve, reader, picture, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("secret")

    monkeypatch.setattr(reader, "read", fail)
    answer = serve().post("/v1/read", content=picture, headers=PNG)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Content-Security-Policy"]
    assert "secret" not in answer.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/read", 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/v1/classify", 405),
        ("POST", "/", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/read/", 404),
        ("GET", "/nothing.html", 404),
        ("GET", "/docs", 404),
    ],
)
def test_wrong_methods_and_paths_are_problem_details(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["instance"] == path


async def never():
    await asyncio.Event().wait()


async def at_once():
    return


async def start_job(pool, work):
    """Returns a task whose work runs in a thread."""
    task = asyncio.create_task(pool.run(work, never))
    while pool.waiting or not pool.in_progress:
        await asyncio.sleep(0.001)
    return task


@pytest.fixture
def pools():
    made = []

    def pool(workers=1, queue=1, time_limit=5.0, answer_batch=tuple):
        limits = {"workers": workers, "queue": queue, "time_limit": time_limit}
        made.append(Pool(Settings(**limits), answer_batch))
        return made[-1]

    yield pool
    for pool in made:
        pool.close()


@pytest.fixture
def latch():
    event = threading.Event()
    yield event
    event.set()


def test_job_that_waits_too_long_is_never_started(pools, latch):
    pool, started = pools(time_limit=0.5), []

    async def run():
        running = await start_job(pool, lambda _: latch.wait(5))
        with pytest.raises(Refusal) as refusal:
            await pool.run(lambda _: started.append(1), never)
        with pytest.raises(Refusal):
            await running
        latch.set()
        return refusal.value

    assert asyncio.run(run()).kind == "time-limit"
    pool.close()
    assert not started
    assert pool.in_progress == 0


def test_job_that_runs_too_long_stops_at_its_next_check(pools, latch):
    pool, steps = pools(time_limit=0.5), []

    def work(job):
        latch.wait(5)
        steps.append("first")
        job.check()
        steps.append("second")

    with pytest.raises(Refusal, match=r"not ready within 0\.5 s"):
        asyncio.run(pool.run(work, never))
    latch.set()
    pool.close()
    assert steps == ["first"]


def test_dropped_job_releases_its_request(pools, latch):
    pool = pools()

    class Body:
        def work(self, _):
            pass

    async def run():
        running = await start_job(pool, lambda _: latch.wait(5))
        body = Body()
        reference = weakref.ref(body)
        with pytest.raises(Refusal):
            await pool.run(body.work, at_once)
        del body
        gc.collect()
        assert reference() is None
        latch.set()
        await running

    asyncio.run(run())


def test_waiting_jobs_share_a_run(pools, latch):
    runs = []

    def answer_batch(parts):
        runs.append(parts)
        return [2 * part for part in parts]

    pool = pools(queue=20, answer_batch=answer_batch)

    def sharing(number):
        def work(_):
            if number == 2:
                raise ValueError("no number")
            return 1 + (yield number)

        return pool.run(work, never, can_batch=True)

    async def run():
        busy = await start_job(pool, lambda _: latch.wait(5))
        single = asyncio.create_task(pool.run(lambda _: "alone", never))
        many = [asyncio.create_task(sharing(number)) for number in range(1, 19)]
        await asyncio.sleep(0)
        assert (pool.waiting, pool.in_progress) == (19, 20)
        latch.set()
        results = await asyncio.gather(busy, single, *many, return_exceptions=True)
        results.append(await sharing(20))  # after all others
        return results

    _, single, one, two, *more = asyncio.run(run())
    assert (single, one, str(two)) == ("alone", 3, "no number")
    assert more == [1 + 2 * number for number in [*range(3, 19), 20]]
    assert runs == [[1, *range(3, 17)], [17, 18], [20]]
    assert pool.in_progress == 0


def test_failed_run_fails_all_its_jobs(pools):
    def answer_batch(_):
        raise MemoryError

    pool = pools(answer_batch=answer_batch)

    def work(_):
        yield 1

    for _ in range(2):
        with pytest.raises(MemoryError):
            asyncio.run(pool.run(work, never, can_batch=True))


def test_job_of_a_disconnected_client_is_left_out_of_the_run(pools, latch):
    runs = []

    def answer_batch(parts):
        runs.append(parts)
        return parts

    pool = pools(queue=2, answer_batch=answer_batch)

    def work(number):
        return (yield number)

    async def run():
        busy = await start_job(pool, lambda _: latch.wait(5))
        with pytest.raises(Refusal):
            await pool.run(lambda _: work(1), at_once, can_batch=True)
        waiting = asyncio.create_task(pool.run(lambda _: work(2), never, can_batch=True))
        await asyncio.sleep(0)
        latch.set()
        return (await asyncio.gather(busy, waiting))[1]

    assert asyncio.run(run()) == 2
    assert runs == [[2]]
