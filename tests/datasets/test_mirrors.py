import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat

import pytest

from digitlens.datasets.mirrors import MIRRORS, mirror_sources
from digitlens.datasets.sources import gather

SECONDS = (0.3, 0.3)


class Mirror:
    """A web server on this machine: file name → chunks of the answer, or 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Iterator[bytes]] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/mnist/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.removeprefix("/mnist/")
        self.requests.append(name)
        if name not in self.answers:
            request.send_error(404)
            return
        request.send_response(200)
        request.end_headers()
        try:
            for chunk in self.answers[name]:
                request.wfile.write(chunk)
        except OSError:
            pass  # the client had enough

    def hang(self) -> Iterator[bytes]:
        self.released.wait(10)
        yield b"too late"


@pytest.fixture
def mirror(tiny_mnist) -> Iterator[Mirror]:
    mirror = Mirror()
    for file, content in tiny_mnist.contents.items():
        mirror.answers[f"{file.name}.gz"] = iter([gzip.compress(content)])
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.released.set()
    mirror.server.shutdown()
    mirror.server.server_close()
    thread.join()


def fetch(tiny_mnist, *mirrors: str):
    kept = []
    gathered = gather(
        mirror_sources(tiny_mnist.files, mirrors, SECONDS), lambda file, _: kept.append(file)
    )
    assert kept == list(gathered.contents)
    return gathered


def test_there_are_two_mirrors_and_both_are_encrypted() -> None:
    assert len(set(MIRRORS)) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)


def test_each_file_is_downloaded_once(tiny_mnist, mirror: Mirror) -> None:
    gathered = fetch(tiny_mnist, mirror.url)

    assert gathered.contents == tiny_mnist.contents
    assert mirror.requests == [f"{file.name}.gz" for file in tiny_mnist.files]


def test_a_mirror_that_hangs_is_given_up(tiny_mnist, mirror: Mirror) -> None:
    mirror.answers["train-labels-idx1-ubyte.gz"] = mirror.hang()

    gathered = fetch(tiny_mnist, mirror.url)

    assert list(gathered.contents) == [tiny_mnist.files[0]]
    assert "timed out" in gathered.problems[0].reason


def test_a_mirror_that_lacks_a_file_is_given_up(tiny_mnist, mirror: Mirror) -> None:
    del mirror.answers["train-images-idx3-ubyte.gz"]

    gathered = fetch(tiny_mnist, mirror.url)

    assert gathered.contents == {}
    assert gathered.problems[0].reason.startswith("404 Client Error")


def test_the_second_mirror_makes_up_for_the_first(tiny_mnist, mirror: Mirror) -> None:
    nobody = "http://127.0.0.1:1/"

    gathered = fetch(tiny_mnist, nobody, mirror.url)

    assert gathered.contents == tiny_mnist.contents
    assert [problem.source.name for problem in gathered.problems] == [nobody]


def test_an_endless_answer_is_cut_off(tiny_mnist, mirror: Mirror) -> None:
    mirror.answers["train-images-idx3-ubyte.gz"] = repeat(bytes(64 * 1024))

    gathered = fetch(tiny_mnist, mirror.url)

    assert gathered.problems[0].reason == "the answer is longer than the 23,536 bytes expected"


def test_a_download_cut_short_is_refused(tiny_mnist, mirror: Mirror) -> None:
    whole = next(mirror.answers["train-images-idx3-ubyte.gz"])
    mirror.answers["train-images-idx3-ubyte.gz"] = iter([whole[:5000]])

    gathered = fetch(tiny_mnist, mirror.url)

    assert gathered.contents == {}
    assert "train-images-idx3-ubyte.gz cannot be read" in gathered.problems[0].reason


def test_without_pooch_the_reason_names_the_extra(
    tiny_mnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)

    gathered = fetch(tiny_mnist, "http://127.0.0.1:1/")

    assert "pip install 'digitlens[train]'" in gathered.problems[0].reason


def test_nothing_is_asked_of_a_mirror_when_the_files_are_there(mirror: Mirror) -> None:
    gather(mirror_sources((), [mirror.url]), lambda *_: None)

    assert mirror.requests == []
