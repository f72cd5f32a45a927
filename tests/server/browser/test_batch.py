"""Batches of pictures: doubtful ones first, and all numbers in one file."""

import csv
import re

READ = "**/v1/read*"


def number(text, *, reason=""):
    return {
        **{"text": text, "value": text, "kind": "integer", "unit": "", "digits": text},
        **{"confidence": 0.9, "status": "unsure" if reason else "number", "reason": reason},
        **{"box": [0, 0, 9, 9], "alternatives": []},
    }


def server(*contents):
    """Returns a route handler that answers requests with these results in order."""
    remaining = list(contents)

    def answer(route):
        kind = remaining.pop(0)
        if kind == "broken":
            route.fulfill(status=422, json={"type": "urn:problem-type:digitlens:picture"})
            return
        sure, doubtful = [number("7")], [number("12"), number("34", reason="blurred")]
        size = {"width": 90, "height": 60, "page": 1, "page_count": 1, "seconds": 0.1}
        reading = {"lines": [], "numbers": doubtful if kind == "doubtful" else sure, **size}
        route.fulfill(json={"model": {}, "readings": [reading]})

    return answer


def choose(page, *contents):
    files = [
        {"name": f"{text}.png", "mimeType": "image/png", "buffer": text.encode()}
        for text in contents
    ]
    page.set_input_files("#file", files)


def test_batch_is_read_despite_a_failing_picture(page):
    page.expected = ["status of 422"]
    page.route(READ, server("sure", "broken", "doubtful", "sure", "sure"))
    choose(page, "sure", "broken", "doubtful")
    page.get_by_text("2 of 3 read, 1 uncertain, 1 failed").wait_for()
    page.wait_for_selector("#batch-stop", state="hidden")
    rows = page.locator("#batch-list button").all_inner_texts()
    assert [row.split("\n")[0] for row in rows] == ["doubtful.png", "broken.png", "sure.png"]
    listed = page.inner_text("#batch-list")
    assert re.search(r"34\?\s+12", listed)  # doubtful number first
    assert "The picture cannot be read" in listed
    progress = page.locator("#batch-progress")
    assert progress.evaluate("bar => bar.value / bar.max") == 1
    with page.expect_download() as download:
        page.click("#batch-csv")
    records = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [(row["path"], row["text"], row["status"]) for row in records] == [
        ("sure.png", "7", "number"),
        ("doubtful.png", "12", "number"),
        ("doubtful.png", "34", "unsure"),
    ]
    page.locator("#batch-list button").first.focus()
    page.keyboard.press("Enter")
    page.locator('#sheet[aria-label="Picture doubtful.png"]').wait_for()
    assert page.locator("#number-list b").all_inner_texts() == ["34", "12"]
    choose(page, "sure", "sure")  # added to the batch
    page.get_by_text("4 of 5 read").wait_for()
    page.click("#batch-close")
    assert page.is_hidden("#batch")


def test_batch_is_stopped_and_resumed(page):
    page.route(READ, lambda _: None)  # never answered
    choose(page, "one", "two")
    page.locator("#batch-list").get_by_text("reading …").wait_for()
    page.click("#batch-stop")
    page.wait_for_selector("#batch-go")
    assert page.inner_text("#batch-count") == "0 of 2 read"
    page.unroute(READ)
    page.route(READ, server("sure", "sure"))
    page.click("#batch-go")
    page.get_by_text("2 of 2 read").wait_for()
