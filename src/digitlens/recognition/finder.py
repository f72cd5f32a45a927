"""Finds digits on a page by their ink: connected strokes, cleaned, joined and in reading order.

Knows ink, not digits: it finds letters as well. Touching digits are found as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page
from digitlens.data.tiles import edge
from digitlens.recognition.components import Components, connected_components
from digitlens.recognition.ink import Ink, separate_ink
from digitlens.recognition.parts import Part, digit_parts
from digitlens.recognition.rules import find_rules
from digitlens.results import Box

_SURE = 4.3  # times the noise: mean strength of a digit's ink
_SUPPORT = 0.7  # of the threshold: thin strokes and the joints of broken ones do not reach it whole
_MARGIN = 24  # a digit's soft edge is taken to be its size divided by this


@dataclass(frozen=True)
class Found:
    """Something on a page that may be a digit.

    Attributes:
        box: Where it is, in page pixels.
        ink: uint8[h, w]; its strokes alone, bright on dark, ready for ``to_tile``.
    """

    box: Box
    ink: npt.NDArray[np.uint8]


def find_digits(page: Page) -> list[list[Found]]:
    """Finds what may be digits, in lines from top to bottom, each from left to right.

    Args:
        page: uint8[H, W] or uint8[H, W, 3], see ``load_image``.

    Returns:
        The lines; empty for blank paper, with or without noise on it.
    """
    ink = separate_ink(page)
    if ink is None:
        return []
    ink = _without_rules(ink)
    mask = ink.strength > _SUPPORT * ink.threshold
    components = connected_components(mask)
    height, width = mask.shape
    lines = digit_parts(_parts(components, mask, ink), width, height)
    return [[_found(part, ink, components.labels, page.shape) for part in line] for line in lines]


def _without_rules(ink: Ink) -> Ink:
    rules = find_rules(ink.strength > _SUPPORT * ink.threshold)
    return replace(ink, strength=np.where(rules, np.float32(0), ink.strength))


def _parts(components: Components, mask: npt.NDArray[np.bool_], ink: Ink) -> list[Part]:
    areas, within = components.areas, components.labels[mask]
    strength = np.bincount(within, ink.strength[mask], minlength=len(areas) + 1)[1:] / areas
    edges = np.bincount(components.labels[edge(mask)], minlength=len(areas) + 1)[1:]
    return [
        Part((int(i) + 1,), Box(*components.boxes[i].tolist()), 2 * float(areas[i] / edges[i]))
        for i in np.argsort(-areas, kind="stable")
        if areas[i] > 2 and strength[i] > _SURE * ink.noise
    ]


def _found(part: Part, ink: Ink, labels: npt.NDArray[np.int32], shape: Sequence[int]) -> Found:
    margin = max(1, round(max(part.box.width, part.box.height) / _MARGIN))
    rows = slice(max(0, part.box.y0 - margin), part.box.y1 + margin)
    columns = slice(max(0, part.box.x0 - margin), part.box.x1 + margin)
    core = np.isin(labels[rows, columns], part.labels)
    strength = ink.strength[rows, columns]
    paper, full = min(2 * ink.noise, ink.threshold / 2), np.quantile(strength[core], 0.75)
    level = np.clip((strength - paper) / (full - paper), 0, 1) * _grown(core, margin)
    return Found(_on_page(part.box, ink.scale, shape), np.rint(level * 255).astype(np.uint8))


def _grown(mask: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    """The mask and all within ``by`` pixels, along rows, then along columns."""
    for _ in range(2):
        framed = np.pad(mask, ((0, 0), (by + 1, by)))
        count = np.cumsum(framed, axis=1, dtype=np.int32)
        mask = (count[:, 2 * by + 1 :] > count[:, : -2 * by - 1]).T
    return mask


def _on_page(box: Box, scale: float, shape: Sequence[int]) -> Box:
    return Box(
        int(box.x0 / scale),
        int(box.y0 / scale),
        min(shape[1], -int(-box.x1 // scale)),
        min(shape[0], -int(-box.y1 // scale)),
    )
