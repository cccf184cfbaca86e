"""Outputs: the columns of ``y`` as arrays, and which rows have a target."""

from collections.abc import Iterable
from numbers import Number
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from .._runtime.warning import warn
from .._typing import Bools

__all__ = [
    "Label",
    "columns",
    "join_targets",
    "known_rows",
    "missing",
    "refuse_lookalikes",
    "warn_of_unlabelled",
]

#: Value that means "no target", besides NaN and None. "auto" means no such value.
Label: TypeAlias = int | float | str | None

# The usual label of unlabelled rows in semi-supervised data sets.
_UNLABELLED = -1
# Texts into which numpy and pandas convert missing values.
_MISSING_AS_TEXT = ("nan", "None", "<NA>", "NaT")


def join_targets(
    parts: Iterable[ArrayLike | None], n_samples: Iterable[int]
) -> np.ndarray | None:
    """Concatenate the targets of parts. Rows of a part without targets get None.

    Parameters
    ----------
    parts : iterable of array-like or None
    n_samples : iterable of int
        Number of rows of each part.

    Returns
    -------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
    """
    given = [None if y is None else columns(y) for y in parts]
    widths = [len(part) for part in given if part is not None]
    if not widths:
        return None
    if len(set(widths)) > 1:
        raise ValueError(f"y has {widths[-1]} outputs, but {widths[0]} were expected.")
    width = widths[0]
    by_part = [
        [np.full(n, None, object)] * width if part is None else part
        for part, n in zip(given, n_samples, strict=True)
    ]
    outputs = []
    for output in zip(*by_part, strict=True):
        alike = len({part.dtype.kind for part in output}) == 1
        outputs.append(
            np.concatenate(output if alike else [p.astype(object) for p in output])
        )
    return outputs[0] if width == 1 else _side_by_side(outputs)


def _side_by_side(outputs):
    if len({column.dtype.kind for column in outputs}) == 1:
        return np.column_stack(outputs)
    return np.column_stack([column.astype(object) for column in outputs])


def columns(y: Any) -> list[np.ndarray]:
    """Return ``y`` as a list of arrays, one for each output."""
    if issparse(y):
        y = y.toarray()
    elif hasattr(y, "detach"):  # a tensor on any device
        y = y.detach().cpu().numpy()
    elif np.ma.isMaskedArray(y):
        is_masked, y = np.ma.getmaskarray(y), y.data.astype(object)
        y[is_masked] = None
    elif isinstance(y, list | tuple):
        y = np.array(y, dtype=object)  # otherwise numpy may convert all values to text
    y = np.asarray(y)
    if y.ndim not in (1, 2) or y.ndim == 2 and y.shape[1] == 0:
        raise ValueError(
            "y must be of shape (n_samples,) or (n_samples, n_outputs), got an array "
            f"of shape {y.shape}."
        )
    return [y] if y.ndim == 1 else list(y.T)


def missing(column: np.ndarray) -> Bools:
    """Return which rows are NaN, None or NA. ``missing_label`` does not count here."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind != "O":
        return np.zeros(len(column), bool)
    return np.array([_is_missing(value) for value in column], bool)


def _is_missing(value):
    # pandas' NA has no truth value.
    return value is None or type(value).__name__ == "NAType" or value != value


def known_rows(column: np.ndarray, missing_label: Label) -> Bools:
    """Return which rows have a target."""
    known = ~missing(column)
    if missing_label is None or missing_label == "auto":
        return known
    return known & ~_equal(column, missing_label)


def _equal(column, label):
    """Return which values equal a label. Numbers, texts and truth values all differ."""
    kind = _kind(label)
    if column.dtype.kind == "O":
        return np.array([_kind(v) == kind and v == label for v in column], bool)
    is_of_kind = len(column) > 0 and _kind(column[0]) == kind
    return column == label if is_of_kind else np.zeros(len(column), bool)


def _kind(label):
    if isinstance(label, bool | np.bool_):
        return "truth value"
    return "number" if isinstance(label, Number) else "text"


def refuse_lookalikes(column: np.ndarray, missing_label: Label) -> None:
    """Refuse values that look like ``missing_label``, but have another type.

    Parameters
    ----------
    column : ndarray of shape (n_known,)
        Values of the rows that have a target.
    missing_label : int, float, str or None
    """
    if missing_label is None or missing_label == "auto":
        return
    kind = _kind(missing_label)
    for value in _different(column):
        if _kind(value) == kind:
            if column.dtype.kind != "O":
                return  # all values have this type
        elif _looks_like(value, missing_label):
            remedy = f"Pass missing_label={value!r} if it means a row without a target."
            if _kind(value) == "truth value":
                remedy = "Mark rows without a target by None in an array of objects."
            raise ValueError(
                f"missing_label={missing_label!r} is a {kind}, but y contains "
                f"{value!r}, a {_kind(value)}, which is not it. {remedy}"
            )


def warn_of_unlabelled(column: np.ndarray) -> None:
    """Warn about classes that often mean a row without a target."""
    values = _different(column)
    texts = [value for value in values if value in _MISSING_AS_TEXT]
    ones = [value for value in values if _looks_like(value, _UNLABELLED)]
    if texts or ones and len(values) > 2:  # -1 and 1 are two classes
        label = (texts or ones)[0]
        warn(
            f"y contains {label!r}, which is taken for a class. Pass missing_label="
            f"{label!r} if it means a row without a label, or missing_label=None to "
            "leave out this warning.",
            UserWarning,
        )


def _different(column):
    """Return the distinct values, with their types: 1, 1.0 and True are three."""
    return list({(type(v), v): v for v in column.tolist()}.values())


def _looks_like(value, label):
    """Whether a value looks like a label, even if the types differ."""
    try:
        if float(value) == float(label):
            return True
    except (TypeError, ValueError):
        pass
    return str(value) == str(label)
