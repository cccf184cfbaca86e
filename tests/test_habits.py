"""Habits: what scikit-learn's and torch's users write without looking it up."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Gaussian,
    Masking,
    PenaltySum,
    Sparsity,
)

FEW = {"max_iter": 2, "early_stopping": False, "random_state": 0}
# For the same steps in spite of rounding errors. SOAP's bases make more of them.
ADAMW = {"solver": "adamw"}


def codes(X, **params):
    model = AutoEncoderTransformer(**{**FEW, **params})
    return clone(model).fit_transform(X)


@pytest.mark.parametrize("size", [8, np.int64(8), np.array(8)])
def test_one_hidden_layer_is_a_number(size, X):
    assert_array_equal(
        codes(X, hidden_layer_sizes=size), codes(X, hidden_layer_sizes=(8,))
    )


@pytest.mark.parametrize(("name", "part"), [("conv", Conv()), ("dense", Dense())])
def test_networks_have_names(name, part, X):
    assert_array_equal(codes(X, network=name), codes(X, network=part))


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (nn.ReLU, "relu"),
        (nn.ReLU(), "relu"),
        (torch.tanh, "tanh"),
        (nn.functional.gelu, "gelu"),
        (nn.LeakyReLU(), "leaky_relu"),
    ],
)
def test_activations_as_torch_names_them(activation, name, X):
    expected = AutoEncoderTransformer(activation=name, **FEW).fit(X)
    model = AutoEncoderTransformer(activation=activation, **FEW).fit(X)
    assert_array_equal(model.transform(X), expected.transform(X))
    assert model._architecture == expected._architecture


def swish(x):
    return x * x.sigmoid()


@pytest.mark.parametrize(
    "activation",
    [swish, torch.sin, nn.Mish, nn.PReLU, partial(nn.LeakyReLU, 0.2), nn.ELU(0.5)],
)
def test_any_activation(activation, X):
    model = AutoEncoderTransformer(activation=activation, init="random", **FEW).fit(X)
    other = codes(X, activation="identity", init="random")
    assert np.abs(model.transform(X) - other).max() > 1e-6
    again = pickle.loads(pickle.dumps(model)).partial_fit(X)
    assert_array_equal(again.transform(X), model.partial_fit(X).transform(X))


def test_a_function_trains_as_the_layer_that_it_is(X):
    expected = codes(X, activation="silu", network=Dense(dropout=1e-9))
    assert_allclose(codes(X, activation=swish), expected, rtol=1e-2, atol=1e-2)


def test_an_activation_with_weights_is_refused(X):
    with pytest.raises(TypeError, match="has weights, .* pass the class, PReLU"):
        codes(X, activation=nn.PReLU())


def squares(output, target):
    return (output - target).square()


def mean_square(output, target):
    return (output - target).square().mean()


@pytest.mark.parametrize(
    "loss",
    [squares, mean_square, nn.MSELoss(), nn.MSELoss(reduction="none")]
    + [nn.functional.mse_loss],
)
def test_losses_of_values_and_of_batches(loss, X):
    expected = AutoEncoderTransformer(2, max_iter=3, random_state=0).fit(X)
    model = AutoEncoderTransformer(2, max_iter=3, random_state=0, loss=loss).fit(X)
    assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-4)
    assert_allclose(model.transform(X), expected.transform(X), rtol=1e-2, atol=1e-2)


def test_a_class_of_losses_is_refused(X):
    with pytest.raises(TypeError, match="must be a function or an object.*MSELoss"):
        codes(X, loss=nn.MSELoss)


def few_far_from_zero(z):
    return z.abs().mean(dim=1)


def few_far_from_zero_in_all(z, x):
    return z.abs().mean()


def with_everything(z, x, encode, rng):
    return encode(x).abs().mean(dim=1)


class AsAnObject:
    def penalize(self, z, x, encode, rng):
        return z.abs().mean(dim=1)


@pytest.mark.parametrize(
    "penalty", [few_far_from_zero, few_far_from_zero_in_all, with_everything]
)
def test_a_function_is_a_penalty(penalty, X):
    assert_allclose(
        codes(X, penalty=penalty, **ADAMW),
        codes(X, penalty=AsAnObject(), **ADAMW),
        rtol=1e-3,
    )


def test_functions_add_up_with_penalties(X):
    total = Sparsity(0.1) + few_far_from_zero
    assert_allclose(
        codes(X, penalty=total, **ADAMW),
        codes(X, penalty=PenaltySum(Sparsity(0.1), AsAnObject()), **ADAMW),
        rtol=1e-3,
    )


def half(x):
    return 0.5 * x


def noisy(x, rng):
    return x + torch.from_numpy(rng.standard_normal(x.shape, dtype="float32"))


@pytest.mark.parametrize("corruption", [half, noisy])
def test_a_function_is_a_corruption(corruption, X):
    assert np.abs(codes(X, corruption=corruption) - codes(X)).max() > 1e-6


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": np.float64(3.0)}, "'n_components'.*float64: use 3"),
        ({"n_components": 2.5}, "'n_components' parameter must be an int, got 2.5"),
        ({"max_iter": 1e2}, "'max_iter' parameter must be an int, .*: use 100"),
        ({"batch_size": 32.0}, "'batch_size' .* use 32"),
    ],
)
def test_whole_numbers_that_are_floats_are_named(params, message, X):
    with pytest.raises(ValueError, match=message):
        AutoEncoderTransformer(**params).fit(X)


def test_pictures_are_told_of_conv():
    pictures = np.zeros((20, 8, 6))
    with pytest.raises(ValueError, match=r"dim 3.*image_shape=\(8, 6\)"):
        AutoEncoderTransformer().fit(pictures)
    with pytest.raises(ValueError, match=r"dim 4.*image_shape=\(8, 6, 3\)"):
        AutoEncoderTransformer().fit(np.zeros((20, 8, 6, 3)))


class Small(AutoEncoderTransformer):
    """A subclass that asks for less."""

    def __init__(self, n_components=2, random_state=0):
        super().__init__(
            n_components, random_state=random_state, max_iter=2, early_stopping=False
        )


def test_a_subclass_may_ask_for_fewer_parameters(X):
    assert_array_equal(clone(Small()).fit_transform(X), codes(X))
    Small(3).partial_fit(X).transform(X)
    assert list(Small().get_params()) == ["n_components", "random_state"]


def test_inverse_transform_takes_its_argument_by_name(X):
    model = AutoEncoderTransformer(**FEW).fit(X)
    Z = model.transform(X=X)
    assert_array_equal(model.inverse_transform(X=Z), model.inverse_transform(Z))


def test_parameters_of_a_part_that_is_only_named(X):
    model = AutoEncoderTransformer(latent="gaussian", corruption="masking")
    model.set_params(latent__beta=0.5, network__dropout=0.1, corruption__share=0.2)
    assert repr(model.latent) == repr(Gaussian(beta=0.5))
    assert repr(model.network) == repr(Dense(dropout=0.1))
    assert repr(model.corruption) == repr(Masking(0.2))
    model.set_params(network="conv", network__kernel_size=5)
    assert repr(model.network) == repr(Conv(kernel_size=5))
    grid = {"penalty__weight": [0.1, 0.2]}
    search = GridSearchCV(
        AutoEncoderTransformer(penalty="sparsity", **FEW), grid, cv=2, refit=False
    )
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("latent__beta", "latent=None has no parameters. Set latent first, to 'gauss"),
        ("teacher__alpha", "teacher=None has no parameters. .* an estimator"),
    ],
)
def test_parameters_of_no_part(name, message):
    with pytest.raises(ValueError, match=message):
        AutoEncoderTransformer().set_params(**{name: 1})


class Swish(torch.nn.Module):
    """A layer without an ``__init__`` of its own."""

    def forward(self, x):
        return x * torch.sigmoid(x)


@pytest.mark.parametrize("activation", [torch.nn.Softsign, torch.nn.Tanhshrink, Swish])
def test_classes_of_layers_without_init(activation):
    X = np.random.default_rng(0).normal(size=(60, 5))
    model = AutoEncoderTransformer(2, activation=activation, max_iter=1)
    assert np.isfinite(model.fit_transform(X)).all()


class MeanSquare(torch.nn.Module):
    """A penalty as a module."""

    def forward(self, z):
        return z.square().mean(dim=1)


def test_modules_as_penalty_and_corruption():
    X = np.random.default_rng(0).normal(size=(60, 5))
    parts = {"penalty": MeanSquare(), "corruption": torch.nn.Dropout(0.3)}
    for slot, part in parts.items():
        model = AutoEncoderTransformer(2, max_iter=1, **{slot: part})
        assert np.isfinite(model.fit_transform(X)).all()


def test_a_model_mapped_into_memory(X, tmp_path):
    """Its arrays are read-only, and shared by many processes."""
    model = AutoEncoderTransformer(**FEW).fit(X)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    Z = mapped.transform(X)
    assert_array_equal(Z, model.transform(X))
    assert_array_equal(mapped.inverse_transform(Z), model.inverse_transform(Z))
    assert mapped.score(X) == model.score(X)
    mapped.partial_fit(X).set_params(warm_start=True).fit(X)


def test_many_threads_may_transform_at_once(X):
    model = AutoEncoderTransformer(**FEW).fit(X)
    expected = model.transform(X)
    with ThreadPoolExecutor(8) as pool:
        for Z in pool.map(model.transform, [X] * 32):
            assert_array_equal(Z, expected)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


@pytest.mark.parametrize(
    "layout",
    [
        read_only,
        np.asfortranarray,
        lambda X: X[::-1].copy()[::-1],
        lambda X: X[:, ::-1].copy()[:, ::-1],
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.astype(X.dtype.newbyteorder()),
        lambda X: X.astype(object),
        np.ndarray.tolist,
    ],
    ids=["read-only", "fortran", "rows back", "columns back", "every second row"]
    + ["every second column", "byte order", "objects", "lists"],
)
def test_the_same_numbers_in_any_layout(layout, X):
    expected = AutoEncoderTransformer(**FEW).fit(X)
    model = AutoEncoderTransformer(**FEW).fit(layout(X))
    Z = model.transform(layout(X))
    assert_array_equal(Z, expected.transform(X))
    assert_array_equal(
        model.inverse_transform(layout(Z)), expected.inverse_transform(Z)
    )
    model.partial_fit(layout(X))


@pytest.mark.parametrize("dtype", ["bool", "u1", "i1", "i8", "u8", "f2", "longdouble"])
def test_numbers_of_any_kind(dtype, X):
    X = (X > 0).astype(dtype) if dtype == "bool" else np.abs(X).astype(dtype)
    expected = codes(X.astype(float))
    assert_array_equal(codes(X), expected)


def test_integers_beyond_what_floats_hold():
    X = 2**53 + np.arange(300).reshape(100, 3) ** 2
    model = AutoEncoderTransformer(2, random_state=0).fit(X)
    assert model.score(X) > 0.999


def test_frames_that_may_have_gaps(X):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdefghijkl")).convert_dtypes()
    assert_array_equal(codes(frame), codes(X))
    frame.iloc[0, 0] = pandas.NA
    with pytest.raises(ValueError, match="Input X contains NaN"):
        codes(frame)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_out_of_pipelines_and_columns(kind, X):
    pytest.importorskip(kind)
    frame = pytest.importorskip("pandas").DataFrame(X).rename(columns="x{}".format)
    columns = ColumnTransformer(
        [("ae", AutoEncoderTransformer(**FEW), ["x0", "x1", "x2"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform=kind)
    Z = columns.fit_transform(frame)
    first = [f"autoencodertransformer{i}" for i in range(2)]
    assert list(Z.columns) == [*first, *frame.columns[3:]]
    pipeline = make_pipeline(StandardScaler(), AutoEncoderTransformer(**FEW), PCA(1))
    pipeline.set_output(transform=kind).fit(frame)
    Z = pipeline[:-1].transform(frame)
    assert list(Z.columns) == first == list(pipeline[:-1].get_feature_names_out())
    back = pipeline[:-1].inverse_transform(Z)
    assert back.shape == X.shape


def test_a_cached_step_is_not_fitted_again(X, tmp_path, monkeypatch):
    pipeline = make_pipeline(
        StandardScaler(), AutoEncoderTransformer(**FEW), PCA(1), memory=str(tmp_path)
    )
    expected = pipeline.fit_transform(X)
    monkeypatch.setattr(AutoEncoderTransformer, "fit", None)
    assert_array_equal(clone(pipeline).fit_transform(X), expected)
