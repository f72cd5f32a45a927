"""Training on lines: learning, resuming, losses and scores."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from digitlens.alphabet import BLANK, CLASSES, OTHER_SIGN, encode
from digitlens.datasets.synthetic.lines import Line
from digitlens.training.loop import fit
from digitlens.training.optim import anchor_weights, new_adamw, set_learning_rate
from digitlens.training.recipe import LineRecipe
from digitlens.training.tasks.batches import LineBatch
from digitlens.training.tasks.line import (
    LineTask,
    best_path,
    ctc_loss,
    distillation_loss,
    line_network,
    line_scores,
    numeric,
)

pytestmark = pytest.mark.train

RECIPE = LineRecipe(
    start="random",
    batch_size=2,
    pool=2,
    steps=3,
    check_every=2,
    warmup_steps=1,
    validation_lines=3,
    precision="float32",
    ema_decay=0.5,
)


def line(number: int) -> Line:
    """Draws a dark bar on the left for "1" and no bar for "22"."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(200, 220, (48, 32, 3), np.uint8)
    one = number % 2 == 0
    pixels[8:40, 4:12] = 20 if one else 210
    return Line(pixels, "1" if one else "22", "tile")


def _train(folder, recipe=RECIPE, *, resume=False):
    return fit(LineTask(recipe, line, line, workers=0), folder, resume=resume)


@pytest.fixture(scope="module", autouse=True)
def _shallow(shallow):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("digitlens.training.tasks.line.LineNetwork", shallow)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return _train(folder), folder


def test_line_recogniser_learns(tmp_path):
    recipe = dataclasses.replace(RECIPE, batch_size=4, steps=8, check_every=4)
    recipe = dataclasses.replace(recipe, learning_rate=1e-3, invert=0.0, stretch=0.0)
    first, last = _train(tmp_path, recipe).history
    assert last["train_loss"] < first["train_loss"]
    assert last["val_loss"] < first["val_loss"]
    assert [row["step"] for row in (first, last)] == [4, 8]
    for row in (first, last):
        assert 0 <= row["exact"] <= 1
        assert row["exact/tile"] == row["exact"]
        assert row["numeric_exact"] >= row["exact"]


def test_averaged_weights_are_saved_during_training(whole):
    learned, folder = whole
    snapshot = load_file(folder / "latest.safetensors")
    for name, tensor in learned.network.state_dict().items():
        assert snapshot[name].dtype == torch.float16
        torch.testing.assert_close(snapshot[name].float(), tensor, atol=1e-3, rtol=1e-3)


def test_interrupted_run_resumes_to_identical_weights(whole, tmp_path, same, stopped):
    stopped(3, lambda: _train(tmp_path))  # after the first checkpoint
    assert same(whole[0].network, _train(tmp_path, resume=True).network)


def test_time_limit_ends_a_run_for_good(tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=1000, check_every=500)
    task = LineTask(recipe, line, line, workers=0)
    rows = fit(task, tmp_path, time_limit=0.01).history
    assert [row["step"] for row in rows] == [1]
    again = fit(task, tmp_path, time_limit=0.01, resume=True)
    assert again.history == rows


def test_line_with_more_characters_than_steps_has_no_gradient():
    logits = torch.randn(2, 4, 86, requires_grad=True)
    targets = torch.tensor([[1, 2, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])
    pictures = torch.zeros(2, 3, 48, 32, dtype=torch.uint8)
    batch = LineBatch(pictures, targets, torch.tensor([2, 6]), torch.zeros(2))
    loss = ctc_loss(logits, batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert (logits.grad[1] == 0).all()


def _logits(*paths):
    """Returns logits whose best paths are these; an underscore is the blank."""
    logits = torch.zeros(len(paths), len(paths[0]), CLASSES)
    for line, path in enumerate(paths):
        for step, char in enumerate(path):
            logits[line, step, BLANK if char == "_" else encode(char)[0]] = 8.0
    return logits


def test_distillation_ignores_what_the_teacher_misreads():
    pictures = torch.zeros(2, 3, 48, 32, dtype=torch.uint8)
    targets = torch.tensor([encode("12"), encode("17")])
    batch = LineBatch(pictures, targets, torch.tensor([2, 2]), torch.zeros(2, dtype=torch.int64))
    taught = _logits("1_2_", "1_1_")
    assert distillation_loss(taught, taught, batch).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(_logits("1_2_", "1_7_"), taught, batch).item() < 1e-6
    assert distillation_loss(_logits("1_3_", "1_7_"), taught, batch).item() > 1
    # Marks that the teacher sees are ignored if the line has none.
    batch = LineBatch(pictures[:1], targets[:1], torch.tensor([2]), torch.tensor([0]))
    taught = _logits("1_2_")
    taught[0, [0, 3], encode("/")[0]] = 99.0  # the most likely class of two steps
    assert distillation_loss(_logits("1_2_"), taught, batch).item() < 1e-6
    assert distillation_loss(_logits("3_2_"), taught, batch).item() > 1


def test_anchored_weights_decay_towards_the_published_ones():
    network, published = (line_network(RECIPE) for _ in range(2))
    weight, anchor = (each.body[0].depthwise.weight.detach() for each in (network, published))
    head, far = network.head.weight.clone(), (weight - anchor).norm()
    optimizer = new_adamw(network, 0.1, 0.0)
    anchor_weights(optimizer, network, published, strength=5.0)
    set_learning_rate(optimizer, 0.1)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert (weight - anchor).norm() == pytest.approx(far.item() / 2)
    assert torch.equal(network.head.weight, head)


def test_best_path_merges_repeats_and_numeric_drops_letters():
    assert line_network(RECIPE).head.out_features == CLASSES
    one, two = encode("12")
    assert best_path([0, one, one, 0, one, two, two, 0]) == "112"
    assert best_path([]) == ""
    assert best_path(encode("é")) == OTHER_SIGN
    assert numeric(f"Room 101B, $3.50{OTHER_SIGN}") == "101,$3.50"


def test_line_scores():
    scores = line_scores(
        [("12", "12", "a"), ("a1", "b1", "a"), ("345", "35", "b"), ("", "", "nothing")]
    )
    assert scores["exact"] == 0.5
    assert scores["errors"] == pytest.approx(2 / 7)
    assert scores["numeric_exact"] == 0.75
    assert scores["numeric_errors"] == pytest.approx(1 / 6)
    assert (scores["exact/a"], scores["exact/b"], scores["exact/nothing"]) == (0.5, 0.0, 1.0)
