"""Trains the line recogniser of a recipe on lines that are drawn as it goes, with the CTC loss.

``python -m digitlens.training.tasks.line --run FOLDER`` trains in a folder and ends with the graph.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from digitlens.alphabet import BLANK, CLASSES
from digitlens.datasets.mnist import load_mnist
from digitlens.datasets.splits import split_validation
from digitlens.datasets.synthetic.lines import LineMaker
from digitlens.datasets.synthetic.pages import load_fonts
from digitlens.files import atomic_path, write_bytes
from digitlens.progress import note
from digitlens.training.checkpoint import Row
from digitlens.training.device import Device, choose_device
from digitlens.training.export_lines import export_lines
from digitlens.training.line_head import adapted
from digitlens.training.line_recipe import LineRecipe
from digitlens.training.nets.line_network import LineNetwork, normalised
from digitlens.training.pretrained import fetch_pp_ocr, load_pp_ocr
from digitlens.training.steps import Learned, take_steps
from digitlens.training.tasks.line_batches import (
    LineBatch,
    LineStream,
    Maker,
    Sample,
    batches_by_width,
)
from digitlens.training.tasks.line_score import best_path, line_scores

SNAPSHOT = "latest.safetensors"
KEPT = 0.5  # share of the published weights in the graph, see ``eased``
GRAPH = "model.onnx"
CHECKED = 200  # lines on which graph and network are compared
VALIDATION_SEED = 1  # of the validation lines: the same for all recipes, so that scores compare


def train_lines(  # noqa: PLR0913  (what to train, with what, where)
    recipe: LineRecipe,
    maker: Maker,
    validation_maker: Maker,
    folder: Path,
    *,
    resume: bool = False,
    device: Device | None = None,
    workers: int = 1,
    time_limit: float | None = None,
) -> Learned[LineNetwork]:
    """Trains until the steps are over; see ``take_steps``.

    Args:
        recipe: What to train.
        maker: Draws the lines to learn from.
        validation_maker: Draws the lines to validate with.
        folder: Run folder; receives the state, ``history.jsonl``, and at each validation the
            averaged weights as float16 in ``latest.safetensors``.
        resume: Go on from the state in the folder.
        device: Where to train; chosen by ``choose_device`` if not given.
        workers: Processes that draw lines, 0 for none but this; the result does not depend on it.
        time_limit: Seconds of training, see ``take_steps``.

    Raises:
        DataError: There is nothing to resume, or it belongs to another recipe; or the weights to
            start from cannot be fetched.
    """
    device = device or choose_device(recipe.precision)
    return take_steps(
        _LineLesson(recipe, LineStream(maker, recipe, workers), validation_maker),
        recipe.schedule(),
        folder,
        device,
        recipe=recipe.as_toml(),
        seed=recipe.seed,
        resume=resume,
        factors={"head.": recipe.head_factor},
        checked=lambda network: write_snapshot(network, folder / SNAPSHOT),
        time_limit=time_limit,
    )


def line_network(recipe: LineRecipe) -> LineNetwork:
    """The network that a recipe starts from."""
    network = LineNetwork(CLASSES)
    if recipe.start == "random":
        return network
    if recipe.start == "pp-ocr":
        network = adapted(load_pp_ocr(fetch_pp_ocr()))
    else:
        read_snapshot(network, Path(recipe.start))
    # The stem stays as published: nothing has to go back through its large maps.
    network.stem.requires_grad_(False)
    return network


def eased(network: LineNetwork, share: float = KEPT) -> LineNetwork:
    """The mean of a trained network and of the published one that it started from.

    What the published network learned from real pictures is not lost to what generated ones are
    like: M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.

    Args:
        network: Trained from the published weights.
        share: Of the published weights.
    """
    first, last = adapted(load_pp_ocr(fetch_pp_ocr())).state_dict(), network.state_dict()
    mean = LineNetwork(CLASSES)
    mean.load_state_dict({name: share * first[name] + (1 - share) * last[name] for name in last})
    return mean.eval()


def read_snapshot(network: LineNetwork, path: Path) -> None:
    """Takes the weights that ``write_snapshot`` wrote."""
    weights = load_file(path)
    network.load_state_dict({name: weight.float() for name, weight in weights.items()})


def write_snapshot(network: LineNetwork, path: Path) -> None:
    """Writes the weights as float16, for use before a training has ended."""
    tensors = {
        name: tensor.detach().cpu().half().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)


def ctc_loss(logits: Tensor, batch: LineBatch) -> Tensor:
    """The mean over lines of the CTC loss for each character, in float32.

    Padding counts as a part of the line: the network learns that it shows nothing.

    Args:
        logits: float[B, T, classes].
        batch: Lines; those with more characters than steps do not count.
    """
    scores = torch.log_softmax(logits.float(), dim=2).transpose(0, 1)
    steps = torch.full((logits.shape[0],), logits.shape[1])
    return functional.ctc_loss(
        scores, batch.targets, steps, batch.lengths.cpu(), blank=BLANK, zero_infinity=True
    )


def line_score(network: LineNetwork, batches: Iterable[LineBatch], kinds: list[str]) -> Row:
    """Scores of a network, which is left in evaluation mode.

    Args:
        network: Runs where the lines are.
        batches: At least one.
        kinds: Names of the kinds of lines.

    Returns:
        ``val_loss``, the mean CTC loss, and what ``line_scores`` gives.
    """
    network.eval()
    read: list[tuple[str, str, str]] = []
    losses: list[Tensor] = []
    with torch.no_grad():
        for batch in batches:
            logits = network.read(normalised(batch.pictures))
            losses.append(ctc_loss(logits, batch) * len(batch.lengths))
            truths = [
                best_path(_apart(codes[:length]))
                for codes, length in zip(
                    batch.targets.tolist(), batch.lengths.tolist(), strict=True
                )
            ]
            texts = [best_path(path) for path in logits.argmax(dim=2).tolist()]
            names = [kinds[kind] for kind in batch.kinds.tolist()]
            read += zip(truths, texts, names, strict=True)
    return {"val_loss": torch.stack(losses).sum().item() / len(read), **line_scores(read)}


def _apart(codes: list[int]) -> list[int]:
    """Classes with a blank between them, so that doubled characters stay two."""
    return [each for code in codes for each in (code, BLANK)]


@dataclass
class _LineLesson:
    """A ``Lesson``: to recognise the characters of lines."""

    recipe: LineRecipe
    training: LineStream
    validation: Maker
    kinds: list[str] = field(default_factory=list)

    def network(self) -> LineNetwork:
        return line_network(self.recipe)

    def batches(self, step: int) -> Iterator[LineBatch]:
        """The batches from ``step`` on."""
        return self.training.batches(step)

    def held_out(self) -> list[LineBatch]:
        lines = [self.validation.line(each) for each in range(self.recipe.validation_lines)]
        self.kinds = sorted({line.kind for line in lines})
        samples = [Sample(each.pixels, each.text, self.kinds.index(each.kind)) for each in lines]
        return batches_by_width(samples, self.recipe.batch_size)

    def losses(self, network: LineNetwork, batch: LineBatch, device: Device) -> dict[str, Tensor]:
        with device.reduced():
            logits = network.read(normalised(batch.pictures))
        return {"train_loss": ctc_loss(logits, batch)}

    def score(self, network: LineNetwork, batches: Iterable[LineBatch]) -> Row:
        return line_score(network, batches, self.kinds)

    def state(self, row: Row) -> str:
        return f"lines right {row['exact']:.1%}"


def line_makers(recipe: LineRecipe) -> tuple[Maker, Maker]:
    """What draws the lines to train and to validate with; fetches tiles and fonts if need be.

    They share no writer and no font.
    """
    tiles, held_out = split_validation(load_mnist().train, "writer", fraction=0.1, seed=0)
    return (
        LineMaker(tiles, load_fonts("training"), recipe.seed),
        LineMaker(held_out, load_fonts("validation"), VALIDATION_SEED),
    )


def main(arguments: list[str] | None = None) -> None:
    """Trains with MNIST and the free fonts, and writes weights and graph at the end."""
    parser = argparse.ArgumentParser(description="Train the line recogniser.")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=LineRecipe.steps)
    parser.add_argument("--learning-rate", type=float, default=LineRecipe.learning_rate)
    parser.add_argument("--check-every", type=int, default=LineRecipe.check_every)
    parser.add_argument("--minutes", type=float, help="end in this time, with fewer steps")
    parser.add_argument("--seed", type=int, default=LineRecipe.seed)
    parser.add_argument("--start", default=LineRecipe.start, help="pp-ocr, random or a snapshot")
    parser.add_argument("--resume", action="store_true", help="go on where the run stopped")
    chosen = parser.parse_args(arguments)
    recipe = dataclasses.replace(
        LineRecipe(),
        steps=chosen.steps,
        start=chosen.start,
        seed=chosen.seed,
        learning_rate=chosen.learning_rate,
        check_every=chosen.check_every,
    )
    device = choose_device(recipe.precision)
    note(device.reason)
    makers = line_makers(recipe)
    limit = chosen.minutes and 60 * chosen.minutes
    learned = train_lines(
        recipe, *makers, chosen.run, resume=chosen.resume, device=device, time_limit=limit
    )
    write_snapshot(learned.network, chosen.run / SNAPSHOT)
    note(str(learned.history[-1]))
    lines = [makers[1].line(number).pixels for number in range(CHECKED)]
    write_bytes(chosen.run / GRAPH, export_lines(eased(learned.network), lines))


if __name__ == "__main__":
    main()
