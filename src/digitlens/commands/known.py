"""Digits that a model was trained with, with the features it has of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from digitlens.errors import ModelError
from digitlens.progress import work_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from digitlens.data.mnist import Split
    from digitlens.model.classifier import Classifier

_CHUNK = 2000  # tiles between two movements of the bar


class Known(NamedTuple):
    """Known digits.

    Attributes:
        tiles: uint8[M, 28, 28].
        labels: uint8[M].
        features: float32[M, D]; what the model's last dense layer is given.
    """

    tiles: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float32]


def known_digits(classifier: Classifier, training: Split) -> Known:
    """Asks a model for its features of tiles.

    Args:
        classifier: The model.
        training: The tiles it was trained with.

    Raises:
        ModelError: Its graph gives no features.
    """
    import numpy as np

    parts: list[npt.NDArray[np.float32]] = []
    with work_bar() as bar:
        task = bar.add_task("known digits", total=len(training))
        for start in range(0, len(training), _CHUNK):
            chunk = training.tiles[start : start + _CHUNK]
            features = classifier.outputs(chunk).features
            if features is None:
                raise ModelError(
                    f"{classifier.name} gives no features: expected one network, exported by this "
                    "digitlens; several that are averaged have none in common"
                )
            parts.append(features.astype(np.float32))
            bar.advance(task, len(chunk))
    return Known(training.tiles, training.labels, np.concatenate(parts))
