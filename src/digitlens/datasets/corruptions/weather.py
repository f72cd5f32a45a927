"""Corruptions of the scene: brightness, stripes, fog and spatter."""

from __future__ import annotations

import numpy as np

from digitlens.datasets.corruptions.planes import SIDE, Planes, smooth

BRIGHTER = 0.5
STRIPE = 7  # columns on either side
FOG, FOG_DECAY = 3.0, 1.4**2
COARSE, FINE = 6, 2  # doublings of the fractal: 64 points a side, and 256
MARGIN = 4  # coarse points around what is kept, where the finer ones would be wrong
LIQUID_MEAN, LIQUID_SPREAD, LIQUID_SIGMA, LIQUID_LEVEL = 0.65, 0.3, 1.0, 0.65
MUD_SIGMA, MUD_LEVEL, MUD = 1.5, 0.8, 63 / 255


def brightness(planes: Planes, _: np.random.Generator) -> Planes:
    """Everything brighter by half; paper becomes grey and the strokes' edges are cut off."""
    return planes + np.float32(BRIGHTER)


def stripe(planes: Planes, _: np.random.Generator) -> Planes:
    """The left and the right quarter inverted, which leaves a stripe in the middle."""
    striped = 1 - planes
    striped[:, :, STRIPE:-STRIPE] = planes[:, :, STRIPE:-STRIPE]
    return striped


def fog(planes: Planes, rng: np.random.Generator) -> Planes:
    """Clouds three times as bright as the ink, then dimmed so that both fit."""
    brightest = planes.max(axis=(1, 2), keepdims=True)
    return (planes + FOG * plasma(len(planes), rng)) * brightest / (brightest + FOG)


def plasma(n: int, rng: np.random.Generator) -> Planes:
    """A corner of n plasma fractals of 256 x 256, whose values fill 0 to 1; float32[n, 28, 28].

    The fractal has no edge: it goes on at its other side. Only the corner is worked out to the last
    point. The range is that of every fourth point: narrower by a thousandth, and ten times as fast.

    Source: A. Fournier, D. Fussell and L. Carpenter, "Computer rendering of stochastic models",
    Communications of the ACM 25 (1982), 371-384.
    """
    heights, spread = np.zeros((n, 1, 1), np.float32), 1.0
    for _ in range(COARSE):
        heights, spread = _refined(heights, spread, rng), spread / FOG_DECAY
    low, high = (end(heights, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    around = np.arange(-MARGIN, SIDE // 2**FINE + MARGIN)
    corner = heights[:, around[:, None], around]
    for _ in range(FINE):
        corner, spread = _refined(corner, spread, rng), spread / FOG_DECAY
    kept = slice(MARGIN * 2**FINE, MARGIN * 2**FINE + SIDE)
    return np.clip((corner[:, kept, kept] - low) / (high - low), 0, 1)


def _refined(heights: Planes, spread: float, rng: np.random.Generator) -> Planes:
    """Twice the points: middles of four old ones, then what lies between them, each jittered.

    Args:
        heights: float32[N, S, S], going on at the other side.
        spread: Largest jitter.
        rng: Where the jitter comes from.
    """

    def jittered(total: Planes) -> Planes:
        jitter = 2 * rng.random(total.shape, np.float32) - 1
        return np.add(total / 4, spread * jitter, dtype=np.float32)

    below, right = np.roll(heights, -1, 1), np.roll(heights, -1, 2)
    middles = jittered(heights + below + right + np.roll(below, -1, 2))
    fine = np.empty((len(heights), 2 * heights.shape[1], 2 * heights.shape[2]), np.float32)
    fine[:, ::2, ::2], fine[:, 1::2, 1::2] = heights, middles
    fine[:, ::2, 1::2] = jittered(heights + right + middles + np.roll(middles, 1, 1))
    fine[:, 1::2, ::2] = jittered(heights + below + middles + np.roll(middles, 1, 2))
    return fine


def spatter(planes: Planes, rng: np.random.Generator) -> Planes:
    """Blobs of dark mud cover ink and paper."""
    liquid = rng.normal(LIQUID_MEAN, LIQUID_SPREAD, planes.shape).astype(np.float32)
    wet = smooth(liquid, LIQUID_SIGMA) > LIQUID_LEVEL
    mud = smooth(wet.astype(np.float32), MUD_SIGMA)
    mud[mud < MUD_LEVEL] = 0
    return np.add(planes, (MUD - planes) * mud, dtype=np.float32)
