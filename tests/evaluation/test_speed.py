"""Times are those of the function alone, and their medians."""

import time

import numpy as np
import pytest

from digitlens.evaluation.speed import Speed, describe_machine, measure_speed, tiles_timed

TILES = np.zeros((30, 28, 28), np.uint8)


def test_medians_and_the_slowest_twentieth():
    speed = Speed(single=(0.001,) * 19 + (1.0,), batch=(0.1, 0.2, 9.0), batch_size=100)
    assert speed.one == 0.001
    assert speed.slow == pytest.approx(0.95, abs=0.01)
    assert speed.per_second == pytest.approx(500)
    values = speed.as_dict()
    assert (values["calls"], values["rounds"], values["batch_size"]) == (20, 3, 100)


def test_single_tiles_and_whole_batches_are_timed():
    sizes = []

    def predict(tiles):
        sizes.append(len(tiles))
        time.sleep(0.002 if len(tiles) > 1 else 0)
        return np.full((len(tiles), 10), 0.1, np.float32)

    done = []
    speed = measure_speed(predict, TILES, calls=4, rounds=2, on_progress=done.append)
    assert sizes == [1] * 5 + [30] * 3  # the first of each is not counted
    assert (len(speed.single), len(speed.batch)) == (4, 2)
    assert min(speed.batch) >= 0.002
    assert sum(done) == 4 + 2 * 30
    assert tiles_timed(30) == 200 + 7 * 30


def test_without_tiles_there_is_nothing_to_time_and_the_machine_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected one tile or more"):
        measure_speed(lambda tiles: tiles, TILES[:0])
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus 3\nflags\t: all\n")
    assert describe_machine(tmp_path / "cpuinfo").startswith("Abacus 3, ")
    assert describe_machine(tmp_path / "none")
