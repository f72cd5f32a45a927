"""The report page in a real browser, opened from a file without a network."""

import re

import pytest

from digitlens.visualization.report_page import render

LIMIT = 15_000  # ms for anything to appear: the machine may be busy


@pytest.fixture(scope="module")
def address(make_contents, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(make_contents()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def open_page(browser, address):
    """Opens the page; finally checks that it requested nothing else and logged nothing."""
    contexts, said, asked = [], [], []

    def open_page(fragment="", width=1280, **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        context.set_default_timeout(LIMIT)
        context.route(re.compile("^(?!file:|data:)"), lambda route: route.abort())
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said
    assert {url.split("#")[0] for url in asked if not url.startswith("data:")} == {address}


def shown(page):
    return [panel.get_attribute("id") for panel in page.locator(".panel:visible").all()]


def test_clicking_a_cell_opens_its_tiles(open_page):
    page = open_page()
    assert shown(page) == []
    cell = page.get_by_role("button", name="3 read as 4: 5 tiles")
    cell.click()
    assert shown(page) == ["cell-3-4"]
    tiles = page.locator("#cell-3-4 img")
    assert tiles.count() == 5
    assert tiles.first.evaluate("tile => tile.naturalWidth") == 28
    page.keyboard.press("Escape")
    assert shown(page) == []
    assert cell.evaluate("cell => cell === document.activeElement")
    # By keyboard: the row has only two cells, the hits and this mistake.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert shown(page) == ["cell-3-3"]
    assert page.locator("#cell-3-3 img").count() == 16
    page.locator("#cell-3-3 .close").click()
    assert shown(page) == []


def test_hovering_a_mark_shows_its_value(open_page):
    page = open_page()
    page.locator("[data-tip^='epoch 2: loss 0.2 ']").hover(force=True)
    assert page.locator("#tip").inner_text() == "epoch 2: loss 0.2 in validation"


def test_cells_are_links_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    page.locator("a[href='#cell-3-4']").click()
    assert shown(page) == ["cell-3-4"]


def test_link_to_a_cell_opens_it(open_page):
    assert shown(open_page("#cell-3-4")) == ["cell-3-4"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_a_phone_and_follows_the_colour_scheme(open_page, scheme):
    page = open_page(width=390, color_scheme=scheme)
    for details in page.locator("details").all():
        details.evaluate("each => { each.open = true; }")
    page.locator("a[href='#cell-3-4']").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 150) == (scheme == "dark")
