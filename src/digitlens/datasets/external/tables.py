"""Text files of numbers to arrays; knows rows and columns, not what they mean."""

from __future__ import annotations

import io

import numpy as np

from digitlens.datasets.external.pictures import Values
from digitlens.errors import DataError

_LONGEST = 40  # characters of a line that a message shows


def as_text(content: bytes, name: str) -> str:
    """The text of a file of numbers.

    Raises:
        DataError: It is something else than plain text.
    """
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        start = content[:8].hex(" ")
        raise DataError(f"{name}: expected a text file of numbers, it begins {start}") from error


def read_table(content: bytes, columns: int, name: str) -> Values:
    """The numbers of a text file with spaces or commas between them.

    Args:
        content: The bytes of the file.
        columns: How many numbers each row must have.
        name: What to call the file in errors.

    Returns:
        float64[N, columns].

    Raises:
        DataError: It is no text, has no rows, or rows of other or too few or many numbers.
    """
    text = as_text(content, name).replace(",", " ")
    if not text.strip():
        raise DataError(f"{name}: expected rows of {columns} numbers, it is empty")
    try:
        table = np.loadtxt(io.StringIO(text), np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise DataError(f"{name}: expected rows of {columns} numbers: {error}") from error
    if table.shape[1] != columns:
        raise DataError(f"{name}: expected rows of {columns} numbers, found {table.shape[1]}")
    return table


def read_libsvm(content: bytes, features: int, name: str) -> tuple[Values, Values]:
    """The labels and features of a file in the format of LIBSVM.

    Each row is ``label index:value index:value ...`` with indices from 1; a feature that is left
    out is 0. C.-C. Chang and C.-J. Lin, "LIBSVM: a library for support vector machines", 2011.

    Args:
        content: The bytes of the file.
        features: How many features there are.
        name: What to call the file in errors.

    Returns:
        float64[N] and float64[N, features].

    Raises:
        DataError: It is no text, has no rows, or a row is not of this form.
    """
    lines = [line for line in as_text(content, name).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{name}: expected rows of label and index:value pairs, it is empty")
    labels, values = np.zeros(len(lines)), np.zeros((len(lines), features))
    for row, line in enumerate(lines):
        try:
            labels[row] = _fill(values[row], line)
        except ValueError as error:
            raise DataError(
                f"{name}: expected a label and index:value pairs with indices from 1 to "
                f"{features}, found {line[:_LONGEST]!r} in row {row + 1}"
            ) from error
    return labels, values


def _fill(values: Values, line: str) -> float:
    """Puts the features of a line into place; its label."""
    label, *pairs = line.split()
    if any(pair.count(":") != 1 for pair in pairs):
        raise ValueError(line)
    numbers = np.array([pair.split(":") for pair in pairs], np.float64).reshape(-1, 2)
    places = numbers[:, 0]
    if not ((places >= 1) & (places <= len(values)) & (places == np.round(places))).all():
        raise ValueError(line)
    values[places.astype(np.int64) - 1] = numbers[:, 1]
    return float(label)
