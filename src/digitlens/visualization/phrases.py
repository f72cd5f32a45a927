"""Says an explanation in plain words, a sentence at a time; draws nothing and knows no format."""

from __future__ import annotations

import math

import numpy as np

from digitlens.explain.evidence import KINDS, Counterfactual, Kind
from digitlens.explain.explanation import DigitExplanation, Evidence, Explanation, Floats, Neighbour

UNUSUAL = 0.99  # share of usual digits that are nearer to a training digit
_TRIED: dict[Kind, str] = {
    "erase": "erasing a patch of its ink",
    "add": "adding a patch of ink",
    "turn": "turning it by up to 45°",
    "move": "moving it by up to 5 pixels",
    "thicken": "thicker strokes",
    "thin": "thinner strokes",
}
NETWORKS = (
    ("digit detector", "the whole page, reduced"),
    ("line recogniser", "its line, straightened"),
    ("classifier", "the tile alone"),
)
_SHOWN = 6  # lines whose text is told


def percent(share: float) -> str:
    """A probability in whole percent, rounded down: never 100 %, nor 0 %."""
    whole = min(99, int(100 * share))
    return f"{whole} %" if whole else "under 1 %"


def headline(explanation: Explanation) -> str:
    """What was read."""
    text = explanation.reading.text.replace("\n", " / ")
    return f"Read: {text}" if text else "No digits were read"


def how(explanation: Explanation) -> list[str]:
    """How the page was read, and where nothing was, why."""
    count, widest = len(explanation.views), max(max(size) for size in explanation.views)
    times = {1: "once", 2: "twice"}.get(count, f"{count} times")
    looked = f"The digit detector looked at the picture {times}, at up to {widest:,} pixels a side."
    said = [looked, _lines(explanation)]
    if explanation.turn:
        degrees = 90 * explanation.turn
        said.append(f"It reads best turned by {degrees}° anticlockwise, and was read so.")
    if not explanation.digits:
        said.append(_nothing(explanation))
    left_out = zip(
        explanation.left_out,
        ("more digit", "more place"),
        ("not explained here.", "rejected and not shown."),
        strict=True,
    )
    said += [
        f"{_count(n, noun)} {'is' if n == 1 else 'are'} {end}" for n, noun, end in left_out if n
    ]
    return [*said, explanation.note] if explanation.note else said


def _lines(explanation: Explanation) -> str:
    """How many lines there are, and what was read on the first of them."""
    if not explanation.lines:
        return "No line of text was found."
    shown = [f"“{text}”" if text else "nothing" for text in explanation.lines[:_SHOWN]]
    more = [f"{len(explanation.lines) - _SHOWN:,} more"] if len(explanation.lines) > _SHOWN else []
    return f"{_count(len(explanation.lines), 'line')} found and read: {', '.join(shown + more)}."


def _nothing(explanation: Explanation) -> str:
    if explanation.rejected:
        count = len(explanation.rejected) + explanation.left_out[1]
        places = "One place was" if count == 1 else f"{count:,} places were"
        return f"{places} looked into and rejected: the networks hardly believe in a digit."
    if explanation.lines:
        return "No character on them is a digit."
    return (
        "Nowhere did it see more than a hint of a digit: the strongest was "
        f"{explanation.strongest:.2f} of 1, and only what reaches {explanation.least:.2f} is "
        "looked into."
    )


def found(explained: DigitExplanation) -> str:
    """What was found where."""
    box, digit = explained.digit.box, explained.digit
    where = f"{box.width} x {box.height} pixels at column {box.x0}, row {box.y0}"
    if digit.status == "rejected":
        return f"Not a digit: {where}; {digit.reason}."
    sure = f"{digit.percent} % sure" if digit.status == "digit" else f"doubtful: {digit.reason}"
    return f"{'An' if digit.value == 8 else 'A'} {digit.value}, {sure}; {where}."


def opinions(explained: DigitExplanation) -> list[tuple[str, str, str]]:
    """Of each network its name, what it looks at, and what it said."""
    detected = _said(explained, 0) if explained.seen[0] else "nothing there"
    line = f"the line reads “{explained.line}”" if explained.line else "the line is empty"
    recognized = _said(explained, 1) if explained.seen[1] else "no character there"
    said = [detected, f"{recognized}; {line}", _said(explained, 2)]
    return [(*network, words) for network, words in zip(NETWORKS, said, strict=True)]


def _said(explained: DigitExplanation, network: int) -> str:
    there = percent(explained.exists[network])
    return f"a digit is there: {there}; {_named(explained.scores[network])}"


def _named(chances: Floats) -> str:
    second, first = (int(k) for k in np.argsort(chances, kind="stable")[-2:])
    more = f", {second} ({percent(float(chances[second]))})" if chances[second] >= 0.01 else ""
    return f"{first} ({percent(float(chances[first]))}){more}"


def why(explained: DigitExplanation) -> list[str]:
    """Why this digit and not the runner-up; of what was rejected, why it is none."""
    value, other = explained.digit.value, explained.other
    if explained.digit.status == "rejected":
        return [_disbelief(explained)]
    said = [_agreement(explained)]
    if explained.own[value] > explained.own[other]:
        times = float(explained.own[value] / max(float(explained.own[other]), 1e-12))
        said.append(f"To the classifier, {value} is {_times(times)} as likely as {other}.")
    if not explained.attributions:
        return said
    evidence = explained.attributions.evidence(explained.tile)
    least = 0.05 * float(np.abs(evidence).max())
    return said + [
        f"What speaks most for {digit} is {_what(explained, each)}."
        for digit, each in ((value, evidence), (other, -evidence))
        if each.max() > max(least, 0.1)
    ]


def _disbelief(explained: DigitExplanation) -> str:
    shares = zip(NETWORKS, explained.exists, strict=True)
    by = ", ".join(f"{percent(share)} by the {name}" for (name, _), share in shares)
    together = percent(explained.digit.confidence)
    return (
        f"That a digit is there at all has {by}. That it is a {explained.digit.value}, all that is "
        f"known taken together, has {together}: too little to be read."
    )


def _agreement(explained: DigitExplanation) -> str:
    value = explained.digit.value
    asked = (*explained.seen, True)
    said = [int(explained.scores[k].argmax()) for k in range(3) if asked[k]]
    if all(one == value for one in said):
        many = {1: "The only network that saw it says", 2: "Both networks that saw it say"}
        return f"{many.get(len(said), 'All three networks say')} {value}."
    others = sorted({one for one in said if one != value})
    ones = " or ".join(map(str, others))
    return f"The networks disagree: {said.count(value)} of {len(said)} say {value}, else {ones}."


def _times(times: float) -> str:
    if times >= 1e6:
        return "over a million times"
    if times >= 10:
        return f"about {int(float(f'{times:.1e}')):,} times"
    return f"{times:.1f} times"


def _what(explained: DigitExplanation, evidence: Evidence) -> str:
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    kind = "the ink" if explained.tile[row, column] > 127 else "that there is no ink"
    return f"{kind} {_place(int(row), int(column))}"


def _place(row: int, column: int) -> str:
    """Where a pixel of a tile is, on a grid of three by three over the digit's frame."""
    down = ("top", "", "bottom")[min(2, max(0, (row - 4) * 3 // 20))]
    across = ("left", "", "right")[min(2, max(0, (column - 4) * 3 // 20))]
    where = f"{down} {across}".strip()
    return f"at the {where}" if where else "in the middle"


def similar_digits(explained: DigitExplanation) -> list[str]:
    """What the training digits say."""
    if explained.alike is None:
        return []
    near, value, other = explained.alike.nearest, explained.digit.value, explained.other
    mine = sum(one.label == value for one in near)
    many = "All" if mine == len(near) else f"{mine or 'None'} of"
    first = f"{many} the {len(near)} training digits most like it are {value}s."
    second = ", ".join(
        f"the nearest {digit} is {ones[0].distance:.2f} away"
        for digit, ones in ((value, explained.alike.of_value), (other, explained.alike.of_other))
        if ones
    )
    said = [first, f"{_capital(second)} (0 is the same, 2 is opposite)."]
    if (nearer := explained.alike.nearer) is None:
        return said
    return [*said, _usual(nearer, explained.alike.usual)]


def _usual(nearer: float, count: int) -> str:
    """How usual the tile is, by the share of so many usual digits that are nearer."""
    if nearer >= UNUSUAL:
        most = "all" if nearer == 1 else f"{math.floor(1000 * nearer) / 10:g} %"
        return (
            f"It is unusual: farther from every training digit than {most} of {count:,} digits "
            "that were kept back."
        )
    return (
        f"It is as usual as other digits: of {count:,} that were kept back, {100 * nearer:.0f} % "
        "are nearer to a training digit."
    )


def neighbour(one: Neighbour) -> str:
    """A training digit in a word."""
    return f"{one.label} · {one.distance:.2f}"


def counterfactuals(explained: DigitExplanation) -> list[str]:
    """What was tried and changes nothing, and whose answer it is."""
    if explained.attributions is None:
        return []
    own = int(explained.own.argmax())
    said: list[str] = []
    if own != explained.digit.value:
        said.append(f"The classifier alone says {own} here: these are changes of its answer.")
    kinds = [counterfactual.kind for counterfactual in explained.attributions.counterfactuals]
    kept = [_TRIED[kind] for kind in KINDS if kind not in kinds]
    if not kinds:
        said.append(f"Nothing that was tried changes the answer: {_listed(kept)}.")
    elif kept:
        said.append(f"{_capital(_listed(kept))} would not.")
    return said


def counterfactual(one: Counterfactual) -> str:
    """What to do to the tile."""
    if one.kind in ("erase", "add"):
        side, share = int(one.amount), round(100 * one.ink)
        verb = "erase" if one.kind == "erase" else "add"
        pixels = "a pixel" if side == 1 else f"{side} x {side} pixels"
        return f"{verb} {pixels} ({max(1, share)} % of its ink)"
    if one.kind == "turn":
        return f"turn {abs(one.amount):.0f}° {'anti' if one.amount > 0 else ''}clockwise"
    if one.kind == "move":
        ways = zip(one.place or (0, 0), ("down", "right"), ("up", "left"), strict=True)
        return f"move {', '.join(f'{abs(n)} px {a if n > 0 else b}' for n, a, b in ways if n)}"
    return f"strokes {one.amount:g} px {'thicker' if one.kind == 'thicken' else 'thinner'}"


def outcome(one: Counterfactual) -> str:
    """What the classifier says then."""
    return f"{one.value} ({percent(one.probability)})"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
