import base64

import numpy as np
import pytest

from digitlens.reading.expect import Pattern

RAW = {"Content-Type": "image/png"}


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


def test_a_picture_as_the_whole_body_is_read(client, picture):
    answer = client.post("/v1/read", content=picture, headers=RAW).json()
    assert answer["model"] == {"name": "tiles", "sha256": "tiles" * 8}
    assert answer["pages"] == {"name": "pages", "sha256": "pages" * 8}
    assert answer["lines"] == {"name": "lines", "sha256": "lines" * 8}
    (reading,) = answer["readings"]
    assert (reading["text"], reading["digits_only"], reading["numbers"]) == ("-7", "7", ["7"])
    assert [(each["char"], each["box"]) for each in reading["characters"][0]] == [
        ("-", [0, 0, 1, 1]), ("7", [0, 0, 40, 20])
    ]  # fmt: skip
    assert (reading["name"], reading["page"], reading["page_count"]) == (None, 1, 1)
    assert (reading["width"], reading["height"]) == (40, 20)
    assert reading["lines"][0][0]["box"] == [0, 0, 40, 20]
    assert "tile" not in reading["lines"][0][0]
    assert 0 <= reading["seconds"] <= answer["seconds"] < 5


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/pdf", "image/x", ""])
def test_the_bytes_say_what_a_raw_body_is(client, picture, kind):
    answer = client.post("/v1/read", content=picture, headers={"Content-Type": kind})
    assert answer.json()["readings"][0]["text"] == "-7"


def test_a_form_may_hold_many_files_and_options(client, picture, reader):
    reader.tile = np.zeros((28, 28), np.uint8)
    files = [("file", ("a.png", picture)), ("files", ("ö.png", picture))]
    answer = client.post("/v1/read", files=files, data={"expect": "1", "tiles": "true"}).json()
    assert [reading["name"] for reading in answer["readings"]] == ["a.png", "ö.png"]
    assert reader.pages == [Pattern.parse("1")] * 2
    assert len(base64.b64decode(answer["readings"][0]["lines"][0][0]["tile"])) == 784


def test_json_holds_one_picture_or_many(client, picture, reader):
    data = encoded(picture)
    one = client.post("/v1/read", json={"image": {"data": data}, "expect": "##"}).json()
    assert [reading["name"] for reading in one["readings"]] == [None]
    many = {"images": [{"data": data, "name": "a"}, {"data": data}], "target_error": 0.25}
    answer = client.post("/v1/read", json=many).json()
    assert [reading["name"] for reading in answer["readings"]] == ["a", None]
    assert reader.pages[0] == Pattern.parse("##")
    assert answer["readings"][0]["lines"][0][0]["confidence"] == 0.75


def test_every_page_is_read(client, three_pages):
    answer = client.post("/v1/read", files={"file": ("scan.tif", three_pages)}).json()
    places = [(r["name"], r["page"], r["page_count"]) for r in answer["readings"]]
    assert places == [("scan.tif", 1, 3), ("scan.tif", 2, 3), ("scan.tif", 3, 3)]


@pytest.mark.parametrize("share", ["0.25", "25%", "25 %"])
def test_a_target_error_moves_the_threshold_of_its_request_alone(client, picture, share):
    def confidence(**options):
        answer = client.post("/v1/read", content=picture, headers=RAW, params=options)
        return answer.json()["readings"][0]["lines"][0][0]["confidence"]

    assert confidence(target_error=share) == 0.75
    assert confidence() == 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"expect": "04"}, "it is no number of digits"),
        ({"expect": ""}, "0 places"),
        ({"expect": "#" * 500}, "500 places"),
        ({"target_error": "NaN"}, "above 0 and below 1"),
        ({"target_error": "7"}, "for percent write 7%"),
        ({"target_error": "0.0001"}, "the least that the curve can promise"),
        ({"tiles": "perhaps"}, "tiles: "),
        ({"expct": "4"}, "expct: Extra inputs"),
    ],
)
def test_impossible_options_are_named(client, picture, options, words):
    in_query = client.post("/v1/read", content=picture, headers=RAW, params=options)
    assert words in problem(in_query, 422, "invalid")
    in_form = client.post("/v1/read", files={"file": ("a", picture)}, data=options)
    assert words in problem(in_form, 422, "invalid")
    in_json = client.post("/v1/read", json={"image": {"data": encoded(picture)}, **options})
    assert words in problem(in_json, 422, "invalid")


def test_a_picture_that_cannot_be_read_is_named(client, picture):
    files = [("file", ("a.png", picture)), ("file", ("b.png", picture[:30]))]
    detail = problem(client.post("/v1/read", files=files), 422, "picture")
    assert detail.startswith("b.png: is ")


def test_too_many_pages_are_refused_before_one_is_read(client, three_pages, reader):
    files = [("file", ("a.tif", three_pages))] * 34
    assert "100 pages" in problem(client.post("/v1/read", files=files), 413, "too-large")
    assert len(reader.pages) == 99


def test_the_tile_that_the_classifier_saw_is_given(client, picture, reader):
    reader.tile = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    answer = client.post("/v1/read", content=picture, headers=RAW, params={"tiles": "true"})
    digit, reject = answer.json()["readings"][0]["lines"][0]
    assert base64.b64decode(digit["tile"]) == reader.tile.tobytes()
    assert reject["tile"] == ""  # it was not asked
