"""The shared set: drawings and pictures that Python and the browser must read alike.

Generated from fixed seeds, with the handwriting of make_examples.py and with digits of MNIST.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont

from digitlens.datasets.mnist import Mnist
from digitlens.datasets.synthetic.documents import DocumentMaker
from digitlens.datasets.synthetic.glyph_sources import EM, FontGlyphs
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.imaging.image import load_image

EXAMPLES = Path(__file__).parents[2] / "examples"


def shared_set(mnist: Mnist) -> list[np.ndarray]:
    """All pictures: uint8[H, W, 3], uint8[H, W] or, with transparency, uint8[H, W, 4]."""
    parts = (drawings(), photos(), tiles(mnist), rows(mnist), oddities(), examples(),
             generated(mnist))  # fmt: skip
    return [picture for part in parts for picture in part]


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
    """Digits and numbers by a pen, some on a transparent background that must be flattened."""
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
    """Numbers on paper of any colour, dark on bright or bright on dark, under a lamp."""
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
    """Digits of MNIST, in original size or enlarged, bright on dark or dark on bright."""
    for k in range(count):
        tile = Image.fromarray(mnist.test.tiles[37 * k])
        side = (28, 56, 140, 200)[k % 4]
        large = np.asarray(tile.resize((side, side), Image.Resampling.BICUBIC))
        yield np.repeat((large if k % 2 else 255 - large)[:, :, None], 3, 2)


def rows(mnist, count=30):
    """Numbers composed of MNIST digits, on noisy paper."""
    random = np.random.default_rng(13)
    for k in range(count):
        digits = [mnist.test.tiles[random.integers(0, 10000)] for _ in range(2 + k % 6)]
        ink = np.pad(np.hstack(digits), int(random.integers(4, 20))) / 255
        yield on_paper(ink, random, random.integers(0, 100, 3), random.integers(140, 256, 3), 4)


def oddities():
    """Pictures without numbers: blank paper, noise, shapes, and a few pixels."""
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
    """The pictures of examples/, some of them also turned."""
    paths = [*sorted(EXAMPLES.glob("*.png")), *sorted(EXAMPLES.glob("*.jpg"))]
    for path in paths:
        yield load_image(path)
    for turn, name in enumerate(("note.jpg", "board.jpg", "sticky.jpg"), 1):
        yield np.ascontiguousarray(np.rot90(load_image(EXAMPLES / name), turn))


def generated(mnist, lines=50, pages=16, documents=14):
    """Lines, pages and documents like those for training, in Pillow's own font."""
    hand = FontGlyphs({"latin": ImageFont.load_default(EM)})
    fonts = Fonts((hand,), (hand,))
    yield from (LineMaker(mnist.test, fonts, 21).line(k).pixels for k in range(lines))
    yield from (PageMaker(mnist.test, fonts, 22).page(k).pixels for k in range(pages))
    yield from (DocumentMaker(mnist.test, fonts, 23).document(k).pixels for k in range(documents))
