import numpy as np
import pytest
from PIL import Image

from digitlens.visualization.diverging import blend, diverging, rising
from digitlens.visualization.filters import draw_filters
from digitlens.visualization.style import THEMES, contrast, themed


@pytest.mark.parametrize("name", THEMES)
def test_nothing_has_the_colour_of_the_ground_and_much_stands_out(name):
    with themed(name) as colours:
        scale, heat = diverging(), rising(colours.green)
        assert scale(0.5)[:3] == pytest.approx(blend(colours.ground, colours.ink, 0), abs=0.01)
        assert contrast(scale(0.0)[:3], colours.ground) > 4.5
        assert contrast(scale(1.0)[:3], colours.ground) > 4.5
        assert contrast(heat(1.0)[:3], colours.pale) > 4.5
        steps = [contrast(heat(share)[:3], colours.ground) for share in np.linspace(0, 1, 9)]
        assert steps == sorted(steps), "the stronger, the further from the ground"


@pytest.mark.parametrize(("name", "suffix"), [("light", ".png"), ("dark", ".svg")])
def test_each_filter_is_drawn_once_on_one_scale(tmp_path, drawn, name, suffix):
    filters = np.random.default_rng(0).normal(size=(11, 3, 3)).astype(np.float32)
    with themed(name):
        draw_filters(filters, tmp_path / f"filters{suffix}")
    axes, scale = drawn[0].axes
    pictures = [image for image in axes.images if image.get_array().shape == (3, 3)]
    found = np.stack([image.get_array() for image in pictures])
    np.testing.assert_allclose(found, filters / np.abs(filters).max(), rtol=1e-6)
    assert {image.get_clim() for image in pictures} == {(-1, 1)}
    corners = {tuple(image.get_extent()[::2]) for image in pictures}
    assert len(corners) == 11
    assert axes.get_title(loc="left").startswith("11 filters of 3 x 3")
    assert [text.get_text() for text in scale.get_xticklabels()] == ["lowers", "0", "raises"]
    assert (tmp_path / f"filters{suffix}").stat().st_size > 5000


def test_filters_of_nothing_are_drawn_and_other_shapes_refused(tmp_path):
    draw_filters(np.zeros((1, 5, 5), np.float32), tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert min(picture.size) >= 400
    with pytest.raises(ValueError, match=r"shape \[C, k, k\], found \[3, 3\]"):
        draw_filters(np.zeros((3, 3), np.float32), tmp_path / "two.png")
