"""What is promised to be importable from the root, exactly."""

import importlib.metadata

import digitlens


def test_all_is_exactly_this():
    assert digitlens.__all__ == [
        "Box",
        "Classifier",
        "Digit",
        "DigitReader",
        "DigitlensError",
        "Number",
        "Reading",
        "__version__",
        "load_image",
        "read",
    ]


def test_every_public_name_can_be_had_and_has_a_docstring():
    for name in set(digitlens.__all__) - {"__version__"}:
        assert getattr(digitlens, name).__doc__
    assert set(digitlens.__all__) == set(dir(digitlens))


def test_the_version_is_that_of_the_package():
    assert digitlens.__version__ == importlib.metadata.version("digitlens")
