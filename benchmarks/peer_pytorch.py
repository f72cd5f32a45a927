"""The basic MNIST example of PyTorch, written anew from what its documentation describes.

Convolutions of 32 and 64 maps (3 x 3), max pooling, dropout 0.25, a dense layer of 128, dropout
0.5, log-softmax; Adadelta with learning rate 1.0, which an epoch multiplies by 0.7; batches of 64
from a DataLoader that transforms one picture after the other. torchvision cannot be installed
beside a CPU build of torch everywhere, so its data set and transforms (``ToTensor``, ``Normalize``)
are written out here, by their description, with Pillow: an item is made a picture, then a tensor
from 0 to 1, then normalised. The DataLoader has no worker processes, as the example has none on a
CPU; it shuffles, which the example does on a GPU alone, because an order of chance can only help.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

PLANNED_EPOCHS = 14
BATCH = 64
MEAN, SD = 0.1307, 0.3081
SEED = 1


class Tiles(Dataset[tuple[Tensor, int]]):
    """Pictures that are transformed each time one is asked for."""

    def __init__(self, tiles: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> None:
        self.tiles, self.labels = torch.from_numpy(tiles), torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.tiles[index].numpy())
        return normalise(to_tensor(picture)), int(self.labels[index])


def to_tensor(picture: Image.Image) -> Tensor:
    """A gray picture as float32[1, H, W] from 0 to 1."""
    pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
    return pixels.unsqueeze(2).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


def normalise(pixels: Tensor) -> Tensor:
    mean, sd = torch.tensor([MEAN]).view(-1, 1, 1), torch.tensor([SD]).view(-1, 1, 1)
    return pixels.clone().sub_(mean).div_(sd)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
        nn.LogSoftmax(dim=1),
    )


def train(data: Path, epochs: int, until: float, threads: int) -> Iterator[dict[str, Any]]:
    """A row after each epoch; the test set is not in its seconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = ("train_tiles", "train_labels", "test_tiles", "test_labels")
    arrays = [np.load(data / f"{part}.npy", allow_pickle=False) for part in parts]
    training, test = Tiles(*arrays[:2]), Tiles(*arrays[2:])
    model = network().to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(training, BATCH, shuffle=True)
    seconds = 0.0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        learn(model, loader, optimizer, device)
        schedule.step()
        seconds += time.perf_counter() - start
        accuracy = score(model, test, device)
        yield {"epoch": epoch, "seconds": seconds, "test_accuracy": accuracy}
        if accuracy >= until:
            break
    parameters = sum(each.numel() for each in model.parameters())
    yield {
        "versions": f"torch {torch.__version__}",
        "parameters": parameters,
        "planned_epochs": PLANNED_EPOCHS,
    }


def learn(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, int]],
    optimizer: torch.optim.Optimizer,
    device: str,
) -> None:
    """One epoch."""
    model.train()
    for pictures, labels in loader:
        optimizer.zero_grad()
        loss = functional.nll_loss(model(pictures.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()


@torch.inference_mode()
def score(model: nn.Module, test: Tiles, device: str) -> float:
    """Accuracy; the network is left in evaluation mode."""
    model.eval()
    right = 0
    for pictures, labels in DataLoader(test, 1000):
        right += int((model(pictures.to(device)).argmax(1).cpu() == labels).sum())
    return right / len(test)
