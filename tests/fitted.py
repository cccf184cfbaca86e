"""Fitted variants without a fit: those of the newest golden file, and a few more."""

import lzma
import pickle
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose
from sklearn.exceptions import InconsistentVersionWarning

from skae import AutoEncoderTransformer

from .conftest import rows
from .variants import InDomain

GOLDEN = sorted((Path(__file__).parent / "golden").glob("state_*.pkl.xz"))


@cache
def _newest():
    with lzma.open(GOLDEN[-1]) as file:
        return pickle.load(file)


def read(state):
    """Return what an older release wrote, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        return pickle.loads(state)


def fitted(name):
    """Return the variant of a name, fitted, and the rows that it was fitted to."""
    state, X, *_ = _newest()[name]
    model = read(state)
    if isinstance(model, InDomain):  # which maps rows into the domain of its loss
        X = model._validate(X).astype(X.dtype)
        model.__class__ = AutoEncoderTransformer
    return model, X


def near_and_far(model, X):
    """Return rows inside of the data, outside and far outside, all finite."""
    away = X - model.mean_
    scales = [1.0, 0.0, 10.0, 1e3, 1e9]
    return np.vstack([model.mean_ + scale * away for scale in scales])


def assert_near(found, expected, tolerance):
    """Compare, each row in units of its largest value, or of the first row's."""
    assert found.dtype == expected.dtype and np.isfinite(found).all()
    scale = np.abs(expected).max(axis=1, keepdims=True)
    scale = np.maximum(scale, scale[0])
    assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


def whitened(**params):
    """Return one with whitening and constant features, and its rows."""
    X = rows()
    X[:, [2, 7]] = [0.1, -3e5]
    params = {"max_iter": 20, "early_stopping": False, "random_state": 0} | params
    return AutoEncoderTransformer(3, whiten=True, **params).fit(X), X[:7]
