import socket
import threading
from urllib.request import urlopen

import pytest

from digitlens.server.run import Server
from digitlens.server.service import assemble
from digitlens.server.settings import Settings


def server(reader, said, **settings):
    return Server(assemble(Settings(**settings), reader), said)


@pytest.mark.parametrize(
    ("host", "start"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]
)
def test_the_address_is_told_once_it_answers(reader, host, start):
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    told, ready = [], threading.Event()

    def say(address):
        told.append(address)
        ready.set()

    running = server(reader, say, host=host, port=0)
    thread = threading.Thread(target=running.listen)
    thread.start()
    try:
        assert ready.wait(10)
        assert told[0].startswith(start)
        with urlopen(f"{told[0]}/healthz", timeout=10) as answer:
            assert answer.status == 200
            assert "Server" not in answer.headers
    finally:
        running.should_exit = True
        thread.join(10)


def test_an_address_that_is_taken_is_an_error(reader):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            server(reader, print, port=port).listen()
