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
from collections.abc import Mapping, Sequence

from cost_reading import reading_stages
from cost_training import TILES, training_stages
from digitlens import files
from digitlens.models.session import cores
from digitlens.progress import note
from digitlens.training.device import choose_device
from harness import ROOT, Figure, Row, parser, place, provenance, publish, table
from roofline import ARITHMETIC, CALLS, MEMORY, Machine, Stage, measure_machine, measured_again

DOCS = ROOT / "docs" / "cost.md"
BLOCK = re.compile(r"(<!-- cost: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = ("stage", "FLOPs", "bytes", "calls", "threads", "arithmetic", "memory", "calls, each")
HEAD += ("measured", "share of the limit", "bound by")
WHAT = {
    "torch": "an operator of PyTorch on one number",
    "node": "an operator of a graph in onnxruntime on one number",
    "run": "a run of a graph, beside its operators",
    "import": "importing an empty module",
}


def main() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the limits are those of the processor
    made = parser(__doc__)
    made.add_argument("--threads", type=int, default=cores(), help="of training")
    made.add_argument("--tiles", type=int, help="to train with, instead of some thousand")
    made.add_argument("--docs", action="store_true", help="write the tables of docs/cost.md")
    options = made.parse_args()
    about = provenance() | {"threads": options.threads}
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
    about |= {"machine_limits": dict(vars(machine)), "stages": as_rows(machine, groups)}
    publish(options.out, "cost", about, "\n".join(blocks.values()), figures(machine, groups))


def tables(about: Row, machine: Machine, groups: Mapping[str, Sequence[Stage]]) -> dict[str, str]:
    """In Markdown: where it was measured, the machine, and a table for each group of stages."""
    head = f"Measured on {place(about)}, commit {about['commit'][:12]}.\n"
    return {"head": head, "machine": machine_table(machine)} | {
        name: table(HEAD, [_row(stage, machine) for stage in stages])
        for name, stages in groups.items()
    }


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each ``<!-- cost: NAME -->`` followed by its block."""
    return BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]}{found[3]}", page)


def machine_table(machine: Machine) -> str:
    rows = [
        (f"matrix product, {_threads(threads)}", f"{scaled(peak)}FLOP/s")
        for threads, peak in machine.peaks.items()
    ]
    rows += [
        (f"copying {size / 2**20:g} MiB, {_threads(threads)}", f"{scaled(speed)}B/s")
        for threads, found in machine.bandwidths.items()
        for size, speed in found.items()
    ]
    rows += [(WHAT[what], duration(each)) for what, each in machine.calls.items()]
    return table(["what", "measured"], rows)


def _row(stage: Stage, machine: Machine) -> list[str]:
    work = stage.work
    limits = machine.limits(work, stage.threads, stage.what)
    bound, limit = stage.limit(machine)
    return [
        stage.name,
        *(scaled(each).strip() if each else "" for each in (work.flops, work.bytes)),
        f"{work.calls:,.0f}" if work.calls >= 10 else f"{work.calls:.2g}" if work.calls else "",
        str(stage.threads),
        *(duration(limits[name]) if limits[name] else "" for name in (ARITHMETIC, MEMORY, CALLS)),
        duration(stage.median),
        f"{100 * limit / stage.median:.1f} %" if limit and stage.median else "",
        bound if limit else "",
    ]


def figures(machine: Machine, groups: Mapping[str, Sequence[Stage]]) -> list[Figure]:
    """The share of its limit for each stage that has one."""
    found: list[Figure] = []
    for stage in (stage for stages in groups.values() for stage in stages):
        _, limit = stage.limit(machine)
        shares = [100 * limit / seconds for seconds in stage.seconds if seconds]
        if limit and shares:
            found.append(Figure.median(f"cost.{stage.key}.share_of_limit", shares, "%", "higher"))
    return found


def as_rows(machine: Machine, groups: Mapping[str, Sequence[Stage]]) -> list[Row]:
    return [
        {
            "key": stage.key,
            "name": stage.name,
            "flops": stage.work.flops,
            "bytes": stage.work.bytes,
            "calls": stage.work.calls,
            "threads": stage.threads,
            "limits": machine.limits(stage.work, stage.threads, stage.what),
            "limit": stage.limit(machine)[1],
            "bound": stage.limit(machine)[0],
            "seconds": stage.median,
            "n": len(stage.seconds),
        }
        for stages in groups.values()
        for stage in stages
    ]


def scaled(value: float) -> str:
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{_three(value / size)} {prefix}"
    return f"{_three(value)} "


def duration(seconds: float) -> str:
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{_three(seconds / size)} {unit}"
    return f"{_three(seconds / 1e-9)} ns"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


if __name__ == "__main__":
    main()
