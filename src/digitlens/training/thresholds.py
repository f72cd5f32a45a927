"""Fits the confidence threshold for sure digits on a user's own pictures, with a proven bound.

Uses a reader, labelled pictures and the bound of ``evaluation.risk``; trains nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from digitlens.alphabet import digits_of
from digitlens.datasets.labelled import LabelledPicture
from digitlens.errors import DataError
from digitlens.evaluation.metrics import count_edits
from digitlens.evaluation.risk import RiskCoverage, digits_needed, risk_coverage
from digitlens.imaging.image import Page
from digitlens.models.bundle import lines_of, load_line_bundle, open_roles, write_reader
from digitlens.progress import work_bar
from digitlens.reading.reader import DigitReader


@dataclass(frozen=True)
class OwnAnswers:
    """A reader's results on pictures with known text."""

    confidence: tuple[float, ...]  # of each digit read, 0 to 1
    right: tuple[bool, ...]  # whether each digit read is correct
    total: int  # digits in the labels
    pictures: int  # number of pictures

    @property
    def wrong(self) -> int:
        """Number of digits that are misread, or read where there is none."""
        return len(self.right) - sum(self.right)

    def curve(self) -> RiskCoverage:
        """Returns the risk-coverage curve: coverage and errors by confidence threshold.

        Raises DataError if no digit was read.
        """
        if not self.right:
            raise DataError(
                f"no digit was read on {self.pictures} pictures: expected pictures of numbers, "
                "each labelled with its text"
            )
        confidence = np.array(self.confidence, np.float32)
        return risk_coverage(confidence, np.array(self.right), max(1, self.total))


@dataclass(frozen=True)
class Promise:
    """A guarantee on the error rate of sure digits."""

    target: float  # maximum fraction of sure digits that are wrong
    # Confidence from which a digit is sure; None if the target cannot be guaranteed.
    threshold: float | None
    sure: int  # digits at or above the threshold
    wrong: int  # of those, wrong ones
    coverage: float  # fraction of all digits that are sure and right
    digits_needed: int  # minimum number of sure digits, all right, to guarantee the target
    pictures_needed: int  # approximate number of such pictures with that many digits

    def as_dict(self) -> dict[str, Any]:
        """Returns the promise as JSON-ready values."""
        return asdict(self)


def answer_own(reader: DigitReader, pictures: Iterable[LabelledPicture]) -> OwnAnswers:
    """Reads labelled pictures, several at once, and aligns the digits read with the labels.

    The alignment has the fewest edits, over all lines in reading order.
    """
    labels: deque[str] = deque()

    def pages() -> Iterator[Page]:
        for picture in pictures:
            labels.append(picture.label)
            yield picture.page

    confidence: list[float] = []
    right: list[bool] = []
    total = count = 0
    for reading in reader.read_many(pages()):
        truth = digits_of(labels.popleft())
        confidence += [digit.confidence for digit in reading.digits]
        right += count_edits(truth, digits_of(reading.digits_only))[1]
        total, count = total + len(truth), count + 1
    return OwnAnswers(tuple(confidence), tuple(right), total, count)


def promise(answers: OwnAnswers, curve: RiskCoverage, target: float) -> Promise:
    """Finds the lowest threshold that guarantees a target error, see ``threshold_for``.

    Raises ValueError unless the target is above 0 and below 1.
    """
    needed = digits_needed(target)
    pictures = ceil(needed * answers.pictures / len(answers.right))
    try:
        threshold = curve.threshold_for(target)
    except ValueError:
        return Promise(target, None, 0, 0, 0.0, needed, pictures)
    i = curve.threshold.index(threshold)
    coverage = float(curve.coverage[i])
    return Promise(target, threshold, curve.stated[i], curve.wrong[i], coverage, needed, pictures)


def calibrate_own(
    model: str | Path, pictures: Iterable[LabelledPicture], targets: Sequence[float], folder: Path
) -> tuple[OwnAnswers, list[Promise]]:
    """Fits the threshold of a model on the user's pictures and writes the model into a folder.

    Targets are maximum fractions of sure digits that are wrong. The written model uses the
    threshold of the first target that can be guaranteed; its card also has the curve, so that other
    targets can be requested when reading. If no target can be guaranteed, nothing is written. A
    single promise fails in at most 5 % of cases, the first of k targets in at most 5 k %. Pictures
    must be of the kind to be read, chosen independently of the results, and not used in training.

    Raises DataError if no digit was read, ModelError if the model is missing or damaged.
    """
    classifier, detector = open_roles(model)
    reader = DigitReader(classifier, pages=detector)
    with work_bar() as bar:
        total = len(pictures) if isinstance(pictures, Sized) else None
        answers = answer_own(reader, bar.track(pictures, total, description="reading"))
    curve = answers.curve()
    promises = [promise(answers, curve, target) for target in targets]
    threshold = next((each.threshold for each in promises if each.threshold is not None), None)
    if threshold is not None:
        lines = load_line_bundle(lines_of(classifier.folder))
        thresholds = {**lines.card.thresholds, "digit": threshold}
        fusion = {**lines.card.fusion, "risk": curve.as_dict()}
        card = replace(lines.card, thresholds=thresholds, fusion=fusion)
        write_reader(folder, classifier, replace(lines, card=card))
    return answers, promises
