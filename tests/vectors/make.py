"""Generates the test vectors of docs/FRAMING.md: inputs and outputs of each function.

Run ``python tests/vectors/make.py`` to regenerate them. Every implementation must match them:
tests/server/test_vectors.py runs them in Python, and in a browser with check.js.
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

from digitlens.alphabet import CLASSES
from digitlens.imaging import image, ink, tiles
from digitlens.imaging.framing import crop_line
from digitlens.models.networks import MIN_SIDE, DigitPredictions, padded
from digitlens.reading import (
    constrained,
    constraints,
    fusion,
    layout,
    multiscale,
    nms,
    notation,
    numbers,
    orientation,
    places,
    reading_order,
    text_lines,
    values,
)
from digitlens.reading.decode import decode, space_chances, with_numerals
from digitlens.reading.recognize import (
    LineCrop,
    RecognizedLine,
    columns_of,
    line_proposals,
    parts_with_digits,
)
from digitlens.results import Outputs, Reading, value_text

FOLDER = Path(__file__).parent
PICTURES = FOLDER / "pictures"
THRESHOLDS = {"digit": 0.9, "reject": 0.5}
FILTERS = {"box": Image.Resampling.BOX, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC}  # fmt: skip
Value = dict[str, Any]


@dataclass(frozen=True)
class Function:
    """One function: the tolerance of its results, its implementation and its inputs."""

    tolerance: float
    run: Callable[[Value], Any]
    inputs: Callable[[], Iterator[Value]]


# Conversion from and to JSON


@cache
def picture(name: str) -> np.ndarray:
    return np.asarray(Image.open(PICTURES / name).convert("RGB"))


def page_of(given: Value) -> np.ndarray:
    return picture(given["picture"])


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
    """Numbers rounded to 7 decimals, as exact as float32 for values up to 1."""
    return json.loads(json.dumps(np.asarray(array, np.float64).round(7).tolist()))


def candidates_of(rows: list[Value]) -> nms.Candidates:
    return nms.Candidates(
        floats([row["score"] for row in rows]),
        floats([row["probabilities"] for row in rows], 10),
        floats([row["box"] for row in rows], 4),
        floats([row["seen"] for row in rows]),
    )


def rows_of(found: nms.Candidates) -> list[Value]:
    columns = (found.score, found.probabilities, found.boxes, found.seen)
    rows = zip(*map(plain_numbers, columns), strict=True)
    return [dict(zip(("score", "probabilities", "box", "seen"), row, strict=True)) for row in rows]


def lines_of(given: Value) -> list[RecognizedLine]:
    """The lines of a picture, read from the given posteriors."""
    page, read = page_of(given), list[RecognizedLine]()
    for row in given["lines"]:
        line = text_lines.TextLine(floats(row["quad"], 2), row["score"])
        said = posteriors_of(row["posteriors"])
        read.append(RecognizedLine(line, crop_line(page, line.quad), said, decode(said)))
    return read


def posteriors_of(steps: list[list[list[float]]]) -> np.ndarray:
    """float32[T, C] from pairs of class and probability; the blank has the remainder."""
    rows = np.zeros((len(steps), CLASSES), np.float32)
    for row, pairs in zip(rows, steps, strict=True):
        for number, chance in pairs:
            row[int(number)] = chance
        row[0] = np.float32(1 - sum(chance for _, chance in pairs))
    return rows


def scores_of(found: places.Places, given: Value) -> fusion.Scores:
    """The scores of places with the given outputs of a classifier."""
    which = [k % len(given["named"]) for k in range(len(found))]
    rows = floats(given["named"], 10)[which]
    return fusion.Scores.of(found, Outputs(rows, digit=floats(given["is_digit"])[which]))


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
    return plain_numbers(image.resize(plane, given["width"], given["height"]))


def run_crop_line(given: Value) -> Value:
    return packed(crop_line(page_of(given), floats(given["quad"], 2)))


def run_text_lines(given: Value) -> list[Value]:
    text = unpacked(given).astype(np.float32) / 255
    found = text_lines.find_lines(text, given["scale"])
    return [{"quad": plain_numbers(line.quad), "score": line.score} for line in found]


def run_decode(given: Value) -> Value:
    found = decode(posteriors_of(given["posteriors"]))
    return {"text": found.text, "centres": plain_numbers(found.centres),
            "confidence": plain_numbers(found.confidence)}  # fmt: skip


def run_numerals(given: Value) -> str:
    said = posteriors_of(given["posteriors"])
    return decode(with_numerals(said, decode(said))).text


def run_space_chances(given: Value) -> list[float]:
    pairs = [given[name] for name in ("gaps", "sides", "spaces")]
    gaps, sides, said = map(np.array, pairs)
    return plain_numbers(space_chances(gaps, sides.T, said))


def run_number_spans(given: Value) -> list[list[int]]:
    return [list(span) for span in numbers.number_spans(given["text"])]


def told_meaning(each: notation.Meaning) -> list[str | None]:
    form = each.notation
    return [value_text(each.value), each.kind, each.unit, form.decimal, form.grouping, form.order]


def run_meanings(given: Value) -> list[Value]:
    return [told_meaning(each) for each in notation.meanings(given["text"])]


class Written(SimpleNamespace):
    """A number of which only the text is known."""

    spots = ()

    def meanings(self) -> tuple[notation.Meaning, ...]:
        return notation.meanings(self.text)


def run_values(given: Value) -> list[Value]:
    pieces: Any = [Written(text=text) for text in given["texts"]]
    known = values._settle_notation(notation.Notation(given["decimal"]), pieces)
    chosen = [values._choose_meanings(piece.text, piece.meanings(), known) for piece in pieces]
    return [{"meant": list(map(told_meaning, meant)), "doubt": doubt} for meant, doubt in chosen]


def run_digit_parts(given: Value) -> list[Value]:
    found = [text_lines.TextLine(floats(line["quad"], 2), line["score"]) for line in given["lines"]]
    spots = [floats(line["spots"], 2) for line in given["lines"]]
    lines = [LineCrop(line, np.zeros((48, 8 * len(each), 3), np.uint8), columns_of(line))
             for line, each in zip(found, spots, strict=True)]  # fmt: skip
    return [{"quad": plain_numbers(line.quad), "score": line.score, "columns": columns}
            for line, _, columns in parts_with_digits(lines, spots)]  # fmt: skip


def run_proposals(given: Value) -> list[Value]:
    lines = [text_lines.TextLine(floats(row["quad"], 2), row["score"]) for row in given["lines"]]
    found = multiscale.Detections(lines, candidates_of(given["digits"]), [])
    return [{"quad": plain_numbers(line.quad), "score": line.score}
            for line in line_proposals(found)]  # fmt: skip


def run_places(given: Value) -> list[Value]:
    found = places.gather(candidates_of(given["digits"]), lines_of(given))
    columns = {name: plain_numbers(column) for name, column in vars(found).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def run_fusion(given: Value) -> Value:
    found = places.gather(candidates_of(given["digits"]), lines_of(given))
    scores, says = scores_of(found, given), fusion.Fusion.from_dict(given["card"])
    return {name: plain_numbers(column) for name, column in says.fuse(scores)._asdict().items()}


def run_layout(given: Value) -> Value:
    read, (width, height), turn = lines_of(given), given["size"], given["turn"]
    scores = scores_of(places.gather(candidates_of(given["digits"]), read), given)
    says = fusion.Fusion.from_dict(given["card"])
    framed = np.zeros((len(scores), 28, 28), np.uint8)
    detected: Any = None  # not used by the layout
    view = layout.View(detected, read, scores, framed, *says.fuse(scores))
    size = (height, width) if turn % 2 else (width, height)
    found = layout.arrange(view, size, THRESHOLDS)
    kept = None
    if given["expect"]:
        expected = constraints.Expectation.of(given["expect"])
        found, kept = constrained.constrain(view, found, size, THRESHOLDS, expected)
    lines = orientation.turned_back(found.lines, turn, width, height)
    reading = Reading(lines, width, height, "vectors", "", found.characters, constrained=kept)
    said = reading.as_dict()
    del said["numbers"]  # tested from their texts alone, see run_values
    return said


def run_components(given: Value) -> Value:
    mask = np.array([[sign == "#" for sign in row] for row in given["mask"]])
    found = ink.connected_components(mask)
    return {"labels": found.labels.tolist(), "boxes": found.boxes.tolist(),
            "areas": found.areas.tolist()}  # fmt: skip


class Script:
    """A fake digit detector with scripted answers; records the inputs of its graph."""

    def __init__(self, answers: list[list[Value]]) -> None:
        self.answers, self.shown = iter(answers), list[Value]()

    def predict(self, seen: np.ndarray) -> DigitPredictions:
        framed = padded(seen, MIN_SIDE)
        digest = hashlib.sha256(framed.tobytes()).hexdigest()
        self.shown.append({"width": framed.shape[1], "height": framed.shape[0], "sha256": digest})
        found = next(self.answers, [])
        score = floats([row["score"] for row in found])
        boxes = floats([row["box"] for row in found], 4)
        chances = floats([row["probabilities"] for row in found], 10)
        heat = np.zeros((1, 1), np.float32)
        return DigitPredictions(score, chances, boxes, heat, seen.shape[:2])


def run_scales(given: Value) -> Value:
    model: Any = Script(given["answers"])
    page = page_of(given)
    height, width = page.shape[:2]
    reduced = multiscale.reduced_page(page)
    found, _, explained = multiscale.find_digits(page, model, reduced)
    first = multiscale.first_size(reduced, (width, height), found)
    shown = {"shown": model.shown, "found": rows_of(found), "explained": explained}
    return shown | {"first": first}


def run_numbers(given: Value) -> list[list[int]]:
    return reading_order.numbers_of(np.array(given["boxes"], np.float64).reshape(-1, 4))


def run_lines(given: Value) -> list[list[int]]:
    return reading_order.lines_of(np.array(given["boxes"], np.float64).reshape(-1, 4))


def run_pattern(given: Value) -> Any:
    try:
        return [list(place) for place in constraints.Pattern.parse(given["text"]).places]
    except ValueError:
        return None


def functions() -> dict[str, Function]:
    """All functions under test, by name."""
    return {
        "flatten": Function(0, lambda v: packed(image.load_image(unpacked(v))), inputs.flatten),
        "resize": Function(0, run_resize, inputs.resize),
        "reduce": Function(0, run_reduce, inputs.reduce),
        "resize_plane": Function(1e-6, run_resize_plane, inputs.resize_plane),
        "crop_line": Function(1, run_crop_line, inputs.crop_line),
        "text_lines": Function(1e-3, run_text_lines, inputs.text_lines),
        "decode": Function(1e-5, run_decode, inputs.decode),
        "numerals": Function(0, run_numerals, inputs.numerals),
        "space_chances": Function(1e-6, run_space_chances, inputs.space_chances),
        "number_spans": Function(0, run_number_spans, inputs.number_spans),
        "meanings": Function(0, run_meanings, inputs.meanings),
        "values": Function(0, run_values, inputs.values),
        "digit_parts": Function(1e-3, run_digit_parts, inputs.digit_parts),
        "proposals": Function(1e-3, run_proposals, inputs.proposals),
        "places": Function(1e-3, run_places, inputs.places),
        "fusion": Function(1e-4, run_fusion, inputs.fusion),
        "layout": Function(1e-4, run_layout, inputs.layout),
        "components": Function(0, run_components, inputs.components),
        "ink_in": Function(1, lambda v: packed(ink.ink_in(page_of(v), floats(v["box"]))),
                           inputs.ink_in),
        "to_tile": Function(1, lambda v: packed(tiles.to_tile(unpacked(v))), inputs.to_tile),
        "scales": Function(1e-4, run_scales, inputs.scales),
        "lines": Function(0, run_lines, inputs.lines),
        "numbers": Function(0, run_numbers, inputs.numbers),
        "pattern": Function(0, run_pattern, inputs.pattern),
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
