"""Draws documents from a seed: tables, receipts, forms, signs and pages without any number.

Each comes with the box of every digit and with every line of text. What stands on them is laid out
in ``document_kinds`` and ``document_scenes``; here they are coloured, scanned or photographed.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic import document_kinds, document_scenes
from digitlens.datasets.synthetic.arrays import Boxes, Matrix, Pixels, Plane, Values
from digitlens.datasets.synthetic.camera import light
from digitlens.datasets.synthetic.canvas import TextRow, through
from digitlens.datasets.synthetic.document_kinds import Desk
from digitlens.datasets.synthetic.inks import draw_colours, inked
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.scribes import Scribe
from digitlens.datasets.synthetic.views import photograph
from digitlens.datasets.synthetic.writers import Fonts

_LAYOUTS = document_kinds.LAYOUTS | document_scenes.LAYOUTS
KINDS = {name: share for name, (share, _) in _LAYOUTS.items()}
NO_DIGITS = frozenset({"words", "clutter"})  # kinds on which there is no digit
_CUT = 0.05  # share of documents whose edges are cut off


class Document(NamedTuple):
    """A generated page of print or a form.

    Attributes:
        pixels: uint8[H, W, 3].
        boxes: float32[N, 4]; x0, y0, x1, y1 of each digit in pixels, half-open, in the order of
            the lines.
        values: int8[N]; 0 to 9, or -1 for what may be read or not: cut digits, a lone letter O.
        lines: Every line of text; cells of a table are lines of their own.
        kind: A name in ``KINDS``.
    """

    pixels: Pixels
    boxes: Boxes
    values: Values
    lines: tuple[TextRow, ...]
    kind: str


class DocumentMaker:
    """Draws documents; the same seed, number and kind give the same document."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int = 0) -> None:
        """Takes what there is to write with.

        Args:
            tiles: MNIST digits, each of the ten among them; never the test set.
            fonts: To write with, see ``load_fonts``.
            seed: Decides all documents.
        """
        self.seed = seed
        self._scribe = Scribe(tiles, fonts)

    def document(self, number: int, *, kind: str | None = None) -> Document:
        """Draws one document.

        Args:
            number: Which one.
            kind: A name in ``KINDS``; None draws one.

        Raises:
            ValueError: There is no such kind.
        """
        if kind is not None and kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}, found {kind}")
        rng = np.random.default_rng([self.seed, number, zlib.crc32((kind or "").encode())])
        shares = np.array(list(KINDS.values()))
        chosen = kind or str(rng.choice(list(KINDS), p=shares / shares.sum()))
        desk = Desk(self._scribe, rng)
        _LAYOUTS[chosen][1](desk)
        return _pictured(desk, chosen)


def _pictured(desk: Desk, kind: str) -> Document:
    """Shows a page that is laid out on a screen, scans it or photographs it."""
    canvas, rng = desk.canvas, desk.rng
    plane, height, width = _coloured(desk), canvas.height, canvas.width
    matrix = _view(desk)
    if not np.array_equal(matrix, np.eye(3)):
        plane = _warped(plane, matrix, desk)
    if desk.look == "photo":
        plane = light(plane, rng)
    if desk.look == "screen":
        pixels = np.rint(np.clip(plane, 0, 255)).astype(np.uint8)
        pixels = _compressed(pixels, rng) if rng.random() < 0.3 else pixels
    else:
        pixels = photograph(plane, canvas.smallest, rng)
    return Document(pixels, *canvas.labels(matrix, width, height), kind)


def _coloured(desk: Desk) -> Plane:
    """Puts all inks on the ground; float32[h, w, 3]."""
    plane, rng = desk.canvas.ground, desk.rng
    fringes = desk.look == "screen" and rng.random() < 0.12
    for name, cover in desk.canvas.layers.items():
        colour = desk.colours[name]
        if desk.look != "screen":
            plane = inked(plane, cover, colour, rng)
            continue
        share = cover[:, :, None].astype(np.float32) / 255
        if fringes and name == "ink":  # red and blue are a third of a pixel off
            share = np.repeat(share, 3, axis=2)
            for channel, by in ((0, 1), (2, -1)):
                moved = np.roll(share[:, :, channel], by, axis=1)
                share[:, :, channel] = (2 * share[:, :, channel] + moved) / 3
        plane = np.asarray(plane + share * (colour - plane), np.float32)
    return plane


def _view(desk: Desk) -> Matrix:
    """From the page to the picture: as it is, turned a little, in perspective, or cut."""
    rng, width, height = desk.rng, desk.canvas.width, desk.canvas.height
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    view = np.eye(3)
    if desk.look == "scan" and rng.random() < 0.5:
        view = _turn(float(rng.normal(0, 0.012)))
    elif desk.look == "photo":
        scale = float(rng.uniform(0.86, 1.0))
        tilt = np.diag([scale, scale, 1.0])
        tilt[2, :2] = rng.uniform(-0.22, 0.22, 2) / (width, height)
        view = tilt @ _turn(float(np.clip(rng.normal(0, 0.05), -0.15, 0.15)))
    if rng.random() < _CUT:
        view = view.copy()
        view[:2, 2] += rng.uniform(-0.1, 0.1, 2) * (width, height)
    if np.array_equal(view, np.eye(3)):
        return view
    return np.linalg.inv(middle) @ view @ middle


def _turn(angle: float) -> Matrix:
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _warped(plane: Plane, matrix: Matrix, desk: Desk) -> Plane:
    """The page through a homography, on whatever it lies on."""
    height, width = plane.shape[:2]
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # cv2 counts from centres of pixels
    centred = np.linalg.inv(half) @ matrix @ half
    seen = cv2.warpPerspective(
        plane, centred, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if desk.filled:
        return np.asarray(seen, np.float32)
    corners = through(matrix, np.array([[0, 0], [width, 0], [width, height], [0, height]], float))
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.rint(corners * 16 - 8).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    wild = desk.look == "photo" and desk.rng.random() < 0.4
    table = draw_paper(width, height, draw_colours(desk.rng)[0], desk.rng, wild=wild)
    if desk.look == "scan":
        table = np.full(3, desk.rng.choice([0, 255, 230]), np.float32)
    return np.asarray(table + mask[:, :, None] * (seen - table), np.float32)


def _compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    quality = int(rng.integers(55, 96))
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
