"""An epoch is tiles and what to answer to them: labels, a teacher's answers, or none."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import ImageFont

from digitlens.datasets.negatives.faces import Face
from digitlens.errors import ModelError
from digitlens.models.bundle import Card
from digitlens.training.export import export
from digitlens.training.material import Material, mixed, shuffled
from digitlens.training.train import one_network, train


@pytest.fixture
def few_faces(monkeypatch):
    """Letters are set in the type that comes with Pillow."""
    face = Face({"latin": ImageFont.load_default(96)})
    monkeypatch.setattr("digitlens.datasets.negatives.faces.load_faces", lambda _role: (face,))


@pytest.fixture(scope="module")
def teacher(tiny, bars, tmp_path_factory):
    """A model that has learned nothing: its answers are not the labels."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(3)
    card = Card(name="teacher", version="0", sha256="", recipe=tiny.as_dict())
    export(one_network(tiny).eval(), card, bars, folder)
    return str(folder)


def test_targets_are_the_labels_and_epochs_differ(tiny, bars):
    material = Material(tiny, bars, "cpu")
    (first, targets), (second, _) = material.epoch(0), material.epoch(1)
    assert torch.equal(targets.argmax(1), torch.from_numpy(bars.labels).long())
    assert targets.shape == (len(bars), 10)
    assert not torch.equal(first, second)
    assert torch.equal(first, Material(tiny, bars, "cpu").epoch(0)[0])


def test_epochs_can_be_repeated(tiny, bars):
    material = Material(dataclasses.replace(tiny, repeat=2), bars, "cpu")
    tiles = [material.epoch(number)[0] for number in range(4)]
    assert torch.equal(tiles[0], tiles[1])
    assert torch.equal(tiles[2], tiles[3])
    assert not torch.equal(tiles[1], tiles[2])


@pytest.mark.usefixtures("few_faces")
def test_tiles_of_no_digit_are_the_eleventh_class(tiny, bars):
    material = Material(dataclasses.replace(tiny, none=0.1), bars, "cpu")
    tiles, targets = material.epoch(0)
    assert len(material) == len(tiles) == 660
    assert targets.shape == (660, 11)
    assert (targets[600:].argmax(1) == 10).all()
    assert (targets[:600].argmax(1) < 10).all()


@pytest.mark.usefixtures("few_faces")
def test_a_network_learns_what_is_none(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, none=0.3, epochs=8)
    network = train(recipe, bars, more_bars, tmp_path).network
    material = Material(dataclasses.replace(recipe, seed=5), bars, "cpu")
    with torch.inference_mode():
        answers = network(material.tiles).argmax(1)
    assert (answers[600:] == 10).float().mean() > 0.7
    assert (answers[:600] == 10).float().mean() < 0.1


def test_a_teacher_is_believed_and_softened(tiny, bars, teacher):
    taught = dataclasses.replace(tiny, teacher=teacher)
    _, sure = Material(taught, bars, "cpu").epoch(0)
    _, soft = Material(dataclasses.replace(taught, soften=5.0), bars, "cpu").epoch(0)
    np.testing.assert_allclose(sure.sum(1), 1, atol=1e-5)
    assert (sure.argmax(1).numpy() != bars.labels).mean() > 0.5
    assert torch.equal(sure.argmax(1), soft.argmax(1))
    assert (soft.max(1).values < sure.max(1).values).all()


@pytest.mark.usefixtures("few_faces")
def test_a_teacher_that_does_not_know_none_is_refused(tiny, bars, teacher):
    material = Material(dataclasses.replace(tiny, teacher=teacher, none=0.1), bars, "cpu")
    with pytest.raises(ModelError, match="does not know tiles of no digit"):
        material.epoch(0)


def test_mixup_blends_tiles_as_it_blends_targets():
    torch.manual_seed(0)
    tiles = torch.zeros(2, 28, 28, dtype=torch.uint8)
    tiles[0] = 200
    targets = torch.eye(2)
    blended, soft = mixed(tiles, targets, 1.0)
    np.testing.assert_allclose(blended[:, 0, 0] / 200, soft[:, 0], atol=0.01)
    assert 0 < soft[0, 0] < 1
    same = mixed(tiles, targets, 0.0)
    assert same[0] is tiles


def test_the_order_follows_from_seed_and_epoch():
    assert torch.equal(shuffled(1, 2, 50), shuffled(1, 2, 50))
    assert not torch.equal(shuffled(1, 2, 50), shuffled(1, 3, 50))
    assert sorted(shuffled(1, 2, 50).tolist()) == list(range(50))
