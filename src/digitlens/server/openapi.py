"""The OpenAPI document of the API, made of its requests and answers, with examples to try."""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from digitlens.server.limits import PICTURES
from digitlens.server.problems import Problem
from digitlens.server.schemas import (
    JSON,
    MULTIPART,
    RAW,
    ClassifyRequest,
    InferRequest,
    ReadOptions,
    ReadRequest,
    TableQuery,
)

_MODELS = (ReadRequest, ReadOptions, TableQuery, ClassifyRequest, InferRequest, Problem)
_REF = "#/components/schemas/"
_BYTES = {"schema": {"type": "string", "format": "binary"}}
# Black, 1 x 1: the least there is to try with.
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
_TILES = {"tiles": [[[0] * 28] * 28]}
_TENSOR = {"name": "tiles", "shape": [1, 28, 28], "datatype": "UINT8", "data": [0] * 784}
_OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")


def install(app: FastAPI) -> None:
    """Has an application give the whole document at ``/openapi.json``."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _schemas()
    for name in ("HTTPValidationError", "ValidationError"):  # of FastAPI, which answer nothing here
        schemas.pop(name, None)
    for path, body in _bodies(schemas).items():
        document["paths"][path]["post"]["requestBody"] = {"required": True, "content": body}
    for path, options in (("/v1/read", "ReadOptions"), ("/v1/table", "TableQuery")):
        document["paths"][path]["post"]["parameters"] = _parameters(schemas[options])
    _describe_token(document)
    return document


def _schemas() -> dict[str, Any]:
    wanted = [(model, "validation") for model in _MODELS]
    _, definitions = models_json_schema(wanted, ref_template=_REF + "{model}")  # pyright: ignore[reportArgumentType]
    return definitions["$defs"]


def _bodies(schemas: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each route that takes a body accepts, by type."""
    pictures = {
        "one": {"value": {"image": {"data": _PNG, "name": "dot.png"}}},
        "many": {"value": {"images": [{"data": _PNG}, {"data": _PNG}], "expect": "4"}},
    }
    read = {
        MULTIPART: {"schema": _form(schemas["ReadOptions"])},
        JSON: {"schema": {"$ref": _REF + "ReadRequest"}, "examples": pictures},
        **dict.fromkeys(RAW, _BYTES),
    }
    return {
        "/v1/read": read,
        "/v1/table": read | {JSON: {"schema": {"$ref": _REF + "ReadRequest"}}},
        "/v1/classify": {
            JSON: {"schema": {"$ref": _REF + "ClassifyRequest"}, "example": _TILES},
            RAW[1]: _BYTES,
        },
        "/v1/reconstruct": {
            JSON: {"schema": {"$ref": _REF + "ClassifyRequest"}, "example": _TILES},
            RAW[1]: _BYTES,
        },
        "/v2/models/{name}/infer": {
            JSON: {"schema": {"$ref": _REF + "InferRequest"}, "example": {"inputs": [_TENSOR]}},
        },
    }


def _form(options: dict[str, Any]) -> dict[str, Any]:
    """A form: files, and the options as further fields."""
    form = copy.deepcopy(options)
    form["title"] = "ReadForm"
    form["properties"]["file"] = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": PICTURES,
    }
    form["required"] = ["file"]
    return form


def _parameters(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Options as parameters of the query."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in options["properties"].items()
    ]


def _describe_token(document: dict[str, Any]) -> None:
    scheme = {"type": "http", "scheme": "bearer", "description": "If the server was given a token."}
    document["components"]["securitySchemes"] = {"token": scheme}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in _OPEN else [{}, {"token": []}]
            operation["responses"].pop("422", None) if path in _OPEN else None
