"""From the trained network to the model file: normalisations folded into the convolutions, weights in 16 bits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, checker, helper, numpy_helper
from train_ear.network import WIDTH, Network
from voice_agent.offline.acoustic import FRONT, PHONES, STRIDE
from voice_agent.offline.mel import BANDS

_END = 1 << 40


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def weight(self, name: str, values: torch.Tensor) -> str:
        self.constants.append(numpy_helper.from_array(values.detach().numpy().astype(np.float16), f"{name}_16"))
        self.nodes.append(helper.make_node("Cast", [f"{name}_16"], [name], to=TensorProto.FLOAT))
        return name

    def number(self, name: str, value: int) -> str:
        self.constants.append(numpy_helper.from_array(np.array([value], np.int64), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def cut(self, source: str, output: str, first: int, last: int) -> str:
        bounds = [self.number(f"{output}_first", first), self.number(f"{output}_last", last)]
        return self.add("Slice", [source, *bounds, "time"], output)


def _folded(weight: torch.Tensor, norm: torch.nn.BatchNorm1d, bias: torch.Tensor | float = 0.0) -> Any:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * scale[:, None, None], bias * scale + norm.bias - norm.running_mean * scale


def export(network: Network, path: Path) -> str:
    """Writes the file; its SHA-256. Raises RuntimeError when it computes something else than the network."""
    network.eval()
    graph = _Graph()
    graph.number("time", 2)
    graph.add("Transpose", ["features"], "bands", perm=[0, 2, 1])
    raw = network.front.weight * network.scale[None, :, None]
    weight, bias = _folded(raw, network.norm, -(raw * network.mean[None, :, None]).sum((1, 2)))
    graph.add("Conv", ["bands", graph.weight("fw", weight), graph.weight("fb", bias)], "front", strides=[STRIDE])
    x, at, states = graph.add("Relu", ["front"], "x"), 0, []
    for n, layer in enumerate(network.layers):
        cache = graph.cut("state", f"cache{n}", at, at + layer.past)
        whole = graph.add("Concat", [cache, x], f"whole{n}", axis=2)
        weight, bias = _folded(layer.conv.weight, layer.norm)
        parts = [whole, graph.weight(f"w{n}", weight), graph.weight(f"b{n}", bias)]
        y = graph.add("Relu", [graph.add("Conv", parts, f"conv{n}", dilations=layer.conv.dilation)], f"y{n}")
        states.append(graph.cut(whole, f"after{n}", -layer.past, _END))
        around = graph.cut(whole, f"around{n}", layer.past - layer.ahead, -layer.ahead or _END)
        x, at = graph.add("Add", [y, around], f"x{n}"), at + layer.past
    graph.add("Concat", states, "next_state", axis=2)
    out = [x, graph.weight("ow", network.out.weight), graph.weight("ob", network.out.bias)]
    logs = graph.add("LogSoftmax", [graph.add("Conv", out, "out")], "logs", axis=1)
    graph.add("Transpose", [logs], "log_probabilities", perm=[0, 2, 1])
    state = [1, WIDTH, network.past]
    made = helper.make_graph(
        graph.nodes,
        "ear",
        [_value("features", [1, "frames", BANDS]), _value("state", state)],
        [_value("log_probabilities", [1, "steps", len(PHONES) + 1]), _value("next_state", state)],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], producer_name="train_ear")
    model.ir_version = 8
    checker.check_model(model)
    raw_file = model.SerializeToString(deterministic=True)
    _compare(network, raw_file)
    path.write_bytes(raw_file)
    return hashlib.sha256(raw_file).hexdigest()


def _value(name: str, shape: list[int | str]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _compare(network: Network, raw: bytes) -> None:
    features, state = torch.randn(1, 10 * STRIDE + FRONT - STRIDE, BANDS) * 3 - 5, torch.rand(1, WIDTH, network.past)
    session = onnxruntime.InferenceSession(raw)
    found = session.run(None, {"features": features.numpy(), "state": state.numpy()})
    with torch.no_grad():
        wanted = network(features, state)
    for one, other in zip(found, wanted, strict=True):
        if np.abs(one - other.numpy()).max() > 0.05:
            raise RuntimeError("the model file computes something else than the network that was trained")
