"""The threshold from which a digit is sure, fitted on a user's own pictures with a proven bound.

Knows a reader, labelled pictures and the bound of ``evaluation.risk``; trains nothing.
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
from digitlens.evaluation.metrics import aligned
from digitlens.evaluation.risk import RiskCoverage, digits_needed, risk_coverage
from digitlens.imaging.image import Page
from digitlens.models.bundle import lines_of, load_line_bundle, open_roles, write_reader
from digitlens.progress import work_bar
from digitlens.reading.reader import DigitReader


@dataclass(frozen=True)
class OwnAnswers:
    """What a reader answers on pictures whose text is known."""

    confidence: tuple[float, ...]  # of each digit that it reads, 0 to 1
    right: tuple[bool, ...]  # whether that digit stands there
    total: int  # digits there are to read
    pictures: int  # how many pictures were read

    @property
    def wrong(self) -> int:
        """Digits that are misread, or read where there is none."""
        return len(self.right) - sum(self.right)

    def curve(self) -> RiskCoverage:
        """Which share of the digits is stated at which confidence, and how many are wrong.

        Raises DataError where no digit was read.
        """
        if not self.right:
            raise DataError(
                f"no digit was read on {self.pictures} pictures: expected pictures of numbers, "
                "each with its text as label"
            )
        confidence = np.array(self.confidence, np.float32)
        return risk_coverage(confidence, np.array(self.right), max(1, self.total))


@dataclass(frozen=True)
class Promise:
    """What can be promised of the digits that are sure."""

    target: float  # share of them that may be wrong
    # Confidence from which on a digit is sure; None where the target cannot be kept.
    threshold: float | None
    sure: int  # digits at or above it
    wrong: int  # how many of those were wrong
    coverage: float  # share of all digits that are sure and right
    digits_needed: int  # sure digits that it takes at least, none of them wrong
    pictures_needed: int  # about how many pictures like these have so many digits

    def as_dict(self) -> dict[str, Any]:
        """The promise as JSON-ready values."""
        return asdict(self)


def answer_own(reader: DigitReader, pictures: Iterable[LabelledPicture]) -> OwnAnswers:
    """Reads labelled pictures, several at once, and aligns what is read with the labels.

    Digits are matched at the fewest edits, line after line in reading order.
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
        right += aligned(truth, digits_of(reading.digits_only))[1]
        total, count = total + len(truth), count + 1
    return OwnAnswers(tuple(confidence), tuple(right), total, count)


def promise(answers: OwnAnswers, curve: RiskCoverage, target: float) -> Promise:
    """The least threshold that keeps a target error, tested as ``RiskCoverage.threshold_for`` does.

    Raises ValueError unless the target is above 0 and below 1.
    """
    needed = digits_needed(target)
    pictures = ceil(needed * answers.pictures / len(answers.right))
    try:
        threshold = curve.threshold_for(target)
    except ValueError:
        return Promise(target, None, 0, 0, 0.0, needed, pictures)
    at = curve.threshold.index(threshold)
    coverage = float(curve.coverage[at])
    return Promise(target, threshold, curve.stated[at], curve.wrong[at], coverage, needed, pictures)


def calibrate_own(
    model: str | Path, pictures: Iterable[LabelledPicture], targets: Sequence[float], folder: Path
) -> tuple[OwnAnswers, list[Promise]]:
    """Fits the threshold of a model on the user's pictures and writes the model into a folder.

    Targets are shares of sure digits that may be wrong. Digits of the written model are sure from
    the threshold of the first target on that can be kept; with the curve that is written too, other
    targets can be asked for when reading. Nothing is written where none can be kept. Each promise
    holds by itself at its level of 5 %; to take the first of k that is kept may break it in up to
    5 k % of cases. The pictures are of the kind that will be read, chosen without a look at how
    they are read; none that anything was trained with.

    Raises DataError where no digit was read, ModelError where the model is missing or damaged.
    """
    classifier, detector = open_roles(model)
    reader = DigitReader(classifier, pages=detector)
    with work_bar() as bar:
        total = len(pictures) if isinstance(pictures, Sized) else None
        answers = answer_own(reader, bar.track(pictures, total, description="reading"))
    curve = answers.curve()
    promises = [promise(answers, curve, target) for target in targets]
    kept = next((each.threshold for each in promises if each.threshold is not None), None)
    if kept is not None:
        lines = load_line_bundle(lines_of(classifier.folder))
        thresholds = {**lines.card.thresholds, "digit": kept}
        fusion = {**lines.card.fusion, "risk": curve.as_dict()}
        card = replace(lines.card, thresholds=thresholds, fusion=fusion)
        write_reader(folder, classifier, replace(lines, card=card))
    return answers, promises
