"""How do digitlens and other readers of digits compare, on the same pictures in the same run?

    python benchmarks/peers.py FOLDER [--out FOLDER] [--only NAME ...] [--kinds KIND ...]
                               [--limit N]

FOLDER and what is counted are those of ``realworld.py``. Picture by picture every reader reads in
turn, each in a process of its own (``peer_worker.py``) with two threads, in an environment of its
own below ``build/`` that the first run installs (digit-recognizer-py brings torch: 5 GB). Whoever
cannot be installed, started or asked to the end is listed with the reason.

- ms: median and 90th percentile of reading one picture that is decoded already, in a process that
  runs and is warm; nobody's start, decoding or transfer is in it.
- Of what a reader says only digits are kept.
- Readers differ in what they are told. tesseract: to read digits only, and for each kind whether
  it sees one character, a line or a block. rapidocr-line: that the whole picture is one line of
  text; rapidocr looks for the text itself. digitlens: nothing. digit-recognizer always answers
  with one digit, so it is asked for one only.
"""

import argparse
import csv
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digitlens import files
from digitlens.imaging.image import load_image
from digitlens.progress import work_bar
from peer_process import Reader, UnavailableError, Worker, environment
from provenance import provenance
from realworld import NAMES, Result, digits_only, groups, summary

Page = npt.NDArray[np.uint8]
Row = dict[str, str]
KINDS = tuple(NAMES)
RAPIDOCR = ("rapidocr-onnxruntime==1.4.4",)
READERS = (
    Reader("digitlens", KINDS),
    Reader("tesseract", KINDS),
    Reader("rapidocr", KINDS, RAPIDOCR),
    Reader("rapidocr-line", KINDS, RAPIDOCR),
    Reader("digit-recognizer", ("single", "reject"), ("digit-recognizer-py==0.1.0",)),
)
ENVIRONMENTS = Path(__file__).parents[1] / "build" / "peers-venv"
THREADS = 2
WARM_UPS = 3
PAUSE = 0.05  # seconds before each reading: threads of the reader before still spin for a while
DRAWN = {"single": "7", "multi": "2048\n1357", "check": "2048"}  # to warm up and see that it reads


@dataclass(frozen=True)
class Answer(Result):
    reader: str
    error: str = ""

    @property
    def exact(self) -> bool:
        return not self.error and super().exact


def main() -> None:
    options = _options()
    rows = chosen_rows(options.folder, options.kinds, options.limit)
    made = provenance() | {"threads": options.threads}
    readers = [reader for reader in READERS if reader.name in options.only]
    with ExitStack() as stack:
        workers, missing = start_all(readers, options, stack)
        about = {w.reader.name: {"versions": w.versions, "drawn": w.drawn} for w in workers}
        answers = list(ask_all(options.folder, rows, workers, missing))
    text = f"{title(made)}\n{table(answers)}\n{notes(about, answers, missing)}"
    print(text, end="")
    if options.out:
        result = made | {"missing": missing} | record(about, answers)
        files.write_json(options.out / "peers.json", result)
        files.write_bytes(options.out / "peers.md", text.encode())


def _options() -> argparse.Namespace:
    names = [reader.name for reader in READERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with labels.csv")
    parser.add_argument("--out", type=Path, help="folder for peers.json and peers.md")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND")
    parser.add_argument("--limit", type=int, help="at most so many pictures of a kind")
    parser.add_argument("--threads", type=int, default=THREADS, help="for each reader")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="of the peers")
    return parser.parse_args()


def chosen_rows(folder: Path, kinds: Iterable[str], limit: int | None) -> list[Row]:
    """Rows of ``labels.csv``, kind by kind; with a limit, spread over all of a kind."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    of_kinds = [[row for row in rows if row["kind"] == kind] for kind in kinds]
    return [row for of_kind in of_kinds for row in _spread(of_kind, limit)]


def _spread(rows: list[Row], limit: int | None) -> list[Row]:
    n = len(rows) if limit is None else min(limit, len(rows))
    return [rows[i * len(rows) // n] for i in range(n)]


def start_all(
    readers: Iterable[Reader], options: argparse.Namespace, stack: ExitStack
) -> tuple[list[Worker], dict[str, str]]:
    """The readers that run, and by name why the others do not."""
    workers: list[Worker] = []
    missing: dict[str, str] = {}
    for reader in readers:
        try:
            python = environment(reader.packages, options.environments)
            worker = Worker(reader, python, options.threads, stack)
            worker.drawn = warm_up(worker)
        except UnavailableError as reason:
            missing[reader.name] = str(reason)
        else:
            workers.append(worker)
    return workers, missing


def warm_up(worker: Worker) -> dict[str, str]:
    """Has it read drawn numbers several times; what it says of each in the end, by kind."""
    kinds = [kind for kind in DRAWN if kind in worker.reader.kinds]
    replies = {kind: worker.ask(kind, draw(DRAWN[kind])) for kind in kinds * WARM_UPS}
    return {
        kind: reply.get("error") or digits_only(reply["text"]) for kind, reply in replies.items()
    }


def draw(text: str) -> Page:
    """Dark type on light gray paper, one line of the picture for each of the text."""
    lines = text.splitlines()
    size = 60 * max(map(len, lines)) + 60, 120 * len(lines)
    picture = Image.new("RGB", size, (232, 230, 225))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(90)
    for i, line in enumerate(lines):
        pen.text((40, 120 * i + 10), line, fill=(40, 40, 60), font=font)
    return np.asarray(picture)


def ask_all(
    folder: Path, rows: list[Row], workers: list[Worker], missing: dict[str, str]
) -> Iterator[Answer]:
    """Answers picture by picture, each time another reader first; who stops becomes missing."""
    with work_bar() as bar:
        for i, row in enumerate(bar.track(rows, description="reading")):
            page = load_image(folder / row["file"])
            turn = i % max(1, len(workers))
            for worker in workers[turn:] + workers[:turn]:
                name, asked = worker.reader.name, row["kind"] in worker.reader.kinds
                if not asked or name in missing:
                    continue
                time.sleep(PAUSE)
                try:
                    yield _answer(row, name, worker.ask(row["kind"], page))
                except UnavailableError as reason:
                    missing[name] = f"stopped at {row['file']}: {reason}"


def _answer(row: Row, reader: str, reply: dict[str, Any]) -> Answer:
    label, text = digits_only(row["label"]), digits_only(reply.get("text", ""))
    file, kind, source = row["file"], row["kind"], row["source"]
    error = reply.get("error", "")
    return Answer(file, kind, source, label, text, reply["milliseconds"], reader, error)


def scores(answers: list[Answer]) -> dict[str, Any]:
    """Those of ``realworld.py``, the 90th percentile of the time, and pictures with an error."""
    times = [answer.milliseconds for answer in answers]
    return {
        **summary(answers),
        "milliseconds_90": float(np.percentile(times, 90)),
        "errors": sum(bool(answer.error) for answer in answers),
    }


def title(made: dict[str, Any]) -> str:
    where = f"{made['processor'] or made['machine']}, {made['threads']} threads for each"
    return f"Readers of digits on {made['date']}, {where}, load before {made['load']}.\n"


def table(answers: list[Answer]) -> str:
    lines = [
        "| real pictures | reader | n | exact | 95 % interval | digits right | ms | ms, 90 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, of_kind in groups(answers, "kind").items():
        by_reader = groups(of_kind, "reader")
        for name in sorted(by_reader, key=_place):
            lines.append(f"| {NAMES[kind]} | {name} | {_cells(scores(by_reader[name]))} |")
    return "\n".join(lines) + "\n"


def _place(name: str) -> int:
    return [reader.name for reader in READERS].index(name)


def _cells(row: dict[str, Any]) -> str:
    low, high = (f"{100 * end:.1f}" for end in row["interval"])
    digits = "" if row["digits"] is None else f"{100 * row['digits']:.1f} %"
    times = f"{row['milliseconds']:.0f} | {row['milliseconds_90']:.0f}"
    return f"{row['n']} | {100 * row['exact']:.1f} % | {low} to {high} | {digits} | {times}"


def notes(about: dict[str, Any], answers: list[Answer], missing: dict[str, str]) -> str:
    """A line for each reader: its versions, whether it reads drawn numbers, errors, the reason."""
    lines: list[str] = []
    for name, facts in about.items():
        errors = sum(bool(a.error) for a in answers if a.reader == name)
        wrong = [kind for kind, said in facts["drawn"].items() if said != DRAWN[kind]]
        drawn = f"drawn numbers read wrong: {', '.join(wrong)}" if wrong else "drawn numbers right"
        failed = f"; {errors} pictures ended in an error" if errors else ""
        lines.append(f"- {name}: {facts['versions']}; {drawn}{failed}")
    lines += [f"- {name}: not available, {reason}" for name, reason in missing.items()]
    return "\n".join(lines) + "\n"


def record(about: dict[str, Any], answers: list[Answer]) -> dict[str, Any]:
    """JSON-ready: each reader with its scores by kind, and each picture with all answers."""
    readers = {
        name: facts
        | {"kinds": {kind: scores(rows) for kind, rows in groups(of_reader, "kind").items()}}
        for name, facts in about.items()
        for of_reader in [groups(answers, "reader").get(name, [])]
    }
    pictures = [
        {"file": file, "kind": rows[0].kind, "label": rows[0].label, "answers": _said(rows)}
        for file, rows in groups(answers, "file").items()
    ]
    return {"readers": readers, "pictures": pictures}


def _said(answers: list[Answer]) -> dict[str, dict[str, Any]]:
    return {
        answer.reader: {"text": answer.text, "milliseconds": round(answer.milliseconds, 2)}
        | ({"error": answer.error} if answer.error else {})
        for answer in answers
    }


if __name__ == "__main__":
    main()
