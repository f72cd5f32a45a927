"""What was found about one model, as tables in Markdown; measures nothing."""

from collections.abc import Iterable, Sequence
from typing import Any

Found = dict[str, Any]


def model_tables(found: Found) -> dict[str, str]:
    """The tables by file name."""
    return {
        "robustness": _robustness(found["robustness"]),
        "rejection": _strangers(found["rejection"]),
        "uncertainty": _uncertainty(found["rejection"]["uncertainty"]),
        "transfer": _transfer(found["transfer"]),
        "writers": _writers(found["by_writer"]),
    }


def _robustness(found: Found) -> str:
    rows = [
        [
            row["name"].replace("_", " "),
            "yes" if row["overlaps_training"] else "",
            _percent(row["accuracy"]),
            _interval(row["interval"]),
            _percent(row["uncertainty"]["ece"]),
        ]
        for row in found["corruptions"]
    ]
    rows.append(["**mean of all**", "", _percent(found["mean_accuracy"]), "", ""])
    if (apart := found["mean_accuracy_without_overlap"]) is not None:
        rows.append(["**mean of those that were not trained with**", "", _percent(apart), "", ""])
    head = ["MNIST-C", "like what was trained with", "accuracy", "95 % interval", "ECE"]
    return _table(head, rows)


def _strangers(found: Found) -> str:
    scores = found["scores"]
    sets = next(iter(scores.values()))
    rows = [
        [
            name,
            f"{sets[name]['n']:,}",
            *(f"{scores[score][name]['auroc']:.4f}" for score in scores),
            _percent(scores[found["recommended"]][name]["fpr95"]),
        ]
        for name in sets
    ]
    marked = [f"**{name}**" if name == found["recommended"] else name for name in scores]
    return _table(["AUROC by score", "n", *marked, "FPR at 95 %"], rows)


def _uncertainty(found: Found) -> str:
    rows = [
        [
            name,
            _percent(one["error"], 2),
            f"{one['nll']:.4f}",
            f"{one['brier']:.4f}",
            _percent(one["ece"], 2),
            _percent(one["adaptive_ece"], 2),
            f"{one['aurc']:.5f}",
            _percent(one["error_at_99"], 2),
            _percent(one["coverage_at_zero"]),
        ]
        for name, one in found.items()
    ]
    head = ["digits", "error", "NLL", "Brier", "ECE", "adaptive ECE", "AURC"]
    return _table([*head, "error of the surest 99 %", "coverage at zero errors"], rows)


def _transfer(found: Sequence[Found]) -> str:
    rows = [
        [
            one["title"],
            f"{one['n']:,}",
            _percent(one["framed"]["accuracy"], 2),
            _interval(one["framed"]["interval"]),
            _percent(one["unframed"]["accuracy"], 2),
        ]
        for one in found
    ]
    return _table(["not trained on", "n", "framed", "95 % interval", "unframed"], rows)


def _writers(found: Found) -> str:
    rows = [
        [
            row["name"],
            row["writers"],
            f"{row['n']:,}",
            row["errors"],
            _percent(row["rate"], 2),
            _interval(row["interval"]),
        ]
        for row in found["series"]
    ]
    whole = f"{1 - found['accuracy']:.2%}".replace("%", " %")
    rows.append(["all", found["writers"], f"{found['n']:,}", found["errors"], whole, ""])
    head = ["written by", "writers", "digits", "errors", "error rate", "95 % interval"]
    low, high = found["clustered"]
    note = (
        f"\n{found['flawless']:.1%} of the writers are read without an error; the accuracy's "
        f"interval is {100 * low:.2f} to {100 * high:.2f} % when writers are drawn, not digits.\n"
    )
    return _table(head, rows) + note.replace("% of", " % of", 1)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _interval(ends: Sequence[float]) -> str:
    return f"{100 * ends[0]:.2f} to {100 * ends[1]:.2f}"
