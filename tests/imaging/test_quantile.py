import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitlens.imaging.quantile import median, quantile

FLOATS = arrays.arrays(
    np.float32,
    arrays.array_shapes(max_dims=2, max_side=40),
    elements=st.floats(-300, 300, width=32),
)
SHARES = st.floats(0, 1)


@given(FLOATS, SHARES)
def test_quantile_equals_that_of_numpy(values, share):
    found = quantile(values, share)
    assert found == np.quantile(values, share)
    assert found.dtype == np.float32


@pytest.mark.parametrize("share", [0.6, 0.93, 0.99, 0.995])
def test_quantiles_in_use_are_exact_on_large_arrays(share):
    values = np.random.default_rng(0).normal(100, 40, (300, 320)).astype(np.float32)
    assert quantile(values, share) == np.quantile(values, share)
    assert quantile(values, np.float64(share)) == np.quantile(values, (share, share))[0]


@given(FLOATS)
def test_median_equals_that_of_numpy(values):
    found = median(values)
    assert np.array_equal(found, np.median(values, axis=-1))
    assert found.dtype == np.float32
