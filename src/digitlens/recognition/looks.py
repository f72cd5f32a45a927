"""Looks at a page several times: all of it at a few sizes, then closer where that pays."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.data.images import Page
from digitlens.model.page_model import LEAST, Look, PageModel
from digitlens.recognition.agreement import agreement
from digitlens.recognition.candidates import Candidates, merged, together

SIZES = (96, 192, 448, 1024)  # longest side of the whole page, in pixels
_ENLARGED = 2.0  # times its own size: larger looks show nothing more, except the first
_COSTLY = 448  # pixels: larger looks cost too much to be mostly enlargement ...
_HARDLY = 1.15  # ... and are taken up to so many times the page's own size
# By these two heights 78 % of generated pages of 1,536 pixels need no look larger than _COSTLY, and
# as many digits are found on them (91.7 % instead of 91.9), with fewer false ones.
_TALL = 40.0  # pixels in a look: usual height of digits that a larger look would show no better
_LOW = 14.0  # pixels in a look: what may be a digit and is lower needs a larger look
_HUGE = 130.0  # pixels in a look: higher digits are seen better in a smaller one
_TINY = 16.0  # pixels in a look: digits that are lower are looked at again, closer
_WANTED = 30.0  # pixels: height that a closer look gives them
_SURE = 0.5  # score from which a digit counts as found
_FAIRLY = 0.35  # likewise, of two tiny digits that call for a closer look
_LIKELY = 0.2
_AREA = 1_000_000  # pixels of one closer look
_TILES = 12  # closer looks at most
_FLAT = 5.0  # gray levels: where every patch deviates less, there are no digits
_PATCH = 32  # samples a side


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
    page: Page,
    model: PageModel,
    *,
    lowest: float = 0.0,
    sizes: tuple[int, ...] = SIZES,
    closer: bool = True,
) -> tuple[Candidates, list[Glance]]:
    """Finds what may be digits on a page, whatever their size.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        model: Looks.
        lowest: Page pixels; nothing lower is a digit. Looks in which it would be huge are left out.
        sizes: Longest side of the whole page in each look, in pixels, rising.
        closer: Look again at places that seem to hold tiny digits.

    Returns:
        Candidates without doubles, and the looks they come from.
    """
    found, glances = _look_at_all(page, model, lowest, sizes)
    if not closer:
        return found, glances
    nearer = [
        Glance(model.look(_cut(page, region, scale)), region)
        for region, scale in _closer(page, found, glances[-1].scale)
    ]
    if nearer:
        glances += nearer
        found = _merged(glances)
    return found, glances


def _look_at_all(
    page: Page, model: PageModel, lowest: float, sizes: tuple[int, ...]
) -> tuple[Candidates, list[Glance]]:
    """Looks at the whole page, each time larger, as long as that may show more."""
    height, width = page.shape[:2]
    longest = max(height, width)
    picture = _reduced(page)
    glances: list[Glance] = []
    for size in sizes:
        if glances and not _is_larger(size, longest, lowest):
            break
        if size > _COSTLY and _seen_well(found := _merged(glances), glances[-1].scale):
            return found, glances
        shown = _sized(picture, size / longest, (width, height))
        glances.append(Glance(model.look(shown), (0, 0, width, height)))
    return _merged(glances), glances


def _is_larger(size: int, longest: int, lowest: float) -> bool:
    """Whether a look is not mostly enlargement, and shows what is lowest at a usual height."""
    most = _ENLARGED if size <= _COSTLY else _HARDLY
    return size < most * longest and lowest * size <= _HUGE * longest


def _seen_well(found: Candidates, scale: float) -> bool:
    """Whether digits are large in the closest look, and nothing that may be one is small there."""
    sure = found[found.score > _SURE]
    if not len(sure) or bool(((found.score > _LIKELY) & (found.seen < _LOW)).any()):
        return False
    return float(np.median(sure.boxes[:, 3] - sure.boxes[:, 1])) * scale >= _TALL


def _merged(glances: list[Glance]) -> Candidates:
    found = merged(together([glance.candidates() for glance in glances]))
    score = (found.score + agreement(found, glances)) / 2
    return replace(found, score=score)[np.argsort(-score, kind="stable")]


def _closer(
    page: Page, found: Candidates, seen: float
) -> list[tuple[tuple[int, int, int, int], float]]:
    """Regions to look at again, each with a scale; ``seen`` is the scale of the closest look."""
    height, width = page.shape[:2]
    likely = found[found.score > _LIKELY]
    tiny = likely[likely.seen < _TINY]
    if len(tiny) > 1 and float(np.sort(tiny.score)[-2]) > _FAIRLY and len(tiny) >= len(likely) / 2:
        typical = float(np.median(tiny.boxes[:, 3] - tiny.boxes[:, 1]))
        scale = min(_ENLARGED, _WANTED / max(typical, 1))
        pad = 2 * typical
        x0, y0 = np.maximum(0, tiny.boxes[:, :2].min(axis=0) - pad)
        x1, y1 = np.minimum((width, height), tiny.boxes[:, 2:].max(axis=0) + pad)
        region = int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))
    elif max(height, width) > 1.5 * SIZES[-1] and not (found.score > _SURE).any():
        scale, region = min(1.0, 3 * seen), (0, 0, width, height)
    else:
        return []
    return [] if scale < 1.3 * seen else _tiles(page, region, scale)


def _tiles(
    page: Page, region: tuple[int, int, int, int], scale: float
) -> list[tuple[tuple[int, int, int, int], float]]:
    x0, y0, x1, y1 = region
    columns, rows, scale = _grid(x1 - x0, y1 - y0, scale)
    xs, ys = np.linspace(x0, x1, columns + 1), np.linspace(y0, y1, rows + 1)
    lap = 40 / scale  # a digit on the border of two regions is whole in one of them
    regions = [
        (
            int(max(x0, left - lap)),
            int(max(y0, top - lap)),
            int(min(x1, right + lap)),
            int(min(y1, bottom + lap)),
        )
        for top, bottom in itertools.pairwise(ys)
        for left, right in itertools.pairwise(xs)
    ]
    return [(r, scale) for r in regions if _has_contrast(page[r[1] : r[3] : 2, r[0] : r[2] : 2])]


def _grid(width: int, height: int, scale: float) -> tuple[int, int, float]:
    """Columns and rows of looks at a region, and the largest scale at which they are few enough."""
    while True:
        side, area = _AREA**0.5 / scale, _AREA / scale**2
        # A strip is seen in looks that are as long as it is narrow.
        across = area / max(LEAST / scale, min(side, height))
        down = area / max(LEAST / scale, min(side, width))
        columns, rows = int(np.ceil(width / across)), int(np.ceil(height / down))
        if columns * rows <= _TILES:
            return columns, rows, scale
        scale *= 0.95


def _has_contrast(part: npt.NDArray[np.uint8]) -> bool:
    """Whether any patch is not flat; a digit alone would be lost in the deviation of the whole."""
    height, width = part.shape[:2]
    sides = ((0, -height % _PATCH), (0, -width % _PATCH))
    part = np.pad(part.reshape(height, width, -1), (*sides, (0, 0)), mode="edge")
    patches = part.reshape(part.shape[0] // _PATCH, _PATCH, -1, _PATCH, part.shape[2])
    return float(patches.std(axis=(1, 3), dtype=np.float32).max()) > _FLAT


def _reduced(page: Page) -> Image.Image:
    """A copy that still has all that the largest look at the whole page shows."""
    factor = max(page.shape[:2]) // SIZES[-1]
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


def _cut(page: Page, region: tuple[int, int, int, int], scale: float) -> npt.NDArray[np.uint8]:
    x0, y0, x1, y1 = region
    picture = Image.fromarray(np.ascontiguousarray(page[y0:y1, x0:x1])).convert("RGB")
    return _sized(picture, scale, (x1 - x0, y1 - y0))
