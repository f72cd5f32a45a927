"""RapidOCR 3 (PP-OCRv6 small) in three modes, for ``readers.py``; how it is asked: ``peer_worker``.

    python rapid_worker.py rapidocr THREADS

The kind of a picture is the mode. ``default`` finds lines, turns and reads them, as RapidOCR comes.
``line`` has its recogniser read the whole picture as one line; ``digits`` is the same, decoded over
the blank and the ten digits only.
"""

from importlib.metadata import version

import numpy as np
import numpy.typing as npt

import peer_worker

PACKAGES = ("rapidocr", "onnxruntime", "opencv-python-headless")
DIGITS = "0123456789"


def rapidocr(threads: int) -> peer_worker.Peer:
    import cv2  # noqa: PLC0415  (not there for the tests)
    from rapidocr import RapidOCR  # noqa: PLC0415

    cv2.setNumThreads(threads)
    runtime = "EngineConfig.onnxruntime."
    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            f"{runtime}intra_op_num_threads": threads,
            f"{runtime}inter_op_num_threads": 1,
        }
    )
    recognizer = engine._load_rec_model()

    def read(page: peer_worker.Page, mode: str) -> str:
        if mode == "default":
            found = engine(page)
            boxes = () if found.boxes is None else found.boxes.tolist()
            pairs = sorted(zip(boxes, found.txts or (), strict=True), key=_top)
            return "\n".join(peer_worker.boxes_to_lines(pairs, " "))
        ratio = max(320 / 48, page.shape[1] / page.shape[0])  # as RapidOCR pads
        posteriors = recognizer.session(recognizer.resize_norm_img(page, ratio)[None])[0]
        return decode(posteriors, recognizer.postprocess_op.character, mode == "digits")

    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return peer_worker.Peer(versions, to_bgr, read)


def _top(found: tuple[list[list[float]], str]) -> float:
    return min(y for _, y in found[0])


def decode(posteriors: npt.NDArray[np.float32], characters: list[str], digits: bool) -> str:
    """Greedy CTC decoding.

    Args:
        posteriors: float32[T, C], class 0 is the blank.
        characters: Of each class.
        digits: Whether only the blank and the ten digits are there to choose from.
    """
    kept = [0, *map(characters.index, DIGITS)] if digits else list(range(len(characters)))
    best = posteriors[:, kept].argmax(axis=1)
    changes = np.flatnonzero(np.diff(best, prepend=0))
    return "".join(characters[kept[i]] for i in best[changes] if i)


def to_bgr(page: peer_worker.Page) -> peer_worker.Page:
    """uint8[H, W, 3] as OpenCV has colours."""
    colour = np.stack([page] * 3, axis=-1) if page.ndim == 2 else page[:, :, ::-1]
    return np.ascontiguousarray(colour)


if __name__ == "__main__":
    peer_worker.PEERS["rapidocr"] = rapidocr
    peer_worker.main()
