"""The server of a training's page runs beside it, and is gone when it is over."""

import socket
import time
import urllib.request

import numpy as np
import pytest

from digitlens.errors import DigitlensError
from digitlens.server.watch.live import Live, Subject
from digitlens.server.watch.routes import Show
from digitlens.server.watch.run import listen, serving


@pytest.fixture
def show():
    live = Live(Subject("fast-1", {}, "no digits", 0))
    return Show(live, np.zeros((0, 28, 28), np.uint8), lambda _: None)


def test_it_answers_as_long_as_the_block_lasts_and_open_pages_do_not_hold_it(show):
    with serving(show, listen(0)) as address:
        news = urllib.request.urlopen(f"{address}news", timeout=10)
        assert news.headers["Content-Type"].startswith("text/event-stream")
        lines = [news.readline() for _ in range(3)]
        assert lines[2].startswith(b'data: {"whole":true')
        assert show.live.readers == 1
        show.live.end("Done.")
        assert b'"ended":"Done."' in news.readline() + news.readline()
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert news.read() in (b"", b"\n")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=2)


def test_a_port_that_is_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DigitlensError, match=f"port {port} .*--watch-port"):
            listen(port)
