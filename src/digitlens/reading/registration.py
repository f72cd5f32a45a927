"""Finds where a reference picture lies on a new picture of the same thing.

Points that look alike on both are matched (ORB: E. Rublee et al., "ORB: an efficient alternative to
SIFT or SURF", ICCV 2011) and a homography is fitted to them that bears wrong matches (MAGSAC++:
D. Barath et al., CVPR 2020). Whether it is the same thing at all is judged by what is seen there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import TemplateError, needs_extra

if TYPE_CHECKING:
    from digitlens.imaging.image import Page

EXTRA = "template"
ALIKE = 0.5  # similarity from which it is the same thing: seldom below 0.75, another one up to 0.3
_SIDE = 1280  # pixels that points are looked for on, along the longer side
_POINTS = 2000
_DISTINCT = 0.8  # D. Lowe's ratio test: the best match is so much nearer than the second
_OFF = 3.0  # pixels that a point may be off its place
_FEW = 8  # matches, below which there is nothing to fit
_COARSE = 160  # pixels, the longer side of the copies that are compared
_BLUR = 6.0  # pixels, over which their light is evened out
_FAINT = 4.0  # variance of a gray level, below which there is nothing to see
_SMALL = 32  # pixels, the height of a thumbnail
_SHAKE = 2  # pixels of a thumbnail by which the camera moves at most
_SEEN = 0.25  # share of the reference that has to be on the picture

Matrix = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Registration:
    """Where the reference lies.

    Attributes:
        matrix: float64[3, 3]; from pixels of the reference to those of the picture.
        similarity: Correlation of both where they overlap, light evened out; -1 to 1, and -1 where
            no place was found.
    """

    matrix: Matrix
    similarity: float

    @property
    def matches(self) -> bool:
        """Whether the picture shows the same as the reference."""
        return self.similarity >= ALIKE

    def quad(self, box: tuple[float, float, float, float]) -> Floats:
        """The corners of a box of the reference, x0, y0, x1, y1, on the picture; float32[4, 2]."""
        x0, y0, x1, y1 = box
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]])
        x, y, w = self.matrix @ corners.T
        return np.stack([x / w, y / w], axis=1).astype(np.float32)


class Reference:
    """A picture that others are registered with."""

    def __init__(self, page: Page) -> None:
        """Looks for its points.

        Args:
            page: uint8[H, W] or uint8[H, W, 3].

        Raises:
            MissingExtraError: The extra ``template`` is not installed.
            TemplateError: There is too little on it.
        """
        self._gray = _gray(page)
        self._points, self._marks = _points(self._gray)
        if len(self._points) < _FEW:
            raise TemplateError(
                "the reference picture shows too little to be found on others: expected "
                f"{_FEW} distinct points or more, found {len(self._points)}: take a sharp picture "
                "with more of what is around the digits"
            )

    def register(self, page: Page) -> Registration:
        """Finds the reference on a picture.

        Args:
            page: uint8[H, W] or uint8[H, W, 3].
        """
        import cv2  # noqa: PLC0415  (an extra)

        gray = _gray(page)
        points, marks = _points(gray)
        nowhere = Registration(np.eye(3), -1.0)
        if len(points) < _FEW:
            return nowhere
        nearest = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(self._marks, marks, k=2)
        pairs = np.array(
            [
                (best.queryIdx, best.trainIdx)
                for best, second in nearest
                if best.distance < _DISTINCT * second.distance
            ]
        )
        if len(pairs) < _FEW:
            return nowhere
        ours, theirs = self._points[pairs[:, 0]], points[pairs[:, 1]]
        off = _OFF * max(1.0, max(gray.shape) / _SIDE)
        found: Any = cv2.findHomography(ours, theirs, cv2.USAC_MAGSAC, off)[0]
        if found is None or not _is_seen_from_the_front(found, self._gray):
            return nowhere
        return Registration(found, _similarity(self._gray, gray, found))


def thumbnail(page: Page) -> Pixels:
    """uint8[32, W]; a small copy of a crop, as wide as its sides have it."""
    import cv2  # noqa: PLC0415  (an extra)

    gray = _gray(page)
    width = max(2 * _SHAKE + 1, round(_SMALL * gray.shape[1] / gray.shape[0]))
    small = cv2.resize(gray, (width, _SMALL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def alike(one: Pixels, other: Pixels) -> float:
    """Correlation of two thumbnails, -1 to 1, however the camera shook between them."""
    import cv2  # noqa: PLC0415  (an extra)

    width = min(one.shape[1], other.shape[1])
    middle = one[_SHAKE:-_SHAKE, _SHAKE : width - _SHAKE]
    found = cv2.matchTemplate(other[:, :width], middle, cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0).max())


def _gray(page: Page) -> Pixels:
    with needs_extra(EXTRA):
        import cv2  # noqa: PLC0415  (an extra)
    return page if page.ndim == 2 else np.asarray(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY), np.uint8)


def _points(gray: Pixels) -> tuple[Floats, Pixels]:
    """Points, float32[N, 2], and what describes each, uint8[N, 32]."""
    import cv2  # noqa: PLC0415  (an extra)

    scale = min(1.0, _SIDE / max(gray.shape))
    small = gray
    if scale < 1:
        small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    evened = cv2.createCLAHE(3, (8, 8)).apply(small)
    points, marks = cv2.ORB_create(_POINTS).detectAndCompute(evened, None)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
    if marks is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)
    return np.array([point.pt for point in points], np.float32) / np.float32(scale), marks


def _is_seen_from_the_front(matrix: Matrix, gray: Pixels) -> bool:
    """Whether the reference stays a convex quad, and is neither mirrored nor a dot."""
    height, width = gray.shape
    x, y, w = matrix @ np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
    if (w <= 0).any():
        return False
    corners = np.stack([x / w, y / w], axis=1)
    (ax, ay), (bx, by) = (np.roll(corners, -k, axis=0).T for k in (1, 2))
    (ox, oy) = corners.T
    turns = (ax - ox) * (by - ay) - (ay - oy) * (bx - ax)
    return bool((turns > 1e-3 * width * height).all())


def _similarity(ours: Pixels, theirs: Pixels, matrix: Matrix) -> float:
    """Correlation of small copies, the light of both evened out; see ``Registration``."""
    import cv2  # noqa: PLC0415  (an extra)

    height, width = ours.shape
    scale = min(1.0, _COARSE / max(ours.shape))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    laid = cv2.warpPerspective(theirs, matrix, (width, height), flags=back)
    there = cv2.warpPerspective(np.full_like(theirs, 255), matrix, (width, height), flags=back)
    one, other, seen = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane in (ours, laid, there)
    )
    inside = seen > 250
    if inside.mean() < _SEEN:
        return -1.0
    pairs = np.stack([_evened(one)[inside], _evened(other)[inside]])
    if not (pairs.std(axis=1) > 0).all():
        return -1.0
    return float(np.asarray(np.corrcoef(pairs))[0, 1])


def _evened(gray: Pixels) -> Floats:
    """What differs from what is about it, in standard deviations, uint8[H, W] → float32[H, W]."""
    import cv2  # noqa: PLC0415  (an extra)

    plane = gray.astype(np.float32)
    away = plane - cv2.GaussianBlur(plane, (0, 0), _BLUR)
    return (away / np.sqrt(cv2.GaussianBlur(away * away, (0, 0), _BLUR) + _FAINT)).astype(
        np.float32
    )
