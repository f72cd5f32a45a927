"""TensorBoard files match the history of the training, also after an interruption."""

import dataclasses
import json

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from digitlens.training.monitor import TensorBoard
from digitlens.training.tasks.tile import train_classifier

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:.*np.*:DeprecationWarning:tensorboard"),
]
STEPS = 10  # per epoch


@pytest.fixture
def board():
    """Returns a function that creates a writer for a folder."""
    return lambda folder: TensorBoard(folder, "seed = 0")


def follow(board, recipe, splits, run, *, stop_at=0, resume=False):
    def on_step(moment):
        board.on_step(moment)
        if moment.step == stop_at:
            raise KeyboardInterrupt

    try:
        train_classifier(
            recipe, *splits, run, resume=resume, on_step=on_step, on_epoch=board.on_epoch
        )
    finally:
        board.close()


def events(folder):
    found = EventAccumulator(
        str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0}
    )
    return found.Reload()


def test_events_of_an_interrupted_run_match_its_history(tiny, bars, more_bars, tmp_path, board):
    recipe = dataclasses.replace(tiny, epochs=3)
    splits, logs = (bars, more_bars), tmp_path / "logs"
    with pytest.raises(KeyboardInterrupt):
        follow(board(logs), recipe, splits, tmp_path, stop_at=STEPS + 4)
    follow(board(logs), recipe, splits, tmp_path, resume=True)
    found = events(logs)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    history = [json.loads(line) for line in lines]
    for name in set(history[0]) - {"epoch", "step"}:
        read = [(event.step, event.value) for event in found.Scalars(f"epoch/{name}")]
        assert [step for step, _ in read] == [1, 2, 3]
        wanted = [row[name] for row in history]
        np.testing.assert_allclose([value for _, value in read], wanted, rtol=1e-6)
    for name in ("loss", "accuracy", "learning_rate", "images_per_second"):
        steps = [event.step for event in found.Scalars(f"step/{name}")]
        assert steps == list(range(1, 3 * STEPS + 1))
    losses = [event.value for event in found.Scalars("step/loss")]
    sizes = [64] * 9 + [24]
    for epoch, row in enumerate(history):
        mean = np.average(losses[epoch * STEPS : (epoch + 1) * STEPS], weights=sizes)
        assert mean == pytest.approx(row["train_loss"], rel=1e-5)
    filters = found.Images("weights/filters")
    assert [image.step for image in filters] == [1, 2, 3]
    assert filters[0].width >= filters[0].height >= 12 * 5
    assert found.Tags()["graph"]
    assert b"seed = 0" in found.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]
    assert len(found.Histograms("weights/body.0.weight")) == 3


def test_run_started_without_events_gets_all_its_epochs(tiny, bars, more_bars, tmp_path, board):
    recipe = dataclasses.replace(tiny, epochs=2)
    logs = tmp_path / "logs"

    def stop(_row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(recipe, bars, more_bars, tmp_path, on_epoch=stop)
    follow(board(logs), recipe, (bars, more_bars), tmp_path, resume=True)
    read = events(logs).Scalars("epoch/val_loss")
    assert [event.step for event in read] == [1, 2]


def test_members_of_an_ensemble_are_separate_runs(tiny, bars, more_bars, tmp_path, board):
    recipe = dataclasses.replace(tiny, epochs=1, models=2)
    follow(board(tmp_path / "logs"), recipe, (bars, more_bars), tmp_path / "run")
    for member in (1, 2):
        history = (tmp_path / "run" / f"member-{member}" / "history.jsonl").read_text()
        read = events(tmp_path / "logs" / f"member-{member}").Scalars("epoch/val_loss")
        assert [event.value for event in read] == pytest.approx([json.loads(history)["val_loss"]])
