"""`Modules`: encoder and decoder that users wrote."""

import copy

import torch
from sklearn.base import BaseEstimator
from torch import nn

from .._compat import Documented
from .._nn.layers import Rescaling, turn
from .._nn.seeded_modules import UserModule, own_generator, two_rows
from .parameters import Parameters

__all__ = ["Modules"]


class Modules(Documented, BaseEstimator):
    """Encoder and decoder of one's own.

    Each is given as a factory, not as a module: a module has weights, which `clone`
    would copy from one fold of a cross-validation into the next. The output should be
    linear, and so should the codes. Two small linear layers stand between the modules
    and the codes, so that these can be turned to their principal axes.

    Factories start their weights as they like, with torch's random numbers from a seed
    of ``random_state``; so are those that modules draw in training. With a batch of one
    row, layers that use the statistics of batches take those of earlier ones.

    Parameters
    ----------
    encoder, decoder : callable
        ``f(n_in, n_out)`` that returns a `torch.nn.Module`, from (batch, n_in) to
        (batch, n_out). A class, or a function with a name so that it can be pickled.

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

    def __init__(self, encoder, decoder):
        self.encoder = encoder
        self.decoder = decoder

    def check(self, params: Parameters, n_features: int) -> None:
        """Refuse modules, and parameters that would have no effect."""
        for name in ("encoder", "decoder"):
            if isinstance(getattr(self, name), nn.Module):
                raise TypeError(
                    f"{name} of Modules must be a factory f(n_in, n_out) that makes a "
                    "module, not a module: its weights would go from fold to fold. "
                    "Pass the class, or a function that calls it."
                )
        for name in ("hidden_layer_sizes", "activation"):
            if not params.are_auto(name):
                raise ValueError(
                    f"{name} has no effect on network=Modules(...), whose modules have "
                    f"their own: leave {name}='auto'."
                )

    def hidden_layer_sizes(self, n_samples, n_features, n_components):
        """Nobody asks for them."""
        return ()

    def starts_plain(self, link):
        """No module does."""
        return False

    def build(self, shape, hidden, activation, seed):
        """Return encoder, decoder and largest width known; see `Dense.build`."""
        n_features, k, n_outputs = shape
        with own_generator(seed):  # where the weights of modules start from
            encoder = _make("encoder", self.encoder, n_features, n_outputs)
            decoder = _make("decoder", self.decoder, k, n_features)
        encoder = nn.Sequential(UserModule(encoder, n_features), turn(n_outputs))
        decoder = nn.Sequential(turn(k), UserModule(decoder, k), Rescaling(n_features))
        return encoder, decoder, max(shape)


@torch.no_grad()
def _make(name, factory, n_in, n_out):
    """Return a factory's module, once it is seen to be of use."""
    try:
        # A copy, should the factory return the same one again.
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
