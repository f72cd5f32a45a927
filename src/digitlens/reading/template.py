"""Templates: a reference picture with named regions, and its registration with new pictures.

A TOML file describes the regions. Keypoints of both pictures are matched (ORB: E. Rublee et al.,
"ORB: an efficient alternative to SIFT or SURF", ICCV 2011), and a homography robust to wrong
matches is fitted to them (MAGSAC++: D. Barath et al., CVPR 2020). The similarity of the registered
pictures decides whether both show the same object. Knows nothing of reading, except how the wheels
of a counter look: ``Drum``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from digitlens.errors import ImageError, TemplateError, needs_extra
from digitlens.imaging.image import Page, load_image
from digitlens.reading.constraints import Expectation

Kind = Literal["counter", "number", "code"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MAX_DIGITS = 18  # maximum digits of a region
_KEYS = ("picture", "time", "regions")
EXTRA = "template"
SIMILAR = 0.5  # minimum similarity: the same object has seldom less than 0.75, others up to 0.3
_SIDE = 1280  # pixels: longest side of the copy searched for keypoints
_MAX_KEYPOINTS = 2000  # maximum number of keypoints
_MAX_RATIO = 0.8  # D. Lowe's ratio test: maximum ratio of the best and second-best distance
_MAX_ERROR = 3.0  # pixels of the copy: reprojection error up to which a match is an inlier
_MIN_POINTS = 8  # minimum number of keypoints, and of matches
_COARSE_SIDE = 160  # pixels: longest side of the copies that are compared
_BLUR = 6.0  # pixels: sigma of the blur that normalises their light
_NOISE = 4.0  # squared gray levels: variance added to it, so that noise is not amplified
CELL = 32, 24  # pixels: height and width of a cell
_MAX_SHAKE = 2  # pixels of a cell: maximum movement of the camera
_MIN_OVERLAP = 0.25  # minimum fraction of the reference that must be on the picture

# Appearance of wheels, learnt from clear pictures of the same meter.
_PITCHES = np.arange(22, 50, 2.0)  # rows: possible distances from one digit to the next
_STEPS, _WHOLE = 12, 3  # steps from one digit to the next; how many around a digit show it whole
_SHIFTS = 0, -1, 1, -2, 2, -3, 3  # columns: possible offsets of a wheel from the centre of its cell
_PICTURES = 24  # approximate number of the latest pictures averaged for each digit
_INDEPENDENT = 10.0  # half the number of pixels with independent errors
_UNKNOWN = 0.9  # correlation assumed for a digit not seen yet
_STRAY = 1e-3  # fraction of pictures of a wheel that carry no information

Box = tuple[float, float, float, float]  # x0, y0, x1, y1
Matrix = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_Y, _X = np.mgrid[-1 : 1 : CELL[0] * 1j, -1 : 1 : CELL[1] * 1j].reshape(2, -1)
# float32[H W, 6]; an orthonormal basis of smooth changes of light.
_LIGHT = np.linalg.qr(np.stack([_X**0, _X, _Y, _X * _X, _X * _Y, _Y * _Y], axis=1))[0].astype(
    np.float32
)


@dataclass(frozen=True)
class Region:
    """A region of the reference picture and the properties of its content.

    Attributes:
        name: Letters, digits, ``-`` and ``_``.
        box: x0, y0, x1, y1 in pixels of the reference, or fractions of its sides if all are at
            most 1.
        kind: ``counter``: wheels or segments that count up, with a fixed number of digits, the last
            of which may be between two positions; ``number``: a number with the value of its text;
            ``code``: digits and marks without a value.
        expect: Constraints on the text, see ``digitlens read --expect``.
        digits: Number of digits; 0 if unknown.
        decimals: How many of the digits are decimals, without a printed mark.
        unit: Unit of the value.
        monotone: Whether the value never decreases; in a file the default for counters is true.
        most_per_hour: The largest change of the value in an hour; None if unknown.
    """

    name: str
    box: Box
    kind: Kind = "number"
    expect: str = ""
    digits: int = 0
    decimals: int = 0
    unit: str = ""
    monotone: bool = False
    most_per_hour: float | None = None

    @property
    def has_history(self) -> bool:
        """Whether earlier values constrain later ones."""
        return self.monotone or self.most_per_hour is not None

    def pixels(self, page: Page) -> Box:
        """The box in pixels of the reference, uint8[H, W] or uint8[H, W, 3]."""
        height, width = page.shape[:2]
        scale_x, scale_y = (width, height) if max(self.box) <= 1 else (1, 1)
        x0, y0, x1, y1 = self.box
        return x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y


@dataclass(frozen=True, eq=False)
class Template:
    """A reference picture with its regions.

    Attributes:
        regions: At least one.
        page: The reference; uint8[H, W] or uint8[H, W, 3].
        time: ``strptime`` format of the time in a picture's file name, without suffix; empty to use
            the time of the file.
    """

    regions: tuple[Region, ...]
    page: Page
    time: str = ""


def load_template(path: str | os.PathLike[str]) -> Template:
    """Reads a template and its picture.

    Raises:
        TemplateError: It cannot be read or is invalid; the message lists all problems, each with
            its key.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TemplateError(f"{path}: no such file: make one with  digitlens template") from error
    except OSError as error:
        raise TemplateError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or nested too deeply
        raise TemplateError(f"{path}: is not a TOML file ({error})") from error
    return parse_template(content, path)


def parse_template(content: Mapping[str, Any], path: Path) -> Template:
    """Checks the content of a template file; see ``load_template``.

    Args:
        content: The parsed TOML.
        path: The file: its picture is relative to its folder, and errors begin with it.
    """
    problems = [f"{key}: unknown; expected {_list(_KEYS)}" for key in content if key not in _KEYS]
    tables = content.get("regions")
    if not isinstance(tables, Mapping) or not tables:
        problems.append(f"regions: expected at least one table [regions.NAME], found {tables!r}")
        tables = {}

    def tried(make: Callable[..., Any], *values: Any) -> Any:
        try:
            return make(*values)
        except TemplateError as error:
            problems.append(str(error))

    page, time = tried(_page, content.get("picture"), path), tried(_time, content.get("time", ""))
    regions = [tried(make_region, str(name), table) for name, table in tables.items()]
    for region in filter(None, regions) if isinstance(page, np.ndarray) else ():
        x1, y1 = region.pixels(page)[2:]
        if x1 > page.shape[1] or y1 > page.shape[0]:
            problems.append(
                f"regions.{region.name}.box: expected a box within the picture of "
                f"{page.shape[1]} x {page.shape[0]} pixels, found {list(region.box)}"
            )
    if problems:
        raise TemplateError("; ".join(f"{path}: {problem}" for problem in problems))
    return Template(tuple(regions), page, time)


def write_template(picture: str, regions: Sequence[Region], time: str = "") -> str:
    """The text of a template file.

    Args:
        picture: Path of the reference picture, relative to the folder of the file.
        regions: Regions of that picture.
        time: See ``Template``.

    Raises:
        TemplateError: Two regions have the same name.
    """
    names = [region.name for region in regions]
    if duplicates := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise TemplateError(f"regions.{duplicates[0]}: named twice; give each region a unique name")
    lines = [f"picture = {_to_toml(picture)}"]
    lines += [f"time = {_to_toml(time)}"] if time else []
    for region in regions:
        lines += ["", f"[regions.{region.name}]"]
        for field in fields(Region)[1:]:
            value = getattr(region, field.name)
            default_value = region.kind == "counter" if field.name == "monotone" else field.default
            if default_value is MISSING or value != default_value:
                lines.append(f"{field.name} = {_to_toml(value)}")
    return "\n".join(lines) + "\n"


def make_region(name: str, values: Any) -> Region:
    """Makes a region from the keys and values of its table in the file.

    Raises:
        TemplateError: Some values are invalid; the message lists all of them, each with its key.
    """
    key = f"regions.{name}"
    if not _NAME.fullmatch(name):
        raise TemplateError(f"{key}: expected a name of letters, digits, - and _")
    if not isinstance(values, Mapping):
        raise TemplateError(f"{key}: expected a table, found {values!r}")
    defaults: dict[str, Any] = {field.name: field.default for field in fields(Region)[1:]}
    defaults |= {"box": (), "monotone": values.get("kind") == "counter"}
    problems = [f"{k}: unknown; expected {_list([*defaults])}" for k in values.keys() - defaults]
    full: dict[str, Any] = {each: values.get(each, usual) for each, usual in defaults.items()}
    if problems := problems + _problems_of(full):
        raise TemplateError("; ".join(f"{key}.{problem}" for problem in problems))
    full["box"] = tuple(full["box"])
    return Region(name, **full)


def _page(name: Any, path: Path) -> Page:
    if not isinstance(name, str) or not name:
        raise TemplateError(f"picture: expected the path of the reference picture, found {name!r}")
    try:
        return load_image(path.parent / name)
    except ImageError as error:
        raise TemplateError(f"picture: {error}") from error


def _time(text: Any) -> str:
    try:
        datetime.strptime(datetime.now().strftime(text), text)
    except (TypeError, ValueError, re.error) as error:  # re.error: a directive appears twice
        raise TemplateError(
            f"time: expected a format such as %Y-%m-%d_%H%M, found {text!r}"
        ) from error
    return text


def _problems_of(values: Mapping[str, Any]) -> list[str]:
    """The problems with the values of a region, each beginning with its key."""
    digits, limit = values["digits"], values["most_per_hour"]
    low = 1 if values["kind"] == "counter" else 0
    high = digits if _is_count(digits, 1, _MAX_DIGITS) else _MAX_DIGITS
    checks = {
        "box": (_is_box(values["box"]), "x0, y0, x1, y1 with x0 < x1 and y0 < y1"),
        "kind": (values["kind"] in KINDS, _list(KINDS)),
        "expect": (isinstance(values["expect"], str), "a text"),
        "digits": (_is_count(digits, low, _MAX_DIGITS), f"{low} to {_MAX_DIGITS}"),
        "decimals": (_is_count(values["decimals"], 0, high), f"0 to {high}, of the digits"),
        "unit": (isinstance(values["unit"], str), "a text"),
        "monotone": (isinstance(values["monotone"], bool), "true or false"),
        "most_per_hour": (
            limit is None or (isinstance(limit, int | float) and 0 < limit < inf),
            "a number above 0",
        ),
    }
    problems = [
        f"{key}: expected {expected}, found {values[key]!r}"
        for key, (is_valid, expected) in checks.items()
        if not is_valid
    ]
    try:
        Expectation.of(str(values["expect"]) or None)
    except ValueError as error:
        problems.append(f"expect: {error}")
    return problems


def _is_count(value: Any, minimum: int, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def _is_box(box: Any) -> bool:
    is_four = isinstance(box, Sequence) and len(box) == 4
    in_range = is_four and all(isinstance(each, int | float) and 0 <= each < 1e6 for each in box)
    return in_range and box[0] < box[2] and box[1] < box[3]


def _list(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _to_toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


@dataclass(frozen=True)
class Registration:
    """The position of the reference on a picture."""

    matrix: Matrix  # float64[3, 3]; from pixels of the reference to those of the picture
    # Correlation of both where they overlap, with normalised light, -1 to 1; -1 if the reference
    # was not found.
    similarity: float

    @property
    def matches(self) -> bool:
        """Whether the picture shows the same object as the reference."""
        return self.similarity >= SIMILAR

    def quad(self, box: Box) -> Floats:
        """float32[4, 2]: the corners on the picture of a box of the reference, x0, y0, x1, y1."""
        x0, y0, x1, y1 = box
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]])
        x, y, w = self.matrix @ corners.T
        return np.stack([x / w, y / w], axis=1).astype(np.float32)

    def cells(self, page: Page, box: Box, count: int) -> Pixels:
        """uint8[N, 32, 24]: a box of the reference on the picture, split into N cells."""
        import cv2  # noqa: PLC0415  (an extra)

        x0, y0, x1, y1 = box
        height, width = 3 * CELL[0], 3 * CELL[1] * count
        to_box = np.array([[(x1 - x0) / width, 0, x0], [0, (y1 - y0) / height, y0], [0, 0, 1]])
        warp = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        strip = cv2.warpPerspective(_gray(page), self.matrix @ to_box, (width, height), flags=warp)
        small = cv2.resize(strip, (CELL[1] * count, CELL[0]), interpolation=cv2.INTER_AREA)
        return np.stack(np.hsplit(np.asarray(small, np.uint8), count))


class Reference:
    """A picture with which others are registered."""

    def __init__(self, page: Page) -> None:
        """Finds its keypoints; raises TemplateError if there are too few."""
        self._gray = _gray(page)
        self._keypoints, self._descriptors = _keypoints(self._gray)
        if len(self._keypoints) < _MIN_POINTS:
            raise TemplateError(
                f"the reference picture has too few features: expected at least {_MIN_POINTS} "
                f"distinct points, found {len(self._keypoints)}: take a sharp picture that shows "
                "more of the surroundings of the digits"
            )

    def register(self, page: Page) -> Registration:
        """Finds the reference on a picture."""
        import cv2  # noqa: PLC0415  (an extra)

        gray = _gray(page)
        points, descriptors = _keypoints(gray)
        not_found = Registration(np.eye(3), -1.0)
        if len(points) < _MIN_POINTS:
            return not_found
        nearest = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(self._descriptors, descriptors, k=2)
        matches = [m for m, second in nearest if m.distance < _MAX_RATIO * second.distance]
        if len(matches) < _MIN_POINTS:
            return not_found
        source = self._keypoints[[m.queryIdx for m in matches]]
        target = points[[m.trainIdx for m in matches]]
        max_error = _MAX_ERROR * max(1.0, max(gray.shape) / _SIDE)
        matrix: Any = cv2.findHomography(source, target, cv2.USAC_MAGSAC, max_error)[0]
        if matrix is None or not _is_front_view(matrix, self._gray):
            return not_found
        return Registration(matrix, _similarity(self._gray, gray, matrix))


class Drum:
    """Appearance of a counter's digits, the same on all wheels, learnt from its clear pictures.

    The appearance of a wheel between two digits is composed from both.
    """

    def __init__(self) -> None:
        self._digits = np.zeros((10, *CELL), np.float32)
        self._counts = np.zeros(10)
        self._pitch_fits = np.zeros(len(_PITCHES))
        self._views: Floats | None = None

    @property
    def is_known(self) -> bool:
        """Whether every digit was learnt."""
        return bool(self._counts.all())

    def learn(self, look: Pixels, text: str) -> None:
        """Learns from a picture with a known text: its wheels, except those that may be turning."""
        self._views = None
        for cell, digit, next_digit in zip(look[:-1], map(int, text), text[1:], strict=False):
            if next_digit not in "09":
                shifted = _normalise(_shift(cell[None]))
                best = int((shifted @ _normalise(self._digits[digit][None]).T).argmax())
                self._counts[digit] = count = min(self._counts[digit] + 1, _PICTURES)
                new = shifted[best].reshape(CELL)
                self._digits[digit] += (new - self._digits[digit]) / count

    def observe(self, look: Pixels) -> tuple[Matrix, Matrix]:
        """Relative likelihoods of wheels if they show a digit, and if they are between two.

        Args:
            look: uint8[N, 32, 24]; the wheels.

        Returns:
            float64[N, 10] twice, 1 on average; the second is indexed by the lower digit.
        """
        known = np.repeat((self._counts > 0) & (np.roll(self._counts, -1) > 0), _STEPS)
        if not known.any():
            return np.ones((len(look), 10)), np.ones((len(look), 10))
        if self._views is None:
            self._views = np.stack([_normalise(_turn(self._digits, pitch)) for pitch in _PITCHES])
        shifted = _normalise(_shift(look)).reshape(-1, len(look), look[0].size)
        fits = _log_fits(np.abs(self._views @ shifted[:, -1].T).max(axis=2), known)  # [T, P]
        self._pitch_fits += np.log(np.exp(fits - fits.max()).mean(axis=1))
        view = self._views[self._pitch_fits.argmax()]
        scores = _log_fits(np.abs(shifted @ view.T).max(axis=0), known)  # [N, P]
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances = (1 - _STRAY) * chances / chances.mean(axis=1, keepdims=True) + _STRAY
        chances = np.roll(chances, _WHOLE, axis=1).reshape(-1, 10, _STEPS)
        whole, between = np.split(chances, [2 * _WHOLE + 1], axis=2)
        return whole.mean(axis=2), between.mean(axis=2)


def _log_fits(correlations: Floats, known: npt.NDArray[np.bool_]) -> Matrix:
    """float64[N, P]: log-likelihoods of wheel positions, from correlations with their appearance.

    Light, contrast and noise are unknown. Positions not learnt are at most as likely as the best.
    """
    scores = -_INDEPENDENT * np.log(1 - np.minimum(correlations, 0.999) ** 2)
    best = scores[:, known].max(axis=1, keepdims=True)
    scores[:, ~known] = np.minimum(best, -_INDEPENDENT * np.log(1 - _UNKNOWN**2))
    return scores


def _shift(look: Pixels) -> Pixels:
    """uint8[S N, H, W]: wheels shifted to both sides, one block of N per shift."""
    return np.concatenate([np.roll(look, shift, axis=2) for shift in _SHIFTS])


def _normalise(cells: Floats | Pixels) -> Floats:
    """float32[N, H W]: cells without smooth changes of light, of length 1, with positive digits."""
    vectors = cells.reshape(len(cells), -1).astype(np.float32)
    vectors = vectors - vectors @ _LIGHT @ _LIGHT.T
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors * np.where((vectors**3).sum(axis=1, keepdims=True) < 0, -1, 1)


def _turn(digits: Floats, pitch: float) -> Floats:
    """float32[10 S, H, W]: appearance of a wheel at each step from a digit to the next one."""
    rows, middle = np.arange(CELL[0]), (CELL[0] - 1) / 2
    current = rows + np.arange(_STEPS)[:, None] / _STEPS * pitch  # rows of this digit
    following = current - pitch  # rows of the next digit
    is_next = np.abs(following - middle) < np.abs(current - middle)
    row = np.where(is_next, following, current).clip(0, CELL[0] - 1).round().astype(int)
    views = np.where(is_next[..., None], np.roll(digits, -1, axis=0)[:, row], digits[:, row])
    return views.reshape(-1, *CELL)


def cell_correlation(one: Pixels, other: Pixels) -> float:
    """Correlation of two cells, -1 to 1, at the best shift within the shake of the camera."""
    import cv2  # noqa: PLC0415  (an extra)

    core = one[_MAX_SHAKE:-_MAX_SHAKE, _MAX_SHAKE:-_MAX_SHAKE]
    scores = cv2.matchTemplate(other, core, cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0).max())


def _gray(page: Page) -> Pixels:
    with needs_extra(EXTRA):
        import cv2  # noqa: PLC0415  (an extra)
    return page if page.ndim == 2 else np.asarray(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY), np.uint8)


def _keypoints(gray: Pixels) -> tuple[Floats, Pixels]:
    """Keypoints, float32[N, 2], and their descriptors, uint8[N, 32]."""
    import cv2  # noqa: PLC0415  (an extra)

    scale = min(1.0, _SIDE / max(gray.shape))
    small = gray
    if scale < 1:
        small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    equalised = cv2.createCLAHE(3, (8, 8)).apply(small)
    points, descriptors = cv2.ORB_create(_MAX_KEYPOINTS).detectAndCompute(equalised, None)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)
    return np.array([point.pt for point in points], np.float32) / np.float32(scale), descriptors


def _is_front_view(matrix: Matrix, gray: Pixels) -> bool:
    """Whether the reference maps to a convex quad that is neither mirrored nor degenerate."""
    height, width = gray.shape
    x, y, w = matrix @ np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
    if (w <= 0).any():
        return False
    corners = np.stack([x / w, y / w], axis=1)
    (ax, ay), (bx, by) = (np.roll(corners, -k, axis=0).T for k in (1, 2))
    (ox, oy) = corners.T
    crosses = (ax - ox) * (by - ay) - (ay - oy) * (bx - ax)
    return bool((crosses > 1e-3 * width * height).all())


def _similarity(reference: Pixels, picture: Pixels, matrix: Matrix) -> float:
    """Correlation of small copies with normalised light; see ``Registration``."""
    import cv2  # noqa: PLC0415  (an extra)

    height, width = reference.shape
    scale = min(1.0, _COARSE_SIDE / max(reference.shape))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    warp = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    registered = cv2.warpPerspective(picture, matrix, (width, height), flags=warp)
    coverage = cv2.warpPerspective(np.full_like(picture, 255), matrix, (width, height), flags=warp)
    one, other, covered = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane in (reference, registered, coverage)
    )
    inside = covered > 250
    if inside.mean() < _MIN_OVERLAP:
        return -1.0
    pairs = np.stack([_local_contrast(one)[inside], _local_contrast(other)[inside]])
    if not (pairs.std(axis=1) > 0).all():
        return -1.0
    return float(np.asarray(np.corrcoef(pairs))[0, 1])


def _local_contrast(gray: Pixels) -> Floats:
    """Local contrast in standard deviations: uint8[H, W] → float32[H, W]."""
    import cv2  # noqa: PLC0415  (an extra)

    plane = gray.astype(np.float32)
    delta = plane - cv2.GaussianBlur(plane, (0, 0), _BLUR)
    return (delta / np.sqrt(cv2.GaussianBlur(delta * delta, (0, 0), _BLUR) + _NOISE)).astype(
        np.float32
    )
