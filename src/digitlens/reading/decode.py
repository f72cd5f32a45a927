"""Decodes the line recogniser's posteriors for each step along a line into characters.

Best-path decoding of a CTC network (A. Graves et al., "Connectionist temporal classification", ICML
2006): the most probable class of each step, repetitions collapsed, blanks dropped. Under
constraints, ``search`` finds the most probable number that satisfies them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import BLANK, CHARACTERS, CLASS_OF, DIGITS, LATIN, MARKS, OTHER, SPACE
from digitlens.imaging.quantile import median

STRIDE = 8  # columns of a line crop covered by one step of the posteriors
DIGIT_CLASSES = slice(1, 1 + len(DIGITS))
BEAM_WIDTH = 32  # prefixes kept by a search
_MIN_PREFIX = 1e-6  # minimum odds of a prefix kept
SPACED = f"{DIGITS}.,:/%$€£"  # characters next to which a space may be misread
LETTER_CLASSES = slice(CLASS_OF[LATIN[0]], OTHER + 1)  # letters and ``OTHER``
# Priors of the spacing model in digit heights, and their weights in pairs of characters.
_PRIOR_GAP = 0.13  # digit heights: prior gap between two digits of a number
_GAP_WEIGHT = 2.0  # pairs: weight of _PRIOR_GAP
_SIDE_WEIGHT = 1.0  # pairs: weight of the prior of 0 for what each character adds to the gap
_PRIOR_SPACE = 0.44  # digit heights: prior width of a space, 0.23 in narrow print, 0.9 in mono
_SPACE_WEIGHT = 20.0  # pairs: weight of _PRIOR_SPACE
_PRIOR_SPREAD = 0.15  # digit heights: prior spread of gaps inside numbers
_SPREAD_WEIGHT = 5.0  # pairs: weight of _PRIOR_SPREAD
_EXTRA_SPREAD = 0.06  # digit heights: additional spread of spaces
_DOF = 4.0  # degrees of freedom of Student's t: whole pixels make some gaps far wider
_INITIAL_GAP = 0.35  # digit heights above the median: gaps initially taken for spaces
_MAX_GAP = 1.2  # digit heights: cap on gaps when estimating the width of spaces
_MAX_SQUARE = 0.1  # digit heights squared: cap on deviations when estimating the spread
_CLIP = 7.0  # logits: cap on the recogniser's evidence for or against a space
_MIN_SPACE = 0.05  # minimum probability of a space by the recogniser: of 11 below, 10 were none
_EM_ITERATIONS = 5  # iterations of expectation maximisation
_BOOST = 100.0  # how many times rarer letters are in numbers than in the training data
# Words of digits, marks and letters that look like digits; one or two capitals may end longer ones.
_LIKE_NUMBER = rf"[\dOoIl{re.escape(MARKS)}]+"
_NUMERIC = re.compile(
    rf"(?<!\S)(?=\S*\d)(?:{_LIKE_NUMBER}(?!\S)|(?=\S*\d\S*\d){_LIKE_NUMBER}(?=[A-Z]{{1,2}}(?!\S)))"
)
_LETTER = re.compile(r"[Oo]|[Il](?=\W?[\dOo])")  # after a number, l means litre
# Words of digits and marks, one of .,:/'- among them, with single letters before some of these.
_LONE = re.compile(r"(?<!\S)(?=\S*[.,:/'-])(?:[^\sA-Za-z]|[A-DF-Za-df-z](?=[^\sA-Za-z]))+(?!\S)")
_DIGITS_PER_LETTER = 2  # minimum digits of such a word per letter
_DIGIT_LIKE = {
    char: (digit, chars) for digit, chars in (("0", "Oo"), ("1", "Il")) for char in chars
}
# Alphabet of ``likely_texts`` and ``text_odds``.
_ALPHABET = DIGITS + MARKS + SPACE + "eECF"  # characters that numbers are written with
_CLASSES = [CLASS_OF[char] for char in _ALPHABET]
_INDEX_OF = {char: k for k, char in enumerate(_ALPHABET)}
_DIGITS_MARKS = slice(0, len(DIGITS + MARKS))  # the part that also counts outside a number
_MIN_CANDIDATE = 1e-3  # probability above which a character is considered
_SURE_BLANK = 0.999  # probability of a blank above which a step carries no information
_MIN_CHANCE = 1e-6  # minimum probability of a character

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Symbols:
    """The characters of one line, from left to right."""

    text: str  # K characters; ``OTHER_SIGN`` for those that are not in the alphabet
    posteriors: Floats  # float32[K, C]; of each character at its most confident step
    centres: Floats  # float32[K]; position of each in columns of the line crop

    def __len__(self) -> int:
        return len(self.text)

    @property
    def confidence(self) -> Floats:
        """float32[K]: the posterior of each character."""
        return self.posteriors.max(axis=1, initial=0)


def decode(posteriors: Floats) -> Symbols:
    """The most probable path through posteriors, float32[T, C]; class 0 is the blank."""
    path = posteriors.argmax(axis=1)
    begins = np.flatnonzero((path != BLANK) & (path != np.r_[BLANK, path[:-1]]))
    ends = np.flatnonzero((path != BLANK) & (path != np.r_[path[1:], BLANK])) + 1
    if not len(begins):
        empty = np.zeros((0, posteriors.shape[1]), np.float32)
        return Symbols("", empty, np.zeros(0, np.float32))
    confidence = posteriors[np.arange(len(path)), path].tolist()
    spans = list(zip(begins.tolist(), ends.tolist(), strict=True))
    peaks = [max(range(begin, end), key=confidence.__getitem__) for begin, end in spans]
    centres = [_weighted_centre(confidence[begin:end], begin) for begin, end in spans]
    text = "".join(CHARACTERS[path[begin]] for begin in begins)
    return Symbols(text, posteriors[peaks], STRIDE * np.asarray(centres, np.float32))


def with_numerals(posteriors: Floats, symbols: Symbols) -> Floats:
    """Posteriors, float32[T, C], with digits instead of similar letters inside numbers.

    There the digit's probability counts ``_BOOST`` times as much: the training data has more codes
    with letters than real pictures do.
    """
    changed = posteriors
    for index in _letters_in_numbers(symbols.text):
        char, chances = symbols.text[index], symbols.posteriors[index, DIGIT_CLASSES]
        digit, letters = _DIGIT_LIKE.get(char, (DIGITS[int(chances.argmax())], char))
        target, sources = CLASS_OF[digit], [CLASS_OF[char] for char in letters]
        odds = _BOOST * symbols.posteriors[index, target] / symbols.posteriors[index, sources].sum()
        if odds > 1:
            changed = posteriors.copy() if changed is posteriors else changed
            run = changed[_run_around(posteriors, int(symbols.centres[index] / STRIDE))]
            run[:, target] += run[:, sources].sum(axis=1) * odds / (1 + odds)
            run[:, sources] /= 1 + odds
    return changed


def _letters_in_numbers(text: str) -> Iterator[int]:
    """Indices of letters in numbers that look like digits, and of single letters in numbers."""
    for word in _NUMERIC.finditer(text):
        yield from (word.start() + match.start() for match in _LETTER.finditer(word[0]))
    for word in _LONE.finditer(text):
        letters = [k for k in range(*word.span()) if text[k].isalpha()]
        if _DIGITS_PER_LETTER * len(letters) <= sum(map(str.isdigit, word[0])):
            yield from (k for k in letters if text[k] not in _DIGIT_LIKE)


def _run_around(posteriors: Floats, step: int) -> slice:
    """The run of steps around one with the same most probable class."""
    path = posteriors.argmax(axis=1)
    breaks = np.flatnonzero(path != path[step])
    index = int(np.searchsorted(breaks, step))
    last_break, next_break = np.r_[-1, breaks, len(path)][index : index + 2].tolist()
    return slice(last_break + 1, next_break)


def _weighted_centre(weights: Sequence[float], begin: int) -> float:
    """The weighted centre of steps from ``begin`` on, in steps."""
    return sum((begin + 0.5 + k) * weight for k, weight in enumerate(weights)) / sum(weights)


class DigitEvidence(NamedTuple):
    """The recogniser's evidence for a digit at one position."""

    mass: float  # probability of a digit, 0..1
    given: float  # the same, given that there is a character
    numeric: float  # the same, given a character that is not a letter, as on a line of numbers
    values: Floats  # float32[10]; which digit, given that there is one


def digit_evidence(posteriors: Floats, begin: float, end: float) -> DigitEvidence:
    """Evidence in a line's posteriors, float32[T, C], for a digit between columns of its crop."""
    first = min(max(0, int(begin / STRIDE)), len(posteriors) - 1)
    last = min(max(first + 1, int(np.ceil(end / STRIDE))), len(posteriors))
    digits = posteriors[first:last, DIGIT_CLASSES]
    best = int(digits.sum(axis=1).argmax())
    chances, mass = digits[best], float(digits[best].sum())
    blank = float(posteriors[first + best, BLANK])
    letters = float(posteriors[first + best, LETTER_CLASSES].sum())
    values = (chances + 1e-5) / (mass + 1e-4)
    return DigitEvidence(
        mass,
        mass / max(1 - blank, mass, 1e-6),
        mass / max(1 - blank - letters, mass, 1e-6),
        values.astype(np.float32),
    )


def space_chances(
    gaps: npt.NDArray[np.floating], sides: npt.NDArray[np.integer], priors: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Probabilities of a space between two characters, for all pairs of neighbours on a page.

    In one font each character has its own side bearings, and a space has one width. Both are
    estimated from the page by expectation maximisation, so a gap is compared with what its two
    characters leave without a space and with one. Student's t limits the influence of few or
    uneven pairs, such as handwritten ones.

    Args:
        gaps: float[N]; between the ink of both characters, in digit heights.
        sides: int[2, N]; indices in ``SPACED`` of the left and the right character.
        priors: float[N]; probability of a space by the recogniser.
    """
    log_odds = np.log(np.maximum(priors, 1e-9) / np.maximum(1 - priors, 1e-9)).clip(-_CLIP, _CLIP)
    left, right = sides
    by_left, by_right = np.zeros((2, len(SPACED)))  # what each character adds to the typical gap
    typical = float(median(gaps))
    spaces = (gaps > typical + _INITIAL_GAP).astype(float)
    for _ in range(_EM_ITERATIONS):
        in_number = 1 - spaces
        total = in_number @ (gaps - by_left[left] - by_right[right])
        typical = (total + _GAP_WEIGHT * _PRIOR_GAP) / (in_number.sum() + _GAP_WEIGHT)
        by_right = _mean_offsets(right, in_number, gaps - typical - by_left[left])
        by_left = _mean_offsets(left, in_number, gaps - typical - by_right[right])
        excess = gaps - typical - by_left[left] - by_right[right]
        total = spaces @ np.minimum(excess, _MAX_GAP)
        width = (total + _SPACE_WEIGHT * _PRIOR_SPACE) / (spaces.sum() + _SPACE_WEIGHT)
        total = in_number @ np.minimum(excess**2, _MAX_SQUARE)
        spread = (total + _SPREAD_WEIGHT * _PRIOR_SPREAD**2) / (in_number.sum() + _SPREAD_WEIGHT)
        if_space = _log_density(np.minimum(excess - width, 0), spread + _EXTRA_SPREAD**2)
        spaces = 1 / (1 + np.exp(_log_density(excess, spread) - if_space - log_odds))
        spaces[priors < _MIN_SPACE] = 0
    return spaces


def _mean_offsets(
    sides: npt.NDArray[np.integer], weights: npt.NDArray[np.floating], values: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """float64[S]: the weighted mean of values for each of ``SPACED``, shrunk towards 0."""
    total, count = (np.bincount(sides, each, len(SPACED)) for each in (weights * values, weights))
    return total / (count + _SIDE_WEIGHT)


def _log_density(deviation: npt.NDArray[np.floating], spread: float) -> npt.NDArray[np.float64]:
    """Log density of Student's t with squared scale ``spread``, up to a constant."""
    return -np.log(spread) / 2 - (_DOF + 1) / 2 * np.log1p(deviation**2 / (_DOF * spread))


class Automaton(Protocol):
    """Decides character by character whether a text can still become an accepted number."""

    @property
    def start(self) -> Any:
        """The state before the first character."""
        ...

    def step(self, state: Any, char: str) -> Any:
        """The state after one more character; None if no accepted number continues with it."""
        ...

    def accepts(self, state: Any) -> bool:
        """Whether a number may end here."""
        ...


class Step(NamedTuple):
    """The probabilities at one position along a line."""

    chars: tuple[tuple[str, float], ...]  # possible characters and their probabilities
    blank: float  # probability of no character inside a number
    outside: float  # probability of being skipped before or after a number
    joined: bool = False  # whether an equal character continues that of the step before, as in CTC


@dataclass(frozen=True)
class Hypothesis:
    """A possible text of a line."""

    text: str  # its characters
    odds: float  # its probability over that of the best path without an automaton
    steps: tuple[int, ...]  # for each character the index of its step


class _Prefix:
    """A prefix of a number: the state of its automaton and its probabilities by how it ends."""

    __slots__ = ("blank", "ended", "last", "state", "steps", "top")

    def __init__(self, state: Any) -> None:
        self.state = state
        self.blank = self.last = self.ended = 0.0  # on a blank, on its last character, past its end
        self.steps: tuple[int, ...] = ()
        self.top = 0.0  # the highest probability offered for these steps

    @property
    def mass(self) -> float:
        total = self.blank + self.last
        return total if total > self.ended else self.ended  # max() takes twice as long

    def offer(self, chance: float, steps: tuple[int, ...]) -> None:
        """Replaces the steps if the new ones are more probable."""
        if chance > self.top:
            self.top, self.steps = chance, steps


def search(
    steps: Sequence[Step], automaton: Automaton, width: int = BEAM_WIDTH
) -> list[Hypothesis]:
    """The numbers of a line that an automaton accepts, by CTC prefix beam search.

    The algorithm is that of A. Hannun et al., "First-pass large vocabulary continuous speech
    recognition using bi-directional recurrent DNNs" (2014), after A. Graves (2006), without the
    prefixes that cannot become an accepted number. The beam also keeps the most probable prefix of
    other states of the automaton, so that a check digit much later can still be right.

    Args:
        steps: From left to right.
        automaton: Accepts the allowed numbers.
        width: Beam width: the number of prefixes kept.

    Returns:
        Accepted numbers, the most probable one first.
    """
    root = _Prefix(automaton.start)
    root.blank = 1.0
    beam = {"": root}
    states: dict[str, Any] = {}
    for index, step in enumerate(map(_scale_step, steps)):
        beam = _prune_beam(_extend_beam(beam, step, index, automaton, states), width)
    hypotheses = [
        Hypothesis(text, prefix.mass, prefix.steps)
        for text, prefix in beam.items()
        if text and prefix.mass and automaton.accepts(prefix.state)
    ]
    return sorted(hypotheses, key=lambda each: -each.odds)


def _scale_step(step: Step) -> Step:
    """Scales the highest probability of a step to 1, so that long numbers do not underflow."""
    top = max([step.outside, *[chance for _, chance in step.chars]])
    chars = tuple([(char, chance / top) for char, chance in step.chars])
    return Step(chars, step.blank / top, step.outside / top, step.joined)


def _extend_beam(
    beam: dict[str, _Prefix],
    step: Step,
    index: int,
    automaton: Automaton,
    states: dict[str, Any],
) -> dict[str, _Prefix]:
    """All prefixes after one more step; ``states`` caches the automaton's state of each."""
    prefixes: dict[str, _Prefix] = {}
    chars, blank, outside, joined = step
    for text, old in beam.items():
        if not joined:
            old.blank, old.last = old.blank + old.last, 0.0
        total = old.blank + old.last
        same = prefixes.get(text)
        if same is None:
            same = prefixes[text] = _Prefix(old.state)
        unchanged = same.blank = total * (blank if text else outside)
        if text and automaton.accepts(old.state):
            same.ended = (old.ended if old.ended > total else total) * outside
            unchanged = max(unchanged, same.ended)
        for char, chance in chars:
            is_repeat = joined and text.endswith(char)
            if is_repeat:
                same.last += old.last * chance
                unchanged += old.last * chance
            new_chance = (old.blank if is_repeat else total) * chance
            if new_chance < _MIN_PREFIX:
                continue
            new_text = text + char
            if new_text not in states:
                states[new_text] = automaton.step(old.state, char)
            if states[new_text] is not None:
                longer = prefixes.get(new_text)
                if longer is None:
                    longer = prefixes[new_text] = _Prefix(states[new_text])
                longer.last += new_chance
                longer.offer(new_chance, (*old.steps, index))
        same.offer(unchanged, old.steps)
    return prefixes


def _prune_beam(beam: dict[str, _Prefix], width: int) -> dict[str, _Prefix]:
    """The most probable prefixes, and the best of those in up to 2 x width of other states."""
    if len(beam) <= width:
        return beam
    ranked = [(prefix.mass, text, prefix) for text, prefix in beam.items()]
    ranked = sorted((each for each in ranked if each[0] >= _MIN_PREFIX), key=lambda each: -each[0])
    kept = {text: prefix for _, text, prefix in ranked[:width]}
    states = {prefix.state for prefix in kept.values()}
    for _, text, prefix in ranked[width : 3 * width]:
        if prefix.state not in states:
            states.add(prefix.state)
            kept[text] = prefix
    return kept


class _AnyText:
    """Accepts every text."""

    start = 0

    def step(self, state: int, char: str) -> int:  # noqa: ARG002  (any character)
        return state

    def accepts(self, state: int) -> bool:  # noqa: ARG002  (any state)
        return True


def likely_texts(posteriors: Floats, width: int) -> list[Hypothesis]:
    """Possible texts of the part of a line that holds a number, the most probable one first.

    Args:
        posteriors: float32[T, C]; skipping letters and spaces around the number costs nothing.
        width: Beam width, which is also the maximum number of texts.
    """
    chances, outside = posteriors[:, _CLASSES].astype(float), _outside_chances(posteriors).tolist()
    blank = posteriors[:, BLANK].tolist()
    chars: list[list[tuple[str, float]]] = [[] for _ in blank]
    rows, columns = np.nonzero(chances > _MIN_CANDIDATE)
    entries = zip(rows.tolist(), columns.tolist(), chances[rows, columns].tolist(), strict=True)
    for row, column, chance in entries:
        chars[row].append((_ALPHABET[column], chance))
    kept = np.flatnonzero(_is_informative(posteriors)).tolist()
    steps = [Step(tuple(chars[k]), max(blank[k], _MIN_CHANCE), outside[k], True) for k in kept]
    texts = search(steps, _AnyText(), width)
    return [Hypothesis(each.text, each.odds, tuple(kept[k] for k in each.steps)) for each in texts]


def text_odds(posteriors: Floats, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """float64[N]: the probability of each text by the recogniser, up to a common factor.

    The CTC forward algorithm; for ``posteriors`` see ``likely_texts``.
    """
    max_length = max(map(len, texts))
    inner, outer = len(_ALPHABET), len(_ALPHABET) + 1  # blanks inside a number and around it
    labels = np.full((len(texts), 2 * max_length + 1), inner)
    labels[:, 0] = outer
    for row, text in zip(labels, texts, strict=True):
        row[1 : 2 * len(text) : 2] = [_INDEX_OF[char] for char in text]
        row[2 * len(text)] = outer
    can_skip = np.zeros(labels.shape)  # where the blank between two characters may be skipped
    can_skip[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    blanks = np.stack([posteriors[:, BLANK], _outside_chances(posteriors)], axis=1)
    chances = np.concatenate([posteriors[:, _CLASSES], blanks], axis=1)
    chances = np.maximum(chances, _MIN_CHANCE).astype(float)
    chances /= chances.max(axis=1, keepdims=True)
    first_step, *later_steps = chances[_is_informative(posteriors)][:, labels]
    padded = np.zeros((len(texts), 2 * max_length + 3))  # two more on the left, which stay 0
    two_back, one_back, paths = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    paths[:, :2] = first_step[:, :2]
    for emissions in later_steps:
        paths[:] = (paths + one_back + can_skip * two_back) * emissions
    ends = 2 * np.array([len(text) for text in texts])
    rows = np.arange(len(texts))
    return np.asarray(paths[rows, ends] + paths[rows, ends - 1])


def _is_informative(posteriors: Floats) -> npt.NDArray[np.bool_]:
    """bool[T]: all steps but the repeated ones in runs of certain blanks."""
    blank, informative = posteriors[:, BLANK], np.ones(len(posteriors), bool)
    informative[1:] = np.minimum(blank[1:], blank[:-1]) <= _SURE_BLANK
    return informative


def _outside_chances(posteriors: Floats) -> Floats:
    """float32[T]: probability that a step is neither a digit nor a mark."""
    return np.maximum(1 - posteriors[:, _CLASSES[_DIGITS_MARKS]].sum(axis=1), _MIN_CHANCE)
