"""What the page would look like without ink: its paper and the light on it.

Knows neither which way ink differs from paper (darker, lighter, in colour) nor what digits are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.data.images import resize

Planes = npt.NDArray[np.floating[Any]]
Plane = npt.NDArray[np.floating[Any]]

_GRID = 40  # cells along the longest side to which the light is fitted
_CELLS = 20  # cells along the longest side in which it is corrected
_CELL = 8  # at least so many pixels wide: in smaller cells a stroke would be taken for paper
_BORDER = 3.0  # weight of cells at the border, where paper is likelier than ink
_HAT = 1 / 50  # of the longest side: half the width of the widest stroke that a top-hat sees
_SIMPLER = 1.5  # an even paper is preferred while its error is at most so many times larger


def broad_paper(planes: Planes) -> tuple[Planes, npt.NDArray[np.bool_]]:
    """The paper where a stroke may be as wide as half the page, but the light changes slowly.

    A quadratic surface in the L1 norm, which ignores ink while it covers less than half of the
    page, then corrected by the mean of what lies near it. What does not is ink, and filled in from
    around.

    Args:
        planes: float32[C, H, W].

    Returns:
        The paper, float32[C, H, W]; and bool[H, W], where it can be seen.
    """
    flat = np.stack([_surface(plane) for plane in planes])
    rest = planes - flat
    size = np.abs(rest).max(axis=0)
    level = edge_level(size, least=4)
    known = size < (np.inf if level is None else level / 2)
    return flat + np.stack([_fill(plane, known) for plane in rest]), known


def fine_contrast(planes: Planes) -> Planes:
    """How a page differs from its paper where strokes are thin, but the light has edges.

    The sum of both top-hat transforms (Meyer 1979): a closing removes dark strokes and an opening
    light ones if they are narrower than its window, and both leave the edge of a shadow in place.

    Args:
        planes: float32[C, H, W].

    Returns:
        float32[C, H, W]; negative on dark strokes, positive on light ones.
    """
    reach = max(1, round(_HAT * max(planes.shape[1:])))
    return np.stack([_hats(_calm(plane), reach) for plane in planes])


def edge_level(strength: Plane, least: float) -> float | None:
    """The level half-way up the edges of a plane, the strongest edges counting most.

    Each step between neighbours above ``least`` votes for its middle with its square as weight, so
    the level does not depend on how much of the page is ink, as Otsu's does.

    Returns:
        The level, or None where nothing rises above ``least``.
    """
    total = weight = 0.0
    for low, high in ((strength[1:], strength[:-1]), (strength[:, 1:], strength[:, :-1])):
        middle = (low + high) / 2
        votes = np.where(middle > least, (low - high) ** 2, 0)
        total += float((votes * middle).sum(dtype=np.float64))
        weight += float(votes.sum(dtype=np.float64))
    return total / weight if weight > 0 else None


def _surface(plane: Plane) -> Plane:
    height, width = plane.shape
    cells = _medians(plane, max(1, -(-max(height, width) // _GRID)))
    rows, columns = (np.linspace(-1, 1, size, dtype=np.float32) for size in cells.shape)
    basis = _quadratic(rows[:, None], columns[None, :]).reshape(6, -1).T
    weights = _border_weights(*cells.shape).ravel()
    even, error_even = _fit(basis[:, :1], cells.ravel(), weights)
    bent, error_bent = _fit(basis, cells.ravel(), weights)
    if error_even <= _SIMPLER * error_bent:
        return np.full(plane.shape, even[0], np.float32)
    rows, columns = (np.linspace(-1, 1, size, dtype=np.float32) for size in plane.shape)
    terms = _quadratic(rows[:, None], columns[None, :])
    return np.tensordot(bent.astype(np.float32), terms, 1)


def _quadratic(y: Plane, x: Plane) -> Planes:
    y, x = np.broadcast_arrays(y, x)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def _border_weights(rows: int, columns: int) -> Plane:
    weights = np.full((rows, columns), _BORDER)
    weights[1:-1, 1:-1] = 1
    return weights


def _fit(basis: Plane, values: Plane, prior: Plane) -> tuple[Plane, float]:
    # Iteratively reweighted least squares: weight 1/error turns squares into absolute errors.
    basis, values = basis.astype(np.float64), values.astype(np.float64)
    weights, coefficients, errors = prior, np.zeros(basis.shape[1]), values
    for _ in range(20):
        root = np.sqrt(weights)
        coefficients: Plane = np.linalg.lstsq(basis * root[:, None], values * root, rcond=None)[0]
        errors: Plane = np.abs(values - basis @ coefficients)
        weights = prior / np.maximum(errors, 0.5)
    return coefficients, float((prior * errors).sum())


def _medians(plane: Plane, step: int) -> Plane:
    height, width = plane.shape
    tall, wide = min(step, height), min(step, width)
    rows, columns = height // tall, width // wide
    cells = plane[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
    return np.median(cells, axis=(1, 3)).astype(np.float32)


def _hats(plane: Plane, reach: int) -> Plane:
    closed = -_highest(-_highest(plane, reach), reach)
    opened = _highest(-_highest(-plane, reach), reach)
    hats = 2 * plane - closed - opened
    return hats - np.median(hats)


def _calm(plane: Plane) -> Plane:
    """Means of 3 x 3 pixels: a single noisy one would fill the window of a closing."""
    framed = np.pad(plane, 1, mode="edge")
    lines = framed[2:] + framed[1:-1] + framed[:-2]
    return (lines[:, 2:] + lines[:, 1:-1] + lines[:, :-2]) / np.float32(9)


def _highest(plane: Plane, reach: int) -> Plane:
    """The highest value within ``reach`` pixels, along rows, then along columns."""
    for _ in range(2):
        plane = np.pad(plane, ((0, 0), (reach, reach)), mode="edge")
        width, window = 1, 2 * reach + 1
        while width < window:  # windows double until the last step, which may overlap
            step = min(width, window - width)
            plane, width = np.maximum(plane[:, :-step], plane[:, step:]), width + step
        plane = plane.T
    return plane


def _fill(plane: Plane, known: npt.NDArray[np.bool_]) -> Plane:
    height, width = plane.shape
    step = max(_CELL, max(height, width) / _CELLS)
    columns, rows = max(1, round(width / step)), max(1, round(height / step))
    share = resize(known.astype(np.float32), columns, rows)
    total = resize(plane * known, columns, rows)
    return resize(_from_coarse(total, share), width, height)


def _from_coarse(total: Plane, share: Plane) -> Plane:
    """Means of cells; where little is known, those of cells twice as large, and so on."""
    mean = total / np.maximum(share, 1e-6)
    if share.size == 1:
        return mean
    rows, columns = share.shape
    half = max(1, columns // 2), max(1, rows // 2)
    coarse = resize(_from_coarse(resize(total, *half), resize(share, *half)), columns, rows)
    trust = np.minimum(1, 2 * share)
    return trust * mean + (1 - trust) * coarse
