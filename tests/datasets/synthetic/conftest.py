"""Glyph sources, styles and makers that need neither downloads nor MNIST."""

import numpy as np
import pytest
from PIL import ImageFont

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.glyph_sources import EM, FontGlyphs
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.datasets.synthetic.styles import Fonts, Styles


@pytest.fixture(scope="session")
def font_glyphs() -> FontGlyphs:
    """Glyphs of Pillow's own font."""
    return FontGlyphs({"latin": ImageFont.load_default(EM)})


@pytest.fixture(scope="session")
def fonts(font_glyphs: FontGlyphs) -> Fonts:
    return Fonts((font_glyphs,), (font_glyphs,))


@pytest.fixture(scope="session")
def styles(small_split: Split, fonts: Fonts) -> Styles:
    return Styles(small_split, fonts)


@pytest.fixture(scope="session")
def page_maker(small_split: Split, fonts: Fonts) -> PageMaker:
    return PageMaker(small_split, fonts, seed=5)


@pytest.fixture(scope="session")
def maker(small_split: Split, fonts: Fonts) -> LineMaker:
    return LineMaker(small_split, fonts, seed=3)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
