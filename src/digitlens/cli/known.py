"""Digits that a model was trained with, with the features it has of them; kept for the next time.

To compute them takes 8 s or more, to load them next to nothing, so that what was computed is kept
in the cache folder, in a file named by the hashes of the model and of the tiles.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from digitlens.errors import ModelError
from digitlens.progress import note, work_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from digitlens.datasets.mnist import Split
    from digitlens.models.classifier import Classifier

    Floats = npt.NDArray[np.float32]
    Tiles = npt.NDArray[np.uint8]

_CHUNK = 2000  # tiles between two movements of the bar
_SAMPLE = 1000  # digits that tell how far a usual one is from the nearest known one
_HASH = 12  # digits of a hash in the name of a file


class Known(NamedTuple):
    """Known digits.

    Attributes:
        tiles: uint8[M, 28, 28].
        labels: uint8[M].
        features: float32[M, D]; what the model's last dense layer is given; cannot be written to.
    """

    tiles: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float32]


def known_digits(classifier: Classifier, training: Split) -> Known:
    """A model's features of tiles: those kept from an earlier time, or asked for now.

    Args:
        classifier: The model.
        training: The tiles it was trained with.

    Raises:
        ModelError: Its graph gives no features.
    """
    width = _width(classifier, training.tiles)
    path = _path("features", classifier, training.tiles)
    kept = _load(path, (len(training), width))
    if kept is None:
        kept = _features(classifier, training.tiles, width)
        _keep(path, kept)
    kept.flags.writeable = False
    return Known(training.tiles, training.labels, kept)


def usual_distances(classifier: Classifier, known: Known, others: Split) -> Floats:
    """How far digits that a model was not trained with are from the nearest known one.

    Args:
        classifier: The model.
        known: The digits it was trained with.
        others: Digits that it was not trained with; 1,000 of them, evenly spread, are compared.

    Returns:
        float32[at most 1,000], ascending; see ``evaluation.neighbours``.

    Raises:
        ModelError: Its graph gives no features.
    """
    import numpy as np

    from digitlens.evaluation.neighbours import nearest

    count = min(_SAMPLE, len(others))
    chosen = others.tiles[np.arange(count) * len(others) // max(count, 1)]
    path = _path("distances", classifier, known.tiles, chosen)
    kept = _load(path, (count,))
    if kept is None:
        features = _features(classifier, chosen, known.features.shape[1])
        kept = np.sort(nearest(features, known.features, 1).distances[:, 0])
        _keep(path, kept)
    return kept


def _width(classifier: Classifier, tiles: Tiles) -> int:
    features = classifier.outputs(tiles[:1]).features
    if features is None:
        raise ModelError(
            f"{classifier.name} gives no features: expected one network, exported by this "
            "digitlens; several that are averaged have none in common"
        )
    return int(features.shape[1])


def _features(classifier: Classifier, tiles: Tiles, width: int) -> Floats:
    """float32[N, width]."""
    import numpy as np

    found = np.empty((len(tiles), width), np.float32)
    with work_bar() as bar:
        task = bar.add_task("known digits", total=len(tiles))
        for start in range(0, len(tiles), _CHUNK):
            chunk = tiles[start : start + _CHUNK]
            found[start : start + len(chunk)] = classifier.outputs(chunk).features
            bar.advance(task, len(chunk))
    return found


def _path(what: str, classifier: Classifier, *tiles: Tiles) -> Path:
    """The file in the cache folder."""
    import numpy as np

    from digitlens import files
    from digitlens.files import cache_folder

    hashes = (files.sha256(np.ascontiguousarray(part).data) for part in tiles)
    name = "-".join([what, *(text[:_HASH] for text in (classifier.sha256, *hashes))])
    return cache_folder("known") / f"{name}.npy"


def _load(path: Path, shape: tuple[int, ...]) -> Floats | None:
    """The float32 numbers in a file; None where there is none, or it is damaged.

    They stay in the file until they are asked for: of ``default`` they are 190 MB.
    """
    import numpy as np

    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(found, np.ndarray) and found.shape == shape and found.dtype == np.float32
    return found if fits and np.isfinite(found.sum()) else None


def _keep(path: Path, values: Floats) -> None:
    """Writes an array; a cache that cannot be written costs time the next time, nothing now."""
    import numpy as np

    from digitlens import files

    try:
        with files.atomic_path(path) as temporary:
            np.save(temporary, values, allow_pickle=False)
    except OSError as error:
        note(f"what is known of the training digits cannot be kept for the next time: {error}")
