import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from digitlens.datasets.labelled import LabelledPicture, load_pictures
from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.lines import Line
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.errors import DataError
from digitlens.models.bundle import load_bundle, load_line_bundle
from digitlens.reading.reader import DigitReader
from digitlens.training import adapt as adapting
from digitlens.training.adapt import (
    HELD_OUT,
    LINES,
    NetworkResult,
    OwnMaker,
    OwnSample,
    Replay,
    adapt,
    gather_samples,
    join_splits,
    judge,
    match_lines,
    mixed_line,
    split_samples,
)
from digitlens.training.loop import STATE, Trained, choose_device

pytestmark = pytest.mark.train
NO_TILES = join_splits([])


@pytest.mark.parametrize(
    ("texts", "found", "pairs"),
    [
        (["372"], ["3+2"], [("372", 0)]),
        (["7"], ["+"], [("7", 0)]),
        (["12.50"], ["Total", "12.50"], [("12.50", 1)]),
        (["123", "4567"], ["4567", "128"], [("123", 1), ("4567", 0)]),
        (["123456"], ["x"], []),
        ([], ["12"], []),
    ],
)
def test_texts_are_matched_with_the_most_similar_lines(texts, found, pairs):
    assert match_lines(texts, found) == pairs


def test_lines_and_digits_of_a_picture_get_their_labels(examples, tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\nnote.jpg,2049\n")
    (tmp_path / "note.jpg").write_bytes((examples / "note.jpg").read_bytes())
    (sample,) = gather_samples(DigitReader(), load_pictures(tmp_path))
    (line,) = sample.lines
    assert (line.text, line.pixels.shape[0]) == ("2049", 48)
    assert sample.tiles.labels.tolist() == [2, 0, 4, 9]  # the last is a mislabelled 8
    assert sample.tiles.tiles.shape == (4, 28, 28)
    assert sample.wrong == 3  # once each by reader, classifier and recogniser


def test_misread_pictures_are_held_out_in_the_same_proportion():
    picture = LabelledPicture("", np.zeros((1, 1), np.uint8), "")
    samples = [OwnSample(picture, (), NO_TILES, int(number < 10)) for number in range(50)]
    learned, held_out = split_samples(samples)
    assert (len(learned), len(held_out)) == (50 - 50 // HELD_OUT, 50 // HELD_OUT)
    assert sum(sample.wrong for sample in held_out) == 10 // HELD_OUT


def test_generated_lines_use_the_users_digits(maker):
    tiles = np.zeros((10, 28, 28), np.uint8)
    tiles[:, 4:24, 4:24] = 255  # the user writes blocks
    own = Split(tiles, np.arange(10, dtype=np.uint8))
    fonts: Fonts = maker(0)._styles.fonts
    lines = [OwnMaker(own, fonts, 3).line(0) for _ in range(2)]
    assert any(char.isdecimal() for char in lines[0].text)
    assert (lines[0].pixels == lines[1].pixels).all()


def test_mix_of_three_line_sources_is_reproducible():
    def source(kind, number=7):
        return Line(np.zeros((48, 32, 3), np.uint8), str(number), kind)

    mixed = partial(mixed_line, [source("own")], partial(source, "w"), partial(source, "r"), 0)
    kinds = [mixed(number).kind for number in range(300)]
    assert all(kinds.count(kind) > 60 for kind in ("own", "w", "r"))
    assert kinds == [mixed(number).kind for number in range(300)]


RECIPE = dataclasses.replace(LINES, batch_size=2, pool=1, steps=2, check_every=1, warmup_steps=1)


class Weight(nn.Module):
    """A network with a single weight."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))


@pytest.mark.parametrize(
    ("lost", "gained", "kept", "share", "reason"),
    [
        (0.0005, 4, True, 1.0, ""),
        (0.0012, 4, True, 0.7, ""),
        (0.0020, 4, True, 0.4, ""),
        (0.0100, 4, False, 0.4, "it would lose too much on the guard set"),
        (0.0000, 0, False, 1.0, "it does not improve on the held-out pictures"),
    ],
)
def test_new_weights_are_blended_as_far_as_the_guard_set_allows(lost, gained, kept, share, reason):
    network, part = judge(
        NetworkResult("recognizer"),
        (Weight(0), Weight(1)),
        (lambda network: round(5 - gained * network.value.item()), 20),
        lambda network: 0.99 - lost * network.value.item(),
    )
    assert (part.kept, part.share, part.reason) == (kept, share, reason)
    assert network.value.item() == pytest.approx(share if kept else 0)
    assert (part.wrong_before, part.held_out) == (5, 20)


@pytest.fixture(scope="module")
def replay(small_split, maker):
    fonts: Fonts = maker(0)._styles.fonts
    return lambda: Replay((small_split, small_split), (fonts, fonts))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Reduces all generated and repeated data."""
    monkeypatch.setattr(adapting, "GUARD_LINES", 3)
    monkeypatch.setattr(adapting, "CHECKED", 1)
    monkeypatch.setattr(adapting, "_REPLAYED_TILES", 40)
    monkeypatch.setitem(adapting.TILES, "epochs", 1)
    monkeypatch.setattr(
        "digitlens.training.tasks.tile._make_negatives",
        lambda count, _: torch.zeros(count, 28, 28, dtype=torch.uint8),
    )


def folder_of(examples, path, label):
    """Loads eight copies of one picture with one label; a trailing byte makes them differ."""
    rows = [f"{number}.png,{label}\n" for number in range(8)]
    content = (examples / "drawing.png").read_bytes()
    path.mkdir()
    for number in range(8):
        (path / f"{number}.png").write_bytes(content + bytes([number]))
    (path / "labels.csv").write_text("".join(["file,label\n", *rows]))
    return load_pictures(path)


@pytest.fixture
def run(tmp_path, replay):
    def run(pictures, **changes):
        device = choose_device("float32")
        settings = {"recipe": RECIPE, "device": device, "workers": 0}
        return adapt("swift", pictures, replay, tmp_path / "new", **settings | changes)

    return run


def test_nothing_is_adapted_if_all_pictures_are_read_right(run, examples, tmp_path):
    text = DigitReader("swift").read(examples / "drawing.png").text
    found = run(folder_of(examples, tmp_path / "own", text))
    assert (found.folder, found.parts, found.wrong_before) == (None, (), 0)
    assert (found.pictures, found.held_out) == (6, 2)


def test_adaptation_resumes_and_leaves_nothing_if_nothing_is_gained(
    run, examples, tmp_path, monkeypatch
):
    own = folder_of(examples, tmp_path / "own", "0")
    tuned = adapting.TileTask
    monkeypatch.setattr(adapting, "TileTask", _stop)
    with pytest.raises(KeyboardInterrupt):
        run(own)
    assert (tmp_path / "new" / "run" / "lines" / STATE).is_file()
    with pytest.raises(DataError, match="is not empty"):
        run(own)
    with pytest.raises(DataError, match="other labels"):
        run(folder_of(examples, tmp_path / "others", "1"), resume=True)
    monkeypatch.setattr(adapting, "TileTask", tuned)
    removed = adapting.shutil.rmtree
    monkeypatch.setattr(adapting.shutil, "rmtree", lambda folder: removed(folder) or _stop())
    with pytest.raises(KeyboardInterrupt):  # at the very end, when only the marker file is left
        run(own, resume=True)
    monkeypatch.setattr(adapting.shutil, "rmtree", removed)
    found = run(own, resume=True)
    assert found.folder is None
    assert [part.name for part in found.parts] == ["recognizer", "classifier"]
    assert not any(part.kept for part in found.parts)
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="nothing to resume"):
        run(own, resume=True)


def _stop(*_, **__):
    raise KeyboardInterrupt


def test_improved_networks_are_written_as_a_model(run, examples, tmp_path, monkeypatch):
    shipped = load_line_bundle()

    def trained(task, *_, **__):
        return Trained(task.network(), [], 0, 0.0, {})

    def gains(part, networks, *_):
        return networks[1], dataclasses.replace(part, kept=True, held_out=2, wrong_before=2)

    monkeypatch.setattr(adapting, "fit", trained)
    monkeypatch.setattr(adapting, "judge", gains)
    monkeypatch.setattr(adapting, "export_lines", lambda *_: shipped.recognizer)
    found = run(folder_of(examples, tmp_path / "own", "0"))
    assert found.folder == tmp_path / "new"
    assert found.wrong_after == found.wrong_before > 0
    bundle = load_bundle(found.folder)
    assert (bundle.card.name, bundle.card.results["adapted"]["kept"]) == ("new", True)
    assert (found.folder / "weights.safetensors").is_file()  # allows another adaptation
    reader = DigitReader(found.folder)
    assert reader.card.results["adapted"]["name"] == "recognizer"
    assert (
        reader.read(examples / "drawing.png").text
        == DigitReader("swift").read(examples / "drawing.png").text
    )
    with pytest.raises(Exception, match="digitlens calibrate"):
        reader.at(0.01)  # the risk curve belongs to other weights


def test_too_few_pictures_are_refused(examples, tmp_path, replay):
    own = folder_of(examples, tmp_path / "own", "12")
    few = dataclasses.replace(own, rows=own.rows[:3])
    with pytest.raises(DataError, match="expected at least 8 labelled pictures, found 3"):
        adapt("swift", few, replay, tmp_path / "new")
    assert not (tmp_path / "new").exists()
