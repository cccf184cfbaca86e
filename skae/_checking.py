"""Checking: rows that come in, against what was seen in `fit`."""

import numpy as np
from sklearn.utils.validation import validate_data

__all__ = ["FLOATS", "check_rows"]

FLOATS = [np.float64, np.float32]
# Larger arrays take longer on their way through the network than to be checked.
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

    Anything unusual is left to it, so that its messages are those that users know.
    """
    return (
        type(X) is np.ndarray
        and X.dtype in FLOATS
        and X.ndim == 2
        and X.shape[1] == estimator.n_features_in_
        and 0 < X.size <= _FEW_VALUES
        and not hasattr(estimator, "feature_names_in_")
        and bool(np.isfinite(X).all())
    )
