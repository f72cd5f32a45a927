"""Fuses the scores of digit detector, line recogniser and classifier into one probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.errors import ModelError
from digitlens.evaluation.calibration import Calibration
from digitlens.evaluation.risk import RiskCoverage
from digitlens.reading.nms import Columns
from digitlens.reading.places import UNSEEN, Places
from digitlens.results import Outputs

NETWORKS = ("detector", "recognizer", "classifier")
POOL = (0.3, 1.0, 0.3)  # weights of the networks' log probabilities before fitting
CONTEXT = 20  # columns of ``context``
_VALUE, _EXISTENCE = ("first", "second", "third"), ("exists", "existing")  # layers by output
LAYERS = (*_VALUE, *_EXISTENCE)
_MIN_CHANCE = 1e-4  # minimum probability, so that no network alone can rule a digit out
_MIN_DIGIT = 0.02  # minimum of the classifier's digit probability, as a tile may be cut wrongly
_MEDIUM_HEIGHT = 28.0  # pixels: height of a medium-sized digit

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores(Columns):
    """The outputs of the three networks for N places."""

    places: Places  # positions, and the outputs of detector and recogniser
    classifier: Floats  # float32[N, 10]; which digit, by the tile classifier
    is_digit: Floats  # float32[N]; probability that it is a digit, by the tile classifier

    @classmethod
    def of(cls, places: Places, outputs: Outputs) -> Scores:
        """Combines places with the classifier's outputs for their tiles."""
        probabilities = np.asarray(outputs.probabilities, np.float32)
        digit = np.ones(len(places), np.float32) if outputs.digit is None else outputs.digit
        return cls(places, probabilities, np.asarray(digit, np.float32))

    @property
    def digits(self) -> Floats:
        """float32[N, 3, 10]: which digit, by each of ``NETWORKS``."""
        places = self.places
        return np.stack([places.detector, places.recognizer, self.classifier], axis=1)

    @property
    def boxes(self) -> Floats:
        """float32[N, 4]: x0, y0, x1, y1 on the page."""
        return self.places.boxes

    @property
    def strength(self) -> Floats:
        """float32[N]: the higher of detector's and recogniser's probability of a digit."""
        return np.maximum(self.places.objectness, self.places.mass)


class Fused(NamedTuple):
    """The fused outputs for N places."""

    probabilities: Floats  # float32[N, 10]; which digit; rows sum to 1
    # float32[N]; calibrated probability that there is a digit and that its top value is right.
    confidence: Floats
    existence: Floats  # float32[N]; probability that there is a digit


@dataclass(frozen=True)
class Fusion:
    """A small network, fitted on generated pictures, that combines the outputs of the others.

    The score of a value is the ``pool``-weighted sum of its log probabilities plus the output of
    a network with two hidden layers on these and the context of the place. A second one decides
    from those of the most probable value whether there is a digit.
    """

    pool: tuple[float, ...] = POOL  # weights of the three networks' log probabilities
    # float64[inputs + 1, outputs] each, with the biases in the last row; empty before fitting
    layers: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    # Maps raw confidence to the probability of being right; None before it is fitted.
    calibration: Calibration | None = None
    # Coverage and error rate at each confidence threshold; None before it is measured.
    risk: RiskCoverage | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fusion:
        """Restores a fusion from ``as_dict``.

        Raises:
            ModelError: The values are damaged.
        """
        try:
            pool = tuple(float(weight) for weight in values.get("pool", POOL))
            layers = values.get("layers", {})
            arrays = {name: np.array(layers[name], float) for name in LAYERS} if layers else {}
            _check(pool, arrays)
            return cls(
                pool,
                arrays,
                Calibration.from_dict(values["calibration"]) if "calibration" in values else None,
                RiskCoverage.from_dict(values["risk"]) if "risk" in values else None,
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelError(f"the fusion of the line reader is damaged: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """The fitted values in JSON-ready form."""
        layers = {name: layer.tolist() for name, layer in self.layers.items()}
        optional = {"calibration": self.calibration, "risk": self.risk}
        fitted = {name: each.as_dict() for name, each in optional.items() if each}
        return {"pool": list(self.pool), "layers": layers, **fitted}

    def fuse(self, scores: Scores) -> Fused:
        """Fuses the scores of all places."""
        logs = log_probs(scores)
        sums, existence = logs @ np.array(self.pool), scores.strength
        if self.layers and len(scores):
            features = context(scores)
            sums = sums + self._layers(_VALUE, inputs(logs, features[:, None]))[..., 0]
            best = logs[np.arange(len(logs)), sums.argmax(axis=1)]
            logit = self._layers(_EXISTENCE, inputs(best, features))[:, 0]
            existence = (1 / (1 + np.exp(-np.clip(logit, -40, 40)))).astype(np.float32)
        chances = np.exp(sums - sums.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities = (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)
        confidence = existence * probabilities.max(axis=1, initial=0)
        if self.calibration and len(scores):
            confidence = self.calibration.apply(confidence)
        return Fused(probabilities, confidence, existence)

    def _layers(
        self, names: Sequence[str], values: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Applies layers of the network, with ReLU between them."""
        for k, name in enumerate(names):
            layer = self.layers[name]
            values = (np.maximum(values, 0) if k else values) @ layer[:-1] + layer[-1]
        return values


def log_probs(scores: Scores) -> Floats:
    """float32[N, 10, 3]: log probability of each value by each network."""
    return _log(scores.digits).transpose(0, 2, 1)


def context(scores: Scores) -> Floats:
    """float32[N, CONTEXT]: features of each place as a whole, scaled to about 1."""
    places = scores.places
    is_detected = places.objectness > UNSEEN
    top_two = np.sort(_log(scores.digits), axis=2)[:, :, -2:]
    columns = [
        is_detected * 3,
        is_detected * _logit(places.objectness),
        _logit(places.mass),
        _logit(places.given),
        _logit(places.numeric),
        _logit(places.fluency),
        places.letters * 4,
        _logit(scores.is_digit, _MIN_DIGIT),
        places.lone * 3,
        places.text * 3,
        _relative_height(scores) * 3,
        *(3 * np.eye(3)[places.reads].T),
        *top_two.reshape(len(scores), 6).T,
    ]
    return (np.stack(columns, axis=1) / 3).astype(np.float32)


def inputs(logs: Floats, features: Floats) -> npt.NDArray[np.float64]:
    """Inputs of the network, float64[..., 3 + CONTEXT]: ``log_probs`` of values and ``context``."""
    features = np.broadcast_to(features, (*logs.shape[:-1], CONTEXT))
    return np.concatenate([logs / 3, features], axis=-1, dtype=np.float64)


def _check(pool: Sequence[float], layers: Mapping[str, npt.NDArray[np.float64]]) -> None:
    """Raises ValueError if the shapes of weights do not match or weights are not finite."""
    if len(pool) != len(NETWORKS):
        raise ValueError(f"expected a pool of {len(NETWORKS)} numbers, found {len(pool)}")
    for names in (_VALUE, _EXISTENCE) if layers else ():
        width = len(NETWORKS) + CONTEXT
        for name in names:
            layer = layers[name]
            if layer.ndim != 2 or len(layer) != width + 1 or not np.isfinite(layer).all():
                sides = " x ".join(map(str, layer.shape))
                raise ValueError(f"expected {width + 1} rows of numbers in {name}, found {sides}")
            width = layer.shape[1]


def _relative_height(scores: Scores) -> Floats:
    """0 for a digit of 28 pixels, 1 for one four times as high, -1 for a quarter; at most 1.5."""
    height = scores.boxes[:, 3] - scores.boxes[:, 1]
    return np.clip(np.log2(np.maximum(height, 1) / _MEDIUM_HEIGHT) / 2, -1, 1.5).astype(np.float32)


def _log(chances: Floats) -> Floats:
    return np.log(np.maximum(chances, _MIN_CHANCE))


def _logit(chances: Floats, min_chance: float = _MIN_CHANCE) -> Floats:
    clipped = np.clip(chances, min_chance, 1 - min_chance)
    return np.log(clipped / (1 - clipped))
