import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from digitlens import files
from digitlens.errors import ModelError
from digitlens.models import bundle

GRAPH = b"\x08\x09"  # an ONNX graph with a version and nothing else


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """One shipped model, called ``default``."""
    home = tmp_path / "pretrained"
    monkeypatch.setattr(bundle, "PRETRAINED", home)
    bundle.write_bundle(home / "default", card(name="shipped"), GRAPH)
    return home


def card(**changes):
    return bundle.Card(
        **{"name": "one", "version": "0.1.0", "sha256": files.sha256(GRAPH), **changes}
    )


def write_card(folder, **changes):
    bundle.write_bundle(folder, card(), GRAPH)
    raw = {**asdict(card()), **changes}
    kept = {name: value for name, value in raw.items() if value is not None}
    (folder / "model.json").write_text(json.dumps(kept))


def test_bundle_is_read_back_also_from_its_run_folder(tmp_path):
    written = card(
        temperature=1.25,
        thresholds={"digit": 0.9, "reject": 0.2},
        recipe={"epochs": 3},
        data={"train-images-idx3-ubyte": "ba89"},
        results={"accuracy": 0.995},
    )
    folder = tmp_path / "run" / "model"
    bundle.write_bundle(folder, written, GRAPH)
    for named in (folder, tmp_path / "run", str(tmp_path / "run")):
        found = bundle.load_bundle(named)
        assert (found.folder, found.card, found.graph) == (folder, written, GRAPH)


@pytest.mark.usefixtures("shipped")
def test_a_shipped_name_is_not_shadowed_by_a_folder_of_that_name(tmp_path, monkeypatch):
    bundle.write_bundle(tmp_path / "here" / "default", card(name="local"), GRAPH)
    monkeypatch.chdir(tmp_path / "here")
    assert bundle.load_bundle().card.name == "shipped"
    assert bundle.load_bundle("./default").card.name == "local"


@pytest.mark.parametrize("name", ["nothing", "no/such/folder", "x" * 300, "nul\0byte", "", ".."])
def test_error_for_an_unknown_model_lists_the_shipped_ones(shipped, name, monkeypatch):
    monkeypatch.chdir(shipped)
    with pytest.raises(ModelError, match=r"shipped names \(default\)"):
        bundle.find_bundle(name)


def test_a_changed_or_missing_graph_is_refused(folder):
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"model.onnx was changed: expected SHA-256 .* export"):
        bundle.load_bundle(folder)
    graph.unlink()
    with pytest.raises(ModelError, match=r"model.onnx cannot be read .* export it again"):
        bundle.load_bundle(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"\xff\xfe\x00", b"[1, 2]", b'"text"', b"null", b"{}", b"{", b"[" * 10**5],
)
def test_malformed_card_is_refused(folder, content):
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model.json (cannot be read|is not the card)"):
        bundle.load_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, this digitlens expects format 1: update"),
        ({"format": "1"}, "format '1', this digitlens expects format 1"),
        ({"framing": 7}, "framing 7, this digitlens expects framing 1: update"),
        ({"format": 2, "name": None}, "format 2"),  # newer cards may lack fields required here
        ({"sha256": None, "name": None}, "name is missing; sha256 is missing"),
        ({"sha256": 12, "recipe": []}, r"sha256 is 12; recipe is \[\]"),
        ({"weights_sha256": 12}, "weights_sha256 is 12"),
        ({"temperature": "warm"}, "temperature is 'warm'"),
        ({"classes": list("0123456798")}, "expected the digits 0 to 9 in order"),
        ({"classes": ["0", "1"]}, "expected the digits 0 to 9 in order"),
        ({"thresholds": {}}, "expected numbers for digit and reject"),
        ({"thresholds": {"digit": 0.5, "reject": "x"}}, "expected numbers"),
    ],
)
def test_error_for_a_card_lists_all_its_wrong_fields(tmp_path, changes, message):
    write_card(tmp_path / "one", **changes)
    with pytest.raises(ModelError, match=message):
        bundle.load_bundle(tmp_path / "one")


def test_unknown_fields_in_cards_of_the_same_format_are_ignored(tmp_path):
    write_card(tmp_path / "one", colour="blue")
    assert bundle.load_bundle(tmp_path / "one").card == card()
    write_card(tmp_path, crops_sha256="c579", recipe={"architecture": "pages", "crop_steps": 9})
    assert bundle.finds_digits(bundle.load_bundle(tmp_path).card)


@pytest.fixture
def lines(tmp_path):
    for path in bundle.SHIPPED_LINES.glob("*.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_line_reader_is_complete_and_its_card_survives_a_round_trip(lines):
    card = bundle.load_line_bundle().card
    assert "Apache-2.0" in card.sources["detector"]
    assert set(card.thresholds) == {"digit", "reject"}
    bundle.write_line_card(lines, card)
    values = json.loads((lines / bundle.CARD).read_text())
    (lines / bundle.CARD).write_text(json.dumps({**values, "colour": "blue"}))
    assert bundle.load_line_bundle(lines).card == card


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "is not the card"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1, "name": 7}', "recognizer_sha256 is missing; name is 7"),
        (None, "cannot be read"),
    ],
)
def test_damaged_line_reader_is_refused(lines, text, words):
    (lines / bundle.DETECTOR).write_bytes(b"something else")
    with pytest.raises(ModelError, match="expected SHA-256"):
        bundle.load_line_bundle(lines)
    (lines / bundle.DETECTOR).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        bundle.load_line_bundle(lines)
    (lines / bundle.CARD).unlink() if text is None else (lines / bundle.CARD).write_text(text)
    with pytest.raises(ModelError, match=words):
        bundle.load_line_bundle(lines)


@pytest.fixture
def models(tmp_path):
    """A folder with a run of a digit detector, one of a classifier, and one without a recipe."""
    for name, architecture in {"pages-1": "pages", "small-1": "small", "old": ""}.items():
        recipe = {"architecture": architecture} if architecture else {}
        made = bundle.Card(name, "1", files.sha256(b""), recipe=recipe)
        bundle.write_bundle(tmp_path / name / "model", made, b"")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((), ("default", "pages")),
        (("small-1",), ("small-1", "pages")),
        (("old", "pages-1"), ("old", "pages-1")),
        (("pages-1",), ("default", "pages-1")),
        (("pages-1/model",), ("default", "pages-1")),
        (("pages-1", "pages-1"), ("default", "pages-1")),
    ],
)
def test_digit_detector_given_as_the_model_becomes_the_detector(models, monkeypatch, given, found):
    monkeypatch.chdir(models)
    for names in (given, map(Path, given)):
        assert tuple(each.card.name for each in bundle.open_roles(*names)) == found


def test_two_digit_detectors_and_missing_models_are_refused(models):
    with pytest.raises(ModelError, match=r"is a digit detector, and so is ./other"):
        bundle.open_roles(models / "pages-1", "./other")
    with pytest.raises(ModelError, match="no model"):
        bundle.open_roles(models / "none")


def test_shipped_classifiers_are_neither_digit_detectors_nor_autoencoders():
    assert bundle.shipped_classifiers() == ["default", "swift"]
