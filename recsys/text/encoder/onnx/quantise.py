"""Matrix products of an ONNX model in int8: weights per column, activations per token.

Usual dynamic quantisation takes one scale for all activations of a batch, so that a text's vector
depends on the texts beside it. One scale per token is free of that, and closer to float32. In
float32 stay the products of attention, activations times activations, and those that make its
values: a twelfth of the work, and half of all that rounding costs on MiniLM.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

_DOMAIN = "com.microsoft"
_LARGEST = 127
_LARGEST_WEIGHT = 63
_MIDDLE = 128
_VALUE = 2
"""Index of the values among the inputs of an attention node."""
_ON_THE_WAY = ("Add", "Reshape", "Transpose")
_TINY = np.float32(1e-12)


@dataclass
class _Rewriting:
    """The nodes and constants that replace the matrix products.

    Attributes:
        nodes: The new graph.
        weights: The new constants.
        rows: Per activation that was quantised: its int8 rows, their scales, its leading shape.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    rows: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def constant(self, name: str, value: np.ndarray) -> str:
        """Keep a constant, and give its name."""
        if all(known.name != name for known in self.weights):
            self.weights.append(numpy_helper.from_array(value, name))
        return name

    def add(
        self,
        operator: str,
        inputs: list[str],
        output: str,
        *,
        domain: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a node of one output, and give the output's name."""
        node = make_node(operator, inputs, [output], output, domain=domain, **(attributes or {}))
        self.nodes.append(node)
        return output


def quantise_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute the products of activations with constant matrices in int8.

    Args:
        model: A model in float32, of opset 21 or later; it is changed. The values of attention are
            told from others where it is one node.

    Returns:
        The model.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    values = _value_products(model.graph)
    work = _Rewriting()
    replaced = set()
    for node in model.graph.node:
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or len(weight.dims) != 2 or node.output[0] in values:
            work.nodes.append(node)
            continue
        _quantised_product(work, node, numpy_helper.to_array(weight))
        replaced.add(weight.name)
    still_used = {name for node in work.nodes for name in node.input}
    kept = [
        tensor
        for tensor in model.graph.initializer
        if tensor.name not in replaced or tensor.name in still_used
    ]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(work.nodes)
    model.graph.initializer.extend([*kept, *work.weights])
    return model


def quantised_columns(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round the columns of a matrix to int8, each with its scale.

    Args:
        weight: float32 [n_in, n_out].

    Returns:
        int8 [n_in, n_out], and float32 [n_out]: their product is the matrix, nearly.
    """
    scale = np.maximum(np.abs(weight).max(axis=0) / _LARGEST_WEIGHT, _TINY).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def _value_products(graph: onnx.GraphProto) -> set[str]:
    """Name the outputs of the products that make the values of attention."""
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    found = set()
    for attention in graph.node:
        if attention.op_type != "MultiHeadAttention":
            continue
        name = attention.input[_VALUE]
        while name in makers and makers[name].op_type in _ON_THE_WAY:
            name = next(made for made in makers[name].input if made not in constants)
        found.add(name)
    return found


def _quantised_product(work: _Rewriting, node: onnx.NodeProto, weight: np.ndarray) -> None:
    name = node.output[0]
    rows, scales, leading = _quantised_rows(work, node.input[0], weight.shape[0])
    columns, column_scales = quantised_columns(weight)
    unscaled = work.add(
        "MatMulIntegerToFloat",
        [
            rows,
            work.constant(f"{name}/weight", columns),
            work.constant("one", np.array(1, np.float32)),
            work.constant(f"{name}/scale", column_scales),
            work.constant("middle", np.array(_MIDDLE, np.uint8)),
        ],
        f"{name}/columns",
        domain=_DOMAIN,
    )
    flat = work.add("Mul", [unscaled, scales], f"{name}/rows")
    width = work.constant(f"width_{weight.shape[1]}", np.array([weight.shape[1]], np.int64))
    shape = work.add("Concat", [leading, width], f"{name}/shape", attributes={"axis": 0})
    work.add("Reshape", [flat, shape], name)


def _quantised_rows(work: _Rewriting, name: str, width: int) -> tuple[str, str, str]:
    """Quantise an activation [..., width] token by token; once, whatever reads it."""
    if name in work.rows:
        return work.rows[name]
    flat_shape = work.constant(f"rows_of_{width}", np.array([-1, width], np.int64))
    flat = work.add("Reshape", [name, flat_shape], f"{name}/flat")
    last = work.constant("last_axis", np.array([-1], np.int64))
    size = work.add("Abs", [flat], f"{name}/abs")
    largest = work.add("ReduceMax", [size, last], f"{name}/max", attributes={"keepdims": 1})
    step = work.constant("step", np.array(1 / _LARGEST, np.float32))
    raw = work.add("Mul", [largest, step], f"{name}/raw_scale")
    scales = work.add("Max", [raw, work.constant("tiny", np.array(_TINY))], f"{name}/scales")
    row_scales = work.add("Squeeze", [scales, last], f"{name}/row_scales")
    count = work.add("Shape", [row_scales], f"{name}/count")
    middle = work.constant("middle", np.array(_MIDDLE, np.uint8))
    middles = work.add("Expand", [middle, count], f"{name}/middles")
    rows = work.add(
        "QuantizeLinear", [flat, row_scales, middles], f"{name}/uint8", attributes={"axis": 0}
    )
    shape = work.add("Shape", [name], f"{name}/leading", attributes={"end": -1})
    work.rows[name] = (rows, scales, shape)
    return work.rows[name]
