"""Checking: rows that come in, against what was seen in `fit`."""

import math

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from ._threads import ThreadTuner

__all__ = ["FLOATS", "check_rows"]

FLOATS = [np.float64, np.float32]
# Values from which it is worth to look at them on several threads.
_FEW_VALUES = 10_000


def check_rows(estimator, X, *, reset=False, **checks):
    """Return ``X`` as an array of floats; refuse what was not seen in `fit`.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
    X : object
    reset : bool
        Whether to set what was seen, instead of comparing with it.
    **checks : dict
        Arguments of `sklearn.utils.validation.validate_data`.
    """
    if not reset and not checks and _is_sound(estimator, X):
        return X
    checks |= {"accept_sparse": "csr", "dtype": FLOATS}
    return validate_data(estimator, X, reset=reset, **checks)


def _is_sound(estimator, X):
    """Whether scikit-learn would find nothing to do: it takes longer than a row does.

    And of many rows, a tenth of the time that their codes take. Anything unusual is
    left to it, so that its messages are those that users know.
    """
    return (
        type(X) is np.ndarray
        and X.dtype in FLOATS
        and X.ndim == 2
        and X.shape[1] == estimator.n_features_in_
        and X.size > 0
        and not hasattr(estimator, "feature_names_in_")
        and _is_finite(X)
    )


def _is_finite(X):
    """Whether all values are finite; not if that is hard to tell."""
    if X.size <= _FEW_VALUES:
        return bool(np.isfinite(X).all())
    flags = X.flags  # torch shares no others
    if not (flags.writeable and flags.forc):
        return False
    with ThreadTuner():
        return math.isfinite(torch.from_numpy(X).sum())
