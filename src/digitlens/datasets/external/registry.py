"""The data sets of digits beside MNIST by name: which files they need, and their tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from digitlens.datasets.external import ardis, emnist, scikit, semeion, svhn, usps
from digitlens.datasets.external.framing import framed, unframed
from digitlens.datasets.external.pictures import Pictures
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError


@dataclass(frozen=True)
class DataSet:
    """A data set of digits.

    Attributes:
        title: What to call it.
        expects: The file it is read from, in words; empty when it needs none.
        load: Reads that file or a folder with it.
    """

    title: str
    expects: str
    load: Callable[[Path], Pictures]


@dataclass(frozen=True, eq=False)
class Foreign:
    """The digits of a data set as tiles, in its order.

    Attributes:
        name: Name of the data set in ``DATA_SETS``.
        title: What to call it, with the name of the file.
        framed: The tiles framed by the rule of MNIST.
        unframed: The pictures resized to tiles and nothing else.
    """

    name: str
    title: str
    framed: Split
    unframed: Split


DATA_SETS = {
    "digits": DataSet("scikit-learn's digits", "", lambda _: scikit.load_scikit()),
    "usps": DataSet("USPS", "usps.t.bz2 or zip.test.gz", usps.load_usps),
    "semeion": DataSet("Semeion", "semeion.data", semeion.load_semeion),
    "emnist": DataSet(
        "EMNIST digits",
        "emnist-digits-test-images-idx3-ubyte.gz with its labels beside it, or gzip.zip",
        emnist.load_emnist_digits,
    ),
    "svhn": DataSet("SVHN", "test_32x32.mat", svhn.load_svhn),
    "ardis": DataSet(
        "ARDIS", "ARDIS_test_2828.csv with ARDIS_test_labels.csv beside it", ardis.load_ardis
    ),
}


def load_foreign(text: str) -> Foreign:
    """The digits of another data set.

    Args:
        text: ``NAME`` or ``NAME=FILE``: a name in ``DATA_SETS``, and the file, as its authors
            publish it, or a folder with it.

    Raises:
        DataError: There is no such data set, it needs a file or has none, or the file is missing,
            damaged or something else.
        MissingExtraError: scikit-learn's digits, and scikit-learn is not installed.
    """
    name, _, file = text.partition("=")
    data_set = DATA_SETS.get(name)
    if data_set is None:
        raise DataError(f"no data set is called {name!r}: expected {_known()}")
    if bool(file) != bool(data_set.expects):
        raise DataError(
            f"{text}: {data_set.title} come without a file: expected {name}"
            if file
            else f"{name}: expected {name}=FILE, with {data_set.expects}, or the folder of it"
        )
    path = Path(file).expanduser()
    pictures = data_set.load(path)
    title = f"{data_set.title} ({path.name})" if file else data_set.title
    return Foreign(
        name,
        title,
        Split(framed(pictures.images), pictures.labels),
        Split(unframed(pictures.images), pictures.labels),
    )


def _known() -> str:
    return ", ".join(f"{name}=FILE" if one.expects else name for name, one in DATA_SETS.items())
