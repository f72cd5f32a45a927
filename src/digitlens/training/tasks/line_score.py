"""How well lines are recognised: whole lines and single characters, in all and of each kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby

from digitlens.alphabet import BLANK, CHARACTERS, DIGITS, MARKS

_KEPT = frozenset(DIGITS + MARKS)


def best_path(classes: Sequence[int]) -> str:
    """The text of a path: repeated classes once, blanks never."""
    return "".join(CHARACTERS[each] for each, _ in groupby(classes) if each != BLANK)


def numeric(text: str) -> str:
    """A text without all that is neither a digit nor a mark."""
    return "".join(char for char in text if char in _KEPT)


def edit_distance(first: str, second: str) -> int:
    """How many characters must be put in, left out or replaced, at least."""
    row = list(range(len(second) + 1))
    for index, char in enumerate(first, 1):
        above, row[0] = row[0], index
        for place, other in enumerate(second, 1):
            cost = min(row[place] + 1, row[place - 1] + 1, above + (char != other))
            above, row[place] = row[place], cost
    return row[-1]


def line_scores(found: Iterable[tuple[str, str, str]]) -> dict[str, float]:
    """Scores of read lines.

    Args:
        found: Truth, what was read, and kind of each line; at least one.

    Returns:
        ``exact``, the share of lines that are right; ``errors``, wrong characters for each true
        one; the same of digits and marks alone as ``numeric_exact`` and ``numeric_errors``; and the
        share of right lines of each kind as ``exact/KIND``.
    """
    lines = list(found)
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for truth, read, kind in lines:
        kinds[kind].append(truth == read)
    pairs = [(truth, read) for truth, read, _ in lines]
    numbers = [(numeric(truth), numeric(read)) for truth, read in pairs]
    return {
        "exact": _exact(pairs),
        "errors": _errors(pairs),
        "numeric_exact": _exact(numbers),
        "numeric_errors": _errors(numbers),
        **{f"exact/{kind}": sum(right) / len(right) for kind, right in sorted(kinds.items())},
    }


def _exact(pairs: Sequence[tuple[str, str]]) -> float:
    return sum(truth == read for truth, read in pairs) / len(pairs)


def _errors(pairs: Sequence[tuple[str, str]]) -> float:
    characters = sum(len(truth) for truth, _ in pairs)
    return sum(edit_distance(truth, read) for truth, read in pairs) / max(1, characters)
