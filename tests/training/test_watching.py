"""A watcher sees what happens, seldom enough, and changes nothing."""

import dataclasses

import numpy as np
import pytest
import torch

from digitlens.training.committee import train_all
from digitlens.training.snapshot import sample_of
from digitlens.training.train import train
from digitlens.training.watching import SHARE, Check, Pace, Pulse, Watcher

pytestmark = pytest.mark.train


class Clock:
    """Goes on when it is told to, so that all that is due is due at every step."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def two(tiny):
    return dataclasses.replace(tiny, epochs=2, label_smoothing=0.1)


@pytest.fixture(scope="module")
def watched(two, bars, more_bars, tmp_path_factory):
    """A run with a watcher that looks after every step: the run, the watcher, what it told."""
    told = []
    clock = Clock()
    watcher = Watcher(sample_of(more_bars, 200), told.append, smoothing=0.1, clock=clock)

    def on_step(moment):
        clock.now += 2
        watcher.on_step(moment)

    folder = tmp_path_factory.mktemp("run")
    trained = train(two, bars, more_bars, folder, on_step=on_step, on_epoch=watcher.on_epoch)
    return trained, watcher, told


def test_the_weights_are_the_same_bit_for_bit_whoever_looks(
    watched, two, bars, more_bars, tmp_path
):
    alone = train(two, bars, more_bars, tmp_path)
    pairs = zip(
        watched[0].network.state_dict().values(), alone.network.state_dict().values(), strict=True
    )
    assert all(torch.equal(one, other) for one, other in pairs)


def test_every_step_is_told_once_and_in_order(watched, bars):
    trained, _, told = watched
    points = [point for news in told if isinstance(news, Pulse) for point in news.points]
    steps = -(-len(bars) // 64) * 2
    assert [point.step for point in points] == list(range(1, steps + 1))
    first = trained.history[0]
    sizes = np.array([64] * 9 + [600 - 9 * 64])
    for name, values in (
        ("train_loss", [point.loss for point in points[:10]]),
        ("train_accuracy", [point.accuracy for point in points[:10]]),
    ):
        assert np.average(values, weights=sizes) == pytest.approx(first[name], rel=1e-5)
    assert points[-1].learning_rate == trained.history[-1]["learning_rate"]


def test_epochs_come_with_their_rows(watched):
    trained, _, told = watched
    last = [news for news in told if isinstance(news, Pulse)][-1]
    assert list(last.rows) == trained.history
    assert (last.epoch, last.epochs, last.step, last.member) == (2, 2, last.steps, 1)
    assert last.seconds_left == 0


def test_it_learns_before_our_eyes(watched):
    _, watcher, told = watched
    checks = [news for news in told if isinstance(news, Check)]
    assert [check.step for check in checks] == [*range(1, 11), 10, *range(11, 21), 20]
    assert checks[-1].glance.accuracy > checks[0].glance.accuracy + 0.3
    assert checks[-1].glance.loss < checks[0].glance.loss
    assert watcher.answers(np.zeros((3, 28, 28), np.uint8)).probabilities.shape == (3, 10)


def test_what_was_kept_answers_in_the_end(watched, more_bars):
    trained, watcher, told = watched
    watcher.keep(trained.network)
    assert isinstance(told[-1], Check)
    assert told[-1].step == 20
    with torch.inference_mode():
        wanted = torch.softmax(trained.network(torch.from_numpy(more_bars.tiles[:9])), 1).numpy()
    found = watcher.answers(more_bars.tiles[:9]).probabilities
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_nobody_is_answered_before_the_first_step(more_bars):
    watcher = Watcher(sample_of(more_bars, 10), lambda _: None)
    assert watcher.answers(more_bars.tiles[:1]) is None
    watcher.on_epoch({})  # of a member that had been trained before: nothing to look at


def test_members_of_a_committee_are_told_apart(two, bars, more_bars, tmp_path):
    told = []
    recipe = dataclasses.replace(two, epochs=1, members=2)
    clock = Clock()
    watcher = Watcher(sample_of(more_bars, 20), told.append, clock=clock)

    def on_step(moment):
        clock.now += 2  # so that each step is due, however fast it was
        watcher.on_step(moment)

    rows = []
    train_all(recipe, bars, more_bars, tmp_path, on_step=on_step, on_epoch=rows.append)
    assert len(rows) == 2
    pulses = [news for news in told if isinstance(news, Pulse)]
    assert {(pulse.member, pulse.members) for pulse in pulses} == {(1, 2), (2, 2)}


@pytest.mark.parametrize(("takes", "pause"), [(0.01, 1.0), (1.0, 9.0)])
def test_looking_takes_a_bounded_share_of_the_time(takes, pause):
    now = 0.0
    pace = Pace(1.0, lambda: now)
    assert pace.due()
    now += takes
    pace.done(0.0)
    now = takes + pause - 1e-6
    assert not pace.due()
    now = takes + pause
    assert pace.due()
    assert takes / (takes + pause) <= SHARE + 1e-9
