"""Imputation: fills gaps of rows with the help of the network.

The encoder needs rows whose gaps a linear method (`PPCA`) has filled. The decoder also
predicts these entries. The result is a weighted mean of both values. The weight is
chosen by hiding entries of held-out rows and comparing them with the results.
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
    """How gaps are filled. It is measured by hiding entries.

    Attributes
    ----------
    network_share : float
        Weight of the decoder's predictions, between 0 and 1. The linear method has the
        rest of the weight.
    error_scale : float
        Size of the errors, divided by the size that the linear method expects for its
        own errors.
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
        """Measure both attributes with entries that were hidden.

        Parameters
        ----------
        codec : Codec
        X : ndarray of shape (n_samples, n_features)
            Original rows.
        hidden : ndarray of bool of shape (n_samples, n_features)
        filled : ndarray of shape (n_samples, n_features)
            Rows with their gaps and hidden entries filled by the linear method.
        rng : numpy.random.Generator

        Raises
        ------
        ValueError
            If squared errors overflow.
        """
        assert codec.ppca is not None
        unit = np.broadcast_to(codec.scaling.unit, X.shape)[hidden]
        missed = (X[hidden] - filled[hidden]) / unit
        moved = (_predictions(codec, filled)[hidden] - filled[hidden]) / unit
        # PCA cannot improve on the linear method, which has more directions.
        share = 0.0 if codec.network.linear else _slope(moved, missed)
        left = missed - share * moved
        expected = codec.ppca.draw_errors(hidden | np.isnan(X), rng)[hidden] / unit
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            scale = np.sqrt(left @ left / ((expected @ expected) or 1.0))
        if not np.isfinite(scale):
            raise ValueError(
                "The squared errors of the rows to validate on overflow float64: their "
                f"values reach {np.nanmax(np.abs(X)):.3g}. Rescale X_val."
            )
        return cls(float(share), float(scale))

    def fill(self, codec: Codec, X: Floats, filled: Floats) -> Floats:
        """Return rows with their gaps filled. `Codec.complete` returned ``filled``."""
        if not self.network_share:
            return filled
        gaps = np.flatnonzero(np.isnan(X).any(axis=1))
        linear, result = filled[gaps], filled.copy()
        mixed = linear + self.network_share * (_predictions(codec, linear) - linear)
        result[gaps] = np.where(np.isnan(X[gaps]), mixed, X[gaps])
        return result


def _slope(x, y):
    """Return a cautious slope of the regression of ``y`` on ``x``, between 0 and 1.

    It is the least-squares slope minus its standard error.
    """
    size = x @ x
    if not size > 0:
        return 0.0
    slope = x @ y / size
    error = np.sqrt(np.square(x * (y - slope * x)).sum()) / size
    return np.clip(slope - error, 0.0, 1.0)


def _predictions(codec: Codec, filled: Floats) -> Floats:
    """Return reconstructions of filled rows, clipped to the observed bounds."""
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
    """Return a copy of rows with their gaps filled, or several random copies.

    Parameters
    ----------
    codec : Codec
    imputation : Imputation
    X : ndarray of shape (n_samples, n_features)
        Rows. Gaps are NaN.
    n_draws : int or None
        Number of random copies. The result then has the shape (n_draws, n_samples,
        n_features). If None, return one copy with the means.
    rng : numpy.random.Generator or None
        Needed only for random copies.
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
