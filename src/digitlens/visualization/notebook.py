"""Shows figures, tiles, pictures and live curves below the cell of a notebook.

Needs the extra ``notebook``. Leaves no file behind.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from IPython.display import Image, display
from matplotlib.figure import Figure
from PIL import Image as Pillow

from digitlens.visualization.figures.curves import draw_curves
from digitlens.visualization.theme import DPI, canvas, theme

SHOWN_DPI = 120  # dots per inch: sharp on screens of two dots per pixel, for a third of the bytes
PIXELS, WIDEST = 76, 900  # page pixels per inch, and per figure at most
QUALITY = 85  # of JPEG


def show(draw: Callable[..., object], *what: Any, **options: Any) -> None:
    """Shows what a figure function draws, as in ``show(draw_wrong, report, tiles, most=20)``."""
    display(_draw_image(lambda path: draw(*what, path, **options)))


@contextmanager
def inline(width: float, height: float) -> Generator[Figure]:
    """Yields an empty figure, sized in inches, and shows it when the block succeeds."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        with canvas(path, width, height) as figure:
            yield figure
        display(_load_reduced(path))


def show_tiles(
    tiles: npt.NDArray[np.uint8],
    captions: Sequence[str] = (),
    *,
    columns: int = 10,
    side: float = 1.1,
    red: Sequence[bool] = (),
) -> None:
    """Shows tiles, uint8[N, 28, 28], in rows, ink as on paper, with a caption under each.

    ``side`` is the width of a tile with its margin, in inches; ``red`` marks captions to draw in
    the colour of mistakes.
    """
    rows = -(-len(tiles) // columns)
    lines = max((text.count("\n") + 1 for text in captions), default=0)
    with inline(side * columns, rows * (side + 0.24 * lines)) as figure:
        for axes in figure.subplots(rows, columns, squeeze=False).flat:
            axes.set_axis_off()
        for axes, tile in zip(figure.axes, tiles, strict=False):
            axes.imshow(tile, cmap=theme().tiles, vmin=0, vmax=255, interpolation="nearest")
        for number, text in enumerate(captions):
            colour = theme().red if number < len(red) and red[number] else theme().ink
            style = {"va": "top", "color": colour, "fontsize": 10, "weight": "normal"}
            figure.axes[number].set_title(text, style, loc="center", pad=0, y=-0.05)


def show_page(page: npt.NDArray[np.uint8], *, width: int = 640) -> None:
    """Shows a picture, uint8[H, W] or uint8[H, W, 3], at most ``width`` pixels wide."""
    picture = Pillow.fromarray(page)
    picture.thumbnail((2 * width, 2 * width))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    display(Image(file.getvalue(), format="jpeg", width=min(width, page.shape[1])))


class LiveCurves:
    """Live curves of loss and accuracy during training: ``train(..., on_epoch=LiveCurves())``.

    Attributes:
        history: The rows it was called with.
    """

    def __init__(self) -> None:
        self.history: list[Mapping[str, Any]] = []
        self._handle: Any = None

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Redraws the curves with this epoch added, in place of the previous ones."""
        self.history.append(row)
        image = _draw_image(lambda path: draw_curves(self.history, path))
        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)


def _draw_image(draw: Callable[[Path], object]) -> Image:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        draw(path)
        return _load_reduced(path)


def _load_reduced(path: Path) -> Image:
    """A figure reduced for a notebook: fewer dots, and 256 colours, which are enough for plots."""
    with Pillow.open(path) as figure:
        inches = figure.width / DPI
        size = round(figure.width * SHOWN_DPI / DPI), round(figure.height * SHOWN_DPI / DPI)
        smaller = figure.convert("RGB").resize(size, Pillow.Resampling.LANCZOS)
    file = io.BytesIO()
    smaller.quantize(256, dither=Pillow.Dither.NONE).save(file, "PNG", optimize=True)
    return Image(file.getvalue(), format="png", width=min(round(inches * PIXELS), WIDEST))
