import pytest

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
            tmp_path / name / "model", Card(name, "1", sha256_of_nothing(), recipe=recipe), b""
        )
    return tmp_path


def sha256_of_nothing():
    return "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


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


def test_two_digit_detectors_are_refused(models):
    with pytest.raises(ModelError, match=r"is a digit detector, and ./other is given as"):
        roles(models / "pages-1", "./other")


def test_a_model_that_is_not_there_is_an_error(models):
    with pytest.raises(ModelError, match="no model"):
        roles(models / "none")


def test_shipped_classifiers_are_neither_digit_detectors_nor_autoencoders():
    assert shipped_classifiers() == ["default", "swift"]
