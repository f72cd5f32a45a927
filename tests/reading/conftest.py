"""The shipped reader, a digit detector that detects rectangles, and a fake S3 bucket."""

import re
import threading
import time
import zlib
from collections import defaultdict
from datetime import UTC, datetime
from email.utils import formatdate
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby, product
from urllib.parse import parse_qsl, unquote

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.imaging.ink import connected_components
from digitlens.models.networks import DigitPredictions
from digitlens.reading.reader import DigitReader


class Rectangles:
    """A fake digit detector that reads dark rectangles by gray level: 0 is a 0, 10 a 1, 90 a 9.

    ``pictures`` records the shapes of its inputs. Rectangles lower than ``lowest`` are missed.
    """

    def __init__(self, lowest=1, score=0.9):
        self.lowest, self.score = lowest, score
        self.pictures = []

    def predict(self, picture):
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        self.pictures.append(picture.shape)
        gray = picture[:, :, 1]
        found = connected_components(gray < 128).boxes
        found = found[found[:, 3] - found[:, 1] >= self.lowest]
        levels = [float(np.median(gray[y0:y1, x0:x1])) for x0, y0, x1, y1 in found]
        values = [min(9, round(level / 10)) for level in levels]
        return look_at(found, values, picture.shape[:2], self.score)


def look_at(boxes, values, size, score=0.9):
    """Predictions of these digits, with a probability of 1 % for each of the other nine values."""
    count = len(values)
    return DigitPredictions(
        np.full(count, score, np.float32),
        (0.01 + 0.9 * np.eye(10)[np.array(values, int)]).astype(np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros((-(-size[0] // 4), -(-size[1] // 4)), np.float32),
        size,
    )


@pytest.fixture(scope="session", name="look_at")
def give_look_at():
    """Builds predictions from boxes, values, the picture's height and width, and a score."""
    return look_at


@pytest.fixture(scope="session")
def rectangles():
    """The class of the fake digit detector, ``Rectangles``."""
    return Rectangles


@pytest.fixture(scope="session")
def reader():
    """The shipped reader, which tests must not modify."""
    return DigitReader(threads=1)


@pytest.fixture(scope="session")
def posteriors():
    """Builds the posteriors of a line: see ``_posteriors``."""
    return _posteriors


def _posteriors(path, sure=0.9):
    """float32[T, C]; a step per character (``_`` is the blank), each with probability ``sure``."""
    rows = np.full((len(path), CLASSES), (1 - sure) / (CLASSES - 1), np.float32)
    for step, char in enumerate(path):
        rows[step, 0 if char == "_" else CLASS_OF[char]] = sure
    return rows


@pytest.fixture(scope="session")
def ctc():
    """Sums over all CTC alignments: see ``_ctc``."""
    return _ctc


def _ctc(posteriors, chars):
    """The probability of each text, summed over all its alignments with the steps."""
    found = defaultdict(float)
    for path in product(range(posteriors.shape[1]), repeat=len(posteriors)):
        kept = [value for value, _ in groupby(path) if value]
        chance = np.prod([row[value] for row, value in zip(posteriors, path, strict=True)])
        found["".join(chars[value - 1] for value in kept)] += chance
    return found


class Bucket(ThreadingHTTPServer):
    """A fake of S3 as ``obstore`` uses it: each request is executed completely or not at all.

    ``now`` is its clock; reads of names in ``held`` wait until ``release`` is called.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.things, self.lock, self.now = {}, threading.Lock(), time.time
        self.held, self.asked, self.released = set(), set(), threading.Event()
        self.lost = 0  # responses that are dropped although the request was executed
        self.conflicts = 0  # creations that are refused as if another were in progress
        self.release = self.released.set

    def names(self, prefix=""):
        return sorted(name for name in self.things if name.startswith(prefix))


class Answers(BaseHTTPRequestHandler):
    """Handles the requests to a bucket."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def parse_request(self):
        if not super().parse_request():
            return False
        path, _, query = self.path.partition("?")
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.name = unquote(path).removeprefix("/bucket").removeprefix("/")
        return True

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.startswith("/bucket/"):
            return self.answer(404, error="NoSuchBucket")
        with self.server.lock:
            if self.server.conflicts and self.headers["If-None-Match"]:
                self.server.conflicts -= 1
                return self.answer(409, error="ConditionalRequestConflict")
            if self.headers["If-None-Match"] == "*" and self.name in self.server.things:
                return self.answer(412, error="PreconditionFailed")
            self.server.things[self.name] = content, self.server.now()
            if self.server.lost and self.name.rpartition("/")[2].startswith("part-"):
                self.server.lost -= 1
                self.close_connection = True
                return None
        return self.answer(200)

    def do_GET(self):
        if "list-type" in self.query:
            return self.answer_list()
        if self.name in self.server.held:
            self.server.asked.add(self.name)
            self.server.released.wait(30)
        content, when = self.server.things.get(self.name, (None, 0))
        if content is None:
            return self.answer(404, error="NoSuchKey")
        return self.answer(200, content, when)

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self):
        with self.server.lock:
            self.server.things.pop(self.name, None)
        self.answer(204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            names = re.findall("<Key>(.*?)</Key>", body)
            for name in names:
                self.server.things.pop(name, None)
        told = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self.answer(200, f"<DeleteResult>{told}</DeleteResult>".encode())

    def answer_list(self):
        prefix, after = self.query.get("prefix", ""), self.query.get("start-after", "")
        after = self.query.get("continuation-token", after)
        parts, folders, last, more = [], set(), "", False
        for name in self.server.names(prefix):
            if name <= after:
                continue
            if len(parts) == 10:  # S3 lists a thousand
                more = True
                break
            last = name
            if "delimiter" in self.query and "/" in name[len(prefix) :]:
                folders.add(prefix + name[len(prefix) :].partition("/")[0] + "/")
                continue
            content, when = self.server.things[name]
            told = datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
            parts.append(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size>"
                f'<ETag>"{zlib.crc32(content)}"</ETag>'
                f"<LastModified>{told.replace('+00:00', 'Z')}</LastModified></Contents>"
            )
        parts += [f"<CommonPrefixes><Prefix>{each}</Prefix></CommonPrefixes>" for each in folders]
        parts += [f"<NextContinuationToken>{escape(last)}</NextContinuationToken>"] * more
        text = f"<ListBucketResult>{''.join(parts)}</ListBucketResult>"
        self.answer(200, text.encode())

    def answer(self, status, content=b"", when=0.0, error=""):
        if error:
            content = f"<Error><Code>{error}</Code><Message>{error}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("ETag", f'"{zlib.crc32(content)}"')
        self.send_header("Last-Modified", formatdate(when, usegmt=True))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture
def bucket(monkeypatch):
    """A bucket at ``s3://bucket``, for this process and its child processes."""
    with Bucket() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        for name, value in {
            "ENDPOINT_URL": endpoint,
            "ALLOW_HTTP": "true",
            "REGION": "nowhere",
            "ACCESS_KEY_ID": "key",
            "SECRET_ACCESS_KEY": "secret",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield server
        server.release()
        server.shutdown()


@pytest.fixture
def wheels():
    """Draws the wheels of a meter."""

    def draw(*places, apart=30, dark=False, noise=0.0, seed=0):
        """uint8[N, 32, 24]; wheels of a meter, each at a digit or between two digits."""
        strip = Image.new("L", (24, 12 * apart), 200 if dark else 30)
        pen, font = ImageDraw.Draw(strip), ImageFont.load_default(22)
        for row in range(12):
            middle = 12, (row + 0.5) * apart
            pen.text(middle, str(row % 10), 30 if dark else 200, font, anchor="mm")
        rng, drum = np.random.default_rng(seed), np.asarray(strip, float)
        tops = [round((place + 0.5) * apart) - 16 + apart * 10 * (place < 0.5) for place in places]
        seen = np.stack([drum[top : top + 32] for top in tops])
        return np.clip(seen + rng.normal(0, 1, seen.shape) * noise, 0, 255).astype(np.uint8)

    return draw
