import base64
import json

import numpy as np
import pytest

from digitlens.models.reconstructor import Reconstructor

JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
TWO = np.zeros((2, 28, 28), np.uint8)
TWO[0, 5:23, 13:16] = 240  # a 1
TWO[1, ::2] = 255


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (TWO.tobytes(), BYTES),
        (json.dumps({"tiles": TWO.tolist()}).encode(), JSON),
        (json.dumps({"tiles": base64.b64encode(TWO.tobytes()).decode()}).encode(), JSON),
    ],
)
def test_tiles_are_drawn_again_however_they_come(client, body, headers):
    answer = client.post("/v1/reconstruct", content=body, headers=headers).json()
    expected = Reconstructor().reconstruct(TWO)
    assert answer["model"]["name"] == "autoencoder"
    found = answer["reconstructions"]
    tiles = [np.frombuffer(base64.b64decode(one["tile"]), np.uint8) for one in found]
    assert np.abs(np.stack(tiles).reshape(-1, 28, 28).astype(int) - expected.tiles).max() <= 1
    assert [one["error"] for one in found] == pytest.approx(expected.error, rel=1e-3)
    assert found[0]["drawn_better"] < 0.9 < found[1]["drawn_better"] <= 1


def test_what_is_no_tile_is_refused_as_for_classifying(client):
    for body, status in ((b"", 400), (b"x" * 783, 422)):
        answer = client.post("/v1/reconstruct", content=body, headers=BYTES)
        assert answer.status_code == status
    assert client.get("/v1/reconstruct").status_code == 405
