"""Lines to look at that need neither the network nor MNIST."""

import numpy as np
import pytest
from PIL import ImageFont

from digitlens.data.mnist import Split
from digitlens.data.pages.hands import EM, FontHand
from digitlens.data.pages.writers import Fonts
from digitlens.datasets.synthetic.lines import LineMaker


@pytest.fixture(scope="session")
def font_hand() -> FontHand:
    """Writes in the font that Pillow carries."""
    return FontHand({"latin": ImageFont.load_default(EM)})


@pytest.fixture(scope="session")
def fonts(font_hand: FontHand) -> Fonts:
    return Fonts((font_hand,), (font_hand,))


@pytest.fixture(scope="session")
def maker(small_split: Split, fonts: Fonts) -> LineMaker:
    return LineMaker(small_split, fonts, seed=3)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
