"""Finds what there is to say of a page that was read: asks networks and training digits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digitlens.errors import DataError, ModelError
from digitlens.progress import work_bar
from digitlens.visualization.account import Account, Alike, Neighbour, Reasons, Story

if TYPE_CHECKING:
    from digitlens.cli.known import Known
    from digitlens.cli.subject import Subject
    from digitlens.evaluation.neighbours import Nearest
    from digitlens.models.classifier import Classifier
    from digitlens.reading.reader import DigitReader, Examination
    from digitlens.results import Digit
    from digitlens.visualization.account import Floats

MOST = 12  # digits that are explained, and half as many rejected things
NEAREST, OF_EACH = 8, 5  # training digits shown: of all, and of the answer and of the runner-up
_DOUBT = 0.01  # probability of another digit that counts
_GET = "for its nearest training digits, get MNIST: run  digitlens data --fetch"


@dataclass(frozen=True)
class Choice:
    """What is to be explained.

    Attributes:
        model: The classifier, as for ``DigitReader``.
        digit: The only digit to explain, from 1 in reading order; None explains the first twelve.
        data_dir: Folder with the MNIST files.
    """

    model: str | Path
    digit: int | None = None
    data_dir: Path | None = None


def explained(name: str, reader: DigitReader, seen: Examination, choice: Choice) -> Story:
    """Everything that is to be said of a page.

    Args:
        name: What the page is called.
        reader: What read it.
        seen: What led to the answer.
        choice: What is to be explained.

    Raises:
        ModelError: The classifier is damaged.
        ValueError: There is no such digit; says how many there are.
    """
    from digitlens.reading.recognize import LIKELY

    accounts = _accounts(seen)
    digits = [one for one in accounts if one.digit.status != "rejected"]
    rejected = [one for one in accounts if one.digit.status == "rejected"]
    chosen, hopeful = _chosen(digits, choice.digit), _likeliest(rejected, choice.digit)
    neighbours = _Neighbours(choice)
    shown = chosen + hopeful
    alike, note = neighbours.of(shown)
    with work_bar() as bar:
        task = bar.add_task("explaining", total=len(chosen))
        for place, one in enumerate(chosen):
            shown[place] = _reasoned(one, reader.classifier)
            bar.advance(task)
    shown = [replace(one, alike=near) for one, near in zip(shown, alike, strict=True)]
    glances = seen.view.detections.glances
    return Story(
        name,
        seen.page,
        seen.reading,
        seen.turn,
        tuple((glance.look.size[1], glance.look.size[0]) for glance in glances),
        tuple(line.symbols.text for line in seen.view.lines),
        max((float(glance.look.heat.max(initial=0)) for glance in glances), default=0.0),
        LIKELY,
        reader.thresholds["digit"],
        tuple(shown[: len(chosen)]),
        tuple(shown[len(chosen) :]),
        (len(digits) - len(chosen), len(rejected) - len(hopeful)),
        note if shown else "",
    )


def _chosen(digits: list[Account], number: int | None) -> list[Account]:
    if number is None:
        return digits[:MOST]
    if not 1 <= number <= len(digits):
        there = f"from 1 to {len(digits)}" if digits else "on a page with digits"
        raise ValueError(f"expected a digit {there}, found {number}")
    return [digits[number - 1]]


def _likeliest(rejected: list[Account], number: int | None) -> list[Account]:
    """The most digit-like ones, in reading order; none beside a single digit."""
    ranked = sorted(rejected, key=lambda one: -one.digit.confidence)[: MOST // 2]
    return [] if number is not None else sorted(ranked, key=lambda one: one.number)


def _accounts(seen: Examination) -> list[Account]:
    """What is known of each digit and rejected thing without asking more, in reading order."""
    counts: Counter[bool] = Counter()
    accounts: list[Account] = []
    pairs = zip(seen.reading.lines, seen.places, strict=True)
    for digit, place in (pair for line in pairs for pair in zip(*line, strict=True)):
        counts[digit.status == "rejected"] += 1
        accounts.append(_account(counts[digit.status == "rejected"], digit, seen, place))
    return accounts


def _account(number: int, digit: Digit, seen: Examination, place: int) -> Account:
    """What is known of a place, with its tile and what each network says of it."""
    from digitlens.reading.places import UNSEEN

    view, scores = seen.view, seen.view.scores
    found = scores.places
    says = scores.digits[place]
    exists = (found.objectness[place], found.mass[place], scores.is_digit[place])
    return Account(
        number,
        digit,
        view.tiles[place],
        says,
        (float(exists[0]), float(exists[1]), float(exists[2])),
        (bool(found.objectness[place] > UNSEEN), bool(found.symbol[place] >= 0)),
        view.lines[int(found.line[place])].symbols.text,
        _runner_up(digit.value, digit.probabilities, says[-1]),
    )


def _runner_up(value: int, chances: tuple[float, ...], own: Floats) -> int:
    """The next digit by all networks; where these leave no doubt, by the classifier."""
    others = [k for k in range(10) if k != value]
    return max(others, key=lambda k: (chances[k] if chances[k] >= _DOUBT else 0, float(own[k])))


def _reasoned(one: Account, classifier: Classifier) -> Account:
    from digitlens.evaluation.changes import changes
    from digitlens.evaluation.occlusion import occlusion

    predict, value = classifier.predict_proba, one.digit.value
    ink, paper = (
        occlusion(predict, one.tile, value, against=one.other, ink=full) for full in (0, 255)
    )
    return replace(one, reasons=Reasons(ink, paper, tuple(changes(predict, one.tile))))


class _Neighbours:
    """The training digits that look like a tile; where there are none, why."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice

    @cached_property
    def _subject(self) -> Subject:
        from digitlens.cli.subject import Subject

        return Subject(self._choice.model, on="validation", data_dir=self._choice.data_dir)

    def of(self, accounts: list[Account]) -> tuple[list[Alike | None], str]:
        """For each account what is alike, and a note where that cannot be said."""
        nothing: list[Alike | None] = [None] * len(accounts)
        if not accounts:
            return nothing, ""
        try:
            known = self._subject.known
        except DataError:
            return nothing, f"MNIST is not on this machine; {_GET}."
        except ModelError as error:
            return nothing, f"There are no training digits to compare with: {error}."
        return list(self._alike(accounts, known)), ""

    def _usual(self, known: Known) -> Floats:
        from digitlens.cli.known import usual_distances

        try:
            return usual_distances(self._subject.classifier, known, self._subject.split)
        except ModelError:  # its recipe kept none back
            return np.zeros(0, np.float32)

    def _alike(self, accounts: list[Account], known: Known) -> list[Alike]:
        from digitlens.evaluation.neighbours import nearest, share_nearer

        tiles = np.stack([one.tile for one in accounts])
        features = self._subject.classifier.outputs(tiles).features
        if features is None:
            raise AssertionError("a model that gave features gives them again")
        usual = self._usual(known)
        found = nearest(features, known.features, min(NEAREST, len(known.features)))
        near = share_nearer(found.distances[:, 0], usual) if len(usual) else None
        return [
            Alike(
                _neighbours(found, known, row),
                _labelled(features[row : row + 1], known, one.digit.value),
                _labelled(features[row : row + 1], known, one.other),
                None if near is None else float(near[row]),
                len(usual),
            )
            for row, one in enumerate(accounts)
        ]


def _labelled(features: Floats, known: Known, value: int) -> tuple[Neighbour, ...]:
    from digitlens.evaluation.neighbours import nearest_of

    chosen = known.labels == value
    if not chosen.any():
        return ()
    return _neighbours(nearest_of(features, known.features, chosen, OF_EACH), known, 0)


def _neighbours(found: Nearest, known: Known, row: int) -> tuple[Neighbour, ...]:
    pairs = zip(found.indices[row].tolist(), found.distances[row].tolist(), strict=True)
    return tuple(Neighbour(k, int(known.labels[k]), far, known.tiles[k]) for k, far in pairs)
