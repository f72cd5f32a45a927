import json

import numpy as np
import pytest
import typer
from PIL import ImageFont
from rich.console import Console

from digitlens.cli import rejection as part
from digitlens.datasets.mnist import Mnist, Split
from digitlens.datasets.mnist_sources import encode_idx
from digitlens.datasets.negatives.faces import EM, Face
from digitlens.errors import DataError
from digitlens.models.classifier import Classifier
from digitlens.outputs import Outputs


class Foreign:
    """Somebody else's model: probabilities alone."""

    def predict_proba(self, tiles):
        chances = np.full((len(tiles), 10), 0.01, np.float32)
        chances[:, 0] += tiles.mean(axis=(1, 2)) / 255
        return chances / chances.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch, small_split):
    """One face that Pillow carries, the drawn digits for MNIST, and few tiles of everything."""
    face = Face({"latin": ImageFont.load_default(EM)})
    monkeypatch.setattr("digitlens.datasets.negatives.faces.load_faces", lambda _: (face,))
    mnist = Mnist(small_split, small_split)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _: mnist)
    monkeypatch.setattr("digitlens.evaluation.ood.CORRUPTED", 5)
    monkeypatch.setattr("digitlens.visualization.style.DPI", 30)
    for name in ("KNOWN", "CHOOSING", "CHOSEN_STRANGERS", "DRAWN"):
        monkeypatch.setattr(part, name, 20)


@pytest.fixture
def few(small_split):
    return Split(small_split.tiles[:60], small_split.labels[:60])


def shown(tables):
    console = Console(width=160)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


def test_a_model_of_probabilities_is_measured_told_and_written(few, tmp_path):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(encode_idx(np.full((7, 28, 28), 9, np.uint8)))
    found = part.rejection(Foreign(), few, strange=[f"clothes={path}"])
    text = shown(part.rejection_tables(found))
    for expected in (
        *("corrupted", "letters, 36", "blank", "clothes, 7"),
        *("maximum probability *", "reconstruction"),
    ):
        assert expected in text
    assert "cross-fitted" not in text
    names = part.write_rejection(found, tmp_path / "out")
    assert names[0] == "rejection.json"
    assert all((tmp_path / "out" / name).is_file() for name in names)
    assert (
        json.loads((tmp_path / "out" / names[0]).read_text())
        == part.rejection_dict(found)["rejection"]
    )


@pytest.mark.parametrize("recipe", [{}, {"validation": "none", "temperature": 1.0}])
def test_a_graph_that_says_more_has_its_score_chosen(few, recipe):
    class Rich(Classifier):
        def __init__(self):
            self.card = type("Card", (), {"recipe": recipe})()

        def outputs(self, tiles):
            digit = tiles[:, 2:].max((1, 2)).astype(np.float32) / 255
            return Outputs(Foreign().predict_proba(tiles), digit=digit)

    found = part.rejection(Rich(), few, is_validation=True)
    assert list(found.scores) == [
        *("maximum probability", "digit", "digit and value", "reconstruction")
    ]
    assert list(found.chosen_by["digit"]) == ["as in training"]
    assert "cross-fitted" in shown(part.rejection_tables(found))


@pytest.mark.parametrize("given", [["a"], ["=b"], ["a="], ["a=b", "a=c"]])
def test_strange_files_have_a_name_each(given):
    with pytest.raises(typer.BadParameter, match="expected NAME=FILE"):
        part.parse_strange(given)
    assert str(part.parse_strange(["a=b=c"])["a"]) == "b=c"


def test_a_name_that_is_taken_and_a_folder_that_is_none_are_errors(few, tmp_path):
    path = tmp_path / "images"
    path.write_bytes(encode_idx(np.zeros((2, 28, 28), np.uint8)))
    with pytest.raises(typer.BadParameter, match="letters is the name of another"):
        part.rejection(Foreign(), few, strange=[f"letters={path}"])
    found = part.rejection(Foreign(), few)
    with pytest.raises(DataError, match="name another --out"):
        part.write_rejection(found, path)
