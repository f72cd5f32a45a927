"""How sure: puts the votes on a candidate together and turns them into a calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.evaluation.calibration import Calibration
from digitlens.evaluation.logistic import logistic
from digitlens.evaluation.pool import pooled
from digitlens.evaluation.risk import RiskCoverage
from digitlens.evaluation.votes import VOTERS, Votes
from digitlens.model.bundle import Card
from digitlens.recognition.support import support

POOL = (0.7, 0.4, 0.15, 0.0, 0.0, 0.0)  # see ``opinions``; unless the card says otherwise
SIGNS = 7  # columns of ``signs``
_LEAST = 1e-4  # no vote alone can rule a digit out
_USUAL = 28.0  # pixels: height of a digit that is neither small nor large

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Confidence:
    """What a page reader's card says of its own scores.

    Attributes:
        pool: Weights of the columns of ``opinions`` on the value.
        weights: A constant and a weight for each column of ``signs``; empty before they are
            fitted.
        context: A constant, the weight of a candidate's own logit and that of its neighbours';
            empty likewise.
        calibration: From raw confidence to the probability of being right; None before it is
            fitted.
        risk: Which share of digits is stated at which confidence, and how many of them are wrong.
    """

    pool: tuple[float, ...] = POOL
    weights: tuple[float, ...] = ()
    context: tuple[float, ...] = ()
    calibration: Calibration | None = None
    risk: RiskCoverage | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name, weights, count in (
            ("pool", self.pool, len(POOL)),
            ("weights", self.weights, 1 + SIGNS if self.weights else 0),
            ("context", self.context, 3 if self.context else 0),
        ):
            if len(weights) != count or not np.isfinite(weights).all():
                raise ValueError(f"expected {count} finite numbers as {name}, found {weights}")

    @classmethod
    def of(cls, card: Card, part: str = "") -> Confidence:
        """Takes it out of the card of a page reader.

        Args:
            card: The page reader's.
            part: Of its results; all of them unless told: ``plain`` is for plain drawings.

        Raises:
            ModelError: What the card holds is damaged.
        """
        try:
            results: dict[str, Any] = dict(card.results.get(part, {}) if part else card.results)
            return cls(
                tuple(float(weight) for weight in results.get("pool", POOL)),
                tuple(float(weight) for weight in results.get("weights", ())),
                tuple(float(weight) for weight in results.get("context", ())),
                Calibration.from_dict(results["calibration"]) if "calibration" in results else None,
                RiskCoverage.from_dict(results["risk"]) if "risk" in results else None,
            )
        except (TypeError, ValueError) as error:
            raise ModelError(f"the card of {card.name} is damaged: {error}") from error

    def probabilities(self, votes: Votes) -> Floats:
        """float32[N, 10]: of all votes; rows sum to 1."""
        return pooled(self.pool, opinions(votes)).astype(np.float32)

    def raw(self, votes: Votes, probabilities: Floats) -> Floats:
        """float32[N]: how much speaks for each candidate, 0..1, before calibration.

        Args:
            votes: On the candidates of one page.
            probabilities: float32[N, 10]; of all votes, see ``probabilities``.
        """
        if not self.weights:
            exists = np.sqrt(votes.existence * votes.digit)
            return (exists * probabilities.max(axis=1, initial=0)).astype(np.float32)
        alone = logistic(self.weights, signs(votes, probabilities))
        if not self.context:
            return alone.astype(np.float32)
        return logistic(self.context, surroundings(votes, alone)).astype(np.float32)

    def values(self, votes: Votes, probabilities: Floats) -> Floats:
        """float32[N]: the probability that a digit is there and has its most probable value.

        Args: see ``raw``.
        """
        raw = self.raw(votes, probabilities)
        return self.calibration.apply(raw) if self.calibration and len(raw) else raw

    def threshold_for(self, target: float) -> float:
        """The confidence from which digits may be stated.

        Args:
            target: Share of the stated digits that may be wrong.

        Raises:
            ModelError: The model has no curve.
            ValueError: The curve cannot promise so few errors; says what it can.
        """
        if self.risk is None:
            raise ModelError("this page reader was never calibrated: use a shipped one")
        return self.risk.threshold_for(target)


def opinions(votes: Votes) -> Floats:
    """What each voter says of each value; how far each is to be trusted depends on the size.

    Returns:
        float32[N, 10, 6]; logarithms of the three voters, then the same times the size.
    """
    logs = _log(votes.names).transpose(0, 2, 1)
    sizes = _size(votes)[:, None, None]
    return np.concatenate([logs, sizes * logs], axis=2).astype(np.float32)


def signs(votes: Votes, probabilities: Floats) -> Floats:
    """What speaks for a candidate: both scores, what each voter gives its value, and its size.

    Networks that saw it in different ways seldom agree on what is no digit.

    Args:
        votes: On the candidates.
        probabilities: float32[N, 10]; of all votes.

    Returns:
        float32[N, 7]; logits of the scores, logarithms of the others, the size.
    """
    rows, value = np.arange(len(votes)), probabilities.argmax(axis=1)
    named = [_log(votes.names[rows, voter, value]) for voter in range(len(VOTERS))]
    columns = [
        _logit(votes.existence),
        _logit(votes.digit),
        _log(probabilities[rows, value]),
        *named,
        _size(votes),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def surroundings(votes: Votes, alone: npt.NDArray[np.floating]) -> Floats:
    """What each candidate is by itself, and what its neighbours are.

    Args:
        votes: On the candidates of one page.
        alone: float[N]; the probability that each is right, seen by itself.

    Returns:
        float32[N, 2]; logits.
    """
    own = _logit(alone.astype(np.float32))
    return np.stack([own, support(votes.boxes, own)], axis=1)


def _size(votes: Votes) -> Floats:
    """0 for a digit of usual height, 1 for one four times as high, -1 for one a quarter so high."""
    return np.clip(np.log2(np.maximum(votes.height, 1) / _USUAL) / 2, -1, 1.5).astype(np.float32)


def _log(chances: Floats) -> Floats:
    return np.log(np.maximum(chances, _LEAST))


def _logit(chances: Floats) -> Floats:
    inside = np.clip(chances, _LEAST, 1 - _LEAST)
    return np.log(inside / (1 - inside))
