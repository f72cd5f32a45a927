import json

import numpy as np
import pytest

from digitlens.server.settings import TILES

INFER = "/v2/models/tiles/infer"
TWO = np.zeros((2, 28, 28), np.uint8)
TWO[:, 0, 0] = (4, 7)


def tensor(data=None, shape=(2, 28, 28), datatype="UINT8", name="tiles", **more):
    data = {} if data is None else {"data": data}
    return {"name": name, "shape": list(shape), "datatype": datatype, **data, **more}


@pytest.mark.parametrize("data", [TWO.tolist(), TWO.ravel().tolist(), TWO.reshape(2, -1).tolist()])
def test_tensors_come_flat_or_nested(client, data):
    answer = client.post(INFER, json={"id": "7", "inputs": [tensor(data)]}).json()
    assert (answer["model_name"], answer["id"]) == ("tiles", "7")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == (
        "probabilities",
        "FP32",
        [2, 10],
    )
    assert np.array(output["data"]).reshape(2, 10).argmax(axis=1).tolist() == [4, 7]


def test_tensors_come_as_bytes_after_the_json(client):
    head = tensor(parameters={"binary_data_size": TWO.size})
    wish = {"inputs": [head], "parameters": {"binary_data_output": True}}
    start = json.dumps(wish).encode()
    headers = {"Inference-Header-Content-Length": str(len(start))}
    answer = client.post(INFER, content=start + TWO.tobytes(), headers=headers).json()
    assert np.array(answer["outputs"][0]["data"]).reshape(2, 10).argmax(axis=1).tolist() == [4, 7]
    assert "id" not in answer


def test_server_and_model_describe_themselves(client):
    assert client.get("/v2").json()["name"] == "digitlens"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    model = client.get("/v2/models/tiles").json()
    assert model["inputs"] == [{"name": "tiles", "datatype": "UINT8", "shape": [-1, 28, 28]}]
    assert model["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]
    assert client.get("/v2/models/tiles/ready").json() == {"name": "tiles", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/no", "/v2/models/no/ready", "/v2/models/pages"])
def test_other_models_are_not_found(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "expected the model 'tiles'" in answer.json()["error"]


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"inputs": []}, 400, "the input 'tiles' alone"),
        ({"inputs": [tensor([0] * 1568), tensor([0] * 1568)]}, 400, "alone"),
        ({"inputs": [tensor([0] * 1568, name="x")]}, 400, "'tiles'"),
        ({"inputs": [tensor([0] * 1568)], "outputs": [{"name": "x"}]}, 400, "'probabilities'"),
        ({"inputs": [tensor([0] * 1568, datatype="FP32")]}, 400, "expected UINT8"),
        ({"inputs": [tensor([0] * 1568, shape=(2, 784))]}, 400, "[N, 28, 28]"),
        ({"inputs": [tensor([], shape=(0, 28, 28))]}, 400, "[N, 28, 28]"),
        ({"inputs": [tensor([], shape=(-1, 28, 28))]}, 400, "[N, 28, 28]"),
        ({"inputs": [tensor([], shape=(TILES + 1, 28, 28))]}, 413, "1024"),
        ({"inputs": [tensor([0] * 7)]}, 400, "expected 1,568 values"),
        ({"inputs": [tensor()]}, 400, "found 0"),
        ({"inputs": [tensor([])]}, 400, "whole numbers"),
        ({"inputs": [tensor([256] * 1568)]}, 400, "0 to 255"),
        ({"inputs": [tensor([-1] * 1568)]}, 400, "0 to 255"),
        ({"inputs": [tensor([0.5] * 1568)]}, 400, "whole numbers"),
        ({"inputs": [tensor([float("nan")] * 1568)]}, 400, "whole numbers"),
        ({"inputs": [tensor([True] * 1568)]}, 400, "whole numbers"),
        ({"inputs": [tensor(["7"] * 1568)]}, 400, "whole numbers"),
        ({"inputs": [tensor([[0], [0, 0]])]}, 400, "whole numbers"),
        ({"inputs": [tensor([{}] * 1568)]}, 400, "whole numbers"),
        ({"inputs": [tensor([10**30] * 1568)]}, 400, "whole numbers"),
        ({"inputs": {}}, 422, "array"),
        ({}, 422, "inputs"),
        ([], 422, "object"),
    ],
)
def test_other_tensors_are_refused_in_the_protocol_s_own_shape(client, wish, status, words):
    answer = client.post(INFER, content=json.dumps(wish))
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert words in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "9999999", "1e3"])
def test_a_head_of_impossible_length_is_refused(client, length):
    headers = {"Inference-Header-Content-Length": length}
    answer = client.post(INFER, content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert "inference-header-content-length" in answer.json()["error"]
