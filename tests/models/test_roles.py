import pytest

from digitlens import files
from digitlens.errors import ModelError
from digitlens.models.bundle import Card, write_bundle
from digitlens.models.roles import roles, shipped_classifiers


@pytest.fixture
def models(tmp_path):
    """A folder with a run of a digit detector, one of a classifier, and one without a recipe."""
    for name, recipe in {
        "pages-1": {"architecture": "pages"},
        "small-1": {"architecture": "small"},
        "old": {},
    }.items():
        write_bundle(
            tmp_path / name / "model", Card(name, "1", files.sha256(b""), recipe=recipe), b""
        )
    return tmp_path


def test_a_classifier_is_what_it_is_given_as(models):
    for name in ("small-1", "old"):
        assert roles(models / name) == (models / name, "pages")
        assert roles(str(models / name), "other") == (str(models / name), "other")
    assert roles() == ("default", "pages")


def test_a_digit_detector_given_as_the_model_reads_the_pages(models):
    run = str(models / "pages-1")
    assert roles(run) == ("default", run)
    assert roles(run, run) == ("default", run)
    assert roles(models / "pages-1" / "model") == ("default", models / "pages-1" / "model")


def test_two_digit_detectors_and_missing_models_are_refused(models):
    with pytest.raises(ModelError, match=r"is a digit detector, and ./other is given as"):
        roles(models / "pages-1", "./other")
    with pytest.raises(ModelError, match="no model"):
        roles(models / "none")


def test_shipped_classifiers_are_neither_digit_detectors_nor_autoencoders():
    assert shipped_classifiers() == ["default", "swift"]
