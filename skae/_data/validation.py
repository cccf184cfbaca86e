"""Checking: rows that come in, against what was seen in `fit`."""

import math

import numpy as np
import sklearn
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .._runtime.threads import ThreadTuner

__all__ = ["as_given", "check_codes", "check_rows"]

FLOATS = [np.float64, np.float32]
# What libraries of data frames call columns of float32.
_FLOAT32 = {"float32", "float", "float[pyarrow]"}
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
    X = _as_array(X)
    if len(getattr(X, "shape", ())) > 2:
        raise ValueError(
            f"Found array with dim {len(X.shape)}, of shape {tuple(X.shape)}, where "
            "each row must be flat: pass X.reshape(len(X), -1). If rows are pictures, "
            f"network=Conv(image_shape={tuple(X.shape[1:])}) knows their shape."
        )
    checks |= {"accept_sparse": "csr", "dtype": _floats_of(X)}
    with sklearn.config_context(array_api_dispatch=False):
        return validate_data(estimator, X, reset=reset, **checks)


def check_codes(estimator, Z):
    """Return codes as an array of floats.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
    Z : object
    """
    if _is_matrix(Z) and _is_finite(Z):
        return Z
    Z = _as_array(Z)
    checks = {"dtype": _floats_of(Z), "input_name": "X", "estimator": estimator}
    with sklearn.config_context(array_api_dispatch=False):
        return check_array(Z, **checks)


def as_given(values, X):
    """Return values that were made of ``X`` as a tensor if that is one.

    On its device, and if scikit-learn is told to give back what it is given; else as
    the array that they are.
    """
    if isinstance(X, torch.Tensor) and sklearn.get_config()["array_api_dispatch"]:
        return torch.from_numpy(values).to(X.device)
    return values


def _as_array(X):
    """Return tensors, and columns of vectors, as arrays; the rest as it is."""
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.double() if X.dtype == torch.bfloat16 else X).numpy()
    if type(X).__name__ in ("Series", "FixedSizeListArray", "ListArray"):
        values = np.asarray(X)
        if values.dtype == object and all(np.ndim(v) == 1 for v in values):
            values = np.stack(values)  # refuses vectors of several lengths
        return values if values.ndim == 2 else X
    return X


def _floats_of(X):
    """Return the dtypes that the values may have: that of all columns of a frame.

    scikit-learn would make float64 of those that numpy does not have.
    """
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None and hasattr(X, "schema"):
        dtypes = getattr(X.schema, "types", None)  # of pyarrow
    if dtypes is None or not np.iterable(dtypes) or not len(dtypes):
        return FLOATS
    are_float32 = all(str(dtype).lower() in _FLOAT32 for dtype in dtypes)
    return np.float32 if are_float32 else FLOATS


def _is_sound(estimator, X):
    """Whether scikit-learn would find nothing to do: it takes longer than a row does.

    And of many rows, a tenth of the time that their codes take. Anything unusual is
    left to it, so that its messages are those that users know.
    """
    return (
        _is_matrix(X)
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and _is_finite(X)
    )


def _is_matrix(X):
    """Whether it is an array of rows in a dtype that is computed in."""
    return (
        type(X) is np.ndarray
        and X.dtype.char in "fd"
        and X.dtype.isnative
        and X.ndim == 2
        and X.size > 0
    )


def _is_finite(X):
    """Whether all values are finite; not if that is hard to tell."""
    if X.size <= _FEW_VALUES:
        flat = X.ravel()
        with np.errstate(all="ignore"):
            return math.isfinite(np.dot(flat, flat))  # in half the time of a mask
    flags = X.flags  # torch shares no others
    if not (flags.writeable and flags.forc):
        return False
    with ThreadTuner():
        return math.isfinite(torch.from_numpy(X).sum())
