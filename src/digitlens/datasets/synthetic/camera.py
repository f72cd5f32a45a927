"""What happens to a page on its way into a file: light, focus, motion, resolution, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Pixels, Plane
from digitlens.datasets.synthetic.papers import noise_field


def light(page: Plane, rng: np.random.Generator) -> Plane:
    """Uneven light: gradients, shadows with soft or hard edges, glare and folds.

    Args:
        page: float32[h, w, 3].
        rng: Decides which of them, if any.

    Returns:
        float32[h, w, 3], not clipped.
    """
    height, width = page.shape[:2]
    factor = np.ones((height, width), np.float32)
    if rng.random() < 0.45:
        gradient = noise_field(width, height, float(rng.uniform(1, 3)), rng)
        factor *= np.clip(1 + float(rng.uniform(0.02, 0.22)) * gradient, 0.25, 1.6)
    if rng.random() < 0.15:
        factor *= _shadow(width, height, rng)
    if rng.random() < 0.08:
        factor *= _fold(width, height, rng)
    page = page * factor[:, :, None]
    if rng.random() < 0.06:
        spot = noise_field(width, height, float(rng.uniform(1.5, 4)), rng)
        glare = np.clip(spot - float(rng.uniform(0.3, 1.2)), 0, None)
        page = np.asarray(page + (float(rng.uniform(20, 150)) * glare)[:, :, None], np.float32)
    return page


def expose(page: Plane, rng: np.random.Generator) -> Pixels:
    """Takes the picture: blurs, loses resolution, adds noise and compresses, each now and then.

    Args:
        page: float32[h, w, 3].
        rng: Decides which of them, and how much.

    Returns:
        uint8[h, w, 3].
    """
    if rng.random() < 0.35:
        blurred = cv2.GaussianBlur(page, (0, 0), float(rng.gamma(1.5, 0.6)) + 0.2)
        page = np.asarray(blurred, np.float32)
    if rng.random() < 0.06:
        page = _moved(page, rng)
    if rng.random() < 0.15:
        page = _coarse(page, rng)
    if rng.random() < 0.5:
        page = page + _sensor_noise(page.shape[0], page.shape[1], rng)
    pixels = np.clip(page, 0, 255).astype(np.uint8)
    return _compressed(pixels, int(rng.integers(12, 96))) if rng.random() < 0.35 else pixels


def _compressed(pixels: Pixels, quality: int) -> Pixels:
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def _shadow(width: int, height: int, rng: np.random.Generator) -> Plane:
    corners = rng.uniform(-0.3, 1.3, (int(rng.integers(3, 6)), 2)) * (width, height)
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1.0, cv2.LINE_AA)
    soft = float(np.exp(rng.uniform(np.log(0.5), np.log(25))))
    shade = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), np.float32)
    return 1 - float(rng.uniform(0.1, 0.6)) * shade


def _fold(width: int, height: int, rng: np.random.Generator) -> Plane:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    along_x = (x - rng.uniform(0, width)) * np.cos(angle)
    away = along_x + (y - rng.uniform(0, height)) * np.sin(angle)
    step = np.tanh(away / rng.uniform(0.5, 4)) * rng.uniform(0.02, 0.1)
    crease = np.exp(-((away / rng.uniform(0.7, 2.5)) ** 2)) * rng.uniform(-0.3, 0.3)
    return (1 + step + crease).astype(np.float32)


def _moved(page: Plane, rng: np.random.Generator) -> Plane:
    length = int(rng.integers(3, 10)) | 1
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), length // 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    start = (round(middle - reach[0]), round(middle - reach[1]))
    end = (round(middle + reach[0]), round(middle + reach[1]))
    cv2.line(kernel, start, end, 1.0, 1)
    return np.asarray(cv2.filter2D(page, -1, kernel / kernel.sum()), np.float32)


def _coarse(page: Plane, rng: np.random.Generator) -> Plane:
    height, width = page.shape[:2]
    factor = float(rng.uniform(1.2, 2.5))
    small = cv2.resize(
        page,
        (max(1, round(width / factor)), max(1, round(height / factor))),
        interpolation=cv2.INTER_AREA,
    )
    method = int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    return np.asarray(cv2.resize(small, (width, height), interpolation=method), np.float32)


def _sensor_noise(height: int, width: int, rng: np.random.Generator) -> Plane:
    level = float(rng.gamma(1.2, 3.5))
    noise = rng.standard_normal((height, width, 1), np.float32) * level
    if rng.random() < 0.4:
        noise = noise + rng.standard_normal((height, width, 3), np.float32) * (level / 2)
    return np.asarray(noise, np.float32)
