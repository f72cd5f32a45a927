"""Keras's example ``mnist_convnet``, written anew from what its documentation describes.

Two convolutions of 32 and 64 maps (3 x 3, ReLU), each followed by max pooling, dropout 0.5 and ten
outputs with softmax; Adam, categorical cross-entropy, batches of 128, 15 epochs, a tenth of the
training tiles for validation, all with ``fit``. Runs in the environment of TensorFlow.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

PLANNED_EPOCHS = 15
BATCH = 128
SEED = 1


class Clock(keras.callbacks.Callback):
    """Tests after each epoch, with the clock stopped, and ends the training when that suffices."""

    def __init__(self, pixels: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> None:
        super().__init__()
        self.pixels, self.labels = pixels, labels
        self.rows: list[dict[str, Any]] = []
        self.until, self.tested = 1.0, 0.0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        stopped = time.perf_counter()
        answers = self.model.predict(self.pixels, batch_size=1000, verbose=0)
        accuracy = float((answers.argmax(1) == self.labels).mean())
        seconds = stopped - self.start - self.tested
        self.rows.append({"epoch": epoch + 1, "seconds": seconds, "test_accuracy": accuracy})
        self.model.stop_training = accuracy >= self.until
        self.tested += time.perf_counter() - stopped


def network() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def train(data: Path, epochs: int, until: float, threads: int) -> Iterator[dict[str, Any]]:
    """A row for each epoch; building the graph is in the seconds, the test set is not."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(SEED)
    tiles, test = (_pixels(np.load(data / f"{part}_tiles.npy")) for part in ("train", "test"))
    labels, wanted = (np.load(data / f"{part}_labels.npy") for part in ("train", "test"))
    clock = Clock(test, wanted)
    clock.until = until
    model = network()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        tiles,
        keras.utils.to_categorical(labels, 10),
        batch_size=BATCH,
        epochs=epochs,
        validation_split=0.1,
        verbose=0,
        callbacks=[clock],
    )
    yield from clock.rows
    yield {
        "versions": f"keras {keras.__version__}, tensorflow {tf.__version__}",
        "parameters": model.count_params(),
        "planned_epochs": PLANNED_EPOCHS,
    }


def _pixels(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.expand_dims(tiles.astype(np.float32) / 255, -1)
