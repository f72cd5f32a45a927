"""How many seconds of training does an accuracy of 99.0, 99.5 and 99.7 % take?

    python benchmarks/time_to_target.py [--seeds 30 10 5] [--no-peers] [--device cpu|auto]
                                        [--threads N] [--out FOLDER]

Each target has a recipe whose mean test accuracy should reach it, trained from several seeds with
the data in memory; ``training.py`` explains the timing. A recipe's schedule is made for its end, so
the time is that of the whole training; a target is reached if the mean over all seeds reaches it.
For 99.0 % the examples of PyTorch and Keras are trained in the same run.
"""

import harness
import training
from harness import OURS, Row

TARGETS = ((0.99, "fast"), (0.995, "standard"), (0.997, "best"))
SEEDS = (30, 10, 5)
COLUMNS = (
    "target | network | seeds | seconds | test accuracy | reached",
    "{aim:.1%} | {title} | {seeds} | {seconds:.1f} | {test_accuracy:.3%} | {reached}",
)


def main() -> None:
    cli = training.parser(__doc__)
    cli.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="per target; 0 for none")
    options = cli.parse_args()
    record = harness.provenance() | {"threads": options.threads, "targets": [], "missing": {}}
    for (aim, recipe), seeds in zip(TARGETS, options.seeds, strict=False):
        if seeds:
            record["targets"].append(training.measure(options, aim, recipe, seeds))
            record["missing"] |= record["targets"][-1]["missing"]
    harness.publish(options.out, "time_to_target", record, report(record))


def report(record: Row) -> str:
    rows = [
        row | {"aim": aim, "reached": row["test_accuracy"]["mean"] >= aim}
        for target, aim in ((each, each["aim"]) for each in record["targets"])
        for row in training.titled(target)
    ]
    ours = [row for row in rows if row["title"].startswith(OURS)]
    notes = [harness.show(training.NOTE, row) for row in ours[:1]]
    head = f"Time to accuracy on {harness.machine(record, 'threads')}."
    table = harness.table(COLUMNS, rows)
    return harness.document(head, table, notes=notes, missing=record["missing"])


if __name__ == "__main__":
    main()
