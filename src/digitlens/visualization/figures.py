"""Every picture of an evaluation, written into its folder."""

from __future__ import annotations

from pathlib import Path

from digitlens.evaluation.report import Report
from digitlens.visualization.classes import draw_classes
from digitlens.visualization.confusion import draw_confusion
from digitlens.visualization.predictions import Tiles, draw_correct, draw_wrong
from digitlens.visualization.reliability import draw_calibration


def draw_report(report: Report, tiles: Tiles, folder: Path) -> list[Path]:
    """Every picture of an evaluation.

    Args:
        report: What was found.
        tiles: uint8[N, 28, 28]; the tiles that were evaluated, in their order.
        folder: Where the pictures go.

    Returns:
        The files written.
    """
    names = ("confusion", "classes", "calibration", "wrong", "correct")
    confusion, classes, calibration, wrong, correct = (folder / f"{name}.png" for name in names)
    draw_confusion(report, confusion)
    draw_classes(report, classes)
    draw_calibration(report, calibration)
    draw_wrong(report, tiles, wrong)
    draw_correct(report, tiles, correct)
    return [confusion, classes, calibration, wrong, correct]
