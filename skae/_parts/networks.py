"""Networks: encoder and decoder as stacks of layers, dense or convolutional.

A network part builds both from the shapes of rows and codes. The encoder ends with a
linear layer and the decoder begins with one, so that codes can take any value and can
be rotated. The output is linear too, because the link belongs to the loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from .._compat import Documented, Interval
from .._nn.autoencoder import AutoEncoder
from .._nn.layers import (
    Activation,
    Dropout,
    FromImages,
    Rescaling,
    ToImages,
    Transposed,
    convolution,
    make_activation,
    stack,
)
from .base import resolve_part
from .column_links import PlainLink
from .contracts import Shape
from .modules import Modules
from .parameters import Parameters

__all__ = [
    "NAMED_NETWORKS",
    "NETWORKS",
    "AnyNetwork",
    "Architecture",
    "Conv",
    "Dense",
    "Modules",
    "Shape",
    "check_network",
    "describe_network",
    "make_autoencoder",
]


# Smallest number of rows for a third hidden layer.
_MANY_ROWS = 25_600


class Dense(Documented, BaseEstimator):
    """Linear layers and activations, mirrored in the decoder.

    The widths of the hidden layers are ``hidden_layer_sizes``.

    Parameters
    ----------
    tied : bool, default=False
        Whether the decoder's matrices are those of the encoder, transposed [1]_. Tied
        networks do not start as PCA: their corrections to PCA would start at zero in
        both encoder and decoder, and stay there.
    layer_norm : bool, default=False
        Whether the values of hidden layers are centred and scaled, row by row, before
        the activation [2]_.
    dropout : float in [0, 1), default=0.0
        Share of the hidden values that are set to zero at random in training [3]_.

    References
    ----------
    .. [1] Vincent et al. (2010). Stacked denoising autoencoders. JMLR 11.
    .. [2] Ba, Kiros, Hinton (2016). Layer normalization. arXiv:1607.06450.
    .. [3] Srivastava et al. (2014). Dropout: a simple way to prevent neural networks
       from overfitting. JMLR 15.

    Examples
    --------
    >>> from skae import AutoEncoderTransformer, Dense
    >>> AutoEncoderTransformer(network=Dense(dropout=0.2))
    AutoEncoderTransformer(network=Dense(dropout=0.2))
    """

    _parameter_constraints = {
        "tied": ["boolean"],
        "layer_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self, tied: bool = False, layer_norm: bool = False, dropout: float = 0.0
    ) -> None:
        self.tied = tied
        self.layer_norm = layer_norm
        self.dropout = dropout

    def check(self, params: Parameters, n_features: int) -> None:
        """Raise an error for tied weights that start as PCA, and for unused options."""
        hidden = params.hidden_layer_sizes
        if (self.layer_norm or self.dropout) and not isinstance(hidden, str):
            if not np.size(hidden):
                raise ValueError(
                    "layer_norm and dropout of Dense have no effect without hidden "
                    f"layers, got hidden_layer_sizes={hidden!r}."
                )
        if self.tied and params.init == "pca":
            raise ValueError(
                "Dense(tied=True) cannot start with init='pca': corrections that begin "
                "at zero in both encoder and decoder stay there. Use init='auto' or "
                "'random'."
            )

    def hidden_layer_sizes(
        self, n_samples: int, n_features: int, n_components: int
    ) -> tuple[int, ...]:
        """Return two widths, the first about twice the features, between 64 and 512.

        The first layer has no more units than a quarter of the number of rows, but at
        least 64. With many rows it has at least 128 units, and there is a third layer,
        unless that would be too narrow for the number of codes.
        """
        is_long = n_samples >= _MANY_ROWS
        wish = max(min(2 * n_features, n_samples // 4), 128 if is_long else 64)
        width = 2 ** math.ceil(math.log2(min(wish, 512)))
        widths = (width, max(width // 2, 64), width // 4)
        return widths if is_long and n_components <= width // 16 else widths[:2]

    def starts_plain(self, link: PlainLink) -> bool:
        """Whether the network starts plain, not as PCA: with tied weights."""
        return self.tied

    def build(
        self, shape: Shape, hidden: tuple[int, ...], activation: Activation, seed: int
    ) -> tuple[nn.Sequential, nn.Sequential, int]:
        """Return encoder, decoder, and the width of the widest layer.

        Parameters
        ----------
        shape : Shape
        hidden : tuple of int
            Widths of the encoder's hidden layers.
        activation : str
            Key of ``ACTIVATIONS``, or a user's class or function.
        seed : int
            Seed for modules that initialise their own weights.
        """
        between = partial(self._between, partial(make_activation, activation))
        encoder = stack([shape.n_features, *hidden, shape.n_outputs], between)
        widths = [shape.n_components, *hidden[::-1], shape.n_features]
        decoder: nn.Sequential
        if self.tied:
            others = [layer for layer in encoder if isinstance(layer, nn.Linear)]
            layers = stack(
                widths, between, lambda n_in, n_out: Transposed(others.pop(), n_in)
            )
            decoder = nn.Sequential(*layers, Rescaling(shape.n_features))
        else:
            decoder = stack(widths, between)
        return encoder, decoder, max(*widths, shape.n_outputs)

    def _between(self, activation, width):
        if self.layer_norm:
            yield nn.LayerNorm(width)
        yield activation()
        if self.dropout:
            yield Dropout(self.dropout)


class Conv(Documented, BaseEstimator):
    """Convolutions before the dense layers of the encoder, mirrored in the decoder.

    Rows of ``X`` stay flat: each row is a picture or a signal, pixel after pixel. Each
    convolution of the encoder halves height and width, rounded up. Each transposed
    convolution of the decoder restores them [1]_. ``hidden_layer_sizes="auto"`` means
    no dense hidden layer. ``init="auto"`` is the plain start if the output is logistic,
    as for pictures.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        Shape from which rows were flattened by numpy: (height, width), (height, width,
        channels) or, for signals, (length,). None means that rows are signals.
    channels : tuple of int, default=(16, 32, 64)
        Number of channels of each convolution.
    kernel_size : int, default=3
        Size of the kernels, an odd number.

    References
    ----------
    .. [1] Masci, Meier, Ciresan, Schmidhuber (2011). Stacked convolutional
       auto-encoders for hierarchical feature extraction. ICANN.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, Conv
    >>> X, _ = load_digits(return_X_y=True)
    >>> ae = AutoEncoderTransformer(
    ...     8, network=Conv(image_shape=(8, 8)), max_iter=3, random_state=0
    ... )
    >>> ae.fit_transform(X).shape
    (1797, 8)
    """

    _parameter_constraints = {
        "image_shape": ["array-like", None],
        "channels": ["array-like"],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        channels: Sequence[int] = (16, 32, 64),
        kernel_size: int = 3,
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.kernel_size = kernel_size

    def check(self, params: Parameters, n_features: int) -> None:
        """Raise an error for invalid shapes, or shapes that do not fit the rows."""
        shape = _sizes("image_shape of Conv", self._image_shape(n_features))
        channels = _sizes("channels of Conv", self.channels)
        if not 1 <= len(shape) <= 3 or not channels:
            raise ValueError(
                "Conv needs image_shape=(length,), (height, width) or (height, width, "
                "channels), and the channels of at least one convolution, got "
                f"image_shape={shape} and channels={channels}."
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size of Conv must be odd, got {self.kernel_size}: use "
                f"{self.kernel_size + 1}."
            )
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={shape} of Conv makes {math.prod(shape)} features, but X "
                f"has {n_features}: give the shape that its rows were flattened from."
            )
        farthest = max(3, 2 * max(shape) - 1)
        if self.kernel_size > farthest:
            raise ValueError(
                f"kernel_size of Conv reaches beyond pictures of {shape}, got "
                f"{self.kernel_size}: use at most {farthest}."
            )

    def hidden_layer_sizes(
        self, n_samples: int, n_features: int, n_components: int
    ) -> tuple[int, ...]:
        """Return an empty tuple: on MNIST, dense layers were not worth their time."""
        return ()

    def starts_plain(self, link: PlainLink) -> bool:
        """Whether the network starts plain: on pictures (MNIST), PCA starts worse."""
        return link != "identity"

    def build(
        self, shape: Shape, hidden: tuple[int, ...], activation: Activation, seed: int
    ) -> tuple[nn.Sequential, nn.Sequential, int]:
        """Return encoder, decoder and largest width; see `Dense.build`."""
        *size, n_colours = image_shape = self._image_shape(shape.n_features)
        if len(image_shape) < 3:
            size, n_colours = list(image_shape), 1
        sizes = [tuple(size)]
        for _ in self.channels:
            sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
        channels = [n_colours, *self.channels]
        k, make = self.kernel_size, partial(make_activation, activation)
        inward: list[nn.Module] = []
        outward: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(pairwise(channels)):
            inward += [convolution(n_in, n_out, k, sizes[i]), make()]
            back = convolution(n_out, n_in, k, sizes[i], transposed=True)
            outward = [make(), back, *outward]
        n_flat = channels[-1] * math.prod(sizes[-1])
        encoder = nn.Sequential(
            ToImages(sizes[0], n_colours),
            *inward,
            nn.Flatten(),
            *stack([n_flat, *hidden, shape.n_outputs], lambda _: [make()]),
        )
        decoder = nn.Sequential(
            *stack([shape.n_components, *hidden[::-1], n_flat], lambda _: [make()]),
            nn.Unflatten(1, (channels[-1], *sizes[-1])),
            *outward,
            FromImages(),
            Rescaling(shape.n_features),
        )
        widths = [c * math.prod(s) for c, s in zip(channels, sizes, strict=True)]
        return encoder, decoder, max(*widths, *hidden, shape.n_outputs)

    def _image_shape(self, n_features: int) -> Sequence[int]:
        return (n_features,) if self.image_shape is None else self.image_shape


#: Type of the part in this slot.
AnyNetwork: TypeAlias = Dense | Conv | Modules
#: name -> network with its defaults, for the estimator's parameter.
NAMED_NETWORKS = {"dense": Dense, "conv": Conv}
#: name of the class -> network.
NETWORKS = {"Dense": Dense, "Conv": Conv, "Modules": Modules}


def check_network(
    network: str | AnyNetwork | None, params: Parameters, n_features: int
) -> AnyNetwork:
    """Resolve None to the dense network, and check that the parameters are valid."""
    part = resolve_part("network", network or "dense", NAMED_NETWORKS)
    part.check(params, n_features)
    return part


def describe_network(network: AnyNetwork) -> tuple[str, dict[str, Any]]:
    """Return the name and the parameters of a part, as plain comparable values."""
    options = network.get_params(deep=False)
    for name in ("image_shape", "channels"):
        if options.get(name) is not None:
            options[name] = tuple(int(n) for n in options[name])
    return type(network).__name__, options


@dataclass(frozen=True)
class Architecture:
    """The plain values from which a network is built. They are stored by name.

    Attributes
    ----------
    n_features, n_components, n_outputs : int
        See `AutoEncoder`.
    network : pair
        Key of ``NETWORKS``, and the parameters of that part.
    hidden_layer_sizes : tuple of int
        Widths of the encoder's hidden layers. The decoder has them in reverse order.
    activation : str or callable
        See `make_activation`.
    init : {"pca", "random", "faded", "linear"}
        See `AutoEncoder`.
    """

    n_features: int
    n_components: int
    n_outputs: int
    network: tuple[str, dict[str, Any]]
    hidden_layer_sizes: tuple[int, ...]
    activation: Activation
    init: str

    def build(self, seed: int = 0) -> AutoEncoder:
        """Return the network. Modules may initialise their weights from the seed."""
        return make_autoencoder(**vars(self), seed=seed)


def make_autoencoder(
    n_features: int,
    n_components: int,
    n_outputs: int,
    hidden_layer_sizes: tuple[int, ...],
    activation: Activation,
    init: str,
    network: tuple[str, dict[str, Any]],
    seed: int = 0,
) -> AutoEncoder:
    """Return an `AutoEncoder`; see `Architecture`."""
    shape = Shape(n_features, n_components, n_outputs)
    if init == "linear":
        built = None, None, max(n_features, n_outputs)
    else:
        name, options = network
        part = NETWORKS[name](**options)
        built = part.build(shape, hidden_layer_sizes, activation, seed)
    return AutoEncoder(*built, *shape, init)


def _sizes(name, sizes):
    """Return a tuple of int."""
    array = np.asarray(sizes)
    integers = array.size == 0 or np.issubdtype(array.dtype, np.integer)
    if array.ndim != 1 or not integers or (array < 1).any():
        raise ValueError(f"{name} must be integers of at least 1, got {sizes!r}.")
    return tuple(int(n) for n in array)


# Pickles name the public place, so that they survive a move of this file.
for _part in NETWORKS.values():
    _part.__module__ = "skae"
