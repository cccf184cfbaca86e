"""Networks: encoder and decoder as stacks of layers, dense or convolutional.

A network part builds both from the shapes of rows and codes. The encoder ends in a
linear layer and the decoder begins with one, so that codes may take any value and can
be turned; the output is linear too, since the link belongs to the loss.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from .._compat import Documented, Interval
from .._nn.autoencoder import AutoEncoder
from .._nn.layers import (
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
from .modules import Modules
from .parameters import Parameters

__all__ = [
    "NAMED_NETWORKS",
    "NETWORKS",
    "Architecture",
    "Conv",
    "Dense",
    "Modules",
    "Shape",
    "check_network",
    "describe_network",
    "make_autoencoder",
]


# Rows that can fill a third layer.
_MANY_ROWS = 25_600


class Shape(NamedTuple):
    """Widths of a row, of a code, and of what the encoder gives for the code."""

    n_features: int
    n_components: int
    n_outputs: int


class Dense(Documented, BaseEstimator):
    """Linear layers and activations, mirrored in the decoder.

    Their widths are ``hidden_layer_sizes``.

    Parameters
    ----------
    tied : bool, default=False
        Whether the decoder's matrices are those of the encoder, transposed [1]_. Such
        networks start plain: a correction that starts at zero in both would stay there.
    layer_norm : bool, default=False
        Whether the values of hidden layers are centred and scaled, row by row, before
        the activation [2]_.
    dropout : float in [0, 1), default=0.0
        Share of the hidden values that are zeroed at random while training [3]_.

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

    def __init__(self, tied=False, layer_norm=False, dropout=0.0):
        self.tied = tied
        self.layer_norm = layer_norm
        self.dropout = dropout

    def check(self, params: Parameters, n_features: int) -> None:
        """Refuse a start that tied weights would not leave, and what has no effect."""
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
                "at zero in encoder and decoder at once stay there. Use init='auto' or "
                "'random'."
            )

    def hidden_layer_sizes(self, n_samples, n_features, n_components):
        """Two layers, the first some twice as wide as the data, between 64 and 512.

        Short data get no more units than a quarter of their rows: they could not fill
        them. Long data get 128 at least, and a third layer, unless it would narrow down
        to the codes too early.
        """
        is_long = n_samples >= _MANY_ROWS
        wish = max(min(2 * n_features, n_samples // 4), 128 if is_long else 64)
        width = 2 ** math.ceil(math.log2(min(wish, 512)))
        widths = (width, max(width // 2, 64), width // 4)
        return widths if is_long and n_components <= width // 16 else widths[:2]

    def starts_plain(self, link):
        """Whether a linear start is not for this network."""
        return self.tied

    def build(self, shape, hidden, activation, seed):
        """Return encoder, decoder, and the largest number of values of a row.

        Parameters
        ----------
        shape : Shape
        hidden : tuple of int
            Widths of the encoder's hidden layers.
        activation : str
            Key of ``ACTIVATIONS``, or a class or function of someone's own.
        seed : int
            For modules that start their own weights.
        """
        between = partial(self._between, partial(make_activation, activation))
        encoder = stack([shape.n_features, *hidden, shape.n_outputs], between)
        widths = [shape.n_components, *hidden[::-1], shape.n_features]
        if self.tied:
            others = [layer for layer in encoder if isinstance(layer, nn.Linear)]
            decoder = stack(
                widths, between, lambda n_in, n_out: Transposed(others.pop(), n_in)
            )
            decoder = nn.Sequential(*decoder, Rescaling(shape.n_features))
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
    """Convolutions before the dense layers, and their mirror image behind.

    Rows stay flat: each is a picture or a signal, pixel after pixel. Each convolution
    halves height and width, rounded up, and each transposed one of the decoder doubles
    them to what they were [1]_. ``hidden_layer_sizes="auto"`` is no layer between, and
    ``init="auto"`` the plain start where the output is logistic, as that of pictures.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        (height, width), (height, width, channels) or, of signals, (length,), as numpy
        flattens it. None: rows are signals.
    channels : tuple of int, default=(16, 32, 64)
        Of one convolution after another.
    kernel_size : int, default=3
        Odd.

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

    def __init__(self, image_shape=None, channels=(16, 32, 64), kernel_size=3):
        self.image_shape = image_shape
        self.channels = channels
        self.kernel_size = kernel_size

    def check(self, params: Parameters, n_features: int) -> None:
        """Refuse shapes that are none, or not that of the rows."""
        shape = _sizes("image_shape of Conv", self._image_shape(n_features))
        channels = _sizes("channels of Conv", self.channels)
        if not 1 <= len(shape) <= 3 or not channels:
            raise ValueError(
                "Conv needs image_shape=(length,), (height, width) or (height, width, "
                "channels), and the channels of one convolution at least, got "
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

    def hidden_layer_sizes(self, n_samples, n_features, n_components):
        """None: on MNIST, dense layers cost more time than they were worth."""
        return ()

    def starts_plain(self, link):
        """Pictures do: on MNIST the linear start measured worse."""
        return link != "identity"

    def build(self, shape, hidden, activation, seed):
        """Return encoder, decoder and largest width; see `Dense.build`."""
        *size, n_colours = image_shape = self._image_shape(shape.n_features)
        if len(image_shape) < 3:
            size, n_colours = image_shape, 1
        sizes = [tuple(size)]
        for _ in self.channels:
            sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
        channels = [n_colours, *self.channels]
        k, activation = self.kernel_size, partial(make_activation, activation)
        encoder, decoder = [], []
        for i, (n_in, n_out) in enumerate(pairwise(channels)):
            encoder += [convolution(n_in, n_out, k, sizes[i]), activation()]
            back = convolution(n_out, n_in, k, sizes[i], transposed=True)
            decoder = [activation(), back, *decoder]
        n_flat = channels[-1] * math.prod(sizes[-1])
        encoder = nn.Sequential(
            ToImages(sizes[0], n_colours),
            *encoder,
            nn.Flatten(),
            *stack([n_flat, *hidden, shape.n_outputs], lambda _: [activation()]),
        )
        decoder = nn.Sequential(
            *stack(
                [shape.n_components, *hidden[::-1], n_flat], lambda _: [activation()]
            ),
            nn.Unflatten(1, (channels[-1], *sizes[-1])),
            *decoder,
            FromImages(),
            Rescaling(shape.n_features),
        )
        widths = [c * math.prod(s) for c, s in zip(channels, sizes, strict=True)]
        return encoder, decoder, max(*widths, *hidden, shape.n_outputs)

    def _image_shape(self, n_features):
        return (n_features,) if self.image_shape is None else self.image_shape


#: name -> network with its defaults, for the estimator's parameter.
NAMED_NETWORKS = {"dense": Dense, "conv": Conv}
#: name of the class -> network.
NETWORKS = {"Dense": Dense, "Conv": Conv, "Modules": Modules}


def check_network(network: Any, params: Parameters, n_features: int) -> Any:
    """Resolve None to the dense network, and see that the parameters are valid."""
    network = resolve_part("network", network or "dense", NAMED_NETWORKS)
    network.check(params, n_features)
    return network


def describe_network(network):
    """Return the name and the parameters of a part, plain values that compare."""
    options = network.get_params(deep=False)
    for name in ("image_shape", "channels"):
        if options.get(name) is not None:
            options[name] = tuple(int(n) for n in options[name])
    return type(network).__name__, options


@dataclass(frozen=True)
class Architecture:
    """What a network is built of. The values are plain, and stored by name.

    Attributes
    ----------
    n_features, n_components, n_outputs : int
        See `AutoEncoder`.
    network : pair
        Key of ``NETWORKS``, and the parameters of that part.
    hidden_layer_sizes : tuple of int
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    activation : str or callable
        Key of ``ACTIVATIONS``, or what makes a module.
    init : {"pca", "random", "faded", "linear"}
        See `AutoEncoder`.
    """

    n_features: int
    n_components: int
    n_outputs: int
    network: tuple[str, dict[str, Any]]
    hidden_layer_sizes: tuple[int, ...]
    activation: str | Callable[[], nn.Module]
    init: str

    def build(self, seed: int = 0) -> AutoEncoder:
        """Return a network, whose modules start their own weights from a seed."""
        return make_autoencoder(**vars(self), seed=seed)


def make_autoencoder(
    n_features,
    n_components,
    n_outputs,
    hidden_layer_sizes,
    activation,
    init,
    network,
    seed=0,
):
    """Return an `AutoEncoder` of what an `Architecture` has."""
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
