"""Warnings: what a fit tells whoever called it, at the line that did."""

import sys
import warnings

from sklearn.exceptions import ConvergenceWarning

__all__ = ["ValidationWarning", "warn"]

# Libraries whose lines nobody can change.
_LIBRARIES = ("skae", "sklearn", "torch", "joblib")
# Functions that fit many models, of scikit-learn and of the outlier detector: what is
# true of one says little.
_OF_MANY = ("_fit_and_score", "_parallel_build_estimators", "fit_member")


class ValidationWarning(ConvergenceWarning):
    """What validation has found: the result is PCA, or the rows can hardly tell.

    None is given where a search, a cross-validation or an ensemble fits many models.
    """


def warn(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn whoever called `fit`, from the first line that is not a library's."""
    level, frame, of_many = 1, sys._getframe(1), False
    while frame.f_back is not None and _is_of_a_library(frame):
        of_many |= frame.f_code.co_name in _OF_MANY
        level, frame = level + 1, frame.f_back
    if not (of_many and issubclass(category, ValidationWarning)):
        warnings.warn(message, category, stacklevel=level + 1)


def _is_of_a_library(frame):
    return frame.f_globals.get("__name__", "").split(".")[0] in _LIBRARIES


# Filters name the public place.
ValidationWarning.__module__ = "skae"
