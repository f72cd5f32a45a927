"""Papers that ink stands on: plain, textured, patterned like a check, ruled, or no paper at all."""

from __future__ import annotations

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Colour, Plane


def draw_paper(
    width: int,
    height: int,
    colour: Colour,
    rng: np.random.Generator,
    *,
    wild: bool = False,
    patterned: bool = False,
) -> Plane:
    """Draws a paper.

    Args:
        width: In pixels.
        height: In pixels.
        colour: float32[3] in gray levels; of the paper on average.
        rng: Decides everything else.
        wild: A scene instead of a paper: what a photograph without any digit may show.
        patterned: Most often with fine lines, as a check.

    Returns:
        float32[height, width, 3] in gray levels, not clipped.
    """
    if wild:
        return _scene(width, height, rng)
    paper: Plane = np.broadcast_to(colour, (height, width, 3)).astype(np.float32)
    kind = 0.8 if patterned and rng.random() < 0.7 else rng.random()
    if kind < 0.38:
        return paper
    level = float(rng.choice([4, 8, 16, 28], p=[0.4, 0.3, 0.2, 0.1]))
    if kind < 0.58:
        texture = _clouds(width, height, rng) * level
    elif kind < 0.66:
        texture = _grain(width, height, rng) * level
    elif kind < 0.9:
        texture = _guilloche(width, height, rng) * level * float(rng.uniform(1, 2.5))
    else:
        texture = _blotches(width, height, rng) * level
    tint = rng.uniform(0.6, 1.0, 3).astype(np.float32)
    return np.asarray(paper + texture[:, :, None] * tint, np.float32)


def noise_field(width: int, height: int, cells: float, rng: np.random.Generator) -> Plane:
    """Smooth noise with so many cells along the longest side; float32, standard deviation 1."""
    step = max(width, height) / cells
    size = max(2, round(height / step) + 1), max(2, round(width / step) + 1)
    small = rng.standard_normal(size, np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _clouds(width: int, height: int, rng: np.random.Generator) -> Plane:
    cells = float(np.exp(rng.uniform(np.log(2), np.log(max(width, height) / 1.5))))
    field = noise_field(width, height, cells, rng)
    if rng.random() < 0.5:
        field = field * 0.6 + 0.6 * noise_field(width, height, cells / 3 + 2, rng)
    return np.asarray(field, np.float32)


def _grain(width: int, height: int, rng: np.random.Generator) -> Plane:
    """Wood or brushed metal: noise drawn out along one direction."""
    noise = rng.standard_normal((height, width), np.float32)
    blur = (int(rng.integers(12, 60)) | 1, int(rng.integers(1, 4)) | 1)
    across = rng.random() < 0.5
    field = np.asarray(cv2.blur(noise, blur if across else blur[::-1]), np.float32)
    return field / max(1e-6, float(field.std()))


def _guilloche(width: int, height: int, rng: np.random.Generator) -> Plane:
    """Fine wavy lines in one to three directions, as checks and banknotes have them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out = np.zeros((height, width), np.float32)
    sharp = float(rng.uniform(0.3, 4))
    for _ in range(int(rng.integers(1, 4))):
        angle, period = rng.uniform(0, np.pi), rng.uniform(3.0, 14)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        swing, long = rng.uniform(0, 8), rng.uniform(20, 120)
        phase = along + swing * np.sin(across * (2 * np.pi / long) + rng.uniform(0, 6))
        out += np.tanh(sharp * (np.sin(phase * (2 * np.pi / period)) - rng.uniform(0.2, 0.9)))
    out -= out.mean()
    return out / max(1e-6, float(out.std()))


def _blotches(width: int, height: int, rng: np.random.Generator) -> Plane:
    field = noise_field(width, height, float(rng.uniform(3, 20)), rng)
    return np.tanh(6 * (field - float(rng.uniform(0, 1.5)))).astype(np.float32)


def _scene(width: int, height: int, rng: np.random.Generator) -> Plane:
    """Overlapping shapes of any colour and focus, over noise at many scales."""
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    scene: Plane = np.broadcast_to(colour, (height, width, 3)).copy()
    for _ in range(int(rng.integers(2, 25))):
        _shape(scene, rng)
        if rng.random() < 0.15:
            blurred = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.5, 6)))
            scene = np.asarray(blurred, np.float32)
    for cells in (4, 16, 64):
        strength = float(rng.exponential(7))
        scene += strength * noise_field(width, height, cells, rng)[:, :, None]
    return scene


def _shape(scene: Plane, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    size = max(width, height) * float(np.exp(rng.uniform(np.log(0.03), np.log(0.6))))
    centre = rng.uniform(-0.1, 1.1, 2) * (width, height)
    colour = tuple(float(v) for v in rng.uniform(0, 255, 3))
    kind = rng.random()
    if kind < 0.45:
        count = int(rng.integers(3, 9))
        turn = np.sort(rng.uniform(0, 2 * np.pi, count))
        reach = size * rng.uniform(0.4, 1, count) / 1.5
        points = centre + np.stack([np.cos(turn), np.sin(turn)], 1) * reach[:, None]
        cv2.fillPoly(scene, [np.rint(points).astype(np.int32)], colour, cv2.LINE_AA)
    elif kind < 0.75:
        axes = max(1, round(size / 2)), max(1, round(size * float(rng.uniform(0.1, 1)) / 2))
        thick = -1 if rng.random() < 0.6 else int(rng.integers(1, 8))
        place = (round(centre[0]), round(centre[1]))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(scene, place, axes, angle, 0, 360, colour, thick, cv2.LINE_AA)
    else:
        ends = centre + rng.uniform(-1, 1, (int(rng.integers(2, 5)), 2)) * size
        thick = int(rng.integers(1, 10))
        fixed = np.rint(ends).astype(np.int32)
        cv2.polylines(scene, [fixed], bool(rng.random() < 0.3), colour, thick, cv2.LINE_AA)
