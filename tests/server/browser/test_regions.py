"""The editor of template regions: by mouse and keyboard, saved as the TOML that `watch` reads."""

import shutil

import pytest

from digitlens.reading.template import Region, load_template


@pytest.fixture
def editor(open_page, reads, examples):
    """A page with the region editor open on a picture of 2048."""
    page = open_page()
    page.set_input_files("#file", examples / "note.jpg")
    reads(page, "2048")
    page.click("#view-regions")
    return page


def drag(page, begin, end):
    """Drags from one point of the picture to another, given as fractions of its sides."""
    box = page.locator("#marks").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def test_saved_template_can_be_loaded(editor, examples, tmp_path):
    page = editor
    assert page.is_disabled("#region-save")
    drag(page, (0.2, 0.2), (0.6, 0.8))
    page.keyboard.type("left half")  # the name has the focus and allows no spaces
    page.fill("[data-key=expect]", "##")
    page.select_option("#region-list select", "counter")
    assert page.inner_text("#region-problem") == "left-half: a counter needs its number of digits."
    page.fill("[data-key=digits]", "2")
    page.fill("[data-key=unit]", '"kWh"')
    page.focus("#region-add")
    page.keyboard.press("Enter")
    place = page.locator("#region-list .place").last
    before = place.inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert place.inner_text() != before
    assert page.locator("#marks .region").count() == 2
    with page.expect_download() as download:
        page.click("#region-save")
    shutil.copy(examples / "note.jpg", tmp_path)
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    first, second = load_template(path).regions
    assert first == Region("left-half", first.box, "counter", "##", 2, 0, '"kWh"', monotone=True)
    height, width = load_template(path).page.shape[:2]
    shares = [side / whole for side, whole in zip(first.box, (width, height) * 2, strict=True)]
    assert shares == pytest.approx([0.2, 0.2, 0.6, 0.8], abs=0.02)
    assert second.name == "region-2"
    page.click("#region-add")
    boxes = [mark.bounding_box() for mark in page.locator("#marks .region").all()]
    assert len({(box["x"], box["y"]) for box in boxes}) == 3  # no two coincide
    page.get_by_role("button", name="Remove region-3").click()
    page.get_by_role("button", name="Remove left-half").click()
    assert page.locator("#marks .region").all_inner_texts() == ["region-2"]


def test_region_is_moved_and_resized_by_mouse(editor):
    page = editor
    drag(page, (0.2, 0.2), (0.4, 0.4))
    drawn_box = page.locator("#marks .region").bounding_box()
    drag(page, (0.3, 0.3), (0.5, 0.3))
    moved = page.locator("#marks .region").bounding_box()
    assert moved["x"] > drawn_box["x"] + 0.8 * drawn_box["width"]
    assert moved["width"] == pytest.approx(drawn_box["width"], abs=2)
    drag(page, (0.6, 0.4), (0.7, 0.6))  # its corner
    sized = page.locator("#marks .region").bounding_box()
    assert sized["x"] == pytest.approx(moved["x"], abs=2)
    assert sized["height"] > 1.5 * moved["height"]
