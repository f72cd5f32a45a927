"""Sentences that describe an explanation, for the command line and the page alike."""

from __future__ import annotations

import math

import numpy as np

from digitlens.explain.evidence import KINDS, Counterfactual, Kind
from digitlens.explain.explanation import DigitExplanation, Evidence, Explanation, Neighbour

UNUSUAL = 0.99  # fraction of usual digits nearer to a training digit from which one is unusual
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
_LINES = 6  # lines whose text is quoted


def percent(share: float) -> str:
    """A probability in whole percent, rounded down; never 100 % or 0 %."""
    whole = min(99, int(100 * share))
    return f"{whole} %" if whole else "under 1 %"


def headline(explanation: Explanation) -> str:
    """The text read, as a headline."""
    text = explanation.reading.text.replace("\n", " / ")
    return f"Read: {text}" if text else "No digits were read"


def how(explanation: Explanation) -> list[str]:
    """How the page was read and, if nothing was, why."""
    count, widest = len(explanation.views), max(max(size) for size in explanation.views)
    times = {1: "once", 2: "twice"}.get(count, f"{count} times")
    first = f"The digit detector ran {times} on the picture, at up to {widest:,} pixels a side."
    texts = [first, _describe_lines(explanation)]
    if explanation.turn:
        degrees = 90 * explanation.turn
        texts.append(f"It reads best turned by {degrees}° anticlockwise and was read that way.")
    if not explanation.digits:
        texts.append(_why_nothing(explanation))
    ends = ("more digit", "not explained here."), ("more candidate", "rejected and not shown.")
    for number, (noun, end) in zip(explanation.left_out, ends, strict=True):
        if number:
            texts.append(f"{_count(number, noun)} {'is' if number == 1 else 'are'} {end}")
    return [*texts, explanation.note] if explanation.note else texts


def _describe_lines(explanation: Explanation) -> str:
    """The number of lines, and the text of the first ones."""
    if not explanation.lines:
        return "No line of text was found."
    shown = [f"“{text}”" if text else "nothing" for text in explanation.lines[:_LINES]]
    more = [f"{len(explanation.lines) - _LINES:,} more"] if len(explanation.lines) > _LINES else []
    return f"{_count(len(explanation.lines), 'line')} found and read: {', '.join(shown + more)}."


def _why_nothing(explanation: Explanation) -> str:
    if explanation.rejected:
        count = len(explanation.rejected) + explanation.left_out[1]
        places = "One candidate was" if count == 1 else f"{count:,} candidates were"
        return f"{places} rejected: the probability that it is a digit is too low."
    if explanation.lines:
        return "No character on them is a digit."
    return (
        "It detected no digit: the highest score was "
        f"{explanation.strongest:.2f} of 1, and candidates are examined from "
        f"{explanation.least:.2f} on."
    )


def found(explained: DigitExplanation) -> str:
    """The digit read or rejected, and its position."""
    box, digit = explained.digit.box, explained.digit
    position = f"{box.width} x {box.height} pixels at column {box.x0}, row {box.y0}"
    if digit.status == "rejected":
        return f"Not a digit: {position}; {digit.reason}."
    sure = f"{digit.percent} % sure" if digit.status == "digit" else f"uncertain: {digit.reason}"
    return f"{'An' if digit.value == 8 else 'A'} {digit.value}, {sure}; {position}."


def opinions(explained: DigitExplanation) -> list[tuple[str, str, str]]:
    """Name, input and output of each network."""
    detected = _describe_output(explained, 0) if explained.seen[0] else "nothing detected"
    line = f"the line reads “{explained.line}”" if explained.line else "the line is empty"
    recognized = _describe_output(explained, 1) if explained.seen[1] else "no character read"
    outputs = [detected, f"{recognized}; {line}", _describe_output(explained, 2)]
    return [(*network, words) for network, words in zip(NETWORKS, outputs, strict=True)]


def _describe_output(explained: DigitExplanation, network: int) -> str:
    chances = explained.scores[network]
    second, first = (int(k) for k in np.argsort(chances, kind="stable")[-2:])
    more = f", {second} ({percent(float(chances[second]))})" if chances[second] >= 0.01 else ""
    values = f"{first} ({percent(float(chances[first]))}){more}"
    return f"a digit: {percent(explained.exists[network])}; its value: {values}"


def why(explained: DigitExplanation) -> list[str]:
    """Why this digit rather than the runner-up; for a rejected one, why it was rejected."""
    value, other = explained.digit.value, explained.other
    if explained.digit.status == "rejected":
        return [_why_rejected(explained)]
    texts = [_agreement(explained)]
    if explained.own[value] > explained.own[other]:
        times = float(explained.own[value] / max(float(explained.own[other]), 1e-12))
        texts.append(f"To the classifier, {value} is {_times(times)} as likely as {other}.")
    if not explained.attributions:
        return texts
    evidence = explained.attributions.evidence(explained.tile)
    threshold = 0.05 * float(np.abs(evidence).max())
    return texts + [
        f"The strongest evidence for {digit} is {_describe_peak(explained, each)}."
        for digit, each in ((value, evidence), (other, -evidence))
        if each.max() > max(threshold, 0.1)
    ]


def _why_rejected(explained: DigitExplanation) -> str:
    shares = zip(NETWORKS, explained.exists, strict=True)
    by = ", ".join(f"{percent(share)} by the {name}" for (name, _), share in shares)
    together = percent(explained.digit.confidence)
    return (
        f"Probability of a digit: {by}. "
        f"Fused probability of a {explained.digit.value}: {together}, too low to be read."
    )


def _agreement(explained: DigitExplanation) -> str:
    value = explained.digit.value
    has_output = (*explained.seen, True)
    votes = [int(explained.scores[k].argmax()) for k in range(3) if has_output[k]]
    if all(one == value for one in votes):
        subject = {1: "The only network that saw it reads", 2: "Both networks that saw it read"}
        return f"{subject.get(len(votes), 'All three networks read')} {value}."
    others = sorted({one for one in votes if one != value})
    ones = " or ".join(map(str, others))
    return f"The networks disagree: {votes.count(value)} of {len(votes)} read {value}, else {ones}."


def _times(times: float) -> str:
    if times >= 1e6:
        return "over a million times"
    if times >= 10:
        return f"about {int(float(f'{times:.1e}')):,} times"
    return f"{times:.1f} times"


def _describe_peak(explained: DigitExplanation, evidence: Evidence) -> str:
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    kind = "the ink" if explained.tile[row, column] > 127 else "the absence of ink"
    return f"{kind} {_describe_position(int(row), int(column))}"


def _describe_position(row: int, column: int) -> str:
    """The position of a pixel in words, on a 3 x 3 grid over the digit's frame."""
    down = ("top", "", "bottom")[min(2, max(0, (row - 4) * 3 // 20))]
    across = ("left", "", "right")[min(2, max(0, (column - 4) * 3 // 20))]
    position = f"{down} {across}".strip()
    return f"at the {position}" if position else "in the middle"


def similar_digits(explained: DigitExplanation) -> list[str]:
    """How the digit compares with the nearest training digits."""
    if explained.alike is None:
        return []
    neighbours, value, other = explained.alike.nearest, explained.digit.value, explained.other
    matching = sum(one.label == value for one in neighbours)
    amount = "All" if matching == len(neighbours) else f"{matching or 'None'} of"
    first = f"{amount} the {len(neighbours)} training digits most like it are {value}s."
    second = ", ".join(
        f"the nearest {digit} is {ones[0].distance:.2f} away"
        for digit, ones in ((value, explained.alike.of_value), (other, explained.alike.of_other))
        if ones
    )
    texts = [first, f"{_capitalise(second)} (0 is identical, 2 is opposite)."]
    if (nearer := explained.alike.nearer) is None:
        return texts
    return [*texts, _describe_rarity(nearer, explained.alike.usual)]


def _describe_rarity(nearer: float, count: int) -> str:
    """How usual the tile is, by the fraction of ``count`` held-out digits that are nearer."""
    if nearer >= UNUSUAL:
        compared = "all" if nearer == 1 else f"{math.floor(1000 * nearer) / 10:g} %"
        return (
            f"It is unusual: farther from its nearest training digit than {compared} of {count:,} "
            "held-out digits."
        )
    return (
        f"It is as usual as other digits: of {count:,} held-out digits, {100 * nearer:.0f} % "
        "are nearer to a training digit."
    )


def neighbour(one: Neighbour) -> str:
    """The caption of a training digit: label and distance."""
    return f"{one.label} · {one.distance:.2f}"


def counterfactuals(explained: DigitExplanation) -> list[str]:
    """Which kinds of change leave the answer as it is, and whether it is the classifier's own."""
    if explained.attributions is None:
        return []
    own = int(explained.own.argmax())
    texts: list[str] = []
    if own != explained.digit.value:
        texts.append(f"The classifier alone reads {own} here; the changes are of that answer.")
    kinds = [counterfactual.kind for counterfactual in explained.attributions.counterfactuals]
    without_effect = [_TRIED[kind] for kind in KINDS if kind not in kinds]
    if not kinds:
        texts.append(f"No change that was tried alters the answer: {_join(without_effect)}.")
    elif without_effect:
        texts.append(f"{_capitalise(_join(without_effect))} would not change it.")
    return texts


def counterfactual(one: Counterfactual) -> str:
    """A change of the tile, in words."""
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
    """The classifier's answer after the change."""
    return f"{one.value} ({percent(one.probability)})"


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
