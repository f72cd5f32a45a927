"""The whole page: keyboard, screen reader, phone, themes, history and browser mode."""

import re
from pathlib import Path

import pytest

import digitlens.server
from digitlens.visualization.theme import contrast, luminance

NARROW = 320  # pixels, the least width a page has to support (WCAG 2.2, 1.4.10)


def test_drawing_selecting_and_correcting_by_keyboard(page, reads):
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "paper":
            break
    assert page.evaluate("document.activeElement.id") == "paper"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(22):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    reads(page, "1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").startswith("chip")
    page.keyboard.press("7")
    reads(page, "7")
    page.keyboard.press("Backspace")
    reads(page, "1")
    page.keyboard.press("Control+z")
    reads(page, "")


def test_reading_is_announced_and_digits_are_reached_by_arrow_keys(page, reads):
    say = page.locator("#say")
    assert say.get_attribute("aria-live") == "polite"
    page.hand.write("71", height=170)
    reads(page, "71")
    page.get_by_text(re.compile("^Reads 71. ")).wait_for(state="attached")
    page.locator("#strip .chip").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#details-title") == "Digit 2 of 2"
    page.keyboard.press("Home")
    assert page.inner_text("#details-title") == "Digit 1 of 2"
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.startswith("7, ")
    page.locator("#strip .chip").first.click()
    page.keyboard.press("2")
    assert say.inner_text().startswith("Corrected to 2. Reads 21.")
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input:not(.hidden), canvas[tabindex]')]
        .filter(e => e.checkVisibility() && !(e.getAttribute('aria-label')
          || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map(e => e.outerHTML)"""
    )
    assert unnamed == []


def test_page_fits_a_phone_and_controls_are_large_enough(open_page, reads, examples):
    page = open_page(width=NARROW, height=844, has_touch=True, is_mobile=True)
    check_phone(page)
    page.hand.write("71", height=110)
    reads(page, "71")
    assert page.locator("#verdict").bounding_box()["y"] < 844  # visible without scrolling
    page.click("#wrong")
    page.locator("#pad button").first.click()
    page.click("#wrong")
    check_phone(page)
    page.set_input_files("#file", examples / "ruled.jpg")
    reads(page, "5550199\n1864")
    page.click(".known summary")
    check_phone(page)
    page.click("#view-regions")
    page.click("#region-add")
    check_phone(page)


def check_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
    small = page.evaluate(
        """[...document.querySelectorAll('button, input:not(.hidden)')]
        .filter(e => e.checkVisibility()).map(e => [e.id || e.className, e.getBoundingClientRect()])
        .filter(([id, box]) => id !== 'rejected' && (box.width < 39.5 || box.height < 39.5))
        .map(([id, box]) => `${id} ${box.width} x ${box.height}`)"""
    )
    assert small == []


# Pairs of text and background colours in use, named as in the style sheet.
PAIRS = [
    *(("ink", ground) for ground in ("ground", "surface", "pale", "tint")),
    *(("soft", ground) for ground in ("ground", "surface", "pale")),
    *((status, "surface") for status in ("digit", "unsure", "rejected", "accent")),
    *(("unsure", "tint"), ("rejected", "tint"), ("accent", "tint"), ("on-accent", "accent")),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_themes_have_enough_contrast_and_can_be_switched(open_page, theme):
    page = open_page(color_scheme=theme)
    styles = "getComputedStyle(document.documentElement)"
    value = f"name => {styles}.getPropertyValue(`--${{name}}`).trim()"
    ground = page.evaluate(value, "ground")
    assert (luminance(ground) < 0.1) == (theme == "dark")
    for pair in PAIRS:
        assert contrast(*(page.evaluate(value, name) for name in pair)) >= 4.5, pair
    other = {"light": 2, "dark": 1}[theme]  # the switch cycles: system, light, dark
    for _ in range(other):
        page.click("#theme")
    assert page.evaluate(value, "ground") != ground
    page.reload()
    assert page.evaluate(value, "ground") != ground


def test_reduced_motion_is_respected(open_page):
    running = "document.getAnimations().filter(a => a.playState === 'running').length"
    assert open_page(reduced_motion="no-preference").evaluate(running) > 0
    assert open_page(reduced_motion="reduce").evaluate(running) == 0


def test_history_restores_drawings_and_pictures(page, reads, examples):
    page.hand.draw("7")
    reads(page, "7")
    page.click("#clear")
    page.hand.draw("1")
    reads(page, "1")
    page.set_input_files("#file", examples / "note.jpg")
    reads(page, "2048")
    entries = page.locator("#history-list button")
    page.wait_for_function("() => document.querySelectorAll('#history-list li').length === 3")
    assert [entry.inner_text() for entry in entries.all()] == ["2048", "1", "7"]
    entries.nth(2).click()
    reads(page, "7")
    assert page.get_attribute("#mode-draw", "aria-pressed") == "true"
    entries.nth(0).click()
    reads(page, "2048")
    page.reload()  # drawings survive a reload; pictures are only kept in memory
    page.wait_for_function("() => document.querySelectorAll('#history-list li').length === 2")
    page.click("#forget")
    assert page.is_hidden("#history")
    assert page.evaluate("sessionStorage.getItem('digitlens-history')") == "[]"


ALONE = """export async function createReader(base, { onProgress }) {
  onProgress({ loaded: 1, total: 1 });
  const read = async ({ data, width, height }, { tiles }) => ({
    text: "3", numbers_digits: ["3"], numbers: [], width, height, model: "alone",
    model_sha256: "0123456789abcdef",
    lines: [[{ value: 3, confidence: 0.97, status: "digit", reason: "", starts_number: false,
      box: [0, 0, width, height], probabilities: [0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
      tile: tiles && data.length === 4 * width * height && btoa("\\0".repeat(784)) }]] });
  return { read, model: { name: "alone", sha256: "0123456789abcdef" } };
}"""


def test_browser_mode_sends_nothing(open_page, reads, examples):
    sent = []

    def fake_reader(page):
        def index(route):
            text = route.fetch().text()
            assert 'name="digitlens-mode" content="server"' in text
            text = text.replace('mode" content="server"', 'mode" content="browser"')
            route.fulfill(body=text, content_type="text/html")

        page.route(re.compile("/$"), index)
        script = {"body": ALONE, "content_type": "text/javascript"}
        page.route("**/reader/index.js", lambda route: route.fulfill(**script))
        page.on("request", lambda request: sent.append(request.method))

    page = open_page(prepare=fake_reader)
    page.hand.draw("7")
    reads(page, "3")
    page.set_input_files("#file", examples / "note.jpg")
    page.wait_for_selector("#sheet:not([hidden])")
    reads(page, "3")
    assert "Your drawings and pictures never leave it" in page.inner_text("#privacy")
    assert "alone 0123456789ab" in page.inner_text("#model")
    assert set(sent) == {"GET"}
    page.click(".known summary")
    assert page.is_visible("#expect")
    assert page.is_visible("#decimal")
    assert page.is_hidden("#view-table")
    broken = {"name": "a.tif", "mimeType": "image/tiff", "buffer": b"II*\0"}
    page.set_input_files("#file", broken)
    page.get_by_text("This browser cannot open the file. Save it as PNG or JPEG.").wait_for()


def test_all_modules_are_preloaded(page):
    links = page.locator("link[rel=modulepreload]").all()
    folder = Path(digitlens.server.__file__).parent / "static" / "app"
    modules = {f"app/{path.name}" for path in folder.glob("*.js")}
    preloaded = {link.get_attribute("href") for link in links}
    # Of the reader only the module that chooses the background of transparent pictures.
    assert preloaded == modules - {"app/first.js", "app/main.js"} | {"reader/transparency.js"}
    for path in folder.parent.glob("app/*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("// "), path
        assert len(lines) <= 300, path
