"""What a client is told when a request is refused: problem details, or the protocol's own error.

Every refusal has a kind; the kind decides status and title, and is the label it is counted under.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from digitlens.errors import ImageError, MissingExtraError

MEDIA_TYPE = "application/problem+json"
PROTOCOL = "/v2"  # below it, errors have the shape of the Open Inference Protocol
REFUSED = "digitlens.refused"  # where the kind of a refusal stands in the scope, to be counted
_URN = "urn:problem-type:digitlens:"
_SHOWN = 3  # faults of one request


@dataclass(frozen=True)
class Kind:
    """A kind of refusal: the HTTP status, and what is the matter, the same each time."""

    status: int
    title: str


KINDS = {
    "malformed": Kind(400, "The request cannot be parsed"),
    "unauthorized": Kind(401, "A token is needed"),
    "not-found": Kind(404, "There is nothing here"),
    "method-not-allowed": Kind(405, "This is asked for in another way"),
    "slow-body": Kind(408, "The request took too long to arrive"),
    "too-large": Kind(413, "The request is too large"),
    "unsupported-type": Kind(415, "This type of content is not read"),
    "wrong-host": Kind(421, "The server does not go by this name"),
    "invalid": Kind(422, "The request asks for something impossible"),
    "picture": Kind(422, "A picture cannot be read"),
    "queue-full": Kind(429, "Too many requests are waiting"),
    "memory-full": Kind(429, "Too much is being sent at a time"),
    "gone": Kind(499, "The client is gone"),
    "internal": Kind(500, "The server has made a mistake"),
    "stopping": Kind(503, "The server is stopping"),
    "time-limit": Kind(504, "The answer took too long"),
}
_OF_STATUS = {404: "not-found", 405: "method-not-allowed"}


class Refusal(Exception):  # noqa: N818  (not an error of the server's)
    """A request is not answered: a key of ``KINDS``, and what was wrong, for a person."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})


class Problem(BaseModel):
    """Problem details as of RFC 9457."""

    type: str = Field(examples=[_URN + "picture"])
    title: str = Field(examples=["A picture cannot be read"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["note.png: is empty, expected a picture"])
    instance: str = Field(examples=["/v1/read"])


def refused(refusal: Refusal, path: str) -> Response:
    """The response that says why a request to ``path`` is refused."""
    kind = KINDS[refusal.kind]
    if path == PROTOCOL or path.startswith(PROTOCOL + "/"):
        content, media = {"error": refusal.detail}, "application/json"
    else:
        content = {
            "type": _URN + refusal.kind,
            "title": kind.title,
            "status": kind.status,
            "detail": refusal.detail,
            "instance": path,
        }
        media = MEDIA_TYPE
    return Response(json.dumps(content), kind.status, refusal.headers, media)


def explain(errors: Iterable[Any]) -> str:
    """The first few faults that pydantic found, in words."""
    texts = [_fault(error) for error in errors]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "; ".join(texts[:_SHOWN] + more)


def invalid(error: ValidationError) -> Refusal:
    """The refusal of what pydantic found wrong with a request."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    kinds = {"json_invalid": "malformed", "too_long": "too-large"}
    return Refusal(kinds.get(errors[0]["type"], "invalid"), explain(errors))


def of_exception(error: Exception) -> Refusal:
    """The refusal that an exception amounts to; of the server's own mistakes it tells nothing."""
    if isinstance(error, Refusal):
        return error
    make = next((make for kind, make in _MAKERS if isinstance(error, kind)), None)
    if make:
        return make(error)
    return Refusal("internal", "the request could not be answered; the server's log says why")


def install(app: FastAPI) -> None:
    """Has an application answer with problems whatever goes wrong on purpose."""
    for error in (Refusal, *(kind for kind, _ in _MAKERS)):
        app.add_exception_handler(error, _answer)


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """What an OpenAPI operation may answer in place of success."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles: dict[int | str, list[str]] = {}
    for kind in kinds:
        titles.setdefault(KINDS[kind].status, []).append(KINDS[kind].title)
    return {
        status: {"description": "; ".join(texts), "content": content}
        for status, texts in titles.items()
    }


async def _answer(request: Request, error: Exception) -> Response:
    refusal = of_exception(error)
    request.scope[REFUSED] = refusal.kind
    return refused(refusal, request.scope["path"])


def _of_status(error: HTTPException) -> Refusal:
    kind = _OF_STATUS.get(error.status_code, "malformed")
    phrase = HTTPStatus(error.status_code).phrase
    detail = str(error.detail) if error.detail != phrase else KINDS[kind].title.lower()
    return Refusal(kind, detail, error.headers)


def _fault(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query"))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


_MAKERS: list[tuple[type[Exception], Callable[[Any], Refusal]]] = [
    (ImageError, lambda error: Refusal("picture", str(error))),
    (MissingExtraError, lambda error: Refusal("unsupported-type", str(error))),
    (ValidationError, invalid),
    (RequestValidationError, lambda error: Refusal("invalid", explain(error.errors()))),
    (HTTPException, _of_status),
    (ClientDisconnect, lambda _: Refusal("gone", "the client closed the connection")),
]
