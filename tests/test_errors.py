"""A missing package is told in one line that names the extra."""

import importlib

import pytest

from digitlens.errors import DigitlensError, MissingExtraError, lacks_memory, needs_extra


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


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (RuntimeError("[ONNXRuntimeError] : 1 : FAIL : std::bad_alloc"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (RuntimeError("can't start new thread"), True),
        (ValueError("expected 4"), False),
    ],
)
def test_a_lack_of_memory_is_known_by_its_words(error, lacks):
    assert lacks_memory(error) == lacks
