import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from digitlens.datasets.idx import decode_idx, encode_idx
from digitlens.errors import DataError

arrays = st_numpy.arrays(np.uint8, st_numpy.array_shapes(max_dims=4, max_side=6))


@given(arrays)
def test_decoding_gives_back_what_was_encoded(array: np.ndarray) -> None:
    decoded = decode_idx(encode_idx(array))

    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, array)


def test_the_header_is_the_one_of_mnist() -> None:
    content = encode_idx(np.zeros((3, 28, 28), np.uint8))

    assert content[:16].hex(" ", 4) == "00000803 00000003 0000001c 0000001c"
    assert len(content) == 16 + 3 * 28 * 28


def test_decoded_arrays_can_be_written_to() -> None:
    decoded = decode_idx(encode_idx(np.arange(5, dtype=np.uint8)))

    decoded[0] = 9

    assert decoded[0] == 9


def test_a_matrix_in_column_order_is_written_row_by_row() -> None:
    array = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))

    assert encode_idx(array)[-6:] == bytes(range(6))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8])
def test_other_types_are_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match="expected an array of dtype uint8"):
        encode_idx(np.zeros(3, dtype))


@given(arrays, st.data())
def test_a_file_cut_short_is_refused(array: np.ndarray, data: st.DataObject) -> None:
    content = encode_idx(array)
    length = data.draw(st.integers(0, len(content) - 1))

    with pytest.raises(DataError, match="expected"):
        decode_idx(content[:length])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (encode_idx(np.zeros(3, np.uint8)) + b"!", "found 4"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "00 00 0d"),
        (b"PK\x03\x04 a zip", "50 4b 03"),
    ],
)
def test_what_is_no_idx_of_bytes_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(DataError, match=found):
        decode_idx(content)
