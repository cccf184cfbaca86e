"""Conversion of containers of vectors to arrays, and errors that name the column.

Embeddings often have one vector per row, in a column of a data frame, in a Series or in
an array of objects. scikit-learn cannot convert these. For texts and dates its message
names the value, but not the column.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse

__all__ = [
    "as_array",
    "column_dtypes",
    "naming_columns",
    "refuse_other_kinds",
    "refuse_pictures",
]

# Containers of a single column, in pandas, polars and pyarrow.
_SERIES = {
    "Series",
    "ChunkedArray",
    "FixedShapeTensorArray",
    "FixedSizeListArray",
    "LargeListArray",
    "ListArray",
}
# Prefixes of the names of their dtypes for vectors, and "object", which may be
# anything.
_MAYBE_VECTORS = (
    "object",
    "list",
    "array",
    "fixed_size_list",
    "large_list",
    "extension<arrow.fixed_shape_tensor",
)


# Prefixes of names of dtypes that are not numbers. Conversions would turn some of them
# into numbers: times into nanoseconds since 1970, categories into their labels.
_TIMES = ("date", "time", "duration", "period")
_CATEGORIES = ("categor", "dictionary", "enum")
# Messages: what is wrong with a column, and what to do.
_COMPLEX = (
    "holds complex numbers. Complex data not supported: make two columns of it, of the "
    "real and the imaginary part."
)
_CATEGORY = (
    "holds categories. Encode it, as OneHotEncoder in a ColumnTransformer or skrub's "
    "TableVectorizer do; loss='auto' is made for such columns. Or leave it out."
)
_TIME = "holds times. Make numbers of it, as days since the first, or leave it out."


def as_array(X: Any) -> Any:
    """Convert tensors and containers of vectors to arrays. Return the rest as it is.

    A data frame is a container of vectors if that is its only column.

    Parameters
    ----------
    X : object

    Raises
    ------
    ValueError
        If the vectors have different lengths, or a data frame has no columns.
    """
    if isinstance(X, list | tuple) and X and isinstance(X[0], torch.Tensor):
        X = torch.stack(list(X))
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.double() if X.dtype == torch.bfloat16 else X).numpy()
    if type(X).__name__ == "LazyFrame":
        raise ValueError("X is a LazyFrame, which has no rows yet: pass X.collect().")
    if hasattr(X, "columns") and len(X.columns) == 0:
        raise ValueError(
            f"X is a data frame without columns, of shape {tuple(X.shape)}: 0 "
            "feature(s) where a minimum of 1 is required. Pass the columns to learn "
            "from."
        )
    if isinstance(X, np.ndarray):
        is_column = X.dtype == object and X.shape[1:] in ((), (1,))
        return _stack(X.reshape(-1), X) if is_column else X
    if type(X).__name__ in _SERIES:
        return _stack(np.asarray(X), X)
    dtypes = column_dtypes(X)
    if len(dtypes) == 1 and _may_hold_vectors(dtypes[0]):
        return _stack(np.asarray(_column(X, 0)), X)
    return X


def refuse_pictures(X: object, advice: str) -> None:
    """Refuse arrays, and nested lists, with more than two dimensions.

    Parameters
    ----------
    X : object
    advice : str
        What to do instead. "{row}" is replaced by the shape of a row, and "{flat}" by
        the shape of all rows after flattening.
    """
    shape = getattr(X, "shape", None)
    if isinstance(X, list | tuple) and X:
        shape = len(X), *_shape(X[0])
    if shape is not None and len(shape) > 2:
        row = tuple(shape[1:])
        flat = shape[0], int(np.prod(row))
        raise ValueError(
            f"Found array with dim {len(shape)}, of shape {tuple(shape)}, where "
            + advice.format(row=row, flat=flat)
        )


def refuse_other_kinds(X: object) -> None:
    """Refuse times, categories and complex numbers, naming the first such column.

    Conversions to numbers would accept some of these without an error.

    Parameters
    ----------
    X : object
    """
    dtypes = column_dtypes(X)
    kinds = {str(dtype).lower() for dtype in dtypes}
    if any(kind.startswith((*_TIMES, *_CATEGORIES, "complex")) for kind in kinds):
        raise ValueError(_culprit(X))
    dtype = getattr(X, "dtype", None)
    kind = getattr(dtype, "kind", None)
    if kind in ("m", "M", "c"):
        trouble = _COMPLEX if kind == "c" else _TIME
        raise ValueError(_culprit(X) or f"X, of dtype {dtype}, {trouble}")


@contextmanager
def naming_columns(X: object) -> Iterator[None]:
    """Name the column without numbers in the error of a failed conversion.

    Parameters
    ----------
    X : object
        Object that is converted.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        is_of_names = "feature names" in str(error)
        message = None if is_of_names else _culprit(X)
        if message is None:
            raise
        # numpy raises several types of errors for the same problem.
        kind = type(error) if type(error) in (TypeError, ValueError) else ValueError
        raise kind(message) from error


def column_dtypes(X: object) -> list[object]:
    """Return the dtypes of a data frame's columns, an empty list for anything else."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None and hasattr(X, "schema"):
        dtypes = getattr(X.schema, "types", None)  # of pyarrow
    return [] if dtypes is None or not np.iterable(dtypes) else list(dtypes)


def _column(X, i):
    if hasattr(X, "iloc"):
        return X.iloc[:, i]
    return X.to_series(i) if hasattr(X, "to_series") else X.column(i)


def _may_hold_vectors(dtype):
    return str(dtype).lower().startswith(_MAYBE_VECTORS)


def _stack(values, X):
    """Return vectors as rows, or ``X`` itself if the values are not vectors."""
    if values.ndim > 1:
        return values
    if values.dtype != object:
        return X
    rows = [_dense(value) for value in values]
    first = next((i for i, row in enumerate(rows) if row.ndim), None)
    if first is None:
        return X
    for i, row in enumerate(rows):
        if row.shape != rows[first].shape:
            raise ValueError(
                f"X holds vectors, but row {i} is of shape {row.shape} and row {first} "
                f"of shape {rows[first].shape}. All rows need the same numbers."
            )
    return np.stack(rows)


def _dense(row):
    """Return a row as an array. An image may be a vector of vectors."""
    row = np.asarray(row)
    is_nested = row.dtype == object and row.ndim and all(map(np.ndim, row))
    return np.array([np.asarray(part) for part in row]) if is_nested else row


def _shape(row):
    try:
        return np.shape(row)
    except ValueError:  # a ragged list
        return ()


def _culprit(X):
    """Return a message that names the first column without numbers, if there is one."""
    dtypes = column_dtypes(X)
    if dtypes:
        names = X.column_names if hasattr(X, "column_names") else X.columns
        columns = [np.asarray(_column(X, i)) for i in range(len(dtypes))]
    elif issparse(X):
        X = X.tocsc()
        names = range(X.shape[1])
        columns = [X[:, [i]].data for i in names]
        dtypes = [X.dtype] * len(columns)
    elif isinstance(X, np.ndarray | list | tuple):
        columns = _columns_of_objects(X)
        names, dtypes = range(len(columns)), [c.dtype for c in columns]
    else:
        return None
    named = list(zip(names, dtypes, columns, strict=True))
    for find in (_other_kind, _not_numbers, _times):
        for name, dtype, values in named:
            if trouble := find(values, name, dtype):
                return f"Column {name!r} of X, of dtype {dtype}, {trouble}"
    return None


def _columns_of_objects(X):
    try:
        X = np.array(X, dtype=object) if isinstance(X, list | tuple) else X
    except ValueError:  # ragged
        return []
    return list(X.T) if X.ndim == 2 and X.dtype.kind in "OUSmMc" else []


def _other_kind(values, name, dtype):
    """Return advice for categories and complex numbers, None for anything else."""
    if str(dtype).lower().startswith(_CATEGORIES):
        return _CATEGORY
    if values.dtype.kind in "cO" and any(map(_has_imaginary_part, values.flat)):
        return _COMPLEX
    return None


def _has_imaginary_part(value):
    return isinstance(value, complex | np.complexfloating) and value.imag != 0


def _not_numbers(values, name, dtype):
    """Return why values are not numbers, and what to do; None if they are numbers."""
    if values.ndim > 1 or values.dtype == object and any(map(_shape, values)):
        return (
            "holds vectors, beside other columns. Make a column of each of their "
            f"numbers, or take it by itself, as X[{name!r}] or in a ColumnTransformer."
        )
    try:
        values.astype(np.float64)
    except (TypeError, ValueError) as error:
        if hasattr(values.flat[0], "year"):
            return _TIME
        return (
            f"is not made of numbers: {error}. Encode it, as OneHotEncoder and "
            "OrdinalEncoder do, or leave it out; a ColumnTransformer does so by column."
        )
    return None


def _times(values, name, dtype):
    """Return advice for times, which some containers mix with numbers."""
    are_times = values.dtype.kind in "mM" or str(dtype).lower().startswith(_TIMES)
    return _TIME if are_times else None
