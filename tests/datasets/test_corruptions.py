from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from digitlens.datasets import corruptions
from digitlens.datasets.corruptions import (
    CORRUPTIONS,
    OVERLAPS,
    SWEEPS,
    corrupt,
    overlapping,
    plasma,
    rotated,
    smooth,
    sweep,
    to_planes,
    warp,
)
from digitlens.training.recipe import Recipe


@pytest.fixture(scope="package")
def tiles():
    """Twenty tiles with one slanted stroke each, of varying position and brightness."""
    rng = np.random.default_rng(5)
    drawn = np.zeros((20, 28, 28), np.uint8)
    for tile in drawn:
        column = rng.integers(9, 16)
        for row in range(5, 23):
            tile[row, column + row // 8 : column + row // 8 + 3] = rng.integers(120, 256)
    return drawn


EYE = np.eye(2, dtype=np.float32)


def test_blur_agrees_with_scipy():
    noise = np.random.default_rng(0).random((3, 28, 28), np.float32)
    both = np.stack([ndimage.gaussian_filter(plane, 1.3, mode="nearest") for plane in noise])
    assert np.allclose(smooth(noise, 1.3), both, atol=1e-5)
    down = np.stack([ndimage.gaussian_filter1d(plane, 0.7, 0, mode="constant") for plane in noise])
    assert np.allclose(smooth(noise, 0.7, (1,), "constant"), down, atol=1e-5)


def test_warp_agrees_with_scipy_for_each_tile():
    rng = np.random.default_rng(1)
    planes = rng.random((4, 28, 28), np.float32)
    matrices = EYE + rng.uniform(-0.4, 0.4, (4, 2, 2)).astype(np.float32)
    shifts = rng.uniform(-6, 6, (4, 2)).astype(np.float32)
    rows = zip(planes, matrices, shifts, strict=True)
    expected = [
        ndimage.affine_transform(
            np.pad(plane, 9), matrix, shift + 22.5 - matrix @ np.full(2, 22.5), order=1
        )[9:-9, 9:-9]
        for plane, matrix, shift in rows
    ]
    assert np.allclose(warp(planes, matrices, shifts), expected, atol=1e-4)


def test_shot_noise_is_poisson_and_leaves_black_pixels_black():
    half = np.full((500, 28, 28), 128, np.uint8)
    half[:, :14] = 0
    noisy = corrupt(half, "shot_noise")
    assert set(np.unique(noisy)) == {0, 85, 170, 255}
    assert not noisy[:, :14].any()
    assert (noisy[:, 14:] == 0).mean() == pytest.approx(np.exp(-3 * 128 / 255), abs=0.01)


def test_impulse_noise_changes_one_pixel_in_six():
    noisy = corrupt(np.full((500, 28, 28), 100, np.uint8), "impulse_noise")
    assert (noisy == 255).mean() == pytest.approx(0.085, abs=0.002)
    assert (noisy == 0).mean() == pytest.approx(0.085, abs=0.002)
    assert set(np.unique(noisy)) == {0, 100, 255}


@pytest.fixture(scope="module")
def dots():
    tiles = np.zeros((400, 28, 28), np.uint8)
    tiles[:, 14, 14] = 255
    return tiles


def test_glass_blur_spreads_further_along_columns(dots):
    ink = corrupt(dots, "glass_blur").mean(axis=0)
    assert ink.sum() == pytest.approx(255, rel=0.05)  # keeps the total brightness
    rows, columns = np.mgrid[:28, :28]
    spread = [float((ink * (place - 14) ** 2).sum() / ink.sum()) for place in (rows, columns)]
    assert 0.5 < spread[1] < spread[0] < 4


def test_motion_blur_leaves_a_fading_trail_on_one_side(dots):
    moved = corrupt(dots, "motion_blur")
    rows, columns = np.mgrid[:28, :28]
    assert (moved[:, :, 15:] == 0).all()
    fading = moved.sum(axis=(0, 1), dtype=float)[13:4:-1]
    assert (np.diff(fading) < 0).all()
    assert (moved[:, np.abs(rows - 14) > 14 - columns] == 0).all()  # never steeper than 45 degrees
    upward = (moved[:, :14].sum(axis=(1, 2)) > 0).mean()
    assert 0.3 < upward < 0.7
    assert moved.sum(axis=(1, 2)).mean() == pytest.approx(255, rel=0.03)


ROWS, COLUMNS = np.mgrid[:28, :28] - 13.5


def moments(tiles):
    """Returns mean row and column of the ink, relative to the middle, and second moments."""
    ink = tiles / tiles.sum(axis=(1, 2), keepdims=True)
    rows, columns = ((ink * place).sum(axis=(1, 2)) for place in (ROWS, COLUMNS))
    return rows, columns, (ink * ROWS**2).sum((1, 2)), (ink * ROWS * COLUMNS).sum((1, 2))


@pytest.fixture(scope="module")
def bars():
    """Forty tiles with an upright bar in the middle."""
    tiles = np.zeros((40, 28, 28), np.uint8)
    tiles[:, 6:22, 12:16] = 255
    return tiles


def test_shear_and_rotate_slant_to_both_sides(bars):
    rows, columns, tall, slant = moments(corrupt(bars, "shear"))
    assert max(np.abs(rows).max(), np.abs(columns).max()) < 0.05
    assert set(np.sign(slant)) == {-1, 1}
    assert np.abs(slant) / tall == pytest.approx(np.tan(0.4) * np.cos(0.4), rel=0.05)
    assert np.sqrt(tall / moments(bars)[2]) == pytest.approx(1 / np.cos(0.4), rel=0.03)
    slant = moments(corrupt(bars, "rotate"))[3]
    assert set(np.sign(slant)) == {-1, 1}
    exact = rotated(to_planes(bars), np.sign(slant).astype(np.float32) * 0.4)
    assert np.array_equal(corrupt(bars, "rotate"), np.rint(exact * 255))


def test_scale_shrinks_to_seven_tenths_and_translate_moves_three_pixels(bars):
    tall = moments(corrupt(bars, "scale"))[2]
    assert np.sqrt(tall / moments(bars)[2]) == pytest.approx(0.7, abs=0.02)
    rows, columns, *_ = moments(corrupt(bars, "translate"))
    ways = set(zip(rows.round(3), columns.round(3), strict=True))
    assert ways == {(-3, -3), (-3, 3), (3, -3), (3, 3)}


def test_quarter_turn_is_exact_and_anticlockwise():
    planes = np.random.default_rng(0).random((2, 28, 28), np.float32)
    quarter = rotated(planes, np.full(2, np.pi / 2, np.float32))
    assert np.allclose(quarter, np.rot90(planes, axes=(1, 2)), atol=1e-4)


def test_brightness_adds_half_and_stripe_inverts_both_sides(tiles):
    brighter = corrupt(tiles, "brightness").astype(float)
    assert np.abs(brighter - np.minimum(tiles + 127.5, 255)).max() <= 0.5
    sides = np.abs(np.arange(28) - 13.5) > 7
    assert np.array_equal(corrupt(tiles, "stripe"), np.where(sides, 255 - tiles, tiles))


def test_fog_leaves_a_quarter_of_the_contrast():
    tiles = np.zeros((200, 28, 28), np.uint8)
    tiles[:, 14, 14] = 255
    foggy = corrupt(tiles, "fog").astype(float)
    around = (foggy[:, 14, 13] + foggy[:, 14, 15] + foggy[:, 13, 14] + foggy[:, 15, 14]) / 4
    assert (foggy[:, 14, 14] - around).mean() == pytest.approx(255 / 4, abs=3)
    assert not corrupt(np.zeros((2, 28, 28), np.uint8), "fog").any()  # no ink, no fog


def test_plasma_varies_at_every_scale_within_range():
    clouds = plasma(300, np.random.default_rng(0))
    assert clouds.min() >= 0
    assert clouds.max() <= 1
    assert 0.15 < clouds.mean(axis=(1, 2)).std() < 0.25  # thick and thin fog
    steps = [np.abs(clouds[:, :, by:] - clouds[:, :, :-by]).mean() for by in (1, 4, 16)]
    assert 0.004 < steps[0] < steps[1] / 2 < steps[2] / 4 < 0.1


def test_spatter_covers_parts_with_mud():
    full = np.full((200, 28, 28), 255, np.uint8)
    covered = corrupt(full, "spatter")
    assert 0.05 < (covered < 255).mean() < 0.3
    assert covered.min() == 63
    assert np.unique(covered[covered < 255]).max() <= 255 - round(0.8 * (255 - 63))
    dark = corrupt(np.zeros_like(full), "spatter")
    assert np.array_equal(dark > 0, covered < 255)  # the same mud on paper as on ink


DARK = np.zeros((300, 28, 28), np.uint8)


def test_dotted_line_is_straight_with_every_other_dash():
    dotted = corrupt(DARK, "dotted_line").astype(float)
    columns = dotted.sum(axis=1)
    assert not columns[:, np.arange(28) // 2 % 2 == 0].any()
    assert not columns[:, 27].any()
    assert (columns[:, [2, 3, 6, 7, 14, 22, 26]] > 255).all()
    rows = (dotted * np.arange(28)[:, None]).sum(axis=1)[:, [6, 14, 22]] / columns[:, [6, 14, 22]]
    inside = ((rows > 3) & (rows < 24)).all(axis=1)
    bend = rows[inside, 0] - 2 * rows[inside, 1] + rows[inside, 2]
    assert inside.sum() > 100
    assert np.abs(bend).max() < 0.3


def test_zigzag_oscillates_about_a_slightly_sloping_line():
    drawn = corrupt(DARK, "zigzag").astype(float)
    columns = drawn.sum(axis=1)
    whole = (columns[:, 4:23] > 255).all(axis=1)  # not cut by the edge of the tile
    assert whole.sum() > 100
    assert not columns[whole][:, :1].any()
    assert not columns[whole][:, 27:].any()
    rows = (drawn * np.arange(28)[:, None]).sum(axis=1)[whole, 4:23] / columns[whole, 4:23]
    turns = (np.diff(np.sign(np.diff(rows, axis=1)), axis=1) != 0).sum(axis=1)
    assert np.median(turns) == 4  # at columns 8, 12, 16 and 20
    assert np.abs(rows[:, 0] - rows[:, -1]).max() < 9


@pytest.fixture(scope="module")
def square():
    tile = np.zeros((1, 28, 28), np.uint8)
    tile[:, 8:20, 8:20] = 255
    return tile


def test_canny_edges_of_a_square_are_its_outline(square):
    edges = corrupt(square, "canny_edges")[0]
    assert set(np.unique(edges)) == {0, 255}
    assert not edges[11:17, 11:17].any()
    assert not edges[:6].any()
    for line in (edges[14], edges[:, 14]):
        on = np.flatnonzero(line)
        assert on.min() in {7, 8}
        assert on.max() in {19, 20}
    reached = np.pad(edges, 1)  # the outline is closed: every pixel has two neighbours on it
    around = sum(np.roll(reached, (y, x), (0, 1)) > 0 for y in (-1, 0, 1) for x in (-1, 0, 1))
    assert (around[reached > 0] >= 3).all()


def test_canny_follows_an_edge_that_gets_weaker():
    fading = np.zeros((2, 28, 28), np.uint8)
    ramp = np.linspace(120, 9, 20).astype(np.uint8)
    fading[0, 14:, 4:24] = ramp
    fading[1, 14:, 14:24] = ramp[10:] * (ramp[10:] < 14)  # the weak end without its start
    connected, alone = (np.flatnonzero(tile.any(axis=0)) for tile in corrupt(fading, "canny_edges"))
    assert connected.max() > 18
    assert not len(alone) or alone.max() < connected.max() + 2


PAPER = [
    *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate"),
    *("brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag"),
    "canny_edges",
]
FIXED = {"scale", "brightness", "stripe", "canny_edges"}  # deterministic

every_corruption = pytest.mark.parametrize("name", PAPER)


@every_corruption
def test_corruption_is_determined_by_seed_and_differs_by_tile(tiles, name, monkeypatch):
    before = tiles.copy()
    corrupted = corrupt(tiles, name, 3)
    assert (corrupted.dtype, corrupted.shape) == (np.uint8, tiles.shape)
    assert np.array_equal(tiles, before)
    assert (corrupted != tiles).any(axis=(1, 2)).all()
    assert corrupt(tiles[:0], name).shape == (0, 28, 28)
    assert np.array_equal(corrupted, corrupt(tiles, name, 3))
    assert np.array_equal(corrupted, corrupt(tiles, name, 4)) == (name in FIXED)
    repeated = corrupt(np.repeat(tiles[:1], 12, axis=0), name)
    assert (len(np.unique(repeated, axis=0)) == 1) == (name in FIXED)
    monkeypatch.setattr(corruptions, "CHUNK", 8)  # the first ones do not depend on later tiles
    assert np.array_equal(corrupt(tiles, name)[:8], corrupt(tiles[:8], name))


@settings(max_examples=30)
@given(st.sampled_from(PAPER), arrays(np.uint8, (2, 28, 28)), st.integers(0, 2**31))
def test_any_tiles_can_be_corrupted(name, anything, seed):
    assert corrupt(anything, name, seed).shape == anything.shape


def test_corruptions_are_the_fifteen_of_the_paper_in_order(tiles):
    assert list(CORRUPTIONS) == PAPER
    with pytest.raises(ValueError, match=r"shot_noise, .*, found 'snow'"):
        corrupt(tiles, "snow")
    assert {name for names in OVERLAPS.values() for name in names} <= set(CORRUPTIONS)
    assert set(OVERLAPS) <= {field.name for field in fields(Recipe)}


@pytest.mark.parametrize(
    ("recipe", "seen"),
    [
        (asdict(Recipe()), ()),
        ({}, ()),
        (
            asdict(Recipe(shift=2.0, rotate=10.0, thickness=0.3, elastic=0.5)),
            ("rotate", "translate"),
        ),
        ({"noise": "much", "blur": None, "shear": 0.1}, ("shear",)),  # only numbers count
    ],
)
def test_overlapping_corruptions_follow_from_the_recipe(recipe, seen):
    assert overlapping(recipe) == seen


@pytest.mark.parametrize("name", SWEEPS)
def test_usual_value_of_a_sweep_changes_nothing_and_others_do(tiles, name):
    line = SWEEPS[name]
    assert line.usual in line.values
    assert list(line.values) == sorted(line.values)
    assert np.array_equal(sweep(tiles, name, line.usual), tiles)
    for value in set(line.values) - {line.usual}:
        changed = sweep(tiles, name, value, 1)
        assert (changed != tiles).any(axis=(1, 2)).all()
        assert np.array_equal(changed, sweep(tiles, name, value, 1))


def test_shift_moves_in_four_directions(tiles):
    many = np.repeat(tiles[:1], 50, axis=0)
    moved = {tile.tobytes() for tile in sweep(many, "shift", 2)}
    ways = [((2, 0), (0, 0)), ((-2, 0), (0, 0)), ((0, 2), (0, 0)), ((0, -2), (0, 0))]
    assert moved == {np.roll(tiles[0], way, (0, 1)).tobytes() for way, _ in ways}


def test_thickness_widens_a_stroke_by_its_pixels():
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[:, 4:24, 12:16] = 255
    for pixels in (-1.5, -1, 1, 2, 3):
        width = sweep(bar, "thickness", pixels)[0, 14].sum() / 255
        assert width == pytest.approx(4 + pixels, abs=0.35)


def test_polarity_inverts_and_contrast_dims_the_ink(tiles):
    assert np.array_equal(sweep(tiles, "polarity", 1), 255 - tiles)
    assert len(np.unique(sweep(tiles, "polarity", 0.5))) == 1
    assert np.array_equal(sweep(tiles, "contrast", 0.5), np.rint(tiles / 2).astype(np.uint8))


def test_sweep_accepts_no_tiles_and_refuses_unknown_names(tiles):
    assert sweep(tiles[:0], "shift", 3).shape == (0, 28, 28)
    with pytest.raises(ValueError, match=r"shift, rotation, .*, found 'warmth'"):
        sweep(tiles, "warmth", 1)
