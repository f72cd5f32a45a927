"""The monitor reports the training, takes a bounded fraction of the time and changes nothing."""

import dataclasses

import numpy as np
import pytest
import torch

from digitlens.datasets.mnist import Split
from digitlens.training.monitor import SHARE, Check, Pulse, Snapshot, Throttle, Watcher
from digitlens.training.tasks.tile import train_classifier
from digitlens.training.tile_networks import CLASSES

pytestmark = pytest.mark.train


class Brightest(torch.nn.Module):
    """A network whose logits are the first pixels of the first row, for ten or eleven classes."""

    def __init__(self, classes=CLASSES):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.02))
        self.classes = classes
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, tiles):
        return self.dropout(tiles[:, 0, : self.classes].float() * self.scale)


@pytest.fixture
def sample():
    """Ten digits; 3 is taken for 5 with certainty and 4 for 9 with less."""
    tiles = np.zeros((10, 28, 28), np.uint8)
    tiles[range(10), 0, range(10)] = 200
    tiles[3, 0, 5], tiles[4, 0, 9] = 255, 220
    tiles[3, 0, 3] = 0
    return Split(tiles, np.arange(10, dtype=np.uint8))


def test_score_has_ordered_mistakes_and_the_training_loss(sample):
    snapshot = Snapshot(Brightest())
    score = snapshot.score(sample, 0.0)
    assert score.accuracy == pytest.approx(0.8)
    assert score.confusion.sum() == 10
    assert score.confusion[3, 5] == score.confusion[4, 9] == 1
    assert [(m.index, m.truth, m.answer) for m in score.mistakes] == [(3, 3, 5), (4, 4, 9)]
    assert score.mistakes[0].confidence > score.mistakes[1].confidence > 0.4
    logits = torch.from_numpy(sample.tiles[:, 0, :10]).float() * 0.02
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(10), label_smoothing=0.3)
    assert snapshot.score(sample, 0.3).loss == pytest.approx(float(wanted))


def test_snapshot_is_independent_of_network_and_random_state(sample):
    network = Brightest().train()
    state = torch.get_rng_state()
    snapshot = Snapshot(network)
    before = snapshot.answers(sample.tiles).probabilities
    with torch.no_grad():
        network.scale.zero_()
    np.testing.assert_array_equal(snapshot.answers(sample.tiles).probabilities, before)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_network_with_an_eleventh_class_reports_digit_scores(sample):
    tiles = np.concatenate([sample.tiles, np.zeros((1, 28, 28), np.uint8)])
    tiles[10, 0, CLASSES] = 255
    answers = Snapshot(Brightest(CLASSES + 1)).answers(tiles)
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert answers.digit is not None
    assert answers.digit[10] < 0.1
    assert answers.digit[3] > 0.9
    assert Snapshot(Brightest()).answers(tiles).digit is None


class Clock:
    """A clock set by the tests, so that everything is due at every step."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def two(tiny):
    return dataclasses.replace(tiny, epochs=2, label_smoothing=0.1)


@pytest.fixture(scope="module")
def watched(two, bars, more_bars, tmp_path_factory):
    """A run, its watcher that is due at every step, and the news it reported."""
    told = []
    clock = Clock()
    watcher = Watcher(more_bars.evenly(200), told.append, smoothing=0.1, clock=clock)

    def on_step(info):
        clock.now += 2
        watcher.on_step(info)

    folder = tmp_path_factory.mktemp("run")
    trained = train_classifier(
        two, bars, more_bars, folder, on_step=on_step, on_epoch=watcher.on_epoch
    )
    return trained, watcher, told


def test_watching_does_not_change_the_weights(watched, two, bars, more_bars, tmp_path, same):
    assert same(watched[0].network, train_classifier(two, bars, more_bars, tmp_path).network)


def test_every_step_is_reported_once_in_order(watched, bars):
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


def test_epochs_and_improving_checks_are_reported(watched, more_bars):
    trained, watcher, told = watched
    last = [news for news in told if isinstance(news, Pulse)][-1]
    assert list(last.rows) == trained.history
    assert (last.epoch, last.epochs, last.step, last.model) == (2, 2, last.steps, 1)
    assert last.seconds_left == 0
    checks = [news for news in told if isinstance(news, Check)]
    assert [check.step for check in checks] == [*range(1, 11), 10, *range(11, 21), 20]
    assert checks[-1].score.accuracy > checks[0].score.accuracy + 0.3
    assert checks[-1].score.loss < checks[0].score.loss
    assert watcher.answers(np.zeros((3, 28, 28), np.uint8)).probabilities.shape == (3, 10)
    watcher.keep(trained.network)  # the kept network answers from now on
    assert isinstance(told[-1], Check)
    assert told[-1].step == 20
    with torch.inference_mode():
        wanted = torch.softmax(trained.network(torch.from_numpy(more_bars.tiles[:9])), 1).numpy()
    found = watcher.answers(more_bars.tiles[:9]).probabilities
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_models_of_an_ensemble_are_distinguished(two, bars, more_bars, tmp_path):
    told = []
    recipe = dataclasses.replace(two, epochs=1, models=2)
    clock = Clock()
    watcher = Watcher(more_bars.evenly(20), told.append, clock=clock)

    def on_step(info):
        clock.now += 2  # so that every step is due
        watcher.on_step(info)

    rows = []
    train_classifier(recipe, bars, more_bars, tmp_path, on_step=on_step, on_epoch=rows.append)
    assert len(rows) == 2
    pulses = [news for news in told if isinstance(news, Pulse)]
    assert {(pulse.model, pulse.models) for pulse in pulses} == {(1, 2), (2, 2)}


@pytest.mark.parametrize(("takes", "pause"), [(0.01, 1.0), (1.0, 9.0)])
def test_checks_take_a_bounded_fraction_of_the_time(takes, pause):
    now = 0.0
    pace = Throttle(1.0, lambda: now)
    assert pace.due()
    now += takes
    pace.done(0.0)
    now = takes + pause - 1e-6
    assert not pace.due()
    now = takes + pause
    assert pace.due()
    assert takes / (takes + pause) <= SHARE + 1e-9
