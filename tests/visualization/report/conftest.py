"""Small contents for a report page, with known results."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import ModelInfo, evaluate
from digitlens.models.bundle import Card
from digitlens.training.recipe import Recipe
from digitlens.visualization.report_page import Contents, Neighbours, shown_errors


@pytest.fixture(scope="session")
def make_contents(small_split, history):
    """Makes contents of a model that misreads every seventh tile as the next digit."""

    def make(split=small_split, every=7, *, name="bars", recipe=None, **changes):
        report = evaluate(
            lambda tiles: _answers(split, every)[: len(tiles)],
            Split(split.tiles[:1000], split.labels[:1000]),
            model=ModelInfo(name, "ab" * 32),
            data_name="MNIST test",
        )
        k = len(shown_errors(report))
        near = Neighbours(
            split.tiles[: 5 * k].reshape(k, 5, 28, 28),
            split.labels[: 5 * k].reshape(k, 5),
            np.full((k, 5), 0.5, np.float32),
            len(split),
        )
        card = Card(
            name=name,
            version="0.1.0",
            sha256="ab" * 32,
            recipe=(recipe or Recipe(epochs=3)).as_dict(),
            results={"epochs": 3, "best_epoch": 2, "training_seconds": 160.0},
        )
        model = {
            "card": card,
            "report": report,
            "split": Split(split.tiles[:1000], split.labels[:1000]),
            "on": "test",
            "history": history,
            "provenance": {},
            "training": range(54_000),
        }
        given = {key: changes.pop(key) for key in [*changes] if key in model}
        values = {"written": datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "neighbours": near}
        return Contents(SimpleNamespace(**model | given), **values | changes)

    return make


def _answers(split, every):
    """Answers wrong on every ``every``-th tile, with confidences from 0.6 to 0.99."""
    n = min(len(split), 1000)
    labels = split.labels[:n].astype(int)
    said = np.where(np.arange(n) % every, labels, (labels + 1) % 10)
    sure = 0.6 + 0.39 * (np.arange(n) % 40) / 39
    found = np.repeat((1 - sure)[:, None] / 9, 10, axis=1)
    found[np.arange(n), said] = sure
    return found.astype(np.float32)
