"""Posts readings to a webhook or an MQTT broker, each in its order, again until it arrives.

What was delivered is a number in a file next to the log: what the log has after it is the queue.
A reading may arrive twice, after a kill in the wrong moment; its ``id`` is the same then.
"""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from digitlens.errors import DataError, needs_extra
from digitlens.files import sha256, write_json
from digitlens.progress import note
from digitlens.reading.ledger import Row

PATIENCE = 10.0  # seconds for one reading to arrive
_PAUSES = (5.0, 300.0)  # seconds until the next try: the first, which doubles, and the longest
_AT_ONCE = 50  # readings, until pictures are looked at again
_PORTS = {"mqtt": 1883, "mqtts": 8883}

Post = Callable[[Mapping[str, Any]], None]


@dataclass
class Delivery:
    """The way to one receiver.

    Attributes:
        name: What to call it, without its password; no two receivers share one.
        post: Delivers one reading, or raises ``OSError``.
        sent: Number of the last row that was delivered.
        waiting: Rows with their numbers.
    """

    name: str
    post: Post
    sent: int | None = None
    waiting: deque[tuple[int, Row]] = field(default_factory=deque)
    _pause: float = _PAUSES[0]
    _next: float = 0.0
    _failing: bool = False

    def flush(self) -> bool:
        """Delivers what waits, as far as it can at once; gives whether anything was delivered."""
        if time.monotonic() < self._next:
            return False
        for count in range(_AT_ONCE):
            if not self.waiting:
                return count > 0
            number, row = self.waiting[0]
            try:
                self.post(message(number, row))
            except (OSError, HTTPException, ValueError) as error:
                self._wait(error)
                return count > 0
            self.sent, self._pause = number, _PAUSES[0]
            self.waiting.popleft()
            if self._failing:
                self._failing = False
                note(f"digitlens: {self.name}: can be reached again")
        return True

    def _wait(self, error: Exception) -> None:
        if not self._failing:  # said once
            count = len(self.waiting)
            waits = "1 reading waits" if count == 1 else f"{count} readings wait"
            note(f"digitlens: {self.name}: cannot be reached ({error}): {waits} to be posted later")
        self._failing = True
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _PAUSES[1])


class Deliveries:
    """All receivers of a log."""

    def __init__(self, log: Path, receivers: list[Delivery]) -> None:
        """Takes up where an earlier run ended; to new receivers nothing old is posted.

        Args:
            log: The log of readings.
            receivers: Where to post them.
        """
        self._path = log.with_name(f"{log.name}.sent.json")
        self.receivers = receivers
        try:
            known = json.loads(self._path.read_text(encoding="utf-8")) if receivers else {}
        except FileNotFoundError:
            known = {}
        except (OSError, ValueError) as error:
            raise DataError(f"{self._path}: cannot be read ({error}): remove it") from error
        for each in receivers:
            # Names had no mark of a query once.
            each.sent = known.get(each.name, known.get(each.name.partition("?")[0]))

    def begin(self, number: int, row: Row) -> None:
        """Queues a row of the log that an earlier run wrote, if it was not delivered."""
        for each in self.receivers:
            if each.sent is not None and number > each.sent:
                each.waiting.append((number, row))

    def begun(self, last: int) -> None:
        """Says that the log has ended, with this number."""
        for each in self.receivers:
            each.sent = last if each.sent is None else min(last, each.sent)  # the log may be new
        self._keep()

    def add(self, last: int, rows: list[Row]) -> None:
        """Queues rows that were written, of which the last has this number."""
        for each in self.receivers:
            each.waiting.extend(enumerate(rows, last - len(rows) + 1))

    def flush(self) -> int:
        """Delivers what can be delivered; gives how many readings still wait."""
        delivered = [each.flush() for each in self.receivers]
        if any(delivered):
            self._keep()
        return sum(len(each.waiting) for each in self.receivers)

    def _keep(self) -> None:
        if self.receivers:
            write_json(self._path, {each.name: each.sent for each in self.receivers})


def message(number: int, row: Row) -> dict[str, Any]:
    """A reading as JSON-ready values; ``value`` is None unless it is one."""
    values = asdict(row) | {"value": row.value or None}
    return {"id": number, **values, "confidence": float(row.confidence or 0)}


def webhook(url: str) -> Delivery:
    """Posts each reading as a JSON object.

    Args:
        url: ``http://`` or ``https://``, then ``[user:password@]host[:port]`` and a path.

    Raises:
        ValueError: It is no such address.
    """
    parts = _parts(url, ("http", "https"))
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    headers = {"Content-Type": "application/json"}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    opener = build_opener(_Refused)

    def post(reading: Mapping[str, Any]) -> None:
        body = json.dumps(reading).encode()
        with opener.open(Request(address, body, headers), timeout=PATIENCE):
            pass

    return Delivery(_shown(parts), post)


class _Refused(HTTPRedirectHandler):
    """A redirection is an error: what follows it is a request without the reading."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """No request follows."""


def mqtt(url: str) -> Delivery:
    """Publishes each reading as a JSON object, in a topic that ends in the name of its region.

    Args:
        url: ``mqtt://[user:password@]host[:port]/topic``, or ``mqtts://`` for TLS.

    Raises:
        ValueError: It is no such address.
        MissingExtraError: The extra ``mqtt`` is not installed.
    """
    parts = _parts(url, tuple(_PORTS))
    topic = unquote(parts.path).strip("/")
    if not topic or "+" in topic or "#" in url:
        raise ValueError(f"expected a topic after the host, as in mqtt://host/meter; found {url!r}")
    with needs_extra("mqtt"):
        from paho.mqtt import client as paho  # noqa: PLC0415  (an extra)
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    def post(reading: Mapping[str, Any]) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = PATIENCE
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set()
        client.connect(str(parts.hostname), parts.port or _PORTS[parts.scheme])
        client.loop_start()
        try:
            place = f"{topic}/{reading['region']}".rstrip("/")
            sent = client.publish(place, json.dumps(reading), qos=1)
            sent.wait_for_publish(PATIENCE)
            if not sent.is_published():
                raise TimeoutError("it does not acknowledge")
        except RuntimeError as error:
            raise OSError(str(error)) from error
        finally:
            client.disconnect()
            client.loop_stop()

    return Delivery(_shown(parts), post)


def _parts(url: str, schemes: tuple[str, ...]) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"expected an address that begins with {schemes[0]}://, found {url!r}")
    _ = parts.port  # raises ValueError for what is none
    return parts


def _shown(parts: SplitResult) -> str:
    """The address without a password; a mark stands for a query, which may hold one too."""
    mark = sha256(parts.query.encode())[:8] if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=mark).geturl()
