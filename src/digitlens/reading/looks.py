"""Looks at a page at a few sizes, and merges what was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.imaging.images import Page
from digitlens.models.page_model import Look, PageModel
from digitlens.reading.candidates import Candidates, merged, together

LARGEST = 1024  # pixels: longer pages are first reduced by a whole factor to about this
_ENLARGED = 2.0  # times its own size: larger looks show nothing more, except the first


@dataclass(frozen=True)
class Glance:
    """One look and the part of the page that it showed.

    Attributes:
        look: What was found, in the look's own pixels.
        region: x0, y0, x1, y1 of the part, in page pixels.
    """

    look: Look
    region: tuple[int, int, int, int]

    @property
    def scale(self) -> float:
        """Pixels of the look per page pixel, along its longer side."""
        x0, y0, x1, y1 = self.region
        return max(self.look.size) / max(x1 - x0, y1 - y0)

    def candidates(self) -> Candidates:
        """What was found, in page pixels; what lies beyond the edge of the look is left out."""
        x0, y0, x1, y1 = self.region
        height, width = self.look.size
        scale = np.array([(x1 - x0) / width, (y1 - y0) / height] * 2, np.float32)
        boxes = self.look.boxes * scale + np.array([x0, y0] * 2, np.float32)
        seen = self.look.boxes[:, 3] - self.look.boxes[:, 1]
        # The model sees strokes at the edge go on where it makes a picture larger: no digits.
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        there = np.flatnonzero(((middle >= (x0, y0)) & (middle <= (x1, y1))).all(axis=1))
        return Candidates(self.look.score, self.look.probabilities, boxes, seen)[there]


def look_around(
    page: Page, model: PageModel, sizes: tuple[int, ...]
) -> tuple[Candidates, list[Glance]]:
    """Finds what may be digits on a page, whatever their size.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        model: Looks.
        sizes: Longest side of the page in each look, in pixels, rising. Those that are mostly
            enlargement are left out, except the first.

    Returns:
        Candidates without doubles, and the looks they come from.
    """
    height, width = page.shape[:2]
    longest = max(height, width)
    picture = _reduced(page)
    glances: list[Glance] = []
    for size in sizes:
        if glances and size >= _ENLARGED * longest:
            break
        shown = _sized(picture, size / longest, (width, height))
        glances.append(Glance(model.look(shown), (0, 0, width, height)))
    return merged(together([glance.candidates() for glance in glances])), glances


def _reduced(page: Page) -> Image.Image:
    """A copy that still has all that the largest look at the whole page shows."""
    factor = max(page.shape[:2]) // LARGEST
    if factor > 1:
        # In bands of some 64 rows, whose memory is used again: 20 ms less for 12 megapixels.
        rows = factor * max(1, 64 // factor)
        bands = [page[start : start + rows] for start in range(0, len(page), rows)]
        reduced = [np.asarray(Image.fromarray(band).reduce(factor)) for band in bands]
        page = np.concatenate(reduced)
    return Image.fromarray(page).convert("RGB")


def _sized(picture: Image.Image, scale: float, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    width, height = (max(1, round(side * scale)) for side in size)
    grows = width > picture.width
    method = Image.Resampling.BICUBIC if grows else Image.Resampling.BOX
    return np.asarray(picture.resize((width, height), method))
