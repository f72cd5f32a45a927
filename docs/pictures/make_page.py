"""Draws a number on the page of a running server and takes the README's screenshot.

digitlens serve --port 8000
python docs/pictures/make_page.py http://127.0.0.1:8000 docs/pictures/page.png
"""

import io
import math
import sys

from PIL import Image
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
WINDOW = {"width": 1180, "height": 690}
WIDTH, HEIGHT, STEP = 110, 190, 155  # of a digit, and between digits; pixels

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Stroke:
    """Part of an ellipse; angles in degrees."""
    angles = [math.radians(start + (end - start) * k / 24) for k in range(25)]
    return [(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


STROKES: dict[str, list[Stroke]] = {
    "2": [[*arc(0.5, 0.3, 0.42, 0.28, 190, 380), (0.1, 0.98)], [(0.1, 0.98), (0.95, 0.95)]],
    "0": [arc(0.5, 0.5, 0.42, 0.48, -90, 272)],
    "4": [[(0.62, 0.02), (0.08, 0.66), (0.95, 0.64)], [(0.68, 0.38), (0.64, 1.0)]],
    "8": [arc(0.5, 0.26, 0.32, 0.25, 90, -270), arc(0.5, 0.75, 0.4, 0.25, -90, 270)],
}


def draw(page: Page, text: str) -> None:
    """Draws digits side by side with the mouse."""
    canvas = page.locator("canvas").first.bounding_box()
    assert canvas
    left, top = canvas["x"] + 70, canvas["y"] + 130
    for digit in text:
        for stroke in STROKES[digit]:
            points = [(left + WIDTH * x, top + HEIGHT * y) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point)
            page.mouse.up()
        left += STEP


def main() -> None:
    """Takes the screenshot."""
    address, out = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW, device_scale_factor=1.5)
        page.goto(address)
        draw(page, "2048")
        page.locator("#say", has_text="Reads 2048.").wait_for(state="attached")
        page.wait_for_timeout(500)
        taken = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(64).save(out, optimize=True)


if __name__ == "__main__":
    main()
