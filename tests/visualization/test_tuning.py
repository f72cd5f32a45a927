import pytest
from PIL import Image

from digitlens.training.search_space import parse_space
from digitlens.training.trials import StudyResult, Trial
from digitlens.visualization.tuning import draw_tuning

SPACE = parse_space(
    "classic", [], ["learning_rate=0.001..0.1:log", "pool=max|stride", "epochs=2..9"]
)


def chosen(rate, pool="max", epochs=2):
    return {"learning_rate": rate, "pool": pool, "epochs": epochs}


TRIALS = (
    Trial(1, "complete", chosen(0.01), 0.9),
    Trial(2, "pruned", chosen(0.09), latest=0.5, reason="behind"),
    Trial(3, "complete", chosen(0.002, "stride", 9), 0.99),
    Trial(4, "failed", chosen(0.05), reason="no memory"),
    Trial(5, "complete", chosen(0.02), 0.95),
)
IMPORTANCE = {"epochs": 0.6, "learning_rate": 0.3, "pool": 0.1}


def test_trials_are_drawn_in_order_with_the_best_so_far(tmp_path, drawn):
    draw_tuning(StudyResult("mine", SPACE, 1, 1000, TRIALS), tmp_path / "tuning.png")
    axes = drawn[0].axes[0]
    found = {line.get_label(): line for line in axes.lines}
    assert found["complete"].get_xdata().tolist() == [1, 3, 5]
    assert found["complete"].get_ydata() == pytest.approx([0.1, 0.01, 0.05])
    assert found["best so far"].get_ydata() == pytest.approx([0.1, 0.01, 0.01, 0.01])
    assert list(found["pruned, when it was"].get_xdata()) == [2]
    assert (*found["best"].get_xdata(), *found["best"].get_ydata()) == pytest.approx((3, 0.01))
    assert axes.get_yscale() == "log"
    with Image.open(tmp_path / "tuning.png") as picture:
        assert min(picture.size) >= 1000


def test_each_field_has_a_slice_the_one_that_matters_most_first(tmp_path, drawn):
    result = StudyResult("mine", SPACE, 1, 1000, TRIALS, IMPORTANCE)
    draw_tuning(result, tmp_path / "tuning.svg")
    slices = drawn[0].axes[1:]
    assert [axes.get_title(loc="left") for axes in slices] == list(IMPORTANCE)
    epochs, rate, pool = slices
    assert epochs.texts[0].get_text() == "60 % of what mattered"
    assert rate.get_xscale() == "log"
    assert rate.lines[0].get_xdata() == pytest.approx([0.01, 0.002, 0.02])
    assert [tick.get_text() for tick in pool.get_xticklabels()] == ["max", "stride"]
    assert pool.lines[0].get_xdata() == pytest.approx([0, 1, 0])


def test_nothing_wrong_has_a_place_on_the_axis(tmp_path, drawn):
    perfect = (Trial(1, "complete", chosen(0.01), 1.0),)
    draw_tuning(StudyResult("mine", SPACE, 1, 1000, perfect), tmp_path / "tuning.png")
    assert drawn[0].axes[0].lines[1].get_ydata() == pytest.approx([0.0005])


def test_a_study_without_a_complete_trial_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found none"):
        draw_tuning(StudyResult("mine", SPACE, 1, 1000, TRIALS[1:2]), tmp_path / "tuning.png")
    assert not list(tmp_path.iterdir())
