"""Access, sizes and times: settings, the gate, and a real server on the loopback interface.

Clients of the real server are slow, disconnect, or never stop sending.
"""

import json
import sys
import time
from functools import partial

import pytest

from digitlens.server import limits
from digitlens.server.limits import Settings, _LingeringTransport


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers above 0, found 0"),
        ({"processes": 0}, "processes above 0, found 0"),
        ({"time_limit": float("nan")}, "time_limit above 0, found nan"),
        ({"body_limit": -1}, "body_limit above 0"),
        ({"queue": -1}, "queue of 0 or more, found -1"),
        ({"port": 70000}, "port from 0 to 65535, found 70000"),
    ],
)
def test_invalid_settings_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        Settings(**wrong)


def test_default_host_is_local_and_the_token_is_hidden():
    settings = Settings(token="secret")
    assert (settings.host, settings.port, settings.cors) == ("127.0.0.1", 8000, ())
    assert "secret" not in repr(settings)


TOKEN = {"Authorization": "Bearer sésame".encode()}
LOCKED = ["/v1/models", "/v2", "/v2/models/tiles", "/metrics"]
OPEN = ["/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/openapi.json"]


@pytest.mark.parametrize("presented", [None, "Bearer", "Bearer ", "Bearer open", "Basic sésame"])
def test_api_needs_the_token_but_pages_and_probes_do_not(serve, presented):
    client, headers = serve(token="sésame"), {"Authorization": (presented or "").encode()}
    for path in LOCKED:
        answer = client.get(path, headers=headers if presented else {})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "sésame" not in answer.text
        protocol = path.startswith("/v2")  # which has its own error format
        assert (set(answer.json()) == {"error"}) == protocol
        assert (answer.headers["Content-Type"] == "application/json") == protocol
        assert client.get(path, headers=TOKEN).status_code == 200
    assert {client.get(path).status_code for path in OPEN} <= {200, 404}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("digits.example", 200),
        ("Digits.Example:8000", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("digits.example.evil.example", 421),
        ("digits.example:80:80", 421),
        ("", 421),
    ],
)
def test_unknown_host_names_are_refused(serve, host, status):
    client = serve(hosts=("digits.example", "[::1]"))
    assert client.get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:8000", 200), ("localhost", 200), ("evil.example:8000", 421)]
)
def test_dns_rebinding_is_refused_on_a_local_server(serve, host, status):
    headers = {"Host": host}
    assert serve().get("/healthz", headers=headers).status_code == status
    assert serve(token="secret").get("/healthz", headers=headers).status_code == 200
    assert serve(host="0.0.0.0").get("/healthz", headers=headers).status_code == 200


def test_cross_origin_requests_need_a_named_origin(serve):
    origin = {"Origin": "https://there.example"}
    wish = {**origin, "Access-Control-Request-Method": "POST"}
    silent = serve().options("/v1/read", headers=wish)
    assert silent.status_code == 405
    assert "Access-Control-Allow-Origin" not in silent.headers
    named = serve(cors=("https://there.example",), token="t")
    asked = named.options("/v1/read", headers=wish)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == "https://there.example"
    refused = named.get("/v1/models", headers=origin)
    assert refused.status_code == 401  # visible to the other page
    assert refused.headers["Access-Control-Allow-Origin"] == "https://there.example"
    other = named.get("/healthz", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


HEAD = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def answered(connection):
    """Returns status and content of one response; 0 if the connection closes without one."""
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


def test_slow_body_is_408_and_chunks_count_towards_the_limit(start):
    server = start(body_time=0.3)
    with server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(5):
            connection.sendall(b"x")
            time.sleep(0.05)
        status, problem = answered(connection)
    assert status == 408
    assert problem["detail"] == "the body was not complete within 0.3 s"
    with start().connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(21):
            connection.sendall(b"C350\r\n" + b"x" * 50_000 + b"\r\n")
        status, problem = answered(connection)
    assert status == 413
    assert "found more than 1,000,000" in problem["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD + b"Content-Length: 99999999\r\n\r\n",
        HEAD + b"Connection: close\r\nContent-Length: 99999999\r\n\r\n",
    ],
    ids=["a head that trickles", "a refused body", "after it is half closed"],
)
def test_client_that_keeps_sending_is_disconnected(start, sent):
    with start(idle_time=0.3).connect() as connection:
        connection.sendall(sent)
        if sent:
            assert answered(connection)[0] == 413
        sent_at = time.monotonic()
        with pytest.raises(OSError, match=r"pipe|reset"):  # noqa: PT012
            while time.monotonic() < sent_at + 5:
                connection.sendall(b"x")
                time.sleep(0.02)
    assert time.monotonic() - sent_at < 2


def test_silent_connection_is_closed(start):
    with start(idle_time=0.2).connect() as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize("more", [b"Connection: close\r\n", b""])
def test_client_refused_while_sending_gets_the_reason(start, more):
    server = start(idle_time=5)
    with server.connect() as connection:
        connection.sendall(post(b"x" * 9_000_000, more))
        status, problem = answered(connection)
        assert status == 413
        assert "9,000,000" in problem["detail"]
        if more:
            assert connection.recv(1) == b""
        else:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answered(connection)[0] == 200


def test_failing_half_close_closes_the_transport():
    class Gone:
        closed = False

        def is_closing(self):
            return self.closed

        def write_eof(self):
            raise OSError(107, "Transport endpoint is not connected")

        def close(self):
            self.closed = True

    transport = Gone()
    _LingeringTransport(transport, lambda: True).close()
    assert transport.closed


def test_client_that_disconnects_while_sending_is_counted(start, picture, caplog):
    server = start()
    for _ in range(3):
        with server.connect() as connection:
            connection.sendall(post(picture)[:-5])
    server.until('digitlens_refused_requests_total{cause="gone"} 3.0')
    with server.connect() as connection:
        connection.sendall(post(picture))
        assert answered(connection)[0] == 200
    assert not caplog.text


def test_queued_request_of_a_disconnected_client_is_dropped(start, reader, picture):
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


def test_stopping_answers_connected_clients_with_connection_close(
    start, reader, picture, monkeypatch
):
    monkeypatch.setattr(limits, "_LINGER", 30.0)
    server = start(queue=4)
    with server.connect() as idle, server.connect() as busy, server.connect() as new:
        idle.sendall(post(picture))
        assert answered(idle)[0] == 200
        assert reader.busy.acquire(timeout=5)
        reader.open.clear()
        busy.sendall(post(picture))
        assert reader.busy.acquire(timeout=5)
        server.stop()
        server.until_refused()
        idle.sendall(post(picture))
        new.sendall(post(picture))
        reader.open.set()
        for connection in (idle, busy, new):
            response = b"".join(iter(partial(connection.recv, 65536), b"")).lower()
            assert response.startswith(b"http/1.1 200")
            assert b"connection: close" in response
    server.join()


def test_stopping_does_not_wait_for_idle_connections(start, monkeypatch):
    monkeypatch.setattr(limits, "_LINGER", 0.05)
    server = start()
    with server.connect() as connection:
        server.stop()
        assert connection.recv(1) == b""
    server.join()


@pytest.mark.skipif(sys.platform == "win32", reason="there is one process alone")
def test_limits_are_divided_among_processes():
    settings = Settings(processes=3, workers=4, queue=128, memory=90_000_000, body_limit=1_000)
    each = settings.per_process
    assert (each.processes, each.workers, each.queue, each.memory) == (1, 2, 43, 30_000_000)
    assert Settings(processes=64).per_process.memory == Settings().body_limit
