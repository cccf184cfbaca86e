"""Contest: which regimes are tried, and which goes on."""

import copy
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.datasets import make_circles

from skae import AutoEncoderTransformer, Conv, Dense, Gaussian
from skae._fitting.contest import Regime, regimes
from skae._inference.fitted_state import FittedState
from skae._parts.slots import check_slots
from skae._training.objective import Objective

from .fitted import fitted
from .variants import parameters

X = np.random.default_rng(0).normal(size=(60, 16))


def tried(X=X, link="identity", previous=None, validates=True, has_target=False, **of):
    params = check_slots(parameters(**of), X.shape[1])
    return [
        (regime.init, regime.link)
        for regime in regimes(params, link, X, previous, validates, has_target)
    ]


def test_the_plain_start_competes_with_the_anchored_one():
    assert tried() == [("auto", "identity"), ("random", "identity")]
    assert tried(linearity=0.0) == tried()


def test_values_between_0_and_1_may_have_a_logistic_output():
    assert ("auto", "logistic") in tried(abs(X) / abs(X).max())
    pictures = X.clip(0, 1)
    assert tried(pictures)[0] == ("auto", "logistic")
    before = replace(FittedState.of(vars(fitted("default")[0])), link="logistic")
    assert tried(pictures, previous=before) == [("auto", "logistic")]


@pytest.mark.parametrize(
    "params",
    [
        {"init": "pca"},
        {"init": "random"},
        {"linearity": 10.0},
        {"ordered": True},
        {"latent": Gaussian()},
        {"penalty": "sparsity"},
        {"network": Conv()},
        {"network": Dense(tied=True)},
        {"max_time": 1.0},
        {"validates": False},
        {"has_target": True},
    ],
)
def test_what_is_said_is_not_tried(params):
    assert len(tried(**params)) == 1
    assert Regime("identity").init == "auto"


def test_a_plateau_of_the_anchored_start_is_left():
    """A circle in one code: PCA explains half of it, and is where that start stays."""
    X = make_circles(300, factor=0.99, noise=0.01, random_state=0)[0]
    model = AutoEncoderTransformer(1, random_state=0).fit(X)
    assert model._architecture["init"] == "faded"
    assert model.score(X) > 0.9 > 0.6 > model.baseline_score_
    Z = model.transform(X)
    assert abs(Z.mean()) < 1e-3
    again = copy.deepcopy(model).set_params(warm_start=True, max_iter=5).fit(X)
    assert again.score(X) > 0.9
    for factor, either in product((3, 10, 30, 100, 300, 1000), (model, again)):
        far = factor * X
        R = either.inverse_transform(either.transform(far))
        # PCA leaves half of the squares.
        assert np.square(R - far).mean() < 1.2 * 0.5 * np.square(far).mean()


def test_plain_networks_learn_from_rows_moved_outward_unless_someone_asks_for_them(
    monkeypatch,
):
    radii = []

    class Noting(Objective):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            radii.append(0.0 if self.outliers is None else self.outliers.radius)

    monkeypatch.setattr("skae._fitting.session.Objective", Noting)
    farthest = 10 / np.sqrt(np.square(X - X.mean(axis=0)).mean())
    farthest *= np.linalg.norm(X - X.mean(axis=0), axis=1).max()
    AutoEncoderTransformer(2, max_iter=1).fit(X, X_val=X)
    assert radii[:2] == pytest.approx([10 * farthest, farthest])
    radii.clear()
    AutoEncoderTransformer(2, max_iter=1, init="random").fit(X, X_val=X)
    assert radii[0] == 0


def test_a_fit_that_ends_as_pca_ends_soon():
    X = np.random.default_rng(0).normal(size=(60, 30))
    model = AutoEncoderTransformer(3, random_state=0).fit(X)
    assert model.stop_reason_ == "pca"
    assert model.n_iter_ <= 100
