"""Calibrates a page reader on generated pages and writes what it learned into the model's card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digitlens.errors import MissingExtraError, needs_extra
from digitlens.progress import note, work_bar

if TYPE_CHECKING:
    from digitlens.data.pages.arrays import Pixels
    from digitlens.data.pages.pages import Page, PageMaker
    from digitlens.evaluation.pages import Finds
    from digitlens.evaluation.votes import Votes
    from digitlens.recognition.confidence import Confidence
    from digitlens.recognition.reader import DigitReader

PAGES = 2400  # half of them to calibrate, half to measure
FIRST = 1_000_000  # their numbers begin here; those of the validation pages do not come so far
SIDES = (96, 128, 192, 256, 384, 512)  # pixels; in turn
CURVE = "risk.png"
PLAIN = ("plain tile", "plain words", "plain single", "plain numbers")  # kinds, in turn
# On 900 validation pages of all kinds the share read exactly hardly depends on ``reject`` between
# 0.5 and 0.65 (53 to 55 %), and fewest edits are needed with 0.4 to 0.5.
THRESHOLDS = {"digit": 0.9, "reject": 0.5}


def calibrate_pages(folder: Path, maker: PageMaker, count: int | None = None) -> dict[str, Any]:
    """Fits votes and calibration on half of the pages, measures on the other half.

    The same with twice as many plain drawings: they have few strokes, and not all stand apart.

    Args:
        folder: The model's; its card gets ``pool``, ``weights``, ``context``, ``calibration``,
            ``risk`` and ``generated``, and ``plain`` with the same for plain drawings.
        maker: Draws pages with digits and fonts that the model was not trained with.
        count: Pages; ``PAGES`` unless told.

    Returns:
        What was measured, as ``evaluation.pages.summary`` gives it; empty where the model finds too
        little to be calibrated, and the card stays as it is.
    """
    from digitlens.evaluation.risk import RiskCoverage
    from digitlens.model.bundle import load_bundle, write_bundle
    from digitlens.recognition.reader import DigitReader

    count = PAGES if count is None else count
    reader = DigitReader(pages=folder)
    half = count // 2
    whole = _learned(
        _finds(reader, _pages(maker, FIRST, half, "calibrating")),
        _finds(reader, _pages(maker, FIRST + count, count - half, "measuring")),
    )
    if not whole:
        return {}
    plain = _learned(
        _strokes(reader, _pages(maker, FIRST, count, "calibrating drawings", PLAIN)),
        _strokes(reader, _pages(maker, FIRST + count, count, "measuring drawings", PLAIN)),
    )
    bundle = load_bundle(folder)
    results = {**bundle.card.results, **whole, "plain": plain}
    card = replace(bundle.card, thresholds=dict(THRESHOLDS), results=results)
    write_bundle(folder, card, bundle.graph)
    try:
        with needs_extra("plots"):
            from digitlens.visualization.risk import draw_risk_coverage
    except MissingExtraError as error:
        note(f"no {CURVE}: {error}")
    else:
        curves = {"generated pages": whole, "plain drawings": plain}
        risks = {k: RiskCoverage.from_dict(part["risk"]) for k, part in curves.items() if part}
        draw_risk_coverage(risks, folder / CURVE)
    return whole["generated"]


def _learned(fits: Finds, measures: Finds) -> dict[str, Any]:
    """What the card says of finds: fitted with some, measured on others; empty for too few."""
    from digitlens.evaluation.pages import calibrated, summary

    weighed = _weighed(fits)
    if weighed is None:
        return {}
    measured, right = _answers(measures, weighed)
    calibration, risk = calibrated(_answers(fits, weighed), (measured, right), measures.total)
    return {
        "pool": list(weighed.pool),
        "weights": list(weighed.weights),
        "context": list(weighed.context),
        "calibration": calibration.as_dict(),
        "risk": risk.as_dict(),
        "generated": summary(measures, calibration.apply(measured), right),
    }


def _weighed(finds: Finds) -> Confidence | None:
    """What votes, signs and neighbours are worth; None where finds are too few to tell."""
    from digitlens.evaluation.logistic import fit_logistic
    from digitlens.evaluation.pool import fit_pool
    from digitlens.evaluation.votes import all_votes
    from digitlens.recognition.confidence import Confidence, opinions, signs, surroundings

    votes, digits = all_votes(finds.votes), finds.truth >= 0
    if not digits.any():
        note(f"not calibrated: none of {len(digits)} finds is a digit")
        return None
    pooled = Confidence(fit_pool(opinions(votes[digits]), finds.truth[digits]))
    chances = pooled.probabilities(votes)
    right = chances.argmax(axis=1) == finds.truth
    if right.all() or not right.any():
        note(f"not calibrated: of {len(right)} finds, {int(right.sum())} are right")
        return None
    alone = replace(pooled, weights=fit_logistic(signs(votes, chances), right))
    around = [
        surroundings(page, alone.raw(page, alone.probabilities(page))) for page in finds.votes
    ]
    return replace(alone, context=fit_logistic(np.concatenate(around), right))


def _answers(finds: Finds, confidence: Confidence) -> tuple[Any, Any]:
    """Raw confidences, page by page, and which answers are right."""
    chances = [confidence.probabilities(page) for page in finds.votes]
    pairs = zip(finds.votes, chances, strict=True)
    raw = np.concatenate([confidence.raw(page, rows) for page, rows in pairs])
    return raw, np.concatenate(chances).argmax(axis=1) == finds.truth


def _pages(
    maker: PageMaker, first: int, count: int, what: str, kinds: Sequence[str | None] = (None,)
) -> Iterator[Page]:
    with work_bar() as bar:
        for index in bar.track(range(count), description=what):
            side, kind = SIDES[index % len(SIDES)], kinds[index % len(kinds)]
            yield maker.page(first + index, side=side, kind=kind)


def _finds(reader: DigitReader, pages: Iterator[Page]) -> Finds:
    from digitlens.evaluation.pages import collect

    return collect(lambda pixels: reader.look(pixels).votes, pages)


def _strokes(reader: DigitReader, pages: Iterator[Page]) -> Finds:
    from digitlens.evaluation.pages import collect

    def find(pixels: Pixels) -> Votes | None:
        sight = reader.glimpse(pixels)
        return sight.votes if sight else None

    return collect(find, pages)
