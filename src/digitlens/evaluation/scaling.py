"""Ways to calibrate probabilities after training, and which of them is worth it on tiles not seen.

Each is fitted to probabilities and labels of validation tiles. Sources: temperature and vector
scaling: C. Guo et al., "On calibration of modern neural networks", ICML 2017. Ensemble temperature
scaling: J. Zhang, B. Kailkhura and T. Y. Han, "Mix-n-match: ensemble and compositional methods for
uncertainty calibration in deep learning", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import CLASSES, Floats, Labels, log_loss
from digitlens.evaluation.pool import fit_pool, pooled

FOLDS = 5
_EM_STEPS = 200

Probabilities = npt.NDArray[np.float64]
Scaling = Callable[[Floats], Probabilities]
Fit = Callable[[Labels, Floats], Scaling]


def fit_temperature(labels: Labels, probabilities: Floats) -> Scaling:
    """All logits divided by one number; no answer changes.

    Args:
        labels: int[N], 0 to 9, N >= 1.
        probabilities: float[N, 10], rows sum to 1.
    """
    return _fit_signs(labels, probabilities, _logits)


def fit_temperature_and_bias(labels: Labels, probabilities: Floats) -> Scaling:
    """One temperature, and a constant for each digit; arguments as of ``fit_temperature``."""
    return _fit_signs(labels, probabilities, lambda p: _with_bias(_logits(p)))


def fit_vector(labels: Labels, probabilities: Floats) -> Scaling:
    """A factor and a constant for each digit's logit; arguments as of ``fit_temperature``."""
    return _fit_signs(labels, probabilities, lambda p: _with_bias(_logits(p) * np.eye(CLASSES)))


def fit_ensemble_temperature(labels: Labels, probabilities: Floats) -> Scaling:
    """A mixture of the probabilities as they are, at a temperature, and equal ones.

    No answer changes. The shares of the mixture are those with the highest likelihood, by
    expectation maximisation. Arguments as of ``fit_temperature``.
    """
    cooled = fit_temperature(labels, probabilities)

    def parts(p: Floats) -> Probabilities:
        return np.stack([cooled(p), p, np.full(p.shape, 1 / CLASSES)], axis=-1, dtype=np.float64)

    of_truth = parts(probabilities)[np.arange(len(labels)), labels]
    shares = np.full(3, 1 / 3)
    for _ in range(_EM_STEPS):
        blame = of_truth * shares
        shares = (blame / blame.sum(axis=1, keepdims=True)).mean(axis=0)
    return lambda p: parts(p) @ shares


SCALINGS: Mapping[str, Fit] = {
    "temperature": fit_temperature,
    "ensemble temperature": fit_ensemble_temperature,
    "temperature and bias": fit_temperature_and_bias,
    "vector": fit_vector,
}


@dataclass(frozen=True, slots=True)
class ScalingScore:
    """How one way to calibrate does on tiles that it was not fitted to.

    Attributes:
        nll: Mean negative log-likelihood in nats.
        gain: How much lower that is than without any scaling.
        error: Standard error of the gain.
    """

    nll: float
    gain: float
    error: float


def compare_scalings(
    labels: Labels, probabilities: Floats, *, folds: int = FOLDS, seed: int = 0
) -> dict[str, ScalingScore]:
    """Fits each way on all folds but one and scores it on that one, for every fold.

    Args:
        labels: int[N], 0 to 9, N >= ``folds``.
        probabilities: float[N, 10], rows sum to 1.
        folds: 2 or more.
        seed: Of the folds.

    Raises:
        ValueError: There are fewer tiles than folds, or the arguments are something else.
    """
    plain = log_loss(labels, probabilities)  # checks the arguments
    if not 2 <= folds <= len(labels):
        raise ValueError(f"expected 2 to {len(labels)} folds, found {folds}")
    places = np.random.default_rng(seed).permutation(len(labels)) % folds
    before = _losses(labels, probabilities)
    found: dict[str, ScalingScore] = {}
    for name, fit in SCALINGS.items():
        gains = before - _losses(labels, _cross_fitted(fit, labels, probabilities, places))
        error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
        found[name] = ScalingScore(plain - float(gains.mean()), float(gains.mean()), error)
    return found


def _cross_fitted(
    fit: Fit, labels: Labels, probabilities: Floats, places: npt.NDArray[np.integer]
) -> Probabilities:
    scaled = np.empty(probabilities.shape, np.float64)
    for fold in range(int(places.max()) + 1):
        out = places == fold
        scaled[out] = fit(labels[~out], probabilities[~out])(probabilities[out])
    return scaled


def _fit_signs(
    labels: Labels, probabilities: Floats, signs: Callable[[Floats], Probabilities]
) -> Scaling:
    weights = fit_pool(signs(probabilities), labels)
    return lambda p: pooled(weights, signs(p))


def _logits(probabilities: Floats) -> Probabilities:
    """float64[N, 10, 1]: logarithms, which are logits but for a constant in each row."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny), dtype=np.float64)[..., None]


def _with_bias(signs: Probabilities) -> Probabilities:
    """Adds a sign of each digit but the first, whose constant is 0."""
    each = np.broadcast_to(np.eye(CLASSES)[:, 1:], (len(signs), CLASSES, CLASSES - 1))
    return np.concatenate([signs, each], axis=2)


def _losses(labels: Labels, probabilities: Floats) -> Probabilities:
    chosen = probabilities[np.arange(len(labels)), labels]
    smallest = np.finfo(np.float32).eps  # as ``metrics.log_loss`` has it for float32
    return -np.log(np.clip(chosen, smallest, 1), dtype=np.float64)
