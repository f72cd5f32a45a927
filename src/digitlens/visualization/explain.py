"""Writes a folder that shows how a page was read, step by step: pictures and one JSON file.

Knows an examination and where its pictures go; reads nothing itself.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digitlens import files
from digitlens.data.images import Page, shrink
from digitlens.evaluation.votes import VOTERS
from digitlens.results import Box, Digit
from digitlens.visualization.heat import draw_heat
from digitlens.visualization.marks import Mark, draw_marks, write_picture
from digitlens.visualization.overlay import draw_reading
from digitlens.visualization.sheet import draw_tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digitlens.recognition.looks import Glance
    from digitlens.recognition.sight import Examination

_LARGEST = 2000  # longest side of the page's copy
_LABELLED = 100  # candidates with a label, the first: more would hide the picture


def write_explanation(
    folder: Path, examination: Examination, thresholds: Mapping[str, float]
) -> None:
    """Writes how a page was read; each file whole or not at all.

    ``1-page.png`` is the page, ``2-heat-<size>.png`` each look at it, ``3-boxes.png`` all
    candidates before judging, ``4-tiles.png`` the ink of each as a tile, ``5-answer.png`` the
    answer, and ``explain.json`` the same in numbers. Where the page was turned, 2, 3 and 4 are of
    the turned page. Heat maps that were written to the folder before and are not of this page are
    removed; nothing else is.

    Args:
        folder: Where to; made if it is missing.
        examination: What led to the answer.
        thresholds: ``digit`` and ``reject``, as the reader judged by.
    """
    turned = examination.turned
    write_picture(folder / "1-page.png", shrink(examination.page, _LARGEST))
    names = _write_heat(folder, turned, examination.sight.glances)
    write_picture(folder / "3-boxes.png", _boxes(turned, examination))
    write_picture(folder / "4-tiles.png", _tiles(turned, examination))
    write_picture(folder / "5-answer.png", draw_reading(examination.page, examination.reading))
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


def _boxes(turned: Page, examination: Examination) -> Page:
    found = examination.sight.candidates
    marks = [
        Mark((x0, y0, x1, y1), "candidate", *((f"{score:.2f}", f"#{k}") if k <= _LABELLED else ()))
        for k, ((x0, y0, x1, y1), score) in enumerate(
            zip(found.boxes.tolist(), found.score.tolist(), strict=True), 1
        )
    ]
    more = f"; the first {_LABELLED} have labels" if len(marks) > _LABELLED else ""
    words = f"{len(marks)} candidates before judging, with the score that there is a digit{more}"
    return draw_marks(turned, marks[::-1], [words])


def _tiles(turned: Page, examination: Examination) -> Page:
    from digitlens.recognition.voters import tiles_shown  # noqa: PLC0415  (onnxruntime, only if used)

    sight = examination.sight
    tiles = tiles_shown(sight.tiles, turned, sight.candidates.boxes)
    rows = zip(answers(examination), sight.probabilities, sight.candidates.score, strict=True)
    titles = [
        f"#{k}  {_said(digit, int(chances.argmax()))}, score {score:.2f}"
        for k, (digit, chances, score) in enumerate(rows, 1)
    ]
    return draw_tiles(tiles, sight.probabilities, titles)


def _said(digit: Digit | None, likeliest: int) -> str:
    if digit is None or digit.status == "rejected":
        return f"not a {likeliest if digit is None else digit.value}"
    return f"{digit.value}{'?' if digit.status == 'unsure' else ''}  {digit.percent} % sure"


def answers(examination: Examination) -> list[Digit | None]:
    """What became of each candidate; None where the reading does not hold it."""
    reading = examination.reading
    known = {(digit.box, digit.probabilities): digit for line in reading.lines for digit in line}
    return [known.get((digit.box, digit.probabilities)) for digit in _placed(examination)]


def _placed(examination: Examination) -> list[Digit]:
    """The candidates with their boxes on the page as it was before it was turned."""
    from digitlens.recognition.judge import page_box  # noqa: PLC0415  (onnxruntime, only if used)
    from digitlens.recognition.turns import turned_back  # noqa: PLC0415

    sight, turn = examination.sight, examination.turn
    height, width = examination.page.shape[:2]
    size = (height, width) if turn % 2 else (width, height)
    digits = [
        Digit(0, 0.0, tuple(float(p) for p in chances), page_box(box, *size))
        for chances, box in zip(sight.probabilities, sight.candidates.boxes, strict=True)
    ]
    return list(turned_back((tuple(digits),), turn, width, height)[0])


def _as_dict(
    examination: Examination, heat: list[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    reading = examination.reading
    return {
        "width": reading.width,
        "height": reading.height,
        "turn": examination.turn,
        "model": reading.model,
        "model_sha256": reading.model_sha256,
        "thresholds": dict(thresholds),
        "looks": [
            _look(glance, name)
            for glance, name in zip(examination.sight.glances, heat, strict=True)
        ],
        "candidates": _candidates(examination),
        "text": reading.text,
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


def _candidates(examination: Examination) -> list[dict[str, Any]]:
    sight, found = examination.sight, examination.sight.candidates
    boxes: list[Box] = [digit.box for digit in _placed(examination)]
    return [
        {
            "number": k + 1,
            "box": box.as_list(),
            "score": _rounded(found.score[k]),
            "seen": _rounded(found.seen[k]),
            "digit": _rounded(sight.votes.digit[k]),
            "votes": {
                **{name: _rounded(sight.votes.names[k, i]) for i, name in enumerate(VOTERS)},
                "together": _rounded(sight.probabilities[k]),
            },
            "confidence": _rounded(sight.confidence[k]),
            "answer": None if digit is None else _answer(digit),
        }
        for k, (box, digit) in enumerate(zip(boxes, answers(examination), strict=True))
    ]


def _answer(digit: Digit) -> dict[str, Any]:
    kept = ("value", "confidence", "status", "reason", "starts_number")
    return {name: value for name, value in digit.as_dict().items() if name in kept}


def _rounded(values: Any) -> Any:
    return np.round(np.asarray(values, np.float64), 6).tolist()
