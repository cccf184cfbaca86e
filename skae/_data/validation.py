"""Checks of input rows, also against the rows of `fit`."""

import math
from typing import Any

import numpy as np
import sklearn
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .._runtime.threads import ThreadTuner
from .._typing import Floats, Rows
from .conversion import (
    as_array,
    column_dtypes,
    naming_columns,
    refuse_other_kinds,
    refuse_pictures,
)

__all__ = [
    "NO_GAPS_IN_MIXED",
    "as_given",
    "check_codes",
    "check_flag",
    "check_observed",
    "check_rows",
    "is_nan",
]

FLOATS = [np.float64, np.float32]
# Names of float32 in libraries of data frames.
_FLOAT32 = {"float32", "float", "float[pyarrow]"}
# Up to this number of values, one thread checks them. For more, several are faster.
_FEW_VALUES = 10_000
_NO_GAPS = (
    "Where it stands for missing values, set missing_values=np.nan: {} then fills "
    "gaps, and leaves them out of what is compared. Or put an imputer of "
    "sklearn.impute before it."
)
#: Message about missing values in rows with a loss for each group of columns.
NO_GAPS_IN_MIXED = (
    "A MixedLoss, or loss='auto', takes no missing values. Let OneHotEncoder make a "
    "category of what is missing, and an imputer of sklearn.impute fill the numbers; "
    "or use loss='squared_error' with missing_values."
)
# Messages for arrays with three or more dimensions.
_FLAT_ROWS = (
    "each row must be flat: reshape it to {flat}, as X.reshape(len(X), -1) does. If "
    "rows are pictures, network=Conv(image_shape={row}) knows their shape."
)
_FLAT_CODES = (
    "codes are of shape (n_samples, n_components), as transform returns them. If these "
    "are pictures, encode them first: fit to the flat rows, of shape {flat}, with "
    "network=Conv(image_shape={row})."
)


def check_rows(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool = False,
    missing_values: float | None = None,
    **checks: Any,
) -> Rows:
    """Return ``X`` as an array of floats. Refuse features that `fit` has not seen.

    Missing values are NaN in the result.

    Parameters
    ----------
    estimator : estimator
    X : object
    reset : bool
        Whether to store the features of ``X``, instead of comparing with stored ones.
    missing_values : float or None
        Value that stands for missing values; may be NaN. None if there is no such
        value.
    **checks : dict
        Arguments of `sklearn.utils.validation.validate_data`, which add to or replace
        the defaults here.
    """
    if not reset and not checks and _is_sound(estimator, X):
        return _with_nan(X, missing_values)
    X = as_array(X)
    refuse_other_kinds(X)
    refuse_pictures(X, _FLAT_ROWS)
    checks = {"accept_sparse": "csr", "dtype": _floats_of(X)} | checks
    if is_nan(missing_values):
        checks["ensure_all_finite"] = "allow-nan"
        X = _without_na(X)
    try:
        with (
            sklearn.config_context(array_api_dispatch=False),
            naming_columns(X),
            np.errstate(invalid="ignore"),  # of sums that show what is not finite
        ):
            X = validate_data(estimator, X, reset=reset, **checks)
    except ValueError as error:
        advice = _advice_on_gaps(estimator)
        if "contains NaN" in str(error) and advice is not None:
            raise ValueError(f"Input X contains NaN. {advice}") from None
        raise
    return _with_nan(X, missing_values)


def _advice_on_gaps(estimator):
    """Return what to do about NaN; None for what scikit-learn says about it."""
    if not hasattr(estimator, "missing_values"):
        return getattr(estimator, "_advice_on_gaps", None)
    if not getattr(estimator, "_takes_gaps", True):
        return NO_GAPS_IN_MIXED
    return _NO_GAPS.format(type(estimator).__name__)


def _without_na(X):
    """Replace NA by NaN in data frames with columns of objects; return others as is."""
    dtypes = getattr(X, "dtypes", None)
    if not hasattr(X, "isna") or not hasattr(X, "mask") or dtypes is None:
        return X
    is_object = any(str(dtype) == "object" for dtype in np.ravel(dtypes))
    return X.mask(X.isna(), np.nan) if is_object else X


def check_observed(estimator: BaseEstimator, X: Rows) -> None:
    """Refuse features without any observed value."""
    empty = np.empty(0, int)
    if not issparse(X) and np.isnan(X).any():
        empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        names = getattr(estimator, "feature_names_in_", None)
        shown = ", ".join(
            str(i) if names is None else f"{i} ({names[i]!r})" for i in empty[:5]
        )
        raise ValueError(
            f"No value of feature {shown} is observed: leave out "
            f"{len(empty)} of the {X.shape[1]} columns, which tell nothing."
        )


def is_nan(missing_values: float | None) -> bool:
    """Whether NaN stands for missing values."""
    return missing_values is not None and math.isnan(missing_values)


def _with_nan(X, missing_values):
    """Return rows with NaN for missing values, or the same rows if none is missing."""
    if missing_values is None:
        return X
    if issparse(X):
        values = X.data
        if missing_values == 0:
            raise ValueError(
                "missing_values=0, but X is sparse, and most of its values are 0: "
                "use X.toarray()."
            )
        if (np.isnan(values) | (values == missing_values)).any():
            raise ValueError(
                f"X is sparse and has missing values ({missing_values}): gaps are "
                "filled in dense rows only. Use X.toarray()."
            )
        return X
    if is_nan(missing_values):
        return X
    missing = X == missing_values
    return np.where(missing, np.array(np.nan, X.dtype), X) if missing.any() else X


def check_flag(name: str, value: object) -> None:
    """Refuse a value of an argument that is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r} must be True or False.")


def check_codes(estimator: BaseEstimator, Z: Any) -> Floats:
    """Return codes as an array of floats.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
    Z : object
    """
    if _is_matrix(Z) and _is_finite(Z):
        return Z
    Z = as_array(Z)
    refuse_other_kinds(Z)
    refuse_pictures(Z, _FLAT_CODES)
    checks = {"dtype": _floats_of(Z), "input_name": "X", "estimator": estimator}
    with sklearn.config_context(array_api_dispatch=False), naming_columns(Z):
        return check_array(Z, **checks)


def as_given(values: Floats, X: object) -> Any:
    """Return values as a tensor if ``X``, from which they were made, is a tensor.

    The tensor is on the device of ``X``. Without ``array_api_dispatch`` in
    scikit-learn's configuration, the values are returned as an array.
    """
    if isinstance(X, torch.Tensor) and sklearn.get_config()["array_api_dispatch"]:
        return torch.from_numpy(values).to(X.device)
    return values


def _floats_of(X):
    """Return the dtypes to accept: float32 if all columns of a data frame are float32.

    scikit-learn would convert float32 dtypes that numpy does not have to float64.
    """
    dtypes = column_dtypes(X)
    are_float32 = all(str(dtype).lower() in _FLOAT32 for dtype in dtypes)
    return np.float32 if dtypes and are_float32 else FLOATS


def _is_sound(estimator, X):
    """Whether `validate_data` would accept ``X`` as it is.

    The checks of `validate_data` take longer than encoding one row, and a tenth of the
    time of encoding many rows. It still checks anything unusual, so that users see
    scikit-learn's messages.
    """
    return (
        _is_matrix(X)
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and _is_finite(X)
    )


def _is_matrix(X):
    """Whether it is a non-empty 2D array in a dtype that is used for computations."""
    return (
        type(X) is np.ndarray
        and X.dtype.char in "fd"
        and X.dtype.isnative
        and X.ndim == 2
        and X.size > 0
    )


def _is_finite(X):
    """Whether all values are finite. False if this cannot be checked quickly."""
    if X.size <= _FEW_VALUES:
        flat = X.ravel()
        with np.errstate(all="ignore"):
            return math.isfinite(np.dot(flat, flat))  # takes half the time of a mask
    flags = X.flags  # torch cannot share other arrays
    if not (flags.writeable and flags.forc):
        return False
    with ThreadTuner():
        return math.isfinite(torch.from_numpy(X).sum())
