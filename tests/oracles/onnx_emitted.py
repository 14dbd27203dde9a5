"""Checks the models that crates/onnx writes and records what ONNX Runtime predicts with them.

    LOOPWRIGHT_BLESS=1 cargo test -p lw-onnx emitted   # writes golden/emitted/*.onnx
    python tests/oracles/onnx_emitted.py               # writes golden/emitted/*.json
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime

EMITTED = pathlib.Path(__file__).parents[2] / "crates/onnx/tests/golden/emitted"
N_ROWS = 40


def column(declared, rng):
    if declared.type == "tensor(string)":
        return rng.choice(["AA", "Zürich", "unknown", ""], N_ROWS).astype(object)[:, None]
    values = {"hour": rng.uniform(0, 24, N_ROWS), "distance": rng.normal(1000, 500, N_ROWS), "delay": rng.normal(5, 20, N_ROWS)}
    numbers = values[declared.name].astype(np.float32)
    numbers[rng.random(N_ROWS) < 0.15] = np.nan
    return numbers[:, None]


for path in sorted(EMITTED.glob("*.onnx")):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(11)
    inputs = {declared.name: column(declared, rng) for declared in session.get_inputs()}
    outputs = session.run(None, inputs)
    record = {"inputs": {}, "outputs": {}}
    for name, values in inputs.items():
        record["inputs"][name] = [None if cell != cell else cell for cell in values.ravel().tolist()]
    for declared, values in zip(session.get_outputs(), outputs):
        record["outputs"][declared.name] = values.ravel().tolist()
    path.with_suffix(".json").write_text(json.dumps(record) + "\n")
    print(f"{path.name}: {len(path.read_bytes())} bytes")
