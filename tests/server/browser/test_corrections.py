"""Corrections by keys and buttons, stored in the browser and downloaded as a data set."""

import base64
import io
import zipfile

import pytest
from PIL import Image

from digitlens.datasets.labelled import load_labelled
from digitlens.evaluation.report import evaluate
from digitlens.models.classifier import Classifier


def kept(page):
    return page.evaluate("JSON.parse(localStorage.getItem('digitlens-corrections') ?? '[]')")


def download(page):
    with page.expect_download() as download:
        page.click("#kept-save")
    assert download.value.suggested_filename == "corrections.zip"
    return download.value.path()


@pytest.fixture
def drawing(page, reads):
    page.hand.write("71", height=170)
    reads(page, "71")
    return page


def test_downloaded_corrections_can_be_evaluated(drawing, reads):
    page = drawing
    page.locator("#strip .chip").first.click()
    page.click("#wrong")
    page.get_by_role("group", name="Correct value").get_by_text("2", exact=True).click()
    reads(page, "21")
    assert page.inner_text("#facts") == "Corrected to 2; read as 7."
    assert "corrected" in page.locator("#marks .label").first.inner_text()
    page.locator("#strip .chip").last.click()
    page.keyboard.press("x")
    reads(page, "2")
    assert "1 marked as not a digit" in page.inner_text("#kept-text")
    path = download(page)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["tiles/00001.png", "labels.csv"]
        assert archive.read("labels.csv").decode() == "file,label\ntiles/00001.png,2\n"
        tile = Image.open(io.BytesIO(archive.read("tiles/00001.png")))  # written by the browser
        assert (tile.format, tile.size) == ("PNG", (28, 28))
    split = load_labelled(path)
    assert split.labels.tolist() == [2]
    assert split.tiles[0].tobytes() == base64.b64decode(kept(page)[0]["tile"])
    assert split.tiles[0, 0].max() == 0  # paper
    report = evaluate(Classifier().predict_proba, split)
    assert (report.n, report.score.errors) == (1, 1)
    assert report.confusion[2, 7] == 1


def test_correction_persists_until_deleted(drawing, reads):
    page = drawing
    page.locator("#marks .label").first.click()
    page.keyboard.press("2")
    page.hand.draw("1", x=330, height=170)
    reads(page, "211")
    assert len(kept(page)) == 1
    assert "211" in page.inner_text("#history-list")
    page.reload()
    assert page.inner_text("#kept-text") == "1 digit."
    page.click("#kept-delete")
    assert kept(page) == []
    assert page.is_hidden("#kept")


def test_correction_needs_a_selected_digit_and_can_be_undone(drawing, reads):
    page = drawing
    page.keyboard.press("5")
    reads(page, "71")
    assert kept(page) == []
    page.locator("#strip .chip").first.click()
    page.keyboard.press("2")
    reads(page, "21")
    page.click("#uncorrect")
    reads(page, "71")
    page.keyboard.press("3")
    page.keyboard.press("7")  # as read
    reads(page, "71")
    assert kept(page) == []


def test_rejected_candidate_can_be_corrected_to_a_digit(page, reads):
    page.hand.draw_unread("A", height=200)
    page.wait_for_selector(".chip.rejected")
    page.click("#wrong")
    page.locator("#pad button").nth(4).click()
    reads(page, "4")
    assert [(each["label"], each["status"]) for each in kept(page)] == [(4, "rejected")]
