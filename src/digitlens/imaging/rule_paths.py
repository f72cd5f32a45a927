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

OFFSETS = (2, 4, 8)  # pixels above and below a rule at which there is paper
_MAX_STRIPS, _MIN_STRIP = 64, 5  # maximum number of strips; their minimum width in pixels
_MIN_CLIP, _GRAIN_CLIP = 24, 10.0  # gray levels, and times the grain: contrast is clipped there
_LEVELS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.95)  # darkness of rules, relative to that
_BINS = 48  # of a histogram of darkness
_VARIATION, _MIN_DEVIATION = 0.2, 0.05  # of darkness along a rule: relative to its level; least
_OUTLIERS = 0.03  # probability that a visible rule looks like anything else
_MAX_LOG_RATIO = 3.0  # maximum log likelihood ratio of a strip
_STEP_COST, _HIDE_COST, _HIDDEN_COST = 2.0, 2.5, 0.25  # pixel up or down, hiding, hidden strip
_NEAR_PIXELS, _SAME_SHARE = 6, 0.3  # paths as near in that fraction of strips are the same
_CENTRE_STRIPS = 5  # strips over which the centre of a rule is averaged
_DEPTH_QUANTILE = 0.8  # quantile over strips that is the depth of a rule where it is not hidden

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RulePaths:
    """Paths that may be rules, the clearest first."""

    heights: Doubles  # float64[N, K]; y of each path in each strip
    gains: Doubles  # float64[N, K]; log likelihood ratio of a rule being there
    seen: Mask  # bool[N, K]; whether it is visible
    depths: Doubles  # float64[N]; gray levels by which they are darker than paper
    xs: Doubles  # float64[K]; x of the strips' centres

    def take(self, indices: npt.NDArray[np.intp]) -> RulePaths:
        """Returns the chosen paths, in this order."""
        gains, seen, depths = self.gains[indices], self.seen[indices], self.depths[indices]
        return RulePaths(self.heights[indices], gains, seen, depths, self.xs)


def follow_rules(gray: npt.NDArray[np.int16], span: tuple[float, float]) -> RulePaths:
    """Finds paths that may be rules along the rows of a picture.

    Args:
        gray: int16[H, W]; ink is darker than paper.
        span: First and last column between which a rule has to be visible; beyond, it may end.
    """
    ridge = ridge_of(gray)
    grain = float(median(np.abs(ridge[::3, ::3]).astype(np.float32).ravel()))
    limit = round(max(_MIN_CLIP, _GRAIN_CLIP * grain))
    count = int(np.clip(gray.shape[1] // _MIN_STRIP, 4, _MAX_STRIPS))
    edges = np.linspace(0, gray.shape[1], count + 1).astype(int)
    xs = (edges[:-1] + edges[1:]) / 2
    in_span = (xs > span[0]) & (xs < span[1])
    log_ratios = _log_ratios(_strip_means(np.clip(ridge, -limit, limit), edges) / limit)
    heights, level, seen = _likeliest_paths(log_ratios, in_span)
    strips = np.arange(count)
    gains = np.where(seen, log_ratios[level[:, None], heights, strips], -_HIDDEN_COST)
    gains[:, 1:] -= _HIDE_COST * (seen[:, 1:] != seen[:, :-1])
    darkness = _strip_means(ridge, edges)
    depths = darkness[heights[:, in_span], strips[in_span]].astype(np.float32)
    path_depths = np.array([quantile(row, _DEPTH_QUANTILE) for row in depths], np.float64)
    return RulePaths(_centre_heights(heights, seen, darkness), gains, seen, path_depths, xs)


def _centre_heights(heights: npt.NDArray[np.intp], seen: Mask, darkness: Doubles) -> Doubles:
    """Moves heights to the centres of strokes, which may be several pixels thick: float64[N, K]."""
    offsets = np.arange(-_NEAR_PIXELS, _NEAR_PIXELS + 1)
    rows = np.clip(heights[..., None] + offsets, 0, len(darkness) - 1)
    ink = np.clip(darkness[rows, np.arange(darkness.shape[1])[:, None]], 0, None) * seen[..., None]
    # Averaged over a few strips to reduce grain.
    ends = _CENTRE_STRIPS // 2 + 1, _CENTRE_STRIPS // 2
    sums = np.cumsum(np.pad(ink, ((0, 0), ends, (0, 0)), "edge"), axis=1)
    ink = sums[:, _CENTRE_STRIPS:] - sums[:, :-_CENTRE_STRIPS]
    return heights + 0.5 + (ink * offsets).sum(axis=2) / np.maximum(ink.sum(axis=2), 1e-9)


def ridge_of(gray: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Returns the contrast of each pixel to what lies above and below: int16[H, W]."""
    ridge = np.full(gray.shape, -255, np.int16)
    for step in OFFSETS:
        padded = np.pad(gray, ((step, step), (0, 0)), "edge")
        np.maximum(ridge, np.minimum(padded[: -2 * step], padded[2 * step :]) - gray, out=ridge)
    return ridge


def _strip_means(values: npt.NDArray[np.int16], edges: npt.NDArray[np.intp]) -> Doubles:
    """Returns the means of strips of columns: float64[H, K]."""
    sums = np.pad(np.cumsum(values, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    return np.diff(sums[:, edges], axis=1) / np.diff(edges)


def _log_ratios(darkness: Doubles) -> Doubles:
    """Returns log likelihood ratios of a darkness, -1 to 1, on rules of each level: [L, H, K]."""
    bins = np.clip(((darkness + 1) * _BINS / 2).astype(int), 0, _BINS - 1)
    background = np.bincount(bins.ravel(), minlength=_BINS) + 1.0
    background /= background.sum()
    flat = darkness.astype(np.float32).ravel()
    spread = 1.48 * float(median(np.abs(flat - median(flat))))
    levels = np.array(_LEVELS)[:, None]
    deviation = np.sqrt(spread**2 + (_VARIATION * levels) ** 2 + _MIN_DEVIATION**2)
    rule = np.exp(-(((np.arange(_BINS) + 0.5) * 2 / _BINS - 1 - levels) ** 2) / 2 / deviation**2)
    rule /= rule.sum(axis=1, keepdims=True)
    table = np.log(((1 - _OUTLIERS) * rule + _OUTLIERS * background) / background)
    return np.clip(table, -_MAX_LOG_RATIO, _MAX_LOG_RATIO)[:, bins]


def _likeliest_paths(
    log_ratios: Doubles, in_span: Mask
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Mask]:
    """Returns heights int[N, K], levels int[N] and visibility bool[N, K] of distinct paths."""
    levels, height, count = log_ratios.shape
    visible, hidden = log_ratios[:, :, 0], np.full((levels, height), -_HIDDEN_COST)
    steps = np.zeros((count, 2, levels, height), np.int8)
    was_visible = np.zeros((count, 2, levels, height), np.bool_)
    for k in range(1, count):
        (visible, step), (hidden, hidden_step) = _best_steps(visible), _best_steps(hidden)
        appears, hides = hidden - _HIDE_COST > visible, visible - _HIDE_COST > hidden
        steps[k] = np.where(appears, hidden_step, step), np.where(hides, step, hidden_step)
        was_visible[k] = ~appears, hides
        visible, hidden = (
            np.maximum(visible, hidden - _HIDE_COST) + log_ratios[:, :, k],
            np.maximum(hidden, visible - _HIDE_COST) - _HIDDEN_COST * in_span[k],
        )
    totals = np.concatenate([visible, hidden])
    best = np.pad(totals.max(axis=0), 1, constant_values=-np.inf)
    is_peak = (best[1:-1] >= best[:-2]) & (best[1:-1] >= best[2:]) & (best[1:-1] > 0)
    peaks = np.flatnonzero(is_peak)
    peaks = peaks[np.argsort(-best[1:-1][peaks], kind="stable")]
    state, level = np.divmod(totals.argmax(axis=0)[peaks], levels)
    row, heights = peaks, np.zeros((len(peaks), count), np.intp)
    seen = np.zeros((len(peaks), count), np.bool_)
    for k in range(count - 1, -1, -1):
        heights[:, k], seen[:, k] = row, state == 0
        row, state = row + steps[k, state, level, row], 1 - was_visible[k, state, level, row]
    kept = _distinct_paths(heights, height)
    return heights[kept], level[kept], seen[kept]


def _best_steps(totals: Doubles) -> tuple[Doubles, npt.NDArray[np.int8]]:
    """Returns the best total to reach each height from it or its neighbours, and the step there."""
    padded = np.pad(totals, ((0, 0), (1, 1)), constant_values=-np.inf)
    options = np.stack([totals, padded[:, :-2] - _STEP_COST, padded[:, 2:] - _STEP_COST])
    choice = options.argmax(axis=0)
    return options.max(axis=0), np.array([0, -1, 1], np.int8)[choice]


def _distinct_paths(heights: npt.NDArray[np.intp], height: int) -> list[int]:
    """Returns the indices of paths, best first, that do not mostly coincide with a better one."""
    taken, strips = np.zeros((height, heights.shape[1]), np.bool_), np.arange(heights.shape[1])
    kept: list[int] = []
    for number, path in enumerate(heights):
        if taken[path, strips].mean() < _SAME_SHARE:
            kept.append(number)
            for offset in range(-_NEAR_PIXELS, _NEAR_PIXELS + 1):
                taken[np.clip(path + offset, 0, height - 1), strips] = True
    return kept
