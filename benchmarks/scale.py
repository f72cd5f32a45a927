"""How many pictures does a core read in an hour, and is it slowed by those beside it?

    python benchmarks/scale.py [--count N] [--rounds N] [--out FOLDER]

Drawings of 280 x 280, and a tenth as many photos of 12 megapixels, are read by ``digitlens read``
on one core, and by ``digitlens batch`` with one process and with one a core, in turns. It is the
processor time of the fastest round that counts, without that of reading a single one.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import drawn
import harness
from digitlens.models.session import cores
from reading import cost, drawing, photo

TABLE = (
    "pictures | command | ms each | per core-hour | throughput | core-hours for 10^9",
    "{kind} | {job} | {ms:.1f} | {hourly:,.0f} | {share:.0%} | {billion:,.0f}",
)


def main() -> None:
    made = harness.parser(__doc__)
    made.add_argument("--count", type=int, default=2000, help="drawings")
    made.add_argument("--rounds", type=int, default=3)
    options, rows, alone = made.parse_args(), list[harness.Row](), 0.0
    for kind, count in {"drawings": options.count, "photos": options.count // 10}.items():
        with tempfile.TemporaryDirectory() as place:
            for k in range(count):
                page = drawing(str(k % 10)) if kind == "drawings" else photo(4000, 3000)
                Path(place, f"{k}.jpg").write_bytes(drawn.encoded(page, quality=90))
            jobs = {"read": partial(run, place, "read", number=1)}
            for n in map(str, {1, cores()}):
                jobs[f"batch --workers {n}"] = partial(run, place, "batch", "--workers", n)
            took = harness.take_turns(jobs, options.rounds)
            for path in Path(place).glob("[1-9]*.jpg"):
                path.unlink()
            starts = harness.take_turns(jobs, options.rounds)
            for job, seconds in took.items():
                ms = 1000 * (min(seconds) - min(starts[job])) / (count - 1)
                alone = ms if job == "read" else alone
                more = {"share": alone / ms, "hourly": 3.6e6 / ms, "billion": ms / 3.6e-3}
                rows.append({"kind": kind, "job": job, "ms": ms, **more})
    record = harness.provenance() | {"count": options.count, "rows": rows}
    text = harness.document(f"Measured on {harness.place(record)}.", harness.table(TABLE, rows))
    harness.publish(options.out, "scale", record, text)


def run(place: str, command: str, *options: str, number: int = 0) -> float:
    """Seconds of processor time of a command on so many cores, or all."""
    out = ("--out", tempfile.mkdtemp(dir=place)) if command == "batch" else ()
    told = cost([sys.executable, "-m", "digitlens", command, place, *options, *out], number)
    return told["cpu"] / 1000 if not told["failed"] else sys.exit(f"{command}: {told}")


if __name__ == "__main__":
    main()
