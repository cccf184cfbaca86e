"""Sampling: which rows each member is fitted to, and which members have seen a row.

A row is scored only by members that were not fitted to it, because a member that was
fitted to an outlier may have learnt it. So training rows have to be recognised. This is
done with a hash of 64 bits.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .._data.scaling import dense_rows, row_slices
from .._typing import Bools, Ints, Rows

__all__ = ["left_out_rows", "remember", "scoring_members"]

# Constants of the finalizer of splitmix64, and its step, 2**64 over the golden ratio.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def left_out_rows(
    n_rows: int, n_left_out: int, n_members: int, rng: np.random.RandomState
) -> Iterator[Ints]:
    """Yield the rows that each member is not fitted to, like hands dealt from a deck.

    Each row is left out once before any row is left out by a second member.

    Parameters
    ----------
    n_rows, n_left_out, n_members : int
    rng : RandomState
    """
    deck = np.empty(0, dtype=int)
    for _ in range(n_members):
        hand, deck = deck[:n_left_out], deck[n_left_out:]
        if len(hand) < n_left_out:
            fresh = rng.permutation(n_rows)
            others = fresh[~np.isin(fresh, hand)][: n_left_out - len(hand)]
            deck = fresh[~np.isin(fresh, others)]
            hand = np.concatenate([hand, others])
        yield hand


def remember(X: Rows, fitted: Sequence[Ints]) -> tuple[Ints, Bools]:
    """Return hashes of the rows that members were fitted to, for `scoring_members`.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
    fitted : list of ndarray of int
        The rows that each member was fitted to.

    Returns
    -------
    keys : ndarray of uint64 of shape (n_seen,)
        A hash of each row that any member has seen, sorted. Equal rows have one hash.
    seen : ndarray of bool of shape (n_seen, n_members)
    """
    rows = np.unique(np.concatenate(fitted))
    parts = [rows[part] for part in row_slices(len(rows), X.shape[1])]
    keys = np.concatenate([_row_keys(dense_rows(X, part)) for part in parts])
    keys, place = np.unique(keys, return_inverse=True)
    seen = np.zeros((len(keys), len(fitted)), dtype=bool)
    for member, own in enumerate(fitted):
        seen[place[np.searchsorted(rows, own)], member] = True
    return keys, seen


def scoring_members(X: Rows, keys: Ints, seen: Bools) -> Bools:
    """Return which members score each row, (n_rows, n_members) of bool.

    These are the members that have not seen the row, or all members if all have.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    keys, seen : ndarray
        Results of `remember`.
    """
    asked = _row_keys(X)
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    has_seen = seen[place] & (keys[place] == asked)[:, None]
    return ~has_seen | has_seen.all(axis=1, keepdims=True)


def _row_keys(X):
    """Return a hash of each row, (n_rows,) of uint64."""
    # Adding zero turns -0.0 into 0.0.
    bits = np.ascontiguousarray(X + 0.0, dtype=np.float64).view(np.uint64)
    columns = np.arange(1, X.shape[1] + 1, dtype=np.uint64) * _STEP
    return _mixed(_mixed(bits ^ _mixed(columns)).sum(axis=1, dtype=np.uint64))


def _mixed(bits):
    """Return a one-to-one mapping of 64 bits in which each bit depends on all bits."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        bits = (bits ^ (bits >> np.uint64(shift))) * factor
    return bits ^ (bits >> np.uint64(31))
