"""The OpenAPI document is correct: generated requests get the responses it describes."""

import contextlib
import json
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

# A schema cannot express, for example, that bytes are a picture or that only one field is set.
LEFT_OUT = ("positive_data_acceptance", "negative_data_rejection")
EXAMPLES = 6  # per operation and mode
# Generating the many numbers of tiles takes about a second.
FEW = dict.fromkeys(("POST /v1/classify", "POST /v1/reconstruct"), 3)


def document(client):
    return client.get("/openapi.json").json()


def test_all_routes_and_their_responses_are_described(client):
    paths = document(client)["paths"]
    assert set(paths) == {
        *("/v1/read", "/v1/table", "/v1/classify", "/v1/reconstruct", "/v1/models"),
        *("/v2", "/v2/health/live", "/v2/health/ready"),
        *("/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/infer"),
        *("/healthz", "/readyz", "/metrics"),
    }
    read = paths["/v1/read"]["post"]
    assert set(read["requestBody"]["content"]) == {
        *("multipart/form-data", "application/json", "application/octet-stream"),
        *("application/pdf", "image/*"),
    }
    assert {"200", "400", "401", "408", "413", "415", "422", "429", "504"} <= set(read["responses"])
    known = {"expect", "target_error", "tiles", "decimal", "grouping", "locale"}
    assert {one["name"] for one in read["parameters"]} == known


def test_examples_in_the_document_are_accepted(client):
    paths = document(client)["paths"]
    bodies = [
        (path.format(name="tiles"), example)
        for path in ("/v1/read", "/v1/classify", "/v1/reconstruct", "/v2/models/{name}/infer")
        for example in examples(paths[path]["post"]["requestBody"]["content"]["application/json"])
    ]
    assert len(bodies) == 5
    for path, body in bodies:
        assert client.post(path, json=body).status_code == 200


def examples(content):
    if "example" in content:
        return [content["example"]]
    return [example["value"] for example in content["examples"].values()]


def test_all_references_resolve(client):
    content = document(client)
    known = {f"#/components/schemas/{name}" for name in content["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(content))) <= known


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_responses_to_generated_requests_match_the_document(serve, mode):
    import schemathesis  # noqa: PLC0415  (slow to load)
    from schemathesis.checks import CHECKS, load_all_checks  # noqa: PLC0415

    load_all_checks()
    left_out = [CHECKS.get_one(name) for name in LEFT_OUT]
    mode = schemathesis.GenerationMode(mode)
    app = serve(hosts=("testserver",)).app
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    asked = [_ask(result.ok(), mode, left_out) for result in schema.get_all_operations()]
    assert len(asked) == 14
    assert sum(asked) > EXAMPLES


def _ask(operation, mode, left_out):
    """Sends generated requests to one operation and returns their number."""
    asked = []

    @settings(
        max_examples=FEW.get(operation.label, EXAMPLES),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        answer = case.call_and_validate(excluded_checks=left_out)
        asked.append(answer.status_code)

    with contextlib.suppress(Unsatisfiable):  # no invalid request exists
        ask()
    return len(asked)
