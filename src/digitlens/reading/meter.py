"""Reads the regions of a template, and decides by all pictures what each of them shows.

A counter is a hidden Markov model: its state is the value and whether the last wheel stands between
two digits; it stays, turns on, or flows at most as fast as the region allows. Each picture says how
likely each state is. A picture is decided by those before and after it (forward and backward
messages: L. Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 77, 1989). What is read of
half a digit is often wrong; how the meter's own digits look on clear pictures tells it better.
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
from digitlens.imaging.framing import WIDEST, crop_line
from digitlens.imaging.image import Page, Source, load_image
from digitlens.reading.reader import DigitReader
from digitlens.reading.template import (
    ALIKE,
    Box,
    Drum,
    Reference,
    Region,
    Registration,
    Template,
    alike,
)
from digitlens.results import Alternative, Digit, Reading

Status = Literal["value", "doubtful", "rejected", "error"]

Floats = npt.NDArray[np.float64]

WAIT = 15  # later pictures that a doubtful one waits for; 8 do nearly as well, 30 no better
LIKELY = 0.99  # probability that a value has to have, by all pictures
CLEAR = 0.95  # the same of a region without history, which one picture decides
_PATIENCE = 1.0  # hours that a doubtful picture waits at most
_KEPT = 24  # candidates of a picture
_SURE = 0.998  # confidence of all digits of a counter, from which it is looked at once
_MOVED = 1 / 3  # heights of a region by which it is looked at again above and below
_OUTSIDE = 0.3  # of the height of what is seen there: digits above or below it are of other lines
_HEIGHTS = 96, 960  # pixels, of the crop of a region

# What a wheel looks like. The confidence in a whole digit p is distributed as p^(SHARP - 1): 0.98
# is already rare, and the rule between two digits, where any digit may be read, in all looks.
_SHARP = 200
_GLARE = 0.1  # share of whole digits that do not
_MISREAD = 0.2  # share of looks above and below at which half a digit is taken for another one
_MISTAKEN = 0.5  # the same, of looks at the middle
_RARE = 1e-6  # of the likeliest, from which a text is considered
_TEMPER = 0.5  # exponent of what wheels between digits say: pictures of one place err alike

# How a counter goes on.
_RESTS = 0.4  # probability that nothing flows from a picture to the next
_TURNS = 0.05  # probability that a wheel begins or ends to stand between digits
_BETWEEN = 0.4  # probability that it does, after a jump
_STRAY = 0.02  # probability that a picture says nothing, or something else
_FLOOR = 1e-3  # of that, for any one value
_SUPPORT = 0.01  # of what a picture says most, that it has to say of its value
_STEEP, _EVEN = 14.0, 0.75  # pictures that are alike by x speak for rest by exp(14 (x - 0.75))


@dataclass(frozen=True)
class Candidate:
    """What a region may say.

    Attributes:
        text: As it is written.
        value: What that is; None where it is no value.
        probability: 0 to 1.
        between: So much of that is for a last wheel between two digits, of which this is the lower.
    """

    text: str
    value: Decimal | None
    probability: float
    between: float = 0.0


@dataclass(frozen=True)
class RegionReading:
    """What was read in a region.

    Attributes:
        region: The region.
        candidates: What it may say, likeliest first; none where nothing fits.
        reason: Why there are none.
        look: uint8[N, 32, 24]; the wheels of a counter, small; None where it is none.
        wheels: What was read of each of these.
    """

    region: Region
    candidates: tuple[Candidate, ...]
    reason: str = ""
    look: Page | None = None
    wheels: tuple[SeenWheel, ...] = ()


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
        self._wheels: dict[str, Box] = {}

    def read(self, image: Source) -> dict[str, RegionReading]:
        """Reads every region of a picture, straightened, by its name.

        Args:
            image: See ``load_image``.

        Raises:
            ImageError: The picture cannot be decoded.
            TemplateError: It does not show what the reference shows.
        """
        page, found = self._registered(image)
        return {region.name: self._region(page, region, found) for region in self.template.regions}

    def looks(self, image: Source) -> dict[str, Page]:
        """How the wheels of every counter look, unread, by its name: uint8[N, 32, 24]; see read."""
        page, found = self._registered(image)
        counters = (region for region in self.template.regions if region.kind == "counter")
        return {region.name: self._look(page, region, found) for region in counters}

    def _registered(self, image: Source) -> tuple[Page, Registration]:
        page = load_image(image, copy=False)
        found = self._reference.register(page)
        if not found.matches:
            raise TemplateError(
                "does not show what the template's picture shows: expected a similarity of "
                f"{ALIKE} or more, found {max(0.0, found.similarity):.2f}"
            )
        return page, found

    def _look(self, page: Page, region: Region, found: Registration) -> Page:
        if region.name not in self._wheels:
            self._wheels[region.name] = self._found_wheels(region)
        return found.cells(page, self._wheels[region.name], region.digits)

    def _found_wheels(self, region: Region) -> Box:
        """The box of a counter, as wide as its wheels are by the digits of the reference."""
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

    def _region(self, page: Page, region: Region, found: Registration) -> RegionReading:
        expect = region.expect or (str(region.digits) if region.digits else None)
        crop = self._crop(page, region, found)
        reading = self._reader.read(crop, expect=expect)
        if region.kind != "counter":
            return interpret(region, reading)
        sure = min((digit.confidence for digit in reading.digits), default=0.0)
        beside = None
        if sure < _SURE and len(reading.digits) == region.digits:
            # Of a wheel between two digits, one is whole when it is looked at above, one below.
            above, below = (
                self._reader.read(self._crop(page, region, found, moved))
                for moved in (-_MOVED, _MOVED)
            )
            beside = above, below
        return replace(interpret(region, reading, beside), look=self._look(page, region, found))

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

    Readings of crops a little above and below tell what wheels between two digits show.
    """
    digits = reading.digits
    if region.digits and len(digits) != region.digits:
        return RegionReading(region, (), f"expected {region.digits} digits, found {len(digits)}")
    if not digits:
        return RegionReading(region, (), "no digits were found")
    if region.kind == "number" and not region.digits:
        return _number(region, reading)
    chances = [_chances(digit) for digit in digits]
    wheels = [SeenWheel(each, np.zeros(10)) for each in chances]
    if region.kind == "counter":
        above, below = chances, chances
        if beside:
            above = [_near(digit, beside[0], above=True) for digit in digits]
            below = [_near(digit, beside[1]) for digit in digits]
        wheels = [SeenWheel.seen(*looks) for looks in zip(chances, above, below, strict=True)]
    found = _candidates(region, wheels)
    if region.kind == "code":
        code = Candidate(reading.text or found[0].text, None, found[0].probability)
        return RegionReading(region, (code,))
    return RegionReading(region, found, wheels=tuple(wheels))


def _number(region: Region, reading: Reading) -> RegionReading:
    """The only number of a reading."""
    if len(reading.numbers) != 1:
        told = f"expected one number, found {len(reading.numbers)}: {reading.text!r}"
        return RegionReading(region, (), told)
    number = reading.numbers[0]
    shift = Decimal(1).scaleb(-region.decimals)
    first = Alternative(number.text, number.value, number.confidence)
    found = [
        Candidate(each.text, each.value * shift, each.probability)
        for each in (first, *number.alternatives)
        if isinstance(each.value, Decimal)
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
    """float64[10]; what stands where a digit was seen, by a reading of what is above or below.

    Of what is above, other lines are in the upper part, else in the lower one.
    """
    middle, edge = (digit.box.x0 + digit.box.x1) / 2, _OUTSIDE * reading.height
    for other in (each for line in reading.lines for each in line):
        y = (other.box.y0 + other.box.y1) / 2
        if other.box.x0 < middle < other.box.x1 and (
            y > edge if above else y < reading.height - edge
        ):
            return _chances(other)
    return np.full(10, 0.1)


class SeenWheel(NamedTuple):
    """How likely it is to see what was seen of a wheel."""

    whole: Floats  # float64[10]; where it shows a digit
    between: Floats  # float64[10]; where it shows half of a digit and half of the next one

    @classmethod
    def seen(cls, here: Floats, above: Floats, below: Floats) -> SeenWheel:
        """By looks at the middle, and at what is a little above and below."""
        whole = (1 - _GLARE) * _SHARP * here ** (_SHARP - 1) + _GLARE * here
        either = (here + np.roll(here, -1)) / 2
        upper, lower = _blurred(above, _MISREAD), np.roll(_blurred(below, _MISREAD), -1)
        between = 1000 * upper * lower * _blurred(either, _MISTAKEN)
        if between.sum() > whole.sum():
            tempered = between**_TEMPER
            between = tempered * (between.sum() / tempered.sum())
        return cls(whole, between)


def _blurred(chances: Floats, share: float) -> Floats:
    return (1 - share) * chances + share / 10


def _candidates(region: Region, wheels: Sequence[SeenWheel]) -> tuple[Candidate, ...]:
    """What some wheels may say, likeliest first.

    A wheel goes on to its next digit exactly while the one to its right goes from 9 to 0.
    """
    # From the right; whether the last wheel stands between two digits, and the newest goes 9 to 0.
    texts = [("", 1.0, False, False)]
    for place, (whole, between) in enumerate(reversed(wheels)):
        longer = (
            (f"{value}{text}", sure * float(chances[value]), last if place else turns, carries)
            for text, sure, last, carried in texts
            for turns, chances in ((False, whole), (True, between))
            if turns == carried or not place
            for value in range(10)
            for carries in (turns and value == 9,)
        )
        texts = nlargest(_KEPT, longer, key=lambda each: each[1])
    found: dict[str, Floats] = {}
    for text, sure, last, _ in texts:
        found[text] = found.get(text, np.zeros(2)) + ((0.0, sure) if last else (sure, 0.0))
    both = np.array([*found.values()])
    both /= max(both.sum(), 1e-300)
    both[both < _RARE * both.max()] = 0
    shift = Decimal(1).scaleb(-region.decimals)
    chances = zip(found, both.sum(axis=1).tolist(), both[:, 1].tolist(), strict=True)
    said = (Candidate(text, Decimal(text) * shift, *chance) for text, *chance in chances)
    return tuple(sorted(said, key=lambda each: -each.probability))


@dataclass(frozen=True)
class Verdict:
    """What becomes of a reading."""

    # ``value``: it is stored as one; ``doubtful``: not sure enough; ``rejected``: it contradicts
    # what was read before, or does not fit.
    status: Status
    # The likeliest candidate of those that are possible, else of all; None without any.
    read: Candidate | None
    value: Decimal | None = None  # the value; None unless the status is ``value``, and for codes
    reason: str = ""  # why it is not a value; empty for one


class _Picture(NamedTuple):
    """A picture that is not decided yet."""

    when: datetime  # when it was taken
    found: RegionReading
    rest: float  # how much likelier it is to see this, after the picture before, at rest


class History:
    """What was read of a region so far, and the pictures that wait to be decided."""

    def __init__(self, region: Region, wait: int = WAIT) -> None:
        """Nothing was read; a doubtful picture will wait for so many later ones, 0 for none."""
        self.last: tuple[datetime, Decimal] | None = None  # time and value that were stored last
        self._region, self._wait = region, wait
        self._stray = _STRAY if wait else _STRAY / 4
        self._pictures: deque[_Picture] = deque()
        self._look: Page | None = None
        self._drum = Drum()
        self._start: tuple[datetime, dict[Decimal, Floats]] | None = None

    @property
    def waiting(self) -> int:
        """How many pictures are not decided."""
        return len(self._pictures)

    def remember(self, when: datetime, value: Decimal) -> None:
        """Takes a value that was stored earlier."""
        if self.last is None or when >= self.last[0]:
            self.last = when, value
            self._start = when, {value: np.array([1 - _BETWEEN, _BETWEEN])}

    def recall(self, look: Page, text: str) -> None:
        """Takes how the wheels of a picture looked that was stored earlier, and what it said."""
        self._drum.learn(look, text)
        self._drum.see(look)

    def see(self, found: RegionReading, when: datetime) -> None:
        """Takes one more picture, to be decided."""
        rest = 1.0
        if self._look is not None and found.look is not None and not self._drum.is_known:
            likeness = alike(self._look[-1], found.look[-1])
            rest = max(exp(_STEEP * (likeness - _EVEN)), 1 / 10)
        self._look = found.look
        if found.look is not None and found.wheels:
            seen = zip(found.wheels, *self._drum.see(found.look), strict=True)
            wheels = [SeenWheel(one.whole * whole, one.between * half) for one, whole, half in seen]
            found = replace(found, candidates=_candidates(found.region, wheels))
        self._pictures.append(_Picture(when, found, rest))

    def settle(self, *, last: bool = False) -> Verdict | None:
        """Decides about the oldest picture that was seen; None if it is better to wait for others.

        ``last`` is whether no others will come.
        """
        head = self._pictures[0]
        if not head.found.candidates or not self._region.has_history:
            self._pictures.popleft()
            return _alone(head.found)
        late = self._start is not None and head.when < self._start[0]
        pictures = [head] if late else [*self._pictures]
        start = self._start[1] if self._start else {}
        values = sorted({*start, *_values(pictures)})
        belief = self._begin(head, values, start)
        seen = [self._seen(each.found, values) for each in pictures]
        messages = belief * (seen[0] * (1 - self._stray) + self._stray * _FLOOR)
        after = np.ones(2 * len(values))
        for before, here, one in zip(pictures[-2::-1], pictures[:0:-1], seen[:0:-1], strict=True):
            after = self._step(before.when, here, values) @ (
                after * (one * (1 - self._stray) + self._stray * _FLOOR)
            )
            after /= after.sum()
        both = (messages * after).reshape(2, -1)
        whole, between = both / both.sum()
        # Halfway to a value is that value too.
        chances = whole + between + np.append(0.0, between[:-1]) * self._follow(values)
        if not self._start:
            chances = chances * (1 - self._stray ** len(pictures))
        verdict = self._verdict(head, values, chances, seen[0])
        waits = len(self._pictures) <= self._wait and not last and not late
        newest = self._pictures[-1].when
        if verdict.status == "doubtful" and waits and _hours(head.when, newest) < _PATIENCE:
            return None
        self._pictures.popleft()
        if not late:
            pairs = zip(values, (messages / messages.sum()).reshape(2, -1).T, strict=True)
            self._start = head.when, {value: kept for value, kept in pairs if kept.sum() > 1e-12}
            if verdict.value is not None:
                self.last = head.when, verdict.value
                best = head.found.candidates[0]
                is_clear = best.value == verdict.value and best.probability >= CLEAR
                if is_clear and head.found.look is not None:
                    self._drum.learn(head.found.look, best.text)
        return verdict

    def _unit(self, values: Sequence[Decimal]) -> Decimal:
        """The least difference of two values."""
        if self._region.kind == "counter":
            return Decimal(1).scaleb(-self._region.decimals)
        return Decimal(1).scaleb(min(int(each.as_tuple().exponent) for each in values))

    def _counts(self, values: Sequence[Decimal]) -> Floats:
        """float64[N]; values in units from the first."""
        unit = self._unit(values)
        return np.array([float((each - values[0]) / unit) for each in values])

    def _follow(self, values: Sequence[Decimal]) -> Floats:
        """float64[N]; 1 where a value is the next one after that before it."""
        return np.append(0.0, np.diff(self._counts(values)) == 1)

    def _begin(
        self, head: _Picture, values: Sequence[Decimal], start: dict[Decimal, Floats]
    ) -> Floats:
        """float64[2 N]; what is likely before anything is seen of a picture."""
        if not self._start:
            return np.repeat([1 - _BETWEEN, _BETWEEN], len(values)) / len(values)
        known = np.array([start.get(value, np.zeros(2)) for value in values]).T.ravel()
        if head.when < self._start[0]:
            return self._step(head.when, head._replace(when=self._start[0]), values) @ known
        return known @ self._step(self._start[0], head, values)

    def _seen(self, found: RegionReading, values: Sequence[Decimal]) -> Floats:
        """float64[2 N]; how likely a picture is, where the last wheel is whole, and between two."""
        known = {
            each.value: (each.probability - each.between, each.between) for each in found.candidates
        }
        return np.array([known.get(value, (0.0, 0.0)) for value in values]).T.ravel()

    def _step(self, before: datetime, here: _Picture, values: Sequence[Decimal]) -> Floats:
        """float64[2 N, 2 N]; how likely each state is after each other one."""
        hours, counts = _hours(before, here.when), self._counts(values)
        moved = counts[None] - counts[:, None]
        most = np.inf
        if self._region.most_per_hour is not None:
            most = self._region.most_per_hour * hours / float(self._unit(values)) + 1
        least = 0 if self._region.monotone else -most
        jumps = ((moved >= least) & (moved <= most)) / min(most - least + 1, 1 / _FLOOR)
        stays, turns = np.eye(len(values)), (moved == 1).astype(float)
        quiet = np.block(
            [[(1 - _TURNS) * stays, _TURNS * stays], [_TURNS * turns, (1 - _TURNS) * stays]]
        )
        flows = np.kron([[1 - _BETWEEN, _BETWEEN]] * 2, jumps)
        return _RESTS * here.rest * quiet + (1 - _RESTS) * flows

    def _verdict(
        self, head: _Picture, values: Sequence[Decimal], chances: Floats, seen: Floats
    ) -> Verdict:
        """What becomes of a picture, by the chances of each value and what is seen of it."""
        is_likely = bool(chances.max() >= LIKELY)
        place = int((chances >= LIKELY).argmax() if is_likely else chances.argmax())
        whole, between = seen.reshape(2, -1)
        lower = between[place - 1] if place and self._follow(values)[place] else 0.0
        seen_so = max(whole[place], between[place], lower)
        if seen_so < max(self._stray * _FLOOR, _SUPPORT * float(seen.max())):
            best = head.found.candidates[0]
            return Verdict("rejected", best, reason=self._against(best, head.when))
        value = values[place]
        read = Candidate(self._text(head.found, value), value, float(chances[place]))
        back = self._goes_back(head, value)
        if is_likely and back <= 1:  # 1: a wheel on its way
            return Verdict("value", read, self.last[1] if back and self.last else value)
        if is_likely and self.last:
            told = f"{read.text} is less than {self.last[1]} before"
            return Verdict("doubtful", read, reason=told)
        second = chances.copy()
        second[place] = 0
        other = self._text(head.found, values[int(second.argmax())])
        told = f"may be {read.text} or {other}" if second.any() else f"{chances[place]:.0%} sure"
        return Verdict("doubtful", read, reason=told)

    def _goes_back(self, head: _Picture, value: Decimal) -> int:
        """By how many units a value is less than the last one, where it should not be."""
        if not self.last or not self._region.monotone or head.when < self.last[0]:
            return 0
        return max(0, int((self.last[1] - value) / self._unit([value])))

    def _text(self, found: RegionReading, value: Decimal) -> str:
        texts = {each.value: each.text for each in found.candidates}
        count = value.scaleb(self._region.decimals)
        return texts.get(value) or f"{count:f}".zfill(self._region.digits)

    def _against(self, candidate: Candidate, when: datetime) -> str:
        if self.last is None:
            return f"{candidate.text} is what one picture alone shows"
        before, value = self.last
        return (
            f"{candidate.text} is {candidate.value} {self._region.unit}".rstrip()
            + f", which cannot follow {value} within {_hours(before, when):.2f} h"
        )


def _alone(found: RegionReading) -> Verdict:
    """What becomes of a picture that no other one says anything of."""
    if not found.candidates:
        return Verdict("doubtful", None, reason=found.reason)
    best = found.candidates[0]
    if best.probability >= CLEAR:
        return Verdict("value", best, best.value)
    others = [each.text for each in found.candidates[1:]]
    told = f"may be {best.text} or {others[0]}" if others else f"{best.probability:.0%} sure"
    return Verdict("doubtful", best, reason=told)


def _values(pictures: Sequence[_Picture]) -> set[Decimal]:
    """What pictures may say; what is hardly possible on each is left out."""
    return {
        each.value
        for picture in pictures
        for each in picture.found.candidates
        if each.value is not None and each.probability >= 1e-4
    }


def _hours(one: datetime, other: datetime) -> float:
    return abs((other - one).total_seconds()) / 3600
