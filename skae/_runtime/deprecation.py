"""Deprecation: parameters that have a new name, and keep the old one for a while."""

from typing import Any

from .warning import warn

__all__ = ["DEPRECATED", "renamed_parameter"]

#: Default of a parameter's old name: nobody has set it.
DEPRECATED = "deprecated"


def renamed_parameter(owner: object, old: str, new: str, removed_in: str) -> Any:
    """Return the value of a parameter, and warn if its old name is set.

    Methods, functions and classes are deprecated by `sklearn.utils.deprecated`.

    Parameters
    ----------
    owner : estimator or part
        Object with both parameters. The old one has the default ``DEPRECATED``.
    old, new : str
        Names of the parameter.
    removed_in : str
        Version of skae that removes the old name.

    Returns
    -------
    value : object
        Value of the old name if it is set, otherwise value of the new name.
    """
    value = getattr(owner, old)
    if isinstance(value, str) and value == DEPRECATED:
        return getattr(owner, new)
    warn(
        f"The parameter {old} of {type(owner).__name__} is now called {new}. skae "
        f"{removed_in} will remove the old name: set {new}={value!r}.",
        FutureWarning,
    )
    return value
