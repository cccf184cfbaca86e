"""Warnings: shown at the user's line that called `fit`."""

import sys
import warnings

from sklearn.exceptions import ConvergenceWarning

__all__ = ["ValidationWarning", "warn"]

# Libraries whose lines are not the user's.
_LIBRARIES = ("skae", "sklearn", "torch", "joblib")
# Functions of scikit-learn and of the outlier detector that fit many models. There a
# warning about a single model is of little use.
_ENSEMBLE_FITS = ("_fit_and_score", "_parallel_build_estimators", "fit_member")


class ValidationWarning(ConvergenceWarning):
    """Warns that the result is PCA, or that held-out rows say little about new rows.

    It is not given within a search, a cross-validation or an ensemble, which fit many
    models.
    """


def warn(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Show a warning at the innermost line that does not belong to a library."""
    level, frame, of_many = 1, sys._getframe(1), False
    while frame.f_back is not None and _is_of_a_library(frame):
        of_many |= frame.f_code.co_name in _ENSEMBLE_FITS
        level, frame = level + 1, frame.f_back
    if not (of_many and issubclass(category, ValidationWarning)):
        warnings.warn(message, category, stacklevel=level + 1)


def _is_of_a_library(frame):
    return frame.f_globals.get("__name__", "").split(".")[0] in _LIBRARIES


# Warning filters use the public name.
ValidationWarning.__module__ = "skae"
