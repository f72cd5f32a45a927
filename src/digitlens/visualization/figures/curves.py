"""Training curves: losses, accuracies and learning rates by epoch; and plots of recipe searches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from digitlens.training.search_space import Categorical, Dimension, Numeric, StudyResult, Trial
from digitlens.visualization.theme import (
    add_hints,
    canvas,
    headline,
    percent,
    round_ticks,
    series_looks,
    share_tick,
    show_logarithms,
    theme,
    write_note,
    written,
)

History = Sequence[Mapping[str, Any]]

_MARKED = 30  # points up to which those of a line are marked
_SPARSE = 3  # points up to which markers are large


class _Look(NamedTuple):
    name: str
    colour: str
    line: str


def draw_curves(history: History, path: Path, steps: History = ()) -> None:
    """Draws loss, quality and learning rate by epoch or step, for any kind of network.

    A row of the history is a validation, with ``epoch`` or ``step``, ``train_loss`` and any other
    key of ``_panels``. A run of one epoch is drawn by step if the steps are known. For classifiers
    the epoch with the lowest validation loss is marked.
    """
    along = "epoch" if "epoch" in history[0] else "step"
    validated = [row for row in history if along == "epoch" and "val_loss" in row]
    if along == "epoch" and len(history) == 1 and len(steps) > 1:
        along, history = "step", [*steps[:-1], {**history[0], **steps[-1]}]
        validated = history[-1:] if validated else []
    best = min(validated, key=lambda row: row["val_loss"]) if validated else None
    panels = _panels(history)
    widths = [0.75 if "learning_rate" in series else 1.0 for series in panels.values()]
    with canvas(path, 4.9 * sum(widths) + 0.6, 4.7) as figure:
        plots = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
        for axes, (title, series) in zip(plots, panels.items(), strict=True):
            _draw_series(axes, history, along, series)
            axes.set_title(title, pad=12)
            axes.set_xlabel(along)
            _scale(axes, title)
            if best:
                _mark_lowest(axes, best, along, series)
        named = {
            label: handle
            for axes in plots
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
            if label != "learning rate"
        }
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=4)


def _panels(history: History) -> dict[str, dict[str, _Look]]:
    """The panels by title: each the measured series, by their keys in the rows."""
    green, ink = theme().green, theme().ink
    training = _Look("training", theme().blue, "--")
    validation = _Look("validation", theme().orange, "-")
    panels: dict[str, dict[str, _Look]] = {}
    for title, key, look in (
        ("Loss", "train_loss", training),
        ("Loss", "val_loss", validation),
        ("Accuracy", "train_accuracy", training),
        ("Accuracy", "val_accuracy", validation),
        ("Squared error per pixel, 0 to 1", "val_error", validation),
        ("Validation pages", "found", _Look("digits found", green, "-")),
        ("Validation pages", "right", _Look("read correctly", ink, "--")),
        ("Validation lines", "exact", _Look("lines correct", green, "-")),
        ("Validation lines", "numeric_exact", _Look("digits and marks correct", ink, "--")),
        ("Learning rate", "learning_rate", _Look("learning rate", green, "-")),
    ):
        if any(key in row for row in history):
            panels.setdefault(title, {})[key] = look
    return panels


def _scale(axes: Axes, title: str) -> None:
    if title == "Loss":
        _make_logarithmic(axes)
        axes.set_ylabel("loss, logarithmic axis")
    elif title == "Learning rate" or title.startswith("Squared"):
        axes.set_ylim(0, 1.08 * max(axes.dataLim.y1, 0) or 1)
        axes.yaxis.set_major_locator(round_ticks(5))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        axes.yaxis.set_major_locator(round_ticks())
        axes.yaxis.set_major_formatter(written(share_tick))


def _mark_lowest(
    axes: Axes, best: Mapping[str, Any], along: str, series: Mapping[str, _Look]
) -> None:
    """Marks the lowest validation loss."""
    if key := next((key for key in series if key.startswith("val_") and key in best), ""):
        axes.axvline(best[along], color=theme().soft, linestyle=":", linewidth=1.5, zorder=0)
        name = f"lowest validation loss, {best['val_loss']:.4f}, {along} {best[along]}"
        axes.scatter(best[along], best[key], 90, color=theme().red, zorder=4, label=name)


def draw_runs(histories: Mapping[str, History], path: Path) -> None:
    """Draws loss and accuracy of several runs in the same axes, with their best epochs.

    Shows validation curves, or training curves of all runs if one of them has no validation tiles.
    """
    validated = all("val_loss" in row for history in histories.values() for row in history[:1])
    side = "val" if validated else "train"
    with canvas(path, 11.6, 5.0 + 0.24 * len(histories)) as figure:
        loss, accuracy = figure.subplots(1, 2)
        for (name, history), (line, colour) in zip(histories.items(), series_looks(), strict=False):
            _draw_run(loss, accuracy, history, side, _Look(name, colour, line))
        what, why = "Validation", "as defined by each recipe, including smoothing"
        if not validated:
            what, why = "Training", "not every run has validation tiles"
        headline(loss, f"{what} loss", why)
        headline(accuracy, f"{what} accuracy", "dots: epochs of the lowest loss")
        _make_logarithmic(loss)
        loss.set_ylabel("loss, logarithmic axis")
        accuracy.yaxis.set_major_formatter(written(share_tick))
        for axes in (loss, accuracy):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(round_ticks(whole=True))
            axes.autoscale(axis="x")
        figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _draw_run(loss: Axes, accuracy: Axes, history: History, side: str, look: _Look) -> None:
    best = min(history, key=lambda row: row[f"{side}_loss"])
    name = f"{look.name}: loss {best[f'{side}_loss']:.4f}"
    if f"{side}_accuracy" in best:
        name += f", accuracy {percent(best[f'{side}_accuracy'], 2)}"
    named = look._replace(name=f"{name}, epoch {best['epoch']}")
    for axes, key in ((loss, f"{side}_loss"), (accuracy, f"{side}_accuracy")):
        if key in best:
            _draw_series(axes, history, "epoch", {key: named})
            axes.plot(best["epoch"], best[key], "o", color=look.colour, markersize=9)


def _make_logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    show_logarithms(axes.yaxis, write="{:g}".format)
    low, high = axes.get_ylim()
    if high / low < 5:  # too few logarithmic ticks inside: use linear ones
        axes.yaxis.set_major_locator(round_ticks())


def _draw_series(axes: Axes, history: History, along: str, series: Mapping[str, _Look]) -> None:
    """Draws a line per series, by its key in the rows; rows without the key are skipped."""
    marker = "o" if len(history) <= _MARKED else ""
    for key, look in series.items():
        rows = [row for row in history if key in row]
        x, y = [row[along] for row in rows], [row[key] for row in rows]
        drawn = axes.plot(x, y, look.line, color=look.colour, linewidth=2, label=look.name)[0]
        drawn.set(marker=marker, markersize=6 if len(history) <= _SPARSE else 4)
        what = key.removeprefix("train_").removeprefix("val_")
        side = f" in {look.name}" if what != key else ""
        words = what.replace("_", " ")
        hints = [f"{along} {row[along]}: {words} {row[key]:.4g}{side}" for row in rows]
        add_hints(axes, x, y, hints)
    axes.grid(axis="y")
    if len(history) == 1:  # a single point spans no axis
        axes.set_xlim(history[0][along] - 1, history[0][along] + 1)
        axes.set_xticks([history[0][along]])
    else:
        axes.xaxis.set_major_locator(round_ticks(whole=True))


COLUMNS = 3  # slices per row
MOST = 12  # slices: the most important fields
_LONGEST = 16  # letters of a choice on an axis
_PRUNED = "pruned, latest value"


def draw_tuning(result: StudyResult, path: Path) -> None:
    """Draws the trials in order with the best so far, and below a slice for each field.

    All axes show the error rate on a logarithmic axis: accuracies of good recipes differ in the
    third digit, and a single bad recipe would squeeze them together.
    """
    share = result.importance
    ranked = sorted(result.space.dimensions, key=lambda one: -share.get(one.name, 0.0))
    fields = ranked[:MOST]
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
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _draw_history(axes: Axes, result: StudyResult) -> None:
    done = [trial for trial in result.trials if trial.accuracy is not None]
    pruned = [one for one in result.trials if one.state == "pruned" and one.latest is not None]
    last = max(trial.number for trial in result.trials)
    so_far = np.minimum.accumulate([_wrong(trial, result) for trial in done])
    ends = [*(trial.number for trial in done), last]
    axes.step(ends, np.r_[so_far, so_far[-1]], where="post", color=theme().orange, linewidth=2)
    axes.lines[-1].set_label("best so far")
    looks = ((done, "o", theme().blue, "complete"), (pruned, "x", theme().soft, _PRUNED))
    for trials, mark, colour, label in (look for look in looks if look[0]):
        numbers, errors = [one.number for one in trials], [_wrong(one, result) for one in trials]
        axes.plot(numbers, errors, mark, color=colour, markersize=6, label=label)
    _mark_best(axes, float(result.ranked[0].number), result)
    axes.lines[-1].set_label("best")
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")


def _draw_slice(axes: Axes, result: StudyResult, one: Dimension) -> None:
    done = [trial for trial in result.trials if trial.accuracy is not None]
    chosen = [trial.chosen[one.name] for trial in (*done, result.ranked[0])]
    if isinstance(one, Categorical):
        places = [float(one.values.index(str(value))) for value in chosen]
    else:
        places = [float(value) for value in chosen]
    errors = [_wrong(trial, result) for trial in done]
    axes.plot(places[:-1], errors, "o", color=theme().blue, markersize=5, alpha=0.7)
    _mark_best(axes, places[-1], result)
    if isinstance(one, Categorical):
        labels = [t if len(t) <= _LONGEST else t[: _LONGEST - 1] + "…" for t in one.values]
        slanted = sum(map(len, labels)) > _LONGEST
        look: dict[str, Any] = {"rotation": 30, "ha": "right"} if slanted else {}
        axes.set_xticks(range(len(labels)), labels, **look)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    else:
        _scale_field(axes, one)
    share = result.importance.get(one.name)
    axes.set_title(one.name, fontsize=12, pad=20)
    if share is not None:
        write_note(axes, f"importance {percent(share, 0)}", 5, fontsize=10)
    axes.grid(axis="y")


def _scale_field(axes: Axes, one: Numeric) -> None:
    if one.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_round_numbers(one.low, one.high)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(one.low / 1.1, one.high * 1.1)
    else:
        room = (one.high - one.low) * 0.06
        axes.set_xlim(one.low - room, one.high + room)
        axes.xaxis.set_major_locator(round_ticks(4, whole=isinstance(one.low, int)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _round_numbers(low: float, high: float) -> list[float]:
    """At most five of the numbers 1, 2, 5, 10, … within a range, evenly thinned."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    inside = [number for number in numbers if low <= number <= high]
    return inside[:: -(-len(inside) // 5) or 1]


def _finish(axes: Axes, result: StudyResult) -> None:
    best = result.ranked[0]
    seeds = f", mean of {result.seeds} seeds" if result.seeds > 1 else ""
    title = f"Best validation accuracy {percent(best.accuracy or 0.0, 2)}"
    what = f"error rate on {result.tiles:,} validation tiles{seeds}, logarithmic axis"
    headline(axes, f"{title}, trial {best.number} of {len(result.trials)}", what)
    shown = [one for one in result.trials if (one.accuracy or one.latest) is not None]
    errors = [_wrong(trial, result) for trial in shown if trial.state in {"complete", "pruned"}]
    axes.set_ylim(min(errors) / 1.3, max(errors) * 1.3)  # a single trial spans no axis
    axes.set_yscale("log")
    show_logarithms(axes.yaxis, write=share_tick)
    axes.grid(axis="y")


def _mark_best(axes: Axes, place: float, result: StudyResult) -> None:
    wrong = _wrong(result.ranked[0], result)
    axes.plot(place, wrong, "o", color=theme().red, markersize=9, zorder=4)


def _wrong(trial: Trial, result: StudyResult) -> float:
    """Error rate of a trial; no error counts as half a tile, since a log axis has no zero."""
    accuracy = trial.latest if trial.accuracy is None else trial.accuracy
    return max(1 - (accuracy or 0.0), 0.5 / result.tiles)
