"""The HTTP surface as callers meet it."""

ROW = {"customer_id": "c1", "plan": "free"}
PREDICT = "/api/v1/endpoints/churn/predict"


def test_a_prediction_as_plain_json(server):
    status, _, answer = server.call("POST", PREDICT, ROW)
    assert status == 200
    text = str(answer)
    assert "churn" in text and "score" in text
    assert "lookups" not in answer, "the features of c1 are there"
    status, _, many = server.call("POST", PREDICT, {"rows": [ROW, {**ROW, "customer_id": "c999"}]})
    assert status == 200 and len(many["predictions"]) == 2
    assert many["lookups"] == [{"view": "customer_orders", "version": 1, "missing": 1, "expired": 0}]


def test_a_prediction_by_the_open_inference_protocol(server):
    status, _, model = server.call("GET", "/v2/models/churn")
    assert status == 200 and {tensor["name"] for tensor in model["inputs"]} >= {"customer_id", "plan"}
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in ROW.items()]
    status, _, answer = server.call("POST", "/v2/models/churn/infer", {"id": "7", "inputs": inputs})
    assert status == 200, answer
    assert answer["id"] == "7" and answer["outputs"]


def test_bad_fields_are_named_with_a_hint(server):
    cases = [
        ({"plan": "free"}, "customer_id"),
        ({**ROW, "colour": "red"}, "colour"),
        ({**ROW, "plan": "x" * 2000}, "plan"),
        ({**ROW, "plan": 7}, "plan"),
    ]
    for row, field in cases:
        status, headers, problem = server.call("POST", PREDICT, row)
        assert status == 400, (row, problem)
        assert headers["Content-Type"].startswith("application/problem+json")
        assert field in problem["detail"] and problem["hint"] and problem["code"] and problem["request_id"]
    status, _, _ = server.call("POST", PREDICT, b'{"customer_id": NaN}')
    assert status == 400


def test_nobody_gets_in_without_the_token(server):
    for path in ["/api/v1/models", "/api/v1/ledger/entries", "/metrics", "/"]:
        assert server.call("GET", path, token=False)[0] == 401, path
        assert server.call("GET", path, token="lw_wrong")[0] == 401, path
    assert server.call("GET", "/health", token=False)[0] == 200


def test_a_foreign_host_is_refused(server):
    status, _, _ = server.call("GET", "/api/v1/status", headers={"Host": "evil.example"})
    assert status in (403, 421)


def test_sigterm_drains_and_ends_well(server):
    server.call("POST", PREDICT, ROW)
    assert server.stop() == 0


def test_the_api_describes_itself(server):
    status, _, document = server.call("GET", "/api/v1/openapi.json")
    assert status == 200 and document["openapi"].startswith("3.")
    assert "/api/v1/models/{model}/why" in document["paths"]


def test_a_rollback_needs_something_to_go_back_to(server):
    status, _, problem = server.call("POST", "/api/v1/endpoints/churn/rollback", {"reason": "just trying"})
    assert status in (404, 409, 422), problem
    assert problem["hint"]


def test_the_command_line_talks_to_the_running_server(server):
    models = server.project.json("models")
    assert models["items"][0]["champion"] == "churn@1"
