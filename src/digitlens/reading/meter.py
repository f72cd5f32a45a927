"""Reads the regions of a template, and decides their values from a series of pictures.

A counter is a hidden Markov model: its state is the value and whether the last wheel is between two
digits; it rests, starts or ends a turn, or advances at most as fast as the region allows. Each
picture gives a likelihood for each state, and is decided together with those before and after it
(forward and backward messages: L. Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 77,
1989). Half digits are often misread, so the appearance of the meter's own digits is used as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from heapq import nlargest
from math import exp
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.errors import TemplateError
from digitlens.imaging.framing import MAX_WIDTH, crop_line
from digitlens.imaging.image import Page, Source, load_image
from digitlens.reading.reader import DigitReader
from digitlens.reading.template import (
    SIMILAR,
    Box,
    Drum,
    Reference,
    Region,
    Registration,
    Template,
    cell_correlation,
)
from digitlens.results import Alternative, Digit, Reading

Status = Literal["value", "doubtful", "rejected", "error"]

Floats = npt.NDArray[np.float64]

WAIT = 15  # maximum later pictures a doubtful one waits for; 8 do nearly as well, 30 no better
LIKELY = 0.99  # minimum probability of a value, given all pictures
CLEAR = 0.95  # the same for a region without history, which one picture decides
_MAX_WAIT = 1.0  # hours: longest wait of a doubtful picture
_MAX_CANDIDATES = 24  # maximum candidates of a picture
_SURE = 0.998  # confidence of all digits of a counter from which one crop is enough
_SHIFT = 1 / 3  # region heights: shift of the crops above and below
_EDGE = 0.3  # crop heights: digits this close to the far edge belong to other lines
_CROP_HEIGHTS = 96, 960  # pixels: minimum and maximum height of a region's crop

# Likelihood of a wheel. The confidence p in a whole digit has a density proportional to
# p^(SHARP - 1): 0.98 is already rare, and between two digits any digit may be read in all crops.
_SHARP = 200
_GLARE = 0.1  # fraction of whole digits that do not follow this density
_MISREAD = 0.2  # probability that half a digit is misread in a crop above or below
_MISTAKEN = 0.5  # the same in the crop of the middle
_RARE = 1e-6  # minimum probability of a text, relative to the likeliest
_TEMPER = 0.5  # exponent for wheels between digits, as pictures of one position err alike

# State transitions of a counter.
_RESTS = 0.4  # probability that the value rests between two pictures
_TURNS = 0.05  # probability that a resting wheel starts or ends a position between digits
_BETWEEN = 0.4  # probability that the last wheel is between digits after a jump
_STRAY = 0.02  # probability that a picture is uninformative or wrong
_FLOOR = 1e-3  # likelihood of every value on such a picture
_SUPPORT = 0.01  # minimum likelihood of the chosen value, relative to the picture's likeliest
_SLOPE, _OFFSET = 14.0, 0.75  # a similarity x of pictures favours rest by exp(14 (x - 0.75))


@dataclass(frozen=True)
class Candidate:
    """A possible reading of a region.

    Attributes:
        text: As written.
        value: Its value; None if it has none.
        probability: 0 to 1.
        between: The part of the probability for a last wheel between this digit and the next.
    """

    text: str
    value: Decimal | None
    probability: float
    between: float = 0.0


@dataclass(frozen=True)
class RegionReading:
    """The reading of a region on one picture.

    Attributes:
        region: The region.
        candidates: Possible readings, likeliest first; empty if none is valid.
        reason: Why there are none.
        look: uint8[N, 32, 24]; pictures of a counter's wheels; None for other regions.
        wheels: The likelihoods of each wheel.
    """

    region: Region
    candidates: tuple[Candidate, ...]
    reason: str = ""
    look: Page | None = None
    wheels: tuple[SeenWheel, ...] = ()


class TemplateReader:
    """Reads pictures of one form or meter."""

    def __init__(self, template: Template, reader: DigitReader | None = None) -> None:
        """Prepares the reference picture.

        Args:
            template: The reference and its regions.
            reader: Reads the regions; None makes one.

        Raises:
            MissingExtraError: The extra ``template`` is not installed.
            ModelError: See ``DigitReader``.
            TemplateError: The reference has too few features to be found on other pictures.
        """
        self.template = template
        self._reference = Reference(template.page)
        self._reader = reader or DigitReader()
        self._wheel_boxes: dict[str, Box] = {}

    def read(self, image: Source) -> dict[str, RegionReading]:
        """Straightens and reads every region of a picture; returns readings by region name.

        Args:
            image: See ``load_image``.

        Raises:
            ImageError: The picture cannot be decoded.
            TemplateError: It does not show the same object as the reference.
        """
        page, pose = self._registered(image)
        return {region.name: self._read_one(page, region, pose) for region in self.template.regions}

    def looks(self, image: Source) -> dict[str, Page]:
        """Pictures of every counter's wheels by name, uint8[N, 32, 24], not read; see ``read``."""
        page, pose = self._registered(image)
        counters = (region for region in self.template.regions if region.kind == "counter")
        return {region.name: self._cells(page, region, pose) for region in counters}

    def _registered(self, image: Source) -> tuple[Page, Registration]:
        page = load_image(image, copy=False)
        pose = self._reference.register(page)
        if not pose.matches:
            raise TemplateError(
                "does not show what the template's picture shows: expected a similarity of "
                f"{SIMILAR} or more, found {max(0.0, pose.similarity):.2f}"
            )
        return page, pose

    def _cells(self, page: Page, region: Region, pose: Registration) -> Page:
        if region.name not in self._wheel_boxes:
            self._wheel_boxes[region.name] = self._locate_wheels(region)
        return pose.cells(page, self._wheel_boxes[region.name], region.digits)

    def _locate_wheels(self, region: Region) -> Box:
        """The box of a counter, with the width of its wheels measured on the reference."""
        page = self.template.page
        x0, y0, x1, y1 = region.pixels(page)
        crop = self._crop(page, region, Registration(np.eye(3), 1.0))
        digits = self._reader.read(crop, expect=region.expect or str(region.digits)).digits
        if len(digits) == region.digits > 1:
            middles = [(each.box.x0 + each.box.x1) / 2 for each in digits]
            pitch, first = np.polyfit(np.arange(len(digits)), middles, 1)
            pitch, first = float(pitch), float(first)
            scale = (y1 - y0) / len(crop)
            x0, x1 = (x0 + scale * (first + pitch * k) for k in (-0.5, region.digits - 0.5))
        return x0, y0, x1, y1

    def _read_one(self, page: Page, region: Region, pose: Registration) -> RegionReading:
        expect = region.expect or (str(region.digits) if region.digits else None)
        crop = self._crop(page, region, pose)
        reading = self._reader.read(crop, expect=expect)
        if region.kind != "counter":
            return interpret(region, reading)
        lowest = min((digit.confidence for digit in reading.digits), default=0.0)
        shifted = None
        if lowest < _SURE and len(reading.digits) == region.digits:
            # If a wheel is between two digits, the crops above and below show one whole digit each.
            above, below = (
                self._reader.read(self._crop(page, region, pose, shift))
                for shift in (-_SHIFT, _SHIFT)
            )
            shifted = above, below
        return replace(interpret(region, reading, shifted), look=self._cells(page, region, pose))

    def _crop(self, page: Page, region: Region, pose: Registration, shift: float = 0) -> Page:
        """A straightened region, shifted down by ``shift`` of its heights."""
        x0, y0, x1, y1 = region.pixels(self.template.page)
        dy = shift * (y1 - y0)
        low, high = _CROP_HEIGHTS
        height = min(max(low, round(y1 - y0)), high, int(MAX_WIDTH * (y1 - y0) / (x1 - x0)))
        return crop_line(page, pose.quad((x0, y0 + dy, x1, y1 + dy)), height=max(16, height))


def interpret(
    region: Region, reading: Reading, shifted: tuple[Reading, Reading] | None = None
) -> RegionReading:
    """The possible readings of a region, from a reading of its crop.

    ``shifted``: readings of crops a little above and below, for wheels between two digits.
    """
    digits = reading.digits
    if region.digits and len(digits) != region.digits:
        return RegionReading(region, (), f"expected {region.digits} digits, found {len(digits)}")
    if not digits:
        return RegionReading(region, (), "no digits found")
    if region.kind == "number" and not region.digits:
        return _number(region, reading)
    chances = [_chances(digit) for digit in digits]
    wheels = [SeenWheel(each, np.zeros(10)) for each in chances]
    if region.kind == "counter":
        above, below = chances, chances
        if shifted:
            above = [_chances_in_crop(digit, shifted[0], above=True) for digit in digits]
            below = [_chances_in_crop(digit, shifted[1]) for digit in digits]
        wheels = [SeenWheel.seen(*crops) for crops in zip(chances, above, below, strict=True)]
    candidates = _candidates(region, wheels)
    if region.kind == "code":
        code = Candidate(reading.text or candidates[0].text, None, candidates[0].probability)
        return RegionReading(region, (code,))
    return RegionReading(region, candidates, wheels=tuple(wheels))


def _number(region: Region, reading: Reading) -> RegionReading:
    """The candidates of a region that shows one number."""
    if len(reading.numbers) != 1:
        reason = f"expected one number, found {len(reading.numbers)}: {reading.text!r}"
        return RegionReading(region, (), reason)
    number = reading.numbers[0]
    shift = Decimal(1).scaleb(-region.decimals)
    first = Alternative(number.text, number.value, number.confidence)
    found = [
        Candidate(each.text, each.value * shift, each.probability)
        for each in (first, *number.alternatives)
        if isinstance(each.value, Decimal)
    ]
    return RegionReading(region, tuple(found), "" if found else f"{number.text!r} is not a number")


def _chances(digit: Digit) -> Floats:
    """float64[10]: probabilities of a digit's values, which sum to 1."""
    chances = np.array(digit.probabilities)
    chances[digit.value] = 0
    chances *= (1 - digit.confidence) / max(float(chances.sum()), 1e-9)
    chances[digit.value] = digit.confidence
    return chances / chances.sum()


def _chances_in_crop(digit: Digit, reading: Reading, *, above: bool = False) -> Floats:
    """float64[10]: probabilities of a digit's values in the crop above or below.

    Ignores other lines in the upper part of the crop above, and the lower part of the one below.
    """
    middle, edge = (digit.box.x0 + digit.box.x1) / 2, _EDGE * reading.height
    for other in (each for line in reading.lines for each in line):
        y = (other.box.y0 + other.box.y1) / 2
        if other.box.x0 < middle < other.box.x1 and (
            y > edge if above else y < reading.height - edge
        ):
            return _chances(other)
    return np.full(10, 0.1)


class SeenWheel(NamedTuple):
    """The likelihoods of a wheel's observation."""

    whole: Floats  # float64[10]; if it shows a whole digit
    between: Floats  # float64[10]; if it shows half of a digit and half of the next one

    @classmethod
    def seen(cls, middle: Floats, above: Floats, below: Floats) -> SeenWheel:
        """Likelihoods from the probabilities, float64[10], of the three crops."""
        whole = (1 - _GLARE) * _SHARP * middle ** (_SHARP - 1) + _GLARE * middle
        either = (middle + np.roll(middle, -1)) / 2
        upper, lower = _smooth(above, _MISREAD), np.roll(_smooth(below, _MISREAD), -1)
        between = 1000 * upper * lower * _smooth(either, _MISTAKEN)
        if between.sum() > whole.sum():
            tempered = between**_TEMPER
            between = tempered * (between.sum() / tempered.sum())
        return cls(whole, between)


def _smooth(chances: Floats, share: float) -> Floats:
    return (1 - share) * chances + share / 10


def _candidates(region: Region, wheels: Sequence[SeenWheel]) -> tuple[Candidate, ...]:
    """The possible texts of a counter, likeliest first.

    A wheel turns to its next digit exactly while the one to its right turns from 9 to 0.
    """
    # From the right: text, likelihood, whether the last wheel turns, whether the newest carries.
    texts = [("", 1.0, False, False)]
    for k, (whole, between) in enumerate(reversed(wheels)):
        longer = (
            (f"{value}{text}", weight * float(chances[value]), last if k else turns, carries)
            for text, weight, last, carried in texts
            for turns, chances in ((False, whole), (True, between))
            if turns == carried or not k
            for value in range(10)
            for carries in (turns and value == 9,)
        )
        texts = nlargest(_MAX_CANDIDATES, longer, key=lambda each: each[1])
    by_text: dict[str, Floats] = {}
    for text, weight, last, _ in texts:
        by_text[text] = by_text.get(text, np.zeros(2)) + ((0.0, weight) if last else (weight, 0.0))
    shares = np.array([*by_text.values()])
    shares /= max(shares.sum(), 1e-300)
    shares[shares < _RARE * shares.max()] = 0
    shift = Decimal(1).scaleb(-region.decimals)
    chances = zip(by_text, shares.sum(axis=1).tolist(), shares[:, 1].tolist(), strict=True)
    candidates = (Candidate(text, Decimal(text) * shift, *chance) for text, *chance in chances)
    return tuple(sorted(candidates, key=lambda each: -each.probability))


@dataclass(frozen=True)
class Verdict:
    """The decision about a reading."""

    # ``value``: accepted; ``doubtful``: not sure enough; ``rejected``: it contradicts earlier
    # readings or is not possible.
    status: Status
    # The likeliest of the possible candidates, else of all; None without any.
    read: Candidate | None
    value: Decimal | None = None  # the value; None unless the status is ``value``, and for codes
    reason: str = ""  # why it was not accepted; empty for ``value``


class _Picture(NamedTuple):
    """A picture that is not decided yet."""

    when: datetime  # when it was taken
    reading: RegionReading
    rest: float  # likelihood ratio of this look, after the picture before, for a meter at rest


class History:
    """The readings of a region so far, and the pictures that are not decided yet."""

    def __init__(self, region: Region, wait: int = WAIT) -> None:
        """Starts empty; a doubtful picture waits for up to ``wait`` later ones."""
        self.last: tuple[datetime, Decimal] | None = None  # time and value accepted last
        self._region, self._wait = region, wait
        self._stray = _STRAY if wait else _STRAY / 4
        self._pictures: deque[_Picture] = deque()
        self._last_look: Page | None = None
        self._drum = Drum()
        self._belief: tuple[datetime, dict[Decimal, Floats]] | None = None

    @property
    def waiting(self) -> int:
        """Number of pictures that are not decided."""
        return len(self._pictures)

    def restore(self, when: datetime, value: Decimal) -> None:
        """Restores a value accepted by an earlier run."""
        if self.last is None or when >= self.last[0]:
            self.last = when, value
            self._belief = when, {value: np.array([1 - _BETWEEN, _BETWEEN])}

    def relearn(self, look: Page, text: str) -> None:
        """Relearns the look of wheels from a picture read by an earlier run, and its text."""
        self._drum.learn(look, text)
        self._drum.observe(look)

    def observe(self, reading: RegionReading, when: datetime) -> None:
        """Adds the next picture to be decided."""
        rest = 1.0
        if self._last_look is not None and reading.look is not None and not self._drum.is_known:
            correlation = cell_correlation(self._last_look[-1], reading.look[-1])
            rest = max(exp(_SLOPE * (correlation - _OFFSET)), 1 / 10)
        self._last_look = reading.look
        if reading.look is not None and reading.wheels:
            rows = zip(reading.wheels, *self._drum.observe(reading.look), strict=True)
            wheels = [SeenWheel(one.whole * whole, one.between * half) for one, whole, half in rows]
            reading = replace(reading, candidates=_candidates(reading.region, wheels))
        self._pictures.append(_Picture(when, reading, rest))

    def decide(self, *, last: bool = False) -> Verdict | None:
        """Decides the oldest picture; returns None if it should wait for later ones.

        ``last`` is whether no more pictures will follow.
        """
        head = self._pictures[0]
        if not head.reading.candidates or not self._region.has_history:
            self._pictures.popleft()
            return _decide_alone(head.reading)
        is_late = self._belief is not None and head.when < self._belief[0]
        pictures = [head] if is_late else [*self._pictures]
        states = self._belief[1] if self._belief else {}
        values = sorted({*states, *_possible_values(pictures)})
        prior = self._prior(head, values, states)
        fits = [self._likelihoods(each.reading, values) for each in pictures]
        forward = prior * (fits[0] * (1 - self._stray) + self._stray * _FLOOR)
        backward = np.ones(2 * len(values))
        for before, after, fit in zip(pictures[-2::-1], pictures[:0:-1], fits[:0:-1], strict=True):
            backward = self._transition(before.when, after, values) @ (
                backward * (fit * (1 - self._stray) + self._stray * _FLOOR)
            )
            backward /= backward.sum()
        posterior = (forward * backward).reshape(2, -1)
        whole, between = posterior / posterior.sum()
        # A wheel halfway to a value counts for that value too.
        chances = whole + between + np.append(0.0, between[:-1]) * self._is_successor(values)
        if not self._belief:
            chances = chances * (1 - self._stray ** len(pictures))
        verdict = self._verdict(head, values, chances, fits[0])
        waits = len(self._pictures) <= self._wait and not last and not is_late
        newest = self._pictures[-1].when
        if verdict.status == "doubtful" and waits and _hours(head.when, newest) < _MAX_WAIT:
            return None
        self._pictures.popleft()
        if not is_late:
            pairs = zip(values, (forward / forward.sum()).reshape(2, -1).T, strict=True)
            self._belief = head.when, {value: mass for value, mass in pairs if mass.sum() > 1e-12}
            if verdict.value is not None:
                self.last = head.when, verdict.value
                best = head.reading.candidates[0]
                is_clear = best.value == verdict.value and best.probability >= CLEAR
                if is_clear and head.reading.look is not None:
                    self._drum.learn(head.reading.look, best.text)
        return verdict

    def _unit(self, values: Sequence[Decimal]) -> Decimal:
        """The smallest difference between two values."""
        if self._region.kind == "counter":
            return Decimal(1).scaleb(-self._region.decimals)
        return Decimal(1).scaleb(min(int(each.as_tuple().exponent) for each in values))

    def _counts(self, values: Sequence[Decimal]) -> Floats:
        """float64[N]: differences from the first value, in units."""
        unit = self._unit(values)
        return np.array([float((each - values[0]) / unit) for each in values])

    def _is_successor(self, values: Sequence[Decimal]) -> Floats:
        """float64[N]: 1 if a value is one unit above the one before it, else 0."""
        return np.append(0.0, np.diff(self._counts(values)) == 1)

    def _prior(
        self, head: _Picture, values: Sequence[Decimal], states: dict[Decimal, Floats]
    ) -> Floats:
        """float64[2 N]: probability of each state before a picture is seen."""
        if not self._belief:
            return np.repeat([1 - _BETWEEN, _BETWEEN], len(values)) / len(values)
        known = np.array([states.get(value, np.zeros(2)) for value in values]).T.ravel()
        if head.when < self._belief[0]:
            return self._transition(head.when, head._replace(when=self._belief[0]), values) @ known
        return known @ self._transition(self._belief[0], head, values)

    def _likelihoods(self, reading: RegionReading, values: Sequence[Decimal]) -> Floats:
        """float64[2 N]: likelihood of a picture with the last wheel whole, then between digits."""
        known = {
            each.value: (each.probability - each.between, each.between)
            for each in reading.candidates
        }
        return np.array([known.get(value, (0.0, 0.0)) for value in values]).T.ravel()

    def _transition(self, before: datetime, after: _Picture, values: Sequence[Decimal]) -> Floats:
        """float64[2 N, 2 N]: transition weights from each state to each other."""
        hours, counts = _hours(before, after.when), self._counts(values)
        steps = counts[None] - counts[:, None]
        upper = np.inf
        if self._region.most_per_hour is not None:
            upper = self._region.most_per_hour * hours / float(self._unit(values)) + 1
        lower = 0 if self._region.monotone else -upper
        jumps = ((steps >= lower) & (steps <= upper)) / min(upper - lower + 1, 1 / _FLOOR)
        stays, turns = np.eye(len(values)), (steps == 1).astype(float)
        resting = np.block(
            [[(1 - _TURNS) * stays, _TURNS * stays], [_TURNS * turns, (1 - _TURNS) * stays]]
        )
        moving = np.kron([[1 - _BETWEEN, _BETWEEN]] * 2, jumps)
        return _RESTS * after.rest * resting + (1 - _RESTS) * moving

    def _verdict(
        self, head: _Picture, values: Sequence[Decimal], chances: Floats, likelihoods: Floats
    ) -> Verdict:
        """Decides a picture from the probability of each value and its own likelihoods."""
        is_likely = bool(chances.max() >= LIKELY)
        index = int((chances >= LIKELY).argmax() if is_likely else chances.argmax())
        whole, between = likelihoods.reshape(2, -1)
        lower = between[index - 1] if index and self._is_successor(values)[index] else 0.0
        support = max(whole[index], between[index], lower)
        if support < max(self._stray * _FLOOR, _SUPPORT * float(likelihoods.max())):
            best = head.reading.candidates[0]
            return Verdict("rejected", best, reason=self._rejection(best, head.when))
        value = values[index]
        read = Candidate(self._text(head.reading, value), value, float(chances[index]))
        decrease = self._decrease(head, value)
        if is_likely and decrease <= 1:  # 1: a wheel between two digits
            return Verdict("value", read, self.last[1] if decrease and self.last else value)
        if is_likely and self.last:
            message = f"{read.text} is less than the previous value {self.last[1]}"
            return Verdict("doubtful", read, reason=message)
        second = chances.copy()
        second[index] = 0
        other = self._text(head.reading, values[int(second.argmax())])
        message = f"may be {read.text} or {other}" if second.any() else f"{chances[index]:.0%} sure"
        return Verdict("doubtful", read, reason=message)

    def _decrease(self, head: _Picture, value: Decimal) -> int:
        """Units by which a value is below the last one of a monotone region; else 0."""
        if not self.last or not self._region.monotone or head.when < self.last[0]:
            return 0
        return max(0, int((self.last[1] - value) / self._unit([value])))

    def _text(self, reading: RegionReading, value: Decimal) -> str:
        texts = {each.value: each.text for each in reading.candidates}
        count = value.scaleb(self._region.decimals)
        return texts.get(value) or f"{count:f}".zfill(self._region.digits)

    def _rejection(self, candidate: Candidate, when: datetime) -> str:
        if self.last is None:
            return f"{candidate.text} is on one picture only"
        before, value = self.last
        return (
            f"{candidate.text} is {candidate.value} {self._region.unit}".rstrip()
            + f", which cannot follow {value} within {_hours(before, when):.2f} h"
        )


def _decide_alone(found: RegionReading) -> Verdict:
    """Decides a picture without the evidence of others."""
    if not found.candidates:
        return Verdict("doubtful", None, reason=found.reason)
    best = found.candidates[0]
    if best.probability >= CLEAR:
        return Verdict("value", best, best.value)
    others = [each.text for each in found.candidates[1:]]
    message = f"may be {best.text} or {others[0]}" if others else f"{best.probability:.0%} sure"
    return Verdict("doubtful", best, reason=message)


def _possible_values(pictures: Sequence[_Picture]) -> set[Decimal]:
    """The possible values of pictures, without those that are improbable on all of them."""
    return {
        each.value
        for picture in pictures
        for each in picture.reading.candidates
        if each.value is not None and each.probability >= 1e-4
    }


def _hours(start: datetime, end: datetime) -> float:
    return abs((end - start).total_seconds()) / 3600
