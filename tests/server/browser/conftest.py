"""A real server, its page in a real browser, and a hand that draws on it."""

import re
import subprocess
import sys

import pytest

LIMIT = 15_000  # ms for anything to appear: the machine may be busy

# Strokes as polylines; digits lie in a box 0.6 wide and 1 high.
STROKES = {
    "0": [[(0.3, 0), (0.08, 0.15), (0, 0.5), (0.08, 0.85), (0.3, 1), (0.52, 0.85), (0.6, 0.5)]],
    "1": [[(0.15, 0.2), (0.35, 0), (0.35, 1)]],
    "2": [[(0.02, 0.2), (0.15, 0.03), (0.35, 0), (0.55, 0.12), (0.55, 0.32), (0.35, 0.6)]],
    "4": [[(0.4, 0), (0.02, 0.65), (0.6, 0.65)], [(0.42, 0.35), (0.42, 1)]],
    "7": [[(0, 0), (0.6, 0), (0.25, 1)]],
    "8": [[(0.3, 0.48), (0.06, 0.3), (0.1, 0.08), (0.3, 0), (0.5, 0.08), (0.54, 0.3)]],
    "A": [[(0, 1), (0.4, 0), (0.8, 1)], [(0.18, 0.6), (0.62, 0.6)]],
    "heart": [[(0.5, 0.3), (0.3, 0.05), (0.05, 0.2), (0.1, 0.5), (0.5, 1), (0.9, 0.5)]],
}
STROKES["0"][0] += [(0.52, 0.15), (0.3, 0)]
STROKES["2"][0] += [(0.02, 1), (0.6, 1)]
STROKES["8"][0] += [(0.3, 0.48), (0.04, 0.72), (0.1, 0.94), (0.3, 1), (0.5, 0.94), (0.56, 0.72)]
STROKES["8"][0] += [(0.3, 0.48)]
STROKES["heart"][0] += [(0.95, 0.2), (0.7, 0.05), (0.5, 0.3)]


class Hand:
    """Draws with the mouse."""

    def __init__(self, page):
        self.page = page

    def point(self, x, y):
        box = self.page.locator("#paper").bounding_box()
        return box["x"] + x, box["y"] + y

    def begin(self, points):
        """Draws one stroke without lifting the pen."""
        self.page.mouse.move(*self.point(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.point(*point), steps=2)

    def stroke(self, points):
        self.begin(points)
        self.page.mouse.up()

    def draw(self, digit, x=60, y=90, height=170):
        for stroke in STROKES[digit]:
            self.stroke([(x + across * height, y + down * height) for across, down in stroke])

    def draw_unread(self, digit, x=60, y=90, height=170):
        """Draws it so that only the finished drawing is read, not intermediate states."""
        self.page.route("**/v1/read*", lambda _: None)  # the page aborts these itself
        self.draw(digit, x, y, height)
        self.page.unroute("**/v1/read*")
        end = STROKES[digit][-1][-1]
        self.stroke([(x + end[0] * height + step, y + end[1] * height) for step in (0, 2)])

    def write(self, text, x=40, y=90, height=150):
        for index, digit in enumerate(text):
            self.draw(digit, x + index * 0.85 * height, y, height)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of `digitlens serve`, started from the command line."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "digitlens", "serve", "--port", "0", "--workers", "2"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        yield _address(log, process)
    finally:
        process.terminate()
        process.wait(20)


def _address(log, process):
    while process.poll() is None:
        match = re.search(r"http://[\d.:]+", log.read_text())
        if match:
            return match.group() + "/"
    raise AssertionError(f"the server stopped: {log.read_text()}")


@pytest.fixture
def open_page(browser, server):
    """Returns a function that opens the page; asserts a clean console and no foreign requests.

    A test puts parts of expected console messages into ``page.expected``.
    """
    contexts, messages, urls, origins = [], [], [], ["blob:", "data:"]

    def open_page(prepare=None, width=1440, height=900, address=server, **options):
        origins.append(address)
        options = {"reduced_motion": "reduce", **options}  # and less rendering
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(LIMIT)
        page = context.new_page()
        page.expected = []
        page.on("console", lambda message: messages.append((page, message.type, message.text)))
        page.on("pageerror", lambda error: messages.append((page, "error", str(error))))
        page.on("request", lambda request: urls.append(request.url))
        if prepare:
            prepare(page)
        page.goto(address)
        page.hand = Hand(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    odd = [
        (kind, text)
        for page, kind, text in messages
        if kind in ("error", "warning") and not any(part in text for part in page.expected)
    ]
    assert not odd
    assert urls
    assert all(url.startswith(tuple(origins)) for url in urls), urls


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def reads():
    """Returns a function that waits until a page shows these digits, one line of text per line."""

    def reads(page, text):
        script = """text => [...document.querySelectorAll('#strip .line')].map(line =>
            [...line.querySelectorAll('.chip')].map(chip => chip.textContent)
            .filter(value => /[0-9]/.test(value)).join('')).filter(Boolean).join('\\n') === text"""
        page.wait_for_function(script, arg=text)

    return reads
