import numpy as np
from scipy import ndimage

from digitlens.datasets.corruptions.planes import smooth, to_planes, to_tiles, warp

EYE = np.eye(2, dtype=np.float32)


def test_tiles_survive_the_way_to_planes_and_back():
    tiles = np.arange(256, dtype=np.uint8).repeat(49).reshape(-1, 28, 28)
    assert np.array_equal(to_tiles(to_planes(tiles)), tiles)
    assert to_tiles(np.array([[[-1, 0.4999, 2]]], np.float32)).tolist() == [[[0, 127, 255]]]


def test_blur_agrees_with_scipy():
    noise = np.random.default_rng(0).random((3, 28, 28), np.float32)
    both = np.stack([ndimage.gaussian_filter(plane, 1.3, mode="nearest") for plane in noise])
    assert np.allclose(smooth(noise, 1.3), both, atol=1e-5)
    down = np.stack([ndimage.gaussian_filter1d(plane, 0.7, 0, mode="constant") for plane in noise])
    assert np.allclose(smooth(noise, 0.7, (1,), "constant"), down, atol=1e-5)


def test_warp_agrees_with_scipy_for_every_tile_of_its_own():
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


def test_the_same_place_is_the_same_tile():
    planes = np.random.default_rng(2).random((2, 28, 28), np.float32)
    assert np.allclose(warp(planes, np.stack([EYE, EYE])), planes, atol=1e-6)
