"""Shared fixtures: MNIST or a stand-in, drawn pages, made-up views of a reader, models."""

import contextlib
import csv
import functools
import gc
import importlib
import importlib.util
import json
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import typer.main
import typer.testing
from PIL import Image, ImageDraw, ImageFont

from digitlens import files
from digitlens.datasets.mnist import Mnist, Split, load_mnist

EXAMPLES = Path(__file__).parents[1] / "examples"

with contextlib.suppress(ModuleNotFoundError):  # the core environment has no hypothesis
    from hypothesis import settings

    # The same examples in each run, without a deadline.
    settings.register_profile("digitlens", settings.get_profile("ci"), max_examples=30)
    settings.load_profile("digitlens")

# The command line is converted to commands in each of hundreds of calls: 25 to 45 ms each.
typer.main.get_command = typer.testing._get_command = functools.cache(typer.main.get_command)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collects without the garbage collector, which takes a quarter of the time and finds nothing.

    What has been collected is then exempt from it.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_collection_finish():
    """Lets torch keep its 500 ONNX functions, which it rereads in each of sixty exports: 1 s each.

    Processes that only distribute tests have not loaded torch, and need not.
    """
    if "torch" in sys.modules:
        with contextlib.suppress(ImportError, AttributeError):
            registration = importlib.import_module("torch.onnx._internal.exporter._registration")
            registry = registration.ONNXRegistry
            registry.from_torchlib = staticmethod(functools.cache(registry.from_torchlib))


# Seven-segment digits on a 28 x 28 tile: rows and columns of each segment, and segments by digit.
SEGMENTS = {
    "a": (slice(4, 7), slice(9, 19)),
    "g": (slice(13, 16), slice(9, 19)),
    "d": (slice(21, 24), slice(9, 19)),
    "f": (slice(4, 15), slice(8, 11)),
    "b": (slice(4, 15), slice(17, 20)),
    "e": (slice(13, 24), slice(8, 11)),
    "c": (slice(13, 24), slice(17, 20)),
}
LIT = ["abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg"]


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    """The real data; without it, tests marked ``mnist`` fail instead of being skipped."""
    return load_mnist()


@pytest.fixture(scope="session")
def small_split() -> Split:
    """Forty seven-segment digits of each class, shifted, of different darkness, with noise."""
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(10, dtype=np.uint8), 40)
    return Split(np.stack([_draw(int(label), random) for label in labels]), labels)


def _draw(value: int, random: np.random.Generator) -> np.ndarray:
    tile = np.zeros((28, 28), np.uint8)
    for name, place in SEGMENTS.items():
        if name in LIT[value]:
            tile[place] = random.integers(170, 220)
    shifted = np.roll(tile, random.integers(-2, 3, 2), axis=(0, 1))
    return shifted + random.integers(0, 30, (28, 28), dtype=np.uint8)


@pytest.fixture(scope="session")
def examples():
    """The folder of example pictures."""
    return EXAMPLES


@pytest.fixture(scope="session")
def labels():
    """What is written on each example picture, by its name; empty if it shows no digit."""
    with (EXAMPLES / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {row["file"]: row["label"].removeprefix("none") for row in rows}


@pytest.fixture(scope="session")
def write():
    """Writes digits: float[height, width], 1 where there is ink."""
    specification = importlib.util.spec_from_file_location(
        "examples", EXAMPLES / "make_examples.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def write(text, x=60, y=40, height=120, pen=10, size=(600, 220), seed=0):
        hand = module.Hand(*size, seed)
        hand.write(text, x, y, height, pen)
        return np.asarray(hand.ink())

    return write


@pytest.fixture(scope="session")
def printed():
    """Prints text in Pillow's own font: float[height, width], 1 where there is ink."""

    def printed(text, x=30, y=20, height=60, size=(220, 100)):
        sheet = Image.new("L", size)
        font = ImageFont.load_default(size=height / 0.72)  # digits take 72 % of its size
        ImageDraw.Draw(sheet).text((x, y), text, fill=255, font=font, anchor="lt")
        return np.asarray(sheet) / 255

    return printed


@pytest.fixture
def grain():
    """Adds camera noise to a page: uint8, clipped."""
    random = np.random.default_rng(0)

    def grain(page, deviation=3.0):
        return np.clip(page + random.normal(0, deviation, page.shape), 0, 255).astype(np.uint8)

    return grain


@pytest.fixture(scope="session")
def view_of():
    """Makes a reader's view of a page: see ``_view_of``."""
    return _view_of


def _view_of(boxes, score, chances, views=()):
    """A view with digits in the given boxes, equal scores of all networks, and blank line crops.

    Args:
        boxes: [N, 4]; a gap wider than the height of a box starts another number.
        score: [N]; probability that a digit is there, used for every confidence.
        chances: [N, 10]; probabilities of the digits.
        views: Scaled copies of the page.
    """
    from digitlens.reading.fusion import Scores  # noqa: PLC0415  (few tests need a reader)
    from digitlens.reading.layout import View  # noqa: PLC0415
    from digitlens.reading.multiscale import Detections  # noqa: PLC0415
    from digitlens.reading.nms import Candidates  # noqa: PLC0415
    from digitlens.reading.places import DIGIT, Places  # noqa: PLC0415
    from digitlens.reading.reading_order import lines_of  # noqa: PLC0415

    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    score, chances = np.array(score, np.float32), np.array(chances, np.float32).reshape(-1, 10)
    line, symbol = np.zeros(len(boxes), np.intp), np.zeros(len(boxes), np.intp)
    lines = []
    for number, group in enumerate(lines_of(boxes)):
        read, symbol[group] = _line_of(boxes[group], chances[group])
        line[group] = number
        lines.append(read)
    even = np.full(len(boxes), 0.5, np.float32)
    places = Places(
        boxes,
        objectness=score,
        detector=chances,
        mass=score,
        given=score,
        numeric=score,
        recognizer=chances,
        line=line,
        symbol=symbol,
        reads=np.full(len(boxes), DIGIT),
        fluency=even,
        letters=0 * even,
        lone=0 * even,
        text=score,
    )
    tiles = np.zeros((len(boxes), 28, 28), np.uint8)
    tiles[:, 4:24, 12:16] = 255
    found = Candidates(score, chances, boxes, boxes[:, 3] - boxes[:, 1])
    detections = Detections([read.line for read in lines], found, list(views))
    scores = Scores(places, chances, score)
    return View(detections, lines, scores, tiles, chances, score, existence=score)


def _line_of(boxes, chances):
    """A line that reads as the most probable digits, and the index of each in its text."""
    from digitlens.alphabet import CLASS_OF, CLASSES  # noqa: PLC0415
    from digitlens.reading.decode import Symbols  # noqa: PLC0415
    from digitlens.reading.recognize import RecognizedLine  # noqa: PLC0415
    from digitlens.reading.text_lines import TextLine  # noqa: PLC0415

    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    scale = 48 / (y1 - y0)
    text, places, centres, end = "", [], [], boxes[0, 0]
    for box, row in zip(boxes, chances, strict=True):
        if box[0] - end > box[3] - box[1]:
            text += " "
            centres.append((end + box[0]) / 2)
        places.append(len(text))
        text += str(row.argmax())
        centres.append((box[0] + box[2]) / 2)
        end = box[2]
    columns = (np.array(centres, np.float32) - x0) * scale
    posteriors = np.eye(CLASSES, dtype=np.float32)[[CLASS_OF[char] for char in text]]
    crop = np.zeros((48, 8 * int(np.ceil((x1 - x0) * scale / 8)), 3), np.uint8)
    quad = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    read = Symbols(text, posteriors, columns)
    return RecognizedLine(TextLine(quad, 0.9), crop, posteriors, read), places


@pytest.fixture(scope="session")
def shallow():
    """The line recogniser with one block and layer of each kind: tracing all takes seconds."""
    from torch import nn  # noqa: PLC0415  (not in the core environment)

    from digitlens.training.page_networks import Block, LineNetwork  # noqa: PLC0415

    class Shallow(LineNetwork):
        def __init__(self, classes):
            super().__init__(classes)
            self.body = nn.Sequential(Block(96, 96, excite=True), Block(96, 192), Block(192, 384))
            self.neck.layers = self.neck.layers[:1]

    return Shallow


@pytest.fixture
def interruptible():
    """Processes started by the test receive Ctrl-C, even if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def browser():
    """A real browser, per module: no other event loop may run while it is open."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (not in the core environment)

    # The shell has no windows and opens a page in a third of the time.
    names = ("chromium-headless-shell", "/usr/bin/chromium", "chromium")
    path = next(filter(None, map(shutil.which, names)), None)
    if not path:
        pytest.skip("no Chromium: these tests need a real browser")
    # With a fake camera that shows a test picture; the shell cannot ask for permission.
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=path, args=["--no-sandbox", *fake])
        yield chromium
        chromium.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def hosted():
    """Context manager that serves a folder as a static host and yields its address."""

    @contextlib.contextmanager
    def hosted(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    return hosted


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, and forty bars in place of MNIST, the first one mislabelled."""
    labels = np.arange(40, dtype=np.uint8) % 10
    tiles = bars(labels)
    labels[0] = 9
    split = Split(tiles, labels)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _=None: Mnist(split, split))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bundle(tmp_path, graph):
    """Writes a model that reads bars, with the given card fields, and returns its folder."""

    def make(**changes):
        from digitlens.models.bundle import Card, write_bundle  # noqa: PLC0415

        card = Card(name="bars", version="0.0", sha256=files.sha256(graph()), **changes)
        write_bundle(tmp_path / "model" / "bars", card, graph())
        return "model/bars"

    return make


@pytest.fixture
def run_folder(here, bundle):
    """Writes a run folder with a model that reads bars and a history; returns its name."""

    def make(name, rows, **card):
        folder = here / name
        folder.mkdir()
        (here / bundle(**card)).rename(folder / "model")
        (folder / "recipe.toml").write_text("")
        (folder / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return name

    return make


def bars(digits):
    """A tile for each digit: a bright bar, two columns wide, further right for larger digits."""
    tiles = np.zeros((len(digits), 28, 28), np.uint8)
    for tile, digit in zip(tiles, digits, strict=True):
        tile[:, 2 * digit : 2 * digit + 2] = 255
    return tiles


@pytest.fixture(scope="session")
def draw_bars():
    return bars


@pytest.fixture(scope="session")
def weights():
    """float32[784, 10]; the column of each digit sums the pixels of its bar."""
    return (bars(range(10)).reshape(10, 784).T / 255).astype(np.float32)


@pytest.fixture(scope="session")
def bar_graph(weights):
    """Makes a graph: tiles of a given shape and dtype → weights → softmax or another last node."""
    given = weights

    def make(shape=("N", 28, 28), dtype="uint8", *, weights=given, last="Softmax", entry="tiles"):
        from onnx import helper  # noqa: PLC0415  (slow to load)

        numbers = "float32" if dtype == "uint8" else dtype
        type_of, value, node = (
            helper.np_dtype_to_tensor_dtype,
            helper.make_tensor_value_info,
            helper.make_node,
        )
        nodes = [
            node("Reshape", [entry, "flat"], ["pixels"]),
            node("Cast", ["pixels"], ["numbers"], to=type_of(np.dtype(numbers))),
            node("MatMul", ["numbers", "weights"], ["sums"]),
            node(last, ["sums"], ["probabilities"]),
        ]
        return onnx_model(
            nodes,
            [value(entry, type_of(np.dtype(dtype)), shape)],
            [
                value(
                    "probabilities",
                    type_of(np.dtype(numbers)),
                    (shape[0] if shape else "N", weights.shape[1]),
                )
            ],
            {"flat": np.array([-1, 784]), "weights": weights.astype(numbers)},
        )

    return make


@pytest.fixture(scope="session")
def graph(bar_graph, weights):
    """Makes the bytes of a graph that reads bars, blind to the given digits."""

    def make(blind: Sequence[int] = (), last: str = "Softmax") -> bytes:
        seeing = weights / 1000
        seeing[:, list(blind)] = 0
        return bar_graph(weights=seeing, last=last).SerializeToString()

    return make


@pytest.fixture(scope="session")
def make_model():
    return onnx_model


def onnx_model(nodes, inputs, outputs, constants):
    """An ONNX model of the given nodes, with constants by name."""
    from onnx import helper, numpy_helper  # noqa: PLC0415  (slow to load)

    kept = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "drawn", inputs, outputs, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def small_disk():
    """Limits the size of files; writing beyond it fails as on a full disk."""
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)
