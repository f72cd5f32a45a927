"""From a network to the bundle that other programs use: calibrated, converted, compared."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.errors import ModelError
from digitlens.models.bundle import WEIGHTS, Bundle, Card, load_bundle, write_bundle
from digitlens.models.session import open_session
from digitlens.training.fold import fold_normalisation
from digitlens.training.nets.tile_network import CLASSES, DigitNetwork, Ensemble, predict_logits
from digitlens.training.recipes import recipe_from
from digitlens.training.train import new_network

Floats = npt.NDArray[np.float32]

OPSET = 18  # read by onnxruntime 1.14 (2023) and later
AGREEMENT = 1e-4
CHECKED_TILES = 1000


class Calibrated(nn.Module):
    """A network followed by its temperature and softmax: what is exported.

    Attributes:
        outputs: Names of what it gives, in order, see ``digitlens.outputs``.
    """

    def __init__(self, network: DigitNetwork | Ensemble, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.outputs = ["probabilities", "energy"]
        if isinstance(network, DigitNetwork):
            self.outputs.append("features")
        if network.knows_none:
            self.outputs.append("digit")

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """All outputs for tiles uint8[N, 28, 28]."""
        if isinstance(self.network, Ensemble):
            logits, *signs = self.network.examine(tiles)
        else:
            features = self.network.features(tiles)
            logits = self.network.logits(features)
            signs = [-torch.logsumexp(logits[:, :CLASSES], dim=1), features]
        if self.network.knows_none:
            signs.append(1 - torch.softmax(logits, dim=1)[:, CLASSES])
        return torch.softmax(logits[:, :CLASSES] / self.temperature, dim=1), *signs


def fit_temperature(network: nn.Module, validation: Split) -> float:
    """The softmax temperature with the lowest loss on the validation tiles.

    Guo et al., "On calibration of modern neural networks", 2017. One number on a grid needs no
    gradient: the loss is smooth in it, and steps of 2 % are finer than 6,000 tiles can tell apart.
    """
    logits = predict_logits(network, torch.from_numpy(validation.tiles))[:, :CLASSES]
    labels = torch.from_numpy(validation.labels).long()
    grid = torch.logspace(-0.7, 0.7, 160, base=10.0)
    losses = [nn.functional.cross_entropy(logits / t, labels) for t in grid]
    return float(grid[torch.stack(losses).argmin()])


def export(network: DigitNetwork | Ensemble, card: Card, validation: Split, folder: Path) -> Card:
    """Writes the model folder, if the graph answers as the network does.

    Args:
        network: On the CPU, float32.
        card: What is known of the model; hashes and temperature are filled in here.
        validation: Fits the temperature, unless the recipe has one, and the first 1,000 tiles
            compare graph and network.
        folder: Where ``model.onnx``, ``model.json`` and ``weights.safetensors`` go.

    Returns:
        The card as written.

    Raises:
        ModelError: Outputs differ by 1e-4 or more; nothing is written.
    """
    temperature = card.recipe.get("temperature") or fit_temperature(network, validation)
    calibrated = Calibrated(network, temperature).eval()
    graph = to_onnx(calibrated)
    check_agreement(calibrated, graph, validation.tiles[:CHECKED_TILES])
    return write_model(network, replace(card, temperature=temperature), graph, folder)


def write_model(network: nn.Module, card: Card, graph: bytes, folder: Path) -> Card:
    """Writes weights, graph and card, and returns the card with the hashes of both filled in."""
    weights = save_tensors(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    )
    hashes = {"sha256": files.sha256(graph), "weights_sha256": files.sha256(weights)}
    card = replace(card, **hashes)
    files.write_bytes(folder / WEIGHTS, weights)
    write_bundle(folder, card, graph)
    return card


def to_onnx(model: Calibrated) -> bytes:
    """The model as an ONNX graph with a free batch size: tiles in, all its outputs out."""
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("N")},)
    graph = exported(model, example, ["tiles"], model.outputs, shapes)
    fold_normalisation(graph)
    return graph.SerializeToString()


def exported(
    model: nn.Module, example: Tensor, inputs: list[str], outputs: list[str], shapes: Any
) -> onnx.ModelProto:
    """The graph of a model, without the exporter's notes.

    Args:
        model: Takes one tensor.
        example: Such a tensor.
        inputs: Name of the graph's input, in a list.
        outputs: Names of its outputs.
        shapes: The free dimensions, as ``torch.onnx.export`` takes them.
    """
    # The exporter warns of packages it could use and of its own deprecated calls; neither is for
    # the user to act on.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (example,),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelError("the exporter returned no graph: update torch")
    return _without_notes(program.model_proto)


def check_agreement(model: Calibrated, graph: bytes, tiles: npt.NDArray[np.uint8]) -> None:
    """Raises ModelError unless graph and network say the same, for their size where it is large."""
    with torch.inference_mode():
        expected = [output.numpy() for output in model(torch.from_numpy(tiles))]
    found = open_session(graph, name="the exported graph").run(model.outputs, {"tiles": tiles})
    for name, ours, theirs in zip(model.outputs, expected, found, strict=True):
        scale = max(1.0, float(np.abs(ours).max()))
        where = f"in {name} on {len(tiles)} tiles"
        check_difference(ours / scale, theirs / scale, AGREEMENT, where)


def check_difference(expected: Floats, found: Floats, limit: float, where: str) -> None:
    """Raises ModelError unless what a graph gives is near what its network gives.

    Args:
        expected: Of the network.
        found: Of the graph, of the same shape.
        limit: Differences are below it.
        where: In what they differ, for the error.
    """
    difference = float(np.abs(expected - found).max())
    if not difference < limit:
        raise ModelError(
            f"the exported graph differs from the network by {difference:.2g} {where}, "
            f"expected less than {limit:g}: nothing was written"
        )


def load_network(model: str | Path) -> DigitNetwork | Ensemble:
    """The PyTorch network of a model folder, to train further or to look inside.

    Raises:
        ModelError: The folder has no weights, or not those that its card names.
    """
    bundle = load_bundle(model)
    network = new_network(recipe_from(bundle.card.recipe))
    load_weights(network, bundle)
    return network.eval()


def load_weights(network: nn.Module, bundle: Bundle) -> None:
    """Gives a network the weights of a model folder.

    Raises:
        ModelError: The folder has no weights, or not those that its card names, or they do not fit.
    """
    path = bundle.folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}): the model has only a graph") from error
    if files.sha256(content) != bundle.card.weights_sha256:
        raise ModelError(f"{path} was changed: it does not have the hash in the model's card")
    try:
        network.load_state_dict(load_tensors(content))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit the recipe in the model's card: {error}") from error


def _without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops the exporter's notes on each node, which carry source paths of the machine."""
    for holder in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
        *model.graph.value_info,
    ):
        del holder.metadata_props[:]
        holder.doc_string = ""
    onnx.checker.check_model(model)
    return model
