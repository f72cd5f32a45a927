"""Malformed input from hostile clients: nothing causes a 5xx, a hang or a crash of a real server.

Clients that are slow, disconnect or never stop sending are tested in ``test_limits``.
"""

import gzip
import re
import resource
import socket
import struct
import zlib

import pytest

HEAD = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLOSED = 0  # status of a connection that ends without an answer


def statuses(server, sent, half_close=False):
    """Returns the statuses of all responses on one connection until the server closes it."""
    with server.connect() as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        data = b""
        try:
            while more := connection.recv(65536):
                data += more
        except ConnectionResetError:
            pass
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)] or [CLOSED]


def is_well(server):
    """Returns whether the server responds and has counted no internal error."""
    with server.connect() as connection:
        connection.sendall(GET)
        alive = connection.recv(100).startswith(b"HTTP/1.1 200")
    return alive and not re.search(r'status="5|cause="internal"', server.metrics())


def posted(*headers, body=b""):
    return HEAD + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


MALFORMED = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", 400),
    "half of HTTP/2": (b"SM\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n", 400),
    "a null in a header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: \0\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "a header without a name": (b"GET / HTTP/1.1\r\nHost: localhost\r\n: y\r\n\r\n", 400),
    "a target with spaces": (b"GET /a b c HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target of bytes": (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "no number as length": (posted(b"Content-Length: ten"), 400),
    "a length below 0": (posted(b"Content-Length: -1"), 400),
    "two lengths": (posted(b"Content-Length: 1", b"Content-Length: 2", body=b"xx"), 400),
    "a length beside chunks": (
        posted(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        400,
    ),
    "gzip as transfer": (posted(b"Transfer-Encoding: gzip", body=b"x"), 400),
    "a long URL": (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "many headers": (posted(*(b"A%d: x" % number for number in range(20_000))), 400),
    "one long header": (posted(b"A: " + b"x" * 200_000), 400),
}


def test_malformed_http_is_refused_with_one_response(start):
    server = start(idle_time=5)
    answers = {name: statuses(server, sent) for name, (sent, _) in MALFORMED.items()}
    assert answers == {name: [status] for name, (_, status) in MALFORMED.items()}
    assert is_well(server)


PNG = b"Content-Type: image/png"
CHUNKED = b"Transfer-Encoding: chunked"
LIES = {
    "a chunk without a size": (posted(PNG, CHUNKED, body=b"x\r\n\r\n"), 400),
    "a chunk below 0": (posted(PNG, CHUNKED, body=b"-5\r\nabcde\r\n"), 400),
    "a chunk of 2^80": (posted(PNG, CHUNKED, body=b"1" + b"0" * 20 + b"\r\nabc"), 400),
    "a chunk longer than said": (posted(PNG, CHUNKED, body=b"2\r\nabcdefgh\r\n0\r\n\r\n"), 400),
    "an endless extension": (posted(PNG, CHUNKED, body=b"1;" + b"a" * 300_000), 400),
    "fewer bytes than said": (posted(PNG, b"Content-Length: 99", body=b"abc"), CLOSED),
    "chunks that do not end": (posted(PNG, CHUNKED, body=b"3\r\nabc\r\n"), CLOSED),
    "half a head": (HEAD + b"Content-Le", CLOSED),
}


@pytest.mark.parametrize("name", LIES)
def test_wrongly_framed_body_ends_only_its_connection(start, name):
    server, (sent, status) = start(idle_time=5, body_time=5), LIES[name]
    answers = statuses(server, sent, half_close=status == CLOSED)
    assert answers == [status]
    assert is_well(server)


def test_half_closed_connection_is_harmless(start, picture):
    sent = posted(PNG, b"Content-Length: %d" % len(picture), body=picture)
    server = start()
    assert statuses(server, sent, half_close=True)[0] in {200, CLOSED}  # 0: taken for disconnected
    assert is_well(server)


def test_pipelined_requests_are_answered_in_order(start, picture):
    one = posted(PNG, b"Content-Length: %d" % len(picture), body=picture)
    lost = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert statuses(start(), 20 * (one + lost) + last) == 20 * [200, 404] + [200]


def test_compressed_bodies_are_refused_and_upgrades_ignored(start, picture):
    server, last = start(), b"Connection: close"
    for packing in (b"gzip", b"br", b"identity, gzip", b"deflate, deflate", b"x" * 500):
        bomb = gzip.compress(bytes(5_000_000))
        length = b"Content-Length: %d" % len(bomb)
        sent = posted(PNG, length, b"Content-Encoding: " + packing, last, body=bomb)
        assert statuses(server, sent) == [415]
    upgrade = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: %b\r\nConnection: Upgrade, close\r\n%b\r\n"
    )
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    for sent in (upgrade % (b"websocket", key), upgrade % (b"h2c", b"HTTP2-Settings: AAMA\r\n")):
        assert statuses(server, sent) == [200]  # the page
    slow = posted(PNG, b"Content-Length: %d" % len(picture), b"Expect: 100-continue", last)
    assert statuses(server, slow + picture) == [100, 200]
    assert is_well(server)


def part(head, body=b"x"):
    return b"--cut\r\n" + head + b"\r\n\r\n" + body + b"\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"'
FORM = b"multipart/form-data; boundary=cut"
FORMS = {
    "an empty boundary": (b"multipart/form-data; boundary=", part(FILE) + b"--cut--"),
    "another boundary": (b"multipart/form-data; boundary=other", part(FILE) + b"--cut--"),
    "a boundary of 10,000": (b"multipart/form-data; boundary=" + b"a" * 10_000, part(FILE)),
    "nothing but an end": (FORM, b"--cut--\r\n"),
    "no disposition": (FORM, part(b"X: y") + b"--cut--"),
    "no name": (FORM, part(b"Content-Disposition: form-data") + b"--cut--"),
    "a head of 50,000 bytes": (FORM, part(FILE + b"a" * 50_000) + b"--cut--"),
    "a field of 50,000 bytes": (
        FORM,
        part(b'Content-Disposition: form-data; name="expect"', b"1" * 50_000) + b"--cut--",
    ),
    "1,000 fields": (FORM, 1000 * part(b'Content-Disposition: form-data; name="a"') + b"--cut--"),
    "base64": (FORM, part(FILE + b"\r\nContent-Transfer-Encoding: base64") + b"--cut--"),
    "bytes as a charset": (FORM + b"; charset=\xff\xfe", part(FILE) + b"--cut--"),
    "an unknown charset": (FORM + b"; charset=klingon", part(FILE) + b"--cut--"),
    "no UTF-8 in a name": (FORM, part(FILE.replace(b"a.png", b"\xff\xfe")) + b"--cut--"),
}


def test_malformed_forms_are_refused(client):
    answers = {
        name: client.post("/v1/read", content=body, headers={"Content-Type": kind}).status_code
        for name, (kind, body) in FORMS.items()
    }
    assert set(answers.values()) <= {400, 413, 422}, answers


def test_truncated_form_is_refused_completely(client, picture):
    headers = {"Content-Type": FORM.decode()}
    form = part(FILE, picture) + part(FILE, picture) + b"--cut--"
    assert client.post("/v1/read", content=form, headers=headers).status_code == 200
    for end in (-2, -10, -60):
        answer = client.post("/v1/read", content=form[:end], headers=headers)
        assert answer.status_code == 400
        assert "cut off" in answer.json()["detail"]


def bomb(width, height):
    """Returns a PNG about a thousandth the size of the pixels it claims."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = head, b"IDAT" + zlib.compress(bytes(20_000_000), 9), b"IEND"
    chunks = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_decompression_bomb_is_refused_before_decoding(client):
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = {"Content-Type": "image/png"}
    answer = client.post("/v1/read", content=bomb(9990, 9990), headers=headers)
    assert answer.status_code == 422
    assert "which take 699 MB to decode, at most 600 MB" in answer.json()["detail"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000


def test_thousand_open_connections_do_not_block_others(start, picture):
    files = 2500  # open files: both ends are in this process
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        pytest.skip(f"at most {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))
    server = start(idle_time=10)
    address = ("127.0.0.1", server.port)
    crowd = [socket.create_connection(address, timeout=10) for _ in range(1000)]
    try:
        for number, connection in enumerate(crowd):
            connection.sendall((b"", HEAD, b"GET /healthz HTTP/1.1\r\n", b"\0")[number % 4])
        sent = posted(PNG, b"Content-Length: %d" % len(picture), b"Connection: close", body=picture)
        assert statuses(server, sent) == [200]
        crowd[0].sendall(GET)
        assert crowd[0].recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for connection in crowd:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert is_well(server)
