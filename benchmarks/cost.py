"""What does each stage cost, what would the machine allow, and how close is it?

    python benchmarks/cost.py [--threads N] [--tiles N] [--docs] [--out FOLDER]

Counts FLOPs, bytes and calls of a step of training (recipes ``fast`` and ``standard``), of
classifying, of the networks that read pages and of a cold start while they run, measures how long
they take and what the machine can do at most; ``--docs`` puts the tables into ``docs/cost.md``,
which explains them. The machine should have nothing else to do; half a minute.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

import harness
from cost_reading import reading_stages
from cost_training import TILES, training_stages
from digitlens import files
from digitlens.models.session import cores
from digitlens.progress import note
from digitlens.training.loop import choose_device
from harness import Figure, Row
from roofline import ARITHMETIC, CALLS, MEMORY, Machine, Stage, measure_machine, measured_again

DOCS = harness.ROOT / "docs" / "cost.md"
BLOCK = re.compile(r"(<!-- cost: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
STAGES = (
    "stage | FLOPs | bytes | calls | threads | arithmetic | memory | calls, each | measured"
    " | share of the limit | bound by",
    " | ".join(f"{{0[{cell}]}}" for cell in range(11)),
)
MACHINE = ("what | measured", "{0[0]} | {0[1]}")
WHAT = {
    "torch": "an operator of PyTorch on one number",
    "node": "an operator of a graph in onnxruntime on one number",
    "run": "a run of a graph, beside its operators",
    "import": "importing an empty module",
}
Groups = Mapping[str, Sequence[Stage]]


def main() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the limits are those of the processor
    made = harness.parser(__doc__)
    made.add_argument("--threads", type=int, default=cores(), help="of training")
    made.add_argument("--tiles", type=int, help="to train with, instead of some thousand")
    made.add_argument("--docs", action="store_true", help="write the tables of docs/cost.md")
    options = made.parse_args()
    about = harness.provenance() | {"threads": options.threads}
    note("cost: what the machine can do")
    machine = measure_machine({1, cores(), options.threads}, choose_device().dtype)
    groups: dict[str, Sequence[Stage]] = {}
    for name in TILES:
        note(f"cost: a step of {name}")
        groups[name] = training_stages(name, options.threads, options.tiles)
    note("cost: classifying and reading")
    groups["reading"] = reading_stages()
    machine = measured_again(machine, choose_device().dtype)
    blocks = tables(about, machine, groups)
    if options.docs:
        files.write_bytes(DOCS, filled(DOCS.read_text(encoding="utf-8"), blocks).encode())
    rows = [as_row(stage, machine) for stages in groups.values() for stage in stages]
    about |= {"machine_limits": dict(vars(machine)), "stages": rows}
    harness.publish(options.out, "cost", about, "\n".join(blocks.values()), figures(about))


def tables(about: Row, machine: Machine, groups: Groups) -> dict[str, str]:
    """In Markdown: where it was measured, the machine, and a table for each group of stages."""
    limits = [
        *(
            (f"matrix product, {_threads(threads)}", f"{scaled(peak)}FLOP/s")
            for threads, peak in machine.peaks.items()
        ),
        *(
            (f"copying {size / 2**20:g} MiB, {_threads(threads)}", f"{scaled(speed)}B/s")
            for threads, found in machine.bandwidths.items()
            for size, speed in found.items()
        ),
        *((WHAT[what], duration(each)) for what, each in machine.calls.items()),
    ]
    where = f"Measured on {harness.place(about)}, commit {about['commit'][:12]}.\n"
    return {"head": where, "machine": harness.table(MACHINE, limits)} | {
        name: harness.table(STAGES, [_cells(as_row(stage, machine)) for stage in stages])
        for name, stages in groups.items()
    }


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each ``<!-- cost: NAME -->`` followed by its block."""
    return BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]}{found[3]}", page)


def as_row(stage: Stage, machine: Machine) -> Row:
    """JSON-ready."""
    work, (bound, limit) = stage.work, stage.limit(machine)
    return {
        "key": stage.key,
        "name": stage.name,
        "flops": work.flops,
        "bytes": work.bytes,
        "calls": work.calls,
        "threads": stage.threads,
        "limits": machine.limits(work, stage.threads, stage.what),
        "limit": limit,
        "bound": bound if limit else "",
        "seconds": stage.median,
        "n": len(stage.seconds),
        "shares": [100 * limit / each for each in stage.seconds if limit and each],
    }


def _cells(row: Row) -> list[str]:
    calls, limits = row["calls"], row["limits"]
    share = row["limit"] and row["seconds"] and row["limit"] / row["seconds"]
    return [
        row["name"],
        *(scaled(row[key]).strip() if row[key] else "" for key in ("flops", "bytes")),
        f"{calls:,.0f}" if calls >= 10 else f"{calls:.2g}" if calls else "",
        row["threads"],
        *(duration(limits[name]) if limits[name] else "" for name in (ARITHMETIC, MEMORY, CALLS)),
        duration(row["seconds"]),
        f"{100 * share:.1f} %" if share else "",
        row["bound"],
    ]


def figures(record: Row) -> Iterator[Figure]:
    """The share of its limit for each stage that has one."""
    for row in record["stages"]:
        if row["shares"]:
            name = f"cost.{row['key']}.share_of_limit"
            yield Figure.median(name, row["shares"], "%", "higher")


def scaled(value: float) -> str:
    return _with_unit(value, ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")))


def duration(seconds: float) -> str:
    return _with_unit(seconds, ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")))


def _with_unit(value: float, units: Sequence[tuple[float, str]]) -> str:
    size, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    value /= size
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


if __name__ == "__main__":
    main()
