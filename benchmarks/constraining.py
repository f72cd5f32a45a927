"""What is it worth to know something of a number? Pictures read with constraints and without.

    python benchmarks/constraining.py [--real FOLDER] [--count N] [--seed N] [--out FOLDER]

Numbers with check digits are drawn from a seed, in fonts that no network was trained with, pens and
hands; with ``--real`` also the check amounts of a folder as ``realworld.py`` takes it, once with
their number of digits known, once with a list of 50 amounts of that folder, theirs among them.

- alone, known: share of pictures of which all digits (and letters of an IBAN) are right.
- gain: their difference with its 95 % score interval for pairs (Tango), and McNemar's exact p.
- sure: share of pictures read with constraints without a doubtful digit; wrong: of these.
- ms: median processor time of decoding with the constraint, without detection and recognition.
"""

import random
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import harness
from digitlens import load_image
from digitlens.datasets.synthetic.document_layouts import Desk
from digitlens.evaluation.significance import difference_interval, mcnemar
from digitlens.reading.constrained import constrain
from digitlens.reading.constraints import Expectation, keeps, parse
from digitlens.reading.layout import Layout, arrange
from digitlens.reading.reader import DigitReader
from harness import Answer, Case

COLUMNS = (
    "known | n | alone | known | gain, points | 95 % interval | p | sure | wrong | ms",
    "{kind} | {n} | {alone:.1%} | {known:.1%} | {gain:+.1f} | {low:+.1f} to {high:+.1f} | {p:.2g}"
    " | {sure:.0%} | {wrong} | {milliseconds:.1f}",
)
AMOUNTS = 50  # in a list
SERIALS = {"luhn": (16, "16; luhn"), "ean": (13, "ean-13"), "iban": (22, "iban")}
Read = tuple[bool, bool, bool, float]  # right alone, right with what is known, sure; seconds


def cases(options: Any) -> Iterator[Case]:
    yield from checks(options.real) if options.real else ()
    yield from serials(options.count, options.seed)


def checks(folder: Path) -> Iterator[Case]:
    """Amounts on checks, whose labels are their digits."""
    rows = harness.listed(folder, "check")
    labels = sorted({row["label"] for row in rows})
    drawn = random.Random(0)
    for row in rows:
        text = row["label"]
        others = drawn.sample([label for label in labels if label != text], AMOUNTS - 1)
        listed = ", ".join(sorted([text, *others]))
        known = {"check, digits": str(len(text)), "check, 50 amounts": f"one of {listed}"}
        yield Case("check", row["file"], load_image(folder / row["file"]), (text, known))


def serials(count: int, seed: int) -> Iterator[Case]:
    """Numbers with a check digit, half by hand, half printed."""

    def write(text: str, desk: Desk) -> str:
        digit, by_hand = desk.size(10, 30), desk.rng.random() < 0.5
        run = (desk.pen(digit, letters=True) if by_hand else desk.type(digit)).run(text)
        desk.open(run.width + 3 * digit, 3 * digit).put(run, 1.5 * digit, 2 * digit)
        return text

    for (kind, (length, known)), number in product(SERIALS.items(), range(count)):
        rng = np.random.default_rng([seed, number, length])
        text = serial(kind, length, rng)
        spaced = " ".join(text[i : i + 4] for i in range(0, length, 4))
        shown = spaced if kind == "iban" or rng.random() < 0.5 else text
        page = harness.photographed(partial(write, shown), seed, number, length)
        yield Case(kind, str(number), page, (text, {f"{kind}, {length}": known}))


def serial(kind: str, length: int, rng: np.random.Generator) -> str:
    """A number that keeps its check digit."""
    constraint = parse(kind)
    while True:
        digits = "".join(map(str, rng.integers(0, 10, length).tolist()))
        bodies = [digits[:-1] + str(last) for last in range(10)]
        if kind == "iban":
            bodies = [f"DE{check:02}{digits[4:]}" for check in range(2, 99)]
        if body := next(filter(partial(keeps, constraint), bodies), None):
            return body


def ask(reader: DigitReader, picture: Case) -> Iterator[Answer]:
    """One picture, looked at once, with each that is known of it: a name and a constraint."""
    page, (text, constraints) = picture.page, picture.text
    view, turn = reader.upright(page)
    size = page.shape[1::-1] if turn % 2 == 0 else page.shape[:2]
    layout = arrange(view, size, reader.thresholds)

    def told(found: Layout) -> str:
        """All digits that count; the letters of a German IBAN say nothing."""
        return "".join(str(d.value) for line in found.lines for d in line if d.status != "rejected")

    for kind, known in constraints.items():
        expected = Expectation.of(known)
        assert expected
        start = time.thread_time()
        after, _ = constrain(view, layout, size, reader.thresholds, expected)
        seconds = time.thread_time() - start
        statuses = {d.status for line in after.lines for d in line} - {"rejected"}
        wanted = text if kind != "iban, 22" else text[2:]
        alone, right = (told(each) == wanted for each in (layout, after))
        problems = [] if right else [f"{wanted} read as {told(after)}"]
        yield Answer(kind, (alone, right, statuses == {"digit"}, seconds), problems)


def summary(kind: str, found: list[Read]) -> harness.Row:
    alone, known, sure, seconds = np.array(found, float).T
    gained, lost = int((known > alone).sum()), int((alone > known).sum())
    low, high = difference_interval(gained, lost, len(found))
    return {
        "kind": kind,
        "n": len(found),
        "alone": float(alone.mean()),
        "known": float(known.mean()),
        "gain": 100 * (gained - lost) / len(found),
        "low": 100 * low,
        "high": 100 * high,
        "p": mcnemar(gained, lost),
        "sure": float(sure.mean()),
        "wrong": int((sure > known).sum()),
        "milliseconds": 1000 * float(np.median(seconds)),
    }


if __name__ == "__main__":
    harness.study(__doc__, COLUMNS, cases, ask, summary, 60)
