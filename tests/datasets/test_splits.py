import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.datasets.splits import load_writers, split_validation, stratified_split, writer_split

fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 1000)


def assert_each_row_once(parts, count: int) -> None:
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(count))


@given(st.lists(st.integers(0, 9), max_size=300), fractions, seeds)
def test_a_random_split_keeps_the_share_of_each_label(labels, fraction, seed):
    array = np.array(labels, np.uint8)
    parts = stratified_split(array, fraction, seed)
    assert_each_row_once(parts, len(array))
    for label in set(labels):
        chosen = (array[parts.validation] == label).sum()
        assert abs(chosen - fraction * (array == label).sum()) <= 0.5


@given(st.lists(st.integers(0, 20), min_size=1, max_size=300), fractions, seeds)
def test_no_writer_is_on_both_sides(names, fraction, seed):
    writers = np.array(names, np.uint16)
    series = np.where(writers % 3 == 0, 4, 0).astype(np.uint8)
    parts = writer_split(writers, series, fraction, seed)
    assert_each_row_once(parts, len(writers))
    assert not set(writers[parts.train]) & set(writers[parts.validation])
    for one in (0, 4):
        theirs = writers[series == one]
        if len(theirs):
            chosen = (series[parts.validation] == one).sum()
            most = np.unique(theirs, return_counts=True)[1].max()
            assert abs(chosen - fraction * len(theirs)) <= most / 2


def test_the_seed_decides():
    table, labels = load_writers(), np.arange(60_000) % 10

    def draw(seed: int) -> list[bytes]:
        by_writer = writer_split(table.train_writer, table.train_series, 0.1, seed)
        return [
            parts.validation.tobytes() for parts in (by_writer, stratified_split(labels, 0.1, seed))
        ]

    assert draw(3) == draw(3)
    assert not set(draw(3)) & set(draw(4))


def test_the_table_of_writers_is_that_of_mnist():
    table = load_writers()
    assert [len(column) for column in table] == [60_000, 60_000, 10_000, 10_000]
    assert len(np.unique(table.train_writer)) == 539
    assert len(np.unique(table.test_writer)) == 297
    assert not set(table.train_writer) & set(table.test_writer)
    assert set(table.train_series) == set(table.test_series) == {0, 4}


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2])
def test_the_share_of_mnist_is_met_and_both_series_are_there(fraction):
    table = load_writers()
    for seed in range(5):
        chosen = writer_split(table.train_writer, table.train_series, fraction, seed).validation
        assert len(chosen) == pytest.approx(60_000 * fraction, abs=120)
        students = (table.train_series[chosen] == 4).mean()
        assert students == pytest.approx(29_050 / 60_000, abs=0.02)


def test_a_random_split_of_any_tiles(small_split):
    train, validation = split_validation(small_split, "random", fraction=0.25, seed=1)
    assert (len(train), len(validation)) == (300, 100)
    assert np.bincount(validation.labels).tolist() == [10] * 10


@pytest.mark.parametrize(
    ("how", "fraction", "said"),
    [
        *(("random", wrong, "a fraction above 0 and below 1") for wrong in (0, 1, -0.1, 5000)),
        ("writer", 0.1, "60,000 training tiles of MNIST in their order, found 400"),
        ("series", 0.1, "expected 'writer' or 'random', found 'series'"),
    ],
)
def test_what_cannot_be_split_is_refused(small_split, how, fraction, said):
    with pytest.raises(ValueError, match=said):
        split_validation(small_split, how, fraction=fraction)


@pytest.mark.mnist
def test_mnist_is_split_by_writer_and_refused_in_another_order(mnist):
    train, validation = split_validation(mnist.train, fraction=0.1, seed=0)
    assert len(train) + len(validation) == 60_000
    assert len(validation) == pytest.approx(6000, abs=120)
    assert np.bincount(validation.labels).min() > 500
    shuffled = mnist.train.take(np.random.default_rng(0).permutation(60_000))
    with pytest.raises(ValueError, match="split these at random"):
        split_validation(shuffled)
