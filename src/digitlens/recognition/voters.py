"""Asks each network for its vote on candidates: which digit it is, if it is one at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page
from digitlens.data.tiles import to_tiles
from digitlens.data.windows import Windows, windows
from digitlens.evaluation.votes import Votes
from digitlens.model.classifier import Classifier
from digitlens.model.crop_model import NONE, CropModel
from digitlens.recognition.candidates import Candidates, Floats
from digitlens.recognition.crops import ink_in

_CERTAIN = 0.95  # probability of a value that two networks agree on: a third is not asked
_HOPELESS = 0.02  # probability of being a digit: nobody needs to know which

Tiles = npt.NDArray[np.uint8]
Shown = list[Tiles | None]  # a tile for each candidate, None where the classifier was not asked


def cast_votes(
    page: Page, found: Candidates, crops: CropModel, classifier: Classifier
) -> tuple[Windows, Shown, Votes]:
    """The votes on candidates, and what the crop network and the classifier saw of each.

    Framing a tile costs more than both other votes. Where the page and the crop network are certain
    of the same value, or the crop network of seeing no digit, the classifier is not asked, and the
    crop network's vote stands for its own.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        found: Candidates, with the votes of the page network.
        crops: Names what stands in the middle of a window.
        classifier: Names tiles.

    Returns:
        uint8[N, 56, 56, 3], the tile of each that the classifier was asked about, and the votes.
    """
    cut = windows(page, found.boxes)
    seen = crops.predict_proba(cut)
    digit, named = _named(seen)
    tile = named.copy()
    asked = _asked(found.probabilities, named, digit)
    framed = tiles_of(page, found.boxes[asked])
    tile[asked] = classifier.predict_proba(framed)
    shown: Shown = [None] * len(found)
    for place, its in zip(asked.tolist(), framed, strict=True):
        shown[place] = its
    names = np.stack([found.probabilities, named, tile], axis=1)
    return cut, shown, Votes(found.score, digit, names, found.boxes)


def cast_two_votes(
    page: Page, boxes: Floats, crops: CropModel, classifier: Classifier
) -> tuple[Windows, Shown, Votes]:
    """The votes of crop network and classifier alone, on candidates that no network found.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        boxes: float32[N, 4].
        crops: Names what stands in the middle of a window; its vote stands for the page network's.
        classifier: Names tiles.

    Returns:
        uint8[N, 56, 56, 3], the tile of each, and the votes.
    """
    cut = windows(page, boxes)
    digit, named = _named(crops.predict_proba(cut))
    shown = tiles_of(page, boxes)
    tile = classifier.predict_proba(shown)
    return cut, list(shown), Votes(digit, digit, np.stack([named, named, tile], axis=1), boxes)


def tiles_of(page: Page, boxes: Floats) -> Tiles:
    """uint8[N, 28, 28]: what stands in boxes, framed for the classifier.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        boxes: float32[N, 4].
    """
    return to_tiles([ink_in(page, box) for box in boxes])


def tiles_shown(shown: Sequence[Tiles | None], page: Page, boxes: Floats) -> Tiles:
    """uint8[N, 28, 28]: the tiles that the classifier saw, or would have seen where not asked.

    Args:
        shown: The tile of each candidate, None where the classifier was not asked.
        page: uint8[H, W] or uint8[H, W, 3]; what the others are cut from.
        boxes: float32[N, 4]; on that page.
    """
    missing = [k for k, tile in enumerate(shown) if tile is None]
    cut = iter(tiles_of(page, boxes[missing]))
    tiles = [next(cut) if tile is None else tile for tile in shown]
    return np.stack(tiles) if tiles else np.zeros((0, 28, 28), np.uint8)


def _named(seen: Floats) -> tuple[Floats, Floats]:
    """From float32[N, 11]: that it is a digit, and which one if it is."""
    digit = seen[:, :NONE].sum(axis=1)
    return digit, seen[:, :NONE] / np.maximum(digit, np.float32(1e-6))[:, None]


def _asked(network: Floats, crop: Floats, digit: Floats) -> npt.NDArray[np.intp]:
    agreed = network.argmax(axis=1) == crop.argmax(axis=1)
    certain = agreed & (np.minimum(network.max(axis=1), crop.max(axis=1)) > _CERTAIN)
    return np.flatnonzero(~certain & (digit > _HOPELESS))
