"""Versions of the fitted state: newer ones are refused, older ones are migrated.

The fitted state of an estimator is a dict of numpy arrays and plain values. Its keys
are a file format: each version of skae can read what earlier versions have written. A
change of keys or of their meaning raises `STATE_VERSION` by one, adds a migration, and
adds a golden file of the previous version (``tests/golden``).

As in scikit-learn, there is a warning if another release wrote the state. States of
older releases are read, and tests check that the golden files give the same results.
States of newer releases are read if their format is known, but no test checks them.
"""

import re
import warnings
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from .._parts.column_losses import loss_parts
from .._version import __version__
from .fitted_state import FittedState, damaged

__all__ = ["STATE_VERSION", "from_pickle", "to_pickle"]

STATE_VERSION = 2

_KEY = "_state_version"
# Key of the release of skae that wrote the state.
_RELEASE = "_skae_version"
_BEFORE_RELEASES = "0.0"
# Names of a network's buffers before version 2.
_RADIUS = re.compile(r"^((?:en|de)coder\.)radius$")


def _name_the_version(state):
    """Migrate from version 0 to 1: states have a version."""
    return state


def _standard_names(state):
    """Migrate from 1 to 2: new names of code transform and radii; columns of losses."""
    state = dict(state)
    if "_frame" in state:
        state["_code_transform"] = state.pop("_frame")
    if "_weights" in state:
        weights = state["_weights"].items()
        state["_weights"] = {_RADIUS.sub(r"\1trust_radius", k): w for k, w in weights}
        state["_loss_parts"] = loss_parts(state.get("loss", "squared_error"))
    memory = state.get("_memory") or {}
    if "moments" in memory:
        moments = dict(memory["moments"])
        moments["n_samples"] = moments.pop("n_rows")
        state["_memory"] = {**memory, "moments": moments}
    return state


# Element i migrates from version i to i + 1.
_MIGRATIONS = [_name_the_version, _standard_names]


def to_pickle(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with its version.

    Parameters
    ----------
    state : dict
        Attributes of an estimator by name.

    Returns
    -------
    state : dict
    """
    return {**state, _KEY: STATE_VERSION, _RELEASE: __version__}


def from_pickle(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Migrate a state of any older version to this version.

    Parameters
    ----------
    state : dict
        The result of `to_pickle`, in this or an older version of skae.
    name : str
        Name of the estimator, for messages.

    Returns
    -------
    state : dict
        Attributes of an estimator by name.

    Raises
    ------
    ValueError
        If a newer version of skae wrote it in a format that is not known here, or if
        it is damaged.

    Warns
    -----
    InconsistentVersionWarning
        If another release of skae wrote it.
    """
    state = dict(state)
    version, release = state.pop(_KEY, 0), state.pop(_RELEASE, _BEFORE_RELEASES)
    if type(version) is not int or version < 0:
        raise damaged(f"the version of its state is {version!r}")
    if version > STATE_VERSION:
        raise ValueError(
            f"This {name} was written by a newer version of skae: its state has "
            f"version {version}, and this skae reads up to {STATE_VERSION}. "
            "Update skae to load it."
        )
    if release != __version__:
        warnings.warn(OtherReleaseWarning(name, release), stacklevel=3)
    for migrate in _MIGRATIONS[version:]:
        state = migrate(state)
    if "_weights" in state:
        FittedState.of(state)  # raises an error if something is missing
    return state


class OtherReleaseWarning(InconsistentVersionWarning):
    """scikit-learn's warning, so that filters for it work, with skae's own text."""

    def __init__(self, name: str, release: str) -> None:
        super().__init__(
            estimator_name=name,
            current_sklearn_version=__version__,
            original_sklearn_version=release,
        )

    def __str__(self) -> str:
        release = self.original_sklearn_version
        written = f"This {self.estimator_name} was written by skae {release}, which is"
        if _numbers(release) > _numbers(__version__):
            advice = "It may not give the same: update skae."
            return f"{written} newer than this, {__version__}. {advice}"
        advice = (
            "It is read, and gives the same up to rounding. Save it again to update it."
        )
        return f"{written} older than this, {__version__}. {advice}"


def _numbers(release):
    """Return the numbers of a release, which can be compared."""
    return tuple(int(n) for n in re.findall(r"[0-9]+", release)[:3])
