"""A missing package is told in one line that names the extra."""

import importlib

import pytest

from digitlens.errors import DigitlensError, MissingExtraError, needs_extra


def test_a_missing_package_names_its_extra():
    with (
        pytest.raises(MissingExtraError, match=r"'no_such_package'.*digitlens\[plots\]"),
        needs_extra("plots"),
    ):
        importlib.import_module("no_such_package")


def test_a_missing_module_of_our_own_is_a_bug_and_says_so():
    with pytest.raises(ModuleNotFoundError, match=r"digitlens\.nothing"), needs_extra("plots"):
        importlib.import_module("digitlens.nothing")


def test_every_error_is_a_digitlens_error():
    assert issubclass(MissingExtraError, DigitlensError)
