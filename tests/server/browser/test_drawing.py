"""Drawing: reading, timing, undo and marks."""

import contextlib

from playwright.sync_api import Error


def ink(page):
    """Returns the number of inked pixels of the paper."""
    return page.evaluate(
        """() => { const { width, height } = document.getElementById('paper');
        const c = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
        c.drawImage(document.getElementById('paper'), 0, 0);
        const d = c.getImageData(0, 0, width, height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 128; return n; }"""
    )


def test_digit_is_read_with_box_probabilities_and_tile(page, reads):
    page.hand.draw_unread("7")
    reads(page, "7")
    assert page.inner_text("#verdict") == "One digit, sure."
    assert page.inner_text("#marks .label b") == "7"
    assert "%" in page.inner_text("#marks .label span")
    x, y = page.hand.point(60, 90)
    page.wait_for_function(
        """wanted => {
            const box = document.querySelector('#marks .box.digit')?.getBoundingClientRect();
            const found = box ? [box.left, box.top, box.right, box.bottom] : [];
            return box && found.every((side, i) => Math.abs(side - wanted[i]) < 24);
        }""",
        arg=[x, y, x + 102, y + 170],
    )
    bars = page.locator("#bars li")
    all_bars = "[...document.querySelectorAll('#bars li i')].map(bar => bar.offsetHeight)"
    heights = page.evaluate(all_bars)
    assert heights.index(max(heights)) == 7
    assert len(heights) == 10
    assert bars.nth(7).get_attribute("aria-label").startswith("7: ")
    seen = page.evaluate(
        """() => document.getElementById('tile').getContext('2d').getImageData(0, 0, 28, 28)
        .data.reduce((sum, value, i) => sum + (i % 4 ? 0 : value > 128), 0)"""
    )
    assert 30 < seen < 300  # bright pixels of the tile
    page.wait_for_selector("#again:not([hidden])")
    assert "Reconstructed by the autoencoder" in page.inner_text("#again-text")
    drawn = page.evaluate(
        """() => document.getElementById('again-tile').getContext('2d').getImageData(0, 0, 28, 28)
        .data.reduce((sum, value, i) => sum + (i % 4 === 2 ? value > 100 : 0), 0)"""
    )
    assert 20 < drawn < 300
    page.wait_for_function(
        "() => document.getElementById('say').textContent.startsWith('Reads 7.')"
    )


def test_number_is_read_digit_by_digit(page, reads):
    page.hand.write("2047")
    reads(page, "2047")
    assert page.locator("#marks .box").count() == 4
    assert [label.inner_text() for label in page.locator("#marks .label b").all()] == [*"2047"]
    assert "4 digits" in page.inner_text("#verdict")
    page.locator("#marks .label").first.click()
    assert page.inner_text("#details-title") == "Digit 1 of 4"
    assert page.locator("#bars .first b").inner_text() == "2"


def test_stroke_can_begin_on_a_label(page, reads):
    page.hand.draw("7")
    reads(page, "7")
    label = page.locator("#marks .label").bounding_box()
    paper = page.locator("#paper").bounding_box()
    x, y = (label[a] + label[b] / 2 - paper[a] for a, b in (("x", "width"), ("y", "height")))
    page.hand.stroke([(x, y), (x + 150, y + 10), (x + 150, y + 200)])
    page.wait_for_function("() => document.querySelectorAll('#marks .box').length !== 1")
    page.locator("#undo").click()
    page.wait_for_function("() => document.querySelectorAll('#marks .box').length === 1")
    page.locator("#marks .label").click()  # a click is no stroke
    page.locator("#undo").click()
    page.wait_for_function("() => !document.querySelector('#marks .box')")


def test_drawing_is_read_while_the_pen_is_down(page, reads):
    page.hand.begin([(60, 90), (160, 90), (102, 260)])
    for step in range(10):  # a held pen jitters
        page.mouse.move(*page.hand.point(102 - step % 2, 260))
        page.wait_for_timeout(60)
    reads(page, "7")
    page.mouse.up()
    reads(page, "7")


def test_late_answer_to_older_strokes_is_ignored(page, reads):
    held, holding = [], [True]
    page.route("**/v1/read*", lambda r: held.append(r) if holding else r.continue_())
    page.hand.draw("7")
    page.wait_for_timeout(100)
    holding.clear()
    page.hand.draw("1", x=250)
    reads(page, "71")
    for route in held:  # late answers to the first stroke; the page may have given up on some
        with contextlib.suppress(Error):
            route.fulfill(json={"model": {}, "readings": []})
    page.wait_for_timeout(100)
    reads(page, "71")
    assert not page.is_visible("#notice")


def test_undo_redo_and_clear_by_button_and_key(page, reads):
    assert page.is_disabled("#undo")
    page.hand.draw("7")
    page.hand.draw("1", x=250)
    reads(page, "71")
    page.click("#undo")
    reads(page, "7")
    page.click("#redo")
    reads(page, "71")
    page.click("#clear")
    reads(page, "")
    assert page.is_visible("#hint-draw")
    assert ink(page) == 0
    page.keyboard.press("Control+z")
    reads(page, "71")
    page.keyboard.press("Control+z")
    reads(page, "7")
    page.keyboard.press("Control+Shift+Z")
    reads(page, "71")
    page.hand.draw("1", x=400)  # a new stroke discards what was undone
    assert page.is_disabled("#redo")


def test_eraser_removes_ink(page, reads):
    page.hand.write("71", height=170)
    reads(page, "71")
    full_ink = ink(page)
    page.click("#eraser")
    assert page.get_attribute("#eraser", "aria-pressed") == "true"
    page.evaluate("width.value = 40; width.dispatchEvent(new Event('input'))")
    page.hand.stroke([(235, 80), (235, 290), (265, 290), (265, 80), (205, 80), (205, 120)])
    reads(page, "7")
    assert ink(page) < full_ink
    page.click("#undo")
    reads(page, "71")


def test_pen_width_follows_setting_and_pressure(page):
    def area(force):
        page.click("#clear") if page.is_enabled("#clear") else None
        session = page.context.new_cdp_session(page)
        pen = {"button": "left", "buttons": 1, "pointerType": "pen", "force": force}
        for kind, x in (("mousePressed", 60), ("mouseMoved", 200), ("mouseReleased", 200)):
            left, top = page.hand.point(x, 150)
            session.send("Input.dispatchMouseEvent", {"type": kind, "x": left, "y": top, **pen})
        page.wait_for_timeout(50)
        return ink(page)

    light, firm = area(0.2), area(1.0)
    assert firm > 1.8 * light
    page.focus("#width")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert area(0.2) > 1.4 * light


def test_drawing_by_touch(open_page, reads):
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    session = page.context.new_cdp_session(page)

    def touch(kind, *points):
        places = [dict(zip("xy", page.hand.point(*point), strict=True)) for point in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (100, 80))
    for step in range(1, 11):
        touch("touchMove", (100 + 10 * step, 80))
    for step in range(1, 11):
        touch("touchMove", (200 - 6 * step, 80 + 16 * step))
    touch("touchEnd")
    reads(page, "7")
    assert page.evaluate("scrollY") == 0


def test_letter_is_shown_as_rejected(page):
    page.hand.draw_unread("A", height=200)
    page.wait_for_selector(".chip.rejected")
    assert page.inner_text("#verdict").startswith("Not a digit: hardly a digit, closest to")
    assert page.locator("#marks .box.rejected").count() >= 1
    assert "no digit" in page.locator("#marks .label").first.inner_text()
    assert not page.is_visible("#copy")
    assert page.locator("#facts").inner_text().startswith("Not a digit.")


def test_doubtful_digit_is_shown_as_unsure(page):
    page.hand.draw_unread("heart", height=260)
    page.wait_for_selector(".chip.unsure")
    assert page.inner_text("#verdict").startswith("Not sure: ")
    assert page.locator("#marks .box.unsure").count() == 1
    # Distinguished by line style as well as colour.
    style = page.evaluate("getComputedStyle(document.querySelector('.box.unsure')).borderTopStyle")
    assert style == "dashed"


def test_single_dot_is_not_read(page):
    page.mouse.click(*page.hand.point(200, 200))
    page.wait_for_function("() => document.getElementById('verdict').textContent.startsWith('No')")
    assert not page.is_visible("#copy")


def test_drawing_and_marks_scale_with_the_window(page, reads):
    page.hand.write("71", x=500, height=170)
    reads(page, "71")
    full_ink = ink(page)
    page.set_viewport_size({"width": 500, "height": 700})
    page.wait_for_timeout(200)
    assert 0 < ink(page) < full_ink
    stage = page.locator("#stage").bounding_box()
    for mark in page.locator("#marks .box").all():
        box = mark.bounding_box()
        assert stage["x"] <= box["x"]
        assert box["x"] + box["width"] <= stage["x"] + stage["width"]
