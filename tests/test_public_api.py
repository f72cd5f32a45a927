"""The public names that can be imported from the root."""

import importlib.metadata

import digitlens


def test_all_lists_exactly_the_public_names():
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


def test_every_public_name_is_importable_and_has_a_docstring():
    for name in set(digitlens.__all__) - {"__version__"}:
        assert getattr(digitlens, name).__doc__
    assert set(digitlens.__all__) == set(dir(digitlens))


def test_version_matches_the_package_metadata():
    assert digitlens.__version__ == importlib.metadata.version("digitlens")
