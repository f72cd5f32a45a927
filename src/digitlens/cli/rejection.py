"""``digitlens evaluate --rejection``: when a model should not answer, and whether it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.parts import write_part
from digitlens.cli.tables import plain_table
from digitlens.errors import needs_extra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.table import Table

    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.ood import Choice, Rejection, TileScore
    from digitlens.evaluation.ood import Table as Scores
    from digitlens.models.classifier import Classifier
    from digitlens.models.onnx_external import ForeignClassifier
    from digitlens.outputs import OutputsOf

REJECTION = "rejection.json"
SEED = 0  # of the strangers
CHOOSING_SEED = 60_001  # of tiles to choose a score by; no training draws with it
KNOWN = CHOOSING = 5000  # digits that distances of features are fitted to, and to choose by
DRAWN = 1000  # strangers in each set that is drawn at random
CHOSEN_STRANGERS = 2000

Rejecting = Annotated[
    bool,
    typer.Option(
        "--rejection",
        help="Also calibration, what rejecting unsure answers gains, and whether letters, strokes, "
        "noise, textures and blank tiles are told from digits. Fetches fonts once.",
    ),
]
Strange = Annotated[
    list[str] | None,
    typer.Option(
        "--strange",
        metavar="NAME=FILE",
        help="With --rejection, tiles of no digit as an IDX file, such as Fashion-MNIST, "
        "Kuzushiji-MNIST or the letters of EMNIST; may be repeated.",
    ),
]


def rejection(
    classifier: Classifier | ForeignClassifier,
    split: Split,
    *,
    strange: Sequence[str] | None = None,
    data_dir: Path | None = None,
    is_validation: bool = False,
) -> Rejection:
    """Measures when a model should not answer.

    Args:
        classifier: The model.
        split: Digits and their labels.
        strange: ``NAME=FILE`` of more sets of no digit.
        data_dir: Folder with the MNIST files, needed when the model's graph gives features.
        is_validation: Whether the digits are those of validation; then ways to calibrate are
            compared too.

    Raises:
        DataError: Fonts or a file cannot be had.
        MissingExtraError: OpenCV, which draws the strangers, is not installed.
    """
    from digitlens.evaluation.ood import measure_rejection

    strangers = _strangers(parse_strange(strange or []))
    return measure_rejection(
        _outputs_of(classifier),
        split,
        strangers,
        lambda: _choice(classifier, data_dir),
        beside={"reconstruction": _drawn_well()},
        scaling=is_validation,
    )


def rejection_dict(found: Rejection) -> dict[str, Any]:
    """The results as JSON-ready values."""
    return {"rejection": found.as_dict()}


def rejection_tables(found: Rejection) -> list[Table]:
    """Uncertainty, strangers by score, and, on validation tiles, ways to calibrate."""
    tables = [_uncertainty(found), _scores(found.scores, found.recommended)]
    return [*tables, _scaling(found)] if found.scaling else tables


def write_rejection(found: Rejection, folder: Path) -> list[str]:
    """Writes ``rejection.json`` and pictures, see ``write_part``."""

    def draw() -> list[Path]:
        from digitlens.visualization.rejection import draw_rejection

        return draw_rejection(found, folder)

    return write_part(folder / REJECTION, found.as_dict(), draw)


def parse_strange(given: Sequence[str]) -> dict[str, Path]:
    """The file of each name in ``NAME=FILE``.

    Raises:
        BadParameter: Something else, or a name twice.
    """
    files: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path) or name in files:
            raise typer.BadParameter(
                f"--strange: expected NAME=FILE, each name once, found {text!r}"
            )
        files[name] = Path(path)
    return files


def _strangers(given: Mapping[str, Path]) -> dict[str, npt.NDArray[np.uint8]]:
    with needs_extra("train"):
        from digitlens.datasets.negatives.faces import load_faces
        from digitlens.datasets.negatives.given import load_strange
        from digitlens.datasets.negatives.strange import strange_sets

    # Files first: a wrong name is found before fonts are fetched.
    more = [load_strange(name, path) for name, path in given.items()]
    sets = strange_sets(load_faces("validation"), SEED, DRAWN)
    for one in more:
        if both := sets.keys() & one.keys():
            raise typer.BadParameter(f"--strange: {', '.join(both)} is the name of another set")
        sets |= one
    return sets


def _outputs_of(classifier: Classifier | ForeignClassifier) -> OutputsOf:
    from digitlens.models.classifier import Classifier
    from digitlens.outputs import Outputs

    if isinstance(classifier, Classifier):
        return classifier.outputs
    return lambda tiles: Outputs(classifier.predict_proba(tiles))


def _drawn_well() -> TileScore:
    """How well the shipped autoencoder draws tiles again: minus its error, float64[N]."""
    import numpy as np

    from digitlens.models.reconstructor import Reconstructor

    reconstructor = Reconstructor()
    return lambda tiles: -reconstructor.error_of(tiles).astype(np.float64)


def _choice(classifier: Classifier | ForeignClassifier, data_dir: Path | None) -> Choice:
    """Digits of the training set and strangers like those trained with, to choose a score by."""
    from digitlens.datasets.mnist import load_mnist
    from digitlens.datasets.negatives.faces import load_faces
    from digitlens.datasets.negatives.make import make_not_digits
    from digitlens.evaluation.ood import Choice
    from digitlens.models.classifier import Classifier
    from digitlens.training.recipes import recipe_from

    train = load_mnist(data_dir).train
    recipe = classifier.card.recipe if isinstance(classifier, Classifier) else None
    known, held = recipe_from(recipe).split(train) if recipe else (train, None)
    if not held:  # somebody else's model, or one refitted with all of them
        known, held = train.take(range(KNOWN)), train.take(range(-CHOOSING, 0))
    made = make_not_digits(CHOSEN_STRANGERS, load_faces("training"), CHOOSING_SEED, known.tiles)
    return Choice(_some(known, KNOWN), _some(held, CHOOSING).tiles, {"as in training": made})


def _some(split: Split, most: int) -> Split:
    import numpy as np

    return split.take(np.linspace(0, len(split) - 1, min(len(split), most)).astype(np.int64))


def _uncertainty(found: Rejection) -> Table:
    table = plain_table("uncertainty", *found.uncertainty)
    rows = {
        "tiles": ("n", "{:,}"),
        "wrong": ("error", "{:.3%}"),
        "wrong among the surest 99 %": ("error_at_99", "{:.3%}"),
        "answered without a mistake": ("coverage_at_zero", "{:.2%}"),
        "area of risk and coverage": ("aurc", "{:.2e}"),
        "loss": ("nll", "{:.4f}"),
        "Brier score": ("brier", "{:.5f}"),
        "calibration error": ("ece", "{:.3%}"),
        "adaptive calibration error": ("adaptive_ece", "{:.3%}"),
    }
    for name, (score, form) in rows.items():
        table.add_row(name, *(form.format(getattr(u, score)) for u in found.uncertainty.values()))
    return table


def _scores(scores: Scores, best: str) -> Table:
    """AUROC, and in brackets the share taken for digits where 95 % of the digits are."""
    table = plain_table("AUROC (taken for digits)", *(_marked(name, best) for name in scores))
    for name, first in next(iter(scores.values())).items():
        cells = (sets[name] for sets in scores.values())
        table.add_row(
            f"{name}, {first.n:,}", *(f"{one.auroc:.4f} ({one.fpr95:.1%})" for one in cells)
        )
    return table


def _marked(name: str, best: str) -> str:
    return f"{name} *" if name == best else name


def _scaling(found: Rejection) -> Table:
    table = plain_table("calibration, cross-fitted", "loss", "gain", "standard error")
    for name, score in found.scaling.items():
        table.add_row(name, f"{score.nll:.5f}", f"{score.gain:+.5f}", f"{score.error:.5f}")
    return table
