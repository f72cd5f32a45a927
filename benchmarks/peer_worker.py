"""Reads pictures that come through a pipe with one reader of digits and times it, reading alone.

    python peer_worker.py NAME THREADS

Runs in the environment of that reader, so it may use NumPy and that reader, and not digitlens.
First it writes a line of JSON with the versions that read. Then, for each picture, it is given a
line of JSON with ``kind`` and ``shape`` and the pixels, uint8, gray or RGB; it answers with a line
of JSON with ``text`` and ``milliseconds``, or ``error``. Loading the reader, decoding the picture
and bringing it into the form that the reader takes are not in the time.
"""

import ctypes
import ctypes.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

Page = npt.NDArray[np.uint8]


class Peer(NamedTuple):
    """``read`` takes what ``prepare`` makes of a page, and the kind of the picture."""

    versions: str
    prepare: Callable[[Page], Any]
    read: Callable[[Any, str], str]


def main() -> None:
    stdin, stdout = sys.stdin.buffer, _own_stdout()
    peer = PEERS[sys.argv[1]](int(sys.argv[2]))
    _write(stdout, {"versions": peer.versions})
    for kind, page in _pages(stdin):
        _write(stdout, _answer(peer, kind, page))


def digitlens(threads: int) -> Peer:
    from digitlens import DigitReader, __version__  # noqa: PLC0415  (not there for the peers)

    reader = DigitReader(threads=threads)
    blank = reader.read(np.full((28, 28), 255, np.uint8))
    model = f"model {blank.model} {blank.model_sha256[:12]}"
    return Peer(
        f"digitlens {__version__}, {model}", _as_it_is, lambda page, _: reader.read(page).text
    )


def tesseract(_threads: int) -> Peer:
    """The library of the system through its C interface; threads are set by OMP_THREAD_LIMIT."""
    library = _tesseract_library()
    handle = library.TessBaseAPICreate()
    if library.TessBaseAPIInit3(handle, None, b"eng"):
        raise RuntimeError("the English model of Tesseract is missing")
    for name, value in TESSERACT.items():
        library.TessBaseAPISetVariable(handle, name, value)

    def read(page: Page, kind: str) -> str:
        height, width, depth = (*page.shape, 1)[:3]
        library.TessBaseAPISetPageSegMode(handle, SEGMENTATION[kind])
        library.TessBaseAPISetImage(handle, page.ctypes.data, width, height, depth, depth * width)
        pointer = library.TessBaseAPIGetUTF8Text(handle)
        text = ctypes.string_at(pointer).decode() if pointer else ""
        library.TessDeleteText(pointer)
        return text

    versions = f"Tesseract {library.TessVersion().decode()}, eng, digits only"
    return Peer(versions, np.ascontiguousarray, read)


TESSERACT = {b"tessedit_char_whitelist": b"0123456789", b"debug_file": os.devnull.encode()}
# A single character, a line, a block of lines.
SEGMENTATION = {"single": 10, "check": 7, "multi": 6, "reject": 6}


def _tesseract_library() -> Any:
    name = ctypes.util.find_library("tesseract")
    if name is None:
        raise RuntimeError("Tesseract is not installed (Debian package tesseract-ocr)")
    library = ctypes.CDLL(name)
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for function, result, arguments in (
        ("Version", text, []),
        ("BaseAPICreate", pointer, []),
        ("BaseAPIInit3", number, [pointer, text, text]),
        ("BaseAPISetVariable", number, [pointer, text, text]),
        ("BaseAPISetPageSegMode", None, [pointer, number]),
        ("BaseAPISetImage", None, [pointer, pointer, number, number, number, number]),
        ("BaseAPIGetUTF8Text", pointer, [pointer]),
        ("DeleteText", None, [pointer]),
    ):
        entry = getattr(library, f"Tess{function}")
        entry.restype, entry.argtypes = result, arguments
    return library


def rapidocr(threads: int) -> Peer:
    """PP-OCRv4 as it comes: finds the text of a picture, then reads it."""
    engine, versions = _rapidocr(threads)

    def read(page: Page, _kind: str) -> str:
        found, _ = engine(page)
        return "\n".join(boxes_to_lines([(box, text) for box, text, _ in found or []]))

    return Peer(versions, _to_bgr, read)


def rapidocr_line(threads: int) -> Peer:
    """The same without its search: it is told that the whole picture is one line of text."""
    engine, versions = _rapidocr(threads)

    def read(page: Page, _kind: str) -> str:
        found, _ = engine(page, use_det=False, use_cls=False, use_rec=True)
        return "".join(text for text, _ in found or [])

    return Peer(versions, _to_bgr, read)


def _rapidocr(threads: int) -> tuple[Any, str]:
    import cv2  # noqa: PLC0415
    from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415

    cv2.setNumThreads(threads)
    packages = ("rapidocr-onnxruntime", "onnxruntime")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return RapidOCR(intra_op_num_threads=threads, inter_op_num_threads=1), versions


def boxes_to_lines(found: Iterable[tuple[Any, str]], between: str = "") -> list[str]:
    """Joins texts whose boxes, four corners each and top first, stand on one line."""
    lines: list[tuple[float, list[tuple[float, str]]]] = []
    for corners, text in found:
        xs, ys = zip(*corners, strict=True)
        if not lines or (min(ys) + max(ys)) / 2 > lines[-1][0]:
            lines.append((max(ys), []))
        lines[-1][1].append((min(xs), text))
    return [between.join(text for _, text in sorted(line)) for _, line in lines]


def digit_recognizer(threads: int) -> Peer:
    import torch  # noqa: PLC0415
    from digit_recognizer import DigitRecognizer  # noqa: PLC0415

    torch.set_num_threads(threads)
    reader = DigitRecognizer(device="cpu")
    versions = f"digit-recognizer-py {version('digit-recognizer-py')}, torch {torch.__version__}"
    return Peer(versions, _as_it_is, lambda page, _: str(int(reader.predict(page))))


PEERS: dict[str, Callable[[int], Peer]] = {
    "digitlens": digitlens,
    "tesseract": tesseract,
    "rapidocr": rapidocr,
    "rapidocr-line": rapidocr_line,
    "digit-recognizer": digit_recognizer,
}


def _as_it_is(page: Page) -> Page:
    return page


def _to_bgr(page: Page) -> Page:
    """As OpenCV, and what is built on it, takes pictures in colour."""
    return page if page.ndim == 2 else np.ascontiguousarray(page[:, :, ::-1])


def _own_stdout() -> BinaryIO:
    """Standard output for the answers alone: what libraries print there goes to standard error."""
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return kept


def _pages(stream: BinaryIO) -> Iterator[tuple[str, Page]]:
    while line := stream.readline():
        header = json.loads(line)
        shape = header["shape"]
        content = bytearray(stream.read(int(np.prod(shape))))
        yield header["kind"], np.frombuffer(content, np.uint8).reshape(shape)


def _answer(peer: Peer, kind: str, page: Page) -> dict[str, Any]:
    prepared = peer.prepare(page)
    start = time.perf_counter()
    try:
        answer = {"text": peer.read(prepared, kind)}
    except Exception as error:  # whatever a peer raises on a picture is its answer to it
        answer = {"error": f"{type(error).__name__}: {error}"}
    return {**answer, "milliseconds": 1000 * (time.perf_counter() - start)}


def _write(stream: BinaryIO, value: dict[str, Any]) -> None:
    stream.write(json.dumps(value).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    main()
