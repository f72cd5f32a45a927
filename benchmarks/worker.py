"""Runs a peer, or digitlens for comparison, in its own process and environment.

    python worker.py rapidocr THREADS
    python worker.py classify NAME MODEL CORES TILES.npz
    python worker.py train_seeds THREADS RECIPE SEED SEED [FIELD=VALUE ...]
    python worker.py train pytorch|keras THREADS TILES.npz EPOCHS ACCURACY
    python worker.py serve keras|torch PORT

Only NumPy and the peer's library are sure to be installed, so libraries are imported where they are
used. Replies are lines of JSON: first a description, then one for each request (a line of JSON;
``page`` is an .npy file); ``train`` prints its results and exits. Loading, decoding and converting
pictures to a peer's format are not timed.
"""

# ruff: noqa: PLC0415

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

Row = dict[str, Any]
Page = npt.NDArray[np.uint8]
Arrays = Mapping[str, npt.NDArray[Any]]
# A peer in training: functions to train an epoch and to measure test accuracy, and its facts.
Trainee = tuple[Callable[[int], object], Callable[[], float], Row]
RAPIDOCR = ("rapidocr", "onnxruntime", "opencv-python-headless")
DIGITS = "0123456789"
BATCH = 512  # tiles per batch, where the user must choose
PATIENCE = 2.0  # seconds after which no further call starts
SEED = 1  # of the trained peers
MEAN, SD = 0.1307, 0.3081  # of MNIST, in PyTorch's example


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Stdout carries only the replies; anything libraries print is redirected to stderr.
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    task, *arguments = sys.argv[1:]
    for row in TASKS[task](*arguments):
        stdout.write(json.dumps(row).encode() + b"\n")
        stdout.flush()


def memory_of(process: str | int = "self", what: str = "VmHWM") -> float | None:
    """Peak memory of a process in megabytes, or another line of its status.

    None if the system has no /proc. ``getrusage`` would include the parent's memory at the fork.
    """
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(what)), None)


def load_tiles(path: str) -> Arrays:
    """``tiles`` uint8[N, 28, 28] with ``labels``, and ``train_tiles`` with ``train_labels``."""
    with np.load(path, allow_pickle=False) as content:
        return dict(content)


def rapidocr(threads: str) -> Iterator[Row]:
    """RapidOCR 3 (PP-OCRv6 small) in three modes, selected by ``kind`` in a request.

    ``default`` is RapidOCR as shipped: it finds, rotates and reads lines. ``line`` runs its
    recogniser on the whole picture as one line; ``digits`` does the same, decoding only the blank
    and the ten digits.
    """
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(int(threads))
    runtime = "EngineConfig.onnxruntime."
    params = {f"{runtime}intra_op_num_threads": int(threads), f"{runtime}inter_op_num_threads": 1}
    engine = RapidOCR(params={"Global.log_level": "error", **params})
    recognizer = engine._load_rec_model()

    def read(page: Page, mode: str) -> str:
        if mode == "default":
            result = engine(page)
            boxes = () if result.boxes is None else result.boxes.tolist()
            pairs = zip(boxes, result.txts or (), strict=True)
            by_top = sorted(pairs, key=lambda pair: min(y for _, y in pair[0]))
            return "\n".join(boxes_to_lines(by_top))
        ratio = max(320 / 48, page.shape[1] / page.shape[0])  # as RapidOCR pads
        posteriors = recognizer.session(recognizer.resize_norm_img(page, ratio)[None])[0]
        return decode(posteriors, recognizer.postprocess_op.character, mode == "digits")

    yield {"versions": ", ".join(f"{name} {version(name)}" for name in RAPIDOCR)}
    for request in map(json.loads, sys.stdin):
        page = np.load(request["page"], allow_pickle=False)
        yield answer(read, to_bgr(page), request["kind"])


def answer(read: Callable[[Page, str], str], page: Page, mode: str) -> Row:
    """The reply to a request: ``milliseconds`` with ``text`` or ``error``."""
    start = time.perf_counter()
    try:
        said = {"text": read(page, mode)}
    except Exception as error:  # any error of a peer counts as its answer
        said = {"error": f"{type(error).__name__}: {error}"}
    return {**said, "milliseconds": 1000 * (time.perf_counter() - start)}


def boxes_to_lines(found: list[tuple[Any, str]]) -> list[str]:
    """Joins texts whose boxes (four corners each, sorted by top edge) are on one line."""
    lines: list[tuple[float, list[tuple[float, str]]]] = []
    for corners, text in found:
        xs, ys = zip(*corners, strict=True)
        if not lines or (min(ys) + max(ys)) / 2 > lines[-1][0]:
            lines.append((max(ys), []))
        lines[-1][1].append((min(xs), text))
    return [" ".join(text for _, text in sorted(line)) for _, line in lines]


def decode(posteriors: npt.NDArray[np.float32], characters: list[str], digits: bool) -> str:
    """Greedy CTC decoding of posteriors float32[T, C], blank first, optionally of digits only."""
    kept = [0, *map(characters.index, DIGITS)] if digits else list(range(len(characters)))
    best = posteriors[:, kept].argmax(axis=1)
    changes = np.flatnonzero(np.diff(best, prepend=0))
    return "".join(characters[kept[i]] for i in best[changes] if i)


def to_bgr(page: Page) -> Page:
    """Converts a page to BGR uint8[H, W, 3], as OpenCV expects it."""
    colour = np.stack([page] * 3, axis=-1) if page.ndim == 2 else page[:, :, ::-1]
    return np.ascontiguousarray(colour)


class Contender(NamedTuple):
    """A classifier; ``answer`` maps tiles to scores, ``prepare`` converts uint8 tiles, untimed."""

    answer: Callable[[Any], Any]
    prepare: Callable[[Page], Any]
    about: dict[str, Any]  # recorded; ``most`` limits the number of tiles per call


def classify(name: str, model: str, cores: str, path: str) -> Iterator[Row]:
    """Yields facts and accuracy; then, per request ``{"tiles": T, "calls": C}``, C call times."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    arrays = load_tiles(path)
    contender = CONTENDERS[name](model, arrays)
    prepared = contender.prepare(arrays["tiles"])
    yield contender.about | accuracy(contender, prepared, arrays["labels"])
    for request in map(json.loads, sys.stdin):
        yield {"seconds": seconds_of(contender, prepared, request["tiles"], request["calls"])}


def accuracy(contender: Contender, prepared: Any, labels: npt.NDArray[Any]) -> Row:
    """Accuracy on the tiles, None if untrained; warms up calls with one tile and with many."""
    contender.answer(prepared[:1])
    count = min(len(labels), contender.about.get("most", len(labels)))
    right = np.asarray(contender.answer(prepared[:count])).argmax(axis=1) == labels[:count]
    share = float(np.mean(right)) if contender.about.get("trained", True) else None
    return {"accuracy": share, "tiles": count}


def seconds_of(contender: Contender, prepared: Any, tiles: int, calls: int) -> list[float]:
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


def digitlens(model: str, _: Arrays) -> Contender:
    """The classifier with its defaults; it detects the number of cores itself."""
    from digitlens.models.classifier import Classifier

    about = {"versions": f"onnxruntime {version('onnxruntime')}"}
    return Contender(Classifier(model).predict_proba, np.asarray, about)


def torch(model: str, _: Arrays) -> Contender:
    import torch as library

    from digitlens.training.export import load_network

    network = load_network(model)

    @library.inference_mode()
    def answer(tiles: library.Tensor) -> npt.NDArray[np.float32]:
        parts = [network(part)[:, :10] for part in tiles.split(BATCH)]
        return library.cat([library.softmax(part, dim=1) for part in parts]).numpy()

    about = {"versions": f"torch {library.__version__}", "most": 4 * BATCH}
    return Contender(answer, library.from_numpy, about)


def keras(_: str, __: Arrays) -> Contender:
    """Keras's MNIST example, called as in its documentation; not trained."""
    model = keras_network()
    known = f"keras {version('keras')}, tensorflow-cpu {version('tensorflow-cpu')}"
    about = {"versions": known, "trained": False}
    answer = lambda tiles: model.predict(tiles, batch_size=BATCH, verbose=0)  # noqa: E731
    return Contender(answer, _scaled, about)


def _scaled(tiles: Page) -> npt.NDArray[np.float32]:
    return tiles[..., None].astype(np.float32) / 255


def svc(_: str, material: Arrays) -> Contender:
    """scikit-learn's support vector machine with its defaults: radial basis functions."""
    from sklearn.svm import SVC

    unit = lambda tiles: tiles.reshape(-1, 784) / 255  # noqa: E731
    classifier = SVC().fit(unit(material["train_tiles"]), material["train_labels"])
    about = {"versions": f"scikit-learn {version('scikit-learn')}", "most": 1000}
    return Contender(lambda tiles: np.eye(10)[classifier.predict(tiles)], unit, about)


CONTENDERS = {contender.__name__: contender for contender in (digitlens, torch, keras, svc)}


def keras_network() -> Any:
    """The network of Keras's example ``mnist_convnet``, from its documentation."""
    import keras

    layers = keras.layers
    convolutions = [
        layer
        for filters in (32, 64)
        for layer in (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D(2))
    ]
    head = [layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((28, 28, 1)), *convolutions, *head])


def torch_network() -> Any:
    """The network of PyTorch's basic MNIST example, from its documentation."""
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Dropout(0.25), nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(dim=1)),
    )


def train(who: str, threads: str, path: str, epochs: str, until: str) -> Iterator[Row]:
    """Yields a row for each epoch of a peer, tests untimed, then its facts and peak memory."""
    (fit, share, about), seconds = PEERS[who](load_tiles(path), int(threads)), 0.0
    for epoch in range(int(epochs)):
        start = time.perf_counter()
        fit(epoch)
        seconds += time.perf_counter() - start
        right = share()
        yield {"epoch": epoch + 1, "seconds": seconds, "test_accuracy": right}
        if right >= float(until):
            break
    yield about
    yield {"memory_mb": memory_of()}


def train_seeds(threads: str, name: str, first: str, end: str, *changes: str) -> Iterator[Row]:
    """Yields a row for each seed, the memory after the first, then the versions and the device."""
    from digitlens.cli.tables import use_patient_threads

    use_patient_threads()  # as the command does, before torch is imported
    import torch

    from digitlens.datasets.mnist import load_mnist
    from digitlens.training.loop import choose_device
    from digitlens.training.recipe import load_recipe
    from digitlens.training.tasks.tile import train_classifier
    from digitlens.training.tile_networks import count_parameters, predict_logits

    torch.set_num_threads(int(threads))
    mnist, device, seeds = load_mnist(), choose_device(), range(int(first), int(end))
    for seed in seeds:
        recipe: Any = load_recipe(name, [*changes, f"seed={seed}"])
        training, validation = recipe.split(mnist.train)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            done = train_classifier(recipe, training, validation, Path(folder))
            seconds = time.perf_counter() - start
        answers = predict_logits(done.network, torch.from_numpy(mnist.test.tiles)).argmax(1)
        yield {
            "seed": seed,
            "seconds": seconds,
            "epochs": len(done.history),
            "parameters": count_parameters(done.network),
            "test_accuracy": float((answers.numpy() == mnist.test.labels).mean()),
        }
        if seed == seeds[0]:
            yield {"memory_mb": memory_of()}
    yield {"versions": f"torch {torch.__version__}, {device.reason}"}


def train_pytorch(material: Arrays, threads: int) -> Trainee:
    """PyTorch's basic MNIST example, reimplemented.

    Adadelta with learning rate 1.0, multiplied by 0.7 each epoch; batches of 64 from a DataLoader
    without worker processes, which transforms pictures one by one.
    """
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader

    def batches(part: str, size: int, *, shuffle: bool = False) -> Any:
        arrays = material[f"{part}tiles"], material[f"{part}labels"].tolist()
        pairs = list(zip(*arrays, strict=True))
        return DataLoader(pairs, size, shuffle=shuffle, collate_fn=transformed)

    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch_network().to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    training, test = batches("train_", 64, shuffle=True), batches("", 1000)

    def fit(_: int) -> None:
        model.train()
        for pictures, labels in training:
            optimizer.zero_grad()
            functional.nll_loss(model(pictures.to(device)), labels.to(device)).backward()
            optimizer.step()
        schedule.step()

    @torch.inference_mode()
    def share() -> float:
        model.eval()
        right = [model(tiles.to(device)).argmax(1).cpu() == labels for tiles, labels in test]
        return float(torch.cat(right).double().mean())

    parameters = sum(each.numel() for each in model.parameters())
    return fit, share, {"versions": f"torch {torch.__version__}", "parameters": parameters}


def transformed(items: list[tuple[Page, int]]) -> tuple[Any, Any]:
    """A batch of pictures, each converted to a Pillow image, to a tensor in 0..1, and normalised.

    torchvision cannot be installed with a CPU build of torch everywhere, so its transforms are
    reimplemented here.
    """
    import torch
    from PIL import Image

    mean, sd = torch.tensor([MEAN]).view(-1, 1, 1), torch.tensor([SD]).view(-1, 1, 1)
    pictures: list[Any] = []
    for tile, _ in items:
        pixels = torch.from_numpy(np.array(Image.fromarray(tile), np.uint8, copy=True))
        scaled = pixels.unsqueeze(0).to(torch.float32).div(255)
        pictures.append(scaled.clone().sub_(mean).div_(sd))
    return torch.stack(pictures), torch.tensor([label for _, label in items])


def train_keras(material: Arrays, threads: int) -> Trainee:
    """Keras's example, reimplemented: Adam, batches of 128, a tenth for validation, with ``fit``.

    The time includes building the graph.
    """
    import keras as library
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    library.utils.set_random_seed(SEED)
    pixels, tiles = _scaled(material["train_tiles"]), _scaled(material["tiles"])
    wanted = library.utils.to_categorical(material["train_labels"], 10)
    model = keras_network()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    options = {"batch_size": 128, "validation_split": 0.1, "verbose": 0}

    def fit(epoch: int) -> None:
        model.fit(pixels, wanted, initial_epoch=epoch, epochs=epoch + 1, **options)

    def share() -> float:
        answers = model.predict(tiles, batch_size=1000, verbose=0)
        return float((answers.argmax(1) == material["labels"]).mean())

    versions = f"keras {library.__version__}, tensorflow {tf.__version__}"
    return fit, share, {"versions": versions, "parameters": model.count_params()}


PEERS = {"pytorch": train_pytorch, "keras": train_keras}


def serve(kind: str, port: str) -> Iterator[Row]:
    """A server with the endpoint that tutorials write for a network, here untrained.

    The picture is resized to 28 x 28 and classified inside the handler, one at a time.
    """
    import uvicorn
    from fastapi import FastAPI, File, UploadFile
    from PIL import Image

    app = FastAPI()
    if kind == "keras":
        predict = keras_network().predict
    else:
        import torch

        model = torch_network().eval()

        @torch.no_grad()
        def predict(pixels: npt.NDArray[np.float32]) -> Any:
            return model(torch.from_numpy(pixels[None, ..., 0])).exp().numpy()

    @app.post("/predict")
    async def classified(file: Annotated[UploadFile, File()]) -> dict[str, Any]:
        picture = Image.open(io.BytesIO(await file.read())).convert("L").resize((28, 28))
        probabilities = predict(_scaled(np.array(picture)[None]))[0]
        return {"digit": int(np.argmax(probabilities)), "confidence": float(np.max(probabilities))}

    uvicorn.run(app, port=int(port), access_log=False, log_level="warning")
    yield from ()


TASKS = {task.__name__: task for task in (rapidocr, classify, train, train_seeds, serve)}

if __name__ == "__main__":
    main()
