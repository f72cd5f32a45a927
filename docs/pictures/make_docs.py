"""Makes the pictures of the documentation: stages of a reading, training data, results of a run.

digitlens train --recipe fast
python docs/pictures/make_docs.py runs/fast-1
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from make_page import CHROMIUM
from PIL import Image
from playwright.sync_api import sync_playwright

from digitlens import DigitReader
from digitlens.datasets.mnist import Mnist, load_mnist
from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.datasets.synthetic.styles import load_fonts
from digitlens.evaluation.risk import RiskCoverage
from digitlens.explain.trained_model import TrainedModel
from digitlens.imaging.ink import ink_in
from digitlens.imaging.tiles import FRAME, SIDE, to_tile
from digitlens.reading.reader import ReadResult
from digitlens.visualization.figures.registry import draw_evaluation
from digitlens.visualization.figures.reliability import draw_risk_coverage
from digitlens.visualization.overlay import draw_reading
from digitlens.visualization.sheets import draw_pages, draw_samples, write_stages
from digitlens.visualization.theme import canvas, headline, theme

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "docs"
EXAMPLES = ROOT / "examples"
WIDTH = 900  # pixels, at most; a phone's screen is 390 wide at twice the density

Bytes = npt.NDArray[np.uint8]


def main() -> None:
    """Makes all pictures."""
    OUT.mkdir(exist_ok=True)
    mnist, reader = load_mnist(), DigitReader()
    for name in ("note", "ruled"):
        seen = reader.examine(EXAMPLES / f"{name}.jpg")
        save_photo(draw_reading(seen.page, seen.reading), f"{name}-answer.jpg")
    save_photo(np.asarray(Image.open(EXAMPLES / "note.jpg")), "note.jpg", 560)
    draw_stages(reader)
    draw_cut(reader)
    draw_framing(reader.examine(EXAMPLES / "note.jpg"))
    draw_learned_from(mnist)
    draw_results(sys.argv[1])
    draw_risk(reader)
    draw_seen(str(Path(sys.argv[1]).resolve()))
    for path in sorted(OUT.iterdir()):
        sys.stdout.write(f"{path.name:<28} {path.stat().st_size:>8,} bytes\n")


def draw_stages(reader: DigitReader) -> None:
    """The stages of one reading, as ``digitlens explain`` writes them."""
    with tempfile.TemporaryDirectory() as folder:
        seen = reader.examine(EXAMPLES / "note.jpg")
        write_stages(Path(folder), seen, reader.thresholds)
        looks = [opened(path) for path in sorted(Path(folder).glob("2-heat-*.png"), key=_size)]
        shape = seen.page.shape[0] / seen.page.shape[1]
        looks = [look[: round(look.shape[1] * shape)] for look in looks]  # crops the colour scale
        save_flat(side_by_side(looks, 330), "looks.png")
        save_photo(opened(Path(folder, "3-lines.png")), "lines.jpg")
        save_photo(opened(Path(folder, "4-places.png")), "places.jpg")
        save_flat(opened(Path(folder, "5-tiles.png")), "tiles.png")
        save_flat(crops_of(reader.examine(EXAMPLES / "ruled.jpg")), "crops.png")
        drawing = DigitReader(sys.argv[1]).examine(EXAMPLES / "drawing.png")
        write_stages(Path(folder), drawing, reader.thresholds)
        save_flat(opened(Path(folder, "5-tiles.png")), "drawing-tiles.png")


def draw_cut(reader: DigitReader) -> None:
    """The tiles cut out of three photos in how-to/own-data.md."""
    tiles: list[Bytes] = []
    for name in ("note", "ruled", "board"):
        digits = reader.read(EXAMPLES / f"{name}.jpg").digits
        tiles.extend(digit.tile for digit in digits if digit.tile is not None)
    save_flat(sheet([enlarged(tile, 3) for tile in tiles], 10), "cut.png")


def draw_framing(seen: ReadResult) -> None:
    """From a digit on a page to its tile."""
    digit = seen.reading.digits[0]
    box = np.array(digit.box.as_list(), np.float32)
    x0, y0, x1, y1 = digit.box.as_list()
    part = seen.page[y0 - 24 : y1 + 24, x0 - 24 : x1 + 24]
    ink = ink_in(seen.page, box)
    tile = to_tile(ink)
    with canvas(OUT / "framing.png", 9.6, 3.4) as figure:
        first, second, third = figure.subplots(1, 3)
        for axes in (first, second, third):
            axes.set_axis_off()
        first.imshow(part)
        headline(first, "on the page", f"{x1 - x0} x {y1 - y0} pixels")
        second.imshow(ink, cmap="gray", vmin=0, vmax=255)
        headline(second, "its ink", "0 to 255, paper removed")
        third.imshow(tile, cmap="gray", vmin=0, vmax=255, extent=(0, SIDE, SIDE, 0))
        _mark_tile(third, tile)
        headline(third, "its tile", f"{FRAME} pixels high, centred by mass")
    save_flat(opened(OUT / "framing.png"), "framing.png", 1400)


def draw_learned_from(mnist: Mnist) -> None:
    """MNIST tiles and generated pages."""
    save_flat(np.asarray(draw_samples(mnist.train, per_digit=10)), "samples.png")
    maker = PageMaker(mnist.train, load_fonts("training"), seed=3)
    pages = [maker.page(number) for number in range(16)]
    save_photo(np.asarray(draw_pages(pages)), "generated.jpg", 980, quality=72)


def draw_results(run: str) -> None:
    """The errors of the tutorial's run."""
    subject = TrainedModel(run)
    with tempfile.TemporaryDirectory() as folder:
        draw_evaluation(subject.report, subject.split.tiles, Path(folder))
        for name in ("wrong", "confusion"):
            save_flat(opened(Path(folder, f"{name}.png")), f"{name}.png", 1200)


def draw_seen(run: str) -> None:
    """Output of the commands ``figures``, ``explain`` and ``reconstruct``."""
    drawing, note = (str(EXAMPLES / name) for name in ("drawing.png", "note.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (
            ("figures", run, "--only", "maps", "--out", "seen"),
            ("explain", drawing, "--model", run, "--out", "why"),
            ("reconstruct", note, "--out", "again"),
        ):
            command = [sys.executable, "-m", "digitlens", *arguments]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        save_flat(opened(Path(folder, "seen/maps.png")), "maps.png", 1300)
        page = Path(folder, "why/explanation.html")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            shown = browser.new_page(viewport={"width": 1000, "height": 800})
            shown.goto(page.as_uri())
            shown.locator("#digit-1").screenshot(path=page.with_suffix(".png"))
        save_flat(opened(page.with_suffix(".png")), "explained.png", 1000)
        save_flat(opened(Path(folder, "again/note-reconstructed.png")), "reconstructed.png")


def draw_risk(reader: DigitReader) -> None:
    """The risk curve in the line reader's card, which determines thresholds."""
    curve = RiskCoverage.from_dict(reader.card.fusion["risk"])
    draw_risk_coverage({"generated pictures": curve}, OUT / "risk.png")
    save_flat(opened(OUT / "risk.png"), "risk.png", 1200)


def crops_of(seen: ReadResult) -> Bytes:
    """The line crops of a page, as the recogniser saw them."""
    crops = [line.crop for line in seen.view.lines]
    widest = max(crop.shape[1] for crop in crops)
    padded = [np.pad(c, ((0, 0), (0, widest - c.shape[1]), (0, 0)), "edge") for c in crops]
    return sheet([enlarged(crop, 3) for crop in padded], 1)


def sheet(pictures: Sequence[Bytes], columns: int, gap: int = 6) -> Bytes:
    """uint8[H, W, 3]; pictures of one size in rows, on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    size = rows * (height + gap) - gap, columns * (width + gap) - gap, 3
    page = np.full(size, 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        page[top : top + height, left : left + width] = (
            picture if picture.ndim == 3 else picture[:, :, None]
        )
    return page


def side_by_side(pictures: Sequence[Bytes], width: int, gap: int = 8) -> Bytes:
    """uint8[H, W, 3]; pictures brought to one width, on white."""
    scaled = [np.asarray(_shrunk(Image.fromarray(picture), width)) for picture in pictures]
    height = max(picture.shape[0] for picture in scaled)
    padded = [
        np.pad(
            picture,
            ((0, height - picture.shape[0]), (0, gap), (0, 0)),
            constant_values=255,
        )
        for picture in scaled
    ]
    return np.concatenate(padded, axis=1)[:, :-gap]


def enlarged(picture: Bytes, times: int) -> Bytes:
    """Enlarges each pixel to a square of ``times`` x ``times``."""
    return np.repeat(np.repeat(picture, times, 0), times, 1)


def opened(path: Path) -> Bytes:
    """uint8[H, W, 3]."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def save_photo(picture: Bytes, name: str, width: int = WIDTH, quality: int = 80) -> None:
    """Writes a JPEG file, shrunk to a width."""
    shrunk = _shrunk(Image.fromarray(picture), width)
    shrunk.save(OUT / name, quality=quality, optimize=True, progressive=True)


def save_flat(picture: Bytes, name: str, width: int = 1200, *, colours: int = 160) -> None:
    """Writes a PNG file with a palette, shrunk to a width."""
    shrunk = _shrunk(Image.fromarray(picture), width)
    shrunk.quantize(colours, dither=Image.Dither.NONE).save(OUT / name, optimize=True)


def _shrunk(picture: Image.Image, width: int) -> Image.Image:
    if picture.width <= width:
        return picture
    return picture.resize(
        (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
    )


def _mark_tile(axes: object, tile: Bytes) -> None:
    """Marks the box of the scaled digit and its centre of mass."""
    rows, columns = np.flatnonzero(tile.any(1)), np.flatnonzero(tile.any(0))
    weights = tile.astype(float)
    y = (weights.sum(1) * (np.arange(SIDE) + 0.5)).sum() / weights.sum()
    x = (weights.sum(0) * (np.arange(SIDE) + 0.5)).sum() / weights.sum()
    edge = [columns[0], columns[-1] + 1], [rows[0], rows[-1] + 1]
    corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    axes.plot(
        [edge[0][k] for k, _ in corners],
        [edge[1][k] for _, k in corners],
        color=theme().orange,
        linewidth=1.5,
    )
    axes.plot([x], [y], "+", color=theme().orange, markersize=14, markeredgewidth=2)


def _size(path: Path) -> int:
    return int(path.stem.split("-")[2])


if __name__ == "__main__":
    main()
