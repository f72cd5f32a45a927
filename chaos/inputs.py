"""Draws the inputs of the commands into a folder."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets import mnist as mnist_module

TILES = 600  # MNIST tiles used for all trainings here


def nothing(folder: Path) -> None:
    del folder


def draw_meter(path: Path, number: str, minute: int = 0) -> Path:
    """Draws a meter showing a number, dated the given minutes after a fixed time."""
    image = Image.new("RGB", (640, 360), (240, 240, 236))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    for y, text in ((30, "ELECTRICITY"), (90, "type B 230 V"), (300, "sealed by office")):
        pen.text((40, y), text, (40, 40, 60), font)
    pen.rectangle((300, 160, 560, 230), outline=(60, 60, 60), width=3)
    pen.text((330, 172), number, (10, 10, 40), ImageFont.load_default(46))
    image.save(path)
    os.utime(path, (1_700_000_000 + 60 * minute,) * 2)
    return path


def meters(folder: Path) -> None:
    draw_meter(folder / "meter.png", "40751")
    (folder / "in").mkdir()
    for minute, number in enumerate(("40751", "40752", "40152", "40753", "40754")):
        draw_meter(folder / f"in/{minute}.png", number, minute)
    boxes = {"main": "[310, 165, 550, 225]", "head": "[180, 85, 260, 125]"}
    regions = "".join(f"[regions.{name}]\nbox = {box}\n" for name, box in boxes.items())
    (folder / "meter.toml").write_text(f'picture = "meter.png"\n{regions}')


def ruled(folder: Path) -> None:
    image = Image.new("RGB", (420, 260), "white")
    pen = ImageDraw.Draw(image)
    for y in range(4):
        pen.line((20, 20 + 70 * y, 400, 20 + 70 * y), "black", 2)
    for x in range(4):
        pen.line((20 + 126 * x, 20, 20 + 126 * x, 230), "black", 2)
    for y in range(3):
        for x in range(3):
            pen.text((50 + 126 * x, 38 + 70 * y), f"{37 * (3 * y + x + 1)}", "black", _font(32))
    image.save(folder / "page.png")


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def pages(folder: Path) -> None:
    (folder / "in").mkdir()
    for number in range(4):
        image = Image.new("L", (300, 120), 245)
        ImageDraw.Draw(image).text((40, 30), f"{number}57.{number}", 20, _font(48))
        image.save(folder / f"in/{number}.png")


def own(folder: Path) -> None:
    train, random = mnist_module.load_mnist().train, np.random.default_rng(3)
    (folder / "own").mkdir()
    labels = ["file,label"]
    for number in range(10):
        at = random.integers(0, TILES, 4)
        page = 255 - np.concatenate([train.tiles[i] for i in at], axis=1)
        Image.fromarray(np.pad(page, 24, constant_values=255)).save(folder / f"own/{number}.png")
        text = "".join(str(train.labels[i]) for i in at)
        labels.append(f"{number}.png,{text if number else '1' + text[1:]}")
    (folder / "own/labels.csv").write_text("\n".join(labels) + "\n")
