"""Penalties on codes, added to the loss, that make codes sparse or smooth.

A penalty has a method ``penalize(z, x, encode, rng)`` that returns the cost of each row
of a batch. Penalties can be added. A penalty has two attributes:

``needs_encoder``
    Whether it calls ``encode``. If not, the rest of the network needs no autograd.
``keeps_axes``
    Whether each code has a meaning of its own, so that codes must not be rotated.

If they are missing, both count as true, which is always safe. A function of ``(z)``,
``(z, x)`` or all four arguments is a penalty too. It returns a cost for each row, or
one for the batch.
"""

import warnings
from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import TypeAlias, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.autograd import forward_ad

from .._compat import Documented, HasMethods, Interval, close_forward_derivatives
from .._runtime.calls import call, n_required
from .._runtime.forks import forkable_lock
from .base import check_row_values, resolve_part
from .contracts import Penalty

__all__ = [
    "PENALTIES",
    "PenaltyLike",
    "Contraction",
    "PenaltySum",
    "Sparsity",
    "check_penalty",
    "keeps_axes",
    "needs_encoder",
    "penalize",
]

#: An object with a method `penalize`, or a function; see above.
PenaltyLike: TypeAlias = Penalty | Callable[..., Tensor]

_WEIGHT = {"weight": [Interval(Real, 0, None, closed="left")]}


class _Addable:
    """Mixin with which penalties can be added, also to users' own penalties."""

    def __add__(self: Penalty, other: PenaltyLike) -> "PenaltySum":
        return PenaltySum(self, other)

    def __radd__(self: Penalty, other: PenaltyLike | int) -> Penalty:
        # sum() begins with zero.
        return self if other == 0 else PenaltySum(cast(PenaltyLike, other), self)


class Sparsity(_Addable, Documented, BaseEstimator):
    """Sparse codes: for each row, only a few codes are far from zero.

    Without ``target``, the penalty is the mean absolute value of each code (L1),
    divided by its root mean square, and averaged over the codes. It is 0.8 for normally
    distributed codes, and small if most of them are zero [1]_. With a ``target`` p, it
    is the Kullback-Leibler divergence [2]_ ::

        p log(p / a) + (1 - p) log((1 - p) / (1 - a))

    averaged over the codes, where a is the mean activation of a code. Codes are linear,
    so the activation of a code z is defined as z² / (z² + mean of z²), in [0, 1). Both
    penalties have no unit: making all codes smaller does not change them.

    Sparse codes are not rotated or centred. With ``init="auto"`` the start is the plain
    network, because PCA's codes are not sparse, and training hardly leaves them.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the penalty, compared with the loss.
    target : float in (0, 1) or None, default=None
        Mean activation: about the share of rows in which a code is far from zero. The
        codes come near it only if ``weight`` is large enough, about 10.

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

    def __init__(self, weight: float = 0.1, target: float | None = None) -> None:
        self.weight = weight
        self.target = target

    def penalize(
        self,
        z: Tensor,
        x: Tensor,
        encode: Callable[[Tensor], Tensor],
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the cost of rows.

        Parameters
        ----------
        z : Tensor of shape (batch, n_components)
            Codes.
        x : Tensor of shape (batch, n_features)
            The scaled rows that were encoded.
        encode : callable
            Function from scaled rows to codes.
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
    """Smooth codes: small changes of a row change its code little.

    The penalty is the squared Frobenius norm of the encoder's Jacobian at each row
    [1]_. Like the loss, it is divided by the number of features. It is estimated
    without bias by the squared length of the Jacobian's product with one random vector
    of signs (Hutchinson 1989). This needs one forward derivative, not the Jacobian.

    Smaller codes have a smaller penalty too. If the start is PCA, ``linearity`` keeps
    the scale of the codes. Otherwise use ``network=Dense(tied=True)``, as the paper
    does.

    Parameters
    ----------
    weight : float, default=0.1
        Weight of the penalty, compared with the loss. For PCA's codes, the penalty is
        ``weight`` times the number of codes divided by the number of features.

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

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight

    def penalize(
        self,
        z: Tensor,
        x: Tensor,
        encode: Callable[[Tensor], Tensor],
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the cost of rows; see `Sparsity.penalize`."""
        _load_forward_derivatives()
        signs = torch.from_numpy(rng.integers(0, 2, size=x.shape)).to(x).mul_(2).sub_(1)
        with _ONE_AT_A_TIME, _FORWARD_DERIVATIVES:
            codes = encode(forward_ad.make_dual(x, signs))
            change = forward_ad.unpack_dual(codes).tangent
        return self.weight * change.square().sum(dim=1) / x.shape[1]


class _ForwardDerivatives:
    """A level of forward derivatives. torch has only one in a process.

    An interrupt while torch opens or closes the level may leave it open. A process that
    is forked at this moment inherits the open level. It is closed at its next use.
    """

    _is_open = False

    def __enter__(self):
        if self._is_open:
            close_forward_derivatives()
        self._is_open = True
        try:
            forward_ad.enter_dual_level()
        except RuntimeError:  # other code has opened it
            self._is_open = False
            raise

    def __exit__(self, *_):
        forward_ad.exit_dual_level()
        self._is_open = False


# One for the process, shared by all threads.
_ONE_AT_A_TIME = forkable_lock()
_FORWARD_DERIVATIVES = _ForwardDerivatives()


@cache
def _load_forward_derivatives():
    """Let torch import forward derivatives without its own deprecation warning."""
    with warnings.catch_warnings(), _ONE_AT_A_TIME, _FORWARD_DERIVATIVES:
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


class PenaltySum(_Addable, Documented, BaseEstimator):
    """The sum of two penalties, from ``first + second``.

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

    def __init__(self, first: PenaltyLike, second: PenaltyLike) -> None:
        self.first = first
        self.second = second

    @property
    def needs_encoder(self) -> bool:
        """Whether one of the penalties needs the encoder."""
        return needs_encoder(self.first) or needs_encoder(self.second)

    @property
    def keeps_axes(self) -> bool:
        """Whether one of the penalties keeps the axes."""
        return keeps_axes(self.first) or keeps_axes(self.second)

    def _validate_params(self):
        super()._validate_params()
        for term in (self.first, self.second):
            check_penalty(term)

    def penalize(
        self,
        z: Tensor,
        x: Tensor,
        encode: Callable[[Tensor], Tensor],
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the cost of rows; see `Sparsity.penalize`."""
        first = penalize(self.first, z, x, encode, rng)
        return first + penalize(self.second, z, x, encode, rng)


#: name -> penalty with its defaults.
PENALTIES = {"sparsity": Sparsity, "contraction": Contraction}


def check_penalty(penalty: str | PenaltyLike | None) -> PenaltyLike | None:
    """Resolve a name to its penalty, and check that the parameters are valid."""
    return resolve_part("penalty", penalty, PENALTIES)


def needs_encoder(penalty: PenaltyLike | None) -> bool:
    """Whether the penalty needs more than codes and rows."""
    if penalty is None:
        return False
    function = cast(Callable[..., Tensor], penalty)
    unless_said = hasattr(penalty, "penalize") or n_required(function, 4) > 2
    return getattr(penalty, "needs_encoder", unless_said)


def keeps_axes(penalty: PenaltyLike | None) -> bool:
    """Whether a rotation of the codes would change the penalty."""
    return penalty is not None and getattr(penalty, "keeps_axes", True)


def penalize(
    penalty: PenaltyLike,
    z: Tensor,
    x: Tensor,
    encode: Callable[[Tensor], Tensor],
    rng: np.random.Generator,
) -> Tensor:
    """Return the cost of rows, after a check that it is one number for each."""
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
