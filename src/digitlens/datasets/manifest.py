"""The four files that MNIST consists of: their names, shapes and hashes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from digitlens import files
from digitlens.errors import DataError


@dataclass(frozen=True)
class MnistFile:
    """One IDX file of unsigned bytes, known before it is read.

    Attributes:
        name: Its name, without ``.gz``.
        key: What the array is called in Keras's ``mnist.npz``.
        shape: [N, 28, 28] for tiles, [N] for labels.
        sha256: Hash of the uncompressed IDX file.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of the uncompressed file: a magic number, the shape, and one byte a value."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    def verify(self, content: bytes) -> None:
        """Raises DataError unless ``content`` is exactly this file."""
        if len(content) != self.size:
            raise DataError(
                f"{self.name} is damaged: expected {self.size:,} bytes, found {len(content):,}"
            )
        found = files.sha256(content)
        if found != self.sha256:
            raise DataError(
                f"{self.name} is damaged: expected SHA-256 {self.sha256[:12]}…, found {found[:12]}…"
            )


FILES = (
    MnistFile(
        "train-images-idx3-ubyte",
        "x_train",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    MnistFile(
        "train-labels-idx1-ubyte",
        "y_train",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    MnistFile(
        "t10k-images-idx3-ubyte",
        "x_test",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    MnistFile(
        "t10k-labels-idx1-ubyte",
        "y_test",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


def data_hashes() -> dict[str, str]:
    """File name → SHA-256, for the card of a model that was trained on MNIST."""
    return {file.name: file.sha256 for file in FILES}
