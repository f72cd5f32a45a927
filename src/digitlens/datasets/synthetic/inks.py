"""Inks: pairs of colours that can be told apart, and putting ink and signs on paper."""

from __future__ import annotations

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Boxes, Colour, Ink, Plane
from digitlens.datasets.synthetic.papers import draw_paper


def draw_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Paper and ink: usually dark on light, any other pair that can be told apart as well.

    Returns:
        Two of float32[3], 0..255.
    """
    kind = rng.random()
    if kind < 0.5:
        paper = np.full(3, rng.uniform(140, 255)) + rng.normal(0, 8, 3)
        ink = np.full(3, rng.uniform(0, 70)) + rng.normal(0, 12, 3)
        if rng.random() < 0.35:  # a coloured pen
            ink = ink + rng.uniform(0, 110, 3) * (rng.random(3) < 0.4)
    elif kind < 0.68:
        paper = np.full(3, rng.uniform(0, 60)) + rng.normal(0, 8, 3)
        ink = np.full(3, rng.uniform(150, 255)) + rng.normal(0, 12, 3)
    else:
        paper, ink = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    weights = np.array([0.299, 0.587, 0.114])
    least = float(rng.choice([28, 50, 80]))
    if abs(weights @ (ink - paper)) < least and np.abs(ink - paper).max() < 1.8 * least:
        ink = np.where(weights @ paper > 128, paper - 1.6 * least, paper + 1.6 * least)
    return np.clip(paper, 0, 255).astype(np.float32), np.clip(ink, 0, 255).astype(np.float32)


def inked(
    paper: Plane,
    ink: Ink,
    colour: Colour,
    rng: np.random.Generator,
    strength: float = 1.0,
) -> Plane:
    """Puts ink on paper; returns float32[h, w, 3].

    Args:
        paper: float32[h, w, 3].
        ink: uint8[h, w].
        colour: float32[3]; of the ink.
        rng: Decides whether the pen leaves gaps.
        strength: How much of the colour full ink brings, 0..1.
    """
    if not ink.any():
        return paper
    cover = ink.astype(np.float32) * np.float32(strength / 255)
    if rng.random() < 0.25:  # pencil and dry pens leave gaps
        grain = rng.standard_normal(cover.shape, np.float32) * np.float32(rng.uniform(0.05, 0.35))
        cover *= np.clip(1 - np.abs(cv2.GaussianBlur(grain, (0, 0), 0.7) * 1.5), 0.15, 1)
    return _blend(paper, colour, cover)


def with_plate(paper: Plane, colour: Colour, boxes: Boxes, rng: np.random.Generator) -> Plane:
    """Paints a sign of one colour under the writing, as house numbers have it.

    Returns float32[h, w, 3]; the paper itself where nothing is written.

    Args:
        paper: float32[h, w, 3].
        colour: float32[3]; of the sign.
        boxes: float[N, 4]; what the sign is under.
        rng: Decides its margin and texture.
    """
    if not len(boxes):
        return paper
    pad = float(rng.uniform(0.1, 0.6)) * float(np.median(boxes[:, 3] - boxes[:, 1]))
    x0, y0 = boxes[:, :2].min(axis=0) - pad
    x1, y1 = boxes[:, 2:].max(axis=0) + pad
    mask = np.zeros(paper.shape[:2], np.float32)
    cv2.rectangle(mask, (int(x0), int(y0)), (int(x1), int(y1)), 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.7), np.float32)
    return _blend(paper, draw_paper(paper.shape[1], paper.shape[0], colour, rng), soft)


def _blend(below: Plane, above: Plane | Colour, cover: Plane) -> Plane:
    """What is seen of two where one covers the other; cover is float32[h, w], 0..1."""
    return np.asarray(below + cover[:, :, None] * (above - below), np.float32)
