"""`Modules`: users' own encoder and decoder."""

import copy
from collections.abc import Callable

import torch
from sklearn.base import BaseEstimator
from torch import nn

from .._compat import Documented
from .._nn.layers import Activation, Rescaling, turn
from .._nn.seeded_modules import UserModule, own_generator, two_rows
from .column_links import PlainLink
from .contracts import Shape
from .parameters import Parameters

__all__ = ["Modules"]


class Modules(Documented, BaseEstimator):
    """Your own encoder and decoder.

    Each is given as a factory, not as a module. A module has weights, which `clone`
    would copy from one fold of a cross-validation into the next. Encoder and decoder
    should both end with a linear layer. skae adds two small linear layers between the
    modules and the codes, so that the codes can be rotated to their principal axes.

    Factories initialise the weights. torch's random numbers are then seeded from
    ``random_state``, as are those that modules draw in training. For a batch of one
    row, layers that use batch statistics use the statistics of earlier batches.

    Parameters
    ----------
    encoder, decoder : callable
        ``f(n_in, n_out)`` that returns a `torch.nn.Module`, from (batch, n_in) to
        (batch, n_out). It must be a class or a named function, so that it can be
        pickled.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, Modules
    >>> from torch import nn
    >>> def mlp(n_in, n_out):
    ...     return nn.Sequential(nn.Linear(n_in, 64), nn.SELU(), nn.Linear(64, n_out))
    >>> X, _ = load_digits(return_X_y=True)
    >>> network = Modules(mlp, mlp)
    >>> ae = AutoEncoderTransformer(8, network=network, max_iter=10, random_state=0)
    >>> ae.fit_transform(X).shape
    (1797, 8)
    """

    _parameter_constraints = {"encoder": [callable], "decoder": [callable]}

    def __init__(
        self,
        encoder: Callable[[int, int], nn.Module],
        decoder: Callable[[int, int], nn.Module],
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder

    def check(self, params: Parameters, n_features: int) -> None:
        """Raise an error for modules, and for parameters without effect."""
        for name in ("encoder", "decoder"):
            if isinstance(getattr(self, name), nn.Module):
                raise TypeError(
                    f"{name} of Modules must be a factory f(n_in, n_out) that makes a "
                    "module, not a module: its weights would be copied from fold to "
                    "fold. Pass the class, or a function that calls it."
                )
        for name in ("hidden_layer_sizes", "activation"):
            if not params.are_auto(name):
                raise ValueError(
                    f"{name} has no effect on network=Modules(...), whose modules have "
                    f"their own: leave {name}='auto'."
                )

    def hidden_layer_sizes(
        self, n_samples: int, n_features: int, n_components: int
    ) -> tuple[int, ...]:
        """Return an empty tuple, because modules have their own layers."""
        return ()

    def starts_plain(self, link: PlainLink) -> bool:
        """Return False: modules are added to the linear start."""
        return False

    def build(
        self, shape: Shape, hidden: tuple[int, ...], activation: Activation, seed: int
    ) -> tuple[nn.Sequential, nn.Sequential, int]:
        """Return encoder, decoder and the largest known width; see `Dense.build`."""
        n_features, k, n_outputs = shape
        with own_generator(seed):  # modules initialise their weights at random
            encoder = _make("encoder", self.encoder, n_features, n_outputs)
            decoder = _make("decoder", self.decoder, k, n_features)
        encoder = nn.Sequential(UserModule(encoder, n_features), turn(n_outputs))
        decoder = nn.Sequential(turn(k), UserModule(decoder, k), Rescaling(n_features))
        return encoder, decoder, max(shape)


@torch.no_grad()
def _make(name, factory, n_in, n_out):
    """Return a factory's module, after a test with two rows."""
    try:
        # A copy, because the factory may return the same module twice.
        module = copy.deepcopy(factory(n_in, n_out))
        output = module.eval()(two_rows(n_in))
        found = f"{output.dtype} of shape {tuple(output.shape)}"
    except Exception as error:
        raise ValueError(
            f"{name} of Modules must be a factory f(n_in, n_out) that returns a "
            f"torch.nn.Module; called with ({n_in}, {n_out}), and the result with two "
            f"rows of {n_in} float32 numbers, it failed: {error}"
        ) from error
    if output.shape != (2, n_out) or output.dtype != torch.float32:
        raise ValueError(
            f"{name} of Modules must turn rows of {n_in} float32 numbers into rows of "
            f"{n_out}, but its output for two rows is {found}."
        )
    return module
