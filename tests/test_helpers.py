"""Helpers: what is fitted on the way is nobody's fit, as far as others can see."""

import warnings
from functools import wraps

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from skae import AutoEncoderTransformer, Mixture, ValidationWarning
from skae._compat import CallbackSupportMixin
from skae._runtime.helpers import helper

pytestmark = pytest.mark.usefixtures("few_trees")
FEW = {"max_iter": 2, "random_state": 0}
needs_callbacks = pytest.mark.skipif(
    not hasattr(CallbackSupportMixin, "set_callbacks"),
    reason="scikit-learn has callbacks from 1.9 on",
)


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


class Recorder:
    """A callback that writes down whose tasks it is told of."""

    max_propagation_depth = None

    def __init__(self):
        self.names = []

    def setup(self, estimator, context):
        self.names.append(context.estimator_name)

    teardown = setup

    def on_fit_task_begin(self, estimator, context):
        self.names.append(context.estimator_name)

    on_fit_task_end = on_fit_task_begin


@needs_callbacks
def test_callbacks_are_told_of_no_helper(X):
    """Neither those of a pipeline nor the estimator's own."""
    scaler, recorder = StandardScaler(), Recorder()
    models = list(fits(X))[2:4]
    for model, y in models:
        make_pipeline(scaler, model).set_callbacks(recorder).fit(X, y)
        model.set_callbacks(recorder).fit(X, y).partial_fit(X, y)
    names = {"Pipeline", "StandardScaler", "AutoEncoderTransformer"}
    assert {"AutoEncoderTransformer"} <= set(recorder.names) <= names
    # There is a pipeline among the helpers, too: no task is one of its.
    alone = Recorder()
    make_pipeline(scaler, AutoEncoderTransformer(**FEW)).set_callbacks(alone).fit(X)
    assert recorder.names.count("Pipeline") == len(models) * alone.names.count(
        "Pipeline"
    )


@needs_callbacks
def test_callbacks_of_the_users_own_teacher_are_told(X):
    recorder, y = Recorder(), np.arange(len(X)) % 3.0
    y[::3] = np.nan
    teacher = LogisticRegression(max_iter=1000).set_callbacks(recorder)
    AutoEncoderTransformer(supervision=1.0, teacher=teacher, **FEW).fit(X, y)
    assert set(recorder.names) == {"LogisticRegression"}


@pytest.mark.parametrize("action", ["error", "always"])
def test_warnings_of_helpers_are_nobodys(X, action):
    """Mixtures and linear models that have not converged are none of the user's."""
    y = np.where(np.arange(len(X)) % 2, np.arange(len(X)) % 7, np.nan)
    params = {"supervision": 1.0, "teacher": "auto", "latent": Mixture(10), **FEW}
    model = AutoEncoderTransformer(4, target_type="multiclass", **params)
    expected = clone(model).fit_transform(1e3 * X, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        warnings.simplefilter("ignore", ValidationWarning)
        filters = list(warnings.filters)
        assert_array_equal(model.fit_transform(1e3 * X, y), expected)
        assert warnings.filters == filters
    assert [str(w.message) for w in caught] == []


@pytest.mark.parametrize(
    "config", [{"enable_metadata_routing": True}, {"transform_output": "pandas"}]
)
def test_the_configuration_reaches_no_helper(X, config, logged):
    if "transform_output" in config:
        pytest.importorskip("pandas")
    for model, y in list(fits(X))[2:4]:
        expected = clone(model).fit(X, y).transform(X)
        with sklearn.config_context(**config):
            found = clone(model).fit(X, y).transform(X)
        assert_array_equal(np.asarray(found), expected)
    assert logged == []


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
