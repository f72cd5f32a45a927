"""Reliability of confidence: calibration, coverage, corrupted tiles, tiles of no digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from digitlens.datasets.corruptions import CHUNK, corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import (
    COVERAGE,
    Bin,
    calibration_error,
    coverage_at_zero,
    equal_mass_bins,
    risk_curve,
)
from digitlens.evaluation.ood import Answers, Rejection, taken_for_digits
from digitlens.evaluation.report import SEED, Condition, Report, Robustness, SweepCurve
from digitlens.evaluation.risk import RiskCoverage
from digitlens.visualization.theme import (
    Caption,
    TileCell,
    add_hints,
    canvas,
    draw_bins,
    draw_files,
    draw_tile_grid,
    headline,
    interval_bars,
    line_styles,
    percent,
    plot,
    share_tick,
    show_logarithms,
    show_shares,
    theme,
    tick_formatter,
)


def draw_calibration(report: Report, path: Path) -> None:
    """Draws a reliability diagram, and below it the histogram of confidence.

    Source: M. H. DeGroot and S. E. Fienberg, "The comparison and evaluation of forecasters",
    The Statistician 32 (1983).
    """
    non_empty = [row for row in report.bins if row.count]
    with canvas(path, 7.4, 7.6) as figure:
        above, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[3, 1], gridspec_kw={"hspace": 0.04}
        )
        _draw_reliability(above, non_empty)
        note = f"{len(report.bins)} bins of equal width; bars: 95 % intervals"
        headline(above, f"Expected calibration error {percent(report.ece, 2)}", note)
        low, counts = [row.low for row in non_empty], [row.count for row in non_empty]
        bin_width, blue, ground = report.bins[0].high, theme().blue, theme().ground
        below.bar(low, counts, bin_width, align="edge", color=blue, edgecolor=ground)
        below.set(yscale="log", ylim=(0.7, None), ylabel="tiles", xlabel="confidence of the model")
        below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        below.yaxis.set_minor_locator(NullLocator())
        show_shares(below.xaxis)
        below.grid(axis="y")


def _draw_reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    colours = theme()
    axes.plot([0, 1], [0, 1], "--", color=colours.soft, linewidth=1.3, label="perfect calibration")
    label = "accuracy of a bin"
    draw_bins(axes, bins, (0, 1), label=label, fmt="o", color=colours.blue, markersize=8)
    hints = [
        f"{row.count:,} answers with a confidence of {percent(row.confidence)}: "
        f"{percent(row.accuracy)} correct"
        for row in bins
    ]
    add_hints(axes, [row.confidence for row in bins], [row.accuracy for row in bins], hints)
    axes.set(xlim=(0, 1.01), ylim=(-0.02, 1.02), ylabel="accuracy")
    show_shares(axes.yaxis)
    axes.grid()
    axes.legend(loc="lower right")


def draw_coverage(answers: Mapping[str, Answers], path: Path) -> None:
    """Draws the error rate against the fraction of tiles not answered, on logarithmic axes.

    ``answers`` has the confidence, float64[N], and correctness, bool[N], of the answers to each set
    of tiles; the headline is about the first set.
    """
    first = next(iter(answers.values()))
    with plot(path, 8.6, 5.8) as axes:
        for (name, sample), (line, colour) in zip(answers.items(), line_styles(), strict=False):
            risk = risk_curve(*sample)
            rejected = 1 - np.arange(1, len(risk) + 1) / len(risk)
            mask = (risk > 0) & (rejected > 0)
            label = f"{name}, {percent(float(risk[-1]), 2)} wrong when all answered"
            axes.plot(rejected[mask], risk[mask], line, color=colour, linewidth=2, label=label)
        _make_logarithmic(axes)
        axes.axvline(1 - COVERAGE, color=theme().soft, linewidth=1, linestyle="--")
        show_logarithms(axes.xaxis, axes.yaxis, write=share_tick)
        risk = risk_curve(*first)
        at_99 = float(risk[int(np.ceil(COVERAGE * len(risk))) - 1])
        headline(
            axes,
            f"{percent(coverage_at_zero(*first))} of the tiles are answered without a mistake",
            f"with 1 % not answered (dashed), {percent(at_99, 3)} are wrong; "
            "lines end where no errors are left",
        )
        axes.set_xlabel("fraction of tiles not answered, least confident first")
        axes.set_ylabel("error rate of the answers")
        axes.grid()
        axes.legend(loc="lower left")


def _make_logarithmic(axes: Axes) -> None:
    """Makes both axes logarithmic, with fixed limits where the lines do not span an axis."""
    x, y = np.concatenate([line.get_xydata() for line in axes.lines]).T
    if len(set(x)) < 2:
        axes.set_xlim(1e-4, 1)
    if len(set(y)) < 2:
        axes.set_ylim(1e-4, 1)
    axes.set(xscale="log", yscale="log")


MARKED_CONFIDENCE = 0.99  # confidence marked on every risk-coverage curve


def draw_risk_coverage(curves: Mapping[str, RiskCoverage], path: Path) -> None:
    """Draws the fraction of wrong digits against the fraction of digits read, for all thresholds.

    Lines are measured values, shading reaches the upper 95 % bound. Without errors there is only
    shading, since a logarithmic axis has no zero.
    """
    shares = np.concatenate([np.r_[curve.risk, curve.upper] for curve in curves.values()])
    # The axis starts at the power of ten below every risk and bound.
    lowest = float(10.0 ** np.floor(np.log10(shares[shares > 0].min())))
    with plot(path, 8.6, 6.2) as axes:
        for (name, curve), (line, colour) in zip(curves.items(), line_styles(), strict=False):
            _draw_risk(axes, curve, lowest, line=line, colour=colour, name=name)
        label = f"confidence {percent(MARKED_CONFIDENCE, 0)}"
        axes.plot([], [], "o", color=theme().soft, markersize=8, label=label)
        note = "each point is a confidence threshold; shaded up to the 95 % bound"
        headline(axes, "Wrong digits against digits read", note)
        axes.set(yscale="log", ylim=(lowest, 1), xlim=(0, 1.01))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(tick_formatter(share_tick))
        show_shares(axes.xaxis)
        axes.set_xlabel("fraction of all digits read correctly")
        axes.set_ylabel("fraction of digits read that are wrong")
        axes.grid()
        axes.legend(loc="upper left")


def _draw_risk(
    axes: Axes, curve: RiskCoverage, lowest: float, *, line: str, colour: str, name: str
) -> None:
    measured = np.where(curve.risk > 0, curve.risk, np.nan)
    drawn = np.where(curve.risk > 0, curve.risk, lowest)
    axes.plot(curve.coverage, measured, line, color=colour, linewidth=2, label=name)
    axes.fill_between(curve.coverage, drawn, curve.upper, color=colour, alpha=0.15, linewidth=0)
    hints = [
        f"confidence from {percent(sure, 2)}: {percent(share)} read, {percent(wrong, 2)} wrong"
        for sure, share, wrong in zip(curve.threshold, curve.coverage, curve.risk, strict=True)
    ]
    add_hints(axes, curve.coverage, drawn, hints)
    marked = np.flatnonzero(np.array(curve.threshold) >= MARKED_CONFIDENCE)[-1:]
    x, y = np.array(curve.coverage)[marked], drawn[marked]
    axes.plot(x, y, "o", color=colour, markersize=8, clip_on=False)


WIDE, HIGH = 41, 33  # pixels of a cell: a framed tile, the answer next to it, and a margin


def draw_robustness(result: Robustness, split: Split, folder: Path) -> list[Path]:
    """Draws all figures of a robustness measurement; returns the files written."""
    draws = {
        "corruptions": partial(draw_corruptions, result),
        "sweeps": partial(draw_sweeps, result),
        "corrupted": partial(draw_corrupted, result, split),
    }
    return draw_files(folder, draws)


def draw_corruptions(result: Robustness, path: Path) -> None:
    """Draws the accuracy under each corruption, best first, with intervals and means."""
    rows = sorted(result.corruptions, key=lambda row: -row.score.accuracy)
    with plot(path, 9.2, 6.6) as axes:
        for index, row in enumerate(rows):
            _draw_bar(axes, index, row)
        axes.axvline(result.mean_accuracy, color=theme().ink, linestyle="--", linewidth=1.2)
        clean = result.clean.score
        title = f"{percent(result.mean_accuracy)} under corruptions of {clean.n:,} tiles"
        note = f"{percent(clean.accuracy, 2)} without"
        if result.mean_accuracy_untrained is not None:
            apart = percent(result.mean_accuracy_untrained)
            note += f"; {apart} under the {len(result.untrained)} of a kind not covered by training"
        headline(axes, title, note)
        axes.set_yticks(range(len(rows)), [_readable(row.name) for row in rows])
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.1), xticks=np.arange(6) / 5)
        show_shares(axes.xaxis)
        axes.set_xlabel("accuracy; bars: 95 % intervals, dashed: mean of all")
        blue, orange = theme().blue, theme().orange
        kinds = {
            None: Patch(color=blue, label="training unknown"),
            True: Patch(color=orange, label="of a kind covered by training"),
            False: Patch(color=blue, label="of a kind not covered by training"),
        }
        handles = [kinds[kind] for kind in dict.fromkeys(row.overlaps for row in rows)]
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2)


def draw_sweeps(result: Robustness, path: Path) -> None:
    """Draws the accuracy as one quantity varies, each in its own plot."""
    rows = -(-len(result.curves) // 3)
    with canvas(path, 12.5, 0.9 + 3.3 * rows) as figure:
        plots = figure.subplots(rows, 3, sharey=True, squeeze=False)
        for axes, curve in zip(plots.flat, result.curves, strict=False):
            _draw_sweep(axes, curve)
        for axes in plots.flat[len(result.curves) :]:
            axes.set_axis_off()
        for axes in plots[:, 0]:
            axes.set_ylabel("accuracy")
        n = result.curves[0].scores[0].n
        note = f"{n:,} tiles per point; shaded: 95 % interval, dotted: usual value"
        headline(plots[0, 0], "Accuracy along each sweep", note)
        for text in plots[0, 0].texts:
            text.set_in_layout(False)  # it extends over the next plot, which must not move


def draw_corrupted(result: Robustness, split: Split, path: Path) -> None:
    """Draws one tile of each digit under each corruption, with the answer."""
    first = split.tiles[:CHUNK]  # corrupted chunk by chunk, so these equal the measured ones
    chosen = np.unique(split.labels[:CHUNK], return_index=True)[1]  # the first of each digit
    conditions = (result.clean, *result.corruptions)
    with plot(path, 1.4 + 0.86 * len(chosen), 1.2 + 0.68 * len(conditions)) as axes:
        cells: dict[tuple[int, int], TileCell] = {}
        for row, condition in enumerate(conditions):
            changed = first if condition is result.clean else corrupt(first, condition.name, SEED)
            read = condition.probabilities.argmax(axis=1)
            for column, k in enumerate(chosen):
                cells[row, column] = TileCell(changed[k])
                is_right = read[k] == split.labels[k]
                axes.text(
                    column * WIDE + 32,
                    row * HIGH + 15,
                    str(read[k]),
                    va="center",
                    fontsize=12,
                    color=theme().soft if is_right else theme().red,
                    weight="normal" if is_right else "bold",
                )
        names = [f"{_readable(one.name)}\n{percent(one.score.accuracy)}" for one in conditions]
        grid = (len(conditions), len(chosen))
        draw_tile_grid(axes, cells, grid, (WIDE, HIGH), row_names=names, framed=True)
        headline(axes, "Answers under each corruption", "errors in red")


def _draw_bar(axes: Axes, y: int, row: Condition) -> None:
    colours, share = theme(), row.score.accuracy
    axes.barh(y, share, 0.72, color=colours.orange if row.overlaps else colours.blue)
    spread = interval_bars([share], [row.score.interval])
    axes.errorbar(share, y, xerr=spread, color=colours.ink, capsize=2, linewidth=1)
    text_box = {"facecolor": colours.ground, "edgecolor": "none", "pad": 1}  # the mean's line
    x = row.score.interval[1] + 0.01
    axes.text(x, y, percent(share), va="center", fontsize=10, bbox=text_box)


def _draw_sweep(axes: Axes, curve: SweepCurve) -> None:
    low, high = np.array([score.interval for score in curve.scores]).T
    shares = [score.accuracy for score in curve.scores]
    axes.axvline(curve.usual, color=theme().soft, linestyle=":", linewidth=1.5)
    axes.fill_between(curve.values, low, high, color=theme().blue, alpha=0.2, linewidth=0)
    (line,) = axes.plot(curve.values, shares, "o-", color=theme().blue, linewidth=2, markersize=4)
    line.set_clip_on(False)
    points = zip(curve.values, shares, strict=True)
    texts = [f"{curve.axis} {x:g}: {percent(y)} correct" for x, y in points]
    add_hints(axes, curve.values, shares, texts)
    axes.set(xlabel=curve.axis, ylim=(0, 1))
    show_shares(axes.yaxis)
    axes.grid(color=theme().faint)


def _readable(name: str) -> str:
    return name.replace("_", " ")


_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_ENDS = (0.1, 0.999995)  # ends of a logit axis
_TILES_PER_SET = 14  # tiles per set on the sheet
_WIDE, _HIGH = 34, 42  # pixels of a cell on it, with caption and margin
_MAX_LOG_ODDS = 7.0  # limit of log10 odds: float32 has no probability closer to 1
_PROBABILITIES = {"maximum probability", "digit", "digit and value"}


def draw_rejection(found: Rejection, folder: Path) -> list[Path]:
    """Draws all figures of a rejection measurement; returns the files written."""
    draws = {
        "rejection-risk": partial(draw_coverage, found.answers),
        "rejection-reliability": partial(draw_reliability, found),
        "rejection-scores": partial(draw_scores, found),
        "rejection-strangers": partial(draw_negatives, found),
        "rejection-taken": partial(draw_taken, found),
    }
    return draw_files(folder, draws)


def draw_reliability(found: Rejection, path: Path) -> None:
    """Draws accuracy against confidence, in bins with equal numbers of answers."""
    with plot(path, 7.4, 7.2) as axes:
        label = "perfect calibration"
        axes.plot(_ENDS, _ENDS, "--", linewidth=1.3, color=theme().soft, label=label)
        for (name, sample), (_, colour) in zip(found.answers.items(), line_styles(), strict=False):
            bins = equal_mass_bins(*sample)
            label = f"{name}, adaptive calibration error {percent(calibration_error(bins), 2)}"
            draw_bins(
                axes,
                bins,
                _ENDS,
                label=label,
                fmt="o-",
                color=colour,
                linewidth=1.3,
                markersize=6,
                clip_on=False,
            )
        note = "bins of equal mass, bars: 95 % intervals; points on an edge lie beyond it"
        headline(axes, "Accuracy against confidence", note)
        axes.set(xscale="logit", yscale="logit", xlim=_ENDS, ylim=_ENDS)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([t for t in _TICKS if _ENDS[0] <= t <= _ENDS[1]]))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(tick_formatter(share_tick))
        axes.tick_params(axis="x", labelrotation=30)
        axes.set_xlabel("confidence, logit axis")
        axes.set_ylabel("accuracy, logit axis")
        axes.grid()
        axes.legend(loc="lower right")


def draw_scores(found: Rejection, path: Path) -> None:
    """Draws the AUROC of each score for each set of negatives, the best of each set in bold."""
    names, sets = list(found.scores), list(found.negatives)
    aurocs = np.array([[found.scores[score][name].auroc for score in names] for name in sets])
    colours = theme()
    shades = LinearSegmentedColormap.from_list("missed", [colours.ground, colours.red])
    with plot(path, max(1.05 * len(names) + 2.6, 8), 0.5 * len(sets) + 3) as axes:
        # Chance is only halfway to red, which keeps the numbers legible.
        axes.imshow(1 - aurocs, cmap=shades, vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(aurocs):
            is_best = value.round(4) == aurocs[row].max().round(4)
            weight = "bold" if is_best else "normal"
            axes.text(column, row, f"{value:.4f}", ha="center", va="center", weight=weight)
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(sets)), sets)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        note = "AUROC: how often a digit has the higher score; the best of each row in bold"
        headline(axes, "How well each score separates digits from negatives", note)


def draw_negatives(found: Rejection, path: Path) -> None:
    """Draws the distributions of the recommended score for digits and each set of negatives."""
    names = list(found.negatives)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    digits = _plotted_scores(found, "digits")
    negative_scores = [_plotted_scores(found, name) for name in names]
    scores = np.concatenate([digits, *negative_scores])
    # Clips the few outliers, which would stretch the axis.
    edges = np.histogram_bin_edges(scores.clip(*np.quantile(scores, [0.005, 0.995])), 40)
    with canvas(path, 3.6 * columns + 0.6, 2.6 * rows + 1.4) as figure:
        name = f"{found.recommended[0].upper()}{found.recommended[1:]}"
        title = f"{name} of digits (blue) and negatives (red)"
        figure.suptitle(title, x=0.02, ha="left", fontsize=15, fontweight="bold")
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes, name, scores in zip(panels.flat, names, negative_scores, strict=False):
            for values, colour in ((digits, theme().blue), (scores, theme().red)):
                share = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
                axes.stairs(share, edges, fill=True, color=colour, alpha=0.55)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            separation = found.scores[found.recommended][name]
            title = f"{name}: AUROC {separation.auroc:.3f}"
            axes.set_title(title, fontsize=11, fontweight="normal", pad=4)
        for axes in panels.flat[len(names) :]:
            axes.set_axis_off()
        for axes in panels.flat[max(0, len(names) - columns) : len(names)]:
            axes.tick_params(labelbottom=True)  # no panel below
        unit = "log10 of its odds" if found.recommended in _PROBABILITIES else "higher for digits"
        figure.supxlabel(f"{found.recommended}, {unit}", fontsize=12, color=theme().ink)


def draw_taken(found: Rejection, path: Path) -> None:
    """Draws the negatives of each set that score most like digits, with the digits read."""
    names = list(found.negatives)

    def read_as(name: str, number: int) -> str:
        """The digit and its probability, truncated so that it never becomes ``100 %``."""
        chances = found.scored[name].probabilities[number]
        return f"{int(chances.argmax())}  {np.floor(1000 * float(chances.max())) / 10:g} %"

    cells = {
        (row, column): TileCell(
            found.negatives[name][number],
            [Caption(read_as(name, number), theme().soft, size=8)],
        )
        for row, name in enumerate(names)
        for column, number in enumerate(taken_for_digits(found, name, _TILES_PER_SET))
    }
    with plot(path, 0.72 * _TILES_PER_SET + 2.2, 0.9 * len(names) + 1.0) as axes:
        grid = (len(names), _TILES_PER_SET)
        draw_tile_grid(axes, cells, grid, (_WIDE, _HIGH), row_names=names, framed=True)
        note = f"by {found.recommended}; below each tile the digit read and its probability"
        headline(axes, "Negatives most similar to digits", note)


def _plotted_scores(found: Rejection, name: str) -> npt.NDArray[np.float64]:
    """Scores as plotted; for probabilities, log10 of their odds."""
    scores = found.scored[name].scores[found.recommended]
    if found.recommended not in _PROBABILITIES:
        return scores
    chance = 1 + scores if found.recommended == "maximum probability" else scores
    against = -scores if found.recommended == "maximum probability" else 1 - scores
    smallest = 10.0**-_MAX_LOG_ODDS
    odds = np.log10(np.maximum(chance, smallest)) - np.log10(np.maximum(against, smallest))
    return np.clip(odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
