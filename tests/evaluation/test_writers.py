import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from digitlens.evaluation.metrics import wilson_interval
from digitlens.evaluation.writers import (
    ErrorsByWriter,
    SeriesErrors,
    WriterErrors,
    errors_by_writer,
)


def measured(wrong, writers, series, **options):
    labels = np.zeros(len(wrong), np.uint8)
    return errors_by_writer(labels, np.asarray(wrong, np.int64), writers, series, **options)


@pytest.fixture
def few():
    """Three writers: 7 and 9 of series 4 with two errors and none, 8 of series 0 with one."""
    writers = np.array([7, 7, 7, 8, 8, 9])
    series = np.array([4, 4, 4, 0, 0, 4])
    return measured([1, 1, 0, 1, 0, 0], writers, series)


def test_errors_are_counted_by_series(few):
    assert few.series == (
        SeriesErrors(0, "census staff", 1, 2, 1, 0.5, wilson_interval(1, 2)),
        SeriesErrors(4, "high-school students", 2, 4, 2, 0.5, wilson_interval(2, 4)),
    )


def test_the_writers_with_most_errors_come_first_and_none_without(few):
    assert few.worst == (WriterErrors(7, 4, 3, 2), WriterErrors(8, 0, 2, 1))


def test_the_share_of_writers_without_an_error_is_of_people(few):
    assert (few.writers, few.flawless) == (3, pytest.approx(1 / 3))
    assert (few.n, few.errors, few.accuracy) == (6, 3, 0.5)


def test_only_so_many_writers_are_listed():
    writers = np.arange(20)
    assert len(measured(np.ones(20), writers, writers * 0, most=3).worst) == 3


def test_a_few_people_are_less_sure_than_as_many_tiles():
    """Ten writers of 100 tiles, whose digits are all read rightly or all wrongly."""
    writers = np.repeat(np.arange(10), 100)
    wrong = writers < 2
    found = measured(wrong, writers, writers * 0)
    width = found.clustered[1] - found.clustered[0]
    assert width > 5 * (found.wilson[1] - found.wilson[0])
    assert found.clustered[0] < 0.8 < found.clustered[1]


def test_of_writers_of_one_tile_each_both_intervals_agree():
    writers = np.arange(400)
    wrong = writers % 10 == 0
    found = measured(wrong, writers, writers * 0)
    assert found.clustered == pytest.approx(found.wilson, abs=0.01)


def test_each_series_keeps_its_writers_in_every_draw():
    """Were all writers drawn at once, a draw could have more of the series that is read worse."""
    writers = np.arange(100)
    series = np.where(writers < 50, 0, 4)
    found = measured(series == 4, writers, series)
    assert found.clustered == (0.5, 0.5)


def test_the_same_seed_gives_the_same_interval():
    writers = np.sqrt(np.arange(2000)).astype(np.int64)  # from 1 to 87 tiles a writer
    wrong = np.arange(2000) % 7 == 0
    first, same, other = (
        measured(wrong, writers, writers * 0, seed=seed).clustered for seed in (1, 1, 2)
    )
    assert first == same != other


def test_json_has_every_table(few):
    content = json.loads(json.dumps(few.as_dict()))
    assert content["series"][1]["rate"] == 0.5
    assert content["worst"][0] == {"writer": 7, "series": 4, "n": 3, "errors": 2}
    assert content["flawless"] == 0.333333
    assert len(content["clustered"]) == len(content["wilson"]) == 2


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_tables_add_up(data):
    n = data.draw(st.integers(1, 60))
    draw = lambda top: data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, top)))  # noqa: E731
    wrong, writers = draw(1), draw(8)
    found: ErrorsByWriter = measured(wrong, writers, writers % 2, most=100)
    assert sum(row.n for row in found.series) == found.n == n
    assert sum(row.errors for row in found.series) == found.errors == wrong.sum()
    assert sum(row.errors for row in found.worst) == found.errors
    assert found.flawless == pytest.approx(1 - len(found.worst) / found.writers)
    assert 0 <= found.clustered[0] <= found.clustered[1] <= 1


@pytest.mark.parametrize("writers", [[1, 2], []])
def test_arrays_of_other_lengths_are_misuse(writers):
    with pytest.raises(ValueError, match="four arrays of one shape"):
        measured([0, 1, 0], np.array(writers, np.int64), np.zeros(3))


def test_no_tiles_are_misuse():
    with pytest.raises(ValueError, match="N >= 1"):
        measured([], np.zeros(0), np.zeros(0))
