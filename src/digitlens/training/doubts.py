"""Fits the weights by which a number that was read is trusted, doubted or rewritten.

``python -m digitlens.training.doubts`` draws documents and lines in the fonts and pens of training,
reads them with the shipped reader and writes ``reading/doubt.json``. Many of them are tables, forms
and lone lines of any numbers, lest all numbers be taken for amounts.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.alphabet import digits_of
from digitlens.datasets.mnist import load_mnist
from digitlens.datasets.synthetic.documents import DocumentMaker
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.datasets.synthetic.styles import Styles, load_fonts
from digitlens.datasets.synthetic.typesetting import TextRow
from digitlens.datasets.synthetic.valued_documents import Value, draw_valued
from digitlens.evaluation.calibration import fit_logistic, most_likely
from digitlens.imaging.image import Page
from digitlens.progress import work_bar
from digitlens.reading import doubt
from digitlens.reading.layout import Layout, arrange
from digitlens.reading.numbers import Spot, number_spans
from digitlens.reading.reader import DigitReader
from digitlens.reading.values import Piece, pieces_of
from digitlens.results import Box
from digitlens.training.recipe import LineRecipe

SHIPPED = Path(doubt.__file__).with_name("doubt.json")
_RIDGE = 1.0  # of the weights of changes
_TAG = 2  # values that a price tag has at most
_LINE = 0.3  # heights: how far above and below a line its numbers may be

Floats = npt.NDArray[np.float64]


class LabelledPage(NamedTuple):
    """A picture, the lines of text on it, and what its numbers say, if that is known."""

    pixels: Page
    lines: tuple[TextRow, ...]
    values: tuple[Value, ...] = ()


@dataclass
class Examples:
    """What is learned from.

    Attributes:
        choices: For each number features of all its rewritings, and which of them is right.
        signs: For each number what speaks for it, whichever rewriting was chosen.
        right: Whether that was right.
        sizes: Of the last two digits of numbers.
        small: Whether these are cents without a mark.
        without: Of numbers without a mark.
        cents: Whether these have cents.
    """

    choices: list[tuple[Floats, int]] = field(default_factory=list)
    signs: list[tuple[float, ...]] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    sizes: list[tuple[float, ...]] = field(default_factory=list)
    small: list[bool] = field(default_factory=list)
    without: list[tuple[float, ...]] = field(default_factory=list)
    cents: list[bool] = field(default_factory=list)


def samples(documents: int, seed: int) -> Iterator[LabelledPage]:
    """Documents with values, half by hand; a third as many of all kinds; as many lone lines."""
    tiles, _ = LineRecipe().split(load_mnist().train)
    fonts = load_fonts("training")
    styles = Styles(tiles, fonts)
    for number in range(documents):
        drawn = draw_valued(styles, number, seed, by_hand=0.5)
        yield LabelledPage(drawn.pixels, drawn.lines, drawn.values)
    for number in range(documents // 3):
        page = DocumentMaker(tiles, fonts, seed).document(number)
        yield LabelledPage(page.pixels, page.lines)
    for number in range(documents):
        line = LineMaker(tiles, fonts, seed).line(number)
        height, width = line.pixels.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        yield LabelledPage(line.pixels, (TextRow(line.text, corners),))


class Seen(NamedTuple):
    """A sample and what was read on it."""

    sample: LabelledPage
    layout: Layout


def look(reader: DigitReader, found: Iterator[LabelledPage]) -> Iterator[Seen]:
    """Reads samples; those that are turned by mistake teach nothing."""
    for sample in found:
        view, turn = reader.upright(sample.pixels)
        height, width = sample.pixels.shape[:2]
        if not turn:
            yield Seen(sample, arrange(view, (width, height), reader.thresholds))


def fit_weights(seen: Sequence[Seen]) -> dict[str, Sequence[float]]:
    """All weights, each given those before."""
    examples = Examples()
    weights: dict[str, Sequence[float]] = dict(doubt.shipped())
    for each in seen:
        _add_sizes(examples, each)
    weights["sizes"] = fit_logistic(np.array(examples.sizes), np.array(examples.small))
    for each in seen:
        _add_cents(examples, each, weights)
    weights["cents"] = fit_logistic(np.array(examples.without), np.array(examples.cents))
    for each in seen:
        _add_choices(examples, each, weights)
    weights["changes"] = fit_choices(examples.choices)
    for each in seen:
        _add_signs(examples, each, weights)
    weights["signs"] = fit_logistic(np.array(examples.signs), np.array(examples.right))
    return {name: [round(weight, 4) for weight in fitted] for name, fitted in weights.items()}


def fit_choices(choices: Sequence[tuple[Floats, int]]) -> tuple[float, ...]:
    """Weights of the conditional logit with the highest likelihood.

    The model is that of D. McFadden, "Conditional logit analysis of qualitative choice behavior"
    (1974).
    """
    count = choices[0][0].shape[1]

    def derivatives(weights: Floats) -> tuple[Floats, Floats]:
        slope, curve = np.zeros(count), np.zeros((count, count))
        for features, right in choices:
            scores = features @ weights
            odds = np.exp(scores - scores.max())
            chances = odds / odds.sum()
            mean = chances @ features
            slope += features[right] - mean
            curve += (features * chances[:, None]).T @ features - np.outer(mean, mean)
        return slope, curve

    return most_likely(derivatives, count, _RIDGE)


def _add_sizes(examples: Examples, seen: Seen) -> None:
    """Numbers without a mark that are small, high cents, and all that have a mark."""
    tag = 0 < len(seen.sample.values) <= _TAG
    for number in (number for row in seen.layout.numbers for number in row):
        boxes = [spot.box for spot in number if spot.place >= 0]
        bare = bool(doubt.unmarked(number))
        cents = bare and _has_cents(number, seen.sample.values, "")
        # A tag may have small, high cents behind a mark too; others have cents only with a mark.
        if len(boxes) > 2 and (tag if cents else bare or not tag):
            examples.sizes.append(doubt.sizes(boxes))
            examples.small.append(cents)


def _add_cents(examples: Examples, seen: Seen, weights: doubt.Weights) -> None:
    for page, number, there in _numbers(seen, weights):
        cents = _has_cents(page.numbers[number], seen.sample.values, there)
        signs = page.cents_signs(number)
        if signs and (cents or page.texts[number].replace(" ", "") == there):
            examples.without.append(signs)
            examples.cents.append(cents)


def _add_choices(examples: Examples, seen: Seen, weights: doubt.Weights) -> None:
    for page, number, there in _numbers(seen, weights):
        rewritings = page.rewritings(number, seen.layout.digits)
        texts = [each.text.replace(" ", "") for each in rewritings]
        if len(texts) > 1 and there in texts:
            features = np.array([each.features for each in rewritings])
            examples.choices.append((features, texts.index(there)))


def _add_signs(examples: Examples, seen: Seen, weights: doubt.Weights) -> None:
    for page, number, there in _numbers(seen, weights):
        rewritings = page.rewritings(number, seen.layout.digits)
        chances = page.likelihoods(rewritings)
        best = int(chances.argmax())
        text = rewritings[best].text.replace(" ", "")
        if text != there and len(digits_of(text)) > len(digits_of(there)):
            continue  # of a digit that the edge cuts the label is not certain
        right = text == there
        if doubt.unmarked(page.numbers[number]):
            cents = _has_cents(page.numbers[number], seen.sample.values, there)
            right = (right or cents) and cents == (page.cents[number] >= doubt.CENTS_FROM)
        examples.signs.append(page.signs(number, rewritings[best], float(chances[best])))
        examples.right.append(right)


def _numbers(seen: Seen, weights: doubt.Weights) -> Iterator[tuple[doubt.PageNumbers, int, str]]:
    """The numbers of a page by their index, and what stands there."""
    _, pieces = pieces_of(seen.layout.numbers)
    page = doubt.PageNumbers([piece.spots for piece in pieces], fitted=weights)
    for number, piece in enumerate(pieces):
        if there := _there(piece, seen.sample.lines):
            yield page, number, there


def _has_cents(spots: Sequence[Spot], values: Sequence[Value], there: str) -> bool:
    """Whether a number without a mark has cents, by the values of the page or by its label."""
    digits = "".join(spot.char for spot in spots if spot.place >= 0)
    whole = Decimal(digits)
    by_value = whole / 100 in values and whole not in values
    return by_value or bool(re.search(r"[.,]\d\d\D*$", there) and digits_of(there) == digits)


def _there(piece: Piece, lines: Sequence[TextRow]) -> str:
    """The number that stands where one was read; empty if there is none."""
    x0, y0, x1, y1 = _around([spot.box for spot in piece.spots])
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    best, away = "", np.inf
    for line in lines:
        right, down = line.quad[1] - line.quad[0], line.quad[3] - line.quad[0]
        along = float((middle - line.quad[0]) @ right / max(float(right @ right), 1e-6))
        below = float((middle - line.quad[0]) @ down / max(float(down @ down), 1e-6))
        if not (-0.1 < along < 1.1 and -_LINE < below < 1 + _LINE and abs(below - 0.5) < away):
            continue
        spans = number_spans(line.text)
        ends = {abs((a + b) / 2 / len(line.text) - along): line.text[a:b] for a, b in spans}
        if ends:
            best, away = ends[min(ends)].replace(" ", ""), abs(below - 0.5)
    return best


def _around(boxes: Sequence[Box]) -> tuple[int, int, int, int]:
    sides = zip(*(box.as_list() for box in boxes), strict=True)
    x0, y0, x1, y1 = sides
    return min(x0), min(y0), max(x1), max(y1)


def main() -> None:
    """Fits the weights and writes them where the reader looks for them."""
    parser = argparse.ArgumentParser(description="Fit what is doubtful about numbers.")
    parser.add_argument("--count", type=int, default=600, help="documents with values")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--threads", type=int, default=0)
    chosen = parser.parse_args()
    total = 2 * chosen.count + chosen.count // 3
    with work_bar() as bar:
        found = bar.track(samples(chosen.count, chosen.seed), total=total)
        seen = list(look(DigitReader(threads=chosen.threads), iter(found)))
    files.write_json(SHIPPED, fit_weights(seen))


if __name__ == "__main__":
    main()
