# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From pixels to a number in a photo
#
# In the next few minutes you train a network that reads handwritten digits, measure how good it is,
# and then watch it fail on a photo, because it was not trained on photos. After that you see what a
# photo reader does differently, and look inside the network.
#
# You need to know a little Python. You do not need to have trained a network before.
#
# Every number that this page states about *this* network is computed by a cell above or below it.
# If you run the notebook yourself (`pip install 'digitlens[notebook]'`, from a copy of the
# repository), your numbers may differ slightly. On two cores it takes a minute or two, most of it
# training.
#
# 1. [A digit is 28 × 28 numbers](#1.-A-digit-is-28-×-28-numbers)
# 2. [Normalise and reshape](#2.-Normalise-and-reshape)
# 3. [A convolution by hand](#3.-A-convolution-by-hand)
# 4. [Build the network](#4.-Build-the-network)
# 5. [Train it](#5.-Train-it)
# 6. [How good is it?](#6.-How-good-is-it?)
# 7. [Save, load, export](#7.-Save,-load,-export)
# 8. [Your own picture](#8.-Your-own-picture)
# 9. [What the network sees](#9.-What-the-network-sees)
# 10. [What goes wrong, and why](#10.-What-goes-wrong,-and-why)

# %%
import inspect
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

import digitlens
from digitlens.visualization.notebook import LiveCurves, inline, show, show_page, show_tiles
from digitlens.visualization.theme import percent, theme

# The pictures of examples/ lie in the repository, wherever this notebook was started.
places = [Path.cwd(), *Path.cwd().parents, *Path(digitlens.__file__).parents]
EXAMPLES = next(place / "examples" for place in places if (place / "examples/note.jpg").is_file())
# All that is written goes into a folder that vanishes in the end. To keep it, name one of yours.
temporary = TemporaryDirectory()
FOLDER = Path(temporary.name)

print(f"digitlens {digitlens.__version__}, torch {torch.__version__}")

# %% [markdown]
# ## 1. A digit is 28 × 28 numbers
#
# MNIST is a collection of 70,000 digits, written by employees of the United States census bureau
# and by high-school students, scanned and scaled to one size. It is old, small and widely used,
# which makes it good for learning: your results can be compared with everyone else's.
#
# `load_mnist` looks for it in a folder that you name, in its cache, and on public mirrors. Wherever
# it comes from, the SHA-256 of each file is checked, and a file that differs in a single bit is
# refused.

# %%
from digitlens.datasets.mnist import load_mnist
from digitlens.datasets.sources import data_hashes

mnist = load_mnist()
for name, split in (("training", mnist.train), ("test", mnist.test)):
    print(f"{name:9} tiles {split.tiles.shape} {split.tiles.dtype}   labels {split.labels.shape}")
for name, sha256 in data_hashes().items():
    print(f"{sha256[:16]}…  {name}")

# %% [markdown]
# A *tile* is one digit: 28 rows of 28 numbers, each from 0 (paper) to 255 (full ink). The *label*
# is the digit that the writer meant. Here is the first tile as the computer stores it, with dots
# for 0.

# %%
tile, label = mnist.train.tiles[0], mnist.train.labels[0]
for row in tile[4:26, 3:27]:
    print(" ".join(f"{value:3}" if value else "  ·" for value in row))
print(f"label: {label}")

# %% [markdown]
# The same numbers as ink:

# %%
show_tiles(tile[None], columns=1, side=2.6)

# %% [markdown]
# One digit says little about sixty thousand. Here are a dozen of each class, drawn at random, with
# the total of each class on the right.

# %%
from digitlens.visualization.sheets import draw_samples

training_set = mnist.train
show_page(np.asarray(draw_samples(training_set, per_digit=12, seed=0)), width=760)

# %% [markdown]
# The classes are about equally frequent, so accuracy, the fraction of right answers, is a fair
# score: always predicting the most frequent digit is hardly better than rolling a ten-sided die.

# %%
counts = np.bincount(training_set.labels)
print("tiles of each digit:", dict(enumerate(counts.tolist())))
print(f"always saying {counts.argmax()} is right for {percent(counts.max() / counts.sum())}")

# %% [markdown]
# Always look at the odd ones before you train. The top row shows the tile of each digit with the
# least ink, the bottom row the one with the most. Each of these was meant as a digit, and counts as
# much as a neat one.

# %%
ink = training_set.tiles.mean(axis=(1, 2))
extremes = [
    rows[np.argsort(ink[rows])[place]]
    for place in (0, -1)
    for rows in (np.flatnonzero(training_set.labels == digit) for digit in range(10))
]
show_tiles(training_set.tiles[extremes], [f"a {training_set.labels[row]}" for row in extremes])

# %% [markdown]
# ### Three splits
#
# A network can memorise tiles. Its answers on the tiles it was trained on therefore prove nothing;
# it must be evaluated on others. We make three splits:
#
# * **training** tiles, to learn from;
# * **validation** tiles, to decide with: when to stop, and which of two networks is better;
# * **test** tiles, to measure with, once, when everything is decided. If you make decisions with
#   the test set, you fit to it, and it proves nothing either.
#
# MNIST has a separate test set. We take the validation tiles from the other sixty thousand, by
# whole *writers*. Here is why: each row shows the sevens of one writer.

# %%
from digitlens.datasets.mnist import load_writers

writers = load_writers().train_writer
sevens = np.flatnonzero(training_set.labels == 7)
names, frequency = np.unique(writers[sevens], return_counts=True)
busy = names[frequency >= 10][[4, 12, 20, 33]]
rows = np.concatenate([sevens[writers[sevens] == name][:10] for name in busy])
show_tiles(training_set.tiles[rows])

# %% [markdown]
# A handwriting repeats itself. If nine sevens of a writer were in training and the tenth in
# validation, the network would be rewarded for knowing the writer. We want to know how it performs
# for people it has never seen, so no writer is in both splits. (No writer of the test set is in the
# training set either.)

# %%
from digitlens.datasets.mnist import split_validation

training, validation = split_validation(training_set, "writer", fraction=0.1, seed=0)
print(f"{len(training):,} tiles to train with, {len(validation):,} to validate with")

# %% [markdown]
# ### How far do you get without a network?
#
# Average all zeros, all ones, and so on. To read a tile, choose the nearest average. That takes
# hardly any learning, and gives the score to beat.

# %%
averages = np.stack([training.tiles[training.labels == digit].mean(axis=0) for digit in range(10)])
show_tiles(averages.astype(np.uint8), [f"average {digit}" for digit in range(10)])


def nearest_average(tiles):
    """The digit whose average is nearest, by the sum of squared differences of all pixels."""
    flat, centres = tiles.reshape(len(tiles), -1).astype(np.float32), averages.reshape(10, -1)
    distances = (centres**2).sum(axis=1) - 2 * flat @ centres.T  # + a constant for each tile
    return distances.argmin(axis=1)


baseline = float(np.mean(nearest_average(validation.tiles) == validation.labels))
print(f"right for {percent(baseline)} of the validation tiles")
print(f"all four digits of a number: about {percent(baseline**4, 0)}")

# %% [markdown]
# Far better than a die, but of little use for reading numbers. The averages are blurred because
# people write the same digit with different positions, slants and widths. We need something that
# depends less on *where* a stroke is.

# %% [markdown]
# ## 2. Normalise and reshape
#
# Bytes are good for storage but bad for computation: they have no fractions and no negative
# numbers, and wrap around at 256.

# %%
bytes_ = np.array([200, 100], np.uint8)
print("200 + 100 as bytes:", (bytes_[:1] + bytes_[1:])[0])

# %% [markdown]
# So pixels become floating-point numbers. They are then shifted and scaled so that over the
# training set their mean is 0 and their standard deviation 1. In principle networks can learn from
# any scale, but their initial weights are drawn for inputs of about this size, and one learning
# rate then suits all layers. Mean and deviation are computed from the *training* tiles alone, like
# everything that is learned.
#
# An image network expects one more axis: channels. A colour photo has three, ours one. The usual
# order is [number of pictures, channels, rows, columns].

# %%
pixels = training.tiles.astype(np.float32) / 255
mean, deviation = float(pixels.mean()), float(pixels.std())
images = ((pixels - mean) / deviation)[:, np.newaxis]
print(f"mean {mean:.4f}, standard deviation {deviation:.4f}")
for name, array in (("before", training.tiles), ("after", images)):
    print(f"{name:6} {array.shape} {array.dtype}, {array.nbytes / 1e6:.0f} MB")
print(f"now mean {images.mean():.4f}, standard deviation {images.std():.4f}")

# %% [markdown]
# A common mistake is to normalise differently in training and in use, or to forget it: nothing
# fails, but the answers get worse. digitlens rules this out: mean and deviation are *inside* the
# network, and the network, or a file exported from it, accepts bytes. This is the code:

# %%
from digitlens.training.tile_networks import MEAN, SD, DigitNetwork

print(inspect.getsource(DigitNetwork.features))
print(f"MEAN, SD = {MEAN}, {SD}, of all 60,000 training tiles")

# %% [markdown]
# ## 3. A convolution by hand
#
# A *convolution* slides a small window over the picture, here 3 × 3 pixels. At each position it
# multiplies the nine pixels by nine fixed numbers, the *kernel*, and adds them up. That is all.
#
# This kernel asks: is it darker above and brighter below? The result is large at the upper edge of
# a stroke, negative at its lower edge, and 0 on plain paper.

# %%
from digitlens.visualization.theme import diverging

kernel = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]], np.float32)


def convolve(picture, kernel):
    """What the kernel says at each place; outside the picture everything is 0."""
    padded = np.pad(picture, 1)
    height, width = picture.shape
    answer = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            answer[y, x] = (padded[y : y + 3, x : x + 3] * kernel).sum()
    return answer


picture = tile.astype(np.float32) / 255
upper_edges = convolve(picture, kernel)
left_edges = convolve(picture, kernel.T)

# %% [markdown]
# Two further steps are just as simple. **ReLU** replaces negative values by 0: a feature is there
# or it is not. **Max pooling** keeps the largest of each 2 × 2 values, which halves the sides of
# the map: the stroke is still there, but its exact position matters less.

# %%
rectified = np.maximum(upper_edges, 0)
pooled = rectified.reshape(14, 2, 14, 2).max(axis=(1, 3))

panels = {
    "tile": picture,
    "from above: kernel": upper_edges,
    "from the left: kernelᵀ": left_edges,
    "from above, ReLU": rectified,
    "and pooled, 14 × 14": pooled,
}
with inline(11, 2.7) as figure:
    for axes, (name, values) in zip(figure.subplots(1, 5), panels.items(), strict=True):
        axes.imshow(values, cmap=diverging(), vmin=-3, vmax=3, interpolation="nearest")
        axes.set_title(name, fontsize=11, weight="normal", pad=6)
        axes.set_xticks([])
        axes.set_yticks([])

# %% [markdown]
# Blue is positive, red negative. PyTorch does the same, but faster and for many pictures and
# kernels at once:

# %%
as_tensor, as_kernel = torch.from_numpy(picture)[None, None], torch.from_numpy(kernel)[None, None]
theirs = functional.conv2d(as_tensor, as_kernel, padding=1)
theirs_pooled = functional.max_pool2d(functional.relu(theirs), 2)

assert np.allclose(theirs[0, 0], upper_edges, atol=1e-5)
assert np.allclose(theirs_pooled[0, 0], pooled, atol=1e-5)
print("the same, up to rounding:", f"{np.abs(theirs[0, 0].numpy() - upper_edges).max():.1e}")

# %% [markdown]
# The nine numbers of this kernel were chosen by hand. In a network they start at random, and
# training finds values that help.

# %% [markdown]
# ## 4. Build the network
#
# This is the textbook network, after LeCun and others (1998): convolution, ReLU and pooling, twice,
# then two *dense* layers, in which every output is a weighted sum of all inputs. The last has ten
# outputs, one for each digit.
#
# In digitlens a network is described by a *recipe*: the layers and everything that determines how
# they are trained. A recipe is a plain value; there are no settings elsewhere.

# %%
from digitlens.training.recipe import Recipe
from digitlens.training.tasks.tile import one_network
from digitlens.training.tile_networks import count_parameters

recipe = Recipe(
    architecture="classic",
    widths=(8, 16),  # kernels in the first and in the second convolution
    kernels=(3,),  # each 3 x 3
    dense=64,  # units in the first dense layer
    dropout=0.25,
    learning_rate=0.003,
    batch_size=128,
    epochs=3,
    patience=2,
    seed=0,
)
torch.manual_seed(recipe.seed)
network = one_network(recipe).eval()

values = torch.from_numpy(images[:1])
print(f"{'layer':12}{'gives':>18}{'parameters':>13}")
print(f"{'tile':12}{'x'.join(map(str, values.shape[1:])):>18}{'':>13}")
for layer in network.body:
    values = layer(values)
    size = "x".join(map(str, values.shape[1:]))
    parameters = f"{count_parameters(layer):,}" if count_parameters(layer) else ""
    print(f"{type(layer).__name__:12}{size:>18}{parameters:>13}")
print(f"{'together':12}{'':>18}{count_parameters(network):>13,}")

# %% [markdown]
# Count the parameters of one layer: the second convolution has 16 kernels; each covers 8 maps with
# 3 × 3 numbers and has one more, its *bias*: 16 × (8 × 9 + 1) = 1,168. The first dense layer has by
# far the most, because each of its units is connected to all inputs.
#
# **Dropout** sets a random part of the values to 0, in training only. The network then cannot rely
# on any single one of them, which is a cheap way to prevent it from memorising tiles.
#
# ### Ten numbers to probabilities
#
# The last layer outputs ten numbers of any size, the *logits*. **Softmax** turns them into
# probabilities: e is raised to each of them, and the results are divided by their sum.
#
# **Cross-entropy** is the loss that training minimises: the negative logarithm of the probability
# assigned to the true label. Three made-up answers for a tile that shows a 7:

# %%
made_up = {
    "sure, and right": {7: 6.0},
    "torn between 1 and 7": {1: 3.0, 7: 3.0},
    "sure, and wrong": {1: 6.0},
}
for name, some in made_up.items():
    logits = torch.zeros(10)
    for digit, value in some.items():
        logits[digit] = value
    probabilities = torch.softmax(logits, 0)
    print(
        f"{name:22} p(1) = {probabilities[1]:.3f}  p(7) = {probabilities[7]:.3f}  "
        f"loss = {-torch.log(probabilities[7]):.3f}"
    )

# %% [markdown]
# Being wrong is expensive, and being *sure* and wrong is very expensive. A network that knows
# nothing assigns a tenth to each digit and has a loss of −ln 0.1 = 2.303. Ours is still untrained:

# %%
truth = torch.from_numpy(validation.labels).long()
with torch.inference_mode():
    parts = torch.from_numpy(validation.tiles).split(500)
    logits = torch.cat([network.eval()(part).float() for part in parts])
loss = torch.nn.functional.cross_entropy(logits, truth)
accuracy = (logits.argmax(dim=1) == truth).float().mean().item()
print(f"loss {loss:.3f}, accuracy {percent(accuracy)}")

# %% [markdown]
# ### One step of learning
#
# The loss is a function of all parameters. Its *gradient* tells for each parameter how the loss
# changes if the parameter grows a little. PyTorch computes it backwards through the layers, from
# the loss to the first kernel. A step of *gradient descent* then moves each parameter slightly in
# the direction in which the loss falls. Five steps with the same 128 tiles:

# %%
learner = one_network(recipe)
optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
batch = torch.from_numpy(training.tiles[:128])
truth = torch.from_numpy(training.labels[:128]).long()
for step in range(5):
    loss = functional.cross_entropy(learner(batch), truth)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step + 1}: loss {loss.item():.3f}")

# %% [markdown]
# That is the whole principle. Training repeats it many hundreds of times, each time with other
# tiles.
#
# The recipe uses **Adam** instead of plain descent. For each parameter, it keeps running means of
# the gradient and of its square, and divides the first by the root of the second: every parameter
# then moves by about the *learning rate*, regardless of the size of its gradients. The learning
# rate itself rises at first, while the averages settle, and falls to zero at the end, when only
# small corrections remain:

# %%
steps = recipe.epochs * -(-len(training) // recipe.batch_size)
with inline(7.5, 2.8) as figure:
    axes = figure.add_subplot()
    schedule = recipe.plan(len(training))
    rates = [schedule.learning_rate(step) for step in range(schedule.steps)]
    axes.plot(rates, color=theme().green, linewidth=2)
    axes.set_title("Learning rate: first up, then down along a cosine", pad=10)
    axes.set_xlabel(f"step, of {steps:,}")
    axes.grid(axis="y")

# %% [markdown]
# ## 5. Train it
#
# One pass over all training tiles is an *epoch*. After each, the network is evaluated on the
# validation tiles. The curves below are updated during training.
#
# The loop is `digitlens.training.loop.fit`; you can read it from top to bottom in one file. The run
# folder records the recipe, the data and the history, so that a run can be understood, or resumed,
# later.

# %%
from digitlens.training.loop import choose_device
from digitlens.training.run import MODEL, start_run
from digitlens.training.tasks.tile import train_classifier

run = FOLDER / "run"
start_run(run, "notebook", recipe, data_hashes(), choose_device().reason)
trained = train_classifier(recipe, training, validation, run, on_epoch=LiveCurves())

# %%
for row in trained.history:
    print(
        f"epoch {row['epoch']}: loss {row['train_loss']:.4f} in training and "
        f"{row['val_loss']:.4f} in validation, accuracy {percent(row['val_accuracy'], 2)}"
    )
print(f"kept: epoch {trained.best_epoch}; the averages were right for {percent(baseline)}")

# %% [markdown]
# The training loss is measured with dropout on and over the whole epoch, while the network was
# still worse, so it may be above the validation loss. That is not an error.
#
# ### When to stop
#
# Given time, a network memorises its training tiles. To see this happen, take only five hundred
# tiles, no dropout, and far too many epochs:

# %%
from digitlens.visualization.figures.curves import draw_curves

few = training.take(np.arange(500))
memorising = Recipe(
    widths=(8, 16), dense=64, dropout=0.0, learning_rate=0.003, schedule="constant", warmup=0.0,
    batch_size=50, epochs=30, patience=0,
)  # fmt: skip
by_heart = train_classifier(
    memorising, few, validation.take(np.arange(0, len(validation), 9)), FOLDER / "few"
)

show(draw_curves, by_heart.history)
last = by_heart.history[-1]
print(
    f"epoch {by_heart.best_epoch}: validation loss {by_heart.scores['val_loss']:.3f}; epoch "
    f"{last['epoch']}: training {last['train_loss']:.5f}, validation {last['val_loss']:.3f}"
)

# %% [markdown]
# The training loss keeps falling towards zero; the validation loss turns and rises. From there on
# the network gets more confident in its mistakes, which is called **overfitting**. **Early
# stopping** is the simple remedy: keep the weights of the epoch with the lowest validation loss,
# and stop when it has not fallen for a few epochs (`patience`).
#
# ### Change something and see
#
# What does a layer or a setting do? Change one thing and train again. Two caveats are often
# forgotten. The result depends on chance: initial weights, order of the tiles, dropout; so each
# variant below is trained three times, from three seeds. And a difference that is not clearly
# larger than the spread over seeds is no difference. To save time, all variants use only 1,000
# tiles, for six epochs.

# %%
from dataclasses import replace

some = training.take(np.arange(0, len(training), len(training) // 1000)[:1000])
checked = validation.take(np.arange(0, len(validation), 6))
usual = replace(recipe, epochs=6, patience=0)
variants = {
    "as above": usual,
    "a quarter of the kernels": replace(usual, widths=(2, 4)),
    "kernels of 5 x 5": replace(usual, kernels=(5,)),
    "a tenth of the learning rate": replace(usual, learning_rate=0.0003),
}
results = {}
for number, (name, variant) in enumerate(variants.items()):
    results[name] = [
        train_classifier(
            replace(variant, seed=seed), some, checked, FOLDER / f"variant-{number}-{seed}"
        ).scores["val_accuracy"]
        for seed in range(3)
    ]  # fmt: skip

print(f"{'':32}{'errors':>8}  sd of three   each")
for name, scores in results.items():
    errors = 100 * (1 - np.array(scores))
    each = "  ".join(f"{error:.2f}" for error in errors)
    print(f"{name:32}{errors.mean():6.2f} %  {errors.std(ddof=1):6.2f}        {each}")

# %% [markdown]
# Compare a row with the spread in the others before you believe it. These are also scores after a
# short training on few tiles: what helps here may not help with all of them, and vice versa.
# `digitlens train --recipe classic --set kernels=5 --set epochs=10` does the same in a terminal,
# and `digitlens train --fields` lists everything that can be changed.

# %% [markdown]
# ## 6. How good is it?
#
# Everything is decided; now the test set, once. `evaluate` knows nothing about networks: it accepts
# a function from tiles to probabilities.

# %%
from digitlens.evaluation.report import evaluate
from digitlens.training.tile_networks import predict_logits


def predict_proba(tiles):
    """Probabilities of the ten digits, float32[N, 10]."""
    return torch.softmax(predict_logits(trained.network, torch.from_numpy(tiles)), 1).numpy()


report = evaluate(predict_proba, mnist.test, data_name="MNIST test")
low, high = report.interval
print(f"{report.score.errors} wrong of {report.n:,}: accuracy {percent(report.accuracy, 2)}")
print(f"with 95 % confidence from {percent(low, 2)} to {percent(high, 2)}")
by_averages = np.mean(nearest_average(mnist.test.tiles) == mnist.test.labels)
print(f"the nearest average: {percent(float(by_averages), 2)}")

# %% [markdown]
# The interval shows how precise ten thousand tiles are: another ten thousand, from similar writers,
# would give a slightly different number. For comparing two networks there is a sharper method, tile
# by tile: `digitlens compare`.
#
# One number hides much. **Precision**: what fraction of the tiles read as a 7 is a 7? **Recall**:
# what fraction of all 7s was read as a 7? F1 is their harmonic mean.

# %%
print("digit  precision  recall      F1   tiles")
for row in report.classes:
    print(f"{row.digit:5}{row.precision:11.2%}{row.recall:8.2%}{row.f1:8.2%}{row.support:8,}")

# %% [markdown]
# The **confusion matrix** shows which digits are mistaken for which: rows are the truth, columns
# the predictions.

# %%
from digitlens.visualization.figures.scores import draw_confusion

show(draw_confusion, report)

# %% [markdown]
# And these are the mistakes, the most confident first, each with the truth, the prediction and the
# confidence. A star marks a label known to be wrong: people who were asked later disagreed with it.

# %%
from digitlens.visualization.figures.scores import draw_wrong

show(draw_wrong, report, mnist.test.tiles, most=40)
clean = report.without_label_errors
print(f"without the {report.n - clean.n} wrong labels: {percent(clean.accuracy, 2)}")

# %% [markdown]
# Some you could not read yourself; others are plainly wrong. Note the confidences: the network is
# often sure of its mistakes. Is it overconfident?
#
# **Calibration**: of all answers given with about 90 % confidence, about 90 % should be right. The
# expected calibration error is the mean deviation from that.

# %%
sure = report.confidence >= 0.99
right = report.predicted == report.labels
print(f"expected calibration error: {percent(report.ece, 2)}")
print(f"at least 99 % sure: {sure.sum():,} tiles, {percent(right[sure].mean(), 2)} of them right")
print(f"less sure: {(~sure).sum():,} tiles, {percent(right[~sure].mean(), 2)} of them right")

# %% [markdown]
# That is good news: if a person checks the few unsure tiles, very few mistakes remain. It holds
# only for tiles like these, as we will see.

# %% [markdown]
# ## 7. Save, load, export
#
# A saved model is a folder: the graph of the network in ONNX, a format that programs in many
# languages can run; a card that records its name, its training data and its results; and the
# weights for PyTorch. Nothing in it is pickled, so opening a stranger's model does not run a
# stranger's code.
#
# Two things happen during the export. A *temperature*, by which all logits are divided, is fitted
# to the validation tiles: it improves the confidences and changes no prediction. And the exported
# graph is compared with the network on real tiles; if they disagree, nothing is written.

# %%
from digitlens.models.bundle import Card
from digitlens.training.export import export_classifier

card = Card("notebook", digitlens.__version__, "", recipe=recipe.as_dict(), data=data_hashes())
card = export_classifier(trained.network, card, validation, run / MODEL)

for path in sorted(path for path in run.rglob("*") if path.is_file()):
    print(f"{path.stat().st_size:>9,} bytes  {path.relative_to(FOLDER)}")
print(f"temperature {card.temperature:.3f}")

# %% [markdown]
# Loading the model does not need PyTorch. `Classifier` checks the hashes and runs the graph; so do
# a few lines of onnxruntime. All three give the same answers.

# %%
from digitlens.models.classifier import Classifier

classifier = Classifier(run)
by_classifier = classifier.predict_proba(validation.tiles[:1000])

session = onnxruntime.InferenceSession(run / MODEL / "model.onnx")
(by_onnxruntime,) = session.run(["probabilities"], {"tiles": validation.tiles[:1000]})

logits = predict_logits(trained.network, torch.from_numpy(validation.tiles[:1000]))
by_torch = torch.softmax(logits / card.temperature, 1).numpy()

assert np.allclose(by_classifier, by_onnxruntime, atol=1e-4)
assert np.allclose(by_classifier, by_torch, atol=1e-4)
print(f"largest difference to PyTorch: {np.abs(by_classifier - by_torch).max():.1e}")

# %% [markdown]
# ## 8. Your own picture
#
# Your network gets nearly all of the test set right. Now try it on four pictures: a drawing, a
# small digit in a corner, one written with a thin pen, and a number in blue ink under a shadow.

# %%
from digitlens.imaging.image import load_image

names = ("drawing.png", "corner.png", "thin.jpg", "note.jpg")
pages = {name: load_image(EXAMPLES / name) for name in names}
with inline(11, 3.0) as figure:
    for axes, (name, page) in zip(figure.subplots(1, 4), pages.items(), strict=True):
        axes.imshow(page, cmap="gray", vmin=0, vmax=255)
        axes.set_title(name, fontsize=11, weight="normal", pad=6)
        axes.set_axis_off()

# %% [markdown]
# The network expects 28 × 28 pixels, bright on dark. So we shrink each picture to 28 × 28 and
# invert it, as is often done:


# %%
def shrunk(page):
    """A picture brought to 28 x 28 pixels in the naive way: uint8[28, 28], bright on dark."""
    return 255 - np.asarray(Image.fromarray(page).convert("L").resize((28, 28)))


def answers(tiles):
    """For each tile the most probable digit, and its probability, as text."""
    found = classifier.predict_proba(tiles)
    return [f"{row.argmax()}, {percent(min(float(row.max()), 0.999))}" for row in found]


naive = np.stack([shrunk(page) for page in pages.values()])
texts = [f"{name}\n{text}" for name, text in zip(pages, answers(naive), strict=True)]
show_tiles(naive, texts, columns=4, side=2.2)

# %% [markdown]
# Look at the tiles first. Would you know what they show? The digit in the corner is a speck, the
# thin pen has almost vanished, the paper is not black, and four digits get a single answer. The
# network does not complain. It has ten outputs, and softmax makes them sum to 1 for any input.
#
# MNIST's digits were not shrunk like this. Each was cropped, scaled until its longer side had 20
# pixels, and placed with its centre of mass in the middle of 28 × 28. To get accuracy like that on
# MNIST, you must do the same: find the ink, crop, scale, centre. `to_tile` does the last three, and
# brings very thin and very thick strokes to usual widths.

# %%
from digitlens.imaging.tiles import to_tile


def ink_of(page):
    """What is clearly darker than the paper: uint8[H, W], 255 where it is darkest."""
    gray = np.asarray(Image.fromarray(page).convert("L")).astype(np.float32)
    darker = np.clip(np.median(gray) - gray, 0, None)
    darker[darker < 0.4 * darker.max()] = 0
    return (255 * darker / darker.max()).astype(np.uint8)


framed = np.stack([to_tile(ink_of(page)) for page in pages.values()])
texts = [f"{name}\n{text}" for name, text in zip(pages, answers(framed), strict=True)]
show_tiles(framed, texts, columns=4, side=2.2)

# %% [markdown]
# The same network, the same pictures: the single digits now look like MNIST's and are read
# correctly. The number is still four digits in one tile, because no step has located them yet; any
# answer is wrong, however confident.
#
# *Finding* digits on a page, among lines, shadows and other things, is the harder half of the task.
# digitlens has a second kind of network for it, which processes whole pages and was trained on
# generated pages; `digitlens.read` puts everything together. It uses the models that come with
# digitlens, not the one that you have just trained.

# %%
from digitlens.visualization.overlay import draw_reading

for path in sorted(EXAMPLES.glob("*.[jp][pn]g")):
    texts = [number.text for number in digitlens.read(path).numbers]
    print(f"{path.name:12} {', '.join(texts) or 'nothing'}")
show_page(draw_reading(pages["note.jpg"], digitlens.read(pages["note.jpg"])), width=620)

# %%
ruled = load_image(EXAMPLES / "ruled.jpg")
show_page(draw_reading(ruled, digitlens.read(ruled)), width=620)

# %% [markdown]
# A blank page gives no number, which is a valid result. And sometimes the right answer is "not
# sure". Here a 1 turns into a 7, step by step:


# %%
def one_or_seven(bar):
    """A stroke with a bar of so many pixels at its top: uint8[320, 320], dark on bright."""
    paper = Image.new("L", (320, 320), 255)
    stroke = [(200 - bar, 80), (200, 80), (170, 260)]
    ImageDraw.Draw(paper).line(stroke, fill=0, width=16, joint="curve")
    return np.asarray(paper)


bars = (0, 20, 40, 60)
with inline(11, 3.0) as figure:
    for axes, bar in zip(figure.subplots(1, 4), bars, strict=True):
        drawn = one_or_seven(bar)
        (digit,) = digitlens.read(drawn).digits
        axes.imshow(drawn, cmap="gray", vmin=0, vmax=255)
        colour = theme().red if digit.status == "unsure" else theme().ink
        text = f"{digit.value}, {digit.percent} %: {digit.status}"
        axes.set_title(text, fontsize=11, color=colour, pad=6)
        axes.set_axis_off()
        if digit.reason:
            print(f"bar of {bar} pixels: {digit.reason}")

# %% [markdown]
# ## 9. What the network sees
#
# Back to the network that you trained. Nobody told it what to look for. These are the kernels of
# its first convolution, the counterparts of the hand-made one in part 3; some have become edge
# detectors on their own.

# %%
from digitlens.models.layers import activations, filters
from digitlens.visualization.figures.inside import draw_filters

graph = (run / MODEL / "model.onnx").read_bytes()
show(draw_filters, filters(graph))

# %% [markdown]
# Each kernel turns a tile into a map of where its pattern occurs. The second convolution looks for
# patterns in these maps, and so on: the deeper the layer, the smaller the maps, and the harder to
# interpret.

# %%
from digitlens.visualization.figures.inside import draw_feature_maps

chosen = int(np.flatnonzero(validation.labels == 4)[0])
show(draw_feature_maps, validation.tiles[chosen], activations(graph, validation.tiles[chosen]))

# %% [markdown]
# ### Which ink decided?
#
# Cover a small patch of the tile and classify it again: if the odds of the answer fall, the covered
# part was evidence for it. Or use gradients, as in training, but with respect to the pixels instead
# of the parameters: they show how much each pixel's ink contributes to the answer. Both are shown
# below for a mistake of the network on the validation tiles: blue is evidence for its answer, red
# against it.

# %%
from digitlens.explain.evidence import integrate_gradients, occlude
from digitlens.visualization.figures.inside import draw_saliency

by_network = classifier.predict_proba(validation.tiles)
mistakes = np.flatnonzero(by_network.argmax(axis=1) != validation.labels)
torn = mistakes[np.argsort(by_network[mistakes].max(axis=1))[len(mistakes) // 2]]
doubtful, answer = validation.tiles[torn], int(by_network[torn].argmax())
maps = {
    "covering": occlude(classifier.predict_proba, doubtful, answer),
    "gradients": integrate_gradients(trained.network, doubtful, answer),
}
show(draw_saliency, doubtful, answer, by_network[torn], maps, truth=int(validation.labels[torn]))

# %% [markdown]
# Such maps show where the evidence is, not whether it is good evidence. They are easily
# overinterpreted.
#
# ### A map of digits
#
# The inputs of the last layer are 64 numbers for each tile, its *features*. In them the network
# groups tiles that it considers the same digit, regardless of style. To draw 64 dimensions on a
# flat page, *principal components* rotate the cloud so that its broadest side is visible.

# %%
from digitlens.explain.evidence import project
from digitlens.visualization.figures.inside import draw_embedding

seen = np.arange(0, len(validation), 6)
points = project(classifier.outputs(validation.tiles[seen]).features)
read_as = by_network[seen].argmax(axis=1)
show(draw_embedding, points, validation.labels[seen], read_as, validation.tiles[seen])

# %% [markdown]
# Two of 64 dimensions do not show everything: groups that overlap here may be well separated in
# another direction. Nearest neighbours use all of them. These are mistakes of the network on the
# validation tiles, each followed by the training tiles with the most similar features: often you
# can see what misled the network.

# %%
from digitlens.explain.evidence import find_nearest

known = training.take(np.arange(0, len(training), 3))
wrong = mistakes[:4]
asked_about = classifier.outputs(validation.tiles[wrong]).features
near = find_nearest(asked_about, classifier.outputs(known.tiles).features, 7)
tiles, texts, red = [], [], []
for row, neighbours in zip(wrong, near.indices, strict=True):
    tiles += [validation.tiles[row], *known.tiles[neighbours]]
    texts += [f"{validation.labels[row]} → {by_network[row].argmax()}"]
    texts += [str(label) for label in known.labels[neighbours]]
    red += [True] + [False] * len(neighbours)
show_tiles(np.stack(tiles), texts, columns=8, red=red)

# %% [markdown]
# ## 10. What goes wrong, and why
#
# A network learns what it is shown, and nothing else. Ours has never seen a digit at the edge, a
# large one, a thick one or a noisy one. Its answers for these are left to chance:


# %%
from digitlens.datasets.corruptions import sweep


def noisy(tiles, amount):
    """Tiles with Gaussian noise of this standard deviation, as a share of full ink."""
    noise = np.random.default_rng(0).normal(0, 255 * amount, tiles.shape)
    return np.clip(tiles + noise, 0, 255).astype(np.uint8)


one = validation.tiles[chosen][None]
rows = [
    *(sweep(one, "shift", pixels) for pixels in (0, 2, 4, 6)),
    *(sweep(one, "scale", factor) for factor in (0.5, 0.7, 1.0, 1.3)),
    *(sweep(one, "thickness", pixels) for pixels in (-1.5, 0, 2, 4)),
    *(noisy(one, amount) for amount in (0, 0.2, 0.4, 0.6)),
]
changed = np.concatenate(rows)
found = classifier.predict_proba(changed).argmax(axis=1)
names = [
    *(f"moved by {pixels}" for pixels in (0, 2, 4, 6)),
    *(f"size x {factor}" for factor in (0.5, 0.7, 1.0, 1.3)),
    *(f"strokes {pixels:+g}" for pixels in (-1.5, 0, 2, 4)),
    *(f"noise {amount}" for amount in (0, 0.2, 0.4, 0.6)),
]
texts = [f"{name}\n{text}" for name, text in zip(names, answers(changed), strict=True)]
show_tiles(changed, texts, columns=8, red=(found != validation.labels[chosen]).tolist())

# %% [markdown]
# One tile is an anecdote. Here are 300 tiles of the test set, with your network and the classifier
# that comes with digitlens (no decision is based on this; it is only a measurement):

# %%
asked = mnist.test.take(np.arange(0, 9_900, 33))
shipped = Classifier()
sweeps = {
    "moved by, pixels": ("shift", np.arange(0, 8, 1)),
    "size, times the usual": ("scale", np.arange(0.4, 1.5, 0.2)),
    "change of stroke width, pixels": ("thickness", np.arange(-2, 5, 1.0)),
    "noise, share of full ink": ("", np.arange(0, 0.8, 0.1)),
}


def accuracy(model, tiles):
    """Share of the asked tiles that is answered right."""
    return float(np.mean(model.predict_proba(tiles).argmax(axis=1) == asked.labels))


curves = {}
for axis, (name, amounts) in sweeps.items():
    changed = [
        sweep(asked.tiles, name, float(amount)) if name else noisy(asked.tiles, amount)
        for amount in amounts
    ]
    curves[axis] = [
        [accuracy(model, tiles) for tiles in changed] for model in (classifier, shipped)
    ]

with inline(11, 3.4) as figure:
    plots = figure.subplots(1, 4, sharey=True)
    for axes, (axis, (_, amounts)) in zip(plots, sweeps.items(), strict=True):
        yours, theirs = curves[axis]
        axes.plot(amounts, theirs, "s-", color=theme().orange, label="comes with digitlens")
        axes.plot(amounts, yours, "o-", color=theme().blue, label="trained in this notebook")
        axes.set_xlabel(axis)
        axes.set_ylim(0, 1.03)
        axes.grid(axis="y")
    plots[0].set_ylabel("accuracy")
    figure.legend(*plots[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)

# %% [markdown]
# The other network is larger, and it has seen more: its tiles were randomly moved, rotated, scaled,
# slanted, bent, thickened, blurred and degraded during training (`digitlens train --recipe default
# --fields` lists by how much). That is called **augmentation**. It was not trained for digits at
# the very edge: centring a digit, as in part 8, is easier than learning all possible positions.
#
# ### A letter is not a digit
#
# The last mistake is built in. The network has ten answers, and "none of these" is not among them:

# %%
letters = "ABEHTZgq?&"


def written(letter):
    """A letter on paper: uint8[320, 320], dark on bright."""
    paper = Image.new("L", (320, 320), 255)
    ImageDraw.Draw(paper).text((160, 160), letter, 0, ImageFont.load_default(200), anchor="mm")
    return np.asarray(paper)


strange = np.stack([to_tile(255 - written(letter)) for letter in letters])
show_tiles(strange, answers(strange), columns=10, red=[True] * 10)

# %% [markdown]
# Softmax tells which digit the tile would be *if it were one*, often with high confidence. The
# classifier that comes with digitlens was also trained on letters, shapes and scribbles, and has an
# eleventh class for them, so it can estimate how likely a tile shows a digit at all. And
# `digitlens.read` uses two further networks, which see more of the picture than a tile.

# %%
is_digit = shipped.outputs(strange).digit
print(f"{'':4}{'yours':>14}{'a digit? (tile)':>18}   digitlens.read")
for letter, text, share in zip(letters, answers(strange), is_digit, strict=True):
    found = [digit for line in digitlens.read(written(letter)).lines for digit in line]
    says = "; ".join(digit.reason or f"a {digit.value}" for digit in found) or "nothing there"
    print(f"{letter:4}{text:>14}{percent(float(share), 0):>18}   {says}")
kept = shipped.outputs(asked.tiles).digit > 0.5
print(f"of {len(asked)} digits of MNIST, the classifier takes {kept.sum()} for digits")

# %% [markdown]
# None of this is a complete solution. A tile of a Z hardly differs from one of an angular 2; from
# the tile alone nobody can tell. The remedies are the same as before: show a network more during
# training, and give it more context in use.
#
# ### Takeaways
#
# * Look at the data first, and at the mistakes afterwards.
# * Keep three splits. Split by what will be new in use: here, people.
# * A score needs its number of cases, an interval, and the spread over seeds.
# * Training and use must see the same kind of input. Most failures in practice come from a
#   difference, and no score on the test set shows them.
# * A confidence holds for inputs like those it was calibrated on.
#
# ### Where to go next
#
# * Train a better network: `digitlens train --recipe standard`, or watch the training with
#   `digitlens train --recipe classic --watch`. `digitlens report runs/classic-1` then puts all
#   results on one page. The [log](../docs/LOG.md) records what helped and what did not.
# * Read your own pictures with `digitlens read photo.jpg`, get explanations with `digitlens explain
#   photo.jpg`, or draw on the page of `digitlens serve`.
# * [How digitlens works](../docs/how-it-works.md) shows how a whole page is read. Step-by-step
#   guides explain how to train with [your own data](../docs/how-to/own-data.md) or [your own
#   architecture](../docs/how-to/own-architecture.md).
# * Search for better settings with `digitlens tune`, measure a model's robustness with `digitlens
#   robustness`. The [README](../README.md) has more on both.

# %%
temporary.cleanup()
