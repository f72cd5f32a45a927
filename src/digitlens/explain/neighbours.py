"""Known digits that look most alike to a network, by its features; and a map of features.

Alike are features that point the same way: all are scaled to length 1, as in Y. Sun et al.,
"Out-of-distribution detection with deep nearest neighbors", ICML 2022. To compute those of the
training digits takes 8 s or more, to load them next to nothing, so that what was computed is kept
in the cache folder, in a file named by the hashes of the model and of the tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.errors import ModelError, needs_extra
from digitlens.evaluation.metrics import Floats
from digitlens.evaluation.ood import Nearest, find_nearest
from digitlens.files import cache_folder
from digitlens.models.classifier import Classifier
from digitlens.progress import note, work_bar


def find_nearest_of(
    features: Floats, known: Floats, chosen: npt.NDArray[np.bool_], k: int
) -> Nearest:
    """The nearest of some of the known digits, such as those of one value, by indices among all.

    At most k columns, and fewer where fewer are ``chosen``, bool[M]; ValueError where none is.
    """
    places = np.flatnonzero(chosen)
    found = find_nearest(features, known[places], min(k, max(1, len(places))))
    return Nearest(places[found.indices], found.distances)


def share_nearer(distances: Floats, usual: Floats) -> npt.NDArray[np.float64]:
    """Share of usual distances float[V], ascending, that is below each of others: float64[N].

    0.99 where a tile is farther from all known digits than 99 % of usual ones. V is at least 1.
    """
    if not len(usual):
        raise ValueError("expected at least one usual distance, found none")
    return np.searchsorted(usual, distances, side="left") / len(usual)


Tiles = npt.NDArray[np.uint8]
_EMBEDDED = 2000  # tiles between two movements of the bar
_SAMPLE = 1000  # digits that tell how far a usual one is from the nearest known one
_HASH = 12  # digits of a hash in the name of a file


class KnownDigits(NamedTuple):
    """Known digits.

    Attributes:
        tiles: uint8[M, 28, 28].
        labels: uint8[M].
        features: float32[M, D]; what the model's last dense layer is given; cannot be written to.
    """

    tiles: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float32]


def embed_known_digits(classifier: Classifier, training: Split) -> KnownDigits:
    """A model's features of the tiles it was trained with: those kept in the cache, or new ones.

    Raises ModelError where its graph gives no features.
    """
    width = _width(classifier, training.tiles)
    path = _cache_path("features", classifier, training.tiles)
    kept = _cached(path, (len(training), width), lambda: _embed(classifier, training.tiles, width))
    kept.flags.writeable = False
    return KnownDigits(training.tiles, training.labels, kept)


def measure_usual_distances(
    classifier: Classifier, known: KnownDigits, others: Split
) -> npt.NDArray[np.float32]:
    """How far digits that a model was not trained with are from the nearest known one, ascending.

    1,000 of them, evenly spread, are compared: float32[at most 1,000]. Raises ModelError where the
    model's graph gives no features.
    """
    count = min(_SAMPLE, len(others))
    chosen = others.tiles[np.arange(count) * len(others) // max(count, 1)]

    def measure() -> npt.NDArray[np.float32]:
        features = _embed(classifier, chosen, known.features.shape[1])
        return np.sort(find_nearest(features, known.features, 1).distances[:, 0])

    path = _cache_path("distances", classifier, known.tiles, chosen)
    return _cached(path, (count,), measure)


def _width(classifier: Classifier, tiles: Tiles) -> int:
    features = classifier.outputs(tiles[:1]).features
    if features is None:
        raise ModelError(
            f"{classifier.name} gives no features: expected one network, exported by this "
            "digitlens; several that are averaged have none in common"
        )
    return int(features.shape[1])


def _embed(classifier: Classifier, tiles: Tiles, width: int) -> npt.NDArray[np.float32]:
    found = np.empty((len(tiles), width), np.float32)
    with work_bar() as bar:
        task = bar.add_task("known digits", total=len(tiles))
        for start in range(0, len(tiles), _EMBEDDED):
            chunk = tiles[start : start + _EMBEDDED]
            found[start : start + len(chunk)] = classifier.outputs(chunk).features
            bar.advance(task, len(chunk))
    return found


def _cache_path(what: str, classifier: Classifier, *tiles: Tiles) -> Path:
    hashes = (files.sha256(np.ascontiguousarray(part).data) for part in tiles)
    name = "-".join([what, *(text[:_HASH] for text in (classifier.sha256, *hashes))])
    return cache_folder("known") / f"{name}.npy"


def _cached(
    path: Path, shape: tuple[int, ...], compute: Callable[[], npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """The numbers in a file, or, where there is none or it is damaged, new ones, which are kept.

    They stay in the file until they are asked for: of ``default`` they are 190 MB.
    """
    try:
        kept: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        kept = None
    fits = isinstance(kept, np.ndarray) and kept.shape == shape and kept.dtype == np.float32
    if fits and np.isfinite(kept.sum()):
        return kept
    found = compute()
    try:
        with files.atomic_path(path) as temporary:
            np.save(temporary, found, allow_pickle=False)
    except OSError as error:  # costs time the next time, nothing now
        note(f"what is known of the training digits cannot be kept for the next time: {error}")
    return found


Method = Literal["pca", "tsne", "umap"]
METHODS: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
Points = npt.NDArray[np.float32]


def project(features: Floats, method: Method = "pca") -> Points:
    """The same points float[N, D] in two dimensions, float32[N, 2]; the same each time.

    Args:
        features: float[N, D], N >= 3, D >= 2; else ValueError.
        method: ``pca``, the plane in which they spread the most. ``tsne`` and ``umap`` keep
            neighbours together instead, and say nothing of distances between groups.

    Raises:
        MissingExtraError: The package of the method is not installed.
    """
    if features.ndim != 2 or len(features) < 3 or features.shape[1] < 2:
        raise ValueError(
            f"expected features of [3 or more, 2 or more], found {list(features.shape)}"
        )
    if method not in METHODS:
        raise ValueError(f"expected a method of {', '.join(METHODS)}, found {method!r}")
    if method == "pca":
        return pca(features)
    with needs_extra("maps"):
        return _tsne(features) if method == "tsne" else _umap(features)


def pca(features: Floats) -> Points:
    """Coordinates float32[N, 2] in the plane of the two principal components, about the mean.

    H. Hotelling, "Analysis of a complex of statistical variables into principal components", 1933.
    Of each axis, the feature that weighs most points up, since a singular vector may as well be
    turned round.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    # Right singular vectors, by way of the covariance: for 2,000 x 864 a tenth of the time.
    _, directions = np.linalg.eigh(centred.T @ centred)
    first = directions[:, :-3:-1].T
    heaviest = np.abs(first).argmax(axis=1)
    signs = np.sign(first[np.arange(2), heaviest])
    return (centred @ (first * signs[:, None]).T).astype(np.float32)


def _tsne(features: Floats) -> Points:
    """L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 2008."""
    from sklearn.manifold import TSNE  # noqa: PLC0415  (an extra, and slow to load)

    neighbours = min(30.0, (len(features) - 1) / 3)
    found: Any = TSNE(init="pca", perplexity=neighbours, random_state=0).fit_transform(features)
    return found.astype(np.float32)


def _umap(features: Floats) -> Points:
    """L. McInnes et al., "UMAP: uniform manifold approximation and projection", 2018."""
    import umap  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

    neighbours = min(15, len(features) - 1)
    reducer: Any = umap.UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1)
    return np.asarray(reducer.fit_transform(features), np.float32)
