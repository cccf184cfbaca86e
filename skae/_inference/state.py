"""The version of what is fitted: newer ones are refused, older ones are brought up.

The fitted state of an estimator is a dict of numpy arrays and plain values. Its keys
are a format: what one version of skae wrote to a disk, each later one reads. A change
of keys or of their meaning raises `STATE_VERSION` by one, adds a migration, and adds a
golden file of the version before (``tests/golden``).
"""

__all__ = ["STATE_VERSION", "from_pickle", "to_pickle"]

STATE_VERSION = 1

_KEY = "_state_version"


def _name_the_version(state):
    """0 to 1: states have a version."""
    return state


# From version i to i + 1, for each i.
_MIGRATIONS = [_name_the_version]


def to_pickle(state):
    """Return a state with its version.

    Parameters
    ----------
    state : dict
        Attributes of an estimator by name.

    Returns
    -------
    state : dict
    """
    return {**state, _KEY: STATE_VERSION}


def from_pickle(state):
    """Return a state of any older version as one of this.

    Parameters
    ----------
    state : dict
        What `to_pickle` returned, now or in an older version of skae.

    Returns
    -------
    state : dict
        Attributes of an estimator by name.

    Raises
    ------
    ValueError
        If a newer version of skae wrote it.
    """
    state = dict(state)
    version = state.pop(_KEY, 0)
    if version > STATE_VERSION:
        raise ValueError(
            f"This estimator was written by a newer version of skae: its state has "
            f"version {version}, and this skae reads up to {STATE_VERSION}. "
            "Update skae to load it."
        )
    for migrate in _MIGRATIONS[version:]:
        state = migrate(state)
    return state
