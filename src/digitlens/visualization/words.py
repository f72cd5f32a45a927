"""Says an explanation in plain words, a sentence at a time; draws nothing and knows no format."""

from __future__ import annotations

import math

import numpy as np

from digitlens.explain.counterfactual import KINDS, Counterfactual, Kind
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


def headline(story: Explanation) -> str:
    """What was read."""
    text = story.reading.text.replace("\n", " / ")
    return f"Read: {text}" if text else "No digits were read"


def how(story: Explanation) -> list[str]:
    """How the page was read, and where nothing was, why."""
    said = [_looks(story), _lines(story)]
    if story.turn:
        said.append(f"It reads best turned by {90 * story.turn}° anticlockwise, and was read so.")
    if not story.digits:
        said.append(_nothing(story))
    digits, rejected = story.left_out
    if digits:
        said.append(f"{_count(digits, 'more digit')} {_are(digits)} not explained here.")
    if rejected:
        said.append(f"{_count(rejected, 'more place')} {_are(rejected)} rejected and not shown.")
    return [*said, story.note] if story.note else said


def _looks(story: Explanation) -> str:
    count, widest = len(story.looks), max(max(size) for size in story.looks)
    times = {1: "once", 2: "twice"}.get(count, f"{count} times")
    return f"The digit detector looked at the picture {times}, at up to {widest:,} pixels a side."


def _lines(story: Explanation) -> str:
    """How many lines there are, and what was read on the first of them."""
    if not story.lines:
        return "No line of text was found."
    shown = [f"“{text}”" if text else "nothing" for text in story.lines[:_SHOWN]]
    more = [f"{len(story.lines) - _SHOWN:,} more"] if len(story.lines) > _SHOWN else []
    return f"{_count(len(story.lines), 'line')} found and read: {', '.join(shown + more)}."


def _nothing(story: Explanation) -> str:
    if story.rejected:
        count = len(story.rejected) + story.left_out[1]
        places = "One place was" if count == 1 else f"{count:,} places were"
        return f"{places} looked into and rejected: the networks hardly believe in a digit."
    if story.lines:
        return "No character on them is a digit."
    return (
        f"Nowhere did it see more than a hint of a digit: the strongest was {story.strongest:.2f} "
        f"of 1, and only what reaches {story.least:.2f} is looked into."
    )


def found(account: DigitExplanation) -> str:
    """What was found where."""
    box, digit = account.digit.box, account.digit
    where = f"{box.width} x {box.height} pixels at column {box.x0}, row {box.y0}"
    if digit.status == "rejected":
        return f"Not a digit: {where}; {digit.reason}."
    sure = f"{digit.percent} % sure" if digit.status == "digit" else f"doubtful: {digit.reason}"
    return f"A {digit.value}, {sure}; {where}."


def opinions(account: DigitExplanation) -> list[tuple[str, str, str]]:
    """Of each network its name, what it looks at, and what it said."""
    said = [_detected(account), _recognized(account), _said(account, 2)]
    return [(*network, words) for network, words in zip(NETWORKS, said, strict=True)]


def _detected(account: DigitExplanation) -> str:
    return _said(account, 0) if account.seen[0] else "nothing there"


def _recognized(account: DigitExplanation) -> str:
    line = f"the line reads “{account.line}”" if account.line else "the line is empty"
    return f"{_said(account, 1)}; {line}" if account.seen[1] else f"no character there; {line}"


def _said(account: DigitExplanation, network: int) -> str:
    there = percent(account.exists[network])
    return f"a digit is there: {there}; {_named(account.scores[network])}"


def _named(chances: Floats) -> str:
    second, first = (int(k) for k in np.argsort(chances, kind="stable")[-2:])
    more = f", {second} ({percent(float(chances[second]))})" if chances[second] >= 0.01 else ""
    return f"{first} ({percent(float(chances[first]))}){more}"


def why(account: DigitExplanation) -> list[str]:
    """Why this digit and not the runner-up; of what was rejected, why it is none."""
    value, other = account.digit.value, account.other
    if account.digit.status == "rejected":
        return [_disbelief(account)]
    said = [_agreement(account)]
    if account.own[value] > account.own[other]:
        times = float(account.own[value] / max(float(account.own[other]), 1e-12))
        said.append(f"To the classifier, {value} is {_times(times)} as likely as {other}.")
    if account.attributions:
        said += _strongest(account)
    return said


def _disbelief(account: DigitExplanation) -> str:
    shares = zip(NETWORKS, account.exists, strict=True)
    by = ", ".join(f"{percent(share)} by the {name}" for (name, _), share in shares)
    together = percent(account.digit.confidence)
    return (
        f"That a digit is there at all has {by}. That it is a {account.digit.value}, all that is "
        f"known taken together, has {together}: too little to be read."
    )


def _agreement(account: DigitExplanation) -> str:
    value = account.digit.value
    asked = (*account.seen, True)
    said = [int(account.scores[k].argmax()) for k in range(3) if asked[k]]
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


def _strongest(account: DigitExplanation) -> list[str]:
    """Where what speaks for either digit is."""
    if account.attributions is None:
        return []
    evidence = account.attributions.evidence(account.tile)
    least = 0.05 * float(np.abs(evidence).max())
    pairs = ((account.digit.value, evidence), (account.other, -evidence))
    return [
        f"What speaks most for {value} is {_what(account, each)}."
        for value, each in pairs
        if each.max() > max(least, 0.1)
    ]


def _what(account: DigitExplanation, evidence: Evidence) -> str:
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    kind = "the ink" if account.tile[row, column] > 127 else "that there is no ink"
    return f"{kind} {_place(int(row), int(column))}"


def _place(row: int, column: int) -> str:
    """Where a pixel of a tile is, on a grid of three by three over the digit's frame."""
    down = ("top", "", "bottom")[min(2, max(0, (row - 4) * 3 // 20))]
    across = ("left", "", "right")[min(2, max(0, (column - 4) * 3 // 20))]
    if down and across:
        return f"at the {down} {across}"
    if down:
        return f"at the {down}"
    return f"at the {across}" if across else "in the middle"


def alike(account: DigitExplanation) -> list[str]:
    """What the training digits say."""
    if account.alike is None:
        return []
    near, value, other = account.alike.nearest, account.digit.value, account.other
    mine = sum(one.label == value for one in near)
    many = "All" if mine == len(near) else f"{mine or 'None'} of"
    first = f"{many} the {len(near)} training digits most like it are {value}s."
    parts = [
        f"the nearest {digit} is {ones[0].distance:.2f} away"
        for digit, ones in ((value, account.alike.of_value), (other, account.alike.of_other))
        if ones
    ]
    second = ", ".join(parts)
    said = [first, f"{_capital(second)} (0 is the same, 2 is opposite)."]
    return [*said, usual(account)] if account.alike.nearer is not None else said


def usual(account: DigitExplanation) -> str:
    """How usual the tile is; empty where nobody knows."""
    if account.alike is None or account.alike.nearer is None:
        return ""
    nearer, count = account.alike.nearer, account.alike.usual
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


def changes(account: DigitExplanation) -> list[str]:
    """What was tried and changes nothing, and whose answer it is."""
    if account.attributions is None:
        return []
    own = int(account.own.argmax())
    said: list[str] = []
    if own != account.digit.value:
        said.append(f"The classifier alone says {own} here: these are changes of its answer.")
    kinds = [change.kind for change in account.attributions.counterfactuals]
    kept = [_TRIED[kind] for kind in KINDS if kind not in kinds]
    if not kinds:
        said.append(f"Nothing that was tried changes the answer: {_listed(kept)}.")
    elif kept:
        said.append(f"{_capital(_listed(kept))} would not.")
    return said


def change(one: Counterfactual) -> str:
    """What to do to the tile."""
    if one.kind in ("erase", "add"):
        side, share = int(one.amount), round(100 * one.ink)
        verb = "erase" if one.kind == "erase" else "add"
        pixels = "a pixel" if side == 1 else f"{side} x {side} pixels"
        return f"{verb} {pixels} ({max(1, share)} % of its ink)"
    if one.kind == "turn":
        return f"turn {abs(one.amount):.0f}° {'anti' if one.amount > 0 else ''}clockwise"
    if one.kind == "move":
        return f"move {_way(one.place or (0, 0))}"
    return f"strokes {one.amount:g} px {'thicker' if one.kind == 'thicken' else 'thinner'}"


def outcome(one: Counterfactual) -> str:
    """What the classifier says then."""
    return f"{one.value} ({percent(one.probability)})"


def _way(place: tuple[int, int]) -> str:
    down, right = place
    parts = [f"{abs(down)} px {'down' if down > 0 else 'up'}"] if down else []
    if right:
        parts.append(f"{abs(right)} px {'right' if right > 0 else 'left'}")
    return ", ".join(parts)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
