import json
import shutil

import pytest
from PIL import ImageFont

from digitlens.commands.page_calibration import calibrate_pages
from digitlens.data.pages.hands import FontHand
from digitlens.data.pages.pages import PageMaker
from digitlens.data.pages.writers import Fonts
from digitlens.model.bundle import PRETRAINED
from digitlens.recognition.reader import DigitReader


@pytest.fixture
def maker(small_split):
    hand = FontHand({"latin": ImageFont.load_default(96)})
    return PageMaker(small_split, Fonts((hand,), (hand,)), seed=5)


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(PRETRAINED / "pages", tmp_path / "pages")


def card(folder):
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def test_calibration_is_written_into_the_card_and_used(model, maker):
    measured = calibrate_pages(model, maker, 60)
    results = card(model)["results"]
    assert results["generated"] == measured
    assert measured["pages"] == 30
    assert 0 < measured["recall"] <= 1
    assert len(results["weights"]) == 8
    assert (model / "risk.png").is_file()
    reader = DigitReader(pages=model)
    assert reader.confidence.calibration is not None
    assert reader.confidence.risk is not None
    assert reader.confidence.pool == tuple(results["pool"])
    assert reader.plainly.pool == tuple(results["plain"]["pool"])
    assert reader.plainly != reader.confidence
    assert results["plain"]["generated"]["digits"] > 20


def test_pages_without_finds_leave_the_card_as_it_is(model, maker, monkeypatch, capsys):
    before = card(model)
    monkeypatch.setattr("digitlens.recognition.reader.LEAST", 2.0)
    assert calibrate_pages(model, maker, 4) == {}
    assert card(model) == before
    assert "not calibrated" in capsys.readouterr().err
