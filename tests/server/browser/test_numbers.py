"""Numbers and their values: doubtful ones first, alternatives, and prior knowledge."""

import csv

import pytest
from PIL import Image, ImageDraw, ImageFont


@pytest.fixture
def show(tmp_path):
    """Returns a function that opens a picture of these printed lines in a page."""

    def show(page, *lines):
        picture = Image.new("L", (420, 40 + 100 * len(lines)), 255)
        for place, text in enumerate(lines):
            at = (40, 70 + 100 * place)
            ImageDraw.Draw(picture).text(at, text, 0, ImageFont.load_default(60), anchor="lm")
        picture.save(tmp_path / "bill.png")
        page.set_input_files("#file", tmp_path / "bill.png")
        page.wait_for_selector("#number-list li")

    return show


def rows(page):
    with page.expect_download() as download:
        page.click("#save-numbers")
    assert download.value.suggested_filename == "bill-numbers.csv"
    return list(csv.DictReader(download.value.path().read_text().splitlines()))


def texts(page):
    return page.locator("#number-list b").all_inner_texts()


def test_alternative_values_are_chosen_by_keyboard(page, show):
    show(page, "65%", "1.234")
    assert texts(page) == ["1.234", "65%"]  # doubtful one first
    assert page.inner_text("#numbers-count") == "1 of 2 uncertain"
    assert page.locator("#verdict.unsure").inner_text().startswith("Not sure about 1.234: ")
    assert [row["status"] for row in rows(page)] == ["number", "unsure"]
    page.locator(".amount").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent").startswith("65%= 65 percent")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")  # the value as read
    page.keyboard.press("Tab")
    other = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.get_by_text("corrected", exact=True).wait_for()
    value = rows(page)[1]["value"]
    assert {value, rows(page)[1]["text"]} == {"1234", "1.234"}
    assert value in other
    assert page.is_visible("#verdict.digit")
    page.get_by_role("button", name="Undo correction").click()
    assert rows(page)[1]["status"] == "unsure"


def test_corrected_digit_changes_the_value(page, show):
    show(page, "-12.50")
    page.locator("#strip .chip.digit").first.click()
    page.keyboard.press("7")
    assert texts(page) == ["-72.50"]
    (row,) = rows(page)
    assert (row["text"], row["value"], row["corrected"]) == ("-72.50", "-72.50", "1")


def test_known_notation_and_pattern_determine_the_value(page, show):
    page.expected = ["status of 422"]
    show(page, "1.234")
    page.click(".known summary")
    page.select_option("#decimal", ",")
    page.wait_for_selector(".amount.number")
    assert page.inner_text(".amount span") == "= 1234 integer"
    assert page.inner_text("#known-text") == "decimal comma"
    page.fill("#expect", "elephants")
    page.keyboard.press("Enter")
    page.get_by_text("A constraint is invalid.").wait_for()
    page.fill("#expect", "4")
    page.keyboard.press("Enter")
    page.wait_for_selector("#notice", state="hidden")
    assert page.locator("#history-list li").count() == 1
    page.locator("#strip .chip.digit").last.click()
    page.keyboard.press("5")
    page.click("#view-regions")
    page.click("#region-add")
    page.click("#view-numbers")
    page.fill("#expect", "")
    page.evaluate("document.querySelector('#number-list li').id = 'before'")
    page.keyboard.press("Enter")  # read again: corrections and regions stay
    page.wait_for_selector("#before", state="detached")
    assert texts(page) == ["1.235"]
    page.click("#view-regions")
    assert page.locator("#region-list li").count() == 1
