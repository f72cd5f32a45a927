import pytest

TOKEN = {"Authorization": "Bearer sésame".encode()}
LOCKED = ["/v1/models", "/v2", "/v2/models/tiles", "/metrics"]
OPEN = ["/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/openapi.json"]


@pytest.mark.parametrize("path", LOCKED)
@pytest.mark.parametrize("presented", [None, "Bearer", "Bearer ", "Bearer open", "Basic sésame"])
def test_without_the_token_the_api_is_closed(serve, path, presented):
    headers = {"Authorization": presented.encode()} if presented else {}
    answer = serve(token="sésame").get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "sésame" not in answer.text


@pytest.mark.parametrize("path", LOCKED)
def test_with_the_token_it_is_open(serve, path):
    assert serve(token="sésame").get(path, headers=TOKEN).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_pages_and_probes_need_no_token(serve, path):
    assert serve(token="sésame").get(path).status_code in {200, 404}


def test_the_protocol_has_its_own_shape_of_errors(serve):
    answer = serve(token="sésame").get("/v2/models/tiles")
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("digits.example", 200),
        ("Digits.Example:8000", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("digits.example.evil.example", 421),
        ("digits.example:80:80", 421),
        ("", 421),
    ],
)
def test_only_names_that_are_the_server_s_are_answered(serve, host, status):
    client = serve(hosts=("digits.example", "[::1]"))
    assert client.get("/healthz", headers={"Host": host}).status_code == status


def test_other_sites_may_not_ask_unless_they_are_named(serve):
    origin = {"Origin": "https://there.example"}
    wish = {**origin, "Access-Control-Request-Method": "POST"}
    silent = serve().options("/v1/read", headers=wish)
    assert silent.status_code == 405
    assert "Access-Control-Allow-Origin" not in silent.headers
    named = serve(cors=("https://there.example",), token="t")
    asked = named.options("/v1/read", headers=wish)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == "https://there.example"
    refused = named.get("/v1/models", headers=origin)
    assert refused.status_code == 401  # and the page is allowed to see that
    assert refused.headers["Access-Control-Allow-Origin"] == "https://there.example"
    other = named.get("/healthz", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
