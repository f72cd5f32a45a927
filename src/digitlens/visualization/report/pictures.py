"""Tiles as small pictures that lie inside the page."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image


def picture(tile: npt.NDArray[np.uint8]) -> str:
    """A tile uint8[28, 28] as the address of a PNG picture, pixel by pixel the same."""
    stream = BytesIO()
    Image.fromarray(tile).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + b64encode(stream.getvalue()).decode()
