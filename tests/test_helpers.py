"""Helpers: what is fitted on the way is nobody's fit, as far as others can see."""

from functools import wraps

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from skae import AutoEncoderTransformer, Mixture
from skae._runtime.helpers import helper

FEW = {"max_iter": 2, "random_state": 0}


@pytest.fixture
def logged(monkeypatch):
    """Put code around each `fit` of scikit-learn, as libraries that log do."""
    names = []

    def around(cls, fit):
        @wraps(fit)
        def logging_fit(self, *args, **kwargs):
            names.append(cls.__name__)
            return fit(self, *args, **kwargs)

        return logging_fit

    models = [
        cls
        for _, cls in all_estimators()
        if not cls.__module__.startswith("sklearn.preprocessing")  # as MLflow does
    ]
    for cls in models:
        for method in ("fit", "fit_transform", "fit_predict"):
            if hasattr(cls, method):
                monkeypatch.setattr(cls, method, around(cls, getattr(cls, method)))
    return names


def fits(X):
    """Yield fits of all that have helpers."""
    classes = np.arange(len(X)) % 3.0
    classes[::3] = np.nan
    numbers = X[:, 0].copy()
    numbers[::3] = np.nan
    supervised = {"supervision": 1.0, **FEW}
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    yield AutoEncoderTransformer(**FEW), None
    yield AutoEncoderTransformer(0.5, **FEW), None
    yield AutoEncoderTransformer(latent=Mixture(3), **FEW), None
    yield AutoEncoderTransformer(teacher="auto", **supervised), classes
    yield AutoEncoderTransformer(teacher="auto", **supervised), numbers
    yield AutoEncoderTransformer(teacher=scaled, **supervised), classes


def test_no_fit_inside_is_seen(X, logged):
    PCA(2).fit(X)
    assert logged == ["PCA"]
    for model, y in fits(X):
        model.fit(X, y).partial_fit(X, y)
        model.transform(X)
        assert logged == ["PCA"], model


def test_the_users_own_objects_stay_as_they_are(X, logged):
    teacher = make_pipeline(StandardScaler(), LogisticRegression())
    y = np.arange(len(X)) % 3.0
    y[::3] = np.nan
    AutoEncoderTransformer(teacher=teacher, supervision=1.0, **FEW).fit(X, y)
    assert type(teacher[1]) is LogisticRegression
    teacher.fit(X, np.arange(len(X)) % 2)
    assert "LogisticRegression" in logged


def test_a_helper_is_what_it_is_where_nobody_interferes(X):
    pca = PCA(2)
    assert helper(pca) is pca
    assert type(pca) is PCA


def test_a_helper_has_the_fit_of_scikit_learn(X, logged):
    found = helper(PCA(2))
    assert isinstance(found, PCA) and repr(found) == "PCA(n_components=2)"
    assert_array_equal(found.fit(X).components_, PCA(2).fit(X).components_)
    with pytest.raises(ValueError, match="'n_components' parameter of PCA must be"):
        helper(PCA("a")).fit(X)
