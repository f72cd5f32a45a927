"""How trainings went: losses, accuracies and learning rates over the epochs, of one run or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from digitlens.visualization.style import (
    MOST_LOOKS,
    canvas,
    headline,
    percent,
    series_looks,
    share_ticks,
    theme,
)

History = Sequence[Mapping[str, Any]]

_MARKED = 30  # points of a line that are marked, at most
_SPARSE = 3  # so few that they are marked largely


class _Look(NamedTuple):
    name: str
    colour: str
    line: str


def draw_curves(history: History, path: Path) -> None:
    """Loss and accuracy of training and validation over the epochs, and the learning rate.

    Args:
        history: One row an epoch, with ``epoch``, ``train_loss`` and, where there is any,
            ``val_loss``, ``train_accuracy``, ``val_accuracy`` and ``learning_rate``. Without
            ``val_loss`` all tiles were trained with.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: The history is empty.
    """
    if not history:
        raise ValueError("expected a history of at least one epoch, found none")
    validated = [row for row in history if "val_loss" in row]
    best = min(validated, key=lambda row: row["val_loss"]) if validated else None
    panels = [what for what in ("loss", "accuracy") if what == "loss" or _has(history, what)]
    rates = _has(history, "learning_rate")
    with canvas(path, 4.9 * (len(panels) + 0.75 * rates) + 0.6, 4.7) as figure:
        widths = [1.0] * len(panels) + [0.75] * rates
        plots = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        for axes, what in zip(plots, panels, strict=False):
            _draw_sides(axes, history, what, best)
            axes.set_title(what.capitalize(), pad=12)
        _make_logarithmic(plots[0])
        plots[0].set_ylabel("loss, logarithmic axis")
        for axes in plots[1 : len(panels)]:
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_formatter(share_ticks())
        if rates:
            _draw_rate(plots[-1], history, "epoch")
        for axes in plots:
            axes.set_xlabel("epoch")
        figure.legend(*plots[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_runs(histories: Mapping[str, History], path: Path) -> None:
    """Loss and accuracy of several runs in the same axes, each run with its best epoch marked.

    They are those of validation; where a run kept no tiles back for it, those of training, of all.

    Args:
        histories: Of each run, by the name that stands in the legend; see ``draw_curves``.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: There is no run, more than can be told apart, or one without an epoch.
    """
    if not 1 <= len(histories) <= MOST_LOOKS:
        raise ValueError(
            f"expected 1 to {MOST_LOOKS} runs, which can be told apart, found {len(histories)}"
        )
    if empty := [name for name, history in histories.items() if not history]:
        raise ValueError(f"expected a history of at least one epoch, {empty[0]} has none")
    validated = all("val_loss" in row for history in histories.values() for row in history[:1])
    side = "val" if validated else "train"
    with canvas(path, 11.6, 5.0 + 0.24 * len(histories)) as figure:
        loss, accuracy = figure.subplots(1, 2)
        for (name, history), (line, colour) in zip(histories.items(), series_looks(), strict=False):
            _draw_run(loss, accuracy, history, side, _Look(name, colour, line))
        what = "Validation" if validated else "Training"
        headline(loss, f"{what} loss", _why(validated))
        headline(accuracy, f"{what} accuracy", "a dot: the epoch of the lowest loss")
        _make_logarithmic(loss)
        loss.set_ylabel("loss, logarithmic axis")
        accuracy.yaxis.set_major_formatter(share_ticks())
        for axes in (loss, accuracy):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(_whole())
            axes.autoscale(axis="x")
        figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def draw_page_curves(history: History, path: Path) -> None:
    """Loss of training and validation over the steps, and how many digits are found and right.

    Args:
        history: One row a validation, with ``step``, ``train_loss``, ``val_loss``, ``found``,
            ``right`` and, where it was kept, ``learning_rate``.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: The history is empty.
    """
    if not history:
        raise ValueError("expected a history of at least one validation, found none")
    rates = _has(history, "learning_rate")
    with canvas(path, 14 if rates else 11, 4.7) as figure:
        widths = [1.0, 1.0] + [0.75] * rates
        left, right, *rest = figure.subplots(1, len(widths), width_ratios=widths)
        colours = theme()
        shares = {
            "found": _Look("digits found", colours.green, "-"),
            "right": _Look("read right", colours.blue, "--"),
        }
        _draw_series(left, history, "step", _sides("loss"))
        _draw_series(right, history, "step", shares)
        left.set_title("Loss", pad=12)
        left.set_ylabel("loss, logarithmic axis")
        _make_logarithmic(left)
        right.set_title("Validation pages", pad=12)
        right.yaxis.set_major_formatter(share_ticks())
        for axes in rest:
            _draw_rate(axes, history, "step")
        for axes in (left, right, *rest):
            axes.set_xlabel("step")
        for axes in (left, right):
            axes.legend()


def _has(history: History, what: str) -> bool:
    return any(key.endswith(what) for row in history for key in row)


def _why(validated: bool) -> str:
    if not validated:
        return "not every run kept tiles back to validate with"
    return "as each recipe has it, smoothing included"


def _sides(what: str) -> dict[str, _Look]:
    colours = theme()
    return {
        f"train_{what}": _Look("training", colours.blue, "--"),
        f"val_{what}": _Look("validation", colours.orange, "-"),
    }


def _draw_sides(axes: Axes, history: History, what: str, best: Mapping[str, Any] | None) -> None:
    """Training and validation of one quantity, and where the validation loss was lowest."""
    sides = _sides(what) if best else dict(list(_sides(what).items())[:1])
    _draw_series(axes, history, "epoch", sides)
    if best:
        axes.axvline(best["epoch"], color=theme().soft, linestyle=":", linewidth=1.5, zorder=0)
        name = f"lowest validation loss, {best['val_loss']:.4f}, epoch {best['epoch']}"
        place = best["epoch"], best[f"val_{what}"]
        axes.scatter(*place, 90, color=theme().red, zorder=4, label=name)


def _draw_run(loss: Axes, accuracy: Axes, history: History, side: str, look: _Look) -> None:
    best = min(history, key=lambda row: row[f"{side}_loss"])
    name = f"{look.name}: loss {best[f'{side}_loss']:.4f}"
    if f"{side}_accuracy" in best:
        name += f", accuracy {percent(best[f'{side}_accuracy'], 2)}"
    named = look._replace(name=f"{name}, epoch {best['epoch']}")
    for axes, what in ((loss, "loss"), (accuracy, "accuracy")):
        if key := next((key for key in best if key == f"{side}_{what}"), ""):
            _draw_series(axes, history, "epoch", {key: named})
            axes.plot(best["epoch"], best[key], "o", color=look.colour, markersize=9)


def _draw_rate(axes: Axes, history: History, along: str) -> None:
    look = {"learning_rate": _Look("learning rate", theme().green, "-")}
    _draw_series(axes, history, along, look)
    axes.set_title("Learning rate", pad=12)
    axes.set_ylim(0, 1.08 * max(row.get("learning_rate", 0.0) for row in history) or 1)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _whole() -> MaxNLocator:
    """Ticks at whole numbers of epochs or steps."""
    return MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


def _make_logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    low, high = axes.get_ylim()
    if high / low < 5:  # hardly a number with a tick inside: give the plain ones
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _draw_series(axes: Axes, history: History, along: str, series: Mapping[str, _Look]) -> None:
    """One line for each series, by its key in the rows; rows without it are passed over."""
    marker = "o" if len(history) <= _MARKED else ""
    for key, look in series.items():
        rows = [row for row in history if key in row] or history
        (drawn,) = axes.plot(
            [row[along] for row in rows],
            [row[key] for row in rows],
            look.line,
            color=look.colour,
            linewidth=2,
            label=look.name,
        )
        drawn.set(marker=marker, markersize=6 if len(history) <= _SPARSE else 4)
    axes.grid(axis="y")
    if len(history) == 1:  # a point alone spans no axis
        axes.set_xlim(history[0][along] - 1, history[0][along] + 1)
        axes.set_xticks([history[0][along]])
    else:
        axes.xaxis.set_major_locator(_whole())
