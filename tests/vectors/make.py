"""Makes the test vectors of docs/FRAMING.md: what goes into each function, and what comes out.

Run ``python tests/vectors/make.py`` to write them again. Every implementation is held to them:
tests/serving/test_vectors.py runs them in Python, and in a browser with check.js.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import inputs
import numpy as np
from PIL import Image

from digitlens.data import images, tiles, windows
from digitlens.evaluation.votes import Votes
from digitlens.model.page_model import Look
from digitlens.recognition import (
    candidates,
    components,
    compose,
    confidence,
    crops,
    expect,
    layout,
    looks,
    plain,
    support,
    turns,
)
from digitlens.results import Reading

FOLDER = Path(__file__).parent
PICTURES = FOLDER / "pictures"
THRESHOLDS = {"digit": 0.9, "reject": 0.5}
FILTERS = {"box": Image.Resampling.BOX, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC}  # fmt: skip
Value = dict[str, Any]


@dataclass(frozen=True)
class Function:
    """One function: how close results must be, what it does, and what it is tried on."""

    tolerance: float
    run: Callable[[Value], Any]
    inputs: Callable[[], Iterator[Value]]


# From JSON, and to it


@cache
def picture(name: str, gray: bool = False) -> np.ndarray:
    return np.asarray(Image.open(PICTURES / name).convert("L" if gray else "RGB"))


def page_of(given: Value) -> np.ndarray:
    return picture(given["picture"], given.get("gray", False))


def floats(rows: Any, *shape: int) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, *shape)


def packed(array: np.ndarray) -> Value:
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    text = base64.b64encode(array.tobytes()).decode()
    return {"width": width, "height": height, "channels": channels, "bytes": text}


def unpacked(given: Value) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(given["bytes"]), np.uint8)
    shape = (given["height"], given["width"], given["channels"])
    return data.reshape(shape[:2] if shape[2] == 1 else shape)


def plain_numbers(array: np.ndarray) -> Any:
    """Numbers as short as they are exact in float32."""
    return json.loads(json.dumps(np.asarray(array, np.float64).round(7).tolist()))


def candidates_of(rows: list[Value]) -> candidates.Candidates:
    return candidates.Candidates(
        floats([row["score"] for row in rows]),
        floats([row["probabilities"] for row in rows], 10),
        floats([row["box"] for row in rows], 4),
        floats([row["seen"] for row in rows]),
    )


def rows_of(found: candidates.Candidates) -> list[Value]:
    columns = (found.score, found.probabilities, found.boxes, found.seen)
    rows = zip(*map(plain_numbers, columns), strict=True)
    return [dict(zip(("score", "probabilities", "box", "seen"), row, strict=True)) for row in rows]


def votes_of(given: Value) -> Votes:
    names = np.array(given["names"], np.float32).reshape(-1, 3, 10)
    return Votes(floats(given["existence"]), floats(given["digit"]), names,
                 floats(given["boxes"], 4))  # fmt: skip


# The functions


def run_resize(given: Value) -> Value:
    image = Image.fromarray(page_of(given))
    size = (given["width"], given["height"])
    box = tuple(given["box"]) if given["box"] else None
    return packed(np.asarray(image.resize(size, FILTERS[given["filter"]], box=box)))


def run_reduce(given: Value) -> Value:
    return packed(np.asarray(Image.fromarray(page_of(given)).reduce(given["factor"])))


def run_resize_plane(given: Value) -> Any:
    plane = floats(given["plane"], len(given["plane"][0]))
    return plain_numbers(images.resize(plane, given["width"], given["height"]))


def run_windows(given: Value) -> list[Value]:
    return [packed(w) for w in windows.windows(page_of(given), floats(given["boxes"], 4))]


def run_components(given: Value) -> Value:
    mask = np.array([[sign == "#" for sign in row] for row in given["mask"]])
    found = components.connected_components(mask)
    return {"labels": found.labels.tolist(), "boxes": found.boxes.tolist(),
            "areas": found.areas.tolist()}  # fmt: skip


class Script:
    """A page model that says what it is told to, and remembers what it was shown."""

    def __init__(self, answers: list[list[Value]]) -> None:
        self.answers, self.shown = iter(answers), list[Value]()

    def look(self, seen: np.ndarray) -> Look:
        height, width = seen.shape[:2]
        digest = hashlib.sha256(seen.tobytes()).hexdigest()
        self.shown.append({"width": width, "height": height, "sha256": digest})
        found = next(self.answers, [])
        score = floats([row["score"] for row in found])
        boxes = floats([row["box"] for row in found], 4)
        chances = floats([row["probabilities"] for row in found], 10)
        return Look(score, chances, boxes, np.zeros((1, 1), np.float32), (height, width))


def run_looks(given: Value) -> Value:
    model: Any = Script(given["answers"])
    found, glances = looks.look_around(page_of(given), model)
    regions = [list(map(int, glance.region)) for glance in glances]
    return {"shown": model.shown, "regions": regions, "found": rows_of(found)}


def run_doubles(given: Value) -> list[int]:
    boxes, sure = floats(given["boxes"], 4), floats(given["confidence"])
    return candidates.without_doubles(boxes, np.array(given["values"]), sure).tolist()


def run_support(given: Value) -> Any:
    return plain_numbers(support.support(floats(given["boxes"], 4), floats(given["logits"])))


def run_confidence(given: Value) -> Value:
    votes = votes_of(given)
    card: Any = SimpleNamespace(results=given["card"], name="vectors")
    says = confidence.Confidence.of(card)
    chances = says.probabilities(votes)
    return {"probabilities": plain_numbers(chances),
            "confidence": plain_numbers(says.values(votes, chances))}  # fmt: skip


def run_numbers(given: Value) -> list[list[int]]:
    return layout.numbers_of(np.array(given["boxes"], np.float64).reshape(-1, 4))


def run_lines(given: Value) -> list[list[int]]:
    return layout.lines_of(np.array(given["boxes"], np.float64).reshape(-1, 4))


def run_compose(given: Value) -> Value:
    found = candidates_of(given["found"])
    width, height = given["size"]
    chances = floats(given["probabilities"], 10)
    sure = floats(given["confidence"])
    lines = compose.compose(found, chances, sure, (width, height), THRESHOLDS)
    if given["expect"]:
        lines = compose.fitted(lines, expect.Pattern.parse(given["expect"]), THRESHOLDS)
    lines = turns.turned_back(lines, given["turn"], width, height)
    return Reading(lines, width, height, "vectors", "").as_dict()


def run_pattern(given: Value) -> Any:
    try:
        return [list(place) for place in expect.Pattern.parse(given["text"]).places]
    except ValueError:
        return None


def run_strokes(given: Value) -> Any:
    found = plain.isolated_strokes(page_of(given))
    if found is None:
        return None
    shown = packed(found.page) if found.scale > 1 else None
    return {"boxes": plain_numbers(found.boxes), "scale": found.scale, "shown": shown}


def functions() -> dict[str, Function]:
    """All of them, by name."""
    return {
        "flatten": Function(0, lambda v: packed(images.load_image(unpacked(v))), inputs.flatten),
        "resize": Function(0, run_resize, inputs.resize),
        "reduce": Function(0, run_reduce, inputs.reduce),
        "resize_plane": Function(1e-6, run_resize_plane, inputs.resize_plane),
        "windows": Function(0, run_windows, inputs.windows),
        "components": Function(0, run_components, inputs.components),
        "ink_in": Function(1, lambda v: packed(crops.ink_in(page_of(v), floats(v["box"]))),
                           inputs.ink_in),
        "to_tile": Function(1, lambda v: packed(tiles.to_tile(unpacked(v))), inputs.to_tile),
        "looks": Function(1e-4, run_looks, inputs.looks),
        "doubles": Function(0, run_doubles, inputs.doubles),
        "support": Function(1e-5, run_support, inputs.support),
        "confidence": Function(1e-5, run_confidence, inputs.confidence),
        "lines": Function(0, run_lines, inputs.lines),
        "numbers": Function(0, run_numbers, inputs.numbers),
        "compose": Function(1e-5, run_compose, inputs.compose),
        "pattern": Function(0, run_pattern, inputs.pattern),
        "strokes": Function(1e-4, run_strokes, inputs.strokes),
    }  # fmt: skip


def main() -> None:
    inputs.draw_pictures()
    for name, function in functions().items():
        cases = [{"input": value, "output": function.run(value)} for value in function.inputs()]
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        text = f'{{"function":"{name}","tolerance":{function.tolerance},"cases":[\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
