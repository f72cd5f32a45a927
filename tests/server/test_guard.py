import pytest

from digitlens.server.guard import HEADERS


@pytest.mark.parametrize("path", ["/", "/nothing", "/v1/models", "/v1/read", "/v2/x", "/metrics"])
def test_every_answer_has_the_security_headers(client, path):
    answer = client.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_page_can_load_nothing_from_elsewhere():
    rules = dict(rule.split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    allowed = {source for rule in rules.values() for source in rule.split()}
    assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}


def test_answers_are_counted_by_route_as_declared(client, picture):
    client.get("/v2/models/tiles")
    client.get("/v2/models/other")
    client.get("/made/up")
    client.post("/v1/read", content=picture, headers={"Content-Type": "image/png"})
    text = client.get("/metrics").text
    assert 'digitlens_responses_total{route="/v2/models/{name}",status="200"} 1.0' in text
    assert 'digitlens_responses_total{route="/v2/models/{name}",status="404"} 1.0' in text
    assert 'digitlens_request_seconds_count{route="/v1/read"} 1.0' in text
    assert 'digitlens_refused_requests_total{cause="not-found"} 2.0' in text
    assert "made/up" not in text
