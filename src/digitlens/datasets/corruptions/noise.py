"""Corruptions of the sensor: shot noise and impulse noise."""

from __future__ import annotations

import numpy as np

from digitlens.datasets.corruptions.planes import Planes

PHOTONS = 3  # that a full pixel receives on average
IMPULSES = 0.17  # share of pixels that fail


def shot_noise(planes: Planes, rng: np.random.Generator) -> Planes:
    """Counts few photons: bright pixels flicker, dark ones stay dark."""
    return (rng.poisson(planes * PHOTONS) / PHOTONS).astype(np.float32)


def impulse_noise(planes: Planes, rng: np.random.Generator) -> Planes:
    """Single pixels fail, half of them full and half of them dark."""
    chance = rng.random(planes.shape, np.float32)
    failed = np.where(chance < IMPULSES, (chance < IMPULSES / 2).astype(np.float32), planes)
    return failed.astype(np.float32)
