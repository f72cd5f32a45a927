"""Trains a line recogniser with the CTC loss on lines generated during training.

``python -m digitlens.training.tasks.line --run FOLDER`` trains in a folder and exports the graph.
"""

from __future__ import annotations

import argparse
import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from digitlens.alphabet import BLANK, CHARACTERS, CLASS_OF, CLASSES, DIGITS, MARKS
from digitlens.datasets.mnist import Split, load_mnist
from digitlens.datasets.synthetic.lines import TYPESET, LineMaker
from digitlens.datasets.synthetic.styles import load_fonts
from digitlens.evaluation.metrics import count_edits
from digitlens.files import write_bytes
from digitlens.progress import note
from digitlens.training.export import export_lines
from digitlens.training.loop import Device, Row, Task, fit
from digitlens.training.optim import anchor_weights, new_adamw
from digitlens.training.page_networks import LineNetwork, normalise
from digitlens.training.pretrained import adapt_head, fetch_pp_ocr, load_pp_ocr
from digitlens.training.recipe import LineRecipe
from digitlens.training.settings import field_docs
from digitlens.training.tasks.batches import (
    ORDER,
    LineBatch,
    LineSource,
    batches_by_width,
    line_batches,
)

SNAPSHOT = "latest.safetensors"
PUBLISHED_SHARE = 0.25  # of the published weights in the graph, see ``blend_with_published``
GRAPH = "model.onnx"
CHECKED = 200  # lines on which graph and network are compared
_NUMERIC = frozenset(DIGITS + MARKS)
_EXCLUDED_LOGIT = -1e4  # logit of a class that is excluded from a comparison
N = TypeVar("N", bound=nn.Module)
VALIDATION_SEED = 1  # of the validation lines; fixed, so that scores of all recipes are comparable
_OPTIONS = ("steps", "learning_rate", "check_every", "seed", "start")  # command-line options


def line_network(recipe: LineRecipe) -> LineNetwork:
    """Returns the network that a recipe starts from."""
    if recipe.start == "pp-ocr":
        return published_network()
    network = LineNetwork(CLASSES)
    if recipe.start != "random":
        read_snapshot(network, Path(recipe.start))
    return network


def published_network() -> LineNetwork:
    """Returns the published recogniser with digitlens' alphabet, in evaluation mode."""
    return adapt_head(load_pp_ocr(fetch_pp_ocr())).eval()


def blend_weights(first: N, last: N, share: float) -> N:
    """Interpolates weights, from ``first`` at share 0 to ``last`` at 1; in evaluation mode."""
    mean, start = copy.deepcopy(last), first.state_dict()
    for name, weight in mean.state_dict().items():  # these share memory with the network
        if weight.is_floating_point():
            weight.copy_(start[name].lerp(weight, share))
    return mean.eval()


def blend_with_published(network: LineNetwork, share: float = PUBLISHED_SHARE) -> LineNetwork:
    """Averages a trained network with a fraction of the published one that it started from.

    Preserves what the published network learned from real pictures, in spite of fine-tuning on
    generated ones: M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    return blend_weights(published_network(), network, 1 - share)


def read_snapshot(network: LineNetwork, path: Path) -> None:
    """Loads the weights that ``write_snapshot`` wrote."""
    weights = load_file(path)
    network.load_state_dict({name: weight.float() for name, weight in weights.items()})


def write_snapshot(network: nn.Module, path: Path) -> None:
    """Writes the weights as float16, for use before the training has ended."""
    tensors = {
        name: tensor.detach().cpu().half().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    write_bytes(path, save(tensors))


def ctc_loss(logits: Tensor, batch: LineBatch) -> Tensor:
    """Returns the mean over lines of the CTC loss per character, in float32; logits are [B, T, C].

    Padding is part of the line: the network learns that it is blank. Lines with more characters
    than steps have no loss.
    """
    scores = torch.log_softmax(logits.float(), dim=2).transpose(0, 1)
    steps = torch.full((logits.shape[0],), logits.shape[1])
    return functional.ctc_loss(
        scores, batch.targets, steps, batch.lengths.cpu(), blank=BLANK, zero_infinity=True
    )


def distillation_loss(logits: Tensor, teacher_logits: Tensor, batch: LineBatch) -> Tensor:
    """Distils a teacher's logits float[B, T, C] on the lines that it reads correctly.

    Z. Li and D. Hoiem, "Learning without forgetting", ECCV 2016. For each line, only the blank, the
    digits and the line's own characters are compared, since the teacher's marks and letters differ;
    the teacher is correct if the best path through these classes is the text. Typeset lines are
    excluded: generated ones are like real ones, and the teacher confuses their marks and spaces.
    Returns the mean over all lines of the Kullback-Leibler divergence per character, in float32.
    """
    common = [BLANK, *(CLASS_OF[digit] for digit in DIGITS)]
    excluded = torch.ones(logits.shape[0], logits.shape[2], dtype=torch.bool, device=logits.device)
    excluded[:, common] = False
    excluded.scatter_(1, batch.targets, value=False)
    student, teacher = (
        torch.log_softmax(scores.float().masked_fill(excluded[:, None], _EXCLUDED_LOGIT), dim=2)
        for scores in (logits, teacher_logits)
    )
    paths = teacher.argmax(dim=2).tolist()
    right = [
        ORDER[kind] not in TYPESET and best_path(path) == text
        for path, text, kind in zip(paths, _texts(batch), batch.kinds.tolist(), strict=True)
    ]
    divergence = functional.kl_div(student, teacher, reduction="none", log_target=True).sum((1, 2))
    weights = torch.tensor(right, device=logits.device) * batch.lengths.clamp(min=1) ** -1.0
    return (weights * divergence).mean()


def line_score(network: LineNetwork, batches: Iterable[LineBatch]) -> Row:
    """Returns ``val_loss``, the mean CTC loss over one or more batches, and ``line_scores``.

    Leaves the network in evaluation mode.
    """
    network.eval()
    read: list[tuple[str, str, str]] = []
    losses: list[Tensor] = []
    with torch.no_grad():
        for batch in batches:
            logits = network.read(normalise(batch.pictures))
            losses.append(ctc_loss(logits, batch) * len(batch.lengths))
            texts = [best_path(path) for path in logits.argmax(dim=2).tolist()]
            names = [ORDER[kind] for kind in batch.kinds.tolist()]
            read += zip(_texts(batch), texts, names, strict=True)
    return {"val_loss": torch.stack(losses).sum().item() / len(read), **line_scores(read)}


def _texts(batch: LineBatch) -> list[str]:
    """Returns the text of each line."""
    return ["".join(CHARACTERS[each] for each in codes if each) for codes in batch.targets.tolist()]


class LineTask(Task[LineRecipe, LineNetwork, LineBatch]):
    """Recognition of the characters of lines, without forgetting what was learned before.

    ``start`` is the trained network to fine-tune and to preserve; without it, the recipe names the
    initial weights, and the published network is preserved. Raises DataError if its weights cannot
    be downloaded. Each validation writes the averaged weights as ``latest.safetensors``, float16.
    """

    def __init__(
        self,
        recipe: LineRecipe,
        training: LineSource,
        validation: LineSource,
        device: Device | None = None,
        *,
        workers: int = 1,
        start: LineNetwork | None = None,
    ) -> None:
        super().__init__(recipe, recipe.plan(), device)
        self._training, self._workers = training, workers
        self._validation, self._start = validation, start
        keeps = recipe.start != "random" and (recipe.distil or recipe.anchor)
        self._teacher = (copy.deepcopy(start) if start else published_network()) if keeps else None

    def network(self) -> LineNetwork:
        return copy.deepcopy(self._start) if self._start else line_network(self.recipe)

    def optimizer(self, network: LineNetwork) -> torch.optim.Optimizer:
        recipe, factors = self.recipe, {"head.": self.recipe.head_factor}
        optimizer = new_adamw(network, recipe.learning_rate, recipe.weight_decay, factors)
        if self._teacher:
            self._teacher.to(network.head.weight.device)
        if self._teacher and recipe.anchor:
            anchor_weights(optimizer, network, self._teacher, recipe.anchor)
        return optimizer

    def batches(self, step: int) -> Iterator[LineBatch]:
        return line_batches(self._training, self.recipe, skip=step, workers=self._workers)

    def held_out(self) -> list[LineBatch]:
        lines = [self._validation(each) for each in range(self.recipe.validation_lines)]
        return batches_by_width(lines, self.recipe.batch_size)

    def losses(self, network: LineNetwork, batch: LineBatch) -> dict[str, Tensor]:
        pictures = normalise(batch.pictures)
        with self.device.reduced():
            logits = network.read(pictures)
        loss = ctc_loss(logits, batch)
        if not (self._teacher and self.recipe.distil):
            return {"train_loss": loss}
        with torch.no_grad(), self.device.reduced():
            teacher_logits = self._teacher.read(pictures)
        extra = distillation_loss(logits, teacher_logits, batch)
        return {"train_loss": loss + self.recipe.distil * extra, "distillation": extra}

    def score(self, network: LineNetwork, batches: Iterable[LineBatch]) -> Row:
        return line_score(network, batches)

    def state(self, row: Row) -> str:
        return f"validation {row['val_loss']:.3f}, lines right {row['exact']:.1%}"

    def validated(self, network: LineNetwork, folder: Path) -> None:
        write_snapshot(network, folder / SNAPSHOT)


def best_path(classes: Sequence[int]) -> str:
    """Returns the text of a CTC path: repeated classes collapsed, blanks removed."""
    return "".join(CHARACTERS[each] for each, _ in groupby(classes) if each != BLANK)


def numeric(text: str) -> str:
    """Returns the digits and marks of a text."""
    return "".join(char for char in text if char in _NUMERIC)


def line_scores(lines: Sequence[tuple[str, str, str]]) -> dict[str, float]:
    """Scores one or more lines, each given as (true text, text read, kind).

    Returns ``exact``, the fraction of lines read correctly; ``errors``, edits per true character;
    the same for digits and marks only as ``numeric_exact`` and ``numeric_errors``; and the fraction
    of correct lines of each kind as ``exact/KIND``.
    """
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for truth, read, kind in lines:
        kinds[kind].append(truth == read)
    pairs = [(truth, read) for truth, read, _ in lines]
    numbers = [(numeric(truth), numeric(read)) for truth, read in pairs]
    scores: dict[str, float] = {}
    for prefix, texts in (("", pairs), ("numeric_", numbers)):
        characters = max(1, sum(len(truth) for truth, _ in texts))
        scores[f"{prefix}exact"] = sum(truth == read for truth, read in texts) / len(texts)
        scores[f"{prefix}errors"] = sum(count_edits(*pair)[0] for pair in texts) / characters
    by_kind = {f"exact/{kind}": sum(right) / len(right) for kind, right in sorted(kinds.items())}
    return scores | by_kind


def line_makers(
    recipe: LineRecipe, training: Split, validation: Split
) -> tuple[LineMaker, LineMaker]:
    """Returns generators of training and validation lines; downloads fonts if needed."""
    return (
        LineMaker(training, load_fonts("training", photos=True), recipe.seed),
        LineMaker(validation, load_fonts("validation", photos=True), VALIDATION_SEED),
    )


def line_graph_of(
    network: LineNetwork, recipe: LineRecipe, validation_maker: LineMaker, folder: Path
) -> bytes:
    """Writes a trained network's snapshot, returns its graph, see ``blend_with_published``.

    Compares graph and network on validation lines.
    """
    write_snapshot(network, folder / SNAPSHOT)
    lines = [validation_maker.line(number).pixels for number in range(CHECKED)]
    return export_lines(
        network if recipe.start == "random" else blend_with_published(network), lines
    )


def main(arguments: list[str] | None = None) -> None:
    """Trains with MNIST and free fonts, then writes weights and graph."""
    parser = argparse.ArgumentParser(description="Train the line recogniser.")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    for name in _OPTIONS:
        default, description = getattr(LineRecipe, name), field_docs(LineRecipe)[name]
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(default), default=default, help=description)
    parser.add_argument("--minutes", type=float, help="time limit; skips steps to meet it")
    parser.add_argument("--resume", action="store_true", help="resume a stopped run")
    options = parser.parse_args(arguments)
    recipe = LineRecipe(**{name: getattr(options, name) for name in _OPTIONS})
    makers = line_makers(recipe, *recipe.split(load_mnist().train))
    task = LineTask(recipe, makers[0].line, makers[1].line)
    note(task.device.reason)
    limit = options.minutes and 60 * options.minutes
    trained = fit(task, options.run, resume=options.resume, time_limit=limit)
    note(str(trained.history[-1]))
    write_bytes(options.run / GRAPH, line_graph_of(trained.network, recipe, makers[1], options.run))


if __name__ == "__main__":
    main()
