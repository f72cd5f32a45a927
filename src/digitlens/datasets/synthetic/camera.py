"""Simulates the camera and the scanner: framing, light, dirt, blur, noise and compression."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.synthetic.canvas import Canvas
from digitlens.datasets.synthetic.drawing import (
    Extent,
    Ink,
    Matrix,
    Pixels,
    Plane,
    Points,
    Rng,
    about_point,
    as_colour,
    blend,
    blend_tint,
    blur,
    curve,
    extent_of,
    fill,
    log_uniform,
    pick,
    project,
    rectangle,
    rotation,
    unit_circle,
)
from digitlens.datasets.synthetic.papers import noise_field, smooth


def light(page: Plane, rng: Rng) -> Plane:
    """Adds uneven light, at random: gradients, soft or hard shadows, glare and folds.

    float32[h, w, 3] → float32[h, w, 3], not clipped.
    """
    height, width = page.shape[:2]
    factor = np.ones((height, width), np.float32)
    if rng.random() < 0.45:
        gradient = noise_field(width, height, rng.uniform(1, 3), rng)
        factor *= np.clip(1 + rng.uniform(0.02, 0.22) * gradient, 0.25, 1.6)
    if rng.random() < 0.15:
        factor *= _shadow(width, height, rng)
    if rng.random() < 0.08:
        factor *= _fold(width, height, rng)
    page = page * factor[:, :, None]
    if rng.random() < 0.06:
        spot = noise_field(width, height, rng.uniform(1.5, 4), rng)
        glare = np.clip(spot - rng.uniform(0.3, 1.2), 0, None)
        page = np.asarray(page + (rng.uniform(20, 150) * glare)[:, :, None], np.float32)
    return page


def soil(page: Plane, rng: Rng) -> Plane:
    """Adds dust, and sometimes hairs, folds, staples, stains or the border of a scan.

    float32[h, w, 3] → float32[h, w, 3]. Sizes are relative to a sheet of A4 or a part of it.
    """
    millimetre = max(page.shape[:2]) / 297 * (1 if rng.random() < 0.6 else rng.uniform(1, 4))
    for add_dirt in _SOILS:
        if rng.random() < 0.35:
            page = add_dirt(page, millimetre, rng)
    if rng.random() < 0.3:
        page = page * _fold(page.shape[1], page.shape[0], rng)[:, :, None]
    return _dust(page, millimetre, rng)


def _dust(plane: Plane, mm: float, rng: Rng) -> Plane:
    """Dust and grains of toner, sometimes in a heap."""
    height, width = plane.shape[:2]
    marks = np.zeros((height, width), np.uint8)
    count = round(log_uniform(rng, 2, 300))
    positions = rng.uniform(0, 1, (count, 2)) * (width, height)
    if rng.random() < 0.3:
        heap = rng.uniform(0, 1, 2) * (width, height)
        positions = heap + rng.normal(0, 0.06 * max(width, height), (count, 2))
    for position in positions:
        size = mm * log_uniform(rng, 0.15, 1.6)
        radii = size * rng.uniform(0.4, 1, 7) / 2
        fill(marks, position + unit_circle(np.arange(7) * 2 * np.pi / 7) * radii[:, None], 255)
    colour = as_colour(plane.mean((0, 1)) * rng.uniform(0.1, 0.8))
    return blend_tint(plane, colour, marks, rng.uniform(0.3, 1))


def _hairs(plane: Plane, mm: float, rng: Rng) -> Plane:
    marks = np.zeros(plane.shape[:2], np.uint8)
    for _ in range(int(rng.integers(1, 8))):
        angles = np.cumsum(rng.normal(0, 0.3, 12)) + rng.uniform(0, 2 * np.pi)
        walk = np.cumsum(unit_circle(angles), axis=0)
        start = rng.uniform(0, 1, 2) * plane.shape[1::-1]
        curve(marks, smooth(start + walk * mm * log_uniform(rng, 0.3, 3)), 255, 1)
    strength = rng.uniform(0.4, 1)
    return blend_tint(plane, as_colour(rng.uniform(0, 120, 3)), marks, strength)


def _staples(plane: Plane, mm: float, rng: Rng) -> Plane:
    """Staples with a shadow, the two holes of a staple, or the holes of a punch."""
    height, width = plane.shape[:2]
    plane = plane.copy()
    dark = (float(rng.uniform(0, 70)),) * 3
    if rng.random() < 0.4:
        x = (6 * mm + rng.uniform(0, 8) * mm) if rng.random() < 0.7 else width - 10 * mm
        middle, pitch = height * rng.uniform(0.4, 0.6), 80 * mm
        for y in (middle - pitch / 2, middle + pitch / 2):
            cv2.circle(plane, (int(x), int(y)), max(1, round(3 * mm)), dark, -1, cv2.LINE_AA)
        return plane
    for _ in range(int(rng.integers(1, 3))):
        angle, centre = rng.uniform(0, np.pi), rng.uniform(0, 1, 2) * (width, height)
        half = unit_circle(angle) * mm * rng.uniform(4, 6.5)
        ends = np.rint([centre - half, centre + half])
        thick = max(1, round(mm * rng.uniform(0.5, 1)))
        if rng.random() < 0.3:
            for end in ends:
                cv2.circle(plane, end.astype(int).tolist(), thick, dark, -1, cv2.LINE_AA)
            continue
        curve(plane, ends + thick, (90.0,) * 3, thick)
        curve(plane, ends, (float(rng.uniform(120, 230)),) * 3, thick)
    return plane


def _stains(plane: Plane, mm: float, rng: Rng) -> Plane:
    """Rings left by cups, and drops with a dark rim."""
    height, width = plane.shape[:2]
    marks = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        size = mm * (rng.uniform(30, 45) if rng.random() < 0.4 else log_uniform(rng, 1, 25))
        angles = np.linspace(0, 2 * np.pi, 24)[:-1]
        wave = 1 + rng.uniform(0, 0.12) * np.sin(angles * rng.integers(1, 5) + rng.uniform(0, 6))
        offsets = unit_circle(angles) * (size * wave)[:, None]
        outline = np.rint(rng.uniform(0, 1, 2) * (width, height) + offsets)
        if size < 25 * mm:
            fill(marks, outline, rng.uniform(0.1, 0.5))
        thick = max(1, round(mm * rng.uniform(0.5, 2)))
        curve(marks, outline, rng.uniform(0.3, 0.9), thick, closed=True)
    tint = as_colour(np.array([150, 110, 60]) + rng.normal(0, 25, 3))
    return blend(plane, tint, blur(marks, 0.3 * mm + 0.3) * np.float32(rng.uniform(0.1, 0.5)))


def _border(plane: Plane, mm: float, rng: Rng) -> Plane:
    """The dark border of a scan or copy, or the table at the edge of the paper."""
    side = int(rng.integers(4))
    rotated = np.rot90(plane, side).copy()
    border = max(1, round(mm * log_uniform(rng, 1, 25)))
    slope = rng.uniform(-0.03, 0.03)
    rows = np.arange(rotated.shape[0], dtype=np.float32)[:, None]
    cover = (np.arange(rotated.shape[1])[None] < border + slope * rows).astype(np.float32)
    bordered = blend(rotated, as_colour(rng.uniform(0, 140, 3)), blur(cover, rng.uniform(0.5, 4)))
    return np.ascontiguousarray(np.rot90(bordered, -side))


_SOILS = (_hairs, _staples, _stains, _border)


def expose(page: Plane, rng: Rng) -> Pixels:
    """Takes the picture: blur, loss of resolution, noise and compression, each at random.

    float32[h, w, 3] → uint8[h, w, 3].
    """
    if rng.random() < 0.35:
        page = blur(page, rng.gamma(1.5, 0.6) + 0.2)
    if rng.random() < 0.06:
        length = int(rng.integers(3, 10)) | 1
        page = _motion_blur(page, length, rng.uniform(0, np.pi))
    if rng.random() < 0.15:
        page = _lose_detail(page, rng)
    if rng.random() < 0.5:
        page = _add_noise(page, rng.gamma(1.2, 3.5), rng)
    pixels = np.clip(page, 0, 255).astype(np.uint8)
    return compress(pixels, int(rng.integers(12, 96))) if rng.random() < 0.35 else pixels


def compress(pixels: Pixels, quality: int) -> Pixels:
    """The picture after a round trip through JPEG; quality is 1 to 100."""
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def _shadow(width: int, height: int, rng: Rng) -> Plane:
    corners = rng.uniform(-0.3, 1.3, (int(rng.integers(3, 6)), 2)) * (width, height)
    mask = np.zeros((height, width), np.float32)
    fill(mask, corners, 1.0)
    shade = blur(mask, log_uniform(rng, 0.5, 25))
    return 1 - rng.uniform(0.1, 0.6) * shade


def _fold(width: int, height: int, rng: Rng) -> Plane:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    along_x = (x - rng.uniform(0, width)) * np.cos(angle)
    distance = along_x + (y - rng.uniform(0, height)) * np.sin(angle)
    step = np.tanh(distance / rng.uniform(0.5, 4)) * rng.uniform(0.02, 0.1)
    crease = np.exp(-((distance / rng.uniform(0.7, 2.5)) ** 2)) * rng.uniform(-0.3, 0.3)
    return (1 + step + crease).astype(np.float32)


def _motion_blur(plane: Plane, length: int, angle: float) -> Plane:
    """Motion blur along one direction; ``length`` is odd, in pixels."""
    kernel = np.zeros((length, length), np.float32)
    middle = length // 2
    x, y = round(middle * np.cos(angle)), round(middle * np.sin(angle))
    cv2.line(kernel, (middle - x, middle - y), (middle + x, middle + y), 1.0, 1)
    return np.asarray(cv2.filter2D(plane, -1, kernel / kernel.sum()), np.float32)


def _lose_detail(page: Plane, rng: Rng) -> Plane:
    height, width = page.shape[:2]
    factor = rng.uniform(1.2, 2.5)
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(page, size, interpolation=cv2.INTER_AREA)
    method = pick(rng, [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
    return np.asarray(cv2.resize(small, (width, height), interpolation=method), np.float32)


def _add_noise(plane: Plane, level: float, rng: Rng) -> Plane:
    """Sensor noise, gray and sometimes also per channel; ``level`` is its standard deviation."""
    noise = rng.standard_normal((*plane.shape[:2], 1), np.float32) * level
    if rng.random() < 0.4:
        noise = noise + rng.standard_normal(plane.shape, np.float32) * (level / 2)
    return np.asarray(plane + noise, np.float32)


HEIGHT = 48  # of a line crop, in pixels
STEP = 8  # the width of a line crop is a multiple of it
NARROWEST, WIDEST = 32, 512


class CameraView(NamedTuple):
    """The visible part of the plane of the paper, and its scale."""

    width: int  # of the canvas, in pixels
    height: int  # in pixels
    matrix: Matrix  # float64[3, 3]; from digit heights in the paper's plane to pixels of the canvas
    window: Extent  # the visible part of the plane, approximately
    digit: float  # height of a digit, in pixels of the canvas

    def mask(self) -> Ink:
        """An empty mask; uint8[h, w]."""
        return np.zeros((self.height, self.width), np.uint8)

    def fill(self, mask: Ink, outline: Points, bits: int) -> None:
        """Fills an outline, given in the paper's plane, in a mask; see ``drawing.fill``."""
        fill(mask, np.clip(project(self.matrix, outline) - 0.5, -999, 9999), 255, bits)

    def canvas(self) -> Canvas:
        """A canvas without ink."""
        return Canvas(self.width, self.height, self.matrix)

    def finer(self, factor: int) -> CameraView:
        """The same view with ``factor`` times the pixels along each side."""
        larger = np.diag((factor, factor, 1.0)) @ self.matrix
        size = self.width * factor, self.height * factor
        return CameraView(*size, larger, self.window, self.digit * factor)


class Framing(NamedTuple):
    """Framing of a kind of line."""

    tilt: float = 0.4  # fraction that is tilted or seen in perspective
    small: float = 0.3  # fraction drawn with few pixels and enlarged
    tight: float = 0.6  # usual least fraction of the height that the text fills
    side: float = 0.18  # mean of the margin at either end, in digit heights
    smallest: float = 7.0  # least height of a digit, in pixels of the canvas
    cut: float = 0.0  # fraction whose first or last character is cut, by up to 0.4 digit heights


def choose_view(extent: Extent, rng: Rng, framing: Framing | None = None) -> CameraView:
    """Frames a text: tight or loose, slightly off centre, tilted, with many pixels or few.

    The extent is enlarged to at least a digit's height, from the baseline up.
    """
    framing = framing or Framing()
    x0, x1 = extent[0], max(extent[2], extent[0] + 0.2)
    y0, y1 = min(extent[1], -1.0), max(extent[3], 0.0)
    perspective = _perspective((x0, y0, x1, y1), rng) if rng.random() < framing.tilt else np.eye(3)
    x0, y0, x1, y1 = extent_of(project(perspective, rectangle(x0, y0, x1, y1)))
    tall = (y1 - y0) / _height_fraction(rng, framing.tight)
    left, right = (min(1.2, float(v)) for v in rng.exponential(framing.side, 2))
    if rng.random() < framing.cut:
        cut = -rng.uniform(0.02, 0.4)
        left, right = (cut, right) if rng.random() < 0.5 else (left, cut)
    wide = x1 - x0 + left + right
    tall = max(tall, wide * HEIGHT / WIDEST)
    width = min(WIDEST, max(NARROWEST, STEP * int(np.ceil(wide * HEIGHT / tall / STEP))))
    x0 -= left + (width * tall / HEIGHT - wide) * rng.beta(2, 2)
    y0 -= (tall - (y1 - y0)) * rng.beta(2.5, 2.5)
    height = _canvas_height(tall, rng, framing)
    scale = height / tall
    placement = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale], [0, 0, 1]])
    size = max(1, round(width * height / HEIGHT)), height
    window = (x0, y0, x0 + width * tall / HEIGHT, y0 + tall)
    return CameraView(*size, placement @ perspective, window, scale)


def finish(plane: Plane | Pixels, rng: Rng) -> Pixels:
    """Scales a picture of a line to the height of a crop; uint8[48, W, 3]."""
    height, width = plane.shape[:2]
    target_width = STEP * round(width * HEIGHT / height / STEP)
    size = min(WIDEST, max(NARROWEST, target_width)), HEIGHT
    if (width, height) == size:
        return np.clip(plane, 0, 255).astype(np.uint8)
    method = cv2.INTER_AREA
    if height < HEIGHT:
        methods = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]
        method = int(rng.choice(methods, p=[0.15, 0.5, 0.35]))
    elif rng.random() < 0.3:
        method = cv2.INTER_LINEAR
    resized = cv2.resize(np.asarray(plane, np.float32), size, interpolation=method)
    return np.clip(resized, 0, 255).astype(np.uint8)


def photograph(plane: Plane, digit: float, rng: Rng) -> Pixels:
    """Adds blur, noise and compression, each at random and limited so that digits stay legible.

    ``plane`` is float32[h, w, 3]; ``digit`` is the height of a digit on it, in pixels.
    """
    if rng.random() < 0.4:
        sigma = rng.uniform(0.015, 0.075) * digit
        if sigma > 0.25:
            plane = blur(plane, sigma)
    if rng.random() < 0.05:
        length = max(2, round(digit * rng.uniform(0.06, 0.14))) | 1
        plane = _motion_blur(plane, length, rng.uniform(0, np.pi))
    if rng.random() < 0.45:
        plane = _add_noise(plane, rng.gamma(1.3, 3.0) * min(1.0, digit / 18), rng)
    pixels, min_quality = np.clip(plane, 0, 255).astype(np.uint8), 15 if digit > 16 else 45
    return compress(pixels, int(rng.integers(min_quality, 96))) if rng.random() < 0.35 else pixels


def _height_fraction(rng: Rng, tight: float) -> float:
    """Fraction of the crop's height that the text fills; above 1 its edges are cut off."""
    kind = rng.random()
    if kind < 0.72:
        return rng.uniform(tight, 0.96)
    return float(rng.uniform(0.45, tight) if kind < 0.9 else rng.uniform(0.96, 1.07))


def _canvas_height(crop_height: float, rng: Rng, framing: Framing) -> int:
    """Height of the canvas in pixels."""
    if rng.random() >= framing.small:
        return round(HEIGHT * pick(rng, [1.0, 1.0, 1.33]))
    digit = log_uniform(rng, framing.smallest, 26.0)
    return int(np.clip(np.ceil(digit * crop_height), 8, HEIGHT))


def _perspective(extent: Extent, rng: Rng) -> Matrix:
    """A rotation about the centre, sometimes with shear or perspective."""
    x, y = (extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2
    width, height = extent[2] - extent[0], extent[3] - extent[1]
    max_turn = min(0.105, 0.5 * height / width)
    matrix = rotation(float(np.clip(rng.normal(0, 0.045), -max_turn, max_turn)))
    if rng.random() < 0.3:
        matrix = np.array([[1, rng.normal(0, 0.12), 0], [0, 1, 0], [0, 0, 1]]) @ matrix
    if rng.random() < 0.3:
        tilt = rng.uniform(-0.25, 0.25) / max(width, 1.0)
        matrix = np.array([[1, 0, 0], [0, 1, 0], [tilt, rng.uniform(-0.12, 0.12), 1]]) @ matrix
    return about_point(matrix, x, y)
