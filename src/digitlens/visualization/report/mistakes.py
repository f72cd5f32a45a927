"""Which tiles were read as what: the matrix with the pictures behind it, and the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.report import Report
from digitlens.visualization.report.charts import columns
from digitlens.visualization.report.contents import Contents, Neighbours, Section
from digitlens.visualization.report.pictures import picture
from digitlens.visualization.report.words import count, rough

CELL = 20  # pictures behind a cell, at most: all cells of a bad model stay below a megabyte
HITS = 8  # of those read correctly: so many of the least sure, and of the most
ERRORS = 100  # shown one by one
SHADES = 5

Indices = npt.NDArray[np.int64]


def shown_errors(report: Report) -> Indices:
    """int64[K]: the tiles that are shown one by one, the surest mistakes first."""
    order = np.argsort(-report.confidence[report.wrong], kind="stable")
    return report.wrong[order][:ERRORS]


def confusion(contents: Contents) -> Section:
    """The matrix, and the pictures behind each of its cells."""
    report = contents.report
    counts = report.confusion.copy()
    np.fill_diagonal(counts, 0)
    most = int(counts.max())
    rows = [[_cell(report, t, a, most) for a in range(10)] for t in range(10)]
    panels = [_panel(contents, t, a) for t in range(10) for a in range(10)]
    pairs = [
        {"truth": pair.truth, "answer": pair.predicted, "count": count(pair.count)}
        for pair in report.confused_pairs[:3]
    ]
    values = {"rows": rows, "panels": [panel for panel in panels if panel], "pairs": pairs}
    return Section("confusion", "What was taken for what", values)


def errors(contents: Contents) -> Section:
    """The surest mistakes one by one, with the training digits that are most alike."""
    report = contents.report
    chosen = shown_errors(report)
    cards = [_card(contents, place, int(index)) for place, index in enumerate(chosen)]
    values = {
        "cards": cards,
        "left_out": len(report.wrong) - len(chosen),
        "total": len(report.wrong),
        "alone": contents.alone,
        "known": contents.neighbours.known if contents.neighbours else 0,
    }
    return Section("errors", "The errors, one by one", values)


def _cell(report: Report, truth: int, answer: int, most: int) -> dict[str, Any]:
    number = int(report.confusion[truth, answer])
    return {
        "name": f"cell-{truth}-{answer}",
        "count": number,
        "is_hit": truth == answer,
        "shade": 0 if truth == answer else _shade(number, most),
        "said": _said(truth, answer, number),
    }


def _said(truth: int, answer: int, number: int) -> str:
    tiles = f"{count(number)} {'tile' if number == 1 else 'tiles'}"
    return (
        f"{truth} read correctly: {tiles}"
        if truth == answer
        else f"{truth} read as {answer}: {tiles}"
    )


def _shade(number: int, most: int) -> int:
    """1 to ``SHADES`` by the logarithm of a count, so that single mistakes show too; 0 for none."""
    if not number:
        return 0
    share = np.log(number) / np.log(most) if most > 1 else 1.0
    return 1 + round((SHADES - 1) * float(share))


def _panel(contents: Contents, truth: int, answer: int) -> dict[str, Any] | None:
    """The pictures behind a cell; None of an empty one."""
    report = contents.report
    inside = np.flatnonzero((report.labels == truth) & (report.predicted == answer))
    if not len(inside):
        return None
    sure = inside[np.argsort(-report.confidence[inside], kind="stable")]
    panel = {
        "name": f"cell-{truth}-{answer}",
        "title": _said(truth, answer, len(inside)),
        "is_hit": truth == answer,
    }
    if truth == answer and len(sure) > 2 * HITS:
        groups = [("the least sure", sure[::-1][:HITS]), ("the surest", sure[:HITS])]
    else:
        groups = [("the surest first", sure[:CELL])]
    shown = sum(len(tiles) for _, tiles in groups)
    pictures = [(name, [_picture(contents, int(i)) for i in tiles]) for name, tiles in groups]
    return panel | {"groups": pictures, "left_out": len(sure) - shown}


def _picture(contents: Contents, index: int) -> dict[str, str]:
    report = contents.report
    sure = rough(float(report.confidence[index]))
    answer = f"tile {index}: {report.labels[index]} read as {report.predicted[index]}, {sure} sure"
    return {"source": picture(contents.tiles[index]), "said": answer, "sure": sure}


def _card(contents: Contents, place: int, index: int) -> dict[str, Any]:
    report = contents.report
    probabilities = report.probabilities[index]
    truth, answer = int(report.labels[index]), int(report.predicted[index])
    second = int(np.argsort(-probabilities, kind="stable")[1])
    return {
        "index": index,
        "source": picture(contents.tiles[index]),
        "truth": truth,
        "answer": answer,
        "sure": rough(float(probabilities[answer])),
        "second": second,
        "second_sure": rough(float(probabilities[second])),
        "truth_sure": rough(float(probabilities[truth])),
        "columns": columns([float(share) for share in probabilities], _colours(truth, answer)),
        "is_mislabelled": index in report.data.label_errors,
        "neighbours": _neighbours(contents.neighbours, place, truth, answer),
    }


def _colours(truth: int, answer: int) -> list[str]:
    found = ["soft"] * 10
    found[truth], found[answer] = "blue", "red"
    return found


def _neighbours(
    neighbours: Neighbours | None, place: int, truth: int, answer: int
) -> list[dict[str, Any]]:
    if neighbours is None or place >= len(neighbours.tiles):
        return []
    kinds = {truth: "truth", answer: "answer"}
    rows = zip(
        neighbours.tiles[place],
        neighbours.labels[place].tolist(),
        neighbours.distances[place].tolist(),
        strict=True,
    )
    return [
        {
            "source": picture(tile),
            "label": label,
            "kind": kinds.get(label, "other"),
            "said": f"a {label} it learned from, {distance:.2f} away",
        }
        for tile, label, distance in rows
    ]
