"""Pictures of digits of any size, to tiles, resized only or framed as MNIST is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.imaging.image import resize
from digitlens.imaging.tiles import SIDE, to_tiles

# Chosen on the first 898 of scikit-learn's digits, of which the default model reads 96.9 % when
# they are not enlarged, 97.6 % enlarged bilinearly, and 98.0 % so; where less than 0.2 or 0.3 of
# full ink is paper, 97.2 and 95.7 %. The other 899 are quoted apart: 96.6 %.
_FINE = 64  # pixels at least on the longer side, where ink is told from paper
_PAPER = 0.1  # of full ink: less is paper, or the ringing of the enlargement

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
# Of the contrast of a digit with what is behind it, as where a reader crops a digit out of a page.
FAINT, FULL = 0.25, 0.85
USUAL_FULL = 0.9  # quantile of the contrast in the middle that counts as all of it
CHUNK = 500  # photographs at once, to bound memory: 26,032 together took 800 MB
STROKE = 0.3  # of full ink: less does not join two strokes

Images = npt.NDArray[np.uint8]
Photos = npt.NDArray[np.uint8]
Tiles = npt.NDArray[np.uint8]
_Planes = npt.NDArray[np.float32]
_Masks = npt.NDArray[np.bool_]


def unframed(images: Images) -> Tiles:
    """Pictures resized to uint8[N, 28, 28] and nothing else; 28 x 28 pixels stay what they are.

    Args:
        images: uint8[N, h, w], ink bright on dark, or uint8[N, h, w, 3], photographs, which come
            in gray, the digit the brighter part.
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


def photos_in_gray(photos: Photos) -> npt.NDArray[np.uint8]:
    """Photographs in gray, turned to negatives where the digit is darker than its background.

    Takes uint8[N, h, w, 3] in RGB and gives uint8[N, h, w].
    """
    gray = _gray(photos)
    dark = _polarity(gray - _background(gray)) < 0
    return np.rint(np.where(dark[:, None, None], 255 - gray, gray)).astype(np.uint8)


def ink_of_photos(photos: Photos) -> npt.NDArray[np.uint8]:
    """What differs from the background and hangs together with the middle of each photograph.

    The background is the median of the picture's rim; the digit is what is farthest from it in the
    middle, brighter or darker; strokes that do not reach into the middle are neighbours'.

    Takes uint8[N, h, w, 3] in RGB, N >= 1, and gives uint8[N, h, w], 255 for full ink.
    """
    chunks = (photos[start : start + CHUNK] for start in range(0, len(photos), CHUNK))
    return np.concatenate([_ink(chunk) for chunk in chunks])


def _fine_ink(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture enlarged, full ink 255 and paper 0."""
    full = float(image.max()) or 1.0
    plane = np.pad(image.astype(np.float32) / full, 1)  # ink at the edge ends there
    scale = _FINE / max(plane.shape)
    if scale > 1:
        size = [max(1, round(side * scale)) for side in plane.shape[::-1]]
        bicubic = Image.Resampling.BICUBIC
        plane = np.asarray(Image.fromarray(plane).resize((size[0], size[1]), bicubic))
    level = np.clip((plane - _PAPER) / (1 - _PAPER), 0, 1)
    return np.rint(level * 255).astype(np.uint8)


def _ink(photos: Photos) -> npt.NDArray[np.uint8]:
    gray = _gray(photos)
    contrast = gray - _background(gray)
    contrast *= _polarity(contrast)[:, None, None]
    full = np.quantile(contrast[:, :, _middle(contrast.shape[2])], USUAL_FULL, axis=(1, 2))
    strength = contrast / np.maximum(full, 1)[:, None, None]
    level = np.clip((strength - FAINT) / (FULL - FAINT), 0, 1)
    level[~_reached(level > STROKE)] = 0
    return np.rint(level * 255).astype(np.uint8)


def _gray(photos: Photos) -> _Planes:
    return photos.astype(np.float32) @ np.array(LUMINANCE, np.float32)


def _background(gray: _Planes) -> _Planes:
    """float32[N, 1, 1]: the median of the outermost pixels."""
    sides = gray[:, 0], gray[:, -1], gray[:, 1:-1, 0], gray[:, 1:-1, -1]
    return np.median(np.concatenate(sides, axis=1), axis=1)[:, None, None].astype(np.float32)


def _middle(width: int) -> slice:
    """The middle half of the columns: a digit may fill the whole height, but has neighbours."""
    return slice(width // 4, width - width // 4)


def _polarity(contrast: _Planes) -> _Planes:
    """float32[N]: 1 where what stands out in the middle is brighter, -1 where it is darker."""
    middle = _middle(contrast.shape[2])
    # Cubes, so that few pixels far from the background outweigh many near it.
    return np.where((contrast[:, :, middle] ** 3).sum(axis=(1, 2)) < 0, -1, 1).astype(np.float32)


def _reached(masks: _Masks) -> _Masks:
    """What of each mask hangs together with pixels of it in the middle, also by corners."""
    reached = np.zeros_like(masks)
    middle = _middle(masks.shape[2])
    reached[:, :, middle] = masks[:, :, middle]
    while True:
        grown = _spread(_spread(reached, 1), 2) & masks
        if (grown == reached).all():
            return grown
        reached = grown


def _spread(masks: _Masks, axis: int) -> _Masks:
    grown = masks.copy()
    whole, after, before = (slice(None),) * axis, slice(1, None), slice(None, -1)
    grown[(*whole, after)] |= masks[(*whole, before)]
    grown[(*whole, before)] |= masks[(*whole, after)]
    return grown
