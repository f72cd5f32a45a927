import base64
import json

import numpy as np
import pytest

from digitlens.server.settings import TILES

JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
THREE = np.zeros((3, 28, 28), np.uint8)
THREE[:, 0, 0] = (4, 0, 7)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (THREE.tobytes(), BYTES),
        (json.dumps({"tiles": THREE.tolist()}).encode(), JSON),
        (json.dumps({"tiles": base64.b64encode(THREE.tobytes()).decode()}).encode(), JSON),
    ],
)
def test_tiles_are_classified_however_they_come(client, body, headers):
    answer = client.post("/v1/classify", content=body, headers=headers).json()
    assert answer["model"]["name"] == "tiles"
    assert [one["value"] for one in answer["predictions"]] == [4, 0, 7]
    first = answer["predictions"][0]
    assert first["confidence"] == first["probabilities"][4] == 0.91
    assert answer["seconds"] >= 0


def rows(value=0, tiles=1, height=28, width=28):
    return {"tiles": [[[value] * width] * height] * tiles}


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"", BYTES, 400, "empty"),
        (b"x" * 783, BYTES, 422, "784 bytes a tile"),
        (b"x" * 784 * (TILES + 1), BYTES, 413, "1024"),
        (b"x", {"Content-Type": "image/png"}, 415, "image/png"),
        (rows(256), JSON, 422, "255"),
        (rows(-1), JSON, 422, "0"),
        (rows(0.5), JSON, 422, "integer"),
        (rows(True), JSON, 422, "integer"),
        (rows("7"), JSON, 422, "integer"),
        (rows(float("nan")), JSON, 422, "integer"),
        (rows(None), JSON, 422, "integer"),
        (rows(height=27), JSON, 422, "28 items"),
        (rows(width=29), JSON, 413, "28 items"),
        (rows(tiles=0), JSON, 422, "1 item"),
        (rows(tiles=TILES + 1, height=1, width=1), JSON, 413, "1024"),
        ({"tiles": ""}, JSON, 422, "784 bytes a tile"),
        ({"tiles": "????"}, JSON, 422, "base64"),
        ({"tiles": 7}, JSON, 422, "array"),
        ({"tiles": {"0": 7}}, JSON, 422, "array"),
        ({}, JSON, 422, "tiles"),
        ([], JSON, 422, "object"),
        ({"tiles": "", "more": 1}, JSON, 422, "more"),
        (b'{"tiles": ' + b"[" * 100_000, JSON, 400, "JSON"),
    ],
)
def test_what_is_no_tile_is_refused(client, body, headers, status, words):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/v1/classify", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_the_models_are_told_without_their_long_lists(client):
    models = client.get("/v1/models").json()["models"]
    assert [(one["role"], one["name"]) for one in models] == [
        ("tiles", "tiles"),
        ("pages", "pages"),
        ("lines", "lines"),
    ]
    assert models[0]["sha256"] == "tiles" * 8
    assert models[0]["framing"] == 1
    assert models[0]["thresholds"] == {"digit": 0.8, "reject": 0.4}
    assert models[0]["results"] == {"accuracy": 0.99}
