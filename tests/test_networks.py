"""Networks: shapes, ties, modules of one's own, and what is refused."""

import math
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import nn

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Gaussian,
    Modules,
)
from skae._nn.autoencoder import initialise
from skae._nn.layers import Dropout
from skae._parts.networks import make_autoencoder

SHAPES = [
    *[(n,) for n in (1, 2, 3, 5, 8, 13, 64)],
    *[(h, w) for h, w in [(1, 1), (1, 7), (2, 2), (3, 5), (5, 3), (7, 7), (8, 8)]],
    *[(28, 28), (9, 16), (16, 9), (31, 2), (1, 64), (64, 1), (17, 23), (6, 10)],
    *[(1, 1, 3), (2, 3, 3), (5, 5, 2), (8, 8, 3), (7, 4, 1), (3, 11, 5), (12, 12, 4)],
    *[(10, 1, 2), (1, 10, 2)],
]


def build(network, shape=(5, 2, 2), hidden=(4,), activation="tanh", init="random"):
    name, options = type(network).__name__, network.get_params(deep=False)
    made = make_autoencoder(*shape, hidden, activation, init, (name, options))
    initialise(made, np.zeros(shape[0]), np.random.default_rng(0))
    return made


class TestConv:
    @pytest.mark.parametrize("kernel_size", [1, 3, 5])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_any_size_comes_back(self, shape, kernel_size):
        n_features = math.prod(shape)
        network = build(Conv(shape, (2, 3), kernel_size), (n_features, 2, 2), (4,))
        x = torch.randn(3, n_features, generator=torch.Generator().manual_seed(0))
        assert network.encode(x).shape == (3, 2)
        assert network(x).shape == (3, n_features)

    def test_there_are_thirty_sizes(self):
        assert len(SHAPES) >= 30

    def test_decoder_mirrors_the_encoder(self):
        encoder, decoder = build(Conv((7, 8), (2, 3)), (56, 2, 2), (9,)).layers
        kinds = [type(layer).__name__ for layer in encoder]
        assert kinds == (
            ["ToImages", "Conv2d", "Tanh", "Conv2d", "Tanh", "Flatten"]
            + ["Linear", "Tanh", "Linear"]
        )
        assert [type(layer).__name__ for layer in decoder] == (
            ["Linear", "Tanh", "Linear", "Unflatten"]
            + ["Tanh", "ConvTranspose2d", "Tanh", "ConvTranspose2d"]
            + ["FromImages", "Rescaling"]
        )

    def test_colours_come_last_as_in_numpy(self):
        """Pixels that differ in colour only are convolved at one place."""
        network = build(Conv((4, 6, 3), (2,), kernel_size=1), (72, 1, 1))
        images = network.layers[0][0](torch.arange(144.0).view(2, 72))
        expected = np.arange(144.0).reshape(2, 4, 6, 3)
        assert_array_equal(images.numpy(), np.moveaxis(expected, 3, 1))
        assert_array_equal(network.layers[1][-2](images), expected.reshape(2, 72))

    def test_neighbours_share_weights(self):
        """A picture moved by a step of the stride has its features moved by one."""
        network = build(Conv((16, 16), (3,), 3), (256, 2, 2))
        convolve = network.layers[0][:2]
        picture = torch.zeros(1, 16, 16)
        picture[0, 5, 5] = 1.0
        moved = picture.roll((2, 4), dims=(1, 2))
        first, second = (convolve(p.reshape(1, -1)) for p in (picture, moved))
        torch.testing.assert_close(first.roll((1, 2), dims=(2, 3)), second)

    def test_starts_as_pca(self, digits):
        model = AutoEncoderTransformer(
            5, network=Conv((8, 8)), init="pca", output_activation="identity"
        )
        model.set_params(learning_rate_init=1e-12, max_iter=1, random_state=0)
        model.fit(digits[0])
        assert model.stop_reason_ == "pca"
        assert model.score(digits[0]) == pytest.approx(model.baseline_score_, abs=1e-4)

    @pytest.mark.slow
    def test_learns_signals_better_than_pca(self):
        rng = np.random.default_rng(0)
        place = rng.uniform(5, 35, size=(800, 1))
        X = np.exp(-((np.arange(40) - place) ** 2) / 8)
        model = AutoEncoderTransformer(2, network=Conv(channels=(8,)), random_state=0)
        model.set_params(max_iter=60).fit(X[:600])
        assert model.score(X[600:]) > 0.9 > model.baseline_score_

    @pytest.mark.parametrize(
        ("network", "message"),
        [
            (Conv((7, 9)), r"\(7, 9\) of Conv makes 63 features, but X has 64"),
            (Conv((8, 8), ()), r"channels=\(\)"),
            (Conv((2, 2, 4, 4)), r"image_shape=\(2, 2, 4, 4\)"),
            (Conv((8.0, 8.0)), "image_shape of Conv must be integers"),
            (Conv((8, -8)), "image_shape of Conv must be integers"),
            (Conv((8, 8), (0,)), "channels of Conv must be integers"),
            (Conv((8, 8), kernel_size=4), "must be odd, got 4: use 5"),
            (Conv((8, 8), kernel_size=17), "beyond .* got 17: use at most 15"),
            (Conv((8, 8), kernel_size=0), "'kernel_size' parameter of Conv"),
            (Conv("ab"), "'image_shape' parameter of Conv"),
        ],
    )
    def test_what_is_no_shape_is_refused(self, network, message, digits):
        with pytest.raises(ValueError, match=message):
            AutoEncoderTransformer(network=network).fit(digits[0])


class TestDense:
    @pytest.mark.parametrize("latent", [None, "gaussian"])
    def test_tied_weights_are_transposed_exactly(self, latent, digits):
        X = digits[0][:600]
        model = AutoEncoderTransformer(
            3,
            network=Dense(tied=True),
            latent=latent,
            hidden_layer_sizes=(20, 10),
            random_state=0,
            max_iter=40,
        ).fit(X)
        weights = {n: w for n, w in model._weights.items() if n.endswith("weight")}
        matrices = [n for n, w in weights.items() if w.ndim == 2]
        assert [n.startswith("encoder") for n in matrices] == [True] * 3
        network = build_fitted(model)
        encoder = [m.weight for m in network.layers[0] if isinstance(m, nn.Linear)]
        decoder = [m.weight for m in network.layers[1] if hasattr(m, "weight")][:-1]
        for forth, back in zip(encoder, decoder[::-1], strict=True):
            assert torch.equal(forth[: back.shape[1]].t(), back)
        assert model.score(X) > 0.2

    def test_tied_network_reconstructs_what_its_loss_says(self, digits):
        """The codes are turned, which must not undo a tie."""
        X, check = digits[0][:500], digits[0][1400:]
        model = AutoEncoderTransformer(
            3,
            network=Dense(tied=True),
            output_activation="identity",
            max_iter=100,
            random_state=0,
        ).fit(X, X_val=check)
        error = model.reconstruction_error(check).mean() / model.scale_[0] ** 2
        assert error == pytest.approx(model.best_loss_, rel=1e-4)

    def test_tied_weights_have_no_start_as_pca(self, X):
        model = AutoEncoderTransformer(network=Dense(tied=True), init="pca")
        with pytest.raises(ValueError, match="tied=True.* with init='pca'"):
            model.fit(X)

    def test_layer_norm_is_before_the_activation(self):
        encoder, decoder = build(Dense(layer_norm=True, dropout=0.5)).layers
        kinds = ["Linear", "LayerNorm", "Tanh", "Dropout", "Linear"]
        assert [type(layer).__name__ for layer in encoder] == kinds
        assert [type(layer).__name__ for layer in decoder] == kinds

    def test_dropout_zeroes_its_share_and_keeps_the_mean(self):
        layer = Dropout(0.3)
        layer.rng = np.random.default_rng(0)
        x = torch.ones(100, 500)
        y = layer(x)
        assert (y == 0).double().mean().item() == pytest.approx(0.3, abs=0.01)
        assert y.mean().item() == pytest.approx(1, abs=0.01)
        assert torch.equal(layer.eval()(x), x)

    def test_dropout_closes_the_gap_between_training_and_test(self, digits):
        X = digits[0]
        gaps = []
        for dropout in (0.0, 0.3):
            model = AutoEncoderTransformer(
                16,
                network=Dense(dropout=dropout),
                init="random",
                early_stopping=False,
                random_state=0,
                max_iter=150,
                n_iter_no_change=150,
            ).fit(X[:300])
            gaps.append(model.score(X[:300]) - model.score(X[300:]))
        assert gaps[1] < gaps[0]

    @pytest.mark.parametrize(
        ("network", "message"),
        [
            (Dense(tied=3), "'tied' parameter of Dense"),
            (Dense(dropout=1.0), "'dropout' parameter of Dense"),
            (Dense, "'network' parameter"),
            ("convolution", "'network' parameter"),
        ],
    )
    def test_what_is_no_network_is_refused(self, network, message, X):
        with pytest.raises(ValueError, match=message):
            AutoEncoderTransformer(network=network).fit(X)


def build_fitted(model):
    network = make_autoencoder(**model._architecture)
    network.load_state_dict({n: torch.tensor(w) for n, w in model._weights.items()})
    return network


class Residual(nn.Module):
    """x + f(x), as in ResNet."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.f = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, x):
        return x + self.f(self.norm(x))


def resnet(n_in, n_out, width=24):
    return nn.Sequential(
        nn.Linear(n_in, width),
        Residual(width),
        Residual(width),
        nn.Linear(width, n_out),
    )


@pytest.mark.parametrize("init", ["random", "pca"])
class TestModules:
    def make(self, init, **params):
        network = Modules(resnet, partial(resnet, width=16))
        params = {"max_iter": 30, "random_state": 0, "init": init} | params
        return AutoEncoderTransformer(4, network=network, **params)

    def test_learns(self, init, digits):
        X, check = digits[0][:800], digits[0][1400:]
        model = self.make(init, output_activation="identity").fit(X)
        assert model.score(check) > model.baseline_score_

    def test_state_round_trips(self, init, X):
        model = self.make(init).fit(X)
        again = pickle.loads(pickle.dumps(model))
        assert_array_equal(again.transform(X), model.transform(X))
        assert_array_equal(again.fit(X).transform(X), model.transform(X))

    def test_clone_is_unfitted(self, init, X):
        model = self.make(init).fit(X)
        unfitted = clone(model)
        assert not hasattr(unfitted, "_weights")
        assert_array_equal(unfitted.fit(X).transform(X), model.transform(X))

    def test_best_weights_come_back_with_the_means_of_batches(self, init, digits):
        X = digits[0]
        model = self.make(init, output_activation="identity")
        model.fit(X[:1400], X_val=X[1400:])
        error = model.reconstruction_error(X[1400:]).mean() / model.scale_[0] ** 2
        assert model.best_iter_ > 0
        assert error == pytest.approx(model.best_loss_, rel=1e-4)

    def test_codes_are_canonical(self, init, digits):
        Z = self.make(init, early_stopping=False).fit_transform(digits[0][:500])
        variance = Z.var(axis=0)
        assert_allclose(np.cov(Z.T, ddof=0), np.diag(variance), atol=1e-3 * variance[0])

    def test_folds_do_not_leak(self, init, digits):
        model = self.make(init, max_iter=3)
        X = digits[0][:500]
        first, second = (cross_val_score(model, X, cv=3) for _ in range(2))
        assert_array_equal(first, second)

    def test_warm_start_goes_on(self, init, digits):
        model = self.make(init, warm_start=True, max_iter=5, early_stopping=False)
        model.set_params(learning_rate="constant", tol=0.5, n_iter_no_change=100)
        X = digits[0][:500]
        first = model.fit(X).loss_curve_[-1]
        assert model.fit(X).loss_curve_[-1] < first


def test_factories_take_no_modules(X):
    network = Modules(nn.Linear(12, 2), nn.Linear(2, 12))
    with pytest.raises(TypeError, match="encoder of Modules must be a factory"):
        AutoEncoderTransformer(network=network).fit(X)


@pytest.mark.parametrize(
    "params", [{"hidden_layer_sizes": (3,)}, {"activation": "relu"}]
)
def test_parameters_without_effect_on_modules_are_refused(params, X):
    model = AutoEncoderTransformer(network=Modules(nn.Linear, nn.Linear), **params)
    with pytest.raises(ValueError, match="has no effect on network=Modules"):
        model.fit(X)


def shared(n_in, n_out, module=nn.Linear(8, 8)):  # noqa: B008
    return module


def tuple_out(n_in, n_out):
    class Two(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    return Two(n_in, n_out)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda n_in, n_out: 3, "encoder of Modules .* it failed: 'int'"),
        (
            lambda n_in, n_out: nn.Linear(n_in + 1, n_out),
            r"\(12, 2\).* it failed: mat1",
        ),
        (lambda: nn.Linear(12, 2), "it failed: .*takes 0 positional"),
        (lambda n_in, n_out: nn.Linear(n_in, n_out).double(), "it failed: mat1"),
        (tuple_out, "it failed: 'tuple'"),
        (lambda n_in, n_out: nn.Linear(n_in, n_out + 1), "12 .* rows of 2, .* 3"),
    ],
    ids=["number", "width in", "arguments", "dtype", "tuple", "width out"],
)
def test_factories_of_no_use_are_named(factory, message, X):
    with pytest.raises(ValueError, match=message):
        AutoEncoderTransformer(network=Modules(factory, nn.Linear)).fit(X)


def test_decoders_of_no_use_are_named(X):
    factory = partial(nn.Linear, bias=False, dtype=torch.float64)
    with pytest.raises(ValueError, match="decoder of Modules"):
        AutoEncoderTransformer(network=Modules(nn.Linear, factory)).fit(X)


def test_one_module_for_all_fits_does_not_leak(X):
    X = X[:, :8]
    model = AutoEncoderTransformer(8, network=Modules(shared, shared), max_iter=3)
    model.set_params(random_state=0, init="random")
    first = model.fit_transform(X)
    assert_array_equal(model.fit_transform(X), first)


def constant(n_in, n_out):
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.constant_(layer.weight, 0.01)
    return layer


def test_modules_keep_the_start_that_they_were_given():
    network = build(Modules(constant, constant))
    for part in network.layers:
        (own,) = [layer for layer in part if hasattr(layer, "module")]
        assert (own.module.weight == 0.01).all()


def functional_dropout(n_in, n_out):
    class Dropped(nn.Linear):
        def forward(self, x):
            return super().forward(nn.functional.dropout(x, 0.3, self.training))

    return Dropped(n_in, n_out)


def feature_dropout(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.AlphaDropout(0.2), nn.RReLU())


def attention(n_in, n_out):
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return nn.Sequential(
        nn.Linear(n_in, 8),
        nn.Unflatten(1, (2, 4)),
        layer,
        nn.Flatten(),
        nn.Linear(8, n_out),
    )


@pytest.mark.parametrize("factory", [functional_dropout, feature_dropout, attention])
def test_random_modules_repeat_and_leave_torchs_generator_alone(factory, X):
    model = AutoEncoderTransformer(
        3, network=Modules(factory, nn.Linear), init="random", early_stopping=False
    ).set_params(random_state=0, max_iter=3)
    before = torch.get_rng_state()
    first = model.fit_transform(X)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert_array_equal(model.fit_transform(X), first)
    other = model.set_params(random_state=1).fit_transform(X)
    assert np.abs(other - first).max() > 0


@pytest.mark.parametrize("rows", [20, 3])
def test_batches_of_one_row(rows, X):
    network = Modules(resnet, resnet)
    model = AutoEncoderTransformer(2, network=network, batch_size=1, random_state=0)
    model.set_params(max_iter=2, early_stopping=False, init="random")
    assert np.isfinite(model.fit_transform(X[:rows])).all()
    assert np.isfinite(model.partial_fit(X[:1]).transform(X)).all()


@pytest.mark.parametrize("network", [Dense(layer_norm=True), Dense(dropout=0.1)])
def test_options_without_effect_are_refused(network, X):
    model = AutoEncoderTransformer(network=network, hidden_layer_sizes=())
    with pytest.raises(ValueError, match=r"no effect without hidden .*=\(\)"):
        model.fit(X)


def test_a_fit_outlives_changes_of_its_parts(X):
    model = AutoEncoderTransformer(
        network=Conv((3, 4)), latent=Gaussian(), max_iter=2, random_state=0
    ).fit(X)
    Z = model.transform(X)
    model.set_params(network__channels=(5,), latent=None)
    assert_array_equal(model.transform(X), Z)
    assert model.sample(2).shape == (2, 12)
