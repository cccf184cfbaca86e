"""Columns: positions of columns given by names, selectors or masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import Ints

__all__ = ["column_names", "find_columns", "spell"]


def column_names(X: object) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns, (n_features,), or None.

    As in scikit-learn, names count only if all are strings.
    """
    names = getattr(X, "column_names", None)  # of pyarrow
    names = getattr(X, "columns", None) if names is None else names
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def spell(column: int, names: Sequence[str] | None) -> str:
    """Return how messages name a column."""
    return repr(int(column) if names is None else str(names[column]))


def find_columns(columns: Any, X: object, n_features: int) -> Ints:
    """Return positions of columns, (n_columns,), in the given order.

    Parameters
    ----------
    columns : str, int, array-like of str, int or bool, slice or callable
        As in `sklearn.compose.ColumnTransformer`; a callable is called with ``X``.
    X : object
        The rows as the user gave them.
    n_features : int

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if callable(columns):
        columns = columns(X)
    names = column_names(X)
    if isinstance(columns, slice):
        start = _end(columns.start, names, n_features)
        stop = _end(columns.stop, names, n_features)
        if isinstance(columns.stop, str):  # slices of names include the end
            stop += 1
        return np.arange(n_features)[slice(start, stop, columns.step)]
    found = np.asarray(columns)
    if found.size == 0:
        return np.empty(0, int)
    if found.dtype == bool:
        if found.shape != (n_features,):
            raise ValueError(
                f"A mask of columns must have {n_features} values, one for each, got "
                f"an array of shape {found.shape}."
            )
        return np.flatnonzero(found)
    places = found.reshape(-1).tolist()
    return np.array([_position(c, names, n_features) for c in places])


def _end(end, names, n_features):
    return _position(end, names, n_features) if isinstance(end, str) else end


def _position(column, names, n_features):
    """Return the position of a column, from its name or a number (may be negative)."""
    if isinstance(column, str):
        if names is None:
            raise ValueError(
                f"Column {column!r} is named, but X has no names that are strings: "
                "pass a data frame, such as set_output(transform='pandas') of the step "
                "before makes, or give positions."
            )
        if column not in names:
            raise ValueError(
                f"X has no column {column!r}. Its columns are {_some(names)}."
            )
        return names.index(column)
    if isinstance(column, bool) or column != int(column):
        raise ValueError(f"Columns are names or whole numbers, got {column!r}.")
    if not -n_features <= column < n_features:
        raise ValueError(f"X has {n_features} columns, and none at {int(column)}.")
    return int(column) % n_features


def _some(names):
    shown = ", ".join(map(repr, names[:8]))
    return shown + (", ..." if len(names) > 8 else "")
