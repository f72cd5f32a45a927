"""Pictures of digits of any size to tiles: as they are, and framed as MNIST is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.datasets.external.photos import ink_of_photos, photos_in_gray
from digitlens.datasets.external.pictures import Images
from digitlens.imaging.images import resize
from digitlens.imaging.tiles import SIDE, to_tiles

# Chosen on the first 898 of scikit-learn's digits, of which the default model reads 96.9 % when
# they are not enlarged, 97.6 % enlarged bilinearly, and 98.0 % so; where less than 0.2 or 0.3 of
# full ink is paper, 97.2 and 95.7 %. The other 899 are quoted apart: 96.6 %.
FINE = 64  # pixels at least on the longer side, where ink is told from paper
FAINT = 0.1  # of full ink: less is paper, or the ringing of the enlargement

Tiles = npt.NDArray[np.uint8]
_Plane = npt.NDArray[np.float32]


def unframed(images: Images) -> Tiles:
    """Pictures resized to tiles and nothing else; 28 x 28 pixels stay what they are.

    Args:
        images: uint8[N, h, w], ink bright on dark, or uint8[N, h, w, 3], photographs.

    Returns:
        uint8[N, 28, 28]; of photographs in gray, the digit the brighter part.
    """
    gray = photos_in_gray(images) if images.ndim == 4 else images
    if gray.shape[1:] == (SIDE, SIDE):
        return gray
    planes = (resize(image.astype(np.float32), SIDE, SIDE) for image in gray)
    return np.stack([np.rint(plane).astype(np.uint8) for plane in planes])


def framed(images: Images) -> Tiles:
    """Pictures brought to tiles by the rule of MNIST, see ``digitlens.imaging.tiles.to_tile``.

    A small picture is first enlarged smoothly: between two of its pixels a stroke may end anywhere,
    and its box is found as exactly as its gray values tell.

    Args:
        images: uint8[N, h, w], ink bright on dark, or uint8[N, h, w, 3], photographs.

    Returns:
        uint8[N, 28, 28].
    """
    inks = ink_of_photos(images) if images.ndim == 4 else images
    return to_tiles([_fine_ink(ink) for ink in inks])


def _fine_ink(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture enlarged, full ink 255 and paper 0."""
    full = float(image.max()) or 1.0
    plane = _enlarged(np.pad(image.astype(np.float32) / full, 1))  # ink at the edge ends there
    level = np.clip((plane - FAINT) / (1 - FAINT), 0, 1)
    return np.rint(level * 255).astype(np.uint8)


def _enlarged(plane: _Plane) -> _Plane:
    height, width = plane.shape
    scale = FINE / max(height, width)
    if scale <= 1:
        return plane
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))
