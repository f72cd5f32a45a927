"""Fusion: the scores of digit detector, line recogniser and classifier made one probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.evaluation.calibration import Calibration, logistic, pooled
from digitlens.evaluation.risk import RiskCoverage
from digitlens.reading.nms import Columns
from digitlens.reading.places import UNSEEN, Places
from digitlens.results import Outputs

NETWORKS = ("detector", "recognizer", "classifier")
POOL = (0.3, 1.0, 0.3, *[0.0] * 6, 0.3)  # weights of ``opinions`` before they are fitted
FEATURES = 16  # columns of ``features``
GROUPS = 3  # of places, by what the recogniser reads there; each has weights of its own
_LEAST = 1e-4  # no network alone can rule a digit out
_DOUBT = 0.02  # a tile may be cut wrongly: what is no digit there may be one on the page
_USUAL = 28.0  # pixels: height of a digit that is neither small nor large

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores(Columns):
    """What the three networks say of N places."""

    places: Places  # where, and what detector and recogniser say
    classifier: Floats  # float32[N, 10]; which digit, by the classifier of tiles
    is_digit: Floats  # float32[N]; that it is a digit at all, by the same

    @classmethod
    def of(cls, places: Places, said: Outputs) -> Scores:
        """Puts together what was found with what the classifier says of its tiles."""
        probabilities = np.asarray(said.probabilities, np.float32)
        digit = np.ones(len(places), np.float32) if said.digit is None else said.digit
        return cls(places, probabilities, np.asarray(digit, np.float32))

    @property
    def digits(self) -> Floats:
        """float32[N, 3, 10]: which digit, by each of ``NETWORKS``."""
        places = self.places
        return np.stack([places.detector, places.recognizer, self.classifier], axis=1)

    @property
    def boxes(self) -> Floats:
        """float32[N, 4]; on the page."""
        return self.places.boxes

    @property
    def strength(self) -> Floats:
        """float32[N]: the higher of both scores that a digit is there."""
        return np.maximum(self.places.objectness, self.places.mass)


class Fused(NamedTuple):
    """What all networks together say of N places."""

    probabilities: Floats  # float32[N, 10]; which digit; rows sum to 1
    # float32[N]; that a digit is there and has its most probable value, calibrated.
    confidence: Floats
    existence: Floats  # float32[N]; that there is a digit at all


@dataclass(frozen=True)
class Fusion:
    """Fitted weights that turn scores into calibrated probabilities."""

    pool: tuple[float, ...] = POOL  # weights of the columns of ``opinions`` on the value
    # For each of the groups a constant and a weight for each of ``features``, for the value to be
    # right; empty before they are fitted.
    weights: tuple[float, ...] = ()
    existing: tuple[float, ...] = ()  # the same, for a digit to be there, whichever it is
    # From raw confidence to the probability of being right; None before.
    calibration: Calibration | None = None
    # Which share of digits is stated at which confidence, and how many are wrong.
    risk: RiskCoverage | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name, weights, count in (
            ("pool", self.pool, len(POOL)),
            ("weights", self.weights, GROUPS * (1 + FEATURES) if self.weights else 0),
            ("existing", self.existing, GROUPS * (1 + FEATURES) if self.existing else 0),
        ):
            if len(weights) != count or not np.isfinite(weights).all():
                raise ValueError(f"expected {count} finite numbers as {name}, found {weights}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fusion:
        """What ``as_dict`` gave.

        Raises:
            ModelError: It is damaged.
        """
        try:
            return cls(
                tuple(float(weight) for weight in values.get("pool", POOL)),
                tuple(float(weight) for weight in values.get("weights", ())),
                tuple(float(weight) for weight in values.get("existing", ())),
                Calibration.from_dict(values["calibration"]) if "calibration" in values else None,
                RiskCoverage.from_dict(values["risk"]) if "risk" in values else None,
            )
        except (TypeError, ValueError) as error:
            raise ModelError(f"the fusion of the line reader is damaged: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """The weights as JSON-ready values."""
        weights = {"pool": self.pool, "weights": self.weights, "existing": self.existing}
        fitted: dict[str, Any] = {name: list(each) for name, each in weights.items()}
        more = {"calibration": self.calibration, "risk": self.risk}
        return fitted | {name: each.as_dict() for name, each in more.items() if each}

    def probabilities(self, scores: Scores) -> Floats:
        """float32[N, 10]: which digit, by all networks; rows sum to 1."""
        return pooled(self.pool, opinions(scores)).astype(np.float32)

    def fuse(self, scores: Scores) -> Fused:
        """What all networks together say of places."""
        probabilities = self.probabilities(scores)
        columns = features(scores, probabilities)
        confidence = scores.strength * probabilities.max(axis=1, initial=0)
        existence = scores.strength
        if self.weights:
            confidence = by_group(self.weights, scores, columns)
        if self.existing:
            existence = by_group(self.existing, scores, columns)
        if self.calibration and len(scores):
            confidence = self.calibration.apply(confidence)
        return Fused(probabilities, confidence, existence)


def by_group(weights: tuple[float, ...], scores: Scores, columns: Floats) -> Floats:
    """float32[N]: logistic regression on float32[N, FEATURES], each group with its own weights."""
    chances = np.zeros(len(scores), np.float32)
    for group, part in enumerate(np.array(weights).reshape(GROUPS, -1)):
        here = scores.places.reads == group
        chances[here] = logistic(part, columns[here])
    return chances


def opinions(scores: Scores) -> Floats:
    """What each network says of each value, and how far it is to be trusted.

    Returns:
        float32[N, 10, 10]; logarithms of the three networks, the same times the size, the same
        where the place is alone on its line, and that of the classifier times whether the tile is
        a digit.
    """
    logs = _log(scores.digits).transpose(0, 2, 1)
    by_size, if_lone = _size(scores)[:, None, None], scores.places.lone[:, None, None]
    if_digit = scores.is_digit[:, None, None] * logs[:, :, 2:]
    return np.concatenate(
        [logs, by_size * logs, if_lone * logs, if_digit], axis=2, dtype=np.float32
    )


def features(scores: Scores, probabilities: Floats) -> Floats:
    """What speaks for places, float32[N, FEATURES], and for a value each, by all networks.

    Networks that see a place in different ways seldom agree on what is no digit.
    """
    places = scores.places
    rows, value = np.arange(len(scores)), probabilities.argmax(axis=1)
    seen = (places.objectness > UNSEEN).astype(np.float32)
    columns = [
        seen,
        seen * _logit(places.objectness),
        seen * _log(places.detector[rows, value]),
        _logit(places.mass),
        _logit(places.given),
        _logit(places.numeric),
        (1 - places.letters) * _logit(places.numeric),
        _log(places.recognizer[rows, value]),
        _logit(places.fluency),
        places.letters,
        _logit(scores.is_digit, _DOUBT),
        places.lone,
        places.text,
        _log(scores.classifier[rows, value]),
        _log(probabilities[rows, value]),
        _size(scores),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _size(scores: Scores) -> Floats:
    """0 for a digit of usual height, 1 for one four times as high, -1 for one a quarter so high."""
    height = scores.boxes[:, 3] - scores.boxes[:, 1]
    return np.clip(np.log2(np.maximum(height, 1) / _USUAL) / 2, -1, 1.5).astype(np.float32)


def _log(chances: Floats) -> Floats:
    return np.log(np.maximum(chances, _LEAST))


def _logit(chances: Floats, least: float = _LEAST) -> Floats:
    inside = np.clip(chances, least, 1 - least)
    return np.log(inside / (1 - inside))
