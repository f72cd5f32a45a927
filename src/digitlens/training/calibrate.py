"""Fits the fusion of a line reader on generated pictures and writes it into the reader's card.

Half of the pictures fit weights and calibration, the other half measure what is promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import DIGITS
from digitlens.data.pages.pages import PageMaker
from digitlens.datasets.synthetic.documents import DocumentMaker
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.evaluation.calibration import fit_calibration
from digitlens.evaluation.logistic import fit_logistic
from digitlens.evaluation.overlap import overlaps
from digitlens.evaluation.pool import fit_pool
from digitlens.evaluation.risk import risk_coverage
from digitlens.models.line_bundle import load_line_card, write_line_card
from digitlens.progress import work_bar
from digitlens.reading.fusion import Fusion, Scores, features, opinions, surroundings
from digitlens.reading.multiscale import framed, scaled
from digitlens.reading.places import Places
from digitlens.reading.reader import DigitReader

OVERLAP = 0.4  # intersection over union from which a place is that of a digit
IGNORED = -1
THRESHOLDS = {"digit": 0.9, "reject": 0.5}
SIDES = (96, 128, 192, 256, 384, 512)  # pixels of generated pages, in turn
PLAIN = ("plain tile", "plain words", "plain single", "plain numbers")  # kinds, in turn
_RIDGE = 1.0  # networks that nearly always agree leave their weights open
_SKIP = 0.55  # cost of a place that is no digit, in alignments; of a digit without a place 1

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.int8]


class Example(NamedTuple):
    """A picture whose digits are known.

    Attributes:
        pixels: uint8[H, W, 3].
        values: int8[M]; of its digits, -1 for one that may be read or not.
        boxes: float32[M, 4]; None for a single line, whose digits stand in reading order.
    """

    pixels: npt.NDArray[np.uint8]
    values: Values
    boxes: Floats | None


@dataclass(frozen=True)
class Finds:
    """What a reader finds on pictures, and what is there.

    Attributes:
        scores: Of the places of each picture.
        truth: int8[N] each; the digit that a place is, -1 for none.
        total: Digits on the pictures.
    """

    scores: list[Scores]
    truth: list[Values]
    total: int

    def part(self, first: int, step: int) -> Finds:
        """Every ``step``-th picture; the total is shared out evenly."""
        return Finds(self.scores[first::step], self.truth[first::step], self.total // step)


def find(reader: DigitReader, examples: Iterable[Example]) -> Finds:
    """Reads pictures and compares the places with what is there.

    Places of digits that may be read or not are left out.
    """
    scores: list[Scores] = []
    truths: list[Values] = []
    total = 0
    for example in examples:
        found = reader.look(example.pixels).scores
        truth, counts = truth_of(found, example)
        scores.append(found[counts])
        truths.append(truth[counts])
        total += int((example.values != IGNORED).sum())
    return Finds(scores, truths, total)


def truth_of(found: Scores, example: Example) -> tuple[Values, npt.NDArray[np.bool_]]:
    """The digit that each place is, and which places count: int8[N] and bool[N]."""
    if example.boxes is None:
        return _aligned(found, example.values), np.ones(len(found), bool)
    truth, counts = np.full(len(found), -1, np.int8), np.ones(len(found), bool)
    taken = np.zeros(len(example.boxes), bool)
    for index in np.argsort(-found.strength, kind="stable") if len(taken) else ():
        union, _ = overlaps(found.boxes[index], example.boxes)
        free = np.where(taken, 0, union)
        best = int(free.argmax())
        if free[best] >= OVERLAP:
            truth[index] = example.values[best]
            counts[index] = example.values[best] != IGNORED
            taken[best] = True
    return truth, counts


def _aligned(found: Scores, values: Values) -> Values:
    """Gives the digits of a line to its places from left to right, at the least cost."""
    order = np.argsort((found.boxes[:, 0] + found.boxes[:, 2]) / 2, kind="stable")
    doubt = 1 - found.digits[order].max(axis=1)  # of each value, by the network that is surest
    skip = _SKIP * np.clip(found.strength[order], 0.2, 1)
    n, m = len(order), len(values)
    cost = np.zeros((n + 1, m + 1))
    cost[1:, 0], cost[0, 1:] = np.cumsum(skip), np.arange(1, m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            same = cost[i - 1, j - 1] + doubt[i - 1, values[j - 1]]
            cost[i, j] = min(same, cost[i - 1, j] + skip[i - 1], cost[i, j - 1] + 1)
    truth = np.full(n, -1, np.int8)
    i, j = n, m
    while i and j:
        if np.isclose(cost[i, j], cost[i - 1, j - 1] + doubt[i - 1, values[j - 1]]):
            i, j = i - 1, j - 1
            truth[order[i]] = values[j]
        elif np.isclose(cost[i, j], cost[i - 1, j] + skip[i - 1]):
            i -= 1
        else:
            j -= 1
    return truth


def fit(finds: Finds) -> Fusion:
    """The weights under which what is there is most likely, and a calibration.

    Raises:
        ValueError: Too few finds, or all of them are right.
    """
    scores, truth = joined(finds.scores), np.concatenate(finds.truth)
    digits = truth >= 0
    fusion = Fusion(fit_pool(opinions(scores[digits]), truth[digits], _RIDGE))
    probabilities = fusion.probabilities(scores)
    right = probabilities.argmax(axis=1) == truth
    fusion = replace(fusion, weights=fit_logistic(features(scores, probabilities), right))
    around = [
        surroundings(page, fusion.raw(page, fusion.probabilities(page))) for page in finds.scores
    ]
    fusion = replace(fusion, context=fit_logistic(np.concatenate(around), right))
    return replace(fusion, calibration=fit_calibration(*answers(fusion, finds)))


def answers(fusion: Fusion, finds: Finds) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Confidence of each find, calibrated if the fusion is, and which are right."""
    chances = [fusion.probabilities(page) for page in finds.scores]
    pairs = zip(finds.scores, chances, strict=True)
    sure = np.concatenate([fusion.confidence(page, rows) for page, rows in pairs])
    return sure, np.concatenate(chances).argmax(axis=1) == np.concatenate(finds.truth)


def measured(fusion: Fusion, finds: Finds) -> dict[str, Any]:
    """What a fusion is worth on pictures that it was not fitted on."""
    sure, right = answers(fusion, finds)
    digits = np.concatenate(finds.truth) >= 0
    stated, at_99 = sure >= THRESHOLDS["reject"], sure >= 0.99
    return {
        "pictures": len(finds.scores),
        "digits": finds.total,
        "found": float(digits.sum() / max(1, finds.total)),
        "recall": float((right & stated).sum() / max(1, finds.total)),
        "precision": float(right[stated].mean()) if stated.any() else None,
        "value_accuracy": float(right[digits].mean()) if digits.any() else None,
        "stated_99": int(at_99.sum()),
        "right_99": float(right[at_99].mean()) if at_99.any() else None,
    }


def calibrate(folder: Path, examples: Sequence[Example]) -> dict[str, Any]:
    """Fits a line reader's fusion and writes it, with what was measured, into its card.

    Args:
        folder: Of the line reader.
        examples: Drawn with writers and fonts that no network was trained with.

    Returns:
        What was measured on every second picture.
    """
    reader = DigitReader(lines=folder)
    with work_bar() as bar:
        finds = find(reader, bar.track(examples, description="calibrating"))
    fusion = fit(finds.part(0, 2))
    held_out = finds.part(1, 2)
    sure, right = answers(fusion, held_out)
    fusion = replace(fusion, risk=risk_coverage(sure, right, held_out.total))
    results = measured(fusion, held_out)
    card = load_line_card(folder)
    write_line_card(
        folder,
        replace(
            card,
            thresholds=dict(THRESHOLDS),
            fusion=fusion.as_dict(),
            results={**card.results, "generated": results},
        ),
    )
    return results


def joined(scores: Sequence[Scores]) -> Scores:
    """The places of several pictures, one after the other."""
    columns = zip(*(vars(each.places).values() for each in scores), strict=True)
    return Scores(
        Places(*(np.concatenate(column) for column in columns)),
        np.concatenate([each.classifier for each in scores]),
        np.concatenate([each.is_digit for each in scores]),
    )


def interleaved(sources: Sequence[Iterator[Example]]) -> Iterator[Example]:
    """One of each source in turn, until one of them ends."""
    for group in zip(*sources, strict=False):
        yield from group


def page_examples(maker: PageMaker, first: int = 0) -> Iterator[Example]:
    """Generated pages of digits, without end, of all kinds, those of plain drawings among them."""
    for number in count(first):
        kind = PLAIN[number % 4] if number % 5 == 0 else None
        page = maker.page(number, side=SIDES[number % len(SIDES)], kind=kind)
        yield Example(page.pixels, page.values, page.boxes)


def line_examples(maker: LineMaker, first: int = 0) -> Iterator[Example]:
    """Generated lines as pictures of their own, without end, at other sizes and with margins."""
    for number in count(first):
        line = maker.line(number)
        rng = np.random.default_rng([number, 1])
        scale = float(np.exp(rng.uniform(np.log(0.6), np.log(4))))
        pixels = scaled(line.pixels, scale)
        margin = round(len(pixels) * float(rng.choice([0.0, 0.0, 0.3, 1.0])))
        values = np.array([int(char) for char in line.text if char in DIGITS], np.int8)
        yield Example(framed(pixels, margin), values, None)


def document_examples(maker: DocumentMaker, first: int = 0) -> Iterator[Example]:
    """Generated documents, without end."""
    for number in count(first):
        document = maker.document(number)
        yield Example(document.pixels, document.values, document.boxes)
