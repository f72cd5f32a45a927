"""Features of many dimensions brought to two, for a map; knows features, no model."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from digitlens.errors import needs_extra
from digitlens.evaluation.metrics import Floats

Method = Literal["pca", "tsne", "umap"]
METHODS: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
Points = npt.NDArray[np.float32]


def project(features: Floats, method: Method = "pca") -> Points:
    """The same points in two dimensions; the same each time.

    Args:
        features: float[N, D].
        method: ``pca``, the plane in which they spread the most. ``tsne`` and ``umap`` keep
            neighbours together instead, and say nothing of distances between groups.

    Returns:
        float32[N, 2].

    Raises:
        MissingExtraError: The package of the method is not installed.
        ValueError: There are fewer than three points or two dimensions, or no such method.
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
    """Coordinates in the plane of the two principal components, about the mean.

    H. Hotelling, "Analysis of a complex of statistical variables into principal components", 1933.

    Args:
        features: float[N, D].

    Returns:
        float32[N, 2]; of each axis, the feature that weighs most points up, since a singular
        vector may as well be turned round.
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
