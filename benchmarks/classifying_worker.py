"""One who classifies tiles, in a process of its own, timed whenever it is asked to.

    python benchmarks/classifying_worker.py NAME MODEL CORES TILES.npz

TILES.npz has ``tiles`` uint8[N, 28, 28] and ``labels`` to classify, and ``train_tiles`` and
``train_labels`` for who has to learn first. Says in a line of JSON what it is, then for each line
``{"tiles": T, "calls": C}`` the seconds of C calls with T tiles each, of fewer if they take long.
Keras runs in an environment without digitlens, so libraries are imported where they are used.
"""

# ruff: noqa: PLC0415

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tiles = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.floating[Any]]
Material = Mapping[str, npt.NDArray[Any]]

BATCH = 512  # tiles a call, for those that leave it to their user
PATIENCE = 2.0  # seconds, after which no further call begins


@dataclass
class Contender:
    """Who classifies.

    Attributes:
        answer: From tiles, prepared, to scores [N, 10].
        prepare: What is done to uint8 tiles beforehand, which is not timed.
        trained: Whether the answers mean anything.
        about: What else is to be recorded.
    """

    answer: Callable[[Any], Any]
    prepare: Callable[[Tiles], Any]
    trained: bool = True
    about: dict[str, Any] = field(default_factory=dict)


def main() -> None:
    name, model, cores, path = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable[: int(cores)])
    with np.load(path, allow_pickle=False) as content:
        material = dict(content)
    contender = CONTENDERS[name](model, material)
    prepared = contender.prepare(material["tiles"])
    _say(contender.about | _accuracy(contender, prepared, material["labels"]))
    for line in sys.stdin:
        asked = json.loads(line)
        _say({"seconds": _timed(contender, prepared, asked["tiles"], asked["calls"])})


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def _accuracy(contender: Contender, prepared: Any, labels: npt.NDArray[Any]) -> dict[str, Any]:
    """Share of the tiles classified right, of those that know; warms up both ways to ask."""
    contender.answer(prepared[:1])
    count = min(len(labels), contender.about.get("most", len(labels)))
    scores = np.asarray(contender.answer(prepared[:count]))
    if not contender.trained:
        return {"accuracy": None}
    return {"accuracy": float(np.mean(scores.argmax(axis=1) == labels[:count])), "tiles": count}


def _timed(contender: Contender, prepared: Any, tiles: int, calls: int) -> list[float]:
    seconds: list[float] = []
    for call in range(calls):
        if sum(seconds) > PATIENCE:
            break
        start = call * tiles % (len(prepared) - tiles + 1)
        part = prepared[start : start + tiles]
        before = time.perf_counter()
        contender.answer(part)
        seconds.append(time.perf_counter() - before)
    return seconds


def digitlens(model: str, _: Material) -> Contender:
    """The classifier as users have it, which finds out for itself how many cores there are."""
    from digitlens.models.bundle import load_bundle
    from digitlens.models.classifier import Classifier
    from graph_cost import multiply_adds

    about = {
        "versions": f"onnxruntime {version('onnxruntime')}",
        "multiply_adds": multiply_adds(load_bundle(model).graph),
    }
    return Contender(Classifier(model).predict_proba, np.asarray, about=about)


def torch_eager(model: str, _: Material) -> Contender:
    """The same network where it was trained."""
    return _torch(model, lambda network: network, {})


def torch_compiled(model: str, material: Material) -> Contender:
    """The same, compiled for one tile and for a batch; how long that takes is recorded."""
    import torch

    about: dict[str, Any] = {}
    contender = _torch(model, lambda network: torch.compile(network, dynamic=False), about)
    start = time.perf_counter()
    for count in (1, BATCH):
        contender.answer(torch.from_numpy(material["tiles"][:count]))
    about["compile_seconds"] = time.perf_counter() - start
    return contender


def _torch(model: str, wrap: Callable[[Any], Any], about: dict[str, Any]) -> Contender:
    import torch

    from digitlens.training.export import load_network

    network = wrap(load_network(model))

    @torch.inference_mode()
    def answer(tiles: torch.Tensor) -> npt.NDArray[np.float32]:
        # Batches of one size: whatever is compiled is compiled for it.
        parts = [_padded(network, part) for part in tiles.split(BATCH)]
        return torch.cat([torch.softmax(part[:, :10], dim=1) for part in parts]).numpy()

    about |= {"versions": f"torch {torch.__version__}", "most": 4 * BATCH}
    return Contender(answer, torch.from_numpy, about=about)


def _padded(network: Any, tiles: Any) -> Any:
    import torch

    if len(tiles) in (1, BATCH):
        return network(tiles)
    missing = torch.zeros(BATCH - len(tiles), 28, 28, dtype=torch.uint8)
    return network(torch.cat([tiles, missing]))[: len(tiles)]


def keras_predict(_: str, __: Material) -> Contender:
    """Keras's example for MNIST, asked as its documentation asks it; not trained."""
    model, contender = _keras()
    contender.answer = lambda tiles: model.predict(tiles, batch_size=BATCH, verbose=0)
    return contender


def keras_on_batch(_: str, __: Material) -> Contender:
    """The same, without what ``predict`` sets up around each call."""
    model, contender = _keras()
    contender.answer = lambda tiles: np.concatenate(
        [model.predict_on_batch(part) for part in _parts(tiles)]
    )
    return contender


def keras_call(_: str, __: Material) -> Contender:
    """The same, called like a function, layer by layer."""
    model, contender = _keras()
    contender.answer = lambda tiles: np.concatenate(
        [np.asarray(model(part, training=False)) for part in _parts(tiles)]
    )
    return contender


def _parts(tiles: Scores) -> list[Scores]:
    return [tiles[start : start + BATCH] for start in range(0, len(tiles), BATCH)]


def _keras() -> tuple[Any, Contender]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    about = {
        "versions": f"keras {keras.__version__}, tensorflow-cpu {version('tensorflow-cpu')}",
        "multiply_adds": 32 * 26**2 * 9 + 64 * 11**2 * 32 * 9 + 64 * 5**2 * 10,
    }
    unit = lambda tiles: tiles[..., None].astype(np.float32) / 255  # noqa: E731
    return model, Contender(np.asarray, unit, trained=False, about=about)


def svc(_: str, material: Material) -> Contender:
    """scikit-learn's support vector machine with its defaults: radial basis functions."""
    from sklearn.svm import SVC

    unit = lambda tiles: tiles.reshape(-1, 784) / 255  # noqa: E731
    learned = SVC().fit(unit(material["train_tiles"]), material["train_labels"])
    about = {
        "versions": f"scikit-learn {version('scikit-learn')}",
        "multiply_adds": learned.support_vectors_.size,
        "most": 1000,
    }
    return Contender(lambda tiles: np.eye(10)[learned.predict(tiles)], unit, about=about)


CONTENDERS: dict[str, Callable[[str, Material], Contender]] = {
    "digitlens": digitlens,
    "torch": torch_eager,
    "compiled": torch_compiled,
    "predict": keras_predict,
    "on_batch": keras_on_batch,
    "call": keras_call,
    "svc": svc,
}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
