"""Penalties: what codes cost besides their error, to be sparse or smooth.

A penalty has a method ``penalize(z, x, encode, rng)`` that returns the cost of each row
of a batch; penalties add up. It says about itself:

``needs_encoder``
    Whether it calls ``encode``. If not, the rest of the network needs no autograd.
``keeps_axes``
    Whether it gives each code a meaning of its own, so that they may not be turned.

Where it does not say so, both are taken for true, which is always right. A function of
``(z)``, ``(z, x)`` or all four, of rows' costs or one for all, is a penalty too.
"""

import warnings
from functools import cache
from numbers import Real

import torch
from sklearn.base import BaseEstimator
from torch.autograd import forward_ad

from .._compat import Documented, HasMethods, Interval, close_forward_derivatives
from .._runtime.calls import call, n_required
from .._runtime.forks import forkable_lock
from .base import check_row_values, resolve_part

__all__ = [
    "PENALTIES",
    "Contraction",
    "PenaltySum",
    "Sparsity",
    "check_penalty",
    "keeps_axes",
    "needs_encoder",
    "penalize",
]

_WEIGHT = {"weight": [Interval(Real, 0, None, closed="left")]}


class _Addable:
    """Penalties add up, with those of someone's own too."""

    def __add__(self, other):
        return PenaltySum(self, other)

    def __radd__(self, other):
        # Zero is where sum() begins.
        return self if other == 0 else PenaltySum(other, self)


class Sparsity(_Addable, Documented, BaseEstimator):
    """Few codes of a row far from zero.

    Without ``target``, the mean absolute value of each code (L1) over its root mean
    square, averaged over the codes: 0.8 where they are normally distributed, and small
    where few of them are not zero [1]_. With a ``target`` p, the Kullback-Leibler
    divergence [2]_ ::

        p log(p / a) + (1 - p) log((1 - p) / (1 - a))

    of each code's mean activation a, averaged over the codes. Codes are linear, so
    the activation of a code z is taken to be z² / (z² + mean of z²), in [0, 1). Both
    are of no unit: codes that are merely smaller are not sparser.

    The codes keep their axes and their zero, and with ``init="auto"`` the start is the
    plain network: PCA's codes are not sparse, and hard to leave.

    Parameters
    ----------
    weight : float, default=0.1
        Of the penalty, against the loss.
    target : float in (0, 1) or None, default=None
        Mean activation, about the share of rows that a code is far from zero in. It is
        weighed against the loss too, and reached with a ``weight`` of about 10.

    References
    ----------
    .. [1] Hoyer (2004). Non-negative matrix factorization with sparseness constraints.
       JMLR 5.
    .. [2] Ng (2011). Sparse autoencoder. CS294A lecture notes, Stanford.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, Sparsity
    >>> X, _ = load_digits(return_X_y=True)
    >>> ae = AutoEncoderTransformer(8, max_iter=20, random_state=0)
    >>> Z, S = (
    ...     ae.set_params(penalty=penalty).fit_transform(X)
    ...     for penalty in (None, Sparsity(0.3))
    ... )
    >>> def share_of_small(Z):
    ...     return np.mean(abs(Z) < 0.1 * Z.std())
    >>> bool(share_of_small(S) > 3 * share_of_small(Z))
    True
    """

    needs_encoder = False
    keeps_axes = True

    _parameter_constraints = {
        **_WEIGHT,
        "target": [Interval(Real, 0, 1, closed="neither"), None],
    }

    def __init__(self, weight=0.1, target=None):
        self.weight = weight
        self.target = target

    def penalize(self, z, x, encode, rng):
        """Return the cost of rows.

        Parameters
        ----------
        z : Tensor of shape (batch, n_components)
            Codes.
        x : Tensor of shape (batch, n_features)
            The scaled rows that were encoded.
        encode : callable
            From such rows to codes.
        rng : numpy.random.Generator

        Returns
        -------
        cost : Tensor of shape (batch,)
        """
        square = z.square()
        tiny = torch.finfo(z.dtype).tiny
        mean_square = square.mean(dim=0).clamp(min=tiny)  # of each code
        if self.target is None:
            return self.weight * (z.abs() / mean_square.sqrt()).mean(dim=1)
        activation = (square / (square + mean_square)).mean(dim=0).clamp(1e-6, 1 - 1e-6)
        p = self.target
        divergence = torch.special.xlogy(p, p / activation)
        divergence = divergence + torch.special.xlogy(1 - p, (1 - p) / (1 - activation))
        # A batch has one cost, which its rows share.
        return self.weight * divergence.mean().expand(len(z))


class Contraction(_Addable, Documented, BaseEstimator):
    """Codes that change little where rows change little.

    The squared Frobenius norm of the encoder's Jacobian at each row [1]_, divided by
    the number of features, as the loss is. Its unbiased estimate is the squared length
    of the Jacobian's product with one random direction of independent signs
    (Hutchinson 1989), which takes one forward derivative and never the Jacobian.

    It falls with the scale of the codes too, which ``linearity`` holds where the start
    is PCA; else use ``network=Dense(tied=True)``, as the paper does.

    Parameters
    ----------
    weight : float, default=0.1
        Of the penalty, against the loss. Of PCA's codes it is ``weight`` times their
        share of the features' number.

    References
    ----------
    .. [1] Rifai, Vincent, Muller, Glorot, Bengio (2011). Contractive auto-encoders:
       explicit invariance during feature extraction. ICML.

    Examples
    --------
    >>> from skae import AutoEncoderTransformer, Contraction, Sparsity
    >>> AutoEncoderTransformer(penalty=Contraction(0.5) + Sparsity())
    AutoEncoderTransformer(penalty=PenaltySum(first=Contraction(weight=0.5),
                                              second=Sparsity()))
    """

    needs_encoder = True
    keeps_axes = False

    _parameter_constraints = _WEIGHT

    def __init__(self, weight=0.1):
        self.weight = weight

    def penalize(self, z, x, encode, rng):
        """Return the cost of rows; see `Sparsity.penalize`."""
        _load_forward_derivatives()
        signs = torch.from_numpy(rng.integers(0, 2, size=x.shape)).to(x).mul_(2).sub_(1)
        with _ONE_AT_A_TIME, _FORWARD_DERIVATIVES:
            codes = encode(forward_ad.make_dual(x, signs))
            change = forward_ad.unpack_dual(codes).tangent
        return self.weight * change.square().sum(dim=1) / x.shape[1]


class _ForwardDerivatives:
    """A level of forward derivatives, of which torch has one in a process.

    An interrupt in the steps by which torch opens or closes it may leave it open, and a
    process that is forked meanwhile inherits it so. It is closed when next needed.
    """

    _is_open = False

    def __enter__(self):
        if self._is_open:
            close_forward_derivatives()
        self._is_open = True
        try:
            forward_ad.enter_dual_level()
        except RuntimeError:  # it is open, and not by us
            self._is_open = False
            raise

    def __exit__(self, *_):
        forward_ad.exit_dual_level()
        self._is_open = False


# One to a process, whatever the thread.
_ONE_AT_A_TIME = forkable_lock()
_FORWARD_DERIVATIVES = _ForwardDerivatives()


@cache
def _load_forward_derivatives():
    """Let torch import them without its warning of a deprecation of its own."""
    with warnings.catch_warnings(), _ONE_AT_A_TIME, _FORWARD_DERIVATIVES:
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


class PenaltySum(_Addable, Documented, BaseEstimator):
    """What ``first + second`` makes of two penalties.

    Parameters
    ----------
    first, second : object with a method penalize(z, x, encode, rng), or function
        The penalties.

    Examples
    --------
    >>> from skae import AutoEncoderTransformer, Contraction, Sparsity
    >>> ae = AutoEncoderTransformer(penalty=Contraction(0.5) + Sparsity(0.1))
    >>> ae.get_params()["penalty__second__weight"]
    0.1
    """

    _parameter_constraints = {
        "first": [HasMethods("penalize"), callable],
        "second": [HasMethods("penalize"), callable],
    }

    def __init__(self, first, second):
        self.first = first
        self.second = second

    @property
    def needs_encoder(self):
        """Whether one of them does."""
        return needs_encoder(self.first) or needs_encoder(self.second)

    @property
    def keeps_axes(self):
        """Whether one of them does."""
        return keeps_axes(self.first) or keeps_axes(self.second)

    def _validate_params(self):
        super()._validate_params()
        for term in (self.first, self.second):
            check_penalty(term)

    def penalize(self, z, x, encode, rng):
        """Return the cost of rows; see `Sparsity.penalize`."""
        return sum(penalize(p, z, x, encode, rng) for p in (self.first, self.second))


#: name -> penalty with its defaults.
PENALTIES = {"sparsity": Sparsity, "contraction": Contraction}


def check_penalty(penalty):
    """Resolve a name to its penalty, and see that the parameters are valid."""
    return resolve_part("penalty", penalty, PENALTIES)


def needs_encoder(penalty):
    """Whether the penalty asks for more than codes and rows."""
    is_function = penalty is not None and not hasattr(penalty, "penalize")
    unless_said = not is_function or n_required(penalty, 4) > 2
    return penalty is not None and getattr(penalty, "needs_encoder", unless_said)


def keeps_axes(penalty):
    """Whether turning the codes would change the penalty."""
    return penalty is not None and getattr(penalty, "keeps_axes", True)


def penalize(penalty, z, x, encode, rng):
    """Return the cost of rows, and make sure that it is one number for each."""
    if hasattr(penalty, "penalize"):
        values = penalty.penalize(z, x, encode, rng)
    else:
        values = call(penalty, z, x, encode, rng)
        if isinstance(values, torch.Tensor) and values.ndim == 0:
            values = values.expand(len(z))  # the rows of a batch share it
    return check_row_values(f"penalty={penalty!r}", values, len(z))


# Pickles name the public place, so that they survive a move of this file.
for _part in (*PENALTIES.values(), PenaltySum):
    _part.__module__ = "skae"
