"""Features: networks are trained without the constant ones, and nothing is lost."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import minmax_scale

from skae import AutoEncoderTransformer, Dense
from skae._data.scaling import Scaling
from skae._data.targets import no_values
from skae._fitting import session
from skae._fitting.dataset import Dataset
from skae._fitting.features import idle_features, learnt_features, narrow, widen
from skae._nn.autoencoder import initialise
from skae._parts.losses import LOSSES
from skae._parts.networks import Architecture
from skae._parts.slots import check_slots

from .variants import parameters

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")

VARYING = np.r_[1:17, 30:46]  # of 64, the others constant


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = np.tile(np.arange(64.0), (300, 1))
    t = rng.uniform(-2, 2, (300, 1))
    X[:, VARYING] = np.sin(t + np.linspace(0, 5, 32)) + 0.1 * rng.normal(size=(300, 32))
    return X


@pytest.fixture
def widths(monkeypatch):
    """Widths of the networks that are trained."""
    seen = []

    class Seen(session.Objective):
        def __init__(self, network, *args, **kwargs):
            seen.append(network.n_features)
            super().__init__(network, *args, **kwargs)

    monkeypatch.setattr(session, "Objective", Seen)
    return seen


class TestLearnt:
    @pytest.mark.parametrize(
        ("n_features", "n_varying", "n_components", "n_learnt"),
        [
            (784, 717, 30, 720),
            (784, 720, 30, 720),
            (784, 784, 30, 784),
            (64, 0, 2, 16),
            (64, 5, 40, 48),
            (10, 3, 2, 10),
            (20, 3, 2, 16),
        ],
    )
    def test_are_all_that_vary_and_a_few_more(
        self, n_features, n_varying, n_components, n_learnt
    ):
        idle = np.ones(n_features, bool)
        varying = np.random.default_rng(0).permutation(n_features)[:n_varying]
        idle[varying] = False
        learnt = learnt_features(idle, n_components)
        assert len(learnt) == n_learnt
        assert np.isin(varying, learnt).all()
        assert (np.diff(learnt) > 0).all()


@pytest.mark.parametrize("hidden", [(), (7, 5)])
@pytest.mark.parametrize(
    ("init", "network"),
    [
        ("pca", Dense()),
        ("pca", Dense(layer_norm=True)),
        ("random", Dense(layer_norm=True)),
        ("random", Dense(tied=True)),
    ],
    ids=str,
)
def test_a_wide_network_does_what_the_narrow_one_does(init, hidden, network):
    dense = ("Dense", network.get_params()), hidden, "silu"
    architecture = Architecture(9, 3, 3, *dense, init)
    features = np.array([0, 4, 5, 8])
    small = replace(architecture, n_features=4).build().eval()
    initialise(small, np.arange(4.0), np.random.default_rng(0))
    with torch.no_grad():
        for value in small.state_dict().values():
            value.add_(torch.rand(value.shape))  # layers that start at zero, too
    wide = widen(small, architecture, features)
    x = torch.randn(6, 9)
    with torch.no_grad():
        torch.testing.assert_close(wide.encode(x), small.encode(x[:, features]))
        expected = torch.zeros(6, 9)
        expected[:, features] = small(x[:, features])
        torch.testing.assert_close(wide(x), expected)
    back = narrow(wide, architecture, features).state_dict()
    for name, value in small.state_dict().items():
        assert_array_equal(back[name], value)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"network": Dense(tied=True)},
        {"network": Dense(layer_norm=True, dropout=0.1)},
        {"ordered": True},
        {"latent": "gaussian"},
        {"latent": "mixture"},
        {"output_activation": "tanh"},
        {"loss": "huber"},
    ],
    ids=str,
)
def test_fits_see_what_varies_and_keep_the_shape(X, widths, params):
    model = AutoEncoderTransformer(2, max_iter=3, random_state=0, **params).fit(X)
    assert set(widths) == {32}
    assert model._architecture["n_features"] == 64
    back = model.inverse_transform(model.transform(X))
    constant = np.setdiff1d(np.arange(64), VARYING)
    assert_array_equal(back[:, constant], X[:, constant])


@pytest.mark.parametrize(
    "params",
    [
        {"corruption": "masking"},
        {"penalty": "sparsity"},
        {"loss": lambda output, target: (output - target).square().mean(dim=1)},
        {"output_activation": "softmax"},
    ],
    ids=["corruption", "penalty", "loss", "softmax"],
)
def test_whatever_may_look_at_each_feature_sees_all(X, widths, params):
    AutoEncoderTransformer(2, max_iter=2, random_state=0, **params).fit(X)
    assert set(widths) == {64}


@pytest.mark.parametrize(("constant", "width"), [(0.0, 32), (1.0, 32), (0.5, 64)])
def test_cross_entropy_of_what_is_between_the_bounds_is_learnt(
    X, widths, constant, width
):
    pictures = np.full(X.shape, constant)
    pictures[:, VARYING] = minmax_scale(X[:, VARYING]).clip(0, 1)
    AutoEncoderTransformer(2, loss="log_loss", max_iter=2).fit(pictures)
    assert set(widths) == {width}


@pytest.mark.parametrize("as_matrix", [np.asarray, csr_array], ids=["array", "csr"])
def test_what_varies_in_other_rows_alone_is_not_idle(X, as_matrix):
    X = X.copy()
    X[250, 5] = X[260, 60] = -1.0  # among the rows held out
    dataset = Dataset(as_matrix(X), no_values(300))
    params = check_slots(parameters(), 64)
    rows = np.arange(200)
    scaling = Scaling.fit(X, rows, standardize=False)
    loss = LOSSES["squared_error"]
    idle = idle_features(params, dataset, rows, loss, "identity", scaling)
    assert_array_equal(np.flatnonzero(~idle), np.union1d(VARYING, [5, 60]))


def test_loss_and_scores_are_means_over_all_features(X):
    """Twice the features, half of them constant, are half of the loss."""
    params = {"standardize": True, "linearity": 0.0, "max_iter": 10, "random_state": 0}
    model = AutoEncoderTransformer(2, **params)
    few, all_ = clone(model).fit(X[:, VARYING]), clone(model).fit(X)
    assert_allclose(all_.loss_curve_, np.divide(few.loss_curve_, 2), rtol=1e-2)
    assert all_.best_loss_ == pytest.approx(few.best_loss_ / 2, rel=1e-2)
    assert all_.baseline_score_ == pytest.approx(few.baseline_score_)
    assert all_.score(X) == pytest.approx(few.score(X[:, VARYING]), abs=1e-3)


def test_scores_are_those_of_pca_where_pca_is_the_result(X):
    noise = np.zeros(X.shape)
    noise[:, VARYING] = np.random.default_rng(0).normal(size=(300, 32))
    model = AutoEncoderTransformer(2, random_state=0).fit(noise)
    assert model.stop_reason_ == "pca"
    pca = PCA(2).fit(noise)
    error = np.square(noise - pca.inverse_transform(pca.transform(noise))).mean()
    assert model.baseline_score_ == pytest.approx(1 - error / noise.var(axis=0).mean())
    assert model.score(noise) == pytest.approx(model.baseline_score_, abs=1e-5)
    codes = model.transform(noise) * model.scale_[0]
    assert_allclose(codes, pca.transform(noise), atol=1e-4)


def test_fits_go_on_where_they_ended(X, widths):
    model = AutoEncoderTransformer(2, warm_start=True, random_state=0, max_iter=20)
    first = clone(model).fit(X)
    again = clone(first)
    vars(again).update(vars(first))
    again.set_params(max_iter=1, learning_rate_init=1e-9).fit(X)
    assert again.score(X) == pytest.approx(first.score(X), abs=1e-5)
    assert set(widths) == {32}


def test_parts_of_a_stream_may_move_what_was_constant(X, widths):
    model = AutoEncoderTransformer(2, random_state=0).partial_fit(X)
    n_learnt = len(model._memory["solver"]["mean"])
    moved = X.copy()
    moved[:, 0] = np.arange(300)
    model.partial_fit(moved)
    # The network has grown by what moves, and so has the memory of the solver.
    assert len(model._memory["solver"]["mean"]) > n_learnt
    assert np.ptp(model.inverse_transform(model.transform(moved))[:, 0]) > 0
    # Whatever sees all features begins with a new memory of the solver.
    model.set_params(corruption="masking").partial_fit(X)
    assert len(model._memory["solver"]["mean"]) > n_learnt
    assert widths == [32, 48, 64]
    assert np.isfinite(model.loss_curve_).all()
