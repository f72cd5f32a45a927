"""Records the page of a running server while a number is drawn and a photo read, for the README.

digitlens serve --port 8000
python docs/pictures/make_film.py http://127.0.0.1:8000 docs/pictures/reader.gif
"""

import io
import sys
from pathlib import Path

from make_page import CHROMIUM, HEIGHT, STEP, STROKES, WIDTH
from PIL import Image
from playwright.sync_api import Page, sync_playwright

WINDOW = {"width": 1180, "height": 690}
SIZE = (944, 552)  # of the film, pixels
POINTS = 7  # stroke points between two frames
MOVING, RESTING, LOOKING = 130, 1400, 3200  # milliseconds per frame
COLOURS = 96
PHOTO = Path(__file__).parents[2] / "examples" / "ruled.jpg"

Frames = list[tuple[Image.Image, int]]


def draw(page: Page, text: str, frames: Frames) -> None:
    """Draws digits side by side with the mouse, recording a frame after every few points."""
    canvas = page.locator("canvas").first.bounding_box()
    assert canvas
    left, top = canvas["x"] + 55, canvas["y"] + 120
    for place, digit in enumerate(text):
        for stroke in STROKES[digit]:
            points = [(left + WIDTH * x, top + HEIGHT * y) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for start in range(1, len(points), POINTS):
                for point in points[start : start + POINTS]:
                    page.mouse.move(*point)
                page.wait_for_timeout(60)
                frames.append((shot(page), MOVING))
            page.mouse.up()
        page.locator("#say", has_text=f"Reads {text[: place + 1]}").wait_for(state="attached")
        page.wait_for_timeout(200)
        frames.append((shot(page), 3 * MOVING))
        left += STEP
    frames.append((shot(page), RESTING))


def shot(page: Page) -> Image.Image:
    """A screenshot of the page."""
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return seen.resize(SIZE, Image.Resampling.LANCZOS)


def show_photo(page: Page, frames: Frames) -> None:
    """Opens a photo on the page and waits until it is read."""
    page.set_input_files("#file", PHOTO)
    page.locator("#say", has_text="Reads").wait_for(state="attached")
    page.wait_for_timeout(800)
    frames.append((shot(page), LOOKING))


def write(frames: Frames, out: str) -> None:
    """Writes the frames with a shared palette: separate palettes would flicker."""
    all_of_it = Image.new("RGB", (SIZE[0], SIZE[1] * len(frames)))
    for place, (picture, _) in enumerate(frames):
        all_of_it.paste(picture, (0, SIZE[1] * place))
    palette = all_of_it.quantize(COLOURS)
    pictures = [
        picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture, _ in frames
    ]
    durations = [duration for _, duration in frames]
    first, *rest = pictures
    first.save(out, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def main() -> None:
    """Makes the film."""
    address, out = sys.argv[1:]
    frames: Frames = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW, device_scale_factor=1.6, color_scheme="light")
        page.goto(address)
        draw(page, "2048", frames)
        show_photo(page, frames)
        browser.close()
    write(frames, out)


if __name__ == "__main__":
    main()
