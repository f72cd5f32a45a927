"""Plots of what an evaluation found and of how a training went, as PNG or SVG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)

from digitlens.evaluation.metrics import Bin, wilson_interval
from digitlens.evaluation.report import Report
from digitlens.visualization.predictions import Tiles, draw_correct, draw_wrong
from digitlens.visualization.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PALE,
    RED,
    SOFT,
    canvas,
    headline,
    percent,
)

_MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#FDE9DC", "#F6B48F", RED, "#5E1402"])
# Where an axis of scores may start: the highest that leaves the lowest bar a quarter of the axis,
# since a bar that almost vanishes looks like a score of almost nothing.
_STARTS = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)


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


def draw_confusion(report: Report, path: Path) -> None:
    """The confusion matrix with the mistakes in colour and what is right kept quiet.

    Right answers are a thousand times as many as mistakes and would drown them on one scale, so
    only mistakes are coloured, on a logarithmic one.
    """
    mistakes = report.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    highest = max(int(mistakes.max()), 2)
    with canvas(path, 8.6, 7.6) as figure:
        axes = figure.add_subplot(facecolor=PALE)
        sns.heatmap(
            mistakes,
            mask=mistakes == 0,
            annot=True,
            fmt="d",
            annot_kws={"fontsize": 13},
            cmap=_MISTAKES,
            norm=LogNorm(1, highest),
            vmin=1,  # read by seaborn even when there is no mistake to take it from
            vmax=highest,
            square=True,
            linewidths=1.5,
            cbar_kws={"label": "mistakes, on a logarithmic scale", "shrink": 0.72, "pad": 0.03},
            ax=axes,
        )
        _mute_diagonal(axes, report)
        _number_colorbar(figure.axes[-1], highest)
        headline(
            axes,
            f"{report.score.errors:,} mistakes in {report.n:,} tiles",
            f"accuracy {percent(report.accuracy, 2)}, with 95 % confidence from "
            f"{percent(report.interval[0], 2)} to {percent(report.interval[1], 2)}",
        )
        axes.set_xlabel("read as", fontsize=14)
        axes.set_ylabel("truth", fontsize=14)
        axes.tick_params(length=0, labelsize=14, rotation=0)


def draw_classes(report: Report, path: Path) -> None:
    """Precision, recall and F1 of each digit as bars, on an axis that says where it starts."""
    series = {
        "precision": (BLUE, [row.precision for row in report.classes]),
        "recall": (ORANGE, [row.recall for row in report.classes]),
        "F1": (GREEN, [row.f1 for row in report.classes]),
    }
    lowest = min(min(values) for _, values in series.values())
    start = max((at for at in _STARTS if lowest - at >= (1 - at) / 4), default=0.0)
    with canvas(path, 10.5, 5.2) as figure:
        axes = figure.add_subplot()
        for place, (name, (colour, values)) in enumerate(series.items()):
            where = np.arange(10) + (place - 1) * 0.26
            axes.bar(where, np.array(values) - start, 0.24, bottom=start, color=colour, label=name)
        note = f"the axis starts at {percent(start)}, not at 0" if start else ""
        headline(axes, "Precision, recall and F1 of each digit", note)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
        axes.set_xticks(range(10), [f"{row.digit}\n{row.support:,}" for row in report.classes])
        axes.set_xlabel("digit, and its number of tiles")
        axes.set_ylim(start, 1)
        axes.set_xlim(-0.6, 9.6)
        axes.set_ylabel("score")
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol=" %"))
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        if start:
            _mark_cut_axis(axes)


def draw_calibration(report: Report, path: Path) -> None:
    """The share that is right against the confidence, and how often each confidence is given."""
    filled = [row for row in report.calibration.bins if row.count]
    with canvas(path, 7.4, 7.6) as figure:
        above, below = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1], "hspace": 0.04}
        )
        _draw_reliability(above, filled)
        headline(
            above,
            f"Expected calibration error {percent(report.ece, 2)}",
            f"{len(report.calibration.bins)} bins of equal width; bars of 95 % confidence",
        )
        width = report.calibration.bins[0].high
        below.bar([row.low for row in filled], [row.count for row in filled], width, align="edge")
        for patch in below.patches:
            patch.set(facecolor=BLUE, edgecolor="white")
        below.set_yscale("log")
        below.set_ylim(0.7, None)
        below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        below.yaxis.set_minor_locator(NullLocator())
        below.set_ylabel("tiles")
        below.set_xlabel("confidence of the model")
        below.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        below.grid(axis="y")


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Loss and accuracy of training and validation over the epochs.

    Args:
        history: One row an epoch, with ``epoch``, ``train_loss``, ``val_loss``, ``train_accuracy``
            and ``val_accuracy``; without the latter two all tiles were trained with.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: The history is empty.
    """
    if not history:
        raise ValueError("expected a history of at least one epoch, found none")
    validated = "val_loss" in history[0]
    best = min(history, key=lambda row: row["val_loss"]) if validated else None
    with canvas(path, 11, 4.6) as figure:
        left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        for axes, what in ((left, "loss"), (right, "accuracy")):
            sides = {"train": ("training", BLUE, "--")}
            if best:
                sides["val"] = ("validation", ORANGE, "-")
            series = {f"{side}_{what}": look for side, look in sides.items()}
            _draw_series(axes, history, "epoch", series)
            if best:
                axes.axvline(best["epoch"], color=SOFT, linestyle=":", linewidth=1.5, zorder=0)
                axes.scatter(best["epoch"], best[f"val_{what}"], 90, color=RED, zorder=4)
            axes.set_title(what.capitalize(), pad=12)
            axes.set_xlabel("epoch")
        _make_logarithmic(left)
        left.set_ylabel("cross-entropy, logarithmic axis")
        right.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        if best:
            right.plot([], [], "o", color=RED, markersize=9, label="lowest validation loss")
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_page_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Loss of training and validation over the steps, and how many digits are found and right.

    Args:
        history: One row a validation, with ``step``, ``train_loss``, ``val_loss``, ``found`` and
            ``right``.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: The history is empty.
    """
    if not history:
        raise ValueError("expected a history of at least one validation, found none")
    with canvas(path, 11, 4.6) as figure:
        left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        sides = {"train_loss": ("training", BLUE, "--"), "val_loss": ("validation", ORANGE, "-")}
        shares = {"found": ("digits found", GREEN, "-"), "right": ("read right", BLUE, "--")}
        _draw_series(left, history, "step", sides)
        _draw_series(right, history, "step", shares)
        left.set_title("Loss", pad=12)
        left.set_ylabel("loss, logarithmic axis")
        _make_logarithmic(left)
        right.set_title("Validation pages", pad=12)
        right.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        for axes in (left, right):
            axes.set_xlabel("step")
            axes.legend()


def _mute_diagonal(axes: Axes, report: Report) -> None:
    for digit, right in enumerate(report.confusion.diagonal()):
        axes.add_patch(Rectangle((digit, digit), 1, 1, facecolor=FAINT, edgecolor="white"))
        middle = digit + 0.5
        axes.text(middle, middle, f"{right:,}", ha="center", va="center", color=SOFT, fontsize=12)


def _number_colorbar(axes: Axes, highest: int) -> None:
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= highest]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)


def _mark_cut_axis(axes: Axes) -> None:
    # The two strokes of a broken axis: bars that do not start at 0 must not look as if they did.
    for height in (0.03, 0.05):
        axes.plot(
            [-0.009, 0.009],
            [height - 0.01, height + 0.01],
            color=INK,
            linewidth=1.3,
            transform=axes.transAxes,
            clip_on=False,
        )


def _draw_reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    confidence = np.array([row.confidence for row in bins])
    accuracy = np.array([row.accuracy for row in bins])
    ends = [wilson_interval(round(row.accuracy * row.count), row.count) for row in bins]
    low, high = np.array(ends).T
    axes.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1.3, label="perfect calibration")
    spread = np.clip([accuracy - low, high - accuracy], 0, None)
    axes.errorbar(
        confidence,
        accuracy,
        spread,
        fmt="o",
        color=BLUE,
        markersize=8,
        capsize=3,
        label="share of the tiles in a bin",
    )
    axes.set_xlim(0, 1.01)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share that is right")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid()
    axes.legend(loc="lower right")


def _make_logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_series(
    axes: Axes,
    history: Sequence[Mapping[str, Any]],
    along: str,
    series: Mapping[str, tuple[str, str, str]],
) -> None:
    """One line for each series, given by key of the rows as name, colour and style."""
    places = [row[along] for row in history]
    marker = "o" if len(history) <= 30 else ""
    for key, (name, colour, line) in series.items():
        values = [row[key] for row in history]
        (drawn,) = axes.plot(places, values, line, color=colour, linewidth=2, label=name)
        drawn.set(marker=marker, markersize=4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
