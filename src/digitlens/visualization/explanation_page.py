"""The self-contained HTML page of an explanation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from digitlens.explain.evidence import Counterfactual
from digitlens.explain.explanation import Evidence, Explanation, Tile
from digitlens.imaging.image import Page, shrink
from digitlens.visualization import phrases
from digitlens.visualization.html import data_uri, render_page
from digitlens.visualization.overlay import draw_reading

FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito, 2008
_TILE = 112  # pixels of a changed tile: four times its size
_GROUND = np.float32(0.75)  # brightness of full ink beneath the evidence
_VIEWS = 6  # heat maps of the digit detector shown
_QUALITY = 85


def blend(tile: Tile, evidence: Evidence) -> Page:
    """Overlays evidence on a tile: for the answer in blue, against it in orange; uint8[28, 28, 3].

    Colours are scaled to the maximum of the evidence, float32[28, 28].
    """
    strength = np.abs(evidence) / max(float(np.abs(evidence).max()), 1e-6)
    colours = np.where(evidence[..., None] > 0, *np.array([FOR, AGAINST], np.float32))
    gray = np.repeat(tile[..., None].astype(np.float32) * _GROUND, 3, axis=2)
    share = strength[..., None] ** 0.7
    picture = (1 - share) * gray + share * (0.75 * colours + 0.35 * gray)
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def mark(change: Counterfactual) -> Page:
    """Draws a changed tile, uint8[112, 112, 3], with a frame around an erased or inked patch."""
    picture = Image.fromarray(change.tile).convert("RGB")
    picture = picture.resize((_TILE, _TILE), Image.Resampling.NEAREST)
    if change.kind in ("erase", "add") and change.place:
        step, (row, column) = _TILE // 28, change.place
        corner = (column * step - 1, row * step - 1)
        side = int(change.amount) * step + 1
        opposite = (corner[0] + side, corner[1] + side)
        ImageDraw.Draw(picture).rectangle((*corner, *opposite), outline=AGAINST, width=2)
    return np.asarray(picture)


def page(explanation: Explanation, heat: Sequence[Page] = ()) -> str:
    """Renders the HTML of an explanation, with up to six heat maps of the digit detector."""
    values = {
        "explanation": explanation,
        "overview": draw_reading(explanation.page, explanation.reading),
        "heat": heat[:_VIEWS],
        "say": phrases,
        "blended": blend,
        "marked": mark,
    }
    title = f"{explanation.name}: {phrases.headline(explanation)}"
    return render_page("explanation", title, values, filters=[photo])


def photo(picture: Page, side: int) -> str:
    """A data URI of a picture reduced to ``side`` pixels; JPEG, since it may be a photo."""
    return data_uri(shrink(picture, side), "JPEG", quality=_QUALITY)
