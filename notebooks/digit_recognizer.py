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
# In the next minutes you train a network that reads handwritten digits, find out how good it is,
# and then watch it fail on a photo, because a photo is not what it has learned from. After that you
# see what a reader of photos does differently, and look inside the network.
#
# You need to know a little Python. You need not have trained a network before.
#
# Every number that this page states about *this* network is computed by a cell above or below it.
# If you run the notebook yourself (`pip install 'digitlens[notebook]'`, from a copy of the
# repository), the numbers may differ a little from those here. On two cores it takes a minute or
# two, most of it training.
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
# MNIST is a collection of 70,000 digits, written by employees of the census bureau of the United
# States and by high-school students, scanned and brought to one size. It is old, small and much
# used, which makes it a good place to learn: whatever you do can be compared with what others did.
#
# `load_mnist` looks for it in a folder that you name, in its cache, and on public mirrors. Wherever
# it comes from, it must have the right content: the SHA-256 of each file is checked, and one that
# differs in a single bit is refused.

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
# says which digit the writer meant. Here is the first tile, as the computer has it: dots stand for
# 0.

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
# One digit says little about sixty thousand. Here are a dozen of each, drawn at random, with the
# number of all of them at the right.

# %%
from digitlens.visualization.sheets import draw_samples

training_set = mnist.train
show_page(np.asarray(draw_samples(training_set, per_digit=12, seed=0)), width=760)

# %% [markdown]
# The classes are about equally frequent, so that accuracy, the share of right answers, is a fair
# score: who always says the most frequent digit is hardly better than a die with ten sides.

# %%
counts = np.bincount(training_set.labels)
print("tiles of each digit:", dict(enumerate(counts.tolist())))
print(f"always saying {counts.argmax()} is right for {percent(counts.max() / counts.sum())}")

# %% [markdown]
# Look at the odd ones before you train, always. Above the tile of each digit with the least ink,
# below it the one with the most. Each of these was meant as a digit, and counts as much as a neat
# one.

# %%
ink = training_set.tiles.mean(axis=(1, 2))
extremes = [
    rows[np.argsort(ink[rows])[place]]
    for place in (0, -1)
    for rows in (np.flatnonzero(training_set.labels == digit) for digit in range(10))
]
show_tiles(training_set.tiles[extremes], [f"a {training_set.labels[row]}" for row in extremes])

# %% [markdown]
# ### Three piles
#
# A network can learn tiles by heart. What it says about tiles that it has learned from therefore
# proves nothing; it has to be asked about others. We make three piles:
#
# * **training** tiles, to learn from;
# * **validation** tiles, to decide with: when to stop, and which of two networks is better;
# * **test** tiles, to measure with, once, when everything is decided. Whoever decides by the test
#   set learns from it, and then it proves nothing either.
#
# MNIST keeps the test set apart. Validation tiles we take from the other sixty thousand, and we
# take whole *writers*. Here is why: each row shows the sevens of one writer.

# %%
from digitlens.datasets.mnist import load_writers

writers = load_writers().train_writer
sevens = np.flatnonzero(training_set.labels == 7)
names, frequency = np.unique(writers[sevens], return_counts=True)
busy = names[frequency >= 10][[4, 12, 20, 33]]
rows = np.concatenate([sevens[writers[sevens] == name][:10] for name in busy])
show_tiles(training_set.tiles[rows])

# %% [markdown]
# A hand repeats itself. If nine sevens of a writer were in training and the tenth in validation,
# the network would be praised for knowing a hand. We want to know how it does with people whom it
# has never met, so no writer is on both sides. (Nor is any writer of the test set in the training
# set.)

# %%
from digitlens.datasets.mnist import split_validation

training, validation = split_validation(training_set, "writer", fraction=0.1, seed=0)
print(f"{len(training):,} tiles to train with, {len(validation):,} to validate with")

# %% [markdown]
# ### How far do you get without a network?
#
# Average all zeros, all ones, and so on. To read a tile, say which average it is nearest to. That
# takes no learning worth the name, and gives the score to beat.

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
# Far better than a die, and of little use to anyone who reads numbers. The averages are blurred
# because people write the same digit in different places, slants and widths. We need something that
# does not care so much *where* a stroke is.

# %% [markdown]
# ## 2. Normalise and reshape
#
# Bytes are good for storing and bad for computing: they have no fractions, no negative numbers, and
# wrap around at 256.

# %%
bytes_ = np.array([200, 100], np.uint8)
print("200 + 100 as bytes:", (bytes_[:1] + bytes_[1:])[0])

# %% [markdown]
# So pixels become floating-point numbers. They are then shifted and scaled so that over the
# training set their mean is 0 and their standard deviation 1. Networks learn from any scale in
# principle; but their first weights are drawn for inputs of about this size, and steps of one
# length then suit all layers. Mean and deviation are taken from the *training* tiles alone, as
# everything that is learned.
#
# A network for pictures wants one more axis: channels. A colour photo has three, ours one. The
# usual order is [number of pictures, channels, rows, columns].

# %%
pixels = training.tiles.astype(np.float32) / 255
mean, deviation = float(pixels.mean()), float(pixels.std())
images = ((pixels - mean) / deviation)[:, np.newaxis]
print(f"mean {mean:.4f}, standard deviation {deviation:.4f}")
for name, array in (("before", training.tiles), ("after", images)):
    print(f"{name:6} {array.shape} {array.dtype}, {array.nbytes / 1e6:.0f} MB")
print(f"now mean {images.mean():.4f}, standard deviation {images.std():.4f}")

# %% [markdown]
# A frequent mistake is to normalise in one way while training and in another when the network is
# used, or to forget it: nothing fails, the answers are only worse. digitlens leaves no room for it:
# mean and deviation are *inside* the network, and whoever holds the network, or a file exported
# from it, feeds bytes. This is the very code:

# %%
from digitlens.training.tile_networks import MEAN, SD, DigitNetwork

print(inspect.getsource(DigitNetwork.features))
print(f"MEAN, SD = {MEAN}, {SD}, of all 60,000 training tiles")

# %% [markdown]
# ## 3. A convolution by hand
#
# A *convolution* slides a small window over the picture, here 3 × 3 pixels. At each place it
# multiplies the nine pixels by nine fixed numbers, the *kernel*, and adds them up. That is all.
#
# This kernel asks: is it darker above and brighter below? Its answer is large where a stroke begins
# when you come from above, negative where it ends, and 0 on plain paper.

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
# Two further steps are as simple. **ReLU** replaces what is negative by 0: a feature is there or it
# is not. **Max pooling** keeps the largest of each 2 × 2 values, so that the map has half the side:
# the stroke is still there, but where exactly matters less.

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
# Blue is positive, red negative. PyTorch does the same, only faster and for many pictures and
# kernels at once:

# %%
as_tensor, as_kernel = torch.from_numpy(picture)[None, None], torch.from_numpy(kernel)[None, None]
theirs = functional.conv2d(as_tensor, as_kernel, padding=1)
theirs_pooled = functional.max_pool2d(functional.relu(theirs), 2)

assert np.allclose(theirs[0, 0], upper_edges, atol=1e-5)
assert np.allclose(theirs_pooled[0, 0], pooled, atol=1e-5)
print("the same, up to rounding:", f"{np.abs(theirs[0, 0].numpy() - upper_edges).max():.1e}")

# %% [markdown]
# I chose the nine numbers of this kernel. In a network nobody does: they start at random, and
# training finds those that help.

# %% [markdown]
# ## 4. Build the network
#
# The network is the textbook's, after LeCun and others (1998): twice convolution, ReLU and pooling,
# then two *dense* layers, in which every output is a weighted sum of all inputs. The last has ten
# outputs, one for each digit.
#
# In digitlens a network is described by a *recipe*: the layers and all that decides how they are
# trained. A recipe is a value; nothing else is hidden elsewhere.

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
# Count one of them: the second convolution has 16 kernels, each looks at 8 maps through 3 × 3
# numbers and adds one more, its *bias*: 16 × (8 × 9 + 1) = 1,168. The first dense layer has by far
# the most, because each of its units looks at everything.
#
# **Dropout** sets a random part of the values to 0, in training only. The network cannot then rely
# on any single one of them, which is a cheap way to keep it from learning tiles by heart.
#
# ### Ten numbers to probabilities
#
# The last layer gives ten numbers of any size, the *logits*. **Softmax** turns them into
# probabilities: e is raised to each of them, and the results are divided by their sum.
#
# **Cross-entropy** is the loss that training makes small: minus the logarithm of the probability
# that was given to the truth. Three made-up answers about a tile that shows a 7:

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
# To be wrong is expensive, and to be *sure* and wrong very expensive. A network that knows nothing
# gives each digit a tenth and has a loss of −ln 0.1 = 2.303. Ours is new, and knows nothing:

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
# The loss is a function of all parameters. Its *gradient* says, for each of them, how the loss
# changes if this one grows a little. PyTorch computes it by going back through the layers, from the
# loss to the first kernel. A step of *gradient descent* then changes each parameter a little in the
# direction in which the loss falls. Five steps with the same 128 tiles:

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
# That is the whole trick. Training repeats it many hundred times, each time with other tiles.
#
# The recipe uses **Adam** instead of plain descent. It keeps, for each parameter, a running mean of
# its gradient and of its gradient's square, and divides the first by the root of the second: every
# parameter then moves by about the *learning rate*, however large or small its gradients happen to
# be. The learning rate itself rises at first, while the averages settle, and falls to zero in the
# end, when only small corrections are left to make:

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
# One pass over all training tiles is an *epoch*. After each, the network answers the validation
# tiles. The curves below move while it learns.
#
# The loop is `digitlens.training.loop.fit`, to be read from top to bottom in one file. The run
# folder keeps what was trained, from what, and how it went, so that a run can be understood, or
# gone on with, later.

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
# The training loss counts with dropout switched on and over the whole epoch, while the network was
# still worse; so it may well be above the validation loss. That is no mistake.
#
# ### When to stop
#
# Given time, a network learns its training tiles by heart. To see it happen, take five hundred
# tiles only, no dropout, and far too many epochs:

# %%
from digitlens.visualization.figures.curves import draw_curves

few = training.take(np.arange(500))
memorising = Recipe(
    widths=(8, 16), dense=64, dropout=0.0, learning_rate=0.003, schedule="constant", warmup=0.0,
    batch_size=50, epochs=30, patience=0,
)  # fmt: skip
by_heart = train_classifier(
    memorising, few, validation.take(np.arange(0, len(validation), 3)), FOLDER / "few"
)

show(draw_curves, by_heart.history)
last = by_heart.history[-1]
print(
    f"epoch {by_heart.best_epoch}: validation loss {by_heart.scores['val_loss']:.3f}; epoch "
    f"{last['epoch']}: training {last['train_loss']:.5f}, validation {last['val_loss']:.3f}"
)

# %% [markdown]
# The training loss goes on falling, towards zero; the validation loss turns and rises. From there
# on the network gets surer of its mistakes, which is called **overfitting**. **Early stopping** is
# the plain remedy: keep the weights of the epoch with the lowest validation loss, and stop when it
# has not fallen for a few epochs (`patience`).
#
# ### Change something and see
#
# What does a layer do, or a setting? Change one thing and train again. Two caveats, both often
# forgotten. The result depends on chance: first weights, order of the tiles, dropout; so each
# variant below is trained three times, from three seeds. And a difference that is not clearly
# larger than the scatter of these is no difference. To save time, all see only 1,500 tiles, for six
# epochs.

# %%
from dataclasses import replace

some = training.take(np.arange(0, len(training), len(training) // 1500)[:1500])
checked = validation.take(np.arange(0, len(validation), 4))
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
# Compare a row with the scatter in the others before you believe it. And these are scores after a
# short training on few tiles: what helps here may not help with all of them, and the other way
# round. `digitlens train --recipe classic --set kernels=5 --set epochs=10` is the same in a
# terminal, and `digitlens train --fields` lists all that can be changed.

# %% [markdown]
# ## 6. How good is it?
#
# Everything is decided; now the test set, once. `evaluate` knows nothing of networks: it is handed
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
# The interval says what ten thousand tiles can tell: another ten thousand, of other writers like
# these, would give a somewhat other number. To tell two networks apart there is a sharper way, tile
# by tile: `digitlens compare`.
#
# One number hides much. **Precision**: of the tiles read as a 7, which share is a 7? **Recall**: of
# all 7s, which share was read as one? F1 is their harmonic mean.

# %%
print("digit  precision  recall      F1   tiles")
for row in report.classes:
    print(f"{row.digit:5}{row.precision:11.2%}{row.recall:8.2%}{row.f1:8.2%}{row.support:8,}")

# %% [markdown]
# The **confusion matrix** shows which digits are taken for which: rows are the truth, columns the
# answers.

# %%
from digitlens.visualization.figures.scores import draw_confusion

show(draw_confusion, report)

# %% [markdown]
# And these are the mistakes, the surest first, each with the truth, what it was read as, and how
# sure the network was. A star marks a label that is known to be wrong: people who were asked later
# did not agree with it.

# %%
from digitlens.visualization.figures.scores import draw_wrong

show(draw_wrong, report, mnist.test.tiles, most=40)
clean = report.without_label_errors
print(f"without the {report.n - clean.n} wrong labels: {percent(clean.accuracy, 2)}")

# %% [markdown]
# Some you could not read yourself; others are plainly wrong. Note the confidences: the network is
# often sure of its mistakes. Is it sure too often?
#
# **Calibration**: of all answers given with about 90 % confidence, about 90 % should be right. The
# expected calibration error is the mean distance from that.

# %%
sure = report.confidence >= 0.99
right = report.predicted == report.labels
print(f"expected calibration error: {percent(report.ece, 2)}")
print(f"at least 99 % sure: {sure.sum():,} tiles, {percent(right[sure].mean(), 2)} of them right")
print(f"less sure: {(~sure).sum():,} tiles, {percent(right[~sure].mean(), 2)} of them right")

# %% [markdown]
# That is good news: whoever hands the unsure few to a person is left with very few mistakes. It
# holds for tiles like these only, as we will see.

# %% [markdown]
# ## 7. Save, load, export
#
# What is kept is a folder: the graph of the network in ONNX, a format that programs in many
# languages can run; a card that says what it is, from what it was trained and how good it is; and
# the weights for PyTorch. Nothing in it is pickled, so that a model of somebody else can be opened
# without running somebody else's code.
#
# Two things happen on the way. A *temperature*, by which all logits are divided, is fitted to the
# validation tiles: it makes confidences fit better and changes no answer. And the exported graph is
# compared with the network on real tiles; if they differ, nothing is written.

# %%
from digitlens.models.bundle import Card
from digitlens.training.export import export_classifier

card = Card("notebook", digitlens.__version__, "", recipe=recipe.as_dict(), data=data_hashes())
card = export_classifier(trained.network, card, validation, run / MODEL)

for path in sorted(path for path in run.rglob("*") if path.is_file()):
    print(f"{path.stat().st_size:>9,} bytes  {path.relative_to(FOLDER)}")
print(f"temperature {card.temperature:.3f}")

# %% [markdown]
# Loading it takes no PyTorch. `Classifier` checks the hashes, and runs it; four lines of
# onnxruntime do too. All three give the same answers.

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
# Your network gets nearly all of the test set right. Let us give it four pictures: a drawing, a
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
# The network wants 28 × 28 pixels, bright on dark. So we shrink each picture to 28 × 28 and turn it
# around, as is often done:


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
# Look at the tiles first. Would you know what they show? The corner's digit is a speck, the thin
# pen has all but vanished, the paper is not black, and of four digits one answer is made. The
# network does not complain. It has ten answers, and softmax makes them sum to 1, whatever it is
# shown.
#
# MNIST's digits were not shrunk like this. Each was cut out, scaled until its longer side had 20
# pixels, and laid so that its centre of mass is in the middle of 28. Who wants answers like those
# on MNIST must do the same: find the ink, cut it out, scale, centre. The last three is what
# `to_tile` does, and it brings very thin and very thick strokes to usual ones.

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
# The same network, the same pictures: the single digits now look like MNIST's, and are read right.
# The number is still four digits in one tile, because nobody has looked for them yet; whatever the
# network says of it is wrong, however sure it says it.
#
# To *find* digits on a page, among lines, shadows and whatever else is there, is the harder half of
# the task. digitlens has a second kind of network for it, which looks at whole pages and was
# trained on pages drawn for it; `digitlens.read` puts everything together. It uses the models that
# come with digitlens, not the one that you have just trained.

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
# A blank page gives no number, which is an answer too. And sometimes the right answer is "not
# sure". Here a 1 turns into a 7, stroke by stroke:


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
# its first convolution, which stand where the one made by hand stood in part 3; some became
# detectors of edges, without anyone's asking.

# %%
from digitlens.models.layers import activations, filters
from digitlens.visualization.figures.inside import draw_filters

graph = (run / MODEL / "model.onnx").read_bytes()
show(draw_filters, filters(graph))

# %% [markdown]
# Each kernel turns a tile into a map of where it found its pattern. The second convolution looks
# for patterns in these maps, and so on: the further down, the smaller the maps, and the harder to
# say what one of them means.

# %%
from digitlens.visualization.figures.inside import draw_feature_maps

chosen = int(np.flatnonzero(validation.labels == 4)[0])
show(draw_feature_maps, validation.tiles[chosen], activations(graph, validation.tiles[chosen]))

# %% [markdown]
# ### Which ink decided?
#
# Cover a small patch of the tile and ask again: if the odds of the answer fall, what was covered
# spoke for it. Or use gradients, as in training, only that they are taken for the pixels and not
# for the parameters: they say how much each pixel's ink adds to the answer. Both are shown below,
# for a mistake that the network made in the validation tiles: blue speaks for its answer, red
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
# Such maps tell where the evidence lies, not whether it is good evidence. They are easily taken for
# more than they are.
#
# ### A map of digits
#
# What the last layer is given are 64 numbers for each tile, its *features*. In them the network has
# brought together what it takes for the same digit, however it was written. To draw 64 dimensions
# on a flat page, *principal components* turn the cloud so that one sees its broadest side.

# %%
from digitlens.explain.evidence import project
from digitlens.visualization.figures.inside import draw_embedding

seen = np.arange(0, len(validation), 6)
points = project(classifier.outputs(validation.tiles[seen]).features)
read_as = by_network[seen].argmax(axis=1)
show(draw_embedding, points, validation.labels[seen], read_as, validation.tiles[seen])

# %% [markdown]
# Two of 64 dimensions do not show all: groups that lie on each other here may be well apart in
# another direction. What is near in features can be asked for itself. These are mistakes of the
# network in the validation tiles, and beside each the training tiles that it finds most alike:
# often one sees what misled it.

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
# A network has learned what it was shown, and nothing else. Nobody showed ours a digit at the edge,
# a large one, a fat one or a noisy one. What it makes of them is left to chance:


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
# One tile is an anecdote. With 300 tiles of the test set, and beside your network the classifier
# that comes with digitlens (nothing is chosen by this, it is only measured):

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
# The other network is larger, and it was shown more: its tiles were moved, turned, scaled, slanted,
# bent, thickened, blurred and spoiled at random while it learned (`digitlens train --recipe default
# --fields` lists by how much). That is called **augmentation**. It was not trained for digits at
# the very edge: to centre a digit, as in part 8, is easier than to learn all places it may have.
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
# Softmax says which digit it would be *if it were one*, and is often very sure of that. The
# classifier that comes with digitlens was also trained with letters, shapes and scribbles, and has
# an eleventh class for them, so that it can say how likely a tile shows a digit at all. And
# `digitlens.read` asks two further networks, which see more of the picture than a tile.

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
# None of this is a cure. A tile of a Z hardly differs from one of a 2 that somebody wrote with
# corners; who sees the tile alone cannot know. The remedies are the same as before: to show a
# network more while it learns, and to ask it with more around.
#
# ### What to take along
#
# * Look at the data first, and at the mistakes afterwards.
# * Keep three piles. Split them by what will be new in use: here people.
# * A score needs its number of cases, an interval, and the scatter over seeds.
# * Training and use must see the same kind of input. Most failures in practice are here, and no
#   score on the test set shows them.
# * A confidence holds for inputs like those it was fitted on.
#
# ### Where to go next
#
# * Train a better one: `digitlens train --recipe standard`, or watch it learn with `digitlens train
#   --recipe classic --watch`. `digitlens report runs/classic-1` then puts all that is known of it
#   on one page. [LOG](../docs/LOG.md) tells what helped, and what did not.
# * Read your own pictures with `digitlens read photo.jpg`, ask why with `digitlens explain
#   photo.jpg`, or draw on the page of `digitlens serve`.
# * [How digitlens works](../docs/how-it-works.md) shows how a whole page is read. How to train with
#   [your own data](../docs/how-to/own-data.md) or [your own
#   architecture](../docs/how-to/own-architecture.md) is described step by step.
# * Search better settings with `digitlens tune`, measure what a model bears with `digitlens
#   robustness`. [README](../README.md) has more of both.

# %%
temporary.cleanup()
