"""Imputation: gaps of rows, filled from what the network makes of the observed part.

A row's gaps are filled by the linear method that the encoder needs anyway, and the
decoder answers for them too. Of both, what fills a gap is a weighted mean. The weight
is the one with which hidden entries of held-out rows were met best.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._runtime.isolation import isolated
from .._typing import Bools, Floats
from .codec import Codec

__all__ = ["Imputation", "impute"]


@dataclass(frozen=True)
class Imputation:
    """How gaps are filled, found out by hiding entries.

    Attributes
    ----------
    network_share : float
        Weight of the decoder's answers, between 0 and 1; that of the linear method is
        the rest.
    error_scale : float
        Size of the errors, over that which the linear method expects of its own.
    """

    network_share: float
    error_scale: float

    @classmethod
    def fit(
        cls,
        codec: Codec,
        X: Floats,
        hidden: Bools,
        filled: Floats,
        rng: np.random.Generator,
    ) -> Self:
        """Measure both with entries that were hidden.

        Parameters
        ----------
        codec : Codec
        X, filled : ndarray of shape (n_samples, n_features)
            Rows as they are, and with their gaps and hidden entries filled.
        hidden : ndarray of bool of shape (n_samples, n_features)
        rng : numpy.random.Generator
        """
        assert codec.ppca is not None
        unit = np.broadcast_to(codec.scaling.unit, X.shape)[hidden]
        missed = (X[hidden] - filled[hidden]) / unit
        moved = (_answers(codec, filled)[hidden] - filled[hidden]) / unit
        # PCA has nothing to add: the linear method has more directions.
        share = 0.0 if codec.network.linear else _slope(moved, missed)
        left = missed - share * moved
        expected = codec.ppca.draw_errors(hidden | np.isnan(X), rng)[hidden] / unit
        scale = np.sqrt(left @ left / ((expected @ expected) or 1.0))
        return cls(float(share), float(scale))

    def fill(self, codec: Codec, X: Floats, filled: Floats) -> Floats:
        """Return rows with their gaps filled, of rows that `Codec.complete` filled."""
        if not self.network_share:
            return filled
        gaps = np.flatnonzero(np.isnan(X).any(axis=1))
        linear, result = filled[gaps], filled.copy()
        mixed = linear + self.network_share * (_answers(codec, linear) - linear)
        result[gaps] = np.where(np.isnan(X[gaps]), mixed, X[gaps])
        return result


def _slope(x, y):
    """Return by how much ``y`` goes with ``x`` at least, between 0 and 1.

    It is the slope of least squares, minus its standard error.
    """
    size = x @ x
    if not size > 0:
        return 0.0
    slope = x @ y / size
    error = np.sqrt(np.square(x * (y - slope * x)).sum()) / size
    return np.clip(slope - error, 0.0, 1.0)


def _answers(codec: Codec, filled: Floats) -> Floats:
    """Return what the decoder makes of filled rows, within the observed bounds."""
    assert codec.ppca is not None
    return np.clip(codec.decode(codec.encode(filled)), codec.ppca.low, codec.ppca.high)


@isolated
def impute(
    codec: Codec,
    imputation: Imputation,
    X: Floats,
    n_draws: int | None,
    rng: np.random.Generator | None,
) -> Floats:
    """Return a copy of rows with their gaps, which are NaN, filled; or several.

    Parameters
    ----------
    codec : Codec
    imputation : Imputation
    X : ndarray of shape (n_samples, n_features)
    n_draws : int or None
        How many copies to draw, (n_draws, n_samples, n_features); None for the mean.
    rng : numpy.random.Generator
    """
    completed = codec.complete(X)
    filled = X.copy() if completed is X else imputation.fill(codec, X, completed)
    if n_draws is None:
        return filled
    assert codec.ppca is not None and rng is not None
    missing = np.isnan(X)
    draws = np.empty((n_draws, *X.shape), X.dtype)
    for drawn in draws:
        errors = imputation.error_scale * codec.ppca.draw_errors(missing, rng)
        values = np.clip(filled + errors, codec.ppca.low, codec.ppca.high)
        drawn[:] = np.where(missing, values, X)
    return draws
