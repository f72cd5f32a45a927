"""A fake reader, so that tests of the code around it take milliseconds; servers and clients."""

import io
import socket
import threading
import time
import warnings
from contextlib import closing, suppress
from decimal import Decimal
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from digitlens.errors import ImageError
from digitlens.imaging.image import load_image
from digitlens.models.bundle import Card, LineCard
from digitlens.reading.reader import DigitReader
from digitlens.results import Box, Character, Digit, Number, Reading
from digitlens.server.app import Server, create_app
from digitlens.server.limits import Settings
from digitlens.server.service import make_service
from digitlens.server.site import write_site
from digitlens.tabular import Cell, Table

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it recommends httpx2, but httpx suffices
    from starlette.testclient import TestClient


class FakeModel:
    """A classifier that returns each tile's first pixel, or a digit detector with only a card."""

    def __init__(self, name):
        self.card = Card(name, "0.1.0", name * 8, results={"accuracy": 0.99, "curve": [1, 2]})

    def predict_proba(self, tiles):
        rows = np.full((len(tiles), 10), 0.01, np.float32)
        rows[range(len(tiles)), tiles[:, 0, 0] % 10] = 0.91
        return rows


class FakeFusion:
    """A fusion that is its own risk curve and computes thresholds."""

    @property
    def risk(self):
        return self

    def threshold_for(self, target):
        if target < 0.001:
            raise ValueError("the least that the curve can promise is 0.1%")
        return 1 - target


class FakeReader:
    """Reads -7 in every picture, with the box of the picture and the threshold as confidence."""

    at = DigitReader.at

    def __init__(self):
        self.classifier, self.finder = FakeModel("tiles"), FakeModel("pages")
        self.fusion = FakeFusion()
        self.card = LineCard("lines", "0.1.0", "detector", "lines" * 8)
        self.thresholds = {"digit": 0.9, "reject": 0.5}
        self.open = threading.Event()  # while cleared, reads block
        self.open.set()
        self.busy = threading.Semaphore(0)  # released once per page
        self.pages = []
        self.tile = None  # the tile of every digit
        self.asked = {}  # options of the last table

    def read(self, image, *, expect=None, **notation):
        self.pages.append(expect)
        self.notation = notation
        self.busy.release()
        assert self.open.wait(10)
        page = load_image(image)
        height, width = page.shape[:2]
        chances = tuple(np.eye(10)[7])
        box = Box(0, 0, width, height)
        digit = Digit(7, self.thresholds["digit"], chances, box, tile=self.tile)
        reject = Digit(
            1, 0.1, chances, Box(0, 0, 1, 1), "rejected", "hardly a digit, closest to 1 (10 %)"
        )
        written = Character("-", 0.8, Box(0, 0, 1, 1)), Character("7", 0.9, box)
        number = Number("-7", Decimal(-7), "integer", "", box, (digit,), 0.8)
        return Reading(((digit, reject),), width, height, "tiles", "x", (written,), (number,))

    def read_table(self, image, **known):
        self.asked = known
        page = load_image(image)
        if not page.any():
            raise ImageError("expected a table, found none")
        square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        cell = Cell("12.50", Decimal("12.50"), "decimal", square, 0.9, "number")
        return Table(((cell,),), page.shape[1], page.shape[0], "tiles", "x")


@pytest.fixture
def reader():
    reader = FakeReader()
    yield reader
    reader.open.set()  # or the threads of a failed test would block


@pytest.fixture
def serve(reader):
    """Returns a function from settings to a client of an app with the fake reader."""
    opened = []

    def serve(**settings):
        chosen = {"workers": 1, "queue": 4, "time_limit": 10.0, **settings}
        app = create_app(make_service(Settings(**chosen), reader))
        client = TestClient(app, "http://localhost", raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield serve
    reader.open.set()
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve):
    return serve()


def _encoded(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="session")
def picture():
    """A PNG file of 40 x 20 pixels."""
    return _encoded(Image.new("L", (40, 20), 255))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An exported site with the shipped models."""
    folder = tmp_path_factory.mktemp("exported") / "site"
    write_site(folder, "default", "pages")
    return folder


@pytest.fixture(scope="session")
def three_pages():
    """A TIFF file with three pages."""
    more = [Image.new("L", (8, 8), gray) for gray in (0, 9)]
    return _encoded(Image.new("L", (8, 8)), "TIFF", save_all=True, append_images=more)


SETTINGS = {"port": 0, "workers": 1, "queue": 1, "body_limit": 1_000_000}


class Running:
    """A server in its own thread."""

    def __init__(self, reader, **settings):
        self._ready = threading.Event()
        service = make_service(Settings(**SETTINGS | settings), reader)
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

    def until_refused(self):
        with suppress(OSError):
            while True:
                with self.connect():
                    time.sleep(0.01)

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
