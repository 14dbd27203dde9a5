"""Writes an ONNX model of 100 complete trees of depth 5 over 20 inputs: what gradient boosting gives, without training one.

    python trees.py FILE
"""

import random
import sys

import onnx
from onnx import TensorProto, helper

N_TREES, DEPTH, N_INPUTS = 100, 5, 20


def trees() -> dict[str, list]:
    chance = random.Random(7)
    nodes: dict[str, list] = {name: [] for name in ("tree", "node", "feature", "value", "mode", "true", "false")}
    leaves: dict[str, list] = {name: [] for name in ("tree", "node", "target", "weight")}
    for tree in range(N_TREES):
        for node in range(2 ** (DEPTH + 1) - 1):
            is_leaf = node >= 2**DEPTH - 1
            nodes["tree"].append(tree)
            nodes["node"].append(node)
            nodes["feature"].append(0 if is_leaf else chance.randrange(N_INPUTS))
            nodes["value"].append(0.0 if is_leaf else chance.uniform(0, 10))
            nodes["mode"].append("LEAF" if is_leaf else "BRANCH_LEQ")
            nodes["true"].append(0 if is_leaf else 2 * node + 1)
            nodes["false"].append(0 if is_leaf else 2 * node + 2)
            if is_leaf:
                leaves["tree"].append(tree)
                leaves["node"].append(node)
                leaves["target"].append(0)
                leaves["weight"].append(chance.uniform(-0.1, 0.1))
    return {
        "nodes_treeids": nodes["tree"], "nodes_nodeids": nodes["node"], "nodes_featureids": nodes["feature"],
        "nodes_values": nodes["value"], "nodes_modes": nodes["mode"], "nodes_truenodeids": nodes["true"],
        "nodes_falsenodeids": nodes["false"], "target_treeids": leaves["tree"], "target_nodeids": leaves["node"],
        "target_ids": leaves["target"], "target_weights": leaves["weight"],
    }


def main() -> None:
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["input"], ["score"], domain="ai.onnx.ml", n_targets=1, post_transform="NONE", **trees()
    )
    graph = helper.make_graph(
        [ensemble, helper.make_node("Sigmoid", ["score"], ["probability"])],
        "trees",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, N_INPUTS])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), sys.argv[1])


if __name__ == "__main__":
    main()
