def test_a_server_is_alive_and_ready(client):
    for path in ("/healthz", "/readyz"):
        assert client.get(path).json() == {"status": "ok"}


def test_a_server_that_stops_is_alive_and_not_ready(client):
    client.app.state.service.stopping = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/v2/health/ready").status_code == 503


def test_metrics_tell_what_was_read(client, picture):
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
    ):
        assert line in answer.text


def test_servers_do_not_share_counters(serve):
    serve().get("/made-up")
    assert "not-found" not in serve().get("/metrics").text
