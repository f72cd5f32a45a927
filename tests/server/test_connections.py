"""A real server on loopback, with clients that are slow, break off, or do not stop talking."""

import json
import socket
import threading
import time
from contextlib import closing
from urllib.request import urlopen

import pytest

from digitlens.server.connections import _Lingering
from digitlens.server.run import Server
from digitlens.server.service import assemble
from digitlens.server.settings import Settings

HEAD = b"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
SETTINGS = {"port": 0, "workers": 1, "queue": 1, "body_limit": 1_000_000}


class Running:
    """A server in a thread of its own."""

    def __init__(self, reader, **settings):
        self._ready, self._address = threading.Event(), ""
        service = assemble(Settings(**SETTINGS | settings), reader)
        self._server = Server(service, self._on_ready)
        self._thread = threading.Thread(target=self._server.listen)
        self._thread.start()
        assert self._ready.wait(10)

    def _on_ready(self, address):
        self.address, self.port = address, int(address.rpartition(":")[2])
        self._ready.set()

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return closing(connection)

    def ask(self, data):
        with self.connect() as connection:
            connection.sendall(data)
            return answered(connection)

    def metrics(self):
        with urlopen(f"{self.address}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def until(self, words):
        end = time.monotonic() + 5
        while words not in self.metrics():
            assert time.monotonic() < end, words
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = True

    def join(self):
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def start(reader):
    running = []

    def start(**settings):
        running.append(Running(reader, **settings))
        return running[-1]

    yield start
    reader.open.set()
    for server in running:
        server.stop()
        server.join()


def answered(connection):
    """Status and content of one answer; 0 where the connection ends without."""
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    if not head:
        return 0, {}
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def post(body, *more):
    length = b"Content-Length: %d\r\n" % len(body)
    return HEAD + length + b"".join(more) + b"\r\n" + body


def test_a_request_is_answered_and_the_next_on_the_same_connection(start, picture):
    with start().connect() as connection:
        for _ in range(2):
            connection.sendall(post(picture))
            status, answer = answered(connection)
            assert (status, answer["readings"][0]["digits_only"]) == (200, "7")


def test_a_body_that_trickles_is_408(start):
    server = start(body_time=0.3)
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(5):
            connection.sendall(b"x")
            time.sleep(0.05)
        status, problem = answered(connection)
    assert status == 408
    assert problem["detail"] == "the body was not complete within 0.3 s"


def test_a_head_that_trickles_is_given_up(start):
    server = start(idle_time=0.3)
    begun = time.monotonic()
    with server.connect() as connection, pytest.raises(OSError, match=r"pipe|reset"):  # noqa: PT012
        while time.monotonic() < begun + 5:
            connection.sendall(b"x")
            time.sleep(0.02)
    assert time.monotonic() - begun < 2


def test_a_connection_that_says_nothing_is_given_up(start):
    with start(idle_time=0.2).connect() as connection:
        assert connection.recv(1) == b""


def test_a_body_that_goes_on_after_it_was_refused_is_given_up(start):
    server = start(idle_time=0.3)
    begun = time.monotonic()
    with server.connect() as connection, pytest.raises(OSError, match=r"pipe|reset"):  # noqa: PT012
        connection.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n")
        assert answered(connection)[0] == 413
        while time.monotonic() < begun + 5:
            connection.sendall(b"x")
            time.sleep(0.02)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("more", [b"Connection: close\r\n", b""])
def test_a_client_that_is_refused_while_it_sends_learns_why(start, more):
    server = start(idle_time=5)
    with server.connect() as connection:
        connection.sendall(post(b"x" * 9_000_000, more))
        status, problem = answered(connection)
        assert status == 413
        assert "9,000,000" in problem["detail"]
        if more:
            assert connection.recv(1) == b""
        else:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answered(connection)[0] == 200


def test_who_goes_on_sending_after_the_connection_is_half_closed_is_given_up(start):
    server = start(idle_time=0.3)
    with server.connect() as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 99999999\r\n\r\n")
        assert answered(connection)[0] == 413
        begun = time.monotonic()
        with pytest.raises(OSError, match=r"pipe|reset"):  # noqa: PT012
            while time.monotonic() < begun + 5:
                connection.sendall(b"x")
                time.sleep(0.02)
    assert time.monotonic() - begun < 2


def test_a_client_that_is_gone_when_its_connection_is_half_closed_harms_nobody():
    class Gone:
        closed = False

        def is_closing(self):
            return self.closed

        def write_eof(self):
            raise OSError(107, "Transport endpoint is not connected")

        def close(self):
            self.closed = True

    transport = Gone()
    _Lingering(transport, lambda: True).close()
    assert transport.closed


def test_chunks_are_counted(start):
    server = start()
    with server.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(21):
            connection.sendall(b"C350\r\n" + b"x" * 50_000 + b"\r\n")
        status, problem = answered(connection)
    assert status == 413
    assert "found more than 1,000,000" in problem["detail"]


def test_a_client_that_breaks_off_while_sending_harms_nobody(start, picture, caplog):
    server = start()
    for _ in range(3):
        with server.connect() as connection:
            connection.sendall(post(picture)[:-5])
    server.until('digitlens_refused_requests_total{cause="gone"} 3.0')
    assert server.ask(post(picture))[0] == 200
    assert not caplog.text


def test_what_a_client_that_left_had_waiting_is_dropped(start, reader, picture):
    server = start()
    reader.open.clear()
    with server.connect() as first:
        first.sendall(post(picture))
        assert reader.busy.acquire(timeout=5)
        with server.connect() as second:
            second.sendall(post(picture))
            server.until("digitlens_queue_depth 1.0")
        server.until("digitlens_queue_depth 0.0")
        reader.open.set()
        assert answered(first)[0] == 200
    assert len(reader.pages) == 1


def test_stopping_finishes_what_runs(start, reader, picture):
    server = start()
    reader.open.clear()
    with server.connect() as connection:
        connection.sendall(post(picture))
        assert reader.busy.acquire(timeout=5)
        server.stop()
        with pytest.raises(OSError):  # noqa: PT011, PT012  (none is accepted)
            while True:
                with server.connect():
                    pass
                time.sleep(0.01)
        reader.open.set()
        status, answer = answered(connection)
    assert (status, answer["readings"][0]["digits_only"]) == (200, "7")
    server.join()
