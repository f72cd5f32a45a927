"""How sure: puts the votes on a candidate together and turns them into a calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.evaluation.calibration import Calibration
from digitlens.evaluation.logistic import logistic
from digitlens.evaluation.risk import RiskCoverage
from digitlens.model.bundle import Card

VOTE = 0.5  # weight of the classifier's logarithms beside the page reader's, unless the card says
SIGNS = 4  # columns of ``signs``
_LEAST = 1e-4  # neither vote alone can rule a digit out

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Confidence:
    """What a page reader's card says of its own scores.

    Attributes:
        vote: Weight of the classifier's vote on the value.
        weights: A constant and a weight for each column of ``signs``; empty before they are
            fitted.
        calibration: From raw confidence to the probability of being right; None before it is
            fitted.
        risk: Which share of digits is stated at which confidence, and how many of them are wrong.
    """

    vote: float = VOTE
    weights: tuple[float, ...] = ()
    calibration: Calibration | None = None
    risk: RiskCoverage | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if not 0 <= self.vote < float("inf"):
            raise ValueError(f"expected a vote of 0 or more, found {self.vote}")
        if not np.isfinite(self.weights).all():
            raise ValueError(f"expected finite weights, found {self.weights}")

    @classmethod
    def of(cls, card: Card) -> Confidence:
        """Takes it out of the card of a page reader.

        Raises:
            ModelError: What the card holds is damaged.
        """
        results: dict[str, Any] = card.results
        try:
            return cls(
                float(results.get("vote", VOTE)),
                _weights(results.get("weights", ())),
                Calibration.from_dict(results["calibration"]) if "calibration" in results else None,
                RiskCoverage.from_dict(results["risk"]) if "risk" in results else None,
            )
        except (TypeError, ValueError) as error:
            raise ModelError(f"the card of {card.name} is damaged: {error}") from error

    def together(self, network: Floats, classifier: Floats) -> Floats:
        """Probabilities of both votes.

        Args:
            network: float32[N, 10]; of the page reader.
            classifier: float32[N, 10]; of the classifier, on the framed tiles.

        Returns:
            float32[N, 10]; rows sum to 1.
        """
        logs = np.log(np.maximum(network, _LEAST))
        logs = logs + self.vote * np.log(np.maximum(classifier, _LEAST))
        chances = np.exp(logs - logs.max(axis=1, keepdims=True, initial=-np.inf))
        return (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)

    def raw(self, existence: Floats, network: Floats, classifier: Floats) -> Floats:
        """float32[N]: how much speaks for each candidate, 0..1, before calibration.

        Args:
            existence: float32[N]; score of a digit being there.
            network: float32[N, 10]; which one, by the page reader.
            classifier: float32[N, 10]; by the classifier.
        """
        both = self.together(network, classifier)
        if not self.weights:
            return (existence * both.max(axis=1, initial=0)).astype(np.float32)
        found = signs(existence, network, classifier, both)
        return logistic(self.weights, found).astype(np.float32)

    def values(self, existence: Floats, network: Floats, classifier: Floats) -> Floats:
        """float32[N]: the probability that a digit is there and has its most probable value.

        Args: see ``raw``.
        """
        raw = self.raw(existence, network, classifier)
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


def signs(existence: Floats, network: Floats, classifier: Floats, both: Floats) -> Floats:
    """What speaks for a candidate: its score, what each vote gives its value, and their agreement.

    Two networks that saw it in different ways seldom agree on what is no digit.

    Args:
        existence: float32[N].
        network: float32[N, 10].
        classifier: float32[N, 10].
        both: float32[N, 10]; of both votes.

    Returns:
        float32[N, 4]; logit and logarithms.
    """
    score = np.clip(existence, _LEAST, 1 - _LEAST)
    rows, value = np.arange(len(both)), both.argmax(axis=1)
    return np.stack(
        [
            np.log(score / (1 - score)),
            np.log(np.maximum(network[rows, value], _LEAST)),
            np.log(np.maximum(classifier[rows, value], _LEAST)),
            np.log(np.maximum((network * classifier).sum(axis=1), _LEAST)),
        ],
        axis=1,
    ).astype(np.float32)


def _weights(values: Any) -> tuple[float, ...]:
    weights = tuple(float(value) for value in values)
    if weights and len(weights) != 1 + SIGNS:
        raise ValueError(f"expected {1 + SIGNS} weights, found {len(weights)}")
    return weights
