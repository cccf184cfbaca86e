"""ONNX: the operators of each layer of a plain module.

Each function takes a graph (`OnnxGraph`), the layer, and the name of its input. It
returns the name of its output.
"""

import math

import numpy as np
import torch
from torch import nn

from .._data.scaling import FARTHEST
from .._nn.layers import Elementwise, FromImages, QuickGELU, Rescaling, ToImages
from .code_transform import FARTHEST_CODE
from .torch_module import (
    Anchor,
    ColumnLayers,
    Exp,
    FadingAnchor,
    FirstColumns,
    KeepConstant,
    Lengthen,
    ScaleRows,
    Shorten,
    Tied,
    UnscaleRows,
    Within,
)

__all__ = ["LAYERS", "is_known"]


def _nothing(graph, layer, x):
    return x


def _sequential(graph, layers, x):
    for layer in layers:
        x = graph.layer(layer, x)
    return x


def _scale_rows(graph, layer, x):
    held = layer.mean.dtype
    x = graph.cast(x, held)
    if layer.mean.any():
        x = graph.op("Sub", x, layer.mean)
        x = graph.op("Clip", x, *_limits(torch.finfo(held).max, held))
    x = graph.op("Mul", x, layer.factor)
    if layer.rest.any():
        x = graph.op("Add", x, layer.rest)
    return graph.cast_from(graph.op("Clip", x, *_limits(FARTHEST, held)), held)


def _limits(value, dtype):
    return torch.tensor(-value, dtype=dtype), torch.tensor(value, dtype=dtype)


def _unscale_rows(graph, layer, x):
    held = layer.mean.dtype
    x = graph.op("Mul", graph.cast(x, held), layer.scale)
    return graph.cast_from(graph.op("Add", x, layer.mean), held)


def _keep_constant(graph, layer, x):
    return graph.op("Where", layer.constant, layer.value, x)


def _first_columns(graph, layer, x):
    ends = (np.array([n]) for n in (0, layer.n_columns, 1))
    return graph.op("Slice", x, *ends)


def _fade(graph, layer, x):
    norm = graph.op("Max", graph.norm(x), 1e-30)
    return graph.op("Min", graph.op("Div", layer.trust_radius, norm), 1.0)


def _anchor(graph, layer, x):
    linear = graph.layer(layer.linear, x)
    if layer.trust_radius == torch.inf:
        return graph.op("Add", linear, graph.layer(layer.correction, x))
    fade = _fade(graph, layer, x)
    correction = graph.layer(layer.correction, graph.op("Mul", x, fade))
    return graph.op("Add", linear, graph.op("Mul", correction, fade))


def _fading_anchor(graph, layer, x):
    if layer.trust_radius == torch.inf:
        return graph.layer(layer.correction, x)
    fade = _fade(graph, layer, x)
    correction = graph.layer(layer.correction, graph.op("Mul", x, fade))
    square = graph.op("Mul", fade, fade)
    cube = graph.op("Mul", square, fade)
    rest = graph.op("Sub", 1.0, graph.op("Mul", square, square))
    of_map = graph.op("Mul", graph.layer(layer.linear, x), rest)
    return graph.op("Add", of_map, graph.op("Mul", correction, cube))


def _ratio(graph, layer, z):
    return graph.op("Max", graph.op("Div", graph.norm(z), layer.radius), 1.0)


def _shorten(graph, layer, z):
    if layer.radius < math.inf:
        ratio = _ratio(graph, layer, z)
        grown = graph.op("Add", graph.op("Log", ratio), 1.0)
        z = graph.op("Mul", z, graph.op("Div", grown, ratio))
    if layer.origin.any():
        z = graph.op("Sub", z, layer.origin)
    return z if (layer.scale == 1).all() else graph.op("Div", z, layer.scale)


def _lengthen(graph, layer, z):
    if not (layer.scale == 1).all():
        z = graph.op("Mul", z, layer.scale)
    if layer.origin.any():
        z = graph.op("Add", z, layer.origin)
    if layer.radius == math.inf:
        return z
    z = graph.op("Clip", z, -FARTHEST_CODE, FARTHEST_CODE)
    ratio = _ratio(graph, layer, z)
    highest = math.log(FARTHEST_CODE / layer.radius)
    beyond = graph.op("Min", graph.op("Sub", ratio, 1.0), highest)
    return graph.op("Mul", z, graph.op("Div", graph.op("Exp", beyond), ratio))


def _linear(graph, layer, x):
    return graph.op("Gemm", x, layer.weight, layer.bias, transB=1)


def _tied(graph, layer, x):
    return graph.op("Gemm", x, layer.weight[: layer.n_in], layer.bias)


def _rescaling(graph, layer, x):
    return graph.op("Add", graph.op("Mul", x, layer.weight), layer.bias)


def _layer_norm(graph, layer, x):
    parameters = layer.weight, layer.bias
    return graph.op("LayerNormalization", x, *parameters, axis=-1, epsilon=layer.eps)


def _to_images(graph, layer, x):
    x = graph.op("Reshape", x, np.array([-1, *layer.shape]))
    n_axes = len(layer.shape)
    return graph.op("Transpose", x, perm=[0, n_axes, *range(1, n_axes)])


def _from_images(graph, layer, x):
    n_axes = graph.input_of(layer).ndim
    x = graph.op("Transpose", x, perm=[0, *range(2, n_axes), 1])
    return graph.op("Flatten", x, axis=1)


def _flatten(graph, layer, x):
    return graph.op("Flatten", x, axis=1)


def _unflatten(graph, layer, x):
    return graph.op("Reshape", x, np.array([-1, *layer.unflattened_size]))


def _convolution(kind):
    def add(graph, layer, x):
        options = {
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.stride),
            "pads": list(layer.padding) * 2,
        }
        if kind == "ConvTranspose":
            options["output_padding"] = list(layer.output_padding)
        weights = layer.weight.float(), layer.bias.float()
        return graph.in_float32(lambda x: graph.op(kind, x, *weights, **options), x)

    return add


def _elementwise(graph, layer, x):
    function = layer.function
    if isinstance(function, nn.Module):
        return graph.layer_within(layer, function, x)
    return graph.by_torch(layer, x)


# Activations and links. onnxruntime has some only in float32. These are composed of
# simpler operators.


def _same(kind, **options):
    return lambda graph, layer, x: graph.op(kind, x, **options)


def _gelu(graph, layer, x):
    half = graph.op("Mul", x, 0.5)
    if layer.approximate == "tanh":
        cube = graph.op("Mul", graph.op("Mul", x, x), graph.op("Mul", x, 0.044715))
        bent = graph.op("Mul", graph.op("Add", x, cube), math.sqrt(2 / math.pi))
        return graph.op("Add", half, graph.op("Mul", half, graph.op("Tanh", bent)))
    erf = graph.in_float32(
        lambda x: graph.op("Erf", x), graph.op("Mul", x, math.sqrt(0.5))
    )
    return graph.op("Add", half, graph.op("Mul", half, erf))


def _silu(graph, layer, x, slope=1.0):
    if graph.dtype == torch.float32:
        scaled = x if slope == 1 else graph.op("Mul", x, slope)
        return graph.op("Mul", x, graph.op("Sigmoid", scaled))
    # onnxruntime would fuse these operators into one that some of its versions have
    # only in float32.
    rest = graph.op("Add", graph.op("Exp", graph.op("Mul", x, -slope)), 1.0)
    return graph.op("Div", x, rest)


def _quick_gelu(graph, layer, x):
    return _silu(graph, layer, x, layer.slope)


def _leaky_relu(graph, layer, x):
    slope = float(layer.negative_slope)
    over, under = graph.op("Max", x, 0.0), graph.op("Min", x, 0.0)
    return graph.op("Add", over, graph.op("Mul", under, slope))


def _elu(graph, layer, x, alpha=None):
    under = graph.op("Exp", graph.op("Min", x, 0.0))
    alpha = float(layer.alpha) if alpha is None else alpha
    under = graph.op("Mul", graph.op("Sub", under, 1.0), alpha)
    return graph.op("Add", graph.op("Max", x, 0.0), under)


def _selu(graph, layer, x):
    elu = _elu(graph, layer, x, 1.6732632423543772)
    return graph.op("Mul", elu, 1.0507009873554805)


def _softplus(graph, layer, x):
    # Beyond its threshold torch returns x. The result here is equal up to rounding.
    small = graph.op("Exp", graph.op("Mul", graph.op("Abs", x), -float(layer.beta)))
    log = graph.op("Log", graph.op("Add", small, 1.0))
    log = graph.op("Mul", log, 1 / float(layer.beta))
    return graph.op("Add", graph.op("Max", x, 0.0), log)


def _exp(graph, layer, x):
    return graph.op("Exp", graph.op("Min", x, 50.0))


def _within(graph, layer, x):
    x = graph.op("Max", x, layer.low)
    if (layer.high < math.inf).any():
        x = graph.op("Min", x, layer.high)
    if not layer.sums_to_one:
        return x
    total = graph.op("ReduceSum", x, np.array([1]), keepdims=1)
    return graph.op("Div", x, total)


def _column_layers(graph, layers, x):
    values = [
        graph.layer(layer, graph.op("Gather", x, layers.columns(i), axis=1))
        for i, layer in enumerate(layers.layers)
    ]
    joined = graph.op("Concat", *values, axis=1) if len(values) > 1 else values[0]
    return graph.op("Gather", joined, layers.order, axis=1)


#: class of a layer -> function that adds its operators.
LAYERS = {
    nn.Sequential: _sequential,
    nn.Identity: _nothing,
    nn.Dropout: _nothing,
    ScaleRows: _scale_rows,
    UnscaleRows: _unscale_rows,
    KeepConstant: _keep_constant,
    FirstColumns: _first_columns,
    ColumnLayers: _column_layers,
    Within: _within,
    Anchor: _anchor,
    FadingAnchor: _fading_anchor,
    Shorten: _shorten,
    Lengthen: _lengthen,
    nn.Linear: _linear,
    Tied: _tied,
    Rescaling: _rescaling,
    nn.LayerNorm: _layer_norm,
    ToImages: _to_images,
    FromImages: _from_images,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.Conv1d: _convolution("Conv"),
    nn.Conv2d: _convolution("Conv"),
    nn.ConvTranspose1d: _convolution("ConvTranspose"),
    nn.ConvTranspose2d: _convolution("ConvTranspose"),
    Elementwise: _elementwise,
    QuickGELU: _quick_gelu,
    Exp: _exp,
    nn.ReLU: _same("Relu"),
    nn.Tanh: _same("Tanh"),
    nn.Sigmoid: _same("Sigmoid"),
    nn.Softmax: _same("Softmax", axis=-1),
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: _elu,
    nn.SELU: _selu,
    nn.GELU: _gelu,
    nn.SiLU: _silu,
    nn.Softplus: _softplus,
}


def _is_plain_convolution(layer):
    return (
        layer.groups == 1
        and not isinstance(layer.padding, str)
        and set(layer.dilation) == {1}
        and layer.padding_mode == "zeros"
        and layer.bias is not None
    )


def is_known(layer: nn.Module) -> bool:
    """Whether all options of a layer are known here."""
    is_plain = _IS_PLAIN.get(type(layer))
    return is_plain is None or is_plain(layer)


_IS_PLAIN = {
    nn.Linear: lambda layer: layer.bias is not None,
    nn.LayerNorm: lambda layer: layer.bias is not None and layer.weight.ndim == 1,
    nn.Softmax: lambda layer: layer.dim == -1,
    nn.Flatten: lambda layer: (layer.start_dim, layer.end_dim) == (1, -1),
    nn.Unflatten: lambda layer: (
        layer.dim == 1 and all(isinstance(n, int) for n in layer.unflattened_size)
    ),
    nn.Conv1d: _is_plain_convolution,
    nn.Conv2d: _is_plain_convolution,
    nn.ConvTranspose1d: _is_plain_convolution,
    nn.ConvTranspose2d: _is_plain_convolution,
}
