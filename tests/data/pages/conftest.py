"""Hands to draw pages with that need neither the network nor MNIST."""

import numpy as np
import pytest
from PIL import ImageFont

from digitlens.data.mnist import Split
from digitlens.data.pages.hands import EM, FontHand
from digitlens.data.pages.pages import PageMaker
from digitlens.data.pages.writers import Fonts, Writers


@pytest.fixture(scope="session")
def font_hand() -> FontHand:
    """Writes in the font that Pillow carries."""
    return FontHand({"latin": ImageFont.load_default(EM)})


@pytest.fixture(scope="session")
def fonts(font_hand: FontHand) -> Fonts:
    return Fonts((font_hand,), (font_hand,))


@pytest.fixture(scope="session")
def writers(small_split: Split, fonts: Fonts) -> Writers:
    return Writers(small_split, fonts)


@pytest.fixture(scope="session")
def maker(small_split: Split, fonts: Fonts) -> PageMaker:
    return PageMaker(small_split, fonts, seed=5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
