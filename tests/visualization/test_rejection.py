import numpy as np
import pytest
from PIL import Image

from digitlens.evaluation.metrics import answers, measure_uncertainty
from digitlens.evaluation.ood import Rejection, Scored, detect
from digitlens.visualization.rejection import draw_rejection


def drawn(n, sharpness, seed):
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(0, 2, (n, 10))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, chances.astype(np.float32)


def rejection(score, sets):
    """A made-up result for a score of that name and so many sets of strangers."""
    samples = {"clean": drawn(500, 4, 0), "corrupted": drawn(300, 1, 1)}
    names = ["digits", *(f"set {k}" for k in range(sets))]
    scored = {
        name: Scored(chances, {score: chances.max(axis=1).astype(float) - (score == "energy")})
        for k, name in enumerate(names)
        for _, chances in [drawn(40 + k, 3 - 0.3 * k, k)]
    }
    digits = scored["digits"].scores[score]
    table = {name: detect(digits, scored[name].scores[score]) for name in names[1:]}
    tiles = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    return Rejection(
        uncertainty={name: measure_uncertainty(*sample) for name, sample in samples.items()},
        answers={name: answers(*sample) for name, sample in samples.items()},
        scores={score: table},
        recommended=score,
        chosen_by={},
        scaling={},
        strangers={name: tiles[: len(scored[name].probabilities)] for name in names[1:]},
        found=scored,
    )


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    monkeypatch.setattr("digitlens.visualization.style.DPI", 60)


@pytest.mark.parametrize(("score", "sets"), [("digit", 4), ("energy", 1)])
def test_every_picture_is_written_and_has_ink(tmp_path, score, sets):
    paths = draw_rejection(rejection(score, sets), tmp_path)
    assert [path.name for path in paths] == [
        "rejection-risk.png",
        "rejection-reliability.png",
        "rejection-scores.png",
        "rejection-strangers.png",
        "rejection-taken.png",
    ]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 8


def test_a_classifier_without_mistakes_is_drawn(tmp_path):
    found = rejection("digit", 2)
    sure = np.linspace(0.9, 1, 50), np.ones(50, bool)
    found.answers.update(clean=sure, corrupted=sure)
    assert len(draw_rejection(found, tmp_path)) == 5
