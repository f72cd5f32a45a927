"""Follows horizontal rules across a picture, even if they are faint, bent or hidden in places.

The picture is divided into vertical strips. In each strip, every height has a contrast to what lies
above and below; the likelihood of that contrast, on a rule of a given darkness and elsewhere, is
estimated from the picture itself. The most likely paths through all strips are those of a hidden
Markov model whose rules are visible or hidden (A. Viterbi, "Error bounds for convolutional codes",
IEEE Transactions on Information Theory 13, 1967). Text alternates between both, which is unlikely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.imaging.quantile import median, quantile

AWAY = (2, 4, 8)  # pixels; distances from a rule, above and below, at which there is paper
_STRIPS, _NARROWEST = 64, 5  # maximum number of strips; their minimum width in pixels
_DARKEST, _GRAIN = 24, 10.0  # gray levels, and times the grain: contrast is clipped there
_LEVELS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.95)  # darkness of rules, relative to that
_BINS = 48  # of a histogram of darkness
_VARIES, _BLURS = 0.2, 0.05  # variation of darkness along a rule: relative to its level; minimum
_OTHERWISE = 0.03  # probability that a visible rule looks like anything else
_CLIP = 3.0  # maximum log likelihood ratio of a strip
_TURN, _HIDE, _HIDDEN = 2.0, 2.5, 0.25  # cost of a pixel up or down, of hiding, of a hidden strip
_NEAR, _SAME = 6, 0.3  # pixels; fraction of strips in which paths must be as near to be the same
_EVENED = 5  # strips over which the centre of a rule is averaged
_DEPTH = 0.8  # quantile over strips that is the depth of a rule where it is not hidden

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RulePaths:
    """Paths that may be rules, the clearest first."""

    heights: Doubles  # float64[N, K]; y of each path in each strip
    gains: Doubles  # float64[N, K]; log likelihood ratio of a rule being there
    seen: Mask  # bool[N, K]; whether it is visible
    depths: Doubles  # float64[N]; gray levels by which they are darker than paper
    places: Doubles  # float64[K]; x of the strips' centres

    def take(self, chosen: npt.NDArray[np.intp]) -> RulePaths:
        """Returns the chosen paths, in this order."""
        gains, seen, depths = self.gains[chosen], self.seen[chosen], self.depths[chosen]
        return RulePaths(self.heights[chosen], gains, seen, depths, self.places)


def follow_rules(gray: npt.NDArray[np.int16], span: tuple[float, float]) -> RulePaths:
    """Finds paths that may be rules along the rows of a picture.

    Args:
        gray: int16[H, W]; ink is darker than paper.
        span: First and last column between which a rule has to be visible; beyond, it may end.
    """
    ridge = ridge_of(gray)
    grain = float(median(np.abs(ridge[::3, ::3]).astype(np.float32).ravel()))
    dark = round(max(_DARKEST, _GRAIN * grain))
    count = int(np.clip(gray.shape[1] // _NARROWEST, 4, _STRIPS))
    edges = np.linspace(0, gray.shape[1], count + 1).astype(int)
    places = (edges[:-1] + edges[1:]) / 2
    inner = (places > span[0]) & (places < span[1])
    gain = _likelihood(_means(np.clip(ridge, -dark, dark), edges) / dark)
    heights, level, seen = _likeliest_paths(gain, inner)
    strips = np.arange(count)
    gains = np.where(seen, gain[level[:, None], heights, strips], -_HIDDEN)
    gains[:, 1:] -= _HIDE * (seen[:, 1:] != seen[:, :-1])
    dark_at = _means(ridge, edges)
    depths = dark_at[heights[:, inner], strips[inner]].astype(np.float32)
    usual = np.array([quantile(row, _DEPTH) for row in depths], np.float64)
    return RulePaths(_centred(heights, seen, dark_at), gains, seen, usual, places)


def _centred(heights: npt.NDArray[np.intp], seen: Mask, dark: Doubles) -> Doubles:
    """Moves heights to the centres of strokes, which may be several pixels thick: float64[N, K]."""
    away = np.arange(-_NEAR, _NEAR + 1)
    around = np.clip(heights[..., None] + away, 0, len(dark) - 1)
    ink = np.clip(dark[around, np.arange(dark.shape[1])[:, None]], 0, None) * seen[..., None]
    # Averaged over a few strips to reduce grain.
    ends = _EVENED // 2 + 1, _EVENED // 2
    sums = np.cumsum(np.pad(ink, ((0, 0), ends, (0, 0)), "edge"), axis=1)
    ink = sums[:, _EVENED:] - sums[:, :-_EVENED]
    return heights + 0.5 + (ink * away).sum(axis=2) / np.maximum(ink.sum(axis=2), 1e-9)


def ridge_of(gray: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Returns the contrast of each pixel to what lies above and below: int16[H, W]."""
    ridge = np.full(gray.shape, -255, np.int16)
    for away in AWAY:
        padded = np.pad(gray, ((away, away), (0, 0)), "edge")
        np.maximum(ridge, np.minimum(padded[: -2 * away], padded[2 * away :]) - gray, out=ridge)
    return ridge


def _means(values: npt.NDArray[np.int16], edges: npt.NDArray[np.intp]) -> Doubles:
    """Returns the means of strips of columns: float64[H, K]."""
    sums = np.pad(np.cumsum(values, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    return np.diff(sums[:, edges], axis=1) / np.diff(edges)


def _likelihood(darkness: Doubles) -> Doubles:
    """Returns log likelihood ratios of a darkness, -1 to 1, on rules of each level: [L, H, K]."""
    bins = np.clip(((darkness + 1) * _BINS / 2).astype(int), 0, _BINS - 1)
    usual = np.bincount(bins.ravel(), minlength=_BINS) + 1.0
    usual /= usual.sum()
    flat = darkness.astype(np.float32).ravel()
    spread = 1.48 * float(median(np.abs(flat - median(flat))))
    levels = np.array(_LEVELS)[:, None]
    deviation = np.sqrt(spread**2 + (_VARIES * levels) ** 2 + _BLURS**2)
    rule = np.exp(-(((np.arange(_BINS) + 0.5) * 2 / _BINS - 1 - levels) ** 2) / 2 / deviation**2)
    rule /= rule.sum(axis=1, keepdims=True)
    table = np.log(((1 - _OTHERWISE) * rule + _OTHERWISE * usual) / usual)
    return np.clip(table, -_CLIP, _CLIP)[:, bins]


def _likeliest_paths(
    gain: Doubles, inner: Mask
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Mask]:
    """Returns heights int[N, K], levels int[N] and visibility bool[N, K] of distinct paths."""
    levels, height, count = gain.shape
    shown, hidden = gain[:, :, 0], np.full((levels, height), -_HIDDEN)
    moves = np.zeros((count, 2, levels, height), np.int8)
    was_seen = np.zeros((count, 2, levels, height), np.bool_)
    for k in range(1, count):
        (shown, up), (hidden, aside) = _moved(shown), _moved(hidden)
        appears, hides = hidden - _HIDE > shown, shown - _HIDE > hidden
        moves[k] = np.where(appears, aside, up), np.where(hides, up, aside)
        was_seen[k] = ~appears, hides
        shown, hidden = (
            np.maximum(shown, hidden - _HIDE) + gain[:, :, k],
            np.maximum(hidden, shown - _HIDE) - _HIDDEN * inner[k],
        )
    ends = np.concatenate([shown, hidden])
    best = np.pad(ends.max(axis=0), 1, constant_values=-np.inf)
    is_peak = (best[1:-1] >= best[:-2]) & (best[1:-1] >= best[2:]) & (best[1:-1] > 0)
    peaks = np.flatnonzero(is_peak)
    peaks = peaks[np.argsort(-best[1:-1][peaks], kind="stable")]
    state, level = np.divmod(ends.argmax(axis=0)[peaks], levels)
    at, heights = peaks, np.zeros((len(peaks), count), np.intp)
    seen = np.zeros((len(peaks), count), np.bool_)
    for k in range(count - 1, -1, -1):
        heights[:, k], seen[:, k] = at, state == 0
        at, state = at + moves[k, state, level, at], 1 - was_seen[k, state, level, at]
    kept = _distinct(heights, height)
    return heights[kept], level[kept], seen[kept]


def _moved(totals: Doubles) -> tuple[Doubles, npt.NDArray[np.int8]]:
    """Returns the best total to reach each height from it or its neighbours, and the step there."""
    padded = np.pad(totals, ((0, 0), (1, 1)), constant_values=-np.inf)
    ways = np.stack([totals, padded[:, :-2] - _TURN, padded[:, 2:] - _TURN])
    move = ways.argmax(axis=0)
    return ways.max(axis=0), np.array([0, -1, 1], np.int8)[move]


def _distinct(heights: npt.NDArray[np.intp], height: int) -> list[int]:
    """Returns the indices of paths, best first, that do not mostly coincide with a better one."""
    taken, strips = np.zeros((height, heights.shape[1]), np.bool_), np.arange(heights.shape[1])
    kept: list[int] = []
    for number, path in enumerate(heights):
        if taken[path, strips].mean() < _SAME:
            kept.append(number)
            for away in range(-_NEAR, _NEAR + 1):
                taken[np.clip(path + away, 0, height - 1), strips] = True
    return kept
