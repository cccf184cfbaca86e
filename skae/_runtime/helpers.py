"""Helpers: estimators of scikit-learn that are fitted on the way, as PCA is.

Libraries that log experiments put their own code around `fit` of scikit-learn's
classes, and would take a helper for the model of their user. So helpers are fitted by
what scikit-learn has written, whatever stands around it.
"""

from functools import lru_cache
from typing import Any, TypeVar

from sklearn.base import BaseEstimator

__all__ = ["helper"]

Estimator = TypeVar("Estimator", bound=BaseEstimator)

_FITS = ("fit", "fit_transform", "fit_predict", "partial_fit")


def helper(estimator: Estimator) -> Estimator:
    """Let an estimator, and those among its parameters, be fitted by nobody else.

    Parameters
    ----------
    estimator : estimator
        One's own, or a clone.

    Returns
    -------
    estimator : estimator
        The same one, whose class has the methods that were there before others put
        their own around them, if any did.
    """
    for part in (estimator, *estimator.get_params().values()):
        if hasattr(part, "get_params") and not isinstance(part, type):
            cls: Any = type(part)
            part.__class__ = _unwrapped(cls, *_wrapped_methods(cls))
    return estimator


def _wrapped_methods(cls):
    """Return the names of methods to fit that somebody else stands around."""
    names = [name for name in _FITS if hasattr(cls, name)]
    return [name for name in names if _own(cls, name) is not getattr(cls, name)]


@lru_cache(64)
def _unwrapped(cls, *names):
    """Return a subclass with methods as they were written, or the class itself."""
    if not names:
        return cls
    methods = {name: _own(cls, name) for name in names}
    return type(cls.__name__, (cls,), methods | {"__module__": cls.__module__})


def _own(cls, name):
    """Return a method as it was written in the package of the class that defines it."""
    definer = next(c for c in cls.__mro__ if name in vars(c))
    function, package = getattr(cls, name), _package(definer.__module__)
    while hasattr(function, "__wrapped__") and _written_in(function) != package:
        function = function.__wrapped__
    return function


def _written_in(function):
    """Return the package a function is written in, whatever ``__module__`` says."""
    return _package(getattr(function, "__globals__", {}).get("__name__", ""))


def _package(module):
    return module.partition(".")[0]
