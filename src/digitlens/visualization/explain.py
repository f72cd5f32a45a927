"""Writes a folder that shows how a page was read, step by step: pictures and one JSON file.

Knows an examination and where its pictures go; reads nothing itself.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digitlens import files
from digitlens.imaging.images import Page, shrink
from digitlens.results import Digit
from digitlens.visualization.heat import draw_heat
from digitlens.visualization.marks import Mark, draw_marks, write_picture
from digitlens.visualization.overlay import draw_reading
from digitlens.visualization.sheet import draw_tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digitlens.reading.looks import Glance
    from digitlens.reading.reader import Examination
    from digitlens.reading.recognize import RecognizedLine

_LARGEST = 2000  # longest side of the page's copy
_LABELLED = 100  # places with a label, the first: more would hide the picture


def write_explanation(
    folder: Path, examination: Examination, thresholds: Mapping[str, float]
) -> None:
    """Writes how a page was read; each file whole or not at all.

    ``1-page.png`` is the page, ``2-heat-<size>.png`` each look for digits, ``3-lines.png`` the
    lines with what was read on each, ``4-places.png`` all places before judging, ``5-tiles.png``
    the ink of each as a tile, ``6-answer.png`` the answer, and ``explain.json`` the same in
    numbers. Where the page was turned, 2 to 5 are of the turned page. Heat maps that were written
    to the folder before and are not of this page are removed; nothing else is.

    Args:
        folder: Where to; made if it is missing.
        examination: What led to the answer.
        thresholds: ``digit`` and ``reject``, as the reader judged by.
    """
    turned = examination.turned
    write_picture(folder / "1-page.png", shrink(examination.page, _LARGEST))
    names = _write_heat(folder, turned, examination.view.detections.glances)
    write_picture(folder / "3-lines.png", _lines(turned, examination))
    write_picture(folder / "4-places.png", _places(turned, examination))
    write_picture(folder / "5-tiles.png", _tiles(examination))
    write_picture(folder / "6-answer.png", draw_reading(examination.page, examination.reading))
    files.write_json(folder / "explain.json", _as_dict(examination, names, thresholds))


def _write_heat(folder: Path, turned: Page, glances: list[Glance]) -> list[str]:
    """Writes the heat map of each look, and gives their names."""
    names: list[str] = []
    seen: Counter[int] = Counter()
    for glance in glances:
        height, width = glance.look.size
        seen[max(width, height)] += 1
        again = seen[max(width, height)]
        names.append(f"2-heat-{max(width, height)}{f'-{again}' if again > 1 else ''}.png")
        x0, y0, x1, y1 = glance.region
        title = f"Look {len(names)}, {width} x {height} pixels: columns {x0}-{x1}, rows {y0}-{y1}"
        part = np.ascontiguousarray(turned[y0:y1, x0:x1])
        heat = draw_heat(part, (width, height), glance.look.heat, title)
        write_picture(folder / names[-1], heat)
    for old in folder.glob("2-heat-*.png"):
        if old.name not in names:
            old.unlink()
    return names


def _lines(turned: Page, examination: Examination) -> Page:
    lines = examination.view.lines
    marks = [
        Mark(_frame(line), "candidate", line.symbols.text or "-", f"#{k}")
        for k, line in enumerate(lines, 1)
    ]
    return draw_marks(turned, marks[::-1], [f"{len(marks)} lines, with what was read on each"])


def _frame(line: RecognizedLine) -> tuple[float, float, float, float]:
    """The upright box around a line: x0, y0, x1, y1."""
    (x0, y0), (x1, y1) = line.line.quad.min(axis=0).tolist(), line.line.quad.max(axis=0).tolist()
    return x0, y0, x1, y1


def _places(turned: Page, examination: Examination) -> Page:
    scores = examination.view.scores
    marks = [
        Mark((x0, y0, x1, y1), "candidate", *((f"{score:.2f}", f"#{k}") if k <= _LABELLED else ()))
        for k, ((x0, y0, x1, y1), score) in enumerate(
            zip(scores.boxes.tolist(), scores.strength.tolist(), strict=True), 1
        )
    ]
    more = f"; the first {_LABELLED} have labels" if len(marks) > _LABELLED else ""
    words = f"{len(marks)} places before judging, with the score that there is a digit{more}"
    return draw_marks(turned, marks[::-1], [words])


def _tiles(examination: Examination) -> Page:
    view, digits = examination.view, answers(examination)
    titles = [
        f"#{k}  {_said(digit)}, score {score:.2f}"
        for k, (digit, score) in enumerate(zip(digits, view.scores.strength, strict=True), 1)
    ]
    return draw_tiles(view.tiles, view.probabilities, titles)


def _said(digit: Digit) -> str:
    if digit.status == "rejected":
        return f"not a {digit.value}"
    return f"{digit.value}{'?' if digit.status == 'unsure' else ''}  {digit.percent} % sure"


def answers(examination: Examination) -> list[Digit]:
    """What became of each place: every one is a digit of the reading, if only a rejected one."""
    numbers = [place for line in examination.places for place in line]
    digits = [digit for line in examination.reading.lines for digit in line]
    known = dict(zip(numbers, digits, strict=True))
    return [known[place] for place in range(len(known))]


def _as_dict(
    examination: Examination, heat: list[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    reading, view = examination.reading, examination.view
    return {
        "width": reading.width,
        "height": reading.height,
        "turn": examination.turn,
        "model": reading.model,
        "model_sha256": reading.model_sha256,
        "thresholds": dict(thresholds),
        "looks": [
            _look(glance, name) for glance, name in zip(view.detections.glances, heat, strict=True)
        ],
        "lines": [_line(line) for line in view.lines],
        "places": _place_dicts(examination),
        "text": reading.text,
        "digits_only": reading.digits_only,
        "numbers": list(reading.numbers),
    }


def _look(glance: Glance, name: str) -> dict[str, Any]:
    height, width = glance.look.size
    return {
        "file": name,
        "region": list(glance.region),
        "width": width,
        "height": height,
        "found": len(glance.look.score),
    }


def _line(line: RecognizedLine) -> dict[str, Any]:
    """A line by its four corners on the page as it was read; score 0 where digits make it up."""
    return {
        "corners": _rounded(line.line.quad),
        "score": _rounded(line.line.score),
        "text": line.symbols.text,
        "confidence": _rounded(line.symbols.confidence),
    }


def _place_dicts(examination: Examination) -> list[dict[str, Any]]:
    view = examination.view
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
        for k, digit in enumerate(answers(examination))
    ]


def _answer(digit: Digit) -> dict[str, Any]:
    kept = ("value", "confidence", "status", "reason", "starts_number")
    return {name: value for name, value in digit.as_dict().items() if name in kept}


def _rounded(values: Any) -> Any:
    return np.round(np.asarray(values, np.float64), 6).tolist()
