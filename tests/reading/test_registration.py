import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.errors import TemplateError
from digitlens.reading.registration import Reference

SIZE = (480, 360)
BOX = (120, 140, 360, 200)


def page(seed=0):
    """A form with words and lines."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", SIZE, (235, 235, 230))
    pen = ImageDraw.Draw(image)
    for y in range(20, 340, 32):
        word = "".join(chr(65 + int(k)) for k in rng.integers(0, 26, 12))
        pen.text((20 + int(rng.integers(60)), y), word, (40, 40, 50), ImageFont.load_default(22))
    for _ in range(12):
        x, y = rng.integers(0, 400, 2)
        pen.rectangle((int(x), int(y), int(x) + 50, int(y) + 18), outline=(160, 30, 30), width=3)
    return np.asarray(image)


def seen(picture, *, turn=0.0, scale=1.0, shift=(0, 0), tilt=0.0):
    matrix = np.vstack([cv2.getRotationMatrix2D((240, 180), turn, scale), [tilt, 0, 1]])
    matrix[:2, 2] += shift
    return cv2.warpPerspective(picture, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE), matrix


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"shift": (23, -14)},
        {"turn": 12, "scale": 0.8},
        {"turn": -4, "scale": 1.2, "tilt": 2e-4},
    ],
)
def test_a_picture_is_found_where_it_lies(how):
    picture, matrix = seen(page(), **how)
    darker = (picture * 0.6 + np.linspace(0, 60, SIZE[0])[None, :, None]).astype(np.uint8)
    found = Reference(page()).register(darker)
    corners = np.array([BOX[:2], (BOX[2], BOX[1]), BOX[2:], (BOX[0], BOX[3])], np.float32)
    wanted = cv2.perspectiveTransform(corners[None], matrix)[0]
    assert found.matches
    assert np.abs(found.quad(BOX) - wanted).max() < 2


def test_a_blank_reference_is_refused():
    with pytest.raises(TemplateError, match="expected 8 distinct points or more, found 0"):
        Reference(np.full((100, 100), 240, np.uint8))


@pytest.mark.parametrize(
    "other",
    [
        page(1),
        np.zeros((100, 100), np.uint8),
        np.random.default_rng(0).integers(0, 256, (360, 480, 3)).astype(np.uint8),
        page()[:, ::-1],
    ],
)
def test_anything_else_does_not_match(other):
    assert not Reference(page()).register(np.ascontiguousarray(other)).matches
