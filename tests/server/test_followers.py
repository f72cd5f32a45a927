"""``train --watch`` and ``--tensorboard``: effects, refusals, and no effect on the training."""

import json
import re
import sys
import threading
import urllib.request

import numpy as np
import pytest
from typer.testing import CliRunner

from digitlens.cli.main import app
from digitlens.datasets.mnist import Mnist, Split
from digitlens.errors import MissingExtraError
from digitlens.server import followers as module
from digitlens.server.followers import Followers
from digitlens.training.loop import HISTORY
from digitlens.training.recipe import Recipe
from digitlens.training.tasks.tile import train_classifier

pytestmark = pytest.mark.train
CHANGES = [
    part
    for change in ("widths=4,4,4", "epochs=2", "validation=random", "batch_size=64")
    for part in ("--set", change)
]


@pytest.fixture(autouse=True)
def quick(small_split, monkeypatch):
    """Replaces MNIST by a few drawn tiles and skips the export, which takes seconds."""
    few = Mnist(small_split, small_split)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _folder=None: few)
    monkeypatch.setattr("digitlens.training.pipeline.export_classifier", lambda *_: None)
    monkeypatch.setattr("digitlens.cli.train._draw", lambda *_: None)


def run(*arguments):
    return CliRunner().invoke(app, ["train", "--recipe", "fast", *CHANGES, *map(str, arguments)])


def losses(folder):
    lines = (folder / HISTORY).read_text().splitlines()
    return [json.loads(line)["val_loss"] for line in lines]


def test_watch_prints_the_address_and_does_not_block_a_script(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    result = run("--out", tmp_path / "run", "--watch", "--tensorboard")
    assert result.exit_code == 0, result.output
    assert re.search(r"watch it at http://127\.0\.0\.1:\d+/", result.stderr)
    assert "tensorboard --logdir" in result.stderr
    assert not opened  # no terminal
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(run)")]
    plain = run("--out", tmp_path / "plain")
    assert "http" not in plain.stderr
    assert not (tmp_path / "plain" / "tensorboard").exists()
    assert losses(tmp_path / "run") == losses(tmp_path / "plain")


def test_page_follows_a_training_to_its_end(tmp_path, small_split):
    recipe = Recipe(
        architecture="fast", widths=(4,), kernels=(3,), dense=0, epochs=2, batch_size=64
    )
    events = []
    with Followers(watch=True) as followers:
        followers.begin(recipe, tmp_path, (small_split, small_split))

        def read_news(row=None):
            if row:
                followers.on_epoch(row)
            with urllib.request.urlopen(f"{followers.address}news", timeout=10) as news:
                lines = [news.readline() for _ in range(3)]
            events.append(json.loads(lines[2].removeprefix(b"data: ")))

        splits = (small_split, small_split, tmp_path / "run")
        trained = train_classifier(recipe, *splits, on_step=followers.on_step, on_epoch=read_news)
        followers.end(trained)
        read_news()
        headers = {"Content-Type": "application/octet-stream"}
        ink = small_split.tiles[0].tobytes()
        question = urllib.request.Request(f"{followers.address}answer?width=28", ink, headers)
        answer = json.loads(urllib.request.urlopen(question, timeout=10).read())
    first, second, last = events
    steps = -(-len(small_split) // 64)
    assert [len(news["steps"]) for news in (first, second)] == [steps, 2 * steps]
    assert [len(news["progress"]["rows"]) for news in (first, second)] == [1, 2]
    assert np.sum(first["confusion"]) == len(small_split)
    assert f"epoch {trained.best_epoch} of 2 is kept" in last["ended"]
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-3)


def test_training_tiles_are_scored_without_validation_tiles(tmp_path, small_split):
    nothing = Split(small_split.tiles[:0], small_split.labels[:0])
    with Followers(watch=True) as followers:
        followers.begin(Recipe(), tmp_path, (small_split, nothing))
        with urllib.request.urlopen(f"{followers.address}subject", timeout=10) as answer:
            subject = json.loads(answer.read())
    assert subject["sample"] == "400 training digits, since none are held out"


@pytest.mark.parametrize("option", [["--watch"], ["--tensorboard"], ["--tensorboard-dir", "x"]])
@pytest.mark.parametrize("recipe", ["pages", "autoencoder"])
def test_only_classifier_trainings_can_be_followed(option, recipe):
    result = CliRunner().invoke(app, ["train", "--recipe", recipe, *option])
    assert result.exit_code == 2
    assert "only for classifiers" in re.sub(r"\W+", " ", result.stderr)


@pytest.mark.parametrize(
    ("option", "package", "extra"),
    [("watch", "uvicorn", "serve"), ("tensorboard", "tensorboard", "tensorboard")],
)
def test_missing_package_is_named_before_training(option, package, extra, monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("torch.utils.tens", "digitlens.server.training_page")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}'.*digitlens\[{extra}\]"):
        Followers(**{option: True}).__enter__()


def test_no_followers_by_default(tmp_path, small_split):
    with Followers() as followers:
        followers.begin(Recipe(), tmp_path, (small_split, small_split))
        assert followers.on_step is None
        assert followers.on_epoch is None
        followers.linger()


class Pages:
    """Reports an open page for this number of checks."""

    def __init__(self, checks):
        self.checks = checks

    @property
    def readers(self):
        self.checks -= 1
        if self.checks < -1000:
            raise KeyboardInterrupt
        return int(self.checks > 0)


@pytest.mark.parametrize(("checks", "waits"), [(5, True), (1, False)])
def test_server_waits_until_the_page_is_closed(checks, waits, monkeypatch, capsys):
    now = iter(np.arange(0, 1e6, 0.5))
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    followers = Followers(watch=True)
    followers._history = Pages(checks)
    followers.linger()
    assert ("stop with Ctrl-C" in capsys.readouterr().err) == waits
