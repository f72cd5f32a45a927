"""Fits the weights that decide whether a number is trusted, doubted or rewritten.

``python -m digitlens.training.doubts`` draws documents and lines with the fonts and pens of the
training set, reads them with the shipped reader and writes ``reading/doubt.json``. Many of them are
tables, forms and single lines of arbitrary numbers, so that not every number looks like an amount.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import cache, partial
from itertools import cycle, starmap
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.alphabet import digits_of
from digitlens.datasets.mnist import load_mnist
from digitlens.datasets.synthetic.documents import DocumentMaker
from digitlens.datasets.synthetic.glyph_sources import Role
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.datasets.synthetic.styles import Styles, load_fonts
from digitlens.datasets.synthetic.typesetting import TextRow
from digitlens.datasets.synthetic.valued_documents import DRAWN, OTHERS, Value, draw_valued
from digitlens.evaluation.calibration import fit_logistic, most_likely
from digitlens.imaging.image import Page
from digitlens.models.session import cores
from digitlens.progress import work_bar
from digitlens.reading import doubt
from digitlens.reading.layout import Layout, arrange
from digitlens.reading.numbers import Spot, number_spans
from digitlens.reading.reader import DigitReader
from digitlens.reading.values import Piece, numbers_of, pieces_of
from digitlens.results import Box
from digitlens.training.recipe import LineRecipe

SHIPPED = Path(doubt.__file__).with_name("doubt.json")
# Pictures per document with values: single numbers, lists, widely spaced digits ("others"); and
# documents, lines and displays, whose values are unknown.
SHARES = {"valued": 1.0, "others": 1.0, "documents": 0.3, "lines": 1.0, "displays": 0.3}
DISPLAYS = ("seven segments", "counter", "screen", "dot matrix")
_DROP_EVERY = 2  # one of this many trailing minus signs is removed
_RIDGE = 1.0  # penalty on the weights of changes
_MAX_TAG_VALUES = 2  # maximum number of values on a price tag
_GRID_SCORE = 0.5  # score above which a single digit counts as part of a grid
_MAX_LINE_GAP = 0.3  # line heights; maximum distance of a number above or below its line

Floats = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """The true text of a picture, and what was read."""

    kind: str
    lines: tuple[TextRow, ...]  # of text
    layout: Layout
    values: tuple[Value, ...] = ()  # of all numbers, if known: then no number is cut off


class PictureReader:
    """Draws pictures with the fonts and pens of a role, and reads them."""

    def __init__(self, role: Role, seed: int) -> None:
        """Loads fonts, handwriting and the reader."""
        training, held_out = LineRecipe().split(load_mnist().train)
        tiles, fonts = held_out if role == "validation" else training, load_fonts(role)
        self._seed, self._styles = seed, Styles(tiles, fonts)
        self._documents = DocumentMaker(tiles, fonts, seed)
        self._lines = LineMaker(tiles, fonts, seed)
        self._reader = DigitReader(threads=1)

    def look(self, kind: str, number: int) -> Sample | None:
        """Draws a picture and reads it; returns None if the reader turned it by mistake."""
        pixels, lines, values = self._draw(kind, number)
        view, turn = self._reader.upright(pixels)
        height, width = pixels.shape[:2]
        layout = arrange(view, (width, height), self._reader.thresholds)
        return None if turn else Sample(kind, lines, layout, values)

    def _draw(self, kind: str, number: int) -> tuple[Page, tuple[TextRow, ...], tuple[Value, ...]]:
        if kind in {"valued", "others"}:
            kinds = OTHERS if kind == "others" else DRAWN
            document = draw_valued(self._styles, number, self._seed, 0.5, kinds)
            return document.pixels, document.lines, document.values
        if kind == "documents":
            page = self._documents.document(number)
            return page.pixels, page.lines, ()
        display = DISPLAYS[number % len(DISPLAYS)] if kind == "displays" else None
        line = self._lines.line(number, kind=display)
        height, width = line.pixels.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        return line.pixels, (TextRow(line.text, corners),), ()


def read_pictures(role: Role, seed: int, count: int, workers: int) -> Iterator[Sample]:
    """Yields read pictures: ``count`` documents with values, other kinds as in ``SHARES``."""
    tasks = [(kind, k) for kind, share in SHARES.items() for k in range(round(share * count))]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from filter(None, pool.map(partial(_read_picture, role, seed), tasks, chunksize=8))


def _read_picture(role: Role, seed: int, task: tuple[str, int]) -> Sample | None:
    return _mix(role, seed).look(*task)


_mix = cache(PictureReader)  # one per process


def fit_weights(samples: Sequence[Sample]) -> dict[str, Sequence[float]]:
    """Fits all weights in turn, each given the previous ones."""
    samples = list(drop_signs(samples))
    weights: dict[str, Sequence[float]] = dict(doubt.shipped())
    weights["sizes"] = _fit(pair for sample in samples for pair in _size_pairs(sample))
    weights["cents"] = _fit(pair for sample in samples for pair in _cents_pairs(sample, weights))
    rewritten = [number for sample in samples for number in _rewrite_numbers(sample, weights)]
    weights["changes"] = fit_choices(list(_choice_rows(rewritten)))
    weights["signs"] = _fit(filter(None, starmap(_sign_pair, _without_repeats(rewritten))))
    return {name: [round(weight, 4) for weight in fitted] for name, fitted in weights.items()}


Pair = tuple[Sequence[float], bool]  # features of a number, and the label


def _fit(pairs: Iterable[Pair]) -> Sequence[float]:
    features, right = zip(*pairs, strict=True)
    return fit_logistic(np.array(features), np.array(right))


def drop_signs(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yields the pictures with some trailing minus signs removed, as if they had been missed.

    A missed sign is rare but the worst possible error: these are its training examples.
    """
    dropped = cycle([True, *[False] * (_DROP_EVERY - 1)])
    for sample in samples:
        rows = tuple(
            tuple(spots[:-1] if spots[-1].char == "-" and next(dropped) else spots for spots in row)
            for row in sample.layout.numbers
        )
        yield sample._replace(layout=replace(sample.layout, numbers=rows))


def fit_choices(choices: Sequence[tuple[Floats, int]]) -> tuple[float, ...]:
    """Fits the weights of a conditional logit model by maximum likelihood.

    D. McFadden, "Conditional logit analysis of qualitative choice behavior", 1974.
    """
    count = choices[0][0].shape[1]

    def derivatives(weights: Floats) -> tuple[Floats, Floats]:
        gradient, curvature = np.zeros(count), np.zeros((count, count))
        for features, right in choices:
            scores = features @ weights
            odds = np.exp(scores - scores.max())
            probabilities = odds / odds.sum()
            mean = probabilities @ features
            gradient += features[right] - mean
            curvature += (features * probabilities[:, None]).T @ features - np.outer(mean, mean)
        return gradient, curvature

    return most_likely(derivatives, count, _RIDGE)


def _size_pairs(sample: Sample) -> Iterator[Pair]:
    """Yields features of numbers, and whether the last two digits are cents without a mark."""
    tag = 0 < len(sample.values) <= _MAX_TAG_VALUES
    for number in (number for row in sample.layout.numbers for number in row):
        boxes = [spot.box for spot in number if spot.place >= 0]
        unmarked = bool(doubt.unmarked(number))
        cents = unmarked and _has_cents(number, sample.values, "")
        # Tags may have small raised cents after a mark too; other pages have cents only after one.
        if len(boxes) > 2 and (tag if cents else unmarked or not tag):
            yield doubt.size_features(boxes), cents


def _cents_pairs(sample: Sample, weights: doubt.Weights) -> Iterator[Pair]:
    """Yields features of numbers without a mark, and whether they have cents."""
    for page, number, truth in _truths(sample, weights):
        cents = _has_cents(page.numbers[number], sample.values, truth)
        signs = page.cents_signs(number)
        if signs and (cents or page.texts[number].replace(" ", "") == truth):
            yield signs, cents


NumberRewritings = tuple[Sample, doubt.PageNumbers, int, str, list[doubt.Rewriting]]


def _rewrite_numbers(sample: Sample, weights: doubt.Weights) -> Iterator[NumberRewritings]:
    """Yields the numbers of a page with their true texts and all possible rewritings."""
    for page, number, truth in _truths(sample, weights):
        yield sample, page, number, truth, page.rewritings(number, sample.layout.digits)


def _choice_rows(rewritten: Sequence[NumberRewritings]) -> Iterator[tuple[Floats, int]]:
    for *_, truth, rewritings in rewritten:
        texts = [each.text.replace(" ", "") for each in rewritings]
        if len(texts) > 1 and truth in texts:
            yield np.array([each.features for each in rewritings]), texts.index(truth)


def _without_repeats(rewritten: Sequence[NumberRewritings]) -> Iterator[NumberRewritings]:
    """Yields all numbers, but one fragment per page of widely spaced numbers that fell apart.

    Fragments in a grid are dropped, since a column of single digits looks the same.
    """
    split_pages: set[int] = set()
    for each in rewritten:
        sample, page, number, truth, _ = each
        if sample.kind != "others" or page.lengths[number] >= len(truth):
            yield each
        elif id(page) not in split_pages and page.grid_score(number) <= _GRID_SCORE:
            split_pages.add(id(page))
            yield each


def _sign_pair(
    sample: Sample,
    page: doubt.PageNumbers,
    number: int,
    truth: str,
    rewritings: Sequence[doubt.Rewriting],
) -> Pair | None:
    """Returns the features of a number with its best rewriting, and whether that is right."""
    probabilities = page.likelihoods(rewritings)
    best = int(probabilities.argmax())
    text = rewritings[best].text.replace(" ", "")
    if not sample.values and len(digits_of(text)) > len(digits_of(truth)):
        return None  # the label of a digit cut off at the edge is uncertain
    right = text == truth
    if not best and doubt.unmarked(page.numbers[number]):
        cents = _has_cents(page.numbers[number], sample.values, truth)
        right = (right or cents) and cents == (page.cents[number] >= doubt.CENTS_FROM)
    return page.signs(number, rewritings[best], float(probabilities[best])), right


def _truths(sample: Sample, weights: doubt.Weights) -> Iterator[tuple[doubt.PageNumbers, int, str]]:
    """Yields the indices of a page's numbers with their true texts."""
    _, pieces = pieces_of(sample.layout.numbers, fitted=weights)
    page = doubt.PageNumbers([piece.spots for piece in pieces], fitted=weights)
    for number, piece in enumerate(pieces):
        if truth := _true_number(piece, sample.lines):
            yield page, number, truth


def _has_cents(spots: Sequence[Spot], values: Sequence[Value], truth: str) -> bool:
    """Returns whether a number without a mark has cents, by the page's values or by its label."""
    digits = "".join(spot.char for spot in spots if spot.place >= 0)
    value = Decimal(digits)
    by_value = value / 100 in values and value not in values
    return by_value or bool(re.search(r"[.,]\d\d\D*$", truth) and digits_of(truth) == digits)


def _true_number(piece: Piece, lines: Sequence[TextRow]) -> str:
    """Returns the true number at the position of one that was read; empty if there is none.

    If it covers several, the one with the nearest centre is returned.
    """
    x0, y0, x1, y1 = _bounding_box([spot.box for spot in piece.spots])
    middle, half = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), (x1 - x0) / 2
    best, best_distance = "", np.inf
    for line in lines:
        across, down = line.quad[1] - line.quad[0], line.quad[3] - line.quad[0]
        along = float((middle - line.quad[0]) @ across / max(float(across @ across), 1e-6))
        below = float((middle - line.quad[0]) @ down / max(float(down @ down), 1e-6))
        if not -_MAX_LINE_GAP < below < 1 + _MAX_LINE_GAP:
            continue
        reach = half / max(float(np.hypot(*across)), 1e-3)  # of the line
        for a, b in number_spans(line.text):
            first, last = a / len(line.text), b / len(line.text)
            if first < along + reach and last > along - reach:
                distance = abs(below - 0.5) + abs((first + last) / 2 - along) / (last - first)
                if distance < best_distance:
                    best, best_distance = line.text[a:b].replace(" ", ""), distance
    return best


def _bounding_box(boxes: Sequence[Box]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = zip(*(box.as_list() for box in boxes), strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def count_results(samples: Sequence[Sample], weights: doubt.Weights) -> dict[str, Counter[str]]:
    """Counts, for each kind, numbers found, right, sure, and sure but wrong."""
    results: dict[str, Counter[str]] = {}
    for sample in samples:
        counts = results.setdefault(sample.kind, Counter(numbers=0, right=0, sure=0, wrong=0))
        _, pieces = pieces_of(sample.layout.numbers, fitted=weights)
        numbers = numbers_of(sample.layout.numbers, sample.layout.digits, fitted=weights)
        for piece, number in zip(pieces, numbers, strict=True):
            if truth := _true_number(piece, sample.lines):
                right = number.text.replace(" ", "") == truth
                if doubt.unmarked(piece.spots) and _has_cents(piece.spots, sample.values, truth):
                    right = number.value == Decimal(digits_of(truth)) / 100
                is_sure = number.status == "number"
                counts.update(numbers=1, right=right, sure=is_sure, wrong=is_sure and not right)
    return results


def main() -> None:
    """Fits the weights, prints their results on held-out fonts and pens, and writes them."""
    parser = argparse.ArgumentParser(description="Fit the weights that doubt numbers.")
    parser.add_argument("--count", type=int, default=400, help="documents with values")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--workers", type=int, default=cores(), help="reader processes")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="file to write the weights to")
    options = parser.parse_args()
    parts: list[list[Sample]] = []
    roles: dict[Role, int] = {"training": options.count, "validation": options.count // 4}
    for role, count in roles.items():
        with work_bar() as bar:
            samples = read_pictures(role, options.seed, count, options.workers)
            total = sum(round(share * count) for share in SHARES.values())
            parts.append(list(bar.track(samples, total=total, description=role)))
    weights = fit_weights(parts[0])
    for kind, counts in count_results(parts[1], weights).items():
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        sys.stdout.write(f"{kind}: {text}\n")
    files.write_json(options.out, weights)


if __name__ == "__main__":
    main()
