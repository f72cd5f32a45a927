"""The site reads in a real browser, without a server of digitlens, what Python reads.

Both are given the same pixels. Where a browser decodes a JPEG itself, its pixels may differ from
Pillow's by a gray level; that is between the decoders, and not compared here.
"""

import functools
import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from digitlens.data.images import load_image
from digitlens.recognition.reader import DigitReader
from digitlens.serving.site import write_site

EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = "/usr/bin/chromium"
CLOSE = 0.02  # confidences may differ by so much

# Loads the reader of the site once, then reads pictures one after the other.
READ = """async ([names, options]) => {
  const { createReader } = await import('/site/reader/index.js');
  window.steps = [];
  window.reader ??= await createReader('/site/', { onProgress: (step) => steps.push(step) });
  const readings = [];
  for (const { name, width, height } of names) {
    const data = new Uint8ClampedArray(await (await fetch('/pictures/' + name)).arrayBuffer());
    const start = performance.now();
    const reading = await reader.read({ data, width, height }, options);
    readings.push({ ...reading, seconds: (performance.now() - start) / 1000 });
  }
  return readings;
}"""


def load_hand():
    specification = importlib.util.spec_from_file_location("hand", EXAMPLES / "make_examples.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


hand = load_hand()


def draw(text, size, height, pen, seed):
    """Ink of a number: float[H, W], 1 where the pen was."""
    person = hand.Hand(*size, seed)
    across = 0.82 * height * len(text) - 0.2 * height
    person.write(text, max(4, (size[0] - across) / 2), (size[1] - height) / 2, height, pen)
    return np.asarray(person.ink())


def on_paper(ink, random, pen, paper, noise=0.0):
    picture = hand.coloured(ink, pen, paper)
    return np.clip(picture + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def drawings(count=80):
    """Digits and numbers by a pen, some on nothing, so that they have to be laid on white."""
    random = np.random.default_rng(11)
    for k in range(count):
        text = str(random.integers(0, 10 ** (1 + k % 4))).zfill(1 + k % 4)
        side = int(random.integers(120, 281))
        size = (
            (side, side) if len(text) == 1 else (int(0.45 * side * len(text)) + 60, side // 2 + 40)
        )
        height = 0.62 * size[1]
        ink = draw(text, size, height, height * random.uniform(0.03, 0.16), k)
        if k % 3:
            yield on_paper(ink, random, (20, 20, 60), (255, 255, 255), noise=(0, 2)[k % 2])
        else:
            colour = np.full((*ink.shape, 3), random.integers(0, 90, 3), np.uint8)
            yield np.dstack([colour, np.rint(ink * 255).astype(np.uint8)])


def photos(count=40):
    """Numbers on papers of any colour, dark on bright or bright on dark, under a lamp."""
    random = np.random.default_rng(12)
    for k in range(count):
        text = str(random.integers(10, 99999))
        size = (int(random.integers(150, 225)), int(random.integers(90, 200)))
        ink = draw(text, size, random.uniform(0.2, 0.35) * size[1], random.uniform(1.5, 4), 100 + k)
        pen, paper = random.integers(0, 90, 3), random.integers(150, 256, 3)
        pair = (paper, pen) if k % 4 == 3 else (pen, paper)
        light = hand.lamp(*size, *random.uniform(0, 1, 2), random.uniform(0.5, 1))
        noise = random.uniform(0, 8)
        photo = hand.photographed(hand.coloured(ink, *pair), light, noise, k)
        yield np.clip(photo, 0, 255).astype(np.uint8)


def tiles(mnist, count=60):
    """Digits of MNIST, as they are or enlarged, either way round."""
    for k in range(count):
        tile = Image.fromarray(mnist.test.tiles[37 * k])
        side = (28, 56, 140, 200)[k % 4]
        large = np.asarray(tile.resize((side, side), Image.Resampling.BICUBIC))
        yield np.repeat((large if k % 2 else 255 - large)[:, :, None], 3, 2)


def rows(mnist, count=30):
    """Numbers set together from digits of MNIST, on noisy paper."""
    random = np.random.default_rng(13)
    for k in range(count):
        digits = [mnist.test.tiles[random.integers(0, 10000)] for _ in range(2 + k % 6)]
        ink = np.pad(np.hstack(digits), int(random.integers(4, 20))) / 255
        yield on_paper(ink, random, random.integers(0, 100, 3), random.integers(140, 256, 3), 4)


def oddities():
    """What is no number: nothing, noise, shapes, and pictures of a few pixels."""
    random = np.random.default_rng(14)
    yield np.full((80, 120, 3), 255, np.uint8)
    yield random.integers(0, 256, (90, 130, 3), dtype=np.uint8)
    yield np.tile(np.arange(160, dtype=np.uint8)[None, :, None], (100, 1, 3))
    for shape in ((1, 1, 3), (3, 200, 3), (150, 2, 3), (9, 9, 3)):
        yield random.integers(0, 256, shape, dtype=np.uint8)
    ring = np.hypot(*np.mgrid[-60:60, -60:60])
    yield np.repeat(np.where(abs(ring - 40) < 6, 0, 255).astype(np.uint8)[:, :, None], 3, 2)
    stripes = (np.arange(140) // 7 % 2 * 255).astype(np.uint8)
    yield np.repeat(np.repeat(stripes[:, None, None], 120, 1), 3, 2)


def examples():
    """The pictures of examples/, and some of them on their side or head."""
    paths = [*sorted(EXAMPLES.glob("*.png")), *sorted(EXAMPLES.glob("*.jpg"))]
    for path in paths:
        yield load_image(path)
    for turn, name in enumerate(("note.jpg", "board.jpg", "sticky.jpg"), 1):
        yield np.ascontiguousarray(np.rot90(load_image(EXAMPLES / name), turn))


def rgba(page):
    page = np.repeat(page[:, :, None], 3, 2) if page.ndim == 2 else page
    opaque = np.full((*page.shape[:2], 1), 255, np.uint8)
    return page if page.shape[2] == 4 else np.concatenate([page, opaque], axis=2)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a site in it, as a host would serve it below a name of a project."""
    folder = tmp_path_factory.mktemp("host")
    write_site(folder / "site", "default", "pages")
    (folder / "blank.html").write_text("<!doctype html><title>blank</title>")
    (folder / "pictures").mkdir()
    return folder


@pytest.fixture(scope="module")
def origin(root):
    handler = functools.partial(Quiet, directory=str(root))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(origin):
    """A page of the site's origin; whatever leads outside is stopped, and fails the test."""
    strays = []

    def decide(route):
        if route.request.url.startswith((origin, "blob:", "data:")):
            route.continue_()
        else:
            strays.append(route.request.url)
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context()
        context.route("**/*", decide)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{origin}/blank.html")
        yield page
        browser.close()
    assert not strays


@pytest.fixture(scope="module")
def python():
    return DigitReader(threads=1)


def read_there(page, root, pictures, **options):
    """What the browser makes of pictures, as RGBA."""
    names = []
    for k, picture in enumerate(pictures):
        pixels = rgba(picture)
        (root / "pictures" / f"{k}.rgba").write_bytes(pixels.tobytes())
        names.append({"name": f"{k}.rgba", "width": pixels.shape[1], "height": pixels.shape[0]})
    return page.evaluate(READ, [names, options])


def answers(reading):
    keys = ("value", "status", "starts_number")
    return [[tuple(digit[key] for key in keys) for digit in line] for line in reading["lines"]]


def confidences(reading):
    return np.array([digit["confidence"] for line in reading["lines"] for digit in line])


@pytest.mark.mnist
def test_it_reads_what_python_reads(page, root, python, mnist):
    parts = (drawings(), photos(), tiles(mnist), rows(mnist), oddities(), examples())
    pictures = [picture for part in parts for picture in part]
    assert len(pictures) >= 200
    with ThreadPoolExecutor(1) as pool:
        here = pool.submit(lambda: [python.read(p).as_dict() for p in map(rgba, pictures)])
        there = read_there(page, root, pictures)
        here = here.result()
    report(here, there)
    for k, (ours, theirs) in enumerate(zip(here, there, strict=True)):
        assert answers(theirs) == answers(ours), k
        assert theirs["text"] == ours["text"]
        assert theirs["numbers"] == ours["numbers"]
        assert np.allclose(confidences(theirs), confidences(ours), rtol=0, atol=CLOSE), k
    assert sum(len(reading["lines"]) > 0 for reading in here) > 180


def report(here, there):
    """Shown with ``pytest -s``: how close both are, and how long the browser took."""
    pairs = [(confidences(a), confidences(b)) for a, b in zip(here, there, strict=True)]
    away = [float(abs(a - b).max()) for a, b in pairs if a.size and a.shape == b.shape]
    equal = sum(answers(a) == answers(b) for a, b in zip(here, there, strict=True))
    seconds = np.array([reading["seconds"] for reading in there])
    print(  # noqa: T201  (shown with -s, for the record)
        f"\n{len(here)} pictures, {sum(len(a) for a, _ in pairs)} candidates, {equal} read alike; "
        f"confidences differ by {max(away):.6f} at most; "
        f"{1000 * np.median(seconds):.0f} ms a picture, {1000 * seconds.max():.0f} at most"
    )
