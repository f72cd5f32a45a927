"""Reads the regions of a template, and weighs what was read against what was read before.

A wheel between two digits, glare and blur make a reading doubtful. What else it may be is kept with
its probability, and the last value, the time since then and the pictures before it decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from heapq import nlargest
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.errors import TemplateError
from digitlens.imaging.framing import WIDEST, crop_line
from digitlens.imaging.image import Page, Source, load_image
from digitlens.reading.reader import DigitReader
from digitlens.reading.registration import ALIKE, Reference, Registration
from digitlens.reading.template import Region, Template
from digitlens.results import Digit, Reading

Status = Literal["value", "doubtful", "rejected", "error"]

Floats = npt.NDArray[np.float64]

LIKELY = 0.95  # share of what is possible that a value has to have
POSSIBLE = 0.1  # probability from which a candidate counts that earlier values speak for
_KEPT = 24  # candidates
_CLEAR = 0.99  # confidence of all digits of a counter, from which it is looked at once
_MOVED = 1 / 3  # heights of a region by which it is looked at again above and below
_OUTSIDE = 0.3  # of the height of what is seen there: digits above or below it are of other lines
_LEAST = 0.003  # probability of any digit, where something else was seen
_UNLIKELY = 0.2  # probability below which no way in which wheels go together is believed
_STILL = 20.0  # times as likely as others is a value that is the last one, or the next
_HEIGHTS = 96, 960  # pixels, of the crop of a region


@dataclass(frozen=True)
class Candidate:
    """What a region may say.

    Attributes:
        text: As it is written.
        value: What that is; None where it is no value.
        probability: 0 to 1.
    """

    text: str
    value: Decimal | None
    probability: float


@dataclass(frozen=True)
class RegionReading:
    """What was read in a region.

    Attributes:
        region: The region.
        candidates: What it may say, likeliest first; none where nothing fits.
        reason: Why there are none.
    """

    region: Region
    candidates: tuple[Candidate, ...]
    reason: str = ""


class TemplateReader:
    """Reads pictures of one form or meter."""

    def __init__(self, template: Template, reader: DigitReader | None = None) -> None:
        """Looks at the reference picture.

        Args:
            template: What is to be read.
            reader: Reads the regions; None makes one.

        Raises:
            MissingExtraError: The extra ``template`` is not installed.
            ModelError: See ``DigitReader``.
            TemplateError: The reference shows too little to be found on other pictures.
        """
        self.template = template
        self._reference = Reference(template.page)
        self._reader = reader or DigitReader()

    def read(self, image: Source) -> dict[str, RegionReading]:
        """Reads every region of a picture, straightened, by its name.

        Args:
            image: See ``load_image``.

        Raises:
            ImageError: The picture cannot be decoded.
            TemplateError: It does not show what the reference shows.
        """
        page = load_image(image, copy=False)
        found = self._reference.register(page)
        if not found.matches:
            raise TemplateError(
                "does not show what the template's picture shows: expected a similarity of "
                f"{ALIKE} or more, found {max(0.0, found.similarity):.2f}"
            )
        return {region.name: self._region(page, region, found) for region in self.template.regions}

    def _region(self, page: Page, region: Region, found: Registration) -> RegionReading:
        expect = region.expect or (str(region.digits) if region.digits else None)
        reading = self._reader.read(self._crop(page, region, found), expect=expect)
        sure = min((digit.confidence for digit in reading.digits), default=0.0)
        if region.kind != "counter" or len(reading.digits) != region.digits or sure >= _CLEAR:
            return interpret(region, reading)
        # Of a wheel between two digits, one is whole when it is looked at above, and one below.
        above, below = (
            self._reader.read(self._crop(page, region, found, moved)) for moved in (-_MOVED, _MOVED)
        )
        return interpret(region, reading, (above, below))

    def _crop(self, page: Page, region: Region, found: Registration, moved: float = 0) -> Page:
        """A region, or what is so many of its heights below it, straightened."""
        x0, y0, x1, y1 = region.pixels(self.template.page)
        down = moved * (y1 - y0)
        least, most = _HEIGHTS
        height = min(max(least, round(y1 - y0)), most, int(WIDEST * (y1 - y0) / (x1 - x0)))
        return crop_line(page, found.quad((x0, y0 + down, x1, y1 + down)), height=max(16, height))


def interpret(
    region: Region, reading: Reading, beside: tuple[Reading, Reading] | None = None
) -> RegionReading:
    """What a region may say, by a reading of its crop.

    Args:
        region: The region.
        reading: Of its crop.
        beside: Of crops a little above and below, to tell what wheels between two digits show.
    """
    digits = reading.digits
    if region.digits and len(digits) != region.digits:
        return RegionReading(region, (), f"expected {region.digits} digits, found {len(digits)}")
    if not digits:
        return RegionReading(region, (), "no digits were found")
    if region.kind == "number" and not region.digits:
        return _number(region, reading)
    wheels = [_Wheel(_chances(digit), np.zeros(10)) for digit in digits]
    if beside:
        wheels = [
            _Wheel.seen(wheel.whole, _near(digit, beside[0], above=True), _near(digit, beside[1]))
            for digit, wheel in zip(digits, wheels, strict=True)
        ]
    texts = _likeliest(wheels)
    if region.kind == "code":
        sure = texts[0][1]
        return RegionReading(region, (Candidate(reading.text or texts[0][0], None, sure),))
    shift = Decimal(1).scaleb(-region.decimals)
    found = (Candidate(text, Decimal(text) * shift, chance) for text, chance in texts)
    return RegionReading(region, tuple(found))


def _number(region: Region, reading: Reading) -> RegionReading:
    """The only number of a reading."""
    if len(reading.numbers) != 1:
        told = f"expected one number, found {len(reading.numbers)}: {reading.text!r}"
        return RegionReading(region, (), told)
    number = reading.numbers[0]
    said = [(number.text, number.value, number.confidence)]
    said += [(each.text, each.value, each.probability) for each in number.alternatives]
    shift = Decimal(1).scaleb(-region.decimals)
    found = [
        Candidate(text, value * shift, chance)
        for text, value, chance in said
        if isinstance(value, Decimal)
    ]
    return RegionReading(region, tuple(found), "" if found else f"{number.text!r} is no number")


def _chances(digit: Digit) -> Floats:
    """float64[10]; what a digit may be, with probabilities that sum to 1."""
    chances = np.array(digit.probabilities)
    chances[digit.value] = 0
    chances *= (1 - digit.confidence) / max(float(chances.sum()), 1e-9)
    chances[digit.value] = digit.confidence
    return chances / chances.sum()


def _near(digit: Digit, reading: Reading, *, above: bool = False) -> Floats:
    """float64[10]; what stands where a digit was seen, by another reading of the same columns.

    Args:
        digit: Of the crop of the region.
        reading: Of a crop of what is above or below it.
        above: Whether it is of what is above: in its upper part are other lines then, else in its
            lower part.
    """
    middle, edge = (digit.box.x0 + digit.box.x1) / 2, _OUTSIDE * reading.height
    for other in (each for line in reading.lines for each in line):
        y = (other.box.y0 + other.box.y1) / 2
        if other.box.x0 < middle < other.box.x1 and (
            y > edge if above else y < reading.height - edge
        ):
            return _chances(other)
    return np.full(10, 0.1)


class _Wheel(NamedTuple):
    """What a wheel may show; both together sum to 1.

    Attributes:
        whole: float64[10]; a digit.
        between: float64[10]; half of a digit and half of the next one.
    """

    whole: Floats
    between: Floats

    @classmethod
    def seen(cls, here: Floats, above: Floats, below: Floats) -> _Wheel:
        """A digit is seen twice; or one above and the next one below."""
        here, above, below = (np.maximum(each, _LEAST) for each in (here, above, below))
        whole, between = here * np.maximum(above, below), above * np.roll(below, -1)
        total = (whole + between).sum()
        return cls(whole / total, between / total)


def _likeliest(wheels: Sequence[_Wheel]) -> list[tuple[str, float]]:
    """The likeliest texts; a wheel between two digits counts as the lower of them.

    A wheel goes on to its next digit exactly while the one to its right goes from 9 to 0.
    """
    texts = [("", 1.0, False)]  # from the right, and whether the last one goes from 9 to 0
    for place, (whole, between) in enumerate(reversed(wheels)):
        longer = (
            (f"{value}{text}", sure * float(chances[value]), turns and value == 9)
            for text, sure, carries in texts
            for turns, chances in ((False, whole), (True, between))
            if turns == carries or not place
            for value in range(10)
        )
        texts = nlargest(_KEPT, longer, key=lambda each: each[1])
    total = max(_UNLIKELY, sum(sure for _, sure, _ in texts))
    found: dict[str, float] = {}
    for text, sure, _ in texts:
        found[text] = found.get(text, 0.0) + sure / total
    return sorted(found.items(), key=lambda each: -each[1])


@dataclass(frozen=True)
class Verdict:
    """What becomes of a reading.

    Attributes:
        status: ``value``: it is stored as one; ``doubtful``: not sure enough; ``rejected``: it
            contradicts what was read before, or does not fit.
        read: The likeliest candidate of those that are possible, else of all; None without any.
        value: The value; None unless the status is ``value``, and for codes.
        reason: Why it is not a value; empty for one.
    """

    status: Status
    read: Candidate | None
    value: Decimal | None = None
    reason: str = ""


@dataclass
class History:
    """What was read of a region so far.

    Attributes:
        vote: A value counts when more than half of so many newest pictures agree with it; 1 for
            no vote.
        last: Time and value of the last one that was stored.
        newest: Time and what was read, of the newest pictures; None where nothing was.
    """

    vote: int = 1
    last: tuple[datetime, Decimal] | None = None
    newest: deque[tuple[datetime, Decimal | None]] = field(default_factory=deque)

    def weigh(self, found: RegionReading, when: datetime) -> Verdict:
        """Decides about the reading of one more picture, to be remembered next."""
        region = found.region
        if not found.candidates:
            return Verdict("doubtful", None, reason=found.reason)
        best = found.candidates[0]
        possible = [each for each in found.candidates if self._is_possible(region, each, when)]
        if not possible or sum(each.probability for each in possible) < POSSIBLE:
            return Verdict("rejected", best, reason=self._against(region, best, when))
        best = max(possible, key=lambda each: each.probability * self._prior(region, each))
        odds = [each.probability * self._prior(region, each) for each in possible]
        near = [_is_near(region, each, best) for each in possible]
        like = sum(chance for chance, is_near in zip(odds, near, strict=True) if is_near)
        clear = like >= LIKELY * (sum(odds) if region.has_history else 1)
        if not clear:
            others = [each.text for each in possible if not _is_near(region, each, best)]
            told = f"may be {best.text} or {others[0]}" if others else f"{like:.0%} sure"
            return Verdict("doubtful", best, reason=told)
        if region.has_history and (told := self._vote(region, best, when)):
            return Verdict("doubtful", best, reason=told)
        value = best.value
        if value is not None and self.last and region.monotone and when >= self.last[0]:
            if value < self.last[1] and best.probability >= LIKELY:
                told = f"{best.text} is clear, and less than {self.last[1]} before"
                return Verdict("doubtful", best, reason=told)
            value = max(value, self.last[1])  # one digit less is a wheel on its way
        return Verdict("value", best, value)

    def remember(self, when: datetime, read: Decimal | None, value: Decimal | None) -> None:
        """Keeps what was read on a picture, and the value that was stored, if any."""
        self.newest.append((when, read))
        while len(self.newest) >= max(2, self.vote):
            self.newest.popleft()
        if value is not None and (self.last is None or when >= self.last[0]):
            self.last = when, value

    def _is_possible(self, region: Region, candidate: Candidate, when: datetime) -> bool:
        if self.last is None or candidate.value is None or not region.has_history:
            return True
        return _follows(region, self.last, (when, candidate.value))

    def _prior(self, region: Region, candidate: Candidate) -> float:
        """How much likelier a candidate is than others, by the last value."""
        if self.last is None or candidate.value is None or not region.has_history:
            return 1.0
        return _STILL if 0 <= candidate.value - self.last[1] <= _slack(region) else 1.0

    def _against(self, region: Region, candidate: Candidate, when: datetime) -> str:
        if self.last is None:
            return f"{candidate.text} is {candidate.probability:.0%} sure"
        before, value = self.last
        hours = abs((when - before).total_seconds()) / 3600
        return (
            f"{candidate.text} is {candidate.value} {region.unit}".rstrip()
            + f", which cannot follow {value} within {hours:.2f} h"
        )

    def _vote(self, region: Region, best: Candidate, when: datetime) -> str:
        """Why a candidate is outvoted; empty where it is not."""
        if self.vote < 2 or best.value is None:
            return ""
        agree = 1 + sum(
            read is not None and _follows(region, (time, read), (when, best.value))
            for time, read in self.newest
        )
        if 2 * agree > self.vote:
            return ""
        return f"{agree} of {self.vote} pictures agree on {best.text} so far"


def _follows(
    region: Region, one: tuple[datetime, Decimal], other: tuple[datetime, Decimal]
) -> bool:
    """Whether two values may both be right, by what is known of the region's changes."""
    (before, low), (after, high) = sorted((one, other), key=lambda each: each[0])
    slack = _slack(region)
    if region.monotone and high < low - slack:
        return False
    if region.most_per_hour is None:
        return True
    hours = (after - before).total_seconds() / 3600
    return abs(high - low) <= Decimal(region.most_per_hour) * Decimal(hours) + slack


def _is_near(region: Region, one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are the same, but for a wheel between two digits."""
    if one.value is None or other.value is None:
        return one.text == other.text
    return abs(one.value - other.value) <= _slack(region)


def _slack(region: Region) -> Decimal:
    """One digit of a counter's last wheel, which may stand between two."""
    return Decimal(1).scaleb(-region.decimals) if region.kind == "counter" else Decimal(0)
