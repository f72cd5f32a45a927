"""Plots of how a classifier fares on worse tiles: bars of corruptions, curves, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from digitlens.datasets.corruptions.corruptions import CHUNK, corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.robustness import SEED, Condition, Curve, Robustness
from digitlens.visualization.style import canvas, headline, percent, theme

WIDE, HIGH = 41, 33  # pixels of a cell: a framed tile, what was read beside it, and room around
FRAME = 60  # of 255, from ground to ink: a tile may be as blank as the ground


def draw_robustness(found: Robustness, split: Split, folder: Path) -> list[Path]:
    """Every picture of a measurement.

    Args:
        found: What was measured.
        split: The tiles that it was measured on, unchanged, and their labels.
        folder: Where the pictures go.

    Returns:
        The files written.
    """
    names = ("corruptions", "sweeps", "corrupted")
    corruptions, sweeps, corrupted = (folder / f"{name}.png" for name in names)
    draw_corruptions(found, corruptions)
    draw_sweeps(found, sweeps)
    draw_corrupted(found, split, corrupted)
    return [corruptions, sweeps, corrupted]


def draw_corruptions(found: Robustness, path: Path) -> None:
    """Accuracy under each corruption, best first, with intervals and the means.

    Args:
        found: What was measured.
        path: The ``.png`` or ``.svg`` file to write.
    """
    rows = sorted(found.corruptions, key=lambda row: -row.score.accuracy)
    with canvas(path, 9.2, 6.6) as figure:
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            _bar(axes, place, row)
        kinds = [_look(kind) for kind in dict.fromkeys(row.overlaps for row in rows)]
        axes.axvline(found.mean_accuracy, color=theme().ink, linestyle="--", linewidth=1.2)
        title = f"{percent(found.mean_accuracy)} under corruptions of {found.clean.score.n:,} tiles"
        headline(axes, title, _means(found))
        axes.set_yticks(range(len(rows)), [_words(row.name) for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.1)
        axes.set_xticks(np.arange(6) / 5)
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set_xlabel("accuracy; bars of 95 % confidence, dashed the mean of all")
        handles = [Patch(color=colour, label=name) for colour, name in kinds]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2)


def draw_sweeps(found: Robustness, path: Path) -> None:
    """Accuracy while one quantity changes, each in a plot of its own.

    Args:
        found: What was measured.
        path: The ``.png`` or ``.svg`` file to write.
    """
    rows = -(-len(found.curves) // 3)
    with canvas(path, 12.5, 0.9 + 3.3 * rows) as figure:
        plots = figure.subplots(rows, 3, sharey=True, squeeze=False)
        for axes, curve in zip(plots.flat, found.curves, strict=False):
            _draw_curve(axes, curve)
        for axes in plots.flat[len(found.curves) :]:
            axes.set_axis_off()
        for axes in plots[:, 0]:
            axes.set_ylabel("accuracy")
        n = found.curves[0].scores[0].n
        headline(
            plots[0, 0],
            "How far it goes",
            f"{n:,} tiles a point; shaded is 95 % confidence, dotted the usual",
        )
        for text in plots[0, 0].texts:
            text.set_in_layout(False)  # it reaches over the next plot, which is not to make way


def draw_corrupted(found: Robustness, split: Split, path: Path) -> None:
    """One tile of each digit under each corruption, and what was read.

    Args:
        found: What was measured.
        split: The tiles that it was measured on, unchanged, and their labels.
        path: The ``.png`` or ``.svg`` file to write.
    """
    first = split.tiles[:CHUNK]  # corrupted alone they come out as they did with all the others
    chosen = _first_of_each(split.labels[:CHUNK])
    conditions = (found.clean, *found.corruptions)
    with canvas(path, 1.4 + 0.86 * len(chosen), 1.2 + 0.68 * len(conditions)) as figure:
        axes = figure.add_subplot()
        mosaic = np.zeros((len(conditions) * HIGH, len(chosen) * WIDE), np.uint8)
        for row, condition in enumerate(conditions):
            changed = first if condition is found.clean else corrupt(first, condition.name, SEED)
            for column, tile in enumerate(changed[chosen]):
                top, left = row * HIGH, column * WIDE
                mosaic[top : top + 30, left : left + 30] = np.pad(tile, 1, constant_values=FRAME)
            _name_row(axes, row, condition)
            _write_answers(axes, row, condition, chosen, split.labels[chosen])
        axes.imshow(mosaic, cmap=theme().tiles, vmin=0, vmax=255, interpolation="nearest")
        headline(axes, "What was read under each corruption", "wrong answers in red")
        axes.set_axis_off()


def _bar(axes: Axes, place: int, row: Condition) -> None:
    colours, (low, high) = theme(), row.score.interval
    share = row.score.accuracy
    axes.barh(place, share, 0.72, color=_look(row.overlaps)[0])
    spread = [[max(share - low, 0)], [max(high - share, 0)]]
    axes.errorbar(share, place, xerr=spread, color=colours.ink, capsize=2, linewidth=1)
    behind = {"facecolor": colours.ground, "edgecolor": "none", "pad": 1}  # the mean's line
    axes.text(high + 0.01, place, percent(share), va="center", fontsize=10, bbox=behind)


def _look(overlaps: bool | None) -> tuple[str, str]:
    colours = theme()
    if overlaps is None:
        return colours.blue, "training not known"
    if overlaps:
        return colours.orange, "of a kind trained with"
    return colours.blue, "of a kind that training did not show"


def _means(found: Robustness) -> str:
    clean = f"{percent(found.clean.score.accuracy, 2)} without"
    if found.mean_accuracy_apart is None:
        return clean
    apart = percent(found.mean_accuracy_apart)
    return f"{clean}; {apart} under the {len(found.apart)} of a kind that training did not show"


def _draw_curve(axes: Axes, curve: Curve) -> None:
    low, high = np.array([score.interval for score in curve.scores]).T
    shares = [score.accuracy for score in curve.scores]
    axes.axvline(curve.usual, color=theme().soft, linestyle=":", linewidth=1.5)
    axes.fill_between(curve.values, low, high, color=theme().blue, alpha=0.2, linewidth=0)
    axes.plot(
        curve.values, shares, "o-", color=theme().blue, linewidth=2, markersize=4, clip_on=False
    )
    axes.set_xlabel(curve.axis)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(color=theme().faint)


def _first_of_each(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Index of the first tile of each digit that there is, ascending by digit."""
    return np.unique(labels, return_index=True)[1]


def _name_row(axes: Axes, row: int, condition: Condition) -> None:
    text = f"{_words(condition.name)}\n{percent(condition.score.accuracy)}"
    axes.text(-3, row * HIGH + 15, text, ha="right", va="center", color=theme().ink, fontsize=10)


def _write_answers(
    axes: Axes,
    row: int,
    condition: Condition,
    chosen: npt.NDArray[np.int64],
    labels: Sequence[int] | npt.NDArray[np.uint8],
) -> None:
    read = condition.probabilities[chosen].argmax(axis=1)
    for column, (digit, truth) in enumerate(zip(read, labels, strict=True)):
        right = digit == truth
        colour, weight = (theme().soft, "normal") if right else (theme().red, "bold")
        x, y = column * WIDE + 32, row * HIGH + 15
        axes.text(x, y, str(digit), color=colour, weight=weight, va="center", fontsize=12)


def _words(name: str) -> str:
    return name.replace("_", " ")
