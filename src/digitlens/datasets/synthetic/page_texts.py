"""Texts to write: digits, numbers with marks, amounts as on checks, letters and words."""

from __future__ import annotations

import numpy as np

from digitlens.datasets.synthetic.hands import DIGITS, LATIN, MARKS, Hand

_LENGTHS = ([1, 2, 3, 4, 5, 6, 8, 11], [0.08, 0.17, 0.2, 0.2, 0.15, 0.1, 0.06, 0.04])
_AMOUNTS = ([3, 4, 5, 6, 7], [0.2, 0.3, 0.3, 0.15, 0.05])


def digit(rng: np.random.Generator) -> str:
    """One digit."""
    return DIGITS[int(rng.integers(10))]


def digits(rng: np.random.Generator, length: int) -> str:
    """So many digits and nothing else."""
    if rng.random() < 0.12:  # runs as in 1000 or 777
        return (digit(rng) * length)[:length]
    return "".join(digit(rng) for _ in range(length))


def number(rng: np.random.Generator) -> str:
    """One to eleven digits, some with a mark or a space before, after or among them."""
    length = int(rng.choice(_LENGTHS[0], p=_LENGTHS[1]))
    text = digits(rng, length)
    if rng.random() < 0.15:  # amounts often end in zeros
        text = text[: max(1, length - 3)] + "0" * (length - max(1, length - 3))
    return _marked(text, rng)


def amount(rng: np.random.Generator) -> str:
    """Three to seven digits, as written in the field of a check."""
    length = int(rng.choice(_AMOUNTS[0], p=_AMOUNTS[1]))
    text = digits(rng, length)
    if rng.random() < 0.4:
        zeros = min(length - 1, int(rng.integers(2, 5)))
        text = text[: length - zeros] + "0" * zeros
    if length > 3 and rng.random() < 0.5:
        text = text[:-3] + str(rng.choice([".", ",", "'", " "])) + text[-3:]
    if rng.random() < 0.35:
        text += str(rng.choice(["-", ".", ".-", "=", " -", ",-", "--", "/"]))
    if rng.random() < 0.12:
        text = str(rng.choice(["$", "-", "=", "#", "*", "/"])) + text
    return text


def letters(hand: Hand, length: int, rng: np.random.Generator) -> str:
    """So many characters that the hand writes and that are no digits."""
    return _some(hand.letters or LATIN, length, rng)


def word(hand: Hand, rng: np.random.Generator) -> str:
    """Up to eight letters of one script, and a mark behind them now and then."""
    length = int(rng.integers(1, 9))
    foreign = "".join(c for c in hand.letters if c not in LATIN + MARKS)
    if foreign and rng.random() < 0.3:
        return _some(foreign, length, rng)
    word = "".join(LATIN[26 + int(rng.integers(26))] for _ in range(length))
    kind = rng.random()
    word = word.upper() if kind < 0.3 else word.capitalize() if kind < 0.5 else word
    if rng.random() < 0.2:
        word += MARKS[int(rng.integers(len(MARKS)))]
    return word


def _marked(text: str, rng: np.random.Generator) -> str:
    kind, length = rng.random(), len(text)
    if kind < 0.55 or length < 3:
        return text
    if kind < 0.75:
        cut = length - (3 if length > 3 else 2)
        return text[:cut] + str(rng.choice([".", ",", "'", " "])) + text[cut:]
    if kind < 0.85:
        return text[: length // 2] + str(rng.choice([" ", "-", "/", ":"])) + text[length // 2 :]
    if kind < 0.93:
        return str(rng.choice(["$", "€", "#", "+", "-", "="])) + text
    return text + str(rng.choice([".-", "-", ".", "=", "%", "€", ",-"]))


def _some(characters: str, length: int, rng: np.random.Generator) -> str:
    return "".join(characters[int(rng.integers(len(characters)))] for _ in range(length))
