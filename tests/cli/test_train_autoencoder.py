import json

import pytest
from typer.testing import CliRunner

from digitlens.cli.curves import draw_history
from digitlens.cli.main import app
from digitlens.datasets import mnist as data
from digitlens.datasets.mnist import Mnist

SMALL = [
    f"--set={change}"
    for change in ("widths=4,4", "code=6", "epochs=2", "batch_size=64", "validation=random")
]


def _run(*arguments: object):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.fixture
def exported(monkeypatch):
    """What was to be exported, which takes seconds and has tests of its own."""
    found = {}

    def export(network, card, tiles, folder):
        found.update(network=network, card=card, tiles=tiles, folder=folder)

    monkeypatch.setattr("digitlens.training.autoencoder_export.export_autoencoder", export)
    return found


@pytest.mark.train
def test_a_run_has_all_that_others_have_and_can_be_resumed_and_used(
    small_split, exported, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "load_mnist", lambda _=None: Mnist(small_split, small_split))
    monkeypatch.setattr("digitlens.visualization.style.DPI", 40)
    run = tmp_path / "run"
    done = _run("--recipe", "autoencoder", *SMALL, "--out", run)
    assert done.exit_code == 0, done.output
    assert "on validation tiles a squared error of" in done.stdout
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    kept = {"recipe.toml", "run.json", "history.jsonl", "state.safetensors", "curves.png"}
    assert names == kept
    assert exported["folder"] == run / "model"
    assert exported["network"].code == exported["card"].recipe["code"] == 6
    assert exported["card"].name == "autoencoder"
    assert exported["card"].data["train-images-idx3-ubyte"].startswith("ba891046")
    results = exported["card"].results
    assert len(results["error_quantiles"]) == 101
    assert len(exported["tiles"]) == 40
    draw_history(
        [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()],
        tmp_path / "again.png",
    )
    assert (tmp_path / "again.png").read_bytes() == (run / "curves.png").read_bytes()
    again = json.loads(_run("--resume", run, "--json").stdout)
    assert (again["run"], again["epochs"]) == (str(run), 2)
    for key in ("validation_loss", "validation_error"):
        assert again[key] == results[key]
    refused = _run("--refit", run)
    assert "trained no classifier" in str(refused.exception)


def test_fields_explains_the_recipe():
    told = _run("--recipe", "autoencoder", "--fields", "--set", "code=8")
    assert told.exit_code == 0
    assert "code=8" in told.stdout
    assert "all that is left of the 784 pixels" in told.stdout
