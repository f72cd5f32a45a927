"""The ink of one digit in the middle of each of many small photographs; knows no data set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
# Of the contrast of a digit with what is behind it, as where a reader crops a digit out of a page.
FAINT, FULL = 0.25, 0.85
USUAL_FULL = 0.9  # quantile of the contrast in the middle that counts as all of it
CHUNK = 500  # photographs at once, to bound memory: 26,032 together took 800 MB
STROKE = 0.3  # of full ink: less does not join two strokes

Photos = npt.NDArray[np.uint8]
_Planes = npt.NDArray[np.float32]
_Masks = npt.NDArray[np.bool_]


def photos_in_gray(photos: Photos) -> npt.NDArray[np.uint8]:
    """Photographs in gray, turned to negatives where the digit is darker than its background.

    Args:
        photos: uint8[N, h, w, 3] in RGB.

    Returns:
        uint8[N, h, w].
    """
    gray = _gray(photos)
    dark = _polarity(gray - _background(gray)) < 0
    return np.rint(np.where(dark[:, None, None], 255 - gray, gray)).astype(np.uint8)


def ink_of_photos(photos: Photos) -> npt.NDArray[np.uint8]:
    """What differs from the background and hangs together with the middle of each photograph.

    The background is the median of the picture's rim; the digit is what is farthest from it in the
    middle, brighter or darker; strokes that do not reach into the middle are neighbours'.

    Args:
        photos: uint8[N, h, w, 3] in RGB, N >= 1.

    Returns:
        uint8[N, h, w], 0 where there is no ink of the digit and 255 where there is full ink.
    """
    chunks = (photos[start : start + CHUNK] for start in range(0, len(photos), CHUNK))
    return np.concatenate([_ink(chunk) for chunk in chunks])


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
