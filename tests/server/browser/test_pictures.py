"""Pictures: input by file, paste, drop and camera; display and export; errors."""

import base64
import csv
import io
import json

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont

from digitlens.cli.read_paths import COLUMNS

READ = "**/v1/read*"


def encoded(kind="PNG", pages=1):
    """Returns a file of this format with a hand-drawn 4 on each page."""
    stream = io.BytesIO()
    picture = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(picture)
    draw.line([(110, 40), (50, 120), (150, 120)], 0, 14, "curve")
    draw.line([(118, 80), (118, 175)], 0, 14)
    others = [picture.copy() for _ in range(pages - 1)]
    picture.save(stream, kind, **({"save_all": True, "append_images": others} if others else {}))
    return stream.getvalue()


def transparent(ink):
    """Returns a PNG of the same 4 in one colour on a transparent canvas."""
    with Image.open(io.BytesIO(encoded())) as picture:
        strokes = Image.new("RGBA", picture.size, ink)
        strokes.putalpha(ImageChops.invert(picture))
    stream = io.BytesIO()
    strokes.save(stream, "PNG")
    return stream.getvalue()


def choose(page, name="four.png", kind="image/png", content=None):
    content = encoded() if content is None else content
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": content})


def hand_over(page, event, target):
    """Pastes or drops a picture by dispatching browser events."""
    page.evaluate(
        """([kind, target, text]) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "four.png", { type: "image/png" }));
        const options = { bubbles: true, cancelable: true };
        const where = document.querySelector(target);
        if (kind === "paste") {
          where.dispatchEvent(new ClipboardEvent(kind, { ...options, clipboardData: data }));
          return;
        }
        for (const each of ["dragenter", "dragover", kind]) {
          where.dispatchEvent(new DragEvent(each, { ...options, dataTransfer: data }));
        }}""",
        [event, target, base64.b64encode(encoded()).decode()],
    )


def test_marks_are_shown_with_their_numbers(page, reads, tmp_path):
    picture, font = Image.new("L", (360, 120), 255), ImageFont.load_default(60)
    ImageDraw.Draw(picture).text((40, 60), "-12.50  7", 0, font, anchor="lm")
    picture.save(tmp_path / "marks.png")
    page.set_input_files("#file", tmp_path / "marks.png")
    reads(page, "12507")
    numbers = page.locator("#strip .number").all_text_contents()
    assert [number.replace("\N{MULTIPLICATION SIGN}", "") for number in numbers] == ["-12.50", "7"]
    assert page.locator("#strip .mark").all_text_contents() == ["-", "."]
    assert "-12.50 7" in page.inner_text("#history-list")
    page.locator("#strip .chip").last.click()
    page.keyboard.press("x")
    reads(page, "1250")
    assert "Reads -12.50." in page.inner_text("#say")


def test_chosen_picture_is_read_and_saved_as_text_json_and_csv(open_page, reads, examples):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.click("#mode-picture")
    with page.expect_file_chooser() as chooser:
        page.click("#choose-here")
    chooser.value.set_files(examples / "note.jpg")
    reads(page, "2048")
    assert page.locator("#marks .box").count() >= 4
    sheet = page.locator("#sheet").bounding_box()
    box = page.locator("#marks .box.digit").first.bounding_box()
    assert sheet["x"] < box["x"] < sheet["x"] + sheet["width"] / 2
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == "2048"
    with page.expect_download() as download:
        page.click("#save-json")
    assert download.value.suggested_filename == "note.json"
    record = json.loads(download.value.path().read_text())
    assert (record["text"], record["name"]) == ("2048", "note.jpg")
    assert "tile" not in record["lines"][0][0]
    with page.expect_download() as download:
        page.click("#save-csv")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert "".join(row["value"] for row in rows if row["status"] != "rejected") == "2048"
    assert list(rows[0])[:-1] == list(COLUMNS)
    digits = [row for row in rows if row["status"] != "rejected"]
    assert {row["number_value"] for row in digits} == {"2048"}
    assert {row["number_kind"] for row in digits} == {"integer"}
    assert all(float(row["number_confidence"]) > 0.5 for row in digits)


@pytest.mark.parametrize(("event", "target"), [("paste", "body"), ("drop", "#stage")])
def test_picture_is_pasted_or_dropped(page, reads, event, target):
    hand_over(page, event, target)
    reads(page, "4")
    assert page.get_attribute("#mode-picture", "aria-pressed") == "true"
    assert page.is_hidden("#veil")


@pytest.mark.parametrize(("ink", "paper"), [("yellow", 0), ("black", 255)])
def test_transparent_picture_is_shown_on_a_contrasting_background(page, reads, ink, paper):
    choose(page, content=transparent(ink))
    reads(page, "4")
    corner = """() => { const sheet = document.getElementById('sheet');
        return [...sheet.getContext('2d').getImageData(sheet.width / 2, 2, 1, 1).data]; }"""
    assert page.evaluate(corner) == [paper, paper, paper, 255]


def test_each_page_of_a_file_the_browser_cannot_show_is_read(page, reads):
    choose(page, "scan.tif", "image/tiff", encoded("TIFF", pages=2))
    reads(page, "4")
    assert page.inner_text("#page-number") == "Page 1 of 2"
    assert page.is_disabled("#previous")
    page.click("#next")
    reads(page, "4")
    assert page.inner_text("#page-number") == "Page 2 of 2"
    assert page.is_disabled("#next")


def test_files_that_are_no_pictures_are_refused_with_a_message(page):
    page.expected = ["status of 4"]
    choose(page, "notes.txt", "text/plain", b"text")
    assert "notes.txt: Expected a picture, found text/plain" in page.inner_text("#notice-text")
    choose(page, "empty.png", content=b"")
    page.get_by_text("empty.png: The file is empty.").wait_for()
    choose(page, "broken.png", content=encoded()[:80])
    page.get_by_text("broken.png: The picture cannot be read.").wait_for()
    assert page.is_hidden("#retry")
    page.click("#dismiss")
    assert page.is_hidden("#notice")


def test_too_large_picture_is_reported(page):
    page.expected = ["status of 413"]
    problem = {"title": "Too large", "status": 413, "detail": "At most 32 MB are taken."}
    page.route(READ, lambda route: route.fulfill(status=413, json=problem))
    choose(page)
    page.get_by_text("The picture is too large for this server. At most 32 MB").wait_for()


def test_request_to_an_unreachable_server_can_be_retried(page, reads):
    page.expected = ["ERR_CONNECTION_REFUSED"]
    page.route(READ, lambda route: route.abort("connectionrefused"))
    page.hand.draw("7")
    page.get_by_text("The server does not respond.").wait_for()
    assert page.locator("#notice").get_attribute("role") == "alert"
    page.unroute(READ)
    page.click("#retry")
    reads(page, "7")
    assert page.is_hidden("#notice")


def test_request_to_a_busy_server_is_repeated(page, reads):
    page.expected = ["status of 429"]
    times = []

    def answer(route):
        times.append(1)
        if len(times) < 3:
            route.fulfill(status=429, headers={"Retry-After": "0"}, json={"title": "Busy"})
        else:
            route.continue_()

    page.route(READ, answer)
    choose(page)
    reads(page, "4")
    assert len(times) == 3
    assert page.is_hidden("#notice")


def test_token_is_requested_and_not_stored_beyond_the_tab(page, reads):
    page.expected = ["status of 401"]
    tokens = []

    def answer(route):
        tokens.append(route.request.headers.get("authorization"))
        if tokens[-1] == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, json={"title": "Unauthorized", "status": 401})

    page.route(READ, answer)
    choose(page)
    page.fill("#token-value", "secret")
    page.keyboard.press("Enter")
    reads(page, "4")
    assert tokens == [None, "Bearer secret"]
    assert page.evaluate("Object.values(localStorage).join().includes('secret')") is False


def test_camera_takes_a_photo(open_page):
    page = open_page(permissions=["camera"])
    sent = []

    def answer(route):
        photo = Image.open(io.BytesIO(route.request.post_data_buffer))
        sent.append(photo.format)
        size = {"width": photo.width, "height": photo.height}
        reading = {"lines": [], "numbers": [], "page": 1, "page_count": 1, "seconds": 0.1, **size}
        route.fulfill(json={"model": {}, "readings": [reading]})

    page.route(READ, answer)
    page.click("#mode-picture")
    page.click("#photograph")
    page.click("#shoot")
    page.get_by_text("No digit found.", exact=True).first.wait_for()
    assert page.is_visible("#sheet")
    assert sent == ["JPEG"]
    assert not page.evaluate("document.getElementById('camera').open")
    tracks = "document.getElementById('video').srcObject.getTracks().map(t => t.readyState)"
    assert page.evaluate(tracks) == ["ended"]  # the camera is released


REFUSE = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}'))"


@pytest.mark.parametrize(
    ("error", "words"),
    [("NotAllowedError", "Camera access was denied."), ("NotFoundError", "No camera found.")],
)
def test_photo_can_be_chosen_without_a_camera(open_page, error, words):
    page = open_page(prepare=lambda page: page.add_init_script(REFUSE.format(error)))
    page.click("#mode-picture")
    page.click("#photograph")
    page.get_by_text(words).wait_for()
    with page.expect_file_chooser():
        page.click("#camera-file")
    assert page.get_attribute("#capture", "capture") == "environment"


def test_small_digits_can_be_enlarged_and_are_scrolled_into_view(page, tmp_path):
    font = ImageFont.load_default(30)
    picture = Image.new("L", (900, 1200), 255)
    draw = ImageDraw.Draw(picture)
    for line in range(12):
        draw.text((40, 40 + 95 * line), "20481 77 3065", 0, font)
    picture.save(tmp_path / "page.png")
    page.set_input_files("#file", tmp_path / "page.png")
    page.wait_for_selector("#enlarge:not([hidden])")
    shown = "[...document.querySelectorAll('.label')].filter(e => e.checkVisibility())"
    boxes = f"{shown}.map(e => e.getBoundingClientRect().toJSON())"
    assert page.evaluate(f"{shown}.length") > 50
    labels = page.evaluate(boxes)
    over = [(a, b) for i, a in enumerate(labels) for b in labels[:i] if overlap(a, b)]
    assert len(over) < 0.05 * len(labels)
    before = page.locator(".box").first.bounding_box()["height"]
    page.click("#enlarge")
    assert page.locator(".box").first.bounding_box()["height"] > 1.4 * before
    page.locator("#strip .chip").last.click()
    stage, chosen = (page.locator(at).bounding_box() for at in ("#stage", ".box.chosen"))
    assert stage["y"] <= chosen["y"] <= stage["y"] + stage["height"]
    page.click("#enlarge")
    assert page.locator(".box").first.bounding_box()["height"] == pytest.approx(before, abs=1)


def overlap(a, b):
    wide = min(a["right"], b["right"]) - max(a["left"], b["left"])
    high = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
    return wide > 1 and high > 1
