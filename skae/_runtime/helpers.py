"""Helpers: scikit-learn estimators, such as PCA, that skae fits internally.

Libraries that log experiments wrap `fit` of scikit-learn's classes. They would log a
helper as if it were the user's model. So helpers are fitted by scikit-learn's original
methods, without such wrappers.
"""

from functools import lru_cache
from typing import Any, TypeVar

from sklearn.base import BaseEstimator

__all__ = ["helper"]

Estimator = TypeVar("Estimator", bound=BaseEstimator)

_FITS = ("fit", "fit_transform", "fit_predict", "partial_fit")


def helper(estimator: Estimator) -> Estimator:
    """Let an estimator, and estimators in its parameters, be fitted without wrappers.

    Parameters
    ----------
    estimator : estimator
        An estimator that skae made, or a clone.

    Returns
    -------
    estimator : estimator
        The same object. If methods of its class were wrapped, its class is now a
        subclass with the original methods.
    """
    for part in (estimator, *estimator.get_params().values()):
        if hasattr(part, "get_params") and not isinstance(part, type):
            cls: Any = type(part)
            part.__class__ = _unwrapped(cls, *_wrapped_methods(cls))
    return estimator


def _wrapped_methods(cls):
    """Return the names of methods for fitting that another library has wrapped."""
    names = [name for name in _FITS if hasattr(cls, name)]
    return [name for name in names if _own(cls, name) is not getattr(cls, name)]


@lru_cache(64)
def _unwrapped(cls, *names):
    """Return a subclass with the original methods, or the class itself."""
    if not names:
        return cls
    methods = {name: _own(cls, name) for name in names}
    return type(cls.__name__, (cls,), methods | {"__module__": cls.__module__})


def _own(cls, name):
    """Return the original method, from the package of the class that defines it."""
    definer = next(c for c in cls.__mro__ if name in vars(c))
    function, package = getattr(cls, name), _package(definer.__module__)
    while hasattr(function, "__wrapped__") and _written_in(function) != package:
        function = function.__wrapped__
    return function


def _written_in(function):
    """Return the package a function was written in, even if ``__module__`` differs."""
    return _package(getattr(function, "__globals__", {}).get("__name__", ""))


def _package(module):
    return module.partition(".")[0]
