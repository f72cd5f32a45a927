import numpy as np

from digitlens.datasets.synthetic.nothing import draw_nothing


def test_crops_of_nothing_vary_and_have_any_shape(rng: np.random.Generator):
    planes = [draw_nothing(rng)[0] for _ in range(60)]

    assert len({plane.shape for plane in planes}) > 20
    assert all(plane.dtype == np.float32 and plane.shape[2] == 3 for plane in planes)
    assert min(plane.shape[0] for plane in planes) >= 12
    assert max(plane.shape[0] for plane in planes) == 48
