"""A copy of a network that answers while the network itself goes on learning."""

import numpy as np
import pytest
import torch

from digitlens.datasets.mnist import Split
from digitlens.training.nets.tile_network import CLASSES
from digitlens.training.snapshot import Snapshot, sample_of

pytestmark = pytest.mark.train


class Brightest(torch.nn.Module):
    """Says the digit whose pixel of the first row is brightest, in eleven logits if asked."""

    def __init__(self, classes=CLASSES):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.02))
        self.classes = classes
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, tiles):
        return self.dropout(tiles[:, 0, : self.classes].float() * self.scale)


@pytest.fixture
def sample():
    """Ten digits, of which 3 is taken for 5 surely and 4 for 9 less so."""
    tiles = np.zeros((10, 28, 28), np.uint8)
    tiles[range(10), 0, range(10)] = 200
    tiles[3, 0, 5], tiles[4, 0, 9] = 255, 220
    tiles[3, 0, 3] = 0
    return Split(tiles, np.arange(10, dtype=np.uint8))


def test_a_glance_counts_and_orders_mistakes(sample):
    glance = Snapshot(Brightest()).glance(sample, 0.0)
    assert glance.accuracy == pytest.approx(0.8)
    assert glance.confusion.sum() == 10
    assert glance.confusion[3, 5] == glance.confusion[4, 9] == 1
    assert [(m.index, m.truth, m.answer) for m in glance.mistakes] == [(3, 3, 5), (4, 4, 9)]
    assert glance.mistakes[0].confidence > glance.mistakes[1].confidence > 0.4


def test_the_loss_is_the_one_that_is_trained(sample):
    snapshot = Snapshot(Brightest())
    logits = torch.from_numpy(sample.tiles[:, 0, :10]).float() * 0.02
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(10), label_smoothing=0.3)
    assert snapshot.glance(sample, 0.3).loss == pytest.approx(float(wanted))


def test_it_stays_as_it_was_and_draws_nothing_at_random(sample):
    network = Brightest().train()
    state = torch.get_rng_state()
    snapshot = Snapshot(network)
    before = snapshot.answers(sample.tiles).probabilities
    with torch.no_grad():
        network.scale.zero_()
    np.testing.assert_array_equal(snapshot.answers(sample.tiles).probabilities, before)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_knows_none_says_so(sample):
    tiles = np.concatenate([sample.tiles, np.zeros((1, 28, 28), np.uint8)])
    tiles[10, 0, CLASSES] = 255
    answers = Snapshot(Brightest(CLASSES + 1)).answers(tiles)
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert answers.digit is not None
    assert answers.digit[10] < 0.1
    assert answers.digit[3] > 0.9
    assert Snapshot(Brightest()).answers(tiles).digit is None


def test_a_sample_is_spread_over_its_split_and_is_all_of_a_small_one():
    split = Split(np.zeros((50, 28, 28), np.uint8), np.repeat(np.arange(10), 5).astype(np.uint8))
    assert sample_of(split, 10).labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(sample_of(split, 1000)) == 50
