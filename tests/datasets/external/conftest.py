"""Small data sets in the files in which the real ones are published."""

import bz2
import gzip

import numpy as np
import pytest


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def labels():
    return np.array([3, 0, 9, 5], np.uint8)


@pytest.fixture
def write():
    """Writes bytes to a path, packed as its ending says."""

    def to(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        pack = {".bz2": bz2.compress, ".gz": gzip.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(content))
        return path

    return to


@pytest.fixture
def table():
    """Bytes of a text with rows of numbers, spaces between them and one at the end of a row."""

    def of(*columns):
        rows = np.concatenate(columns, axis=1).tolist()
        lines = [" ".join(f"{value:.4f}" for value in row) + " " for row in rows]
        return ("\n".join(lines) + "\n").encode()

    return of
