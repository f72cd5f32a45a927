"""Changes that must not affect a reading: position, size, colours and quarter turns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

CONTRAST = 90  # gray levels between ink and paper
TEXTS = {"print": "4075", "marker": "382", "pen": "16", "lines": "29\n850"}

NAMES = st.sampled_from(sorted(TEXTS))
few = settings(max_examples=8)


@pytest.fixture(scope="module")
def inks(printed, write):
    """Four drawings as float[H, W], 1 where there is ink; no side exceeds 220 pixels."""
    above, below = printed("29", 10, 12, 44, (180, 150)), printed("850", 14, 86, 44, (180, 150))
    return {
        "print": printed("4075", 14, 24, 48, (210, 100)),
        "marker": write("382", 24, 22, 70, 11, size=(210, 120), seed=1),
        "pen": write("16", 24, 20, 80, 4, size=(180, 130), seed=2),
        "lines": np.maximum(above, below),
    }


@pytest.fixture(scope="module")
def pages(inks):
    """The drawings as dark ink on light paper: uint8[H, W]."""
    return {name: coloured(ink, 30, 235) for name, ink in inks.items()}


@pytest.fixture(scope="module")
def text(reader):
    """Returns the text read on a page."""
    return lambda page: reader.read(page).text


def coloured(ink, pen, paper):
    pen, paper = np.array(pen, float), np.array(paper, float)
    ink = ink if pen.ndim == 0 else ink[:, :, None]
    return np.rint(ink * pen + (1 - ink) * paper).astype(np.uint8)


def scaled(page, factor):
    height, width = page.shape
    size = round(width * factor), round(height * factor)
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", TEXTS)
def test_drawings_and_their_negatives_are_read_alike(text, pages, name):
    assert text(pages[name]) == text(255 - pages[name]) == TEXTS[name]


@few
@given(name=NAMES, down=st.integers(-8, 8), across=st.integers(-8, 8))
def test_shifting_changes_nothing(text, pages, name, down, across):
    shifted = np.roll(pages[name], (down, across), (0, 1))  # paper is plain at every edge
    assert text(shifted) == TEXTS[name]


@few
@given(name=NAMES, sides=st.tuples(*[st.integers(0, 60)] * 4))
def test_wider_margins_change_nothing(text, pages, name, sides):
    above, below, left, right = sides
    page = np.pad(pages[name], ((above, below), (left, right)), constant_values=235)
    assert text(page) == TEXTS[name]


LEVELS = st.integers(0, 255)


@few
@given(name=NAMES, pen=LEVELS, paper=LEVELS)
def test_other_grays_change_nothing(text, inks, name, pen, paper):
    if abs(pen - paper) < CONTRAST:  # the nearest pen with enough contrast
        pen = paper - CONTRAST if paper >= CONTRAST else paper + CONTRAST
    assert text(coloured(inks[name], pen, paper)) == TEXTS[name]


@few
@given(name=NAMES, paper=st.tuples(*[LEVELS] * 3), ways=st.tuples(*[st.integers(-30, 30)] * 3))
def test_other_colours_change_nothing(text, inks, name, paper, ways):
    sign = -1 if sum(paper) > 380 else 1  # all channels shift the same way, by different amounts
    pen = np.clip(np.array(paper) + sign * (CONTRAST + np.array(ways) + 30), 0, 255)
    assert text(coloured(inks[name], pen, paper)) == TEXTS[name]


@pytest.mark.parametrize("factor", [1.5, 3])
@pytest.mark.parametrize("name", TEXTS)
def test_enlarging_changes_nothing(text, pages, name, factor):
    assert text(scaled(pages[name], factor)) == TEXTS[name]


@pytest.mark.parametrize("turn", range(4))
def test_quarter_turns_change_nothing_and_boxes_stay_on_the_ink(reader, inks, pages, turn):
    reading = reader.read(np.ascontiguousarray(np.rot90(pages["print"], turn)))
    assert reading.text == TEXTS["print"]
    ink = np.rot90(inks["print"], turn) > 0.5
    boxed = np.zeros_like(ink)
    for digit in reading.digits:
        boxed[digit.box.y0 : digit.box.y1, digit.box.x0 : digit.box.x1] = True
    assert ink[boxed].sum() > 0.95 * ink.sum()
    assert boxed.mean() < 0.6
