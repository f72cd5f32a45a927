"""The readers that are measured on a picture: digitlens and, in its own process, RapidOCR 3.

A number is compared with its marks, its letters aside: ``numbers`` makes the same of what is there
and of what is read.
"""

import os
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens import DigitReader
from harness import Worker, start_worker

Page = npt.NDArray[np.uint8]
PACKAGES = ("rapidocr==3.10.0", "onnxruntime==1.31.1", "opencv-python-headless==5.0.0.93")
OURS = "digitlens"
MODES = {  # of RapidOCR, as worker.py names them
    "default": "default",
    "line": "recogniser alone",
    "digits": "recogniser alone, ten digits",
}
THREADS = 2
PAUSE = 0.02  # seconds between readers: threads of the one before still spin for a while

NUMBER = re.compile(r"[-+$€£¥]*\d(?:[-.,:;/'+*×÷=]*\d)*[%°]?", re.ASCII)  # noqa: RUF001
ALIKE = str.maketrans("：，．／％＋－−–’", ":,./%+---'")  # noqa: RUF001


def numbers(text: str) -> list[str]:
    """The numbers of a text with their marks; letters are left out first, as if not there."""
    return NUMBER.findall(re.sub(r"[^\W\d_]", "", text.translate(ALIKE)))


def digits_only(text: str) -> str:
    """The digits of a text, line by line; lines without digits are left out."""
    lines = (re.sub(r"[^0-9]", "", line) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Said:
    """What a reader says of a picture.

    Attributes:
        text: With marks, if the reader has any, and spaces between numbers.
        digits: Only the digits, line by line.
        milliseconds: Reading the decoded picture.
        confidences: Of the digits, if the reader states them.
    """

    text: str
    digits: str
    milliseconds: float
    confidences: tuple[float, ...] = ()


FAILED = Said("?", "?", 0.0)  # never right, not even where no digit is


class Readers:
    """digitlens and, if asked for, RapidOCR in its modes, ready to read.

    Attributes:
        names: Of the readers.
        versions: What reads, JSON-ready.
    """

    def __init__(self, stack: ExitStack, options: Any) -> None:
        """Loads ``options.model``; RapidOCR, with ``options.peers``, runs until ``stack`` closes.

        Raises:
            UnavailableError: RapidOCR cannot be installed or started.
        """
        self._reader = DigitReader(options.model, threads=options.threads)
        blank = self._reader.read(np.full((28, 28), 255, np.uint8))
        self.versions = {"model": blank.model, "model_sha256": blank.model_sha256}
        self.names = (OURS, *(MODES if options.peers else ()))
        self._worker: Worker | None = None
        if options.peers:
            self._worker = start_worker(PACKAGES, ("rapidocr", options.threads), options, stack)
            self.versions["peer"] = self._worker.reply()["versions"]
        self.read(np.full((64, 256, 3), 255, np.uint8))  # warms up

    def read(self, page: Page) -> dict[str, Said]:
        """What each reader says of a page, uint8[H, W] or uint8[H, W, 3], by name."""
        said = {OURS: self._ours(page)}
        for mode in self.names[1:]:
            time.sleep(PAUSE)
            said[mode] = _theirs(self._worker, mode, page)
        return said

    def _ours(self, page: Page) -> Said:
        start = time.perf_counter()
        reading = self._reader.read(page)
        milliseconds = 1000 * (time.perf_counter() - start)
        has_marks = hasattr(reading, "digits_only")  # readers of version 0.1 give digits alone
        text = reading.text if has_marks else " ".join(reading.numbers)
        digits = reading.digits_only if has_marks else reading.text
        sure = tuple(digit.confidence for digit in reading.digits)
        return Said(text, digits, milliseconds, sure)


def _theirs(worker: Worker | None, mode: str, page: Page) -> Said:
    assert worker is not None
    reply = worker.ask({"kind": mode, "shape": page.shape}, page.tobytes())
    if "error" in reply:
        return replace(FAILED, milliseconds=reply["milliseconds"])
    return Said(reply["text"], digits_only(reply["text"]), reply["milliseconds"])


def add_options(parser: Any) -> None:
    """The options that ``Readers`` takes."""
    parser.add_argument("--model", default="default", help="shipped name, run or model folder")
    parser.add_argument("--peers", action="store_true", help="RapidOCR reads as well")
    parser.add_argument("--threads", type=int, default=THREADS, help="for each reader")


def best_mode(scores: dict[str, Any], *by: str) -> str | None:
    """The mode of RapidOCR that is best in one measure, then the next; None if it did not read."""
    modes = [mode for mode in MODES if mode in scores]
    return max(modes, key=lambda mode: [scores[mode][key] or 0 for key in by], default=None)


def origin(made: dict[str, Any], versions: dict[str, str]) -> str:
    """A line on where a table comes from: ``provenance`` and what read."""
    where = f"{made['processor'] or made['machine']}, {made['threads']} threads for each reader"
    model = f"model {versions['model']} {versions['model_sha256'][:12]}"
    ours = f"{OURS} {made['versions'][OURS]}, {model}, commit {(made['commit'] or '')[:12]}"
    who = "; ".join([ours, *([versions["peer"]] if "peer" in versions else [])])
    load = f"load {made['load']} before, {os.getloadavg()[0]:.2f} after"
    return f"{made['date']}, {where}, {load}; {who}\n"
