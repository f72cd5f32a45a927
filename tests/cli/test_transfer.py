import io
import json

import numpy as np
import pytest
from rich.console import Console

from digitlens.cli.transfer import (
    Measured,
    transfer,
    transfer_dict,
    transfer_tables,
    write_transfer,
)
from digitlens.datasets.external import digit_sets
from digitlens.datasets.external.digit_sets import Pictures, load_scikit
from digitlens.errors import DataError
from digitlens.models.classifier import Classifier


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


@pytest.fixture(scope="module")
def measured(classifier, tmp_path_factory) -> list[Measured]:
    """The first hundred digits of scikit-learn, and three pictures of a Semeion of our own."""
    pictures = load_scikit()
    few = Pictures(pictures.images[:100], pictures.labels[:100])
    rows = np.concatenate([np.eye(256)[:3].repeat(60, axis=1)[:, :256], np.eye(10)[:3]], axis=1)
    file = tmp_path_factory.mktemp("semeion") / "semeion.data"
    file.write_text("\n".join(" ".join(f"{value:.1f}" for value in row) for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digit_sets, "load_scikit", lambda: few)
        return transfer(classifier, ["digits", f"semeion={file}"])


def shown(tables):
    console = Console(file=io.StringIO(), width=200)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def test_every_data_set_is_scored_in_its_order(measured, classifier):
    assert [one.transfer.name for one in measured] == ["digits", "semeion"]
    digits = measured[0].transfer
    assert digits.framed.n == 100
    assert digits.framed.accuracy > digits.unframed.accuracy
    assert digits.framed.model.sha256 == classifier.sha256


def test_tables_show_both_accuracies_and_recalls(measured):
    text = shown(transfer_tables(measured))
    digits = measured[0].transfer
    for part in (
        "scikit-learn's digits",
        "Semeion (semeion.data)",
        f"{digits.framed.accuracy:.2%}",
        f"{digits.unframed.interval[0]:.2%} to {digits.unframed.interval[1]:.2%}",
        f"{digits.framed.classes[0].recall:.1%}",
    ):
        assert part in text
    assert text.splitlines()[-1].split()[-1] == "-"  # Semeion here has no 9


def test_files_are_the_json_and_a_picture_a_data_set(measured, tmp_path):
    folder = tmp_path / "out"
    names = write_transfer([*measured, measured[0]], folder)
    assert names == ["transfer.json", "wrong-digits.png", "wrong-semeion.png", "wrong-digits-2.png"]
    content = json.loads((folder / "transfer.json").read_text(encoding="utf-8"))
    assert content["transfer"][:2] == json.loads(json.dumps(transfer_dict(measured)))["transfer"]
    for name in names[1:]:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_named(measured, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file cannot be written .*: name another --out"):
        write_transfer(measured, tmp_path / "file")


def test_an_unknown_data_set_is_refused(classifier):
    with pytest.raises(DataError, match="no data set is called 'mnst'"):
        transfer(classifier, ["mnst"])
