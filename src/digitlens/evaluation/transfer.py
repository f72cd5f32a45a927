"""How well a model reads digits of another data set; knows only the function it is handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digitlens.evaluation.evaluate import PredictProba, evaluate
from digitlens.evaluation.report import ModelInfo, Report

if TYPE_CHECKING:
    from digitlens.datasets.external.registry import Foreign

SCORE = ("errors", "accuracy", "interval", "loss", "expected_calibration_error")
DETAIL = ("classes", "confused_pairs", "wrong")


@dataclass(frozen=True, eq=False)
class Transfer:
    """What a model makes of digits of another data set than it was trained on.

    Attributes:
        name: Name of the data set.
        title: What to call it, with the name of its file.
        framed: On tiles framed by the rule of MNIST, as the model expects them.
        unframed: On the pictures resized to tiles and nothing else.
    """

    name: str
    title: str
    framed: Report
    unframed: Report

    def as_dict(self) -> dict[str, Any]:
        """Both scores as JSON-ready values, and classes, confusions and mistakes of the framed."""
        framed, unframed = self.framed.as_dict(), self.unframed.as_dict()
        return {
            "name": self.name,
            "title": self.title,
            "model": framed["model"],
            "n": self.framed.n,
            "framed": {key: framed[key] for key in SCORE} | {"sha256": framed["data"]["sha256"]},
            "unframed": {key: unframed[key] for key in SCORE},
            **{key: framed[key] for key in DETAIL},
        }


def measure_transfer(
    predict_proba: PredictProba,
    data: Foreign,
    *,
    model: ModelInfo | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Transfer:
    """Runs a model over the digits of another data set, framed and unframed.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10] whose rows sum to 1.
        data: The tiles.
        model: Who answers, for the record.
        on_progress: Called after every chunk with its number of tiles; two times N in the end.

    Raises:
        DataError: The data set is empty.
        ModelError: The answers are not probabilities of ten digits for every tile.
    """
    framed, unframed = (
        evaluate(
            predict_proba,
            split,
            model=model,
            data_name=f"{data.title}, {how}",
            on_progress=on_progress,
        )
        for split, how in ((data.framed, "framed"), (data.unframed, "unframed"))
    )
    return Transfer(data.name, data.title, framed, unframed)
