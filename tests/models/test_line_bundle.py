"""The folder of a line reader."""

import json
import shutil

import pytest

from digitlens.errors import ModelError
from digitlens.models.line_bundle import (
    CARD,
    DETECTOR,
    PRETRAINED,
    load_line_bundle,
    write_line_card,
)


@pytest.fixture
def folder(tmp_path):
    for path in PRETRAINED.glob("*.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_shipped_one_is_whole_and_names_its_sources():
    card = load_line_bundle().card
    assert "Apache-2.0" in card.sources["detector"]
    assert set(card.thresholds) == {"digit", "reject"}


def test_a_card_comes_back_as_it_was_written_with_known_fields_only(folder):
    card = load_line_bundle(folder).card
    write_line_card(folder, card)
    assert load_line_bundle(folder).card == card
    values = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**values, "surprise": 1}))
    with pytest.raises(ModelError, match="format 1"):
        load_line_bundle(folder)


def test_a_graph_that_changed_or_is_gone_is_refused(folder):
    (folder / DETECTOR).write_bytes(b"something else")
    with pytest.raises(ModelError, match="expected SHA-256"):
        load_line_bundle(folder)
    (folder / DETECTOR).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_line_bundle(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "format 1"),
        ('{"format": 99}', "format 1"),
        ('{"format": 1, "name": "x"}', "damaged"),
        (None, "no line reader"),
    ],
)
def test_a_card_that_is_none_is_refused(folder, text, words):
    (folder / CARD).unlink() if text is None else (folder / CARD).write_text(text)
    with pytest.raises(ModelError, match=words):
        load_line_bundle(folder)
