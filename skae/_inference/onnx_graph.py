"""ONNX: adds the layers of a plain module to a graph of skl2onnx.

Nothing here imports onnx, because a container of skl2onnx takes names, numbers and
arrays.
"""

import copy
import logging
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from .onnx_layers import LAYERS, is_known

__all__ = ["OLDEST_OPSET", "OnnxGraph"]

#: The opset that introduced LayerNormalization.
OLDEST_OPSET = 17

_TYPES = {torch.float32: 1, torch.float64: 11}  # of onnx.TensorProto
_INT64, _BOOL = 7, 9


class OnnxGraph:
    """Adds operators to a graph of skl2onnx.

    Parameters
    ----------
    scope, container
        The scope and the container that a converter of skl2onnx gets.
    module : nn.Module
        Module in evaluation mode. All layers that are added later must be part of it.
    n_in : int
        Width of its input.
    """

    def __init__(
        self, scope: Any, container: Any, module: nn.Module, n_in: int
    ) -> None:
        self._scope, self._container = scope, container
        self.dtype = next(module.parameters()).dtype
        self._inputs = _inputs(module, torch.zeros(2, n_in, dtype=self.dtype))

    def layer(self, layer: nn.Module, x: str) -> str:
        """Add a layer with an input named ``x``. Return the name of its output."""
        kind = type(layer)
        if kind in LAYERS and is_known(layer):
            return LAYERS[kind](self, layer, x)
        return self.by_torch(layer, x)

    def layer_within(self, outer: nn.Module, layer: nn.Module, x: str) -> str:
        """Add a layer that another layer calls without having it as a submodule."""
        self._inputs[layer] = self._inputs[outer]
        return self.layer(layer, x)

    def input_of(self, layer: nn.Module) -> torch.Tensor:
        """Return an example input of a layer, with two rows."""
        return self._inputs[layer]

    def op(
        self,
        kind: str,
        *inputs: str | np.ndarray | torch.Tensor | float,
        **options: Any,
    ) -> str:
        """Add an operator on names, arrays and numbers. Return its output's name."""
        names = [v if isinstance(v, str) else self._constant(v) for v in inputs]
        output = self._scope.get_unique_variable_name("v")
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, names, output, name=name, **options)
        return output

    def cast(self, x: str, dtype: torch.dtype) -> str:
        """Add a cast to a dtype of torch, unless it is the dtype of the graph."""
        return x if dtype == self.dtype else self.op("Cast", x, to=_TYPES[dtype])

    def cast_from(self, x: str, dtype: torch.dtype) -> str:
        """Add the inverse of `cast`."""
        return x if dtype == self.dtype else self.op("Cast", x, to=_TYPES[self.dtype])

    def in_float32(self, add: Callable[[str], str], x: str) -> str:
        """Add, in float32, operators that onnxruntime does not have in float64."""
        return self.cast_from(add(self.cast(x, torch.float32)), torch.float32)

    def norm(self, x: str) -> str:
        """Add the computation of the lengths of rows, (batch, 1)."""
        squares = self.op("Mul", x, x)
        return self.op("Sqrt", self.op("ReduceSum", squares, np.array([1]), keepdims=1))

    def _constant(self, value: np.ndarray | torch.Tensor | float) -> str:
        """Add a constant: an array, a tensor, or a number in the graph's dtype."""
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        elif isinstance(value, int | float):
            value = np.array(value, str(self.dtype).removeprefix("torch."))
        kinds = {"f4": 1, "f8": 11, "i8": _INT64, "b1": _BOOL}
        name = self._scope.get_unique_variable_name("c")
        kind = kinds[value.dtype.str[1:]]
        self._container.add_initializer(name, kind, value.shape, value.ravel())
        return name

    def by_torch(self, layer: nn.Module, x: str) -> str:
        """Add a layer that is not known here, as exported by torch's exporter."""
        version = self._container.main_opset
        try:
            with _without_advice():
                program = torch.onnx.export(
                    copy.deepcopy(layer).eval(),
                    (self._inputs[layer],),
                    dynamic_shapes=({0: torch.export.Dim("batch")},),
                    opset_version=version,
                    dynamo=True,
                    verbose=False,
                )
            assert program is not None  # nothing is written to a file
            model = program.model_proto
        except Exception as error:  # a user's module may raise anything
            raise ValueError(
                f"No operators of ONNX are known for {layer!r}, and torch.onnx.export "
                f"failed on it: {error}"
            ) from error
        if model.functions or {o.domain for o in model.opset_import} - {""}:
            raise ValueError(
                f"torch.onnx.export makes functions of {layer!r}, which a graph of "
                "skl2onnx cannot hold: export estimator.to_torch() with torch.onnx."
            )
        return self._inline(model.graph, x)

    def _inline(self, graph, x):
        unique = self._scope.get_unique_variable_name
        names = {"": "", graph.input[0].name: x}

        def renamed(name):
            if name not in names:
                names[name] = unique("t")
            return names[name]

        for tensor in graph.initializer:
            tensor.name = renamed(tensor.name)
            self._container.initializers.append(tensor)
        for node in graph.node:
            if any(attribute.HasField("g") for attribute in node.attribute):
                raise ValueError(
                    f"torch.onnx.export makes a branch ({node.op_type}) of a module, "
                    "which is not followed here: let it compute both and choose by "
                    "torch.where."
                )
            node.name = self._scope.get_unique_operator_name(node.op_type)
            node.input[:] = map(renamed, node.input)
            node.output[:] = map(renamed, node.output)
            self._container.nodes.append(node)
        self._container.node_domain_version_pair_sets.add(
            ("", self._container.main_opset)
        )
        return renamed(graph.output[0].name)


@contextmanager
def _without_advice():
    """Suppress the log messages of torch's exporter about missing packages."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@torch.no_grad()
def _inputs(module, x):
    """Return the input of each submodule for an input ``x`` of the module."""
    inputs, hooks = {}, []
    for layer in module.modules():
        hook = layer.register_forward_pre_hook(
            lambda layer, given: inputs.update({layer: given[0].clone()})
        )
        hooks.append(hook)
    module(x)
    for hook in hooks:
        hook.remove()
    return inputs
