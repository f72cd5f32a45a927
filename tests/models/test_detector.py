from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.errors import ModelError
from digitlens.models.detector import DETECTOR, LineDetector

DETECTOR_OF_ALL = LineDetector(threads=1)


def page(size, *texts):
    """A white page uint8[H, W, 3] with texts: x, y, words."""
    image = Image.new("RGB", size, "white")
    for x, y, words in texts:
        ImageDraw.Draw(image).text((x, y), words, "black", ImageFont.load_default(24))
    return np.asarray(image)


@pytest.mark.parametrize("size", [(320, 160), (317, 131), (64, 40)])
def test_map_has_half_the_size_of_the_page(size):
    text_map = DETECTOR_OF_ALL.text_map(page(size))

    assert text_map.shape == ((size[1] + 1) // 2, (size[0] + 1) // 2)
    assert text_map.dtype == np.float32
    assert text_map.max() < 0.3


def test_text_is_bright_where_it_is():
    text_map = DETECTOR_OF_ALL.text_map(page((320, 160), (40, 60, "4711  2024")))

    y, x = np.nonzero(text_map > 0.3)
    assert len(y) > 200
    assert 20 <= x.min() <= 30
    assert 30 <= y.min() <= y.max() <= 45


def test_text_at_the_edge_is_found_as_on_a_larger_page():
    whole = page((384, 160), (200, 60, "815"))
    small = np.ascontiguousarray(whole[:, :247])

    found = DETECTOR_OF_ALL.text_map(small)

    assert np.abs(found - DETECTOR_OF_ALL.text_map(whole)[:, :124]).mean() < 0.02


def test_view_of_a_page_is_taken():
    whole = page((320, 192), (40, 60, "4711"))

    flipped = DETECTOR_OF_ALL.text_map(whole[::-1][::-1])

    np.testing.assert_array_equal(flipped, DETECTOR_OF_ALL.text_map(whole))


def test_threads_share_a_detector():
    detector = LineDetector(threads=1)
    pages = [page((96, 96), (10, 30, text)) for text in "1234"]

    with ThreadPoolExecutor(4) as pool:
        maps = list(pool.map(detector.text_map, pages))

    for one, expected in zip(maps, map(detector.text_map, pages), strict=True):
        np.testing.assert_array_equal(one, expected)


def test_nothing_is_opened_before_the_first_page(tmp_path):
    detector = LineDetector(tmp_path / "missing.onnx")

    with pytest.raises(ModelError, match=r"missing\.onnx is not a graph"):
        detector.text_map(page((32, 32)))


def test_another_graph_is_refused():
    other = next(DETECTOR.parents[1].glob("*/model.onnx"))

    with pytest.raises(ModelError, match="is not a line detector"):
        LineDetector(other).text_map(page((32, 32)))


def test_shipped_graph_is_small():
    assert DETECTOR.stat().st_size < 3_000_000
