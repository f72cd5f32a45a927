"""Fits what was found to what is known of a number: how many digits, and which ones where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from digitlens.results import Digit

ANY = tuple(range(10))
ALLOWED = (
    "expected a number of digits from 1 to 99, or a pattern: # is any digit, 7 is that digit, "
    "[0-3] or [159] is one of these, and other signs are printed but not read, "
    "as in ####-##, 20## or [0-2]#:[0-5]#"
)

_MOST = 99  # places
_LEAST = 1e-9  # probabilities are not taken to be nearer to 0 or 1 than this
_MISSING = 1e5  # costs more than any digit can gain: a place stays empty only if it has to
_EARLY = 1e-6  # of equal fits, the one with the empty places at the end
_PIECE = re.compile(r"\[([^\[\]]*)\]|([0-9])|(#)|([^\[\]])")
_SET = re.compile(r"(?:[0-9](?:-[0-9])?)+")

_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pattern:
    """What a number looks like: the places of its digits, and what is printed between them.

    Attributes:
        places: For each place the digits that are allowed there, ascending.
        printed: What stands before the first place, between places and after the last one.
        text: As a user wrote it.
    """

    places: tuple[tuple[int, ...], ...]
    printed: tuple[str, ...]
    text: str = field(default="a pattern", compare=False)

    marks = ""  # this and what follows: see ``constraints.Constraint``
    start = 0

    def __post_init__(self) -> None:
        if len(self.printed) != len(self.places) + 1:
            found = f"{len(self.printed)} texts around {len(self.places)} places"
            raise ValueError(f"expected one text more than places, found {found}")
        for place in self.places:
            if not place or set(place) - set(ANY):
                raise ValueError(f"expected digits from 0 to 9 in each place, found {place}")

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Reads a pattern as a user writes it.

        ``4`` is four digits, whichever they are. In anything but a whole number, ``#`` is any
        digit, a digit is that digit, ``[0-3]`` and ``[159]`` are one of a set, and other signs are
        printed but not read: ``####-##``, ``20##``, ``# ### ###``, ``[0-2]#:[0-5]#``.

        Raises:
            ValueError: It is no such pattern; the message says what is allowed.
        """
        text = text.strip()
        if re.fullmatch("[0-9]+", text):
            return _digits(text)
        places: list[tuple[int, ...]] = []
        printed = [""]
        for place, sign in _pieces(text):
            if place:
                places.append(place)
                printed.append("")
            else:
                printed[-1] += sign
        if not 1 <= len(places) <= _MOST:
            raise _refused(text, f"it has {len(places)} places for digits")
        return cls(tuple(places), tuple(printed), text)

    def step(self, state: int, char: str) -> int | None:
        """The number of places filled after one more digit; None if it may not stand there."""
        fits = state < len(self.places) and int(char) in self.places[state]
        return state + 1 if fits else None

    def accepts(self, state: int) -> bool:
        """Whether all places are filled."""
        return state == len(self.places)

    def format(self, values: Sequence[int | None]) -> str:
        """Writes a number as it is printed, ``4075-12``; a digit that is missing becomes a ``?``.

        Args:
            values: One digit for each place, or None.

        Raises:
            ValueError: There are more or fewer values than places.
        """
        if len(values) != len(self.places):
            raise ValueError(f"expected {len(self.places)} values, found {len(values)}")
        digits = ("?" if value is None else str(value) for value in values)
        return self.printed[0] + "".join(map(str.__add__, digits, self.printed[1:]))


@dataclass(frozen=True)
class Choice:
    """The candidates that make up the number, one entry of each tuple a digit, in reading order.

    Attributes:
        pattern: What was expected.
        kept: Indices of the candidates.
        values: The digits that they are.
        confidences: How probable each value is among those that are allowed in its place, 0 to 1;
            always 1 where the pattern says which digit it is.
        places: Which places of the pattern they fill, from 0 on.
    """

    pattern: Pattern
    kept: tuple[int, ...]
    values: tuple[int, ...]
    confidences: tuple[float, ...]
    places: tuple[int, ...]

    @property
    def fulfilled(self) -> bool:
        """Whether there is a digit in every place."""
        return not self.missing

    @property
    def missing(self) -> tuple[int, ...]:
        """The places without a digit, from 0 on: there were too few candidates."""
        return tuple(k for k in range(len(self.pattern.places)) if k not in self.places)

    @property
    def text(self) -> str:
        """The number as it is printed; a digit that is missing is a ``?``."""
        values = dict(zip(self.places, self.values, strict=True))
        return self.pattern.format([values.get(k) for k in range(len(self.pattern.places))])


def fit(
    pattern: Pattern,
    probabilities: npt.NDArray[np.floating],
    existence: npt.NDArray[np.floating],
    order: Sequence[int],
    excluding: Iterable[tuple[int, int]] = (),
) -> Choice:
    """Chooses candidates and their values so that together they are the most probable number.

    Every place gets a candidate if there are enough; then the product of ``existence *
    probability of the value`` of those kept and ``1 - existence`` of those left out is the
    largest possible.

    Args:
        pattern: What is known of the number.
        probabilities: float[N, 10]; of each value, if the candidate is a digit.
        existence: float[N]; probability that a candidate is a digit at all.
        order: The N candidates in reading order.
        excluding: Pairs of candidates of which at most one is kept, such as two that share ink. It
            is looked at for neighbours among those kept, which is enough for what overlaps from
            left to right.

    Raises:
        ValueError: The shapes do not fit, or the order does not name every candidate once.
    """
    _check(probabilities, existence, order)
    scores = np.clip(probabilities[list(order)].astype(np.float64), _LEAST, None)
    exist = np.clip(existence[list(order)].astype(np.float64), _LEAST, 1 - _LEAST)
    allowed = np.array([[value in place for value in ANY] for place in pattern.places])
    fitting = np.where(allowed, scores[:, None], 0)  # candidate, place, value
    gains = np.log(fitting.max(axis=2)) + np.log(exist / (1 - exist))[:, None]
    path = _best_path(gains, _may_follow(order, excluding))
    values = [int(fitting[j, k].argmax()) for j, k in path]
    confidences = (fitting[j, k].max() / fitting[j, k].sum() for j, k in path)
    return Choice(
        pattern,
        tuple(int(order[j]) for j, _ in path),
        tuple(values),
        tuple(float(confidence) for confidence in confidences),
        tuple(k for _, k in path),
    )


def _digits(text: str) -> Pattern:
    """A pattern of any digits from their number."""
    if text[0] == "0" or len(text) > 2:
        raise _refused(text, "it is no number of digits")
    count = int(text)
    return Pattern((ANY,) * count, ("",) * (count + 1), text)


def _pieces(text: str) -> Iterable[tuple[tuple[int, ...], str]]:
    """Each place as what is allowed there, and each printed sign with an empty place."""
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None or not piece[0].isprintable():
            raise _refused(text, f"{text[position]!r} cannot stand at position {position + 1}")
        position = piece.end()
        if piece[1] is not None:
            yield _set(text, piece[1]), ""
        elif piece[4] is not None:
            yield (), piece[4]
        else:
            yield (ANY if piece[3] else (int(piece[2]),)), ""


def _set(text: str, inside: str) -> tuple[int, ...]:
    ranges = [(int(part[0]), int(part[-1])) for part in re.findall("[0-9](?:-[0-9])?", inside)]
    if not _SET.fullmatch(inside) or any(first > last for first, last in ranges):
        raise _refused(text, f"[{inside}] is no set of digits")
    return tuple(sorted({value for first, last in ranges for value in range(first, last + 1)}))


def _refused(text: str, reason: str) -> ValueError:
    return ValueError(f"{ALLOWED}; found {text!r}: {reason}")


def _check(
    probabilities: npt.NDArray[np.floating],
    existence: npt.NDArray[np.floating],
    order: Sequence[int],
) -> None:
    count = len(order)
    if probabilities.shape != (count, 10) or existence.shape != (count,):
        found = f"{probabilities.shape} and {existence.shape}"
        raise ValueError(f"expected float[{count}, 10] and float[{count}], found shapes {found}")
    if sorted(order) != list(range(count)):
        raise ValueError(f"expected every candidate from 0 to {count - 1} once, found {order}")


def _may_follow(order: Sequence[int], excluding: Iterable[tuple[int, int]]) -> _Bools:
    """Which may be kept next after which: bool[N + 1, N + 1]; 0 is the start, then in order."""
    rank = {candidate: position for position, candidate in enumerate(order, 1)}
    following = np.triu(np.ones((len(order) + 1, len(order) + 1), np.bool_), 1)
    for one, other in excluding:
        following[rank[one], rank[other]] = following[rank[other], rank[one]] = False
    return following


def _best_path(gains: _Floats, following: _Bools) -> list[tuple[int, int]]:
    """The candidates kept, in order, with the places that they fill; gains are [N, places]."""
    count, places = gains.shape
    steps = np.where(following, 0, -np.inf)
    best = np.full(count + 1, -np.inf)  # of everything up to a place, by the last one kept
    best[0] = 0
    before = np.empty((places, count + 1), np.int64)
    for place in range(places):
        ways = best[:, None] + steps
        ways[:, 1:] += gains[:, place]
        ways[np.diag_indices(count + 1)] = best - _MISSING - _EARLY * (places - place)
        before[place] = ways.argmax(axis=0)
        best = ways.max(axis=0)
    last, path = int(best.argmax()), list[tuple[int, int]]()
    for place in reversed(range(places)):
        previous = int(before[place, last])
        if previous != last:
            path.append((last - 1, place))
        last = previous
    return path[::-1]


Lines = tuple[tuple[Digit, ...], ...]


def fitted(lines: Lines, pattern: Pattern, thresholds: dict[str, float]) -> Lines:
    """Chooses among candidates and their alternatives those that a known pattern asks for.

    Args:
        lines: A reading's, rejected digits among them.
        pattern: What the number looks like.
        thresholds: See ``judge``.

    Returns:
        The same digits; those that do not fit are rejected, and a digit that had another value or
        was rejected says so.
    """
    digits = [digit for line in lines for digit in line]
    if not digits:
        return lines
    probabilities = np.array([digit.probabilities for digit in digits], np.float32)
    # Confidence is that there is a digit and that it has this value.
    existence = np.array([d.confidence / max(*d.probabilities, 1e-06) for d in digits])
    choice = fit(pattern, probabilities, np.clip(existence, 0, 1), list(range(len(digits))))
    chosen = dict(
        zip(choice.kept, zip(choice.values, choice.confidences, strict=True), strict=True)
    )
    answers = iter(
        _expected(digit, chosen.get(i), float(min(1, existence[i])), thresholds)
        for i, digit in enumerate(digits)
    )
    return tuple(tuple(next(answers) for _ in line) for line in lines)


def _expected(
    digit: Digit, chosen: tuple[int, float] | None, existence: float, thresholds: dict[str, float]
) -> Digit:
    if chosen is None:
        if digit.status == "rejected":
            return digit
        return replace(digit, status="rejected", reason="more than the digits that were expected")
    value, chance = chosen
    confidence = existence * chance
    if confidence >= thresholds["digit"]:
        return replace(digit, value=value, confidence=confidence, status="digit", reason="")
    reason = f"{100 * confidence:.0f} % sure, also from what was expected"
    return replace(digit, value=value, confidence=confidence, status="unsure", reason=reason)
