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
    line_styles,
    percent,
    round_ticks,
    share_tick,
    show_logarithms,
    theme,
    tick_formatter,
    write_note,
)

History = Sequence[Mapping[str, Any]]

_MAX_MARKED = 30  # points up to which those of a line are marked
_SPARSE = 3  # points up to which markers are large


class _Style(NamedTuple):
    name: str
    colour: str
    line: str


def draw_curves(history: History, path: Path, steps: History = ()) -> None:
    """Draws loss, quality and learning rate by epoch or step, for any kind of network.

    A row of the history is a validation, with ``epoch`` or ``step``, ``train_loss`` and any other
    key of ``_panels``. A run of one epoch is drawn by step if the steps are known. For classifiers
    the epoch with the lowest validation loss is marked.
    """
    x_key = "epoch" if "epoch" in history[0] else "step"
    validated = [row for row in history if x_key == "epoch" and "val_loss" in row]
    if x_key == "epoch" and len(history) == 1 and len(steps) > 1:
        x_key, history = "step", [*steps[:-1], {**history[0], **steps[-1]}]
        validated = history[-1:] if validated else []
    best = min(validated, key=lambda row: row["val_loss"]) if validated else None
    panels = _panels(history)
    widths = [0.75 if "learning_rate" in series else 1.0 for series in panels.values()]
    with canvas(path, 4.9 * sum(widths) + 0.6, 4.7) as figure:
        plots = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
        for axes, (title, series) in zip(plots, panels.items(), strict=True):
            _draw_series(axes, history, x_key, series)
            axes.set_title(title, pad=12)
            axes.set_xlabel(x_key)
            _scale_panel(axes, title)
            if best:
                _mark_lowest(axes, best, x_key, series)
        handles = {
            label: handle
            for axes in plots
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
            if label != "learning rate"
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)


def _panels(history: History) -> dict[str, dict[str, _Style]]:
    """The panels by title: each the measured series, by their keys in the rows."""
    green, ink = theme().green, theme().ink
    training = _Style("training", theme().blue, "--")
    validation = _Style("validation", theme().orange, "-")
    panels: dict[str, dict[str, _Style]] = {}
    for title, key, style in (
        ("Loss", "train_loss", training),
        ("Loss", "val_loss", validation),
        ("Accuracy", "train_accuracy", training),
        ("Accuracy", "val_accuracy", validation),
        ("Squared error per pixel, 0 to 1", "val_error", validation),
        ("Validation pages", "found", _Style("digits found", green, "-")),
        ("Validation pages", "right", _Style("read correctly", ink, "--")),
        ("Validation lines", "exact", _Style("lines correct", green, "-")),
        ("Validation lines", "numeric_exact", _Style("digits and marks correct", ink, "--")),
        ("Learning rate", "learning_rate", _Style("learning rate", green, "-")),
    ):
        if any(key in row for row in history):
            panels.setdefault(title, {})[key] = style
    return panels


def _scale_panel(axes: Axes, title: str) -> None:
    if title == "Loss":
        _make_logarithmic(axes)
        axes.set_ylabel("loss, logarithmic axis")
    elif title == "Learning rate" or title.startswith("Squared"):
        axes.set_ylim(0, 1.08 * max(axes.dataLim.y1, 0) or 1)
        axes.yaxis.set_major_locator(round_ticks(5))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        axes.yaxis.set_major_locator(round_ticks())
        axes.yaxis.set_major_formatter(tick_formatter(share_tick))


def _mark_lowest(
    axes: Axes, best: Mapping[str, Any], x_key: str, series: Mapping[str, _Style]
) -> None:
    """Marks the lowest validation loss."""
    if key := next((key for key in series if key.startswith("val_") and key in best), ""):
        axes.axvline(best[x_key], color=theme().soft, linestyle=":", linewidth=1.5, zorder=0)
        name = f"lowest validation loss, {best['val_loss']:.4f}, {x_key} {best[x_key]}"
        axes.scatter(best[x_key], best[key], 90, color=theme().red, zorder=4, label=name)


def draw_runs(histories: Mapping[str, History], path: Path) -> None:
    """Draws loss and accuracy of several runs in the same axes, with their best epochs.

    Shows validation curves, or training curves of all runs if one of them has no validation tiles.
    """
    validated = all("val_loss" in row for history in histories.values() for row in history[:1])
    prefix = "val" if validated else "train"
    with canvas(path, 11.6, 5.0 + 0.24 * len(histories)) as figure:
        loss, accuracy = figure.subplots(1, 2)
        for (name, history), (line, colour) in zip(histories.items(), line_styles(), strict=False):
            _draw_run(loss, accuracy, history, prefix, _Style(name, colour, line))
        kind, note = "Validation", "as defined by each recipe, including smoothing"
        if not validated:
            kind, note = "Training", "not every run has validation tiles"
        headline(loss, f"{kind} loss", note)
        headline(accuracy, f"{kind} accuracy", "dots: epochs of the lowest loss")
        _make_logarithmic(loss)
        loss.set_ylabel("loss, logarithmic axis")
        accuracy.yaxis.set_major_formatter(tick_formatter(share_tick))
        for axes in (loss, accuracy):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(round_ticks(whole=True))
            axes.autoscale(axis="x")
        figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _draw_run(loss: Axes, accuracy: Axes, history: History, prefix: str, style: _Style) -> None:
    best = min(history, key=lambda row: row[f"{prefix}_loss"])
    name = f"{style.name}: loss {best[f'{prefix}_loss']:.4f}"
    if f"{prefix}_accuracy" in best:
        name += f", accuracy {percent(best[f'{prefix}_accuracy'], 2)}"
    labelled = style._replace(name=f"{name}, epoch {best['epoch']}")
    for axes, key in ((loss, f"{prefix}_loss"), (accuracy, f"{prefix}_accuracy")):
        if key in best:
            _draw_series(axes, history, "epoch", {key: labelled})
            axes.plot(best["epoch"], best[key], "o", color=style.colour, markersize=9)


def _make_logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    show_logarithms(axes.yaxis, write="{:g}".format)
    low, high = axes.get_ylim()
    if high / low < 5:  # too few logarithmic ticks inside: use linear ones
        axes.yaxis.set_major_locator(round_ticks())


def _draw_series(axes: Axes, history: History, x_key: str, series: Mapping[str, _Style]) -> None:
    """Draws a line per series, by its key in the rows; rows without the key are skipped."""
    marker = "o" if len(history) <= _MAX_MARKED else ""
    for key, style in series.items():
        rows = [row for row in history if key in row]
        x, y = [row[x_key] for row in rows], [row[key] for row in rows]
        drawn = axes.plot(x, y, style.line, color=style.colour, linewidth=2, label=style.name)[0]
        drawn.set(marker=marker, markersize=6 if len(history) <= _SPARSE else 4)
        quantity = key.removeprefix("train_").removeprefix("val_")
        suffix = f" in {style.name}" if quantity != key else ""
        words = quantity.replace("_", " ")
        hints = [f"{x_key} {row[x_key]}: {words} {row[key]:.4g}{suffix}" for row in rows]
        add_hints(axes, x, y, hints)
    axes.grid(axis="y")
    if len(history) == 1:  # a single point spans no axis
        axes.set_xlim(history[0][x_key] - 1, history[0][x_key] + 1)
        axes.set_xticks([history[0][x_key]])
    else:
        axes.xaxis.set_major_locator(round_ticks(whole=True))


COLUMNS = 3  # slices per row
MAX_SLICES = 12  # slices: the most important fields
_MAX_LABEL = 16  # letters of a choice on an axis
_PRUNED = "pruned, latest value"


def draw_tuning(result: StudyResult, path: Path) -> None:
    """Draws the trials in order with the best so far, and below a slice for each field.

    All axes show the error rate on a logarithmic axis: accuracies of good recipes differ in the
    third digit, and a single bad recipe would squeeze them together.
    """
    share = result.importance
    ranked = sorted(result.space.dimensions, key=lambda field: -share.get(field.name, 0.0))
    fields = ranked[:MAX_SLICES]
    rows = -(-len(fields) // COLUMNS)
    with canvas(path, 11, 4.8 + 3.1 * rows) as figure:
        heights = [4.8 / 3.1, *[1.0] * rows]
        grid = figure.add_gridspec(1 + rows, COLUMNS, height_ratios=heights)
        axes = figure.add_subplot(grid[0, :])
        _draw_history(axes, result)
        for index, field in enumerate(fields):
            row, column = divmod(index, COLUMNS)
            slice_axes = figure.add_subplot(grid[1 + row, column], sharey=axes)
            _draw_slice(slice_axes, result, field)
            slice_axes.tick_params(labelleft=column == 0)
        _finish_history(axes, result)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _draw_history(axes: Axes, result: StudyResult) -> None:
    finished = [trial for trial in result.trials if trial.accuracy is not None]
    pruned = [one for one in result.trials if one.state == "pruned" and one.latest is not None]
    last = max(trial.number for trial in result.trials)
    so_far = np.minimum.accumulate([_error(trial, result) for trial in finished])
    steps = [*(trial.number for trial in finished), last]
    axes.step(steps, np.r_[so_far, so_far[-1]], where="post", color=theme().orange, linewidth=2)
    axes.lines[-1].set_label("best so far")
    groups = ((finished, "o", theme().blue, "complete"), (pruned, "x", theme().soft, _PRUNED))
    for trials, mark, colour, label in (group for group in groups if group[0]):
        numbers, errors = [one.number for one in trials], [_error(one, result) for one in trials]
        axes.plot(numbers, errors, mark, color=colour, markersize=6, label=label)
    _mark_best(axes, float(result.ranked[0].number), result)
    axes.lines[-1].set_label("best")
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")


def _draw_slice(axes: Axes, result: StudyResult, field: Dimension) -> None:
    finished = [trial for trial in result.trials if trial.accuracy is not None]
    chosen = [trial.chosen[field.name] for trial in (*finished, result.ranked[0])]
    if isinstance(field, Categorical):
        positions = [float(field.values.index(str(value))) for value in chosen]
    else:
        positions = [float(value) for value in chosen]
    errors = [_error(trial, result) for trial in finished]
    axes.plot(positions[:-1], errors, "o", color=theme().blue, markersize=5, alpha=0.7)
    _mark_best(axes, positions[-1], result)
    if isinstance(field, Categorical):
        labels = [t if len(t) <= _MAX_LABEL else t[: _MAX_LABEL - 1] + "…" for t in field.values]
        is_slanted = sum(map(len, labels)) > _MAX_LABEL
        look: dict[str, Any] = {"rotation": 30, "ha": "right"} if is_slanted else {}
        axes.set_xticks(range(len(labels)), labels, **look)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    else:
        _scale_field(axes, field)
    share = result.importance.get(field.name)
    axes.set_title(field.name, fontsize=12, pad=20)
    if share is not None:
        write_note(axes, f"importance {percent(share, 0)}", 5, fontsize=10)
    axes.grid(axis="y")


def _scale_field(axes: Axes, field: Numeric) -> None:
    if field.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_round_numbers(field.low, field.high)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(field.low / 1.1, field.high * 1.1)
    else:
        margin = (field.high - field.low) * 0.06
        axes.set_xlim(field.low - margin, field.high + margin)
        axes.xaxis.set_major_locator(round_ticks(4, whole=isinstance(field.low, int)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _round_numbers(low: float, high: float) -> list[float]:
    """At most five of the numbers 1, 2, 5, 10, … within a range, evenly thinned."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    in_range = [number for number in numbers if low <= number <= high]
    return in_range[:: -(-len(in_range) // 5) or 1]


def _finish_history(axes: Axes, result: StudyResult) -> None:
    best = result.ranked[0]
    seeds = f", mean of {result.seeds} seeds" if result.seeds > 1 else ""
    title = f"Best validation accuracy {percent(best.accuracy or 0.0, 2)}"
    note = f"error rate on {result.tiles:,} validation tiles{seeds}, logarithmic axis"
    headline(axes, f"{title}, trial {best.number} of {len(result.trials)}", note)
    shown = [one for one in result.trials if (one.accuracy or one.latest) is not None]
    errors = [_error(trial, result) for trial in shown if trial.state in {"complete", "pruned"}]
    axes.set_ylim(min(errors) / 1.3, max(errors) * 1.3)  # a single trial spans no axis
    axes.set_yscale("log")
    show_logarithms(axes.yaxis, write=share_tick)
    axes.grid(axis="y")


def _mark_best(axes: Axes, x: float, result: StudyResult) -> None:
    error_rate = _error(result.ranked[0], result)
    axes.plot(x, error_rate, "o", color=theme().red, markersize=9, zorder=4)


def _error(trial: Trial, result: StudyResult) -> float:
    """Error rate of a trial; no error counts as half a tile, since a log axis has no zero."""
    accuracy = trial.latest if trial.accuracy is None else trial.accuracy
    return max(1 - (accuracy or 0.0), 0.5 / result.tiles)
