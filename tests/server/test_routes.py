"""All routes: pictures and tiles in; readings, predictions, reconstructions, models, health out."""

import base64
import json

import numpy as np
import pytest

from digitlens.models.networks import Reconstructor
from digitlens.reading.constraints import Expectation
from digitlens.server.limits import TILES
from digitlens.server.schemas import NumberAnswer, TableAnswer

RAW = {"Content-Type": "image/png"}
ROLES = ("tiles", "pages", "lines")


def encoded(data):
    return base64.b64encode(data).decode()


def problem(response, status, kind):
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    content = response.json()
    assert content["type"] == f"urn:problem-type:digitlens:{kind}"
    assert content["status"] == status
    assert content["instance"] == response.url.path
    return content["detail"]


def test_raw_body_is_read(client, picture):
    answer = client.post("/v1/read", content=picture, headers=RAW).json()
    assert answer["model"] == {"name": "tiles", "sha256": "tiles" * 8}
    assert answer["pages"] == {"name": "pages", "sha256": "pages" * 8}
    assert answer["lines"] == {"name": "lines", "sha256": "lines" * 8}
    (reading,) = answer["readings"]
    characters = [(each["char"], each["box"]) for each in reading["characters"][0]]
    assert characters == [("-", [0, 0, 1, 1]), ("7", [0, 0, 40, 20])]
    facts = {"text": "-7", "digits_only": "7", "numbers_digits": ["7"], "width": 40, "height": 20}
    assert reading | facts | {"name": None, "page": 1, "page_count": 1} == reading
    (number,) = reading["numbers"]
    facts = {"text": "-7", "value": "-7", "digits": "7", "kind": "integer", "unit": ""}
    assert number | facts | {"status": "number"} == number
    NumberAnswer.model_validate(number, extra="forbid")
    assert reading["lines"][0][0]["box"] == [0, 0, 40, 20]
    assert "tile" not in reading["lines"][0][0]
    assert 0 <= reading["seconds"] <= answer["seconds"] < 5


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/pdf", "image/x", ""])
def test_type_of_a_raw_body_is_detected_from_its_bytes(client, picture, kind):
    answer = client.post("/v1/read", content=picture, headers={"Content-Type": kind})
    assert answer.json()["readings"][0]["text"] == "-7"


def test_form_accepts_several_files_and_options(client, picture, reader):
    reader.tile = np.zeros((28, 28), np.uint8)
    files = [("file", ("a.png", picture)), ("files", ("ö.png", picture))]
    answer = client.post("/v1/read", files=files, data={"expect": "1", "tiles": "true"}).json()
    assert [reading["name"] for reading in answer["readings"]] == ["a.png", "ö.png"]
    assert reader.pages == [Expectation.of("1")] * 2
    assert len(base64.b64decode(answer["readings"][0]["lines"][0][0]["tile"])) == 784


def test_json_accepts_one_or_several_pictures(client, picture, reader):
    data = encoded(picture)
    one = client.post("/v1/read", json={"image": {"data": data}, "expect": "##"}).json()
    assert [reading["name"] for reading in one["readings"]] == [None]
    many = {"images": [{"data": data, "name": "a"}, {"data": data}], "target_error": 0.25}
    answer = client.post("/v1/read", json=many).json()
    assert [reading["name"] for reading in answer["readings"]] == ["a", None]
    assert reader.pages[0] == Expectation.of("##")
    assert answer["readings"][0]["lines"][0][0]["confidence"] == 0.75


def test_notation_is_accepted_in_query_form_and_json(client, picture, reader):
    options = {"decimal": ",", "grouping": ".", "locale": "de_DE"}
    client.post("/v1/read", content=picture, headers=RAW, params=options)
    assert reader.notation == options
    files = {"file": ("a.png", picture)}
    client.post("/v1/read", files=files, data={"grouping": "'"}, params={"decimal": "."})
    assert reader.notation == {"decimal": ".", "grouping": "'", "locale": None}
    client.post("/v1/read", json={"image": {"data": encoded(picture)}, "locale": "en"})
    assert reader.notation == {"decimal": None, "grouping": None, "locale": "en"}
    answer = client.post("/v1/read", files=files, data={"grouping": ","}, params={"decimal": ","})
    assert "expected two marks" in problem(answer, 422, "invalid")


def test_every_page_is_read(client, three_pages):
    answer = client.post("/v1/read", files={"file": ("scan.tif", three_pages)}).json()
    places = [(r["name"], r["page"], r["page_count"]) for r in answer["readings"]]
    assert places == [("scan.tif", 1, 3), ("scan.tif", 2, 3), ("scan.tif", 3, 3)]


@pytest.mark.parametrize("share", ["0.25", "25%", "25 %"])
def test_target_error_changes_the_threshold_of_its_request_only(client, picture, share):
    def confidence(**options):
        answer = client.post("/v1/read", content=picture, headers=RAW, params=options)
        return answer.json()["readings"][0]["lines"][0][0]["confidence"]

    assert confidence(target_error=share) == 0.75
    assert confidence() == 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"expect": "04"}, "it is not a number of digits"),
        ({"expect": ""}, "0 places"),
        ({"expect": "#" * 100}, "100 places"),
        ({"expect": "#" * 500}, "at most 400 characters, found 500"),
        ({"expect": ["luhn"] * 9}, "at most 8 constraints, found 9"),
        ({"expect": ["luhn", ";".join(["luhn"] * 9)]}, "at most 8 constraints, found 10"),
        ({"expect": ["one of 1.2, 12", "range 1..2"], "decimal": ","}, "no number can satisfy"),
        ({"expect": "range 5..3"}, "ascending order"),
        ({"expect": ["4", "one of 12, 15"]}, "no number can satisfy 4; one of 12, 15"),
        ({"target_error": "NaN"}, "above 0 and below 1"),
        ({"target_error": "7"}, "for percent write 7%"),
        ({"target_error": "0.0001"}, "the least that the curve can promise"),
        ({"tiles": "perhaps"}, "tiles: "),
        ({"decimal": ";"}, "decimal: "),
        ({"grouping": ",", "decimal": ","}, "expected two marks"),
        ({"locale": "tlh"}, "locale: expected a language or one of"),
        ({"expct": "4"}, "expct: Extra inputs"),
    ],
)
def test_invalid_options_are_named(client, picture, options, words):
    in_query = client.post("/v1/read", content=picture, headers=RAW, params=options)
    assert words in problem(in_query, 422, "invalid")
    in_form = client.post("/v1/read", files={"file": ("a", picture)}, data=options)
    assert words in problem(in_form, 422, "invalid")
    in_json = client.post("/v1/read", json={"image": {"data": encoded(picture)}, **options})
    assert words in problem(in_json, 422, "invalid")


def test_unreadable_picture_is_named(client, picture):
    files = [("file", ("a.png", picture)), ("file", ("b.png", picture[:30]))]
    detail = problem(client.post("/v1/read", files=files), 422, "picture")
    assert detail.startswith("b.png: is ")


def test_too_many_pages_are_refused(client, three_pages, reader):
    files = [("file", ("a.tif", three_pages))] * 34
    assert "100 pages" in problem(client.post("/v1/read", files=files), 413, "too-large")
    assert len(reader.pages) == 99


def test_classifiers_tile_is_returned(client, picture, reader):
    reader.tile = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    answer = client.post("/v1/read", content=picture, headers=RAW, params={"tiles": "true"})
    digit, reject = answer.json()["readings"][0]["lines"][0]
    assert base64.b64decode(digit["tile"]) == reader.tile.tobytes()
    assert reject["tile"] == ""  # not classified


JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}


def bodies(tiles):
    """Returns tiles as bytes, as rows of numbers and as base64."""
    return [
        (tiles.tobytes(), BYTES),
        (json.dumps({"tiles": tiles.tolist()}).encode(), JSON),
        (json.dumps({"tiles": encoded(tiles.tobytes())}).encode(), JSON),
    ]


THREE = np.zeros((3, 28, 28), np.uint8)
THREE[:, 0, 0] = (4, 0, 7)


def test_table_is_read_cell_by_cell(client, picture, reader):
    options = {"grid": "9x9", "rules": "sudoku"}
    answer = client.post("/v1/table", content=picture, headers=RAW, params=options).json()
    (table,) = answer["tables"]
    assert TableAnswer.model_validate(answer)
    assert table["rows"][0][0]["value"] == "12.50"
    assert (table["shape"], table["page"], table["width"]) == ([1, 1], 1, 40)
    assert (reader.asked["grid"], reader.asked["expect"]) == ((9, 9), "sudoku")
    files, form = {"file": ("a.png", picture)}, {"decimal": ","}
    named = client.post("/v1/table", files=files, data=form, params={"columns": "3"}).json()
    assert named["tables"][0]["name"] == "a.png"
    assert (reader.asked["columns"], reader.asked["decimal"]) == (3, ",")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid": "0x9"}, "found 0 by 9"),
        ({"grid": "9"}, "grid: "),
        ({"columns": "251"}, "columns: "),
        ({"rules": "chess"}, "rules: "),
        ({"grid": "4x4", "rules": "sudoku"}, "9 rows"),
        ({"rows": "4"}, "rows: "),
    ],
)
def test_invalid_table_options_and_pages_without_a_table_are_refused(
    client, picture, three_pages, options, words
):
    answer = client.post("/v1/table", content=picture, headers=RAW, params=options)
    assert words in problem(answer, 422, "invalid")
    answer = client.post("/v1/table", content=three_pages, headers={"Content-Type": "image/tiff"})
    assert "found none" in problem(answer, 422, "picture")


@pytest.mark.parametrize(("body", "headers"), bodies(THREE))
def test_tiles_are_classified_in_any_encoding(client, body, headers):
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
        (b"x" * 783, BYTES, 422, "784 bytes per tile"),
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
        ({"tiles": ""}, JSON, 422, "784 bytes per tile"),
        ({"tiles": "????"}, JSON, 422, "base64"),
        ({"tiles": 7}, JSON, 422, "array"),
        ({"tiles": {"0": 7}}, JSON, 422, "array"),
        ({}, JSON, 422, "tiles"),
        ([], JSON, 422, "object"),
        ({"tiles": "", "more": 1}, JSON, 422, "more"),
        (b'{"tiles": ' + b"[" * 100_000, JSON, 400, "JSON"),
    ],
)
def test_invalid_tiles_are_refused(client, body, headers, status, words):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/v1/classify", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_models_are_described_without_long_lists(client):
    models = client.get("/v1/models").json()["models"]
    assert [(one["role"], one["name"]) for one in models] == [*zip(ROLES, ROLES, strict=True)]
    assert models[0]["sha256"] == "tiles" * 8
    assert models[0]["framing"] == 1
    assert models[0]["thresholds"] == {"digit": 0.8, "reject": 0.4}
    assert models[0]["results"] == {"accuracy": 0.99}


DRAWN = np.zeros((2, 28, 28), np.uint8)
DRAWN[0, 5:23, 13:16] = 240  # a 1
DRAWN[1, ::2] = 255


@pytest.mark.parametrize(("body", "headers"), bodies(DRAWN))
def test_tiles_are_reconstructed_in_any_encoding(client, body, headers):
    answer = client.post("/v1/reconstruct", content=body, headers=headers).json()
    expected = Reconstructor().reconstruct(DRAWN)
    assert answer["model"]["name"] == "autoencoder"
    entries = answer["reconstructions"]
    tiles = [np.frombuffer(base64.b64decode(one["tile"]), np.uint8) for one in entries]
    assert np.abs(np.stack(tiles).reshape(-1, 28, 28).astype(int) - expected.tiles).max() <= 1
    assert [one["error"] for one in entries] == pytest.approx(expected.error, rel=1e-3)
    assert entries[0]["drawn_better"] < 0.9 < entries[1]["drawn_better"] <= 1


def test_invalid_tiles_are_not_reconstructed(client):
    for body, status in ((b"", 400), (b"x" * 783, 422)):
        answer = client.post("/v1/reconstruct", content=body, headers=BYTES)
        assert answer.status_code == status
    assert client.get("/v1/reconstruct").status_code == 405


def test_stopping_server_is_alive_but_not_ready(client):
    for path in ("/healthz", "/readyz"):
        assert client.get(path).json() == {"status": "ok"}
    client.app.state.service.stopping = True
    for path, status in {"/healthz": 200, "/readyz": 503, "/v2/health/ready": 503}.items():
        assert client.get(path).status_code == status


def test_metrics_count_digits_and_responses_by_declared_route(client, picture):
    for path in ("/v2/models/tiles", "/v2/models/other", "/made/up"):
        client.get(path)
    for _ in range(2):
        client.post("/v1/read", content=picture, headers={"Content-Type": "image/png"})
    client.post("/v1/classify", content=bytes(784 * 3))
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    for line in (
        'digitlens_digits_total{status="digit"} 2.0',
        'digitlens_digits_total{status="rejected"} 2.0',
        'digitlens_rejects_total{reason="unlike a digit"} 2.0',
        "digitlens_tiles_total 3.0",
        "digitlens_queue_depth 0.0",
        "digitlens_in_progress 0.0",
        'digitlens_request_seconds_bucket{le="0.05",route="/v1/read"}',
        'digitlens_request_seconds_count{route="/v1/read"} 2.0',
        'digitlens_responses_total{route="/v2/models/{name}",status="200"} 1.0',
        'digitlens_responses_total{route="/v2/models/{name}",status="404"} 1.0',
        'digitlens_refused_requests_total{cause="not-found"} 2.0',
    ):
        assert line in answer.text
    assert "made/up" not in answer.text


def test_servers_do_not_share_metrics(serve):
    serve().get("/made-up")
    assert "not-found" not in serve().get("/metrics").text


INFER = "/v2/models/tiles/infer"
TWO = np.zeros((2, 28, 28), np.uint8)
TWO[:, 0, 0] = (4, 7)


def tensor(data=None, shape=(2, 28, 28), datatype="UINT8", name="tiles", **more):
    data = {} if data is None else {"data": data}
    return {"name": name, "shape": list(shape), "datatype": datatype, **data, **more}


@pytest.mark.parametrize(
    "data", [TWO.tolist(), TWO.ravel().tolist(), TWO.reshape(2, -1).tolist(), None]
)
def test_tensors_are_accepted_flat_nested_or_binary(client, data):
    head = tensor(data) if data else tensor(parameters={"binary_data_size": TWO.size})
    wish = json.dumps({"id": "7", "inputs": [head]})
    headers = {} if data else {"Inference-Header-Content-Length": str(len(wish))}
    content = wish.encode() + (b"" if data else TWO.tobytes())
    answer = client.post(INFER, content=content, headers=headers).json()
    assert (answer["model_name"], answer["id"]) == ("tiles", "7")
    (output,) = answer["outputs"]
    facts = {"name": "probabilities", "datatype": "FP32", "shape": [2, 10]}
    assert output | facts == output
    assert np.array(output["data"]).reshape(2, 10).argmax(axis=1).tolist() == [4, 7]


@pytest.mark.parametrize(
    "wish",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]},
    ],
)
def test_binary_output_is_returned_on_request(client, wish):
    answer = client.post(INFER, content=json.dumps({"inputs": [tensor(TWO.tolist())], **wish}))
    split = int(answer.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(answer.content[:split])["outputs"]
    facts = {"shape": [2, 10], "parameters": {"binary_data_size": 80}}
    assert output == {"name": "probabilities", "datatype": "FP32", **facts}
    rows = np.frombuffer(answer.content[split:], "<f4").reshape(2, 10)
    assert rows.argmax(axis=1).tolist() == [4, 7]


def test_output_setting_overrides_binary_output_of_the_request(client):
    output = {"name": "probabilities", "parameters": {"binary_data": False}}
    wish = {"outputs": [output], "parameters": {"binary_data_output": True}}
    answer = client.post(INFER, content=json.dumps({"inputs": [tensor(TWO.tolist())], **wish}))
    assert len(answer.json()["outputs"][0]["data"]) == 20


def test_server_and_model_metadata(client):
    assert client.get("/v2").json()["name"] == "digitlens"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    model = client.get("/v2/models/tiles").json()
    assert model["inputs"] == [{"name": "tiles", "datatype": "UINT8", "shape": [-1, 28, 28]}]
    assert model["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]
    assert client.get("/v2/models/tiles/ready").json() == {"name": "tiles", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/no", "/v2/models/no/ready", "/v2/models/pages"])
def test_unknown_models_are_not_found(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "expected the model 'tiles'" in answer.json()["error"]


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"inputs": []}, 400, "only the input 'tiles'"),
        ({"inputs": [tensor([0] * 1568), tensor([0] * 1568)]}, 400, "only"),
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
def test_invalid_tensors_are_refused_in_the_protocols_error_format(client, wish, status, words):
    answer = client.post(INFER, content=json.dumps(wish))
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert words in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "9999999", "1e3"])
def test_invalid_header_length_is_refused(client, length):
    headers = {"Inference-Header-Content-Length": length}
    answer = client.post(INFER, content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert "inference-header-content-length" in answer.json()["error"]
