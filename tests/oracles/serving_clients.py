"""Checks the Open Inference Protocol of a running server with Triton's own HTTP client.

    python tests/oracles/serving_clients.py URL TOKEN

The server has an endpoint `late_arrival` with the fields carrier (text) and distance (number), whose score is 0.2 + 0.001 * distance,
as the one of crates/server/tests/it/world.rs. `cargo test -p lw-server --test it -- --ignored clients` runs this; it needs
tritonclient[http] in the Python that LOOPWRIGHT_TEST_CLIENTS names.
"""

import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException


def inputs(binary):
    carrier = http.InferInput("carrier", [2], "BYTES")
    carrier.set_data_from_numpy(np.array(["UA", "Zürich"], dtype=object), binary_data=binary)
    distance = http.InferInput("distance", [2], "FP64")
    distance.set_data_from_numpy(np.array([100.0, 400.0]), binary_data=binary)
    return [carrier, distance]


def check_scores(answer):
    np.testing.assert_allclose(answer.as_numpy("score"), [0.3, 0.6], atol=1e-6)
    assert answer.as_numpy("predicted").tolist() == [False, True]


def main(url, token):
    client = http.InferenceServerClient(url.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {token}"}  # infer() adds its own to the dictionary that it is given
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late_arrival", headers=headers)
    assert client.is_model_ready("late_arrival", "2", headers=headers)
    assert not client.is_model_ready("late_arrival", "1", headers=headers)
    assert client.get_server_metadata(headers=headers)["name"] == "loopwright"
    assert client.get_model_metadata("late_arrival", headers=headers)["inputs"][0]["name"] == "carrier"
    assert client.get_model_config("late_arrival", headers=headers)["name"] == "late_arrival"
    assert client.get_model_repository_index(headers=headers)[0]["state"] == "READY"

    n_calls = 0
    for binary_in in (False, True):
        for binary_out in (False, True):
            for compression in (None, "gzip", "deflate"):
                outputs = [http.InferRequestedOutput(name, binary_data=binary_out) for name in ("score", "predicted", "id")]
                answer = client.infer(
                    "late_arrival",
                    inputs(binary_in),
                    outputs=outputs,
                    request_id="my-id",
                    headers=dict(headers),
                    request_compression_algorithm=compression,
                )
                check_scores(answer)
                assert answer.get_response()["id"] == "my-id"
                n_calls += 1
    check_scores(client.infer("late_arrival", inputs(True), model_version="2", headers=dict(headers)))
    check_scores(client.async_infer("late_arrival", inputs(True), headers=dict(headers)).get_result())
    statistics = client.get_inference_statistics("late_arrival", headers=headers)
    assert statistics["model_stats"][0]["inference_count"] == 2 * (n_calls + 2), statistics

    for wrong in (inputs(True)[:1], [http.InferInput("colour", [1], "BYTES")]):
        wrong[0].set_data_from_numpy(np.array(["UA"] * wrong[0].shape()[0], dtype=object))
        try:
            client.infer("late_arrival", wrong, headers=dict(headers))
        except InferenceServerException as error:
            assert error.status() == "400" and "field" in error.message(), error
        else:
            raise AssertionError("a wrong request was answered")
    print(f"{n_calls + 2} calls answered")


if __name__ == "__main__":
    main(*sys.argv[1:])
