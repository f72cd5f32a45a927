"""Takes the ink of one digit out of a page, given its box, so that it can be framed as a tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.imaging.image import Page, shrink
from digitlens.imaging.quantile import median, quantile
from digitlens.reading.components import connected_components

_MARGIN = 0.12  # of the longer side: paper seen around the box
_LONGEST = 64  # pixels; more than twice what a tile shows of it
_ENOUGH = 512  # pixels of the rim to know the paper by
_FAINT = 0.25  # of full ink: less is paper
_FOREIGN = 0.5  # share of a stroke's pixels outside the box: more, and it is a neighbour's

Ink = npt.NDArray[np.uint8]
_Plane = npt.NDArray[np.float32]


def ink_in(page: Page, box: npt.NDArray[np.floating]) -> Ink:
    """The ink of what stands in a box, bright on dark.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        box: float[4]; x0, y0, x1, y1 in page pixels; may reach over the page's edge.

    Returns:
        uint8[h, w] at no more than 64 pixels a side, 0 where there is paper; all 0 when nothing
        in the box differs from what is around it.
    """
    crop, inner = _cropped(page, box)
    planes = np.moveaxis(np.atleast_3d(crop), 2, 0).astype(np.float32)
    strength = _along_ink(planes - _paper(planes, inner), inner)
    full = _full(strength[inner])
    if full < 4:
        return np.zeros(crop.shape[:2], np.uint8)
    level = np.clip((strength / full - _FAINT) / (0.85 - _FAINT), 0, 1)
    level[_foreign(level > 0.3, inner)] = 0
    return np.rint(level * 255).astype(np.uint8)


def _cropped(page: Page, box: npt.NDArray[np.floating]) -> tuple[Page, npt.NDArray[np.bool_]]:
    height, width = page.shape[:2]
    x0, y0, x1, y1 = (float(v) for v in box)
    margin = max(1.0, _MARGIN * max(x1 - x0, y1 - y0))
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    right = min(width, max(left + 1, int(np.ceil(x1 + margin))))
    bottom = min(height, max(top + 1, int(np.ceil(y1 + margin))))
    left, top = min(left, right - 1), min(top, bottom - 1)
    # Two pixels for each that is wanted are enough to average, and quick to fetch.
    step = max(1, max(bottom - top, right - left) // (2 * _LONGEST))
    crop = shrink(np.ascontiguousarray(page[top:bottom:step, left:right:step]), _LONGEST)
    scale_x, scale_y = crop.shape[1] / (right - left), crop.shape[0] / (bottom - top)
    x = (np.arange(crop.shape[1]) + 0.5) / scale_x + left
    y = (np.arange(crop.shape[0]) + 0.5) / scale_y + top
    inner = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None, :]
    return crop, inner


def _paper(planes: _Plane, inner: npt.NDArray[np.bool_]) -> _Plane:
    """The paper's colour, from the rim around the box, as a plane that may slope.

    Neighbours' strokes in the rim do not count: what is far from its median is left out.
    """
    y, x = np.nonzero(~inner) if (~inner).sum() > 16 else np.nonzero(np.ones_like(inner))
    step = max(1, len(x) // _ENOUGH)
    y, x = y[::step], x[::step]
    rim = planes[:, y, x]
    middle = median(rim)[:, None]
    away = np.abs(rim - middle).max(axis=0)
    near = away <= max(6.0, float(quantile(away, 0.6)))
    height, width = inner.shape
    grid = np.stack([np.ones(len(x)), x / width - 0.5, y / height - 0.5])[:, near]
    fit = np.linalg.solve(
        grid @ grid.T + np.diag([1e-6, 0.05 * len(x), 0.05 * len(x)]), grid @ rim[:, near].T
    )
    across = (np.arange(width) / width - 0.5).astype(np.float32)
    down = (np.arange(height) / height - 0.5).astype(np.float32)[:, None]
    level, right, below = (row[:, None, None] for row in fit.astype(np.float32))
    return level + right * across + below * down


def _along_ink(contrast: _Plane, inner: npt.NDArray[np.bool_]) -> _Plane:
    """One plane from three: along the direction in which the box differs most from its paper."""
    inside = contrast[:, inner]
    if not inside.size:
        return np.zeros(inner.shape, np.float32)
    size = np.abs(inside).max(axis=0)
    strong = inside[:, size >= 0.5 * size.max()]
    direction = strong.mean(axis=1)
    length = max(float(np.linalg.norm(direction)), 1e-6)
    return np.tensordot((direction / length).astype(np.float32), contrast, 1)


def _full(strength: _Plane) -> float:
    """What counts as full ink, of float32[N] in a box."""
    if not strength.size:
        return 0.0
    # A thin pen covers less than 7 % of a large box: what is paper to 93 % is not all of it.
    usual, strongest = (quantile(strength, np.float64(share)) for share in (0.93, 0.995))
    return float(max(usual, 0.6 * strongest))


def _foreign(mask: npt.NDArray[np.bool_], inner: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Strokes that lie mostly outside the box."""
    components = connected_components(mask)
    labels = components.labels
    count = len(components.areas) + 1
    outside = np.bincount(labels[~inner], minlength=count)
    whole = np.maximum(1, np.bincount(labels.ravel(), minlength=count))
    foreign = outside > _FOREIGN * whole
    foreign[0] = False
    return foreign[labels]
