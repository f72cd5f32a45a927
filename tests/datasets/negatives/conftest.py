"""One small face, which Pillow carries, so that no font has to be fetched."""

import pytest
from PIL import ImageFont

from digitlens.datasets.negatives.faces import EM, Face


@pytest.fixture(scope="session")
def face() -> Face:
    return Face({"latin": ImageFont.load_default(EM)})
