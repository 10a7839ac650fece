"""MiniLM-L6 (BERT, 6 layers, 384 wide, 12 heads) as an ONNX graph for one text at a time.

One text needs neither padding nor an attention mask, and batches were measured to bring nothing on a CPU. Two foldings
that change no result: token type 0 is added to the position table, and 1/sqrt(32) to the query weights.
Input ``ids`` int64 [tokens]; output ``vector`` float32 [384], the mean over all tokens at unit length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

Array = NDArray[np.float32]

LAYERS = 6
WIDTH = 384
HEADS = 12
EPSILON = 1e-12
OPSET = 20  # the first with Gelu
IR_VERSION = 10


class _Graph:
    """Nodes and constants, with names counted up."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def dense(self, x: str, weight: Array, bias: Array) -> str:
        """``x @ weight.T + bias``; ``weight`` [out, in] as torch keeps it."""
        return self.node("Add", self.node("MatMul", x, self.constant(weight.T)), self.constant(bias))

    def norm(self, x: str, weights: Mapping[str, Array], prefix: str) -> str:
        scale, bias = self.constant(weights[f"{prefix}.weight"]), self.constant(weights[f"{prefix}.bias"])
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)


def build(weights: Mapping[str, Array]) -> ModelProto:
    """The graph of ``weights`` (names as in the model's safetensors file); ``KeyError`` names a missing one."""
    graph = _Graph()
    x = _embeddings(graph, weights)
    for layer in range(LAYERS):
        x = _layer(graph, x, weights, f"encoder.layer.{layer}")
    mean = graph.node("ReduceMean", x, graph.constant(np.array([0], dtype=np.int64)), keepdims=0)
    length = graph.node("ReduceL2", mean, keepdims=1)
    graph.nodes.append(helper.make_node("Div", [mean, length], ["vector"]))
    made = helper.make_graph(
        graph.nodes,
        "minilm",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [WIDTH])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    checker.check_model(model)
    return model


def _embeddings(graph: _Graph, weights: Mapping[str, Array]) -> str:
    words = graph.constant(weights["embeddings.word_embeddings.weight"])
    table = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    start, axis = graph.constant(np.array([0], dtype=np.int64)), graph.constant(np.array([0], dtype=np.int64))
    places = graph.node("Slice", graph.constant(table), start, graph.node("Shape", "ids"), axis)
    return graph.norm(graph.node("Add", graph.node("Gather", words, "ids"), places), weights, "embeddings.LayerNorm")


def _layer(graph: _Graph, x: str, weights: Mapping[str, Array], name: str) -> str:
    attended = _attention(graph, x, weights, f"{name}.attention.self")
    projected = _dense(graph, attended, weights, f"{name}.attention.output.dense")
    x = graph.norm(graph.node("Add", x, projected), weights, f"{name}.attention.output.LayerNorm")
    inner = graph.node("Gelu", _dense(graph, x, weights, f"{name}.intermediate.dense"))
    outer = _dense(graph, inner, weights, f"{name}.output.dense")
    return graph.norm(graph.node("Add", x, outer), weights, f"{name}.output.LayerNorm")


def _attention(graph: _Graph, x: str, weights: Mapping[str, Array], name: str) -> str:
    size = WIDTH // HEADS
    split = graph.constant(np.array([-1, HEADS, size], dtype=np.int64))
    scale = np.float32(size**-0.5)
    raw = graph.dense(x, weights[f"{name}.query.weight"] * scale, weights[f"{name}.query.bias"] * scale)
    query = graph.node("Transpose", graph.node("Reshape", raw, split), perm=[1, 0, 2])
    key = graph.node("Reshape", _dense(graph, x, weights, f"{name}.key"), split)
    value = graph.node("Reshape", _dense(graph, x, weights, f"{name}.value"), split)
    scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[1, 2, 0]))
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), graph.node("Transpose", value, perm=[1, 0, 2]))
    joined = graph.constant(np.array([-1, WIDTH], dtype=np.int64))
    return graph.node("Reshape", graph.node("Transpose", mixed, perm=[1, 0, 2]), joined)


def _dense(graph: _Graph, x: str, weights: Mapping[str, Array], name: str) -> str:
    return graph.dense(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
