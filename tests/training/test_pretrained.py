"""The published recogniser is loaded exactly and reduced to the alphabet."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from digitlens.alphabet import ALPHABET, BLANK, CLASS_OF, CLASSES, OTHER
from digitlens.errors import DataError
from digitlens.models.session import open_session
from digitlens.training.page_networks import LineNetwork
from digitlens.training.pretrained import (
    PublishedRecogniser,
    adapt_head,
    class_of,
    fetch_pp_ocr,
    load_pp_ocr,
)


@pytest.fixture(scope="module")
def path():
    return fetch_pp_ocr()


@pytest.fixture(scope="module")
def published(path):
    return load_pp_ocr(path)


def _drawn(text: str, width: int) -> np.ndarray:
    picture = Image.new("RGB", (width, 48), (230, 220, 240))
    font = ImageFont.load_default(36)
    ImageDraw.Draw(picture).text((6, 24), text, (20, 40, 90), font, anchor="lm")
    return np.asarray(picture)


def _as_published(line: np.ndarray) -> np.ndarray:
    """Returns float32[1, 3, 48, W], BGR, from -1 to 1."""
    return ((line[None, :, :, ::-1] / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize(
    "line",
    [
        _drawn("42", 64),
        _drawn("7.5 % of $1,280", 344),
        np.random.default_rng(0).integers(0, 256, (48, 504, 3), np.uint8),
    ],
    ids=["narrow", "wide", "noise"],
)
def test_network_and_graph_agree(path, published, line):
    expected = open_session(path, name="published").run(None, {"x": _as_published(line)})[0]
    with torch.inference_mode():
        logits = published.network(torch.from_numpy(line[None].copy()))
    found = torch.softmax(logits, dim=2).numpy()
    assert np.abs(expected - found).max() < 1e-4


def test_published_network_reads_digits_and_covers_the_alphabet(published):
    line = torch.from_numpy(_drawn("40917", 128)[None].copy())
    with torch.inference_mode():
        path = published.network(line)[0].argmax(dim=1).unique_consecutive()
    assert "".join(published.characters[each] for each in path) == "40917"
    assert {class_of(each) for each in published.characters} == set(range(86))


def test_changed_file_is_refused(path, tmp_path):
    changed = tmp_path / path.name
    changed.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match="expected SHA-256"):
        load_pp_ocr(changed)


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("", BLANK),
        ("8", CLASS_OF["8"]),
        ("\uff18", CLASS_OF["8"]),  # full width
        ("\u2212", CLASS_OF["-"]),
        ("²", OTHER),
        ("é", OTHER),
        ("中", OTHER),
    ],
)
def test_equivalent_characters_share_a_class(character, expected):
    assert class_of(character) == expected


def test_new_head_keeps_the_scores_of_the_alphabet():
    torch.manual_seed(0)
    characters = ("", "中", "é", "\uff18", *ALPHABET)
    vocabulary = PublishedRecogniser(LineNetwork(len(characters)).eval(), characters)
    lines = torch.randint(0, 256, (2, 48, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        before, after = vocabulary.network(lines), adapt_head(vocabulary)(lines)
    assert after.shape == (2, 8, CLASSES)
    torch.testing.assert_close(after[..., 1:OTHER], before[..., 4:])
    torch.testing.assert_close(after[..., BLANK], before[..., 0])
