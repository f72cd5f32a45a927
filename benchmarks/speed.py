"""How fast is digitlens? Runs all speed benchmarks one after the other into one record.

    python benchmarks/speed.py [--only NAME ...] [--out FOLDER]

The record has the output of each benchmark (NAME.json, NAME.md), all figures by name in speed.json,
which ``check.py`` compares, and the table of docs/results.md in summary.md. speed.json lists the
benchmarks that failed or gave no figures; the exit code is then 1. With the default folder,
docs/results.md is updated with the new table. The machine should be idle.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import harness
from digitlens import files
from harness import Figure, RecordError, Row

HERE = Path(__file__).parent
RESULTS = harness.ROOT / "docs" / "results.md"
BENCHMARKS = ("training", "classifying", "reading")
PATIENCE = 1800.0  # seconds for one benchmark
COLUMNS = ("measurement | digitlens | relative time", "{0[0]} | {0[1]} | {0[2]}")
SPREAD = "± is the standard deviation of a mean's values, the interquartile range of a median's."
PEERS = {"Keras `predict`": "keras", "PyTorch": "torch", "scikit-learn's SVC": "svc"}
EXAMPLES = {"PyTorch's example": "pytorch", "Keras's": "keras"}
# Rows of the table: title, figure, and peers to compare with.
SUMMARY: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("training, recipe `fast`", "training.seconds", EXAMPLES),
    ("its accuracy on the test set", "training.accuracy", {}),
    *(
        (f"classifier `{model}`, {what}", f"classifying.{model}.{key}", PEERS)
        for model in ("swift", "default")
        for what, key in (("one tile", "one_tile"), ("10,000 tiles", "many_tiles"))
    ),
    ("`digitlens read one.png`, from start to end", "cold_start.seconds", {}),
    ("photo of 12 megapixels", "reading.note_12mp", {}),
    ("folder of 1,000 pictures", "reading.folder.pictures_per_second", {}),
)


def main() -> int:
    cli = harness.parser(__doc__)
    cli.add_argument("--only", nargs="+", choices=BENCHMARKS, help="run only these")
    options = cli.parse_args()
    facts = harness.provenance() | {"threads": os.cpu_count()}
    folder = options.out or harness.RECORDS / f"{facts['date']}_speed"
    facts, figures = run_all(options.only or BENCHMARKS, folder, facts)
    files.write_json(folder / harness.RECORD, {**facts, "figures": harness.by_name(figures)})
    text = summary(facts, figures)
    files.write_bytes(folder / "summary.md", text.encode())
    print(f"\n{text}\nwritten to {folder}")
    if not options.out and not options.only:
        harness.update_page(RESULTS, f"{folder.name}/summary.md", text)
    return int(bool(facts["failed"]))


def run_all(names: Sequence[str], folder: Path, facts: Row) -> tuple[Row, list[Figure]]:
    """Runs the benchmarks; returns facts about the run, and the figures of those that passed."""
    durations: dict[str, float] = {}
    failed: dict[str, str] = {}
    figures: list[Figure] = []
    for name in names:
        print(f"\n== {name}, since {time.strftime('%H:%M:%S', time.gmtime())}", flush=True)
        start, record = time.perf_counter(), folder / f"{name}.json"
        # Otherwise a failing benchmark would report the results of an earlier run.
        record.unlink(missing_ok=True)
        script = [str(HERE / f"{name}.py"), "--out", str(folder)]
        try:
            subprocess.run([sys.executable, *script], check=True, timeout=PATIENCE)
            figures += harness.load_record(record)[1].values()
        except (OSError, subprocess.SubprocessError, RecordError) as reason:
            failed[name] = str(reason)
        durations[name] = round(time.perf_counter() - start, 1)
        print(f"== {name}: {failed.get(name, 'done')}, {durations[name]:.0f} s", flush=True)
    return {**facts, "seconds": durations, "failed": failed}, figures


def summary(facts: Row, figures: Sequence[Figure]) -> str:
    """The table of docs/results.md; missing figures are shown as "not measured"."""
    named = {figure.name: figure for figure in figures}
    rows: list[tuple[str, str, str]] = []
    for what, name, peers in SUMMARY:
        base = name.removesuffix(".seconds")
        ratios = {who: named.get(f"{base}.{peer}.ratio") for who, peer in peers.items()}
        comparisons = [f"{who} {number(ratio.value)}" for who, ratio in ratios.items() if ratio]
        ours = measured(named[name]) if name in named else "not measured"
        rows.append((what, ours, ", ".join(comparisons)))
    table = harness.table(COLUMNS, rows)
    return f"Speed on {harness.machine(facts, 'threads')}.\n\n{table}\n{SPREAD}\n"


def measured(figure: Figure) -> str:
    texts = [
        f"{end:.2f}" if figure.unit == "%" else number(end, digits)
        for end, digits in ((figure.value, 3), (figure.spread, 2))
        if end is not None
    ]
    return f"{' ± '.join(texts)} {figure.unit}"


def number(value: float, digits: int = 3) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


if __name__ == "__main__":
    sys.exit(main())
