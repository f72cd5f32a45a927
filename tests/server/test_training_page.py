"""The live page: the whole state once, then only news; bounded curves; routes and refusals."""

import json
import re
import socket
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.errors import DigitlensError
from digitlens.imaging.tiles import to_tile
from digitlens.results import Outputs
from digitlens.server import training_page as module
from digitlens.server.training_page import (
    Curve,
    LiveHistory,
    PageData,
    Position,
    TrainingInfo,
    create_watch_app,
    listen,
    serving,
)
from digitlens.training.monitor import Check, Mistake, Point, Pulse, SampleScore


@pytest.fixture
def history():
    return LiveHistory(TrainingInfo("fast-1", {"epochs": 3}, "9 digits", 9))


def pulse(*steps, member=1, rows=()):
    points = tuple(Point(step, 2.0 / step, 0.5, 0.1) for step in steps)
    return Pulse(member, 2, 1, 3, steps[-1], 30, 1234.5, 9.87, rows, points)


def check(step, accuracy=0.9):
    confusion = np.eye(10, dtype=np.int64)
    return Check(step, SampleScore(0.5, accuracy, confusion, (Mistake(4, 1, 7, 0.98765),)))


def test_page_gets_everything_first_and_then_only_news(history):
    history.record(pulse(1, 2))
    history.record(check(2))
    update, position = history.since(Position())
    assert update["whole"]
    assert update["steps"] == [(1, 2.0, 0.5, 0.1), (2, 1.0, 0.5, 0.1)]
    assert update["checks"] == [(2, 0.5, 0.9)]
    assert update["mistakes"] == [(4, 1, 7, 0.9877)]
    assert update["progress"]["images_per_second"] == 1234
    assert history.since(position) == (None, position)
    history.record(pulse(3, rows=({"epoch": 1.0},)))
    update, position = history.since(position)
    assert not update["whole"]
    assert [step[0] for step in update["steps"]] == [3]
    assert update["progress"]["rows"] == [{"epoch": 1.0}]
    assert update["checks"] == []
    assert "confusion" not in update
    late, _ = history.since(Position())
    assert [step[0] for step in late["steps"]] == [1, 2, 3]
    json.dumps(late, allow_nan=False)


def test_news_are_empty_before_the_first_step_and_restart_per_member(history):
    update, position = history.since(Position())
    assert update == {"whole": True, "steps": [], "checks": [], "ended": ""}
    assert history.since(position)[0] is None
    history.record(pulse(1, 2))
    history.record(check(2))
    update, position = history.since(position)
    assert update["steps"]
    history.record(pulse(1, member=2))
    update, _ = history.since(position)
    assert update["whole"]
    assert [step[0] for step in update["steps"]] == [1]
    assert update["checks"] == []


def test_end_is_reported_and_nan_stays_valid_json(history):
    history.record(Pulse(1, 1, 1, 1, 1, 1, 1.0, None, (), (Point(1, float("nan"), 0.5, 0.1),)))
    update, position = history.since(Position())
    assert update["progress"]["seconds_left"] is None
    json.dumps(update, allow_nan=False)
    history.end("All is well.")
    assert history.since(position)[0]["ended"] == "All is well."


@given(steps=st.integers(0, 700), limit=st.integers(1, 40))
def test_curve_has_few_points_of_equal_step_counts(steps, limit):
    curve = Curve(limit)
    for step in range(1, steps + 1):
        curve.add(step, (step, 1.0 / step))
    points = curve.since(0)
    assert len(points) < 2 * limit
    if not points:
        assert steps == 0
        return
    stride = int(points[0][0])
    assert [point[0] for point in points] == [stride * (i + 1) for i in range(len(points))]
    assert steps - points[-1][0] < stride
    for last, value in points:
        expected = np.mean([1 / step for step in range(int(last) - stride + 1, int(last) + 1)])
        assert abs(value - expected) < 1e-3 * expected


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


PAGE = Path(module.__file__).with_name("watch") / "page"
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def asked():
    return []


@pytest.fixture
def show(asked, history):
    def answers(tiles):
        asked.append(tiles)
        rows = np.full((len(tiles), 10), 0.01, np.float32)
        rows[:, 7] = 0.91
        return Outputs(rows, digit=np.full(len(tiles), 0.75, np.float32))

    tiles = np.arange(2 * 784, dtype=np.uint16).astype(np.uint8).reshape(2, 28, 28)
    return PageData(history, tiles, answers)


@pytest.fixture
def client(show):
    return TestClient(create_watch_app(show), "http://127.0.0.1", raise_server_exceptions=False)


def test_page_describes_the_training_and_its_sample(client, show):
    assert client.get("/subject").json() == {
        "name": "fast-1",
        "recipe": {"epochs": 3},
        "sample": "9 digits",
        "count": 9,
    }
    assert client.get("/tiles").content == show.tiles.tobytes()


def test_drawing_is_framed_and_classified(client, asked):
    ink = np.zeros((60, 40), np.uint8)
    ink[10:50, 18:24] = 255
    answer = client.post("/answer?width=40", content=ink.tobytes(), headers=RAW)
    found = answer.json()
    np.testing.assert_array_equal(np.reshape(found["tile"], (28, 28)), to_tile(ink))
    np.testing.assert_array_equal(asked[0][0], to_tile(ink))
    assert found["probabilities"][7] == 0.91
    assert found["digit"] == 0.75


def test_blank_drawing_and_untrained_network_get_no_probabilities(client, show, asked):
    empty = client.post("/answer?width=9", content=bytes(81), headers=RAW).json()
    assert empty == {"tile": [0] * 784, "probabilities": None, "digit": None}
    assert not asked
    show.predict = lambda _: None
    early = client.post("/answer?width=9", content=b"\xff" * 81, headers=RAW).json()
    assert early["probabilities"] is None
    assert max(early["tile"]) == 255


@pytest.mark.parametrize(
    ("query", "content", "headers", "status"),
    [
        ("width=7", bytes(50), RAW, 422),
        ("width=7", b"", RAW, 422),
        ("width=0", bytes(50), RAW, 422),
        ("width=9999", bytes(9999), RAW, 422),
        ("", bytes(50), RAW, 422),
        ("width=1", bytes(1025), RAW, 422),
        ("width=5", bytes(25), {"Content-Type": "text/plain"}, 415),
        ("width=1024", bytes(1024 * 1024 + 1), RAW, 413),
        ("width=5", bytes(25), RAW | {"Host": "evil.example"}, 421),
        ("width=5", bytes(25), RAW | {"Host": "127.0.0.1.evil.example:80"}, 421),
    ],
)
def test_invalid_drawings_are_refused(client, asked, query, content, headers, status):
    answer = client.post(f"/answer?{query}", content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not asked


def test_foreign_hosts_and_origins_are_refused(client):
    for path in ("/", "/news", "/tiles", "/subject"):
        assert client.get(path, headers={"Host": "rebound.example"}).status_code == 421
    headers = {"Host": "localhost:8", "Origin": "http://evil.example"}
    answer = client.get("/subject", headers=headers)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_only_the_files_of_the_page_are_served(client):
    page = client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    names = set(re.findall(r'(?:href|src)="([\w/.]+)"', page.text))
    for path in PAGE.glob("*.js"):
        parts = re.findall(r'from "\./([\w/.]+)"', path.read_text())
        names |= {path.name, *parts}
    assert {"main.js", "style.css", "app/canvas.js"} <= names
    for name in names:
        assert client.get(f"/{name}").status_code == 200, name
    folders, upwards = ("app", "app/"), ("../app.py", "app/../index.html")
    for name in (*folders, *upwards, "reader/index.js", "docs", "v1/read"):
        answer = client.get(f"/{name}")
        assert answer.status_code == 404 or answer.content == page.content, name


def test_news_are_streamed_until_the_server_ends_with_its_block(show):
    with serving(show, listen(0)) as address:
        update = urllib.request.urlopen(f"{address}news", timeout=10)
        assert update.headers["Content-Type"].startswith("text/event-stream")
        lines = [update.readline() for _ in range(3)]
        assert lines[0].startswith(b"retry: ")
        assert lines[2].startswith(b'data: {"whole":true')
        assert show.history.readers == 1
        show.history.end("Done.")
        assert b'"ended":"Done."' in update.readline() + update.readline()
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert show.history.readers == 0
    assert update.read() in (b"", b"\n")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=2)


def test_port_in_use_is_a_one_line_error():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DigitlensError, match=f"port {port} .*--watch-port"):
            listen(port)
