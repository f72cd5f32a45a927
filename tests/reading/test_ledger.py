import io
import json
import os
import socket
import sqlite3
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from digitlens.errors import DataError
from digitlens.reading import ledger as module
from digitlens.reading.ledger import (
    COLUMNS,
    Deliveries,
    Delivery,
    LockedError,
    Row,
    mqtt,
    open_ledger,
    webhook,
)


def row(picture, region="main", **values):
    return Row("2026-01-01T00:00:00+00:00", picture, "m", "hash", region, **values)


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_rows_keep_their_order_across_sessions(tmp_path, name):
    first, second = [row("a", reason='says "no", twice'), row("a", "other")], [row("b")]
    with open_ledger(tmp_path / "new" / name) as ledger:
        assert ledger.append(first) == 2
    with open_ledger(tmp_path / "new" / name) as ledger:
        assert ledger.append(second) == 3
        assert list(ledger.rows()) == list(enumerate([*first, *second], 1))


@pytest.mark.parametrize(
    "torn", [b"2026-01-01T00:01:00+00:00,b,m,ha", b"\0" * 40, b"\0" * 40 + b"sh,main,,,,,,,\n"]
)
def test_partial_row_after_a_power_cut_is_removed(tmp_path, torn):
    path = tmp_path / "log.csv"
    with open_ledger(path) as ledger:
        ledger.append([row("a")])
    with path.open("ab") as file:
        file.write(torn)
    with open_ledger(path) as ledger:
        assert [each.picture for _, each in ledger.rows()] == ["a"]
        assert ledger.append([row("b")]) == 2
        assert [each.picture for _, each in ledger.rows()] == ["a", "b"]


@pytest.mark.parametrize("torn", [b"", b"time,pict", b"\0" * 20])
def test_partial_header_after_a_power_cut_is_rewritten(tmp_path, torn):
    path = tmp_path / "log.csv"
    path.write_bytes(torn)
    with open_ledger(path) as ledger:
        assert ledger.append([row("a")]) == 1
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_full_disk_leaves_no_partial_rows(tmp_path, small_disk):
    path = tmp_path / "log.csv"
    with open_ledger(path) as ledger:
        ledger.append([row("a")])
        before = path.read_bytes()
        small_disk(len(before) + 60)
        with pytest.raises(LockedError, match=r"log\.csv: File too large"):
            ledger.append([row("b"), row("b", "other")])
        assert path.read_bytes() == before
        small_disk(1 << 20)
        assert ledger.append([row("b"), row("b", "other")]) == 3
        assert [each.picture for _, each in ledger.rows()] == ["a", "b", "b"]


def test_a_log_appears_with_its_header_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "write_bytes", _broken)
    with pytest.raises(DataError, match="Input/output error"), open_ledger(tmp_path / "log.csv"):
        pass
    assert not (tmp_path / "log.csv").exists()


class Uncut(io.FileIO):
    def truncate(self, _):
        raise OSError(5, "Input/output error")


def test_partial_rows_are_removed_before_the_next_append(tmp_path, small_disk, monkeypatch):
    path = tmp_path / "log.csv"
    with open_ledger(path) as ledger:
        small_disk(path.stat().st_size + 60)
        with monkeypatch.context() as broken:
            broken.setattr(Path, "open", lambda each, *_, **__: Uncut(each, "ab"))
            with pytest.raises(LockedError):
                ledger.append([row("a"), row("a", "other")])
        small_disk(1 << 20)
        ledger.append([row("a"), row("a", "other")])
        assert [each.region for _, each in ledger.rows()] == ["main", "other"]


def _broken(*_):
    raise OSError(5, "Input/output error")


def test_a_row_is_one_line(tmp_path):
    with open_ledger(tmp_path / "log.csv") as ledger:
        ledger.append([row("a", reason="two\nlines")])
        assert [each.reason for _, each in ledger.rows()] == ["two lines"]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["log.csv", "log.sqlite"])
def test_a_log_has_one_writer(tmp_path, name):
    told = r"another digitlens watch writes to this log: stop it"
    with open_ledger(tmp_path / name), pytest.raises(DataError, match=told):
        open_ledger(tmp_path / name).__enter__()
    with open_ledger(tmp_path / name) as ledger:
        assert ledger.append([row("a")]) == 1


def test_folder_of_a_new_log_is_synced_to_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    with open_ledger(tmp_path / "log.csv"):
        assert os.name != "posix" or tmp_path.stat().st_ino in synced


def test_database_stores_each_picture_once(tmp_path):
    with open_ledger(tmp_path / "log.db") as ledger:
        ledger.append([row("a")])
        assert ledger.append([row("a")]) == 1


def test_locked_database_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOCKED_PATIENCE", 0.01)
    with open_ledger(tmp_path / "log.sqlite") as ledger:
        other = sqlite3.connect(tmp_path / "log.sqlite")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockedError, match=r"log.sqlite: database is locked"):
            ledger.append([row("a")])
        other.close()
        assert ledger.append([row("a")]) == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("log.txt", None, r"ends in \.csv"),
        ("log.csv", "a,b\n1,2\n", "expected a log of readings, whose first line is time,"),
        ("log.sqlite", "no database " * 99, "cannot be opened as a log"),
    ],
)
def test_file_that_is_not_a_log_is_refused_and_left_unchanged(tmp_path, name, content, told):
    path = tmp_path / name
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=told), open_ledger(path):
        pass
    assert not content or path.read_text() == content


ROW = Row("2026-01-01T00:00:00+00:00", "a.jpg", "m", "h", "main", "12.5", "m³", "value")


class Post:
    """A receiver that can be made unreachable."""

    def __init__(self):
        self.there, self.got = True, []

    def __call__(self, reading):
        if not self.there:
            raise ConnectionRefusedError("refused")
        self.got.append(reading["id"])


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def start(path, post, rows=0):
    """The deliveries after a log of ``rows`` rows was read."""
    deliveries = Deliveries(path, [Delivery("there", post)])
    for number in range(1, rows + 1):
        deliveries.replay(number, ROW)
    deliveries.start(rows)
    return deliveries


def test_undeliverable_readings_wait_in_order(tmp_path, clock, capsys):
    post = Post()
    deliveries = start(tmp_path / "log.csv", post)
    post.there = False
    deliveries.add(1, [ROW])
    deliveries.add(3, [ROW, ROW])
    assert deliveries.flush() == 3
    post.there = True
    assert deliveries.flush() == 3  # not retried at once
    clock[0] = 6
    assert deliveries.flush() == 0
    assert post.got == [1, 2, 3]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "there: cannot be reached (refused): 3 readings wait" in told[0]


def test_pauses_between_retries_grow(tmp_path, clock):
    post, tries = Post(), []
    deliveries = start(tmp_path / "log.csv", post)
    deliveries.receivers[0].post = lambda _: (tries.append(clock[0]), post({"id": 1}))
    post.there = False
    deliveries.add(1, [ROW])
    for second in range(60):
        clock[0] = second
        deliveries.flush()
    assert tries == [0, 5, 15, 35]


def test_next_run_delivers_what_the_last_did_not(tmp_path):
    post = Post()
    deliveries = start(tmp_path / "log.csv", post, rows=2)
    assert deliveries.flush() == 0  # nothing old is posted to a new receiver
    post.there = False
    deliveries.add(3, [ROW])
    deliveries.flush()
    again = Post()
    deliveries = start(tmp_path / "log.csv", again, rows=3)
    assert deliveries.flush() == 0
    assert again.got == [3]


def test_damaged_delivery_state_is_reported(tmp_path):
    (tmp_path / "log.csv.sent.json").write_text("{")
    with pytest.raises(DataError, match=r"sent\.json: cannot be read"):
        start(tmp_path / "log.csv", Post())


def test_recreated_log_is_delivered_from_its_start(tmp_path):
    start(tmp_path / "log.csv", Post(), rows=9)
    post = Post()
    start(tmp_path / "log.csv", post, rows=0)  # the log was removed
    deliveries = start(tmp_path / "log.csv", post, rows=2)
    assert deliveries.flush() == 0
    assert post.got == [1, 2]


@contextmanager
def receiver(*answers):
    """A server that returns the given statuses in turn; yields its port and the requests."""
    got, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers, json.loads(body)))
            self.send_response(left.pop(0))
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, got
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("refused", [500, 301, 302, 303])
def test_webhook_receives_json_and_a_refusal_is_an_error(refused):
    with receiver(204, refused) as (port, got):
        post = webhook(f"http://127.0.0.1:{port}/x").post
        post(module.message(7, ROW))
        with pytest.raises(OSError, match=str(refused)):
            post(module.message(8, ROW))
    headers, reading = got[0]
    assert "Authorization" not in headers
    assert reading["id"] == 7
    assert reading["value"] == "12.5"
    assert reading["region"] == "main"


def test_webhook_receives_the_password_of_its_address():
    with receiver(204) as (port, got):
        sender = webhook(f"http://me:se%20cret@127.0.0.1:{port}/x")
        sender.post(module.message(7, ROW))
    assert got[0][0]["Authorization"] == "Basic bWU6c2UgY3JldA=="
    assert sender.name == f"http://127.0.0.1:{port}/x"


def test_receivers_that_differ_in_their_query_are_distinguished(tmp_path):
    addresses = [f"http://host/x?token={name}" for name in ("secret", "other")]
    receivers = [webhook(each) for each in addresses]
    Deliveries(tmp_path / "log.csv", receivers[:1]).start(3)
    kept = (tmp_path / "log.csv.sent.json").read_text()
    assert "secret" not in kept
    assert "secret" not in receivers[0].name
    Deliveries(tmp_path / "log.csv", receivers)
    assert [each.sent for each in receivers] == [3, None]


def test_delivery_state_of_earlier_versions_is_still_read(tmp_path):
    (tmp_path / "log.csv.sent.json").write_text('{"http://host/x": 7}')
    receiver = webhook("http://host/x?token=secret")
    Deliveries(tmp_path / "log.csv", [receiver])
    assert receiver.sent == 7


def broker(listener, packets):
    """A minimal MQTT broker for one message; records the packets."""
    connection, _ = listener.accept()
    with connection:
        answers = {0x10: b"\x20\x02\x00\x00", 0x30: b"\x40\x02\x00\x01"}
        while data := connection.recv(4096):
            while data:
                length = data[1] if data[1] < 128 else data[1] - 128 + 128 * data[2]
                whole = length + (2 if data[1] < 128 else 3)
                packets.append(data[:whole])
                if answer := answers.get(data[0] & 0xF0):
                    connection.sendall(answer)
                data = data[whole:]


def test_reading_is_published_under_its_topic():
    packets = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=broker, args=(listener, packets))
        thread.start()
        port = listener.getsockname()[1]
        receiver = mqtt(f"mqtt://me:secret@127.0.0.1:{port}/home/water")
        receiver.post(module.message(7, ROW))
        thread.join()
    (message,) = [each for each in packets if each[0] & 0xF0 == 0x30]
    assert b"home/water/main" in message
    assert b'"value": "12.5"' in message
    assert receiver.name == f"mqtt://127.0.0.1:{port}/home/water"


def test_unreachable_broker_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        mqtt(f"mqtt://127.0.0.1:{port}/x").post(module.message(1, ROW))


@pytest.mark.parametrize(
    ("make", "url"),
    [
        (webhook, "ftp://host/x"),
        (webhook, "http://"),
        (webhook, "http://host:port/x"),
        (mqtt, "http://host/x"),
        (mqtt, "mqtt://host"),
        (mqtt, "mqtt://host/a/#"),
    ],
)
def test_invalid_addresses_are_refused(make, url):
    with pytest.raises(ValueError, match=r"expected|Port"):
        make(url)
