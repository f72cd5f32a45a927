"""The fifteen corruptions of MNIST-C by name, at the severities of the published tiles.

Source: N. Mu and J. Gilmer, "MNIST-C: A robustness benchmark for computer vision", ICML 2019
Workshop on Uncertainty and Robustness in Deep Learning, arXiv:1906.02337. Written anew from the
paper and its parameters: the tiles differ from the published ones in every random number.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from digitlens.datasets.corruptions.blurs import glass_blur, motion_blur
from digitlens.datasets.corruptions.edges import canny_edges
from digitlens.datasets.corruptions.lines import dotted_line, zigzag
from digitlens.datasets.corruptions.noise import impulse_noise, shot_noise
from digitlens.datasets.corruptions.planes import Corruption, Tiles, to_planes, to_tiles
from digitlens.datasets.corruptions.warps import rotate, scale, shear, translate
from digitlens.datasets.corruptions.weather import brightness, fog, spatter, stripe

CHUNK = 1000  # tiles corrupted at once, to stay within the cache and a few megabytes

CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "shot_noise": shot_noise,
        "impulse_noise": impulse_noise,
        "glass_blur": glass_blur,
        "motion_blur": motion_blur,
        "shear": shear,
        "scale": scale,
        "rotate": rotate,
        "brightness": brightness,
        "translate": translate,
        "stripe": stripe,
        "fog": fog,
        "spatter": spatter,
        "dotted_line": dotted_line,
        "zigzag": zigzag,
        "canny_edges": canny_edges,
    }
)


def corrupt(tiles: Tiles, name: str, seed: int = 0) -> Tiles:
    """Tiles under one corruption, drawn anew for each; the same for the same seed.

    Args:
        tiles: uint8[N, 28, 28], ink bright on dark.
        name: One of ``CORRUPTIONS``.
        seed: Decides everything that is random; each corruption draws its own numbers from it.

    Returns:
        uint8[N, 28, 28].

    Raises:
        ValueError: No corruption has this name.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"expected one of {', '.join(CORRUPTIONS)}, found {name!r}")
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    parts = [
        to_tiles(CORRUPTIONS[name](to_planes(tiles[start : start + CHUNK]), rng))
        for start in range(0, len(tiles), CHUNK)
    ]
    return np.concatenate(parts) if parts else tiles.copy()
