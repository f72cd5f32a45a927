"""The page of an explanation, with all of its pictures inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from digitlens import files
from digitlens.explain.evidence import Counterfactual
from digitlens.explain.explanation import Evidence, Explanation, Tile
from digitlens.imaging.image import Page, shrink
from digitlens.visualization import phrases
from digitlens.visualization.html import data_uri, render_page
from digitlens.visualization.overlay import draw_reading

FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito, 2008
_TILE = 112  # pixels of a changed tile: four times its size
_GROUND = np.float32(0.75)  # as bright as ink is beneath its evidence
_VIEWS = 6  # of the detector, at most, that are shown
_QUALITY = 85


def blended(tile: Tile, evidence: Evidence) -> Page:
    """uint8[28, 28, 3]; a tile with what speaks for the answer in blue, against it in orange.

    The strongest of the evidence, float32[28, 28], is full colour.
    """
    strength = np.abs(evidence) / max(float(np.abs(evidence).max()), 1e-6)
    colours = np.where(evidence[..., None] > 0, *np.array([FOR, AGAINST], np.float32))
    gray = np.repeat(tile[..., None].astype(np.float32) * _GROUND, 3, axis=2)
    share = strength[..., None] ** 0.7
    picture = (1 - share) * gray + share * (0.75 * colours + 0.35 * gray)
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def marked(change: Counterfactual) -> Page:
    """uint8[112, 112, 3]: a changed tile; where a patch was erased or inked, that is framed."""
    picture = Image.fromarray(change.tile).convert("RGB")
    picture = picture.resize((_TILE, _TILE), Image.Resampling.NEAREST)
    if change.kind in ("erase", "add") and change.place:
        step, (row, column) = _TILE // 28, change.place
        corner = (column * step - 1, row * step - 1)
        side = int(change.amount) * step + 1
        last = (corner[0] + side, corner[1] + side)
        ImageDraw.Draw(picture).rectangle((*corner, *last), outline=AGAINST, width=2)
    return np.asarray(picture)


def write_page(path: Path, explanation: Explanation, heat: Sequence[Page] = ()) -> None:
    """Writes the page, whole or not at all; arguments as below."""
    files.write_bytes(path, page(explanation, heat).encode())


def page(explanation: Explanation, heat: Sequence[Page] = ()) -> str:
    """The HTML of an explanation; of what the digit detector sees, six views are shown."""
    values = {
        "explanation": explanation,
        "overview": draw_reading(explanation.page, explanation.reading),
        "heat": heat[:_VIEWS],
        "say": phrases,
        "blended": blended,
        "marked": marked,
    }
    title = f"{explanation.name}: {phrases.headline(explanation)}"
    return render_page("explanation", title, values, filters=[photo])


def photo(picture: Page, side: int) -> str:
    """A picture made smaller, as the address that holds it; JPEG, since it may be a photo."""
    return data_uri(shrink(picture, side), "JPEG", quality=_QUALITY)
