"""Part checks: `check_part` tests whether a user's part keeps its contract."""

import pickle

import numpy as np
import torch
from sklearn.base import clone

from .contracts import Corruption, Penalty
from .corruptions import corrupt
from .losses import check_loss
from .penalties import needs_encoder, penalize

__all__ = ["check_part"]

_N_FEATURES, _N_COMPONENTS = 6, 2
_KINDS = ("corruption", "loss", "penalty")


def check_part(part: object, kind: str = "auto") -> None:
    """Check that your own corruption, penalty or loss keeps its contract.

    The part is called on small batches, of one row and of several, as in a training. It
    must meet these conditions:

    - It returns finite values of the right shape and dtype.
    - Its random numbers come only from the generator that it is given.
    - It does not change its arguments.
    - The gradient of a penalty or a loss exists and is finite.
    - It can be pickled and, if it has parameters, cloned (`sklearn.base.clone`).

    Parameters
    ----------
    part : object or callable
        A value for ``corruption``, ``penalty`` or ``loss`` of `AutoEncoderTransformer`.
    kind : {"auto", "corruption", "loss", "penalty"}, default="auto"
        Kind of the part. "auto" looks for the methods ``corrupt`` and ``penalize``, and
        takes any other function as a loss.

    Raises
    ------
    AssertionError
        If the part does not keep the contract. The message says which condition fails.
    TypeError
        If the part does not return a tensor of the right kind, or is of no kind that
        can be checked, such as a network.
    ValueError
        If ``kind`` is not one of these.

    See Also
    --------
    sklearn.utils.estimator_checks.check_estimator : Similar checks for estimators.

    Examples
    --------
    >>> import torch
    >>> from skae import SwapNoise, check_part
    >>> check_part(SwapNoise(0.2))
    >>> check_part(torch.nn.L1Loss())
    >>> check_part(lambda output, target: (output - target).abs().mean(dim=1))
    Traceback (most recent call last):
        ...
    AssertionError: <function <lambda> at ...> cannot be pickled: ...
    """
    if kind == "auto":
        kind = _kind_of(part)
    if kind not in _KINDS:
        raise ValueError(f"kind must be 'auto' or one of {_KINDS}, got {kind!r}.")
    _survives_copies(part)
    for n_samples in (1, 5):
        _CHECKS[kind](part, n_samples)


def _kind_of(part):
    if isinstance(part, Corruption):
        return "corruption"
    if isinstance(part, Penalty):
        return "penalty"
    if callable(part):
        return "loss"
    raise TypeError(
        f"check_part checks corruptions, penalties and losses, but {part!r} has none "
        "of the methods corrupt and penalize, and cannot be called."
    )


def _survives_copies(part):
    try:
        pickle.loads(pickle.dumps(part))
    except Exception as error:
        raise AssertionError(f"{part!r} cannot be pickled: {error}") from error
    if hasattr(part, "get_params"):
        try:
            clone(part)
        except Exception as error:
            raise AssertionError(f"{part!r} cannot be cloned: {error}") from error


def _rows(n_samples, n_columns, seed):
    values = np.random.default_rng(seed).normal(size=(n_samples, n_columns))
    return torch.from_numpy(values).float()


def _check_corruption(part, n_samples):
    x = _rows(n_samples, _N_FEATURES, 0)
    result = _repeatable(part, lambda rng: corrupt(part, x, rng))
    _assert(torch.isfinite(result).all(), part, "must return finite numbers")
    _assert(result.device == x.device, part, "must stay on the device of the rows")
    given = x.clone()
    method = getattr(part, "corrupt", part)
    out = method(given, np.random.default_rng(0))
    shared = out.data_ptr() == given.data_ptr() and out is not given
    _assert(not shared, part, "must return a tensor of its own")


def _check_penalty(part, n_samples):
    x = _rows(n_samples, _N_FEATURES, 0)
    weight = _rows(_N_FEATURES, _N_COMPONENTS, 1).requires_grad_()

    def encode(x):
        return torch.tanh(x @ weight)

    def cost(rng):
        weight.grad = None
        z = encode(x)
        before = x.clone(), z.detach().clone()
        values = penalize(part, z, x, encode, rng)
        unchanged = torch.equal(x, before[0]) and torch.equal(z.detach(), before[1])
        _assert(unchanged, part, "must leave codes and rows as they are")
        return values

    values = _repeatable(part, cost)
    _assert(torch.isfinite(values).all(), part, "must return finite costs")
    _assert(
        values.requires_grad,
        part,
        "must depend on the codes through torch operations, or it has no gradient",
    )
    values.mean().backward()
    _assert(torch.isfinite(weight.grad).all(), part, "must have a finite gradient")
    if not needs_encoder(part):

        def refuse(x):
            raise AssertionError(
                f"{part!r} calls encode, but says needs_encoder = False."
            )

        penalize(part, encode(x), x, refuse, np.random.default_rng(0))


def _check_loss(part, n_samples):
    loss, _ = check_loss(part, "auto")
    target = _rows(n_samples, _N_FEATURES, 0)
    for values in (_rows(n_samples, _N_FEATURES, 1), target.clone()):
        output = values.requires_grad_()
        values = _repeatable(part, lambda rng, o=output: loss.function(o, target))
        _assert(torch.isfinite(values).all(), part, "must return finite losses")
        values.mean().backward()
        _assert(
            torch.isfinite(output.grad).all(),
            part,
            "must have a finite gradient, also where the output is the target",
        )


_CHECKS = {
    "corruption": _check_corruption,
    "loss": _check_loss,
    "penalty": _check_penalty,
}


def _numpy_state():
    """Return the state of numpy's global generator."""
    return np.random.get_state(legacy=False)["state"]["key"].copy()


def _repeatable(part, function):
    """Return a part's result for a seed. Check that it uses no other generator."""
    before = torch.get_rng_state(), _numpy_state()
    first = function(np.random.default_rng(0))
    drew_torch = not torch.equal(before[0], torch.get_rng_state())
    drew_numpy = (before[1] != _numpy_state()).any()
    _assert(
        not (drew_torch or drew_numpy),
        part,
        "must draw from the generator it is given, not from a global one",
    )
    again = function(np.random.default_rng(0))
    same = torch.equal(first, again)
    _assert(same, part, "must give the same again with the same generator")
    return again


def _assert(condition, part, what):
    if not condition:
        raise AssertionError(f"{part!r} {what}.")


# The public place.
check_part.__module__ = "skae"
