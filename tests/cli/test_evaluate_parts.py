import io
import json

import numpy as np
import pytest
from PIL import ImageFont
from rich.console import Console

from digitlens.cli.evaluate import external_part, ood_part
from digitlens.datasets import external
from digitlens.datasets.external import Pictures, load_scikit
from digitlens.datasets.mnist import Mnist, Split
from digitlens.datasets.negative_inks import EM, Face
from digitlens.datasets.number_files import encode_idx
from digitlens.errors import DataError
from digitlens.evaluation.report import Transfer
from digitlens.explain import trained_model
from digitlens.explain.trained_model import measure_external, measure_ood
from digitlens.models.classifier import Classifier
from digitlens.results import Outputs


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


@pytest.fixture(scope="module")
def measured(classifier, tmp_path_factory) -> list[Transfer]:
    """Results on the first 100 digits of scikit-learn and on a made-up Semeion of 3 pictures."""
    pictures = load_scikit()
    few = Pictures(pictures.images[:100], pictures.labels[:100])
    rows = np.concatenate([np.eye(256)[:3].repeat(60, axis=1)[:, :256], np.eye(10)[:3]], axis=1)
    file = tmp_path_factory.mktemp("semeion") / "semeion.data"
    file.write_text("\n".join(" ".join(f"{value:.1f}" for value in row) for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(external, "load_scikit", lambda: few)
        return measure_external(classifier, ["digits", f"semeion={file}"])


def shown(tables):
    console = Console(file=io.StringIO(), width=200)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def test_data_sets_are_scored_in_order_with_accuracies_and_recalls(measured, classifier):
    assert [one.data.name for one in measured] == ["digits", "semeion"]
    digits = measured[0]
    assert digits.framed.n == 100
    assert digits.framed.accuracy > digits.unframed.accuracy
    assert digits.framed.model.sha256 == classifier.sha256
    text = shown(external_part(measured).display)
    for part in (
        "scikit-learn's digits",
        "Semeion (semeion.data)",
        f"{digits.framed.accuracy:.2%}",
        f"{digits.unframed.interval[0]:.2%} to {digits.unframed.interval[1]:.2%}",
        f"{digits.framed.classes[0].recall:.1%}",
    ):
        assert part in text
    assert text.splitlines()[-1].split()[-1] == "-"  # this Semeion has no 9


def test_json_and_one_picture_per_data_set_are_written(measured, tmp_path):
    part = external_part([*measured, measured[0]])
    names = part.write(tmp_path / "out")
    assert names == ["transfer.json", "wrong-digits.png", "wrong-semeion.png", "wrong-digits-2.png"]
    content = json.loads((tmp_path / "out" / "transfer.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(part.values))
    for name in names[1:]:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


class Foreign:
    """A foreign model that returns only probabilities."""

    def predict_proba(self, tiles):
        chances = np.full((len(tiles), 10), 0.01, np.float32)
        chances[:, 0] += tiles.mean(axis=(1, 2)) / 255
        return chances / chances.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch, small_split):
    """Pillow's own font as the only face, drawn digits for MNIST, and few tiles of each kind."""
    face = Face({"latin": ImageFont.load_default(EM)})
    monkeypatch.setattr("digitlens.datasets.negative_inks.load_faces", lambda _: (face,))
    mnist = Mnist(small_split, small_split)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _: mnist)
    monkeypatch.setattr("digitlens.evaluation.ood.CORRUPTION_TILES", 5)
    monkeypatch.setattr("digitlens.visualization.theme.DPI", 30)
    for name in ("KNOWN", "CHOOSING", "CHOSEN_NEGATIVES", "DRAWN_NEGATIVES"):
        monkeypatch.setattr(trained_model, name, 20)


@pytest.fixture
def few(small_split):
    return Split(small_split.tiles[:60], small_split.labels[:60])


def test_model_with_only_probabilities_is_measured_and_reported(few, tmp_path):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(encode_idx(np.full((7, 28, 28), 9, np.uint8)))
    part = ood_part(measure_ood(Foreign(), few, negatives=[f"clothes={path}"]))
    text = shown(part.display)
    sets = ("corrupted", "letters, 36", "blank", "clothes, 7")
    for expected in (*sets, "maximum probability *", "reconstruction"):
        assert expected in text
    assert "cross-fitted" not in text
    names = part.write(tmp_path / "out")
    assert names[0] == "rejection.json"
    assert all((tmp_path / "out" / name).is_file() for name in names)
    written = json.loads((tmp_path / "out" / names[0]).read_text())
    assert written == part.values["rejection"]


@pytest.mark.parametrize("recipe", [{}, {"validation": "none", "temperature": 1.0}])
def test_best_score_is_chosen_for_a_graph_with_a_digit_output(few, recipe):
    class Rich(Classifier):
        def __init__(self):
            self.card = type("Card", (), {"recipe": recipe})()

        def outputs(self, tiles):
            digit = tiles[:, 2:].max((1, 2)).astype(np.float32) / 255
            return Outputs(Foreign().predict_proba(tiles), digit=digit)

    found = measure_ood(Rich(), few, is_validation=True)
    assert list(found.scores) == [
        *("maximum probability", "digit", "digit and value", "reconstruction")
    ]
    assert list(found.chosen_by["digit"]) == ["as in training"]
    assert "cross-fitted" in shown(ood_part(found).display)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *((given, "expected NAME=FILE") for given in (["a"], ["=b"], ["a="], ["a=b", "a=c"])),
        (["letters={}"], "letters is the name of another"),
    ],
)
def test_names_of_negatives_must_be_given_and_unique(few, tmp_path, given, message):
    path = tmp_path / "images"
    path.write_bytes(encode_idx(np.zeros((2, 28, 28), np.uint8)))
    with pytest.raises(DataError, match=message):
        measure_ood(Foreign(), few, negatives=[each.format(path) for each in given])
