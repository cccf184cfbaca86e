"""Checks of arguments: errors name the value and what it may be."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from .._typing import Ints

__all__ = ["check_methods", "check_number", "check_numbers", "check_quantile"]


def check_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a whole number from ``low`` to ``high``, or to any number if it is None.

    Raises
    ------
    ValueError
        If it is another value.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        end = "upwards" if high is None else f"to {high}"
        raise ValueError(f"{name}={value!r} must be a whole number from {low} {end}.")
    return int(value)


def check_numbers(name: str, values: Any, high: int) -> Ints:
    """Return a list of whole numbers from 0 to ``high`` as an array.

    Raises
    ------
    ValueError
        If it is no list, if it is empty, or if a number is not in the range.
    """
    numbers = np.asarray(values)
    is_list = numbers.ndim == 1 and numbers.size and numbers.dtype.kind in "iu"
    if not is_list or numbers.min() < 0 or numbers.max() > high:
        raise ValueError(
            f"{name}={_short(values)} must be a list of whole numbers from 0 to "
            f"{high}, such as [0] or [{high}]."
        )
    return numbers


def check_quantile(name: str, value: Any) -> None:
    """Refuse what is neither None nor a number between 0 and 1.

    Raises
    ------
    ValueError
        If it is another value.
    """
    if value is None:
        return
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < 1:
        raise ValueError(
            f"{name}={value!r} must be a number between 0 and 1, the quantile of the "
            "errors above which a row is unusual; or None, for no threshold."
        )


def check_methods(estimator: BaseEstimator, *methods: str) -> None:
    """Refuse an estimator that lacks a method.

    Raises
    ------
    TypeError
        If there is no such method.
    """
    kind = "transformer with inverse_transform"
    if "inverse_transform" not in methods:
        kind = "transformer"
    for method in methods:
        if not hasattr(estimator, method):
            raise TypeError(
                f"{type(estimator).__name__} has no {method}: this picture needs a "
                f"{kind}, or a Pipeline that ends in one. If the pipeline ends in "
                "another step, pass its first steps: pipeline[:-1]."
            )


def _short(values):
    """Return a value as a short text."""
    text = repr(values)
    return text if len(text) <= 60 else text[:57] + "..."
