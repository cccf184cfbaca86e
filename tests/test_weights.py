"""Sample weights: a row of weight 0 is not there, one of weight 2 is there twice."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.datasets import make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_validate

import skae._fitting.dataset
from skae import AutoEncoderTransformer
from skae._fitting.dataset import Dataset
from skae._nn.dense_backprop import DenseBackprop
from skae._nn.head import Head
from skae._parts.losses import LOSSES, autograd_gradient, check_loss
from skae._training.batch import Batch
from skae._training.terms import Reconstruction

from .variants import VARIANTS, autoencoder, target_of

RNG = np.random.default_rng(0)
X = np.ascontiguousarray(make_swiss_roll(90, random_state=0)[0])
Y = (X[:, 0] > 0).astype(int)
WEIGHTS = RNG.integers(0, 4, len(X))
TWICE = np.repeat(np.arange(len(X)), WEIGHTS)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def both(params, y=None):
    """Return fits of rows with weights, and of the same rows repeated."""
    y_again = None if y is None else y[TWICE]
    return (
        AutoEncoderTransformer(2, **FEW | params).fit(X, y, sample_weight=WEIGHTS),
        AutoEncoderTransformer(2, **FEW | params).fit(X[TWICE], y_again),
    )


SETTINGS = [
    {},
    {"batch_size": 300, "early_stopping": False},
    {"linearity": 0.0, "max_iter": 40},
    {"init": "random"},
    {"ordered": True},
    {"standardize": True, "whiten": True},
    {"latent": "gaussian"},
    {"latent": "mixture"},
    {"penalty": "sparsity"},
    {"loss": "huber"},
    {"supervision": 1.0},
    {"hidden_layer_sizes": "auto", "max_iter": "auto", "batch_size": 32},
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_weights_are_rows_repeated_bit_for_bit(params):
    weighted, repeated = both(params, Y)
    assert_array_equal(weighted.transform(X), repeated.transform(X))
    assert weighted.loss_curve_ == repeated.loss_curve_
    assert weighted.validation_loss_curve_ == repeated.validation_loss_curve_
    for name in ("explained_variance_", "components_", "mean_", "singular_values_"):
        assert_array_equal(getattr(weighted, name), getattr(repeated, name))
    assert weighted.baseline_score_ == repeated.baseline_score_
    score = weighted.score(X, sample_weight=WEIGHTS)
    assert score == pytest.approx(repeated.score(X[TWICE]), rel=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_the_order_of_few_rows_with_weights_does_not_count(monkeypatch):
    order = RNG.permutation(len(X))
    model = AutoEncoderTransformer(2, **FEW | {"linearity": 0.0})
    codes = model.fit(X, sample_weight=WEIGHTS).transform(X)
    again = model.fit(X[order], sample_weight=WEIGHTS[order]).transform(X)
    assert_array_equal(codes, again)
    monkeypatch.setattr(skae._fitting.dataset, "_ORDERED_ROWS", 10)
    again = model.fit(X[order], sample_weight=WEIGHTS[order]).transform(X)
    assert (codes != again).any()


@pytest.mark.filterwarnings("ignore")
def test_sparse_rows_with_weights_are_dense_ones():
    model = AutoEncoderTransformer(2, **FEW | {"linearity": 0.0})
    S = np.where(np.abs(X) < 3, 0.0, X)
    dense = model.fit(S, sample_weight=WEIGHTS).transform(S)
    assert_allclose(
        model.fit(csr_matrix(S), sample_weight=WEIGHTS).transform(S), dense, atol=1e-6
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_weights(name):
    values = np.abs(X[:40, [0, 1, 2, 0]])
    values /= values.sum(axis=1, keepdims=True)
    weights = 0.5 + (np.arange(40) % 3)
    few = {"max_iter": 2}
    if not VARIANTS[name].keys() & {"network", "hidden_layer_sizes"}:
        few["hidden_layer_sizes"] = (8,)
    if "network" in VARIANTS[name]:
        values = np.tile(values, 16)
        values /= values.sum(axis=1, keepdims=True)
    y = target_of(name, values)
    model = autoencoder(name, **few)
    Z = model.fit(values, y, sample_weight=weights).transform(values)
    assert np.isfinite(Z).all()
    assert (Z != model.fit(values, y).transform(values)).any()


def test_weighted_pca_is_pca_of_rows_repeated():
    noise = RNG.normal(size=(40, 6))
    weights = RNG.integers(1, 4, len(noise))
    model = AutoEncoderTransformer(3, random_state=0).fit(noise, sample_weight=weights)
    pca = PCA(3).fit(np.repeat(noise, weights, axis=0))
    assert model.stop_reason_ == "pca"
    assert_allclose(model.components_, pca.components_, atol=1e-5)
    assert_allclose(model.mean_, pca.mean_)
    assert_allclose(model.explained_variance_, pca.explained_variance_, rtol=1e-5)
    assert_allclose(model.noise_variance_, pca.noise_variance_, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_the_unit_of_weights_does_not_matter():
    weights = RNG.random(len(X)) + 0.1
    model = AutoEncoderTransformer(2, **FEW)
    codes = model.fit(X, sample_weight=weights).transform(X)
    again = model.fit(X, sample_weight=weights / weights.sum()).transform(X)
    assert_allclose(codes, again, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_what_is_heavy_is_reconstructed_better():
    heavy = X[:, 2] > 0
    model = AutoEncoderTransformer(1, init="random", **FEW | {"max_iter": 60})
    errors = [
        model.fit(X, sample_weight=weights).reconstruction_error(X)[heavy].mean()
        for weights in (np.where(heavy, 1.0, 0.02), np.where(heavy, 0.02, 1.0))
    ]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.filterwarnings("ignore")
def test_streams_take_weights_and_keep_those_of_the_first_rows():
    light = WEIGHTS / 4  # of few rows, in all
    model = AutoEncoderTransformer(2, **FEW)
    model.partial_fit(X[:30], sample_weight=light[:30])
    model.partial_fit(X[30:], sample_weight=light[30:])
    kept = WEIGHTS > 0
    assert_array_equal(model._memory["first"]["weights"], light[kept])
    # The training began anew with all of them.
    mean = np.average(X, axis=0, weights=light)
    assert_allclose(model.mean_, mean)
    ones = AutoEncoderTransformer(2, **FEW)
    ones.partial_fit(X[:30]).partial_fit(X[30:], sample_weight=light[30:])
    expected = np.append(np.ones(30), light[30:][kept[30:]])
    assert_array_equal(ones._memory["first"]["weights"], expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n_first", [40, 90])
def test_streams_with_weights_are_streams_of_rows_repeated(n_first):
    """Also where the rows of the first part are few, and their weights are not."""
    rows = np.concatenate([X, X[::-1] + 0.1])
    weights = RNG.integers(0, 4, len(rows))
    weighted, repeated = (AutoEncoderTransformer(2, **FEW) for _ in range(2))
    for part in (slice(0, n_first), slice(n_first, 130), slice(130, None)):
        weighted.partial_fit(rows[part], sample_weight=weights[part])
        repeated.partial_fit(np.repeat(rows[part], weights[part], axis=0))
        assert_array_equal(weighted.transform(X), repeated.transform(X))


def test_score_is_r2_score_with_weights():
    model = AutoEncoderTransformer(2, **FEW | {"init": "random"})
    with pytest.warns(UserWarning):
        model.fit(X)
    again = model.inverse_transform(model.transform(X))
    options = {"sample_weight": WEIGHTS, "multioutput": "variance_weighted"}
    expected = r2_score(X, again, **options)
    assert model.score(X, sample_weight=WEIGHTS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(len(X)), "[zZ]ero"),
        (np.where(np.arange(len(X)), 1.0, -1.0), "[nN]egative"),
        (np.full(len(X), np.nan), "NaN"),
        (np.ones(3), "sample_weight"),
    ],
    ids=["zero", "negative", "nan", "short"],
)
def test_weights_that_cannot_be(weights, message):
    with pytest.raises(ValueError, match=message):
        AutoEncoderTransformer(2).fit(X, sample_weight=weights)


@pytest.mark.filterwarnings("ignore")
def test_weights_are_routed():
    import sklearn

    model = AutoEncoderTransformer(2, **FEW)
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError):
            cross_validate(model, X, params={"sample_weight": WEIGHTS}, cv=2)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        cross_validate(model, X, params={"sample_weight": WEIGHTS}, cv=2)


@pytest.mark.parametrize("loss", LOSSES)
def test_written_gradients_are_autograds_with_weights(loss):
    loss, _ = check_loss(loss, "auto")
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.dirichlet(np.ones(4), size=9)).float()
    weights = torch.from_numpy(rng.random((9, 1))).float()
    scaling = type("Scaling", (), {"mean": np.zeros(4), "scale": np.ones(4)})
    term = Reconstruction(loss, loss.link, scaling, torch.device("cpu"), 0.5, 0.3)
    factors = torch.tensor([[2.0], [5.0]])
    if loss.link != "identity":
        factors = factors[:0]  # where it is used, no rows are moved outward
    targets = torch.empty(9, 0)
    batch = Batch(values, targets, values, weights=weights, factors=factors)
    output = torch.from_numpy(rng.normal(size=(9, 4))).float()
    followed = output.clone().requires_grad_()
    divisor = torch.ones(9, 1)
    divisor[: len(factors)] = factors
    losses = term.losses(followed / divisor, values)
    (term.row_weights(batch) * losses).mean().backward()
    value, gradient = term.backward(output.clone(), batch)
    torch.testing.assert_close(gradient, followed.grad)
    assert float(value) == pytest.approx(batch.mean(losses).item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["continuous", "multilabel", "multiclass"])
def test_the_heads_gradient_is_autograds_with_weights(kind):
    rng = np.random.default_rng(0)
    head = Head(2, kind, [3], np.full(3, 0.7))
    head.start(rng.normal(size=(3, 2)), rng.normal(size=3))
    for parameter in head.parameters():
        parameter.grad = torch.zeros_like(parameter)
    targets = torch.eye(3)[rng.integers(3, size=7)]
    targets[2] = torch.nan
    weights = torch.from_numpy(rng.random((7, 1))).float()
    codes = torch.from_numpy(rng.normal(size=(7, 2))).float().requires_grad_()
    expected = (head(codes, targets) * weights[:, 0]).mean()
    parts = torch.autograd.grad(expected, [codes, *head.parameters()])
    value, gradient = head.backward(codes.detach(), targets, weights)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradient, parts[0])
    for parameter, part in zip(head.parameters(), parts[1:], strict=True):
        torch.testing.assert_close(parameter.grad, part)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "params",
    [{}, {"ordered": True}, {"latent": "gaussian"}, {"penalty": "sparsity"}],
    ids=str,
)
def test_both_paths_train_alike_with_weights(params, monkeypatch):
    params = {"learning_rate_init": 5e-4, "solver": "adamw"} | FEW | params
    model = AutoEncoderTransformer(2, linearity=0.5, early_stopping=False, **params)
    dense = model.fit(X, sample_weight=WEIGHTS)._weights
    monkeypatch.setattr(DenseBackprop, "handles", lambda network: False)
    autograd = model.fit(X, sample_weight=WEIGHTS)._weights
    for name, weight in dense.items():
        assert_allclose(weight, autograd[name], atol=1e-4)


def test_merged_rows_keep_the_first_and_add_up():
    values = np.array([[1.0], [2.0], [1.0], [3.0], [2.0], [1.0]])
    targets = np.array([[0.0], [1.0], [0.0], [np.nan], [1.0], [5.0]], np.float32)
    merged = Dataset(values, targets, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).merged()
    assert_array_equal(np.sort(merged.rows), [0, 1, 3, 5])
    assert_array_equal(merged.weights, [4, 7, 0, 4, 0, 6])
    assert merged.copies is not None  # rows 0 and 5 are equal, and stay on one side
    alone = Dataset(values, np.empty((6, 0), np.float32)).merged()
    assert_array_equal(np.sort(alone.rows), [0, 1, 3])
    assert alone.copies is None
    assert (alone.n_samples, alone.n_represented) == (3, 6)
    distinct = Dataset(values[[0, 1, 3]], np.empty((3, 0), np.float32))
    assert distinct.merged() is distinct


def test_gradients_of_any_loss_take_weights():
    gradient_of = autograd_gradient(lambda output, x: (output - x).abs().sum(dim=1))
    output, weights = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.5]])
    value, gradient = gradient_of(output, torch.zeros(2, 1), 0, weights)
    assert value.item() == pytest.approx((2 * 1 + 0.5 * 3) / 2)
    assert_allclose(gradient, [[1.0], [0.25]])
