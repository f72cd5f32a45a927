"""Evidence for a prediction: pixel attributions, counterfactuals and similar training digits.

Attributions by occlusion measure the effect of covering small patches, for any classifier (M. D.
Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014). Integrated
gradients need the network in PyTorch, which is imported on use (M. Sundararajan et al., "Axiomatic
attribution for deep networks", ICML 2017).

Counterfactuals explain a prediction without access to the network: S. Wachter, B. Mittelstadt,
C. Russell, "Counterfactual explanations without opening the black box", Harvard Journal of Law &
Technology 31, 2018. Patches are found by beam search (B. Lowerre, "The Harpy speech recognition
system", 1976) from large to small, so the result is small but not necessarily the smallest.

Similarity of digits is the direction of their features: all are scaled to length 1, as in Y. Sun
et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022. Computing the
features of the training digits takes 8 s or more and loading them almost no time, so they are kept
in the cache folder, in a file named by the hashes of the model and the tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.datasets.corruptions import rotated, thickness, to_planes, to_tiles
from digitlens.datasets.mnist import Split
from digitlens.errors import ModelError, needs_extra
from digitlens.evaluation.metrics import CLASSES, Floats, PredictProba
from digitlens.evaluation.ood import find_nearest
from digitlens.models.classifier import Classifier
from digitlens.progress import note, work_bar
from digitlens.results import plain_fields

if TYPE_CHECKING:
    from torch import nn

SIDE = 28
STEPS = 64  # of integrated gradients
MIN_PROBABILITY = 1e-12  # lower bound of probabilities, since those of float32 can vanish


def occlude(
    predict_proba: PredictProba,
    tile: npt.NDArray[np.uint8],
    value: int,
    *,
    size: int = 5,
    against: int | None = None,
    ink: int = 0,
) -> npt.NDArray[np.float32]:
    """The drop in the log-odds of a value when the area around each pixel is covered.

    Log-odds rather than the probability: that of a confident prediction stays at 1 whatever is
    covered, while its odds fall from a million to a thousand to one.

    Patches of ``size`` x ``size`` pixels are covered: ``ink`` 0 blanks them, 255 fills them with
    ink. The odds are against the digit ``against``, or all nine others together.

    Returns:
        float32[28, 28], in nats: the mean over all patches that contain the pixel. Positive values
        are evidence for the value, negative ones against it.
    """
    odds = log_odds(predict_proba(_cover_patches(tile, size, ink)), value, against)
    before = log_odds(predict_proba(tile[None]), value, against)
    positions = SIDE + size - 1
    drops = (before - odds).reshape(positions, positions)
    patches = np.lib.stride_tricks.sliding_window_view(drops, (size, size))
    return patches.mean(axis=(2, 3)).astype(np.float32)


def log_odds(
    probabilities: Floats, value: int, against: int | None = None
) -> npt.NDArray[np.float64]:
    """Natural logarithm of the odds of a value against one digit, or all others: float64[N]."""
    if against == value:
        raise ValueError(f"expected two different digits, found {value} twice")
    # The others are summed: 1 minus a probability near 1 loses precision.
    others = np.delete(probabilities, value, axis=1) if against is None else None
    rest = probabilities[:, against] if others is None else others.sum(axis=1, dtype=np.float64)
    chosen = np.maximum(probabilities[:, value].astype(np.float64), MIN_PROBABILITY)
    return np.log(chosen) - np.log(np.maximum(rest.astype(np.float64), MIN_PROBABILITY))


def _cover_patches(tile: npt.NDArray[np.uint8], size: int, ink: int) -> npt.NDArray[np.uint8]:
    """The tile with each possible patch covered in turn, row by row: uint8[P, 28, 28].

    Patches may extend beyond the edge, so that every pixel is in the same number of patches.
    """
    positions = np.arange(1 - size, SIDE)
    pixels = np.arange(SIDE)
    covered = (pixels >= positions[:, None]) & (pixels < positions[:, None] + size)
    patches = covered[:, None, :, None] & covered[None, :, None, :]
    return np.where(patches, np.uint8(ink), tile).reshape(-1, SIDE, SIDE)


def integrate_gradients(
    network: nn.Module,
    tile: npt.NDArray[np.uint8],
    value: int,
    *,
    against: int | None = None,
    steps: int = STEPS,
) -> npt.NDArray[np.float32]:
    """Integrated gradients: the contribution of each pixel's ink to the log-odds of a value.

    The gradient, averaged over the path from a blank tile to this one, times the ink. Unlike plain
    gradients, the contributions add up to the difference in log-odds between the tile and a blank
    one, up to an error that vanishes with more steps. Pixels without ink contribute nothing.

    The network is in evaluation mode and maps tiles to logits, see ``DigitNetwork``; the odds are
    those of ``occlude``.

    Returns:
        float32[28, 28], in nats. Positive values are evidence for the value, negative ones against.
    """
    import torch  # noqa: PLC0415  (slow to load, and an extra)

    pixels = torch.from_numpy(tile).float()
    fractions = (torch.arange(steps) + 0.5) / steps  # midpoints: second-order error
    path = (fractions[:, None, None] * pixels).requires_grad_()
    logits = network(path)[:, :CLASSES]
    others = [digit for digit in range(CLASSES) if digit != value]
    rest = others if against is None else [against]
    odds = logits[:, value] - torch.logsumexp(logits[:, rest], dim=1)
    (gradients,) = torch.autograd.grad(odds.sum(), path)
    return (gradients.mean(0) * pixels).numpy()


Kind: TypeAlias = Literal["erase", "add", "turn", "move", "thicken", "thin"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FIRST_SIDE = 9  # pixels: side of the first patches of the search ...
_STRIDE = 3  # ... and their spacing, so that any patch of side 7 lies in one of them
_BEAM = 12  # patches of each side whose corners are searched next
_MAX_ERASED = 0.5  # fraction of the ink: erasing more leaves a different picture
_TURNS = 45  # maximum degrees: turned further, a 6 rightly becomes a 9
_MOVES = 5  # maximum pixels, in rows and in columns
_KEPT = 0.98  # fraction of the ink that must stay in the tile
_WIDTH_CHANGES = np.arange(0.25, 3.01, 0.25)  # pixels by which strokes become thicker or thinner

Tile = npt.NDArray[np.uint8]
_Corner: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The smallest change of one kind that was found to change the prediction."""

    # ``erase`` or ``add`` a square patch of ink; ``turn``, ``move``, ``thicken`` or ``thin`` all of
    # the ink
    kind: Kind
    # side of the patch in pixels; degrees anticlockwise; pixels moved; pixels of stroke width
    amount: float
    # row and column of the patch's first pixel; pixels down and to the right of a move
    place: tuple[int, int] | None
    ink: float  # ink erased or added, as a fraction of the tile's ink
    value: int  # the new prediction
    probability: float  # its probability
    tile: Tile  # uint8[28, 28]; the changed tile

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the tile."""
        named = plain_fields(self, "kind", "amount", "place", "ink", "value", "probability")
        return named | {"ink": round(self.ink, 4)}


def find_counterfactuals(predict_proba: PredictProba, tile: Tile) -> list[Counterfactual]:
    """The smallest change of each kind that changes a classifier's prediction.

    Classifies about 800 tiles, in 22 batches. The tile is uint8[28, 28], ink bright on dark; else
    ValueError. Returns at most one change per kind, in the order of ``KINDS``; none without ink.
    """
    if tile.shape != (28, 28) or tile.dtype != np.uint8:
        raise ValueError(f"expected uint8[28, 28], found {tile.dtype}{list(tile.shape)}")
    if not tile.any():
        return []
    value = int(predict_proba(tile[None])[0].argmax())
    changes = [_smallest_patch(predict_proba, tile, value, kind) for kind in ("erase", "add")]
    batches = _turns(tile), _moves(tile), _widths(tile, "thicken", 1), _widths(tile, "thin", -1)
    for tries in batches:
        _, others = _classify(predict_proba, tries, tile, value)
        changes += others[:1]
    return [change for change in changes if change]


class _Try(NamedTuple):
    kind: Kind
    amount: float
    place: _Corner | None
    tile: Tile


def _classify(
    predict: PredictProba, tries: Sequence[_Try], tile: Tile, value: int
) -> tuple[Floats, list[Counterfactual]]:
    """The probabilities of each try, and the tries that change the prediction."""
    if not tries:
        return np.empty((0, CLASSES)), []
    chances = predict(np.stack([one.tile for one in tries]))
    others: list[Counterfactual] = []
    for k in np.flatnonzero(chances.argmax(axis=1) != value).tolist():
        kind, amount, place, changed = tries[k]
        share = 0.0
        if kind in ("erase", "add"):
            share = float(np.abs(changed.astype(np.int64) - tile).sum() / tile.sum(dtype=np.int64))
        new = int(chances[k].argmax())
        chance = float(chances[k, new])
        others.append(Counterfactual(kind, amount, place, share, new, chance, changed))
    return chances, others


def _turns(tile: Tile) -> list[_Try]:
    """Rotations in both directions, smallest first."""
    degrees = [side * step for step in range(1, _TURNS + 1) for side in (1, -1)]
    planes = np.repeat(to_planes(tile[None]), len(degrees), axis=0)
    tiles = to_tiles(rotated(planes, np.radians(degrees).astype(np.float32)))
    return [_Try("turn", angle, None, one) for angle, one in zip(degrees, tiles, strict=True)]


def _moves(tile: Tile) -> list[_Try]:
    """Shifts in all directions that keep the ink in the tile, shortest first."""
    shifts = [(y, x) for y in range(-_MOVES, _MOVES + 1) for x in range(-_MOVES, _MOVES + 1)]
    shifts.sort(key=lambda way: way[0] ** 2 + way[1] ** 2)
    padded, min_ink, tries = np.pad(tile, _MOVES), _KEPT * tile.sum(dtype=np.int64), list[_Try]()
    for down, right in shifts[1:]:
        moved = padded[_MOVES - down :, _MOVES - right :][:28, :28]
        if moved.sum(dtype=np.int64) >= min_ink:
            tries.append(_Try("move", round(float(np.hypot(down, right)), 2), (down, right), moved))
    return tries


def _widths(tile: Tile, kind: Kind, sign: int) -> list[_Try]:
    """Thicker or thinner strokes, smallest change first, that leave at least half of the ink."""
    plane, rng = to_planes(tile[None]), np.random.default_rng(0)  # unused here
    tries = [
        _Try(kind, float(pixels), None, to_tiles(thickness(plane, sign * pixels, rng))[0])
        for pixels in _WIDTH_CHANGES
    ]
    min_ink = _MAX_ERASED * tile.sum(dtype=np.int64)
    return [one for one in tries if one.tile.sum(dtype=np.int64) >= min_ink]


def _smallest_patch(
    predict: PredictProba, tile: Tile, value: int, kind: Kind
) -> Counterfactual | None:
    """The smallest square found that changes the prediction when it is blanked or inked.

    At each side length, the squares that speak most against the prediction are kept, and each is
    replaced by the four next smaller squares in its corners.
    """
    last = 28 - _FIRST_SIDE
    starts = [*range(0, last, _STRIDE), last]
    corners = [(row, column) for row in starts for column in starts]
    best: Counterfactual | None = None
    for side in range(_FIRST_SIDE, 0, -1):
        tries = _with_patches(tile, corners, side, kind)
        chances, others = _classify(predict, tries, tile, value)
        allowed = [one for one in others if kind == "add" or one.ink <= _MAX_ERASED]
        best = min(allowed, key=lambda one: one.ink, default=best)
        likely = np.argsort(-_log_ratio(chances, value), kind="stable")[:_BEAM].tolist()
        best_corners = [place for k in likely if (place := tries[k].place)]
        steps = [(down, right) for down in (0, 1) for right in (0, 1)]
        corners = list(
            dict.fromkeys((y + down, x + right) for y, x in best_corners for down, right in steps)
        )
    return best


def _with_patches(tile: Tile, corners: Sequence[_Corner], side: int, kind: Kind) -> list[_Try]:
    """The tile with a square blanked or inked at each corner, if that changes any pixel."""
    ink, tries = (0 if kind == "erase" else 255), list[_Try]()
    for row, column in corners:
        changed = tile.copy()
        changed[row : row + side, column : column + side] = ink
        if (changed != tile).any():
            tries.append(_Try(kind, side, (row, column), changed))
    return tries


def _log_ratio(chances: Floats, value: int) -> Floats:
    """float[N]: log of the ratio of the most probable other value to ``value``."""
    logs = np.log(np.maximum(chances, 1e-30))
    value_log = logs[:, value].copy()
    logs[:, value] = -np.inf
    return logs.max(axis=1) - value_log


Tiles = npt.NDArray[np.uint8]
_EMBED_BATCH = 2000  # tiles per update of the progress bar
_SAMPLE = 1000  # digits from which usual nearest-neighbour distances are measured
_HASH_DIGITS = 12  # digits of a hash in a file name


class KnownDigits(NamedTuple):
    """A model's training digits, with their features."""

    tiles: npt.NDArray[np.uint8]  # uint8[M, 28, 28]
    labels: npt.NDArray[np.uint8]  # uint8[M]
    # float32[M, D]; inputs of the model's last dense layer; read-only
    features: npt.NDArray[np.float32]


def embed_known_digits(classifier: Classifier, training: Split) -> KnownDigits:
    """A model's training tiles with their features, from the cache or newly computed.

    Raises ModelError if its graph has no features output.
    """
    width = answers_and_features(classifier, training.tiles[:1])[1].shape[1]
    path = _cache_path("features", classifier, training.tiles)
    kept = _cache(path, (len(training), width), lambda: _embed(classifier, training.tiles, width))
    kept.flags.writeable = False
    return KnownDigits(training.tiles, training.labels, kept)


def answers_and_features(classifier: Classifier, tiles: Tiles) -> tuple[Floats, Floats]:
    """Probabilities float32[N, 10] and features float32[N, D], inputs of the last dense layer.

    Raises ModelError if the model's graph has no features output.
    """
    outputs = classifier.outputs(tiles)
    if outputs.features is None:
        raise ModelError(
            f"{classifier.name} has no features output: expected a single network, exported by "
            "this digitlens; averaged networks have no features in common"
        )
    return outputs.probabilities, outputs.features


class Members:
    """The individual networks that a model averages."""

    def __init__(self, bundle: Path) -> None:
        """Raises ModelError if there are no weights, or only one network with a single view."""
        from digitlens.training.export import load_network  # noqa: PLC0415  (PyTorch)

        network: Any = load_network(bundle)
        if not hasattr(network, "members"):
            raise ModelError(f"{bundle} is a single network: expected an average of several")
        self._networks = list(network.members)

    def vote(self, tiles: Tiles) -> npt.NDArray[np.uint8]:
        """Each network's prediction for tiles uint8[N, 28, 28], without TTA: uint8[N, M]."""
        import torch  # noqa: PLC0415

        from digitlens.training.tile_networks import CLASSES, predict_logits  # noqa: PLC0415

        inputs = torch.from_numpy(tiles)
        votes = [predict_logits(one, inputs)[:, :CLASSES].argmax(1) for one in self._networks]
        return torch.stack(votes, dim=1).numpy().astype(np.uint8)

    def features(self, tiles: Tiles) -> npt.NDArray[np.float32]:
        """Features of the first network, float32[N, D]; the networks have none in common."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            parts = map(self._networks[0].features, torch.from_numpy(tiles).split(1000))
            return torch.cat(list(parts)).numpy()


def measure_usual_distances(
    classifier: Classifier, known: KnownDigits, others: Split
) -> npt.NDArray[np.float32]:
    """Distances of digits not used in training to their nearest known digit, ascending.

    Measures 1,000 of ``others``, evenly spaced: float32[at most 1,000]. Raises ModelError if the
    model's graph has no features output.
    """
    count = min(_SAMPLE, len(others))
    chosen = others.tiles[np.arange(count) * len(others) // max(count, 1)]

    def measure() -> npt.NDArray[np.float32]:
        features = _embed(classifier, chosen, known.features.shape[1])
        return np.sort(find_nearest(features, known.features, 1).distances[:, 0])

    path = _cache_path("distances", classifier, known.tiles, chosen)
    return _cache(path, (count,), measure)


def _embed(classifier: Classifier, tiles: Tiles, width: int) -> npt.NDArray[np.float32]:
    embedded = np.empty((len(tiles), width), np.float32)
    with work_bar() as bar:
        task = bar.add_task("known digits", total=len(tiles))
        for start in range(0, len(tiles), _EMBED_BATCH):
            chunk = tiles[start : start + _EMBED_BATCH]
            embedded[start : start + len(chunk)] = classifier.outputs(chunk).features
            bar.advance(task, len(chunk))
    return embedded


def _cache_path(kind: str, classifier: Classifier, *tiles: Tiles) -> Path:
    hashes = (files.sha256(np.ascontiguousarray(part).data) for part in tiles)
    name = "-".join([kind, *(text[:_HASH_DIGITS] for text in (classifier.sha256, *hashes))])
    return files.cache_folder("known") / f"{name}.npy"


def _cache(
    path: Path, shape: tuple[int, ...], compute: Callable[[], npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """The array in a file; if it is missing or damaged, a new array, which is then stored.

    The file is memory-mapped, since the features of ``default`` take 190 MB.
    """
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        array = None
    valid = isinstance(array, np.ndarray) and array.shape == shape and array.dtype == np.float32
    if valid and np.isfinite(array.sum()):
        return array
    computed = compute()
    try:
        with files.atomic_path(path) as temporary:
            np.save(temporary, computed, allow_pickle=False)
    except OSError as error:  # only costs time on the next run
        note(f"the features of the training digits cannot be cached for the next run: {error}")
    return computed


Method = Literal["pca", "tsne", "umap"]
METHODS: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
Points = npt.NDArray[np.float32]


def project(features: Floats, method: Method = "pca") -> Points:
    """Projects features float[N, D], N >= 3, D >= 2, to two dimensions: float32[N, 2].

    Deterministic. ``pca`` is the plane of the largest variance; ``tsne`` (L. van der Maaten, G.
    Hinton, JMLR 2008) and ``umap`` (L. McInnes et al., 2018) keep neighbours together, so distances
    between groups mean nothing; MissingExtraError without their package.
    """
    if features.ndim != 2 or len(features) < 3 or features.shape[1] < 2:
        raise ValueError(f"expected features [3 or more, 2 or more], found {list(features.shape)}")
    if method not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)} as method, found {method!r}")
    if method == "pca":
        return pca(features)
    with needs_extra("maps"):
        if method == "tsne":
            from sklearn.manifold import TSNE  # noqa: PLC0415  (an extra, and slow to load)

            neighbours = min(30.0, (len(features) - 1) / 3)
            reducer: Any = TSNE(init="pca", perplexity=neighbours, random_state=0)
        else:
            import umap  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

            neighbours = min(15, len(features) - 1)
            reducer = umap.UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1)
        return np.asarray(reducer.fit_transform(features), np.float32)


def pca(features: Floats) -> Points:
    """Coordinates float32[N, 2] in the plane of the two principal components, about the mean.

    H. Hotelling, "Analysis of a complex of statistical variables into principal components", 1933.
    The sign of a singular vector is arbitrary: on each axis, the feature with the largest weight
    points up.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    # Right singular vectors from the covariance: for 2,000 x 864, in a tenth of the time.
    _, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, :-3:-1].T
    heaviest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(2), heaviest])
    return (centred @ (axes * signs[:, None]).T).astype(np.float32)
