"""Errors: a missing package names its extra, and out-of-memory errors are recognised."""

import importlib

import pytest

from digitlens.errors import DigitlensError, MissingExtraError, lacks_memory, needs_extra


def test_missing_package_names_its_extra():
    with (
        pytest.raises(MissingExtraError, match=r"'no_such_package'.*digitlens\[plots\]"),
        needs_extra("plots"),
    ):
        importlib.import_module("no_such_package")


def test_missing_module_of_digitlens_itself_is_not_blamed_on_an_extra():
    with pytest.raises(ModuleNotFoundError, match=r"digitlens\.nothing"), needs_extra("plots"):
        importlib.import_module("digitlens.nothing")


def test_missing_extra_error_is_a_digitlens_error():
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
def test_out_of_memory_is_recognised_by_its_message(error, lacks):
    assert lacks_memory(error) == lacks


def test_out_of_memory_is_recognised_as_the_cause_of_another_error():
    error = RuntimeError("the exporter failed")
    error.__cause__ = ValueError("a pass failed")
    error.__cause__.__context__ = MemoryError()
    assert lacks_memory(error)
