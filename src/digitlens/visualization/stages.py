"""How a page was read, stage by stage: a folder of pictures and one JSON file.

Knows what a reader saw and where its pictures go; reads nothing itself.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens import files
from digitlens.imaging.image import Page, resize, shrink
from digitlens.results import Digit
from digitlens.visualization.overlay import (
    WHITE,
    Mark,
    draw_marks,
    draw_reading,
    font,
    wrap,
    write_picture,
)
from digitlens.visualization.sheets import draw_tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digitlens.reading.multiscale import ScaleView
    from digitlens.reading.reader import ReadResult
    from digitlens.reading.recognize import RecognizedLine

_LARGEST = 2000  # longest side of the page's copy
_LABELLED = 100  # places with a label, the first: more would hide the picture


def write_stages(folder: Path, result: ReadResult, thresholds: Mapping[str, float]) -> None:
    """Writes how a page was read; each file whole or not at all.

    ``1-page.png`` is the page, ``2-heat-<size>.png`` what the digit detector sees on each copy of
    it, ``3-lines.png`` the lines with what was read on each, ``4-places.png`` all places before
    any is rejected, ``5-tiles.png`` the ink of each as a tile, ``6-answer.png`` the answer, and
    ``explain.json`` the same in numbers. Where the page was turned, 2 to 5 are of the turned page.
    Heat maps of another page in the folder are removed; nothing else is.
    """
    turned = result.turned
    write_picture(folder / "1-page.png", shrink(result.page, _LARGEST))
    names = _write_heat(folder, turned, result.view.detections.views)
    write_picture(folder / "3-lines.png", _draw_lines(turned, result))
    write_picture(folder / "4-places.png", _draw_places(turned, result))
    write_picture(folder / "5-tiles.png", _draw_found_tiles(result))
    write_picture(folder / "6-answer.png", draw_reading(result.page, result.reading))
    files.write_json(folder / "explain.json", _as_dict(result, names, thresholds))


def _write_heat(folder: Path, turned: Page, views: list[ScaleView]) -> list[str]:
    """Writes the heat map of each copy of the page, and gives their names."""
    names: list[str] = []
    seen: Counter[int] = Counter()
    for view in views:
        height, width = view.predictions.size
        seen[max(width, height)] += 1
        again = seen[max(width, height)]
        names.append(f"2-heat-{max(width, height)}{f'-{again}' if again > 1 else ''}.png")
        title = f"Copy {len(names)}, {width} x {height} pixels"
        heat = draw_heat(turned, (width, height), view.predictions.heat, title)
        write_picture(folder / names[-1], heat)
    for old in folder.glob("2-heat-*.png"):
        if old.name not in names:
            old.unlink()
    return names


def _draw_lines(turned: Page, result: ReadResult) -> Page:
    lines = result.view.lines
    marks = [
        Mark(_frame(line), "candidate", line.symbols.text or "-", f"#{k}")
        for k, line in enumerate(lines, 1)
    ]
    return draw_marks(turned, marks[::-1], [f"{len(marks)} lines, with what was read on each"])


def _frame(line: RecognizedLine) -> tuple[float, float, float, float]:
    """The upright box around a line: x0, y0, x1, y1."""
    (x0, y0), (x1, y1) = line.line.quad.min(axis=0).tolist(), line.line.quad.max(axis=0).tolist()
    return x0, y0, x1, y1


def _draw_places(turned: Page, result: ReadResult) -> Page:
    scores = result.view.scores
    marks = [
        Mark((x0, y0, x1, y1), "candidate", *((f"{score:.2f}", f"#{k}") if k <= _LABELLED else ()))
        for k, ((x0, y0, x1, y1), score) in enumerate(
            zip(scores.boxes.tolist(), scores.strength.tolist(), strict=True), 1
        )
    ]
    more = f"; the first {_LABELLED} have labels" if len(marks) > _LABELLED else ""
    words = f"{len(marks)} places before judging, with the score that there is a digit{more}"
    return draw_marks(turned, marks[::-1], [words])


def _draw_found_tiles(result: ReadResult) -> Page:
    view, digits = result.view, answers(result)
    titles = [
        f"#{k}  {_said(digit)}, score {score:.2f}"
        for k, (digit, score) in enumerate(zip(digits, view.scores.strength, strict=True), 1)
    ]
    return draw_tiles(view.tiles, view.probabilities, titles)


def _said(digit: Digit) -> str:
    if digit.status == "rejected":
        return f"not a {digit.value}"
    return f"{digit.value}{'?' if digit.status == 'unsure' else ''}  {digit.percent} % sure"


def answers(result: ReadResult) -> list[Digit]:
    """What became of each place: every one is a digit of the reading, if only a rejected one."""
    numbers = [place for line in result.places for place in line]
    digits = [digit for line in result.reading.lines for digit in line]
    known = dict(zip(numbers, digits, strict=True))
    return [known[place] for place in range(len(result.view.scores))]


def _as_dict(
    result: ReadResult, heat: list[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    reading, view = result.reading, result.view
    return {
        "width": reading.width,
        "height": reading.height,
        "turn": result.turn,
        "model": reading.model,
        "model_sha256": reading.model_sha256,
        "thresholds": dict(thresholds),
        "views": (views := _views(view.detections.views, heat)),
        "looks": views,  # the name of version 0.1
        "lines": [_line(line) for line in view.lines],
        "places": _place_dicts(result),
        "text": reading.text,
        "digits_only": reading.digits_only,
        "numbers": [number.as_dict() for number in reading.numbers],
        "numbers_digits": list(reading.numbers_digits),
    }


def _views(views: list[ScaleView], heat: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "file": name,
            "region": [0, 0, *view.page],
            "width": view.predictions.size[1],
            "height": view.predictions.size[0],
            "found": len(view.predictions.score),
        }
        for view, name in zip(views, heat, strict=True)
    ]


def _line(line: RecognizedLine) -> dict[str, Any]:
    """A line by its four corners on the page as it was read; score 0 where digits make it up."""
    return {
        "corners": _rounded(line.line.quad),
        "score": _rounded(line.line.score),
        "text": line.symbols.text,
        "confidence": _rounded(line.symbols.confidence),
    }


def _place_dicts(result: ReadResult) -> list[dict[str, Any]]:
    view = result.view
    places = view.scores.places
    return [
        {
            "number": k + 1,
            "box": digit.box.as_list(),
            "line": int(places.line[k]) + 1,
            "exists": {
                "detector": _rounded(places.objectness[k]),
                "recognizer": _rounded(places.mass[k]),
                "classifier": _rounded(view.scores.is_digit[k]),
            },
            "digits": {
                "detector": _rounded(places.detector[k]),
                "recognizer": _rounded(places.recognizer[k]),
                "classifier": _rounded(view.scores.classifier[k]),
                "together": _rounded(view.probabilities[k]),
            },
            "confidence": _rounded(view.confidence[k]),
            "answer": _answer(digit),
        }
        for k, digit in enumerate(answers(result))
    ]


def _answer(digit: Digit) -> dict[str, Any]:
    kept = ("value", "confidence", "status", "reason", "starts_number")
    return {name: value for name, value in digit.as_dict().items() if name in kept}


def _rounded(values: Any) -> Any:
    return np.round(np.asarray(values, np.float64), 6).tolist()


CELL = 4  # pixels of a copy, a side, that share one score
_LEAST = 700  # longest side of the drawing: smaller copies are enlarged
_NARROWEST = 240  # pixels: so that the scale has room
_DIM = 0.45  # brightness of the picture below the map
_CLEAR = 0.25  # score up to which the picture shows through
_LEGEND_BAR, _LEGEND_LINE = 16, 18  # pixels: height of the scale, of a line of text
_PAPER = (20, 20, 26)
# From 0 to 1, evenly spaced; ever brighter, so that the order is seen without colours too.
_SCALE = np.array(
    [(30, 16, 70), (110, 28, 129), (181, 54, 122), (240, 96, 93), (254, 175, 119), (252, 253, 191)],
    np.float32,
)

Heat = npt.NDArray[np.float32]


def draw_heat(part: Page, size: tuple[int, int], heat: Heat, title: str) -> Page:
    """Draws what one copy of a page shows, and where something on it was taken for a digit.

    Args:
        part: uint8[H, W] or uint8[H, W, 3].
        size: Width and height of the copy.
        heat: float32[h, w]; score of each cell of 4 x 4 of its pixels, 0 to 1; the last cells may
            reach over the edge.
        title: Stands below, with what the colours mean.
    """
    width, height = size
    grown = max(1, round(_LEAST / max(size)))
    smooth = resize(heat, heat.shape[1] * CELL, heat.shape[0] * CELL)[:height, :width]
    picture = _blended(_seen(part, size), smooth)
    picture = np.repeat(np.repeat(picture, grown, 0), grown, 1)
    wide = max(_NARROWEST, picture.shape[1])
    picture = np.pad(picture, ((0, 0), (0, wide - picture.shape[1]), (0, 0)))
    return np.concatenate([picture, _legend(wide, title)])


def _seen(part: Page, size: tuple[int, int]) -> Heat:
    """float32[h, w, 1]; its gray, 0 to 1."""
    picture = Image.fromarray(part).convert("L")
    method = Image.Resampling.BICUBIC if size[0] > picture.width else Image.Resampling.BOX
    return np.array(picture.resize(size, method), np.float32)[:, :, None] / np.float32(255)


def _blended(gray: Heat, heat: Heat) -> Page:
    """uint8[h, w, 3]; the colours of a map over a dim picture."""
    heat = np.clip(heat, 0, 1)[:, :, None]
    share = np.clip(heat / _CLEAR, 0, 0.85)
    picture = (1 - share) * 255 * _DIM * gray + share * _colours(heat[:, :, 0])
    return np.rint(picture).astype(np.uint8)


def _colours(heat: Heat) -> npt.NDArray[np.float32]:
    """float32[h, w, 3]; of scores from 0 to 1."""
    knots = np.linspace(0, 1, len(_SCALE))
    channels = [np.interp(heat, knots, _SCALE[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _legend(width: int, title: str) -> Page:
    """The scale, blended as the map is, with what it means in as many lines as that takes."""
    words = f"{title}. Colour: score that the middle of a digit is here, 0 to 1"
    lines = wrap(words, 13, width - 24)
    legend = Image.new("RGB", (width, _LEGEND_BAR + _LEGEND_LINE * (len(lines) + 1) + 12), _PAPER)
    steps = np.repeat(np.linspace(0, 1, width - 24, dtype=np.float32)[None], _LEGEND_BAR, 0)
    gray = np.full((*steps.shape, 1), 0.8, np.float32)
    legend.paste(Image.fromarray(_blended(gray, steps)), (12, 6))
    draw = ImageDraw.Draw(legend)
    for quarter, anchor in enumerate(("la", "ma", "ma", "ma", "ra")):
        at = 12 + quarter / 4 * (width - 24)
        draw.text((at, _LEGEND_BAR + 8), f"{quarter / 4:g}", WHITE, font(12), anchor=anchor)
    for number, line in enumerate(lines, 1):
        draw.text((12, _LEGEND_BAR + 8 + number * _LEGEND_LINE), line, WHITE, font(13))
    return np.asarray(legend)
