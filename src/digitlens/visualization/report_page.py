"""Puts a report together: what was found of a classifier as one page of HTML, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from digitlens import __version__
from digitlens.datasets.corruptions import corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import Bin, measure_uncertainty, wilson_interval
from digitlens.evaluation.report import SEED, Condition, Report, Score
from digitlens.evaluation.risk import RiskCoverage, risk_coverage
from digitlens.training.recipe import Recipe, recipe_from
from digitlens.training.settings import defaults, field_docs
from digitlens.visualization.figures.reliability import (
    draw_calibration,
    draw_risk_coverage,
    draw_sweeps,
)
from digitlens.visualization.html import data_uri, render_page
from digitlens.visualization.report_contents import (
    NOTHING,
    THIN,
    Contents,
    Neighbours,
    Section,
    count,
    curves,
    duration,
    figure,
    percent,
    plural,
    rough,
    shown_errors,
    size,
    tick,
    trained,
    value,
)
from digitlens.visualization.theme import css_variables

# Where bars of scores may start: the highest that leaves the lowest a quarter of its length.
_STARTS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.5)
SEEN = {
    "test": ("of the MNIST test set", "none of which it learned from"),
    "validation": ("of what was kept back from its training", "which chose its best epoch"),
}


TEMPLATES = Path(__file__).parent / "report" / "templates"
_WRITERS = (count, plural, size)  # what templates write numbers with


def render(contents: Contents) -> str:
    """The page as HTML; asks for nothing from outside, and all that is written in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    body = environment.get_template("page.html").render(
        head=head(contents),
        sections=[
            *(trained(contents), curves(contents), scores(contents), confusion(contents)),
            *(errors(contents), calibration(contents), *robustness(contents), *speed(contents)),
            *(recipe(contents), provenance(contents)),
        ],
        **{each.__name__: each for each in _WRITERS},
    )
    style = css_variables() + (TEMPLATES / "style.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    return render_page(f"{contents.card.name} \u2013 digitlens report", body, style, script)


def head(contents: Contents) -> dict[str, Any]:
    """Name, verdict and key figures, by name."""
    report = contents.report
    low, high = report.interval
    what, known = SEEN[contents.on]
    figures = [
        (percent(report.accuracy), "read correctly"),
        (count(report.score.errors), f"of {count(report.n)} wrong"),
        (percent(report.ece), "calibration error"),
    ]
    if contents.speed:
        figures.append((duration(contents.speed.one), "for one digit"))
    return {
        "name": contents.card.name,
        "verdict": f"It reads {percent(report.accuracy)} {what} correctly (95{THIN}% interval: "
        f"{percent(low)} to {percent(high)}): {plural(report.score.errors, 'error')} in "
        f"{plural(report.n, 'digit')}, {known}.",
        "figures": figures,
        "sha256": report.model.sha256,
        "data": f"{report.data.name}, {plural(report.n, 'tile')}",
        "written": f"{contents.written:%d %B %Y}".lstrip("0"),
    }


def scores(contents: Contents) -> Section:
    """All tiles together, and each digit by itself."""
    report = contents.report
    shares = [share for row in report.classes for share in (row.precision, row.recall)]
    start = starting(min(shares))
    rows = [_class(report, digit, start) for digit in range(10)]
    values = {"summary": _summary(report), "rows": rows, "start": percent(start, 0)}
    return Section("scores", "Scores", values)


def starting(least: float) -> float:
    """Where bars of scores start, so that the least still is one."""
    return next((start for start in _STARTS if least >= start + (1 - start) / 4), 0.0)


def _class(report: Report, digit: int, start: float) -> dict[str, Any]:
    row = report.classes[digit]
    hits, read_as = int(report.confusion[digit, digit]), int(report.confusion[:, digit].sum())
    precision, precision_bar = _shown(hits, read_as, start, "blue")
    recall, recall_bar = _shown(hits, row.support, start, "orange")
    return {
        "digit": digit,
        "precision": precision,
        "precision_bar": precision_bar,
        "recall": recall,
        "recall_bar": recall_bar,
        "f1": percent(row.f1),
        "support": count(row.support),
    }


def _shown(hits: int, n: int, start: float, colour: str) -> tuple[str, dict[str, Any]]:
    """A share as text and bar; a dash and an empty bar where there is no case at all."""
    if not n:
        return NOTHING, _bar(start, start)
    return percent(hits / n), _bar(start, hits / n, wilson_interval(hits, n), colour)


def _bar(
    low: float, share: float, interval: tuple[float, float] | None = None, colour: str = "blue"
) -> dict[str, Any]:
    """A bar from ``low`` at its left end to 1 at its right, in per cent of its width."""
    ends = np.clip((np.array([share, *(interval or ())]) - low) / (1 - low), 0, 1)
    width, *whisker = (100 * ends).round(2).tolist()
    return {"width": width, "interval": whisker, "colour": colour}


def _summary(report: Report) -> list[tuple[str, str, str]]:
    """Names, values and explanations."""
    macro = report.macro
    rows = [("accuracy", _score(report.score), "share of the tiles that are read correctly")]
    if clean := report.without_label_errors:
        left_out = len(report.data.label_errors)
        note = f"without {left_out} tiles whose label is known to be wrong"
        rows.append(("accuracy, honest labels", _score(clean), note))
    means = " / ".join(percent(share) for share in (macro.precision, macro.recall, macro.f1))
    return [
        *rows,
        ("precision / recall / F1", means, "mean over the ten digits, each counted the same"),
        ("loss", f"{report.loss:.4f}", "mean negative log-likelihood in nats; 0 is perfect"),
    ]


def _score(score: Score) -> str:
    return f"{percent(score.accuracy)}, {plural(score.errors, 'error')}"


CELL = 20  # pictures behind a cell, at most: all cells of a bad model stay below a megabyte
HITS = 8  # of those read correctly: so many of the least sure, and of the most
SHADES = 5

Indices = npt.NDArray[np.int64]


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
    how = "read correctly" if truth == answer else f"read as {answer}"
    return f"{truth} {how}: {plural(number, 'tile')}"


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
    return {"source": data_uri(contents.tiles[index]), "said": answer, "sure": sure}


def _card(contents: Contents, place: int, index: int) -> dict[str, Any]:
    report = contents.report
    probabilities = report.probabilities[index]
    truth, answer = int(report.labels[index]), int(report.predicted[index])
    second = int(np.argsort(-probabilities, kind="stable")[1])
    return {
        "index": index,
        "source": data_uri(contents.tiles[index]),
        "truth": truth,
        "answer": answer,
        "sure": rough(float(probabilities[answer])),
        "second": second,
        "second_sure": rough(float(probabilities[second])),
        "truth_sure": rough(float(probabilities[truth])),
        "shares": probabilities.tolist(),
        "is_mislabelled": index in report.data.label_errors,
        "neighbours": _neighbours(contents.neighbours, place, truth, answer),
    }


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
            "source": data_uri(tile),
            "label": label,
            "kind": kinds.get(label, "other"),
            "said": f"a {label} it learned from, {distance:.2f} away",
        }
        for tile, label, distance in rows
    ]


TARGETS = (0.01, 0.005, 0.002, 0.001)  # shares of wrong answers that somebody may ask for


def calibration(contents: Contents) -> Section:
    """Reliability, risk and coverage, and what threshold keeps which rate of mistakes."""
    report = contents.report
    curve = risk_coverage(report.confidence, report.predicted == report.labels, report.n)
    values = {
        "figures": [
            figure(
                "reliability",
                "Share that was right, by how sure it was",
                lambda path: draw_calibration(report, path),
            ),
            figure(
                "risk",
                "Share wrong, by how many are answered",
                lambda path: draw_risk_coverage({"this model": curve}, path),
            ),
        ],
        "summary": _uncertainty_rows(report),
        "targets": [_target(report, curve, target) for target in TARGETS],
        "bins": [_bin_row(row) for row in report.calibration.bins if row.count],
    }
    return Section("calibration", "Does it know when it is unsure?", values)


def _uncertainty_rows(report: Report) -> list[tuple[str, str, str]]:
    found = measure_uncertainty(report.labels, report.probabilities)
    return [
        ("calibration error", percent(found.ece), "mean gap of confidence and hits, in 15 bins"),
        ("the same, equal bins", percent(found.adaptive_ece), "as many answers in each bin"),
        ("Brier score", f"{found.brier:.4f}", "mean squared error of the probabilities, 0 to 2"),
        (f"errors among the surest 99{THIN}%", percent(found.error_at_99), "leaving out the rest"),
        ("surer than every mistake", percent(found.coverage_at_zero), "share of the answers"),
    ]


def _bin_row(row: Bin) -> list[str]:
    span = f"{percent(row.low, 0)} to {percent(row.high, 0)}"
    return [span, count(row.count), percent(row.confidence, 1), percent(row.accuracy, 1)]


def _target(report: Report, curve: RiskCoverage, target: float) -> dict[str, Any]:
    """The threshold that keeps a share of wrong answers, and what it costs."""
    try:
        threshold = curve.threshold_for(target)
    except ValueError:
        return {"target": tick(target), "threshold": "", "answered": "", "wrong": ""}
    place = curve.threshold.index(threshold)
    return {
        "target": tick(target),
        "threshold": percent(threshold, 1 if threshold < 0.99 else 3),
        "answered": percent(curve.stated[place] / report.n, 1),
        "wrong": f"{count(curve.wrong[place])} of {count(curve.stated[place])}",
    }


def robustness(contents: Contents) -> list[Section]:
    """Accuracy under corruptions and along sweeps; no section where it was not measured."""
    found, worse = contents.robustness, contents.worse
    if found is None or worse is None:
        return []
    rows = sorted(found.corruptions, key=lambda row: row.score.accuracy)
    apart = found.mean_accuracy_apart
    values = {
        "n": count(len(worse)),
        "clean": percent(found.clean.score.accuracy, 1),
        "mean": percent(found.mean_accuracy, 1),
        "apart": None if apart is None else percent(apart, 1),
        "rows": [_row(row, worse) for row in rows],
        "figure": figure(
            "sweeps", "Accuracy along each sweep", lambda path: draw_sweeps(found, path)
        ),
        "sweep_n": count(found.curves[0].scores[0].n) if found.curves else "",
        "is_known": found.corruptions[0].overlaps is not None,
    }
    return [Section("robustness", "On worse pictures", values)]


def speed(contents: Contents) -> list[Section]:
    """One tile and many; no section where it was not measured."""
    if contents.speed is None:
        return []
    found = contents.speed
    one = f"median of {count(len(found.single))} calls; 95{THIN}% took less than "
    rows = [
        ("one tile", duration(found.one), one + duration(found.slow)),
        (
            f"{count(found.batch_size)} tiles at once",
            f"{count(found.per_second)} a second",
            f"median of {len(found.batch)} calls",
        ),
    ]
    return [Section("speed", "Speed", {"rows": rows, "machine": contents.machine})]


def _row(row: Condition, worse: Split) -> dict[str, Any]:
    low, high = row.score.interval
    return {
        "name": row.name.replace("_", " "),
        "source": data_uri(corrupt(worse.tiles[:1], row.name, SEED)[0]),
        "accuracy": percent(row.score.accuracy, 1),
        "interval": f"{percent(low, 1)} to {percent(high, 1)}",
        "bar": _bar(0, row.score.accuracy, row.score.interval),
        "ece": percent(row.uncertainty.ece, 1),
        "trained": {None: "", True: "yes", False: "no"}[row.overlaps],
    }


Facts = list[tuple[str, str]]


def recipe(contents: Contents) -> Section:
    """Every field with its value, its default and what it means."""
    rows: list[dict[str, Any]] = []
    if contents.card.recipe:
        chosen, usual = recipe_from(contents.card.recipe).as_dict(), defaults(Recipe)
        rows = [
            {
                "name": name,
                "value": value(chosen[name]),
                "usual": value(usual[name]),
                "differs": value(chosen[name]) != value(usual[name]),
                "means": text,
            }
            for name, text in field_docs(Recipe).items()
        ]
    changed = sum(row["differs"] for row in rows)
    return Section("recipe", "Recipe", {"rows": rows, "changed": changed})


def provenance(contents: Contents) -> Section:
    """Where model, data and this page come from."""
    groups = [
        ("The model", _model(contents)),
        ("The training", _training(contents.provenance)),
        ("The data files", list(contents.card.data.items())),
        ("This page", _page(contents)),
    ]
    return Section("provenance", "Provenance", {"groups": [each for each in groups if each[1]]})


def _model(contents: Contents) -> Facts:
    card = contents.card
    facts = [("name", card.name), ("SHA-256 of its graph", card.sha256)]
    facts += [("SHA-256 of its weights", card.weights_sha256)] if card.weights_sha256 else []
    facts.append(("exported by", f"digitlens {card.version}"))
    facts.append(("softmax temperature", f"{card.temperature:.4g}"))  # inside the graph
    return [*facts, *contents.report.model.given.items()]


def _training(found: Mapping[str, Any]) -> Facts:
    facts = [
        (name, str(found[name]))
        for name in ("started", "seed", "device", "machine")
        if name in found
    ]
    facts += [(name, str(found[name])) for name in ("digitlens", "commit") if found.get(name)]
    versions = found.get("versions")
    pairs = versions.items() if isinstance(versions, dict) else ()
    return facts + [(str(name), str(version)) for name, version in pairs]


def _page(contents: Contents) -> Facts:
    report = contents.report
    facts = [
        ("written", f"{contents.written:%Y-%m-%d %H:%M %Z}".strip()),
        ("by", f"digitlens {__version__}"),
        ("scored on", f"{report.data.name}, {report.n:,} tiles"),
        ("SHA-256 of these tiles and labels", report.data.sha256),
    ]
    return [*facts, *([("measured on", contents.machine)] if contents.machine else [])]
