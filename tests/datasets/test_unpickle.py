import gzip
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.datasets.unpickle import load_pairs
from digitlens.errors import DataError


@pytest.fixture(scope="session")
def harmless(tiny_mnist) -> bytes:
    return gzip.decompress(tiny_mnist.pickle())


class Runs:
    """Pickled, it is a call of ``os.system``."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_arrays_come_back_as_they_were(harmless: bytes, tiny_mnist) -> None:
    pairs = load_pairs(harmless)

    assert [(x.dtype, y.dtype) for x, y in pairs] == [(np.float32, np.int64)] * 3
    np.testing.assert_array_equal(pairs[2][0] * 256, tiny_mnist.arrays["x_test"].reshape(10, 784))
    np.testing.assert_array_equal(pairs[2][1], tiny_mnist.arrays["y_test"])


def test_the_pickle_of_these_tests_is_one_that_numpy_reads(harmless: bytes) -> None:
    names = set()
    homes = {
        "_reconstruct": np.ndarray(0).__reduce__()[0],
        "ndarray": np.ndarray,
        "dtype": np.dtype,
    }

    class Spy(pickle.Unpickler):
        def find_class(self, module: str, name: str, /):
            names.add(f"{module}.{name}")
            return homes[name]

    pairs = Spy(io.BytesIO(harmless), encoding="latin1").load()

    assert names == {"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"}
    assert [len(labels) for _, labels in pairs] == [20, 10, 10]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_in_a_pickle_is_not_made(protocol: int, tmp_path: Path) -> None:
    evil = pickle.dumps(Runs(f"touch {tmp_path / 'was here'}"), protocol)

    with pytest.raises(DataError, match="refused"):
        load_pairs(evil)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["os system", "builtins eval", "numpy load", "numpy ndarray.tofile", "numpy.core f"]
)
def test_every_other_name_is_refused_by_name(name: str) -> None:
    module, _, attribute = name.partition(" ")

    with pytest.raises(DataError, match=rf"{module}.{attribute}, which is refused"):
        load_pairs(b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b".")


def test_an_instruction_that_could_take_all_memory_is_refused() -> None:
    with pytest.raises(DataError, match="LONG_BINPUT at byte 3 is refused"):
        load_pairs(b"\x80\x02Nr\xff\xff\xff\xff.")


def test_pickles_of_other_things_are_refused() -> None:
    with pytest.raises(DataError, match="not a pickle of plain arrays"):
        load_pairs(b"\x80\x02K\x01K\x02\x86.")


@given(st.data())
def test_damage_gives_arrays_or_a_data_error_and_nothing_else(
    harmless: bytes, data: st.DataObject
) -> None:
    # The bytes around the array contents are where the structure is.
    position = data.draw(st.integers(0, 250) | st.integers(0, len(harmless) - 1))
    damaged = bytearray(harmless)
    damaged[position] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(damaged)) | st.integers(0, len(damaged)))

    try:
        pairs = load_pairs(bytes(damaged[:length]))
    except DataError:
        return
    assert all(isinstance(array, np.ndarray) for pair in pairs for array in pair)
