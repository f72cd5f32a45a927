import numpy as np
import pytest

from digitlens.datasets.corruptions.sweeps import SWEEPS, sweep

names = pytest.mark.parametrize("name", SWEEPS)


@names
def test_the_usual_value_is_among_those_measured_and_changes_nothing(tiles, name):
    line = SWEEPS[name]
    assert line.usual in line.values
    assert list(line.values) == sorted(line.values)
    assert np.array_equal(sweep(tiles, name, line.usual), tiles)


@names
def test_every_other_value_changes_tiles_alike_each_time(tiles, name):
    for value in set(SWEEPS[name].values) - {SWEEPS[name].usual}:
        changed = sweep(tiles, name, value, 1)
        assert (changed != tiles).any(axis=(1, 2)).all()
        assert np.array_equal(changed, sweep(tiles, name, value, 1))


def test_shift_goes_each_of_four_ways(tiles):
    many = np.repeat(tiles[:1], 50, axis=0)
    moved = {tile.tobytes() for tile in sweep(many, "shift", 2)}
    ways = [((2, 0), (0, 0)), ((-2, 0), (0, 0)), ((0, 2), (0, 0)), ((0, -2), (0, 0))]
    assert moved == {np.roll(tiles[0], way, (0, 1)).tobytes() for way, _ in ways}


def test_thickness_adds_about_its_pixels_to_a_stroke():
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[:, 4:24, 12:16] = 255
    for pixels in (-1.5, -1, 1, 2, 3):
        width = sweep(bar, "thickness", pixels)[0, 14].sum() / 255
        assert width == pytest.approx(4 + pixels, abs=0.35)


def test_a_thick_stroke_has_no_hole():
    dot = np.zeros((1, 28, 28), np.uint8)
    dot[:, 14, 14] = 255
    grown = sweep(dot, "thickness", 3)[0]
    assert (np.diff(grown[14, 10:15].astype(int)) >= 0).all()


def test_polarity_ends_inverted_with_nothing_in_the_middle(tiles):
    assert np.array_equal(sweep(tiles, "polarity", 1), 255 - tiles)
    assert len(np.unique(sweep(tiles, "polarity", 0.5))) == 1


def test_contrast_dims_the_ink(tiles):
    assert np.array_equal(sweep(tiles, "contrast", 0.5), np.rint(tiles / 2).astype(np.uint8))


def test_no_tiles_are_none_and_another_name_is_refused(tiles):
    assert sweep(tiles[:0], "shift", 3).shape == (0, 28, 28)
    with pytest.raises(ValueError, match=r"shift, rotation, .*, found 'warmth'"):
        sweep(tiles, "warmth", 1)
