"""One small face, which Pillow carries, so that no font has to be fetched."""

from collections.abc import Iterator

import cv2
import pytest
from PIL import ImageFont

from digitlens.data.not_digits.faces import EM, Face


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiles are small: threads that wait for each other cost more than they bring."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="session")
def face() -> Face:
    return Face({"latin": ImageFont.load_default(EM)})
