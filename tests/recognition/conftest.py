"""Pages drawn for the tests, by the hand that drew the example pictures, and a page model that
sees rectangles."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.model.page_model import Look
from digitlens.recognition.components import connected_components

EXAMPLES = Path(__file__).parents[2] / "examples"


class Rectangles:
    """A page model to which dark rectangles are digits: black is 0, gray 10 is 1, gray 90 is 9.

    ``pictures`` holds the shapes of what it was shown. Rectangles lower than ``lowest`` pixels are
    not seen.
    """

    def __init__(self, lowest=1, score=0.9):
        self.lowest, self.score = lowest, score
        self.pictures = []

    def look(self, picture):
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        self.pictures.append(picture.shape)
        gray = picture[:, :, 1]
        found = connected_components(gray < 128).boxes
        found = found[found[:, 3] - found[:, 1] >= self.lowest]
        levels = [float(np.median(gray[y0:y1, x0:x1])) for x0, y0, x1, y1 in found]
        values = [min(9, round(level / 10)) for level in levels]
        return look_at(found, values, picture.shape[:2], self.score)


def look_at(boxes, values, size, score=0.9):
    """A look that found these digits, each of the other nine being 1 % probable."""
    count = len(values)
    return Look(
        np.full(count, score, np.float32),
        (0.01 + 0.9 * np.eye(10)[np.array(values, int)]).astype(np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros((-(-size[0] // 4), -(-size[1] // 4)), np.float32),
        size,
    )


@pytest.fixture(scope="session", name="look_at")
def give_look_at():
    """Makes a look out of boxes, values, the picture's height and width, and a score."""
    return look_at


@pytest.fixture(scope="session")
def rectangles():
    """The class of page models that see rectangles."""
    return Rectangles


@pytest.fixture(scope="session")
def examples():
    """The folder of example pictures."""
    return EXAMPLES


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
    """Noise of a camera on a page: uint8, clipped."""
    random = np.random.default_rng(0)

    def grain(page, deviation=3.0):
        return np.clip(page + random.normal(0, deviation, page.shape), 0, 255).astype(np.uint8)

    return grain
