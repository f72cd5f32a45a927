"""A study as one picture: how it came to its best recipe, and what each searched field did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)

from digitlens.training.search_space import Choice, Dimension, Range
from digitlens.training.trials import StudyResult, Trial
from digitlens.visualization.style import canvas, headline, percent, share_ticks, theme

COLUMNS = 3  # slices in a row
MOST = 12  # slices: the fields that matter most
_LONGEST = 16  # letters of a choice on an axis


def draw_tuning(result: StudyResult, path: Path) -> None:
    """The trials in their order with the best so far, and under them a slice for each field.

    All axes show the share that is read wrong on a logarithmic axis: accuracies of good recipes
    differ in the third digit, and one bad recipe would press them together.

    Args:
        result: A study with a complete trial.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: No trial is complete.
    """
    if not result.best:
        raise ValueError("expected a study with a complete trial, found none")
    fields = _by_importance(result)
    rows = -(-len(fields) // COLUMNS)
    with canvas(path, 11, 4.8 + 3.1 * rows) as figure:
        heights = [4.8 / 3.1, *[1.0] * rows]
        grid = figure.add_gridspec(1 + rows, COLUMNS, height_ratios=heights)
        axes = figure.add_subplot(grid[0, :])
        _draw_history(axes, result)
        for place, one in enumerate(fields):
            row, column = divmod(place, COLUMNS)
            below = figure.add_subplot(grid[1 + row, column], sharey=axes)
            _draw_slice(below, result, one)
            below.tick_params(labelleft=column == 0)
        _finish(axes, result)
        _legend(figure, axes)


def _by_importance(result: StudyResult) -> list[Dimension]:
    share = result.importance
    ranked = sorted(result.space.dimensions, key=lambda one: -share.get(one.name, 0.0))
    return ranked[:MOST]


def _draw_history(axes: Axes, result: StudyResult) -> None:
    done = [trial for trial in result.trials if trial.accuracy is not None]
    errors = np.array([_wrong(trial, result) for trial in done])
    numbers = np.array([trial.number for trial in done])
    last = max(trial.number for trial in result.trials)
    ends = np.r_[numbers, last]
    so_far = np.minimum.accumulate(errors)
    axes.step(ends, np.r_[so_far, so_far[-1]], where="post", color=theme().orange, linewidth=2)
    axes.lines[-1].set_label("best so far")
    axes.plot(numbers, errors, "o", color=theme().blue, markersize=6, label="complete")
    pruned = [one for one in result.trials if one.state == "pruned" and one.latest is not None]
    if pruned:
        places = [trial.number for trial in pruned]
        heights = [_wrong(trial, result) for trial in pruned]
        axes.plot(
            places, heights, "x", color=theme().soft, markersize=6, label="pruned, when it was"
        )
    _mark_best(axes, float(_best(result).number), result)
    axes.lines[-1].set_label("best")
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")


def _draw_slice(axes: Axes, result: StudyResult, one: Dimension) -> None:
    done = [trial for trial in result.trials if trial.accuracy is not None]
    places = _places([*done, _best(result)], one)
    errors = [_wrong(trial, result) for trial in done]
    axes.plot(places[:-1], errors, "o", color=theme().blue, markersize=5, alpha=0.7)
    _mark_best(axes, places[-1], result)
    if isinstance(one, Choice):
        labels = [
            text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in one.values
        ]
        slanted = sum(map(len, labels)) > _LONGEST
        axes.set_xticks(
            range(len(labels)),
            labels,
            rotation=30 if slanted else 0,
            ha="right" if slanted else "center",
        )
        axes.set_xlim(-0.5, len(labels) - 0.5)
    else:
        _scale(axes, one)
    share = result.importance.get(one.name)
    axes.set_title(one.name, fontsize=12, pad=20)
    if share is not None:
        note = f"{percent(share, 0)} of what mattered"
        axes.annotate(
            note,
            (0, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            color=theme().soft,
            fontsize=10,
        )
    axes.grid(axis="y")


def _places(trials: Sequence[Trial], one: Dimension) -> list[float]:
    """Where trials stand on the axis of a field."""
    chosen = [trial.chosen[one.name] for trial in trials]
    if isinstance(one, Choice):
        return [float(one.values.index(str(value))) for value in chosen]
    return [float(value) for value in chosen]


def _scale(axes: Axes, one: Range) -> None:
    if one.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_round_numbers(one.low, one.high)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(one.low / 1.1, one.high * 1.1)
    else:
        room = (one.high - one.low) * 0.06
        axes.set_xlim(one.low - room, one.high + room)
        axes.xaxis.set_major_locator(
            MaxNLocator(4, steps=[1, 2, 5, 10], integer=isinstance(one.low, int))
        )
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _round_numbers(low: float, high: float) -> list[float]:
    """At most five of 1, 2, 5, 10, … within a range, evenly thinned."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    inside = [number for number in numbers if low <= number <= high]
    return inside[:: -(-len(inside) // 5) or 1]


def _finish(axes: Axes, result: StudyResult) -> None:
    best = _best(result)
    seeds = f", mean of {result.seeds} seeds" if result.seeds > 1 else ""
    headline(
        axes,
        f"Best validation accuracy {percent(best.accuracy or 0.0, 2)}, trial {best.number} of "
        f"{len(result.trials)}",
        f"share of {result.tiles:,} validation tiles that is read wrong{seeds}, logarithmic axis",
    )
    shown = [one for one in result.trials if (one.accuracy or one.latest) is not None]
    errors = [_wrong(trial, result) for trial in shown if trial.state in {"complete", "pruned"}]
    axes.set_ylim(min(errors) / 1.3, max(errors) * 1.3)  # one trial alone spans no axis
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(share_ticks())
    axes.grid(axis="y")


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _mark_best(axes: Axes, place: float, result: StudyResult) -> None:
    axes.plot(place, _wrong(_best(result), result), "o", color=theme().red, markersize=9, zorder=4)


def _best(result: StudyResult) -> Trial:
    assert result.best  # checked by draw_tuning
    return result.best


def _wrong(trial: Trial, result: StudyResult) -> float:
    """Share read wrong; nothing wrong, which has no place on the axis, stands for half a tile."""
    accuracy = trial.latest if trial.accuracy is None else trial.accuracy
    return max(1 - (accuracy or 0.0), 0.5 / result.tiles)
