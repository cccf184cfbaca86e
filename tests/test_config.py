"""What every "auto" stands for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Gaussian,
    Mixture,
    Sparsity,
)
from skae._fitting import config, session
from skae._fitting.config import Config
from skae._inference.fitted_state import FittedState
from skae._parts.slots import check_slots

from .fitted import fitted
from .variants import parameters


def resolve(n_samples, n_features, link="identity", **params):
    params = check_slots(parameters(**params), 64)
    return Config.of(params, n_samples, n_features, link, previous=None)


@pytest.mark.parametrize(
    ("n_samples", "n_features", "sizes"),
    [
        (2, 1, (64, 64)),
        (1_000, 32, (64, 64)),
        (10_000, 60, (128, 64)),
        (60_000, 10, (128, 64, 32)),
        (60_000, 784, (512, 256, 128)),
        (25_599, 784, (512, 256)),
        (200, 20_000, (64, 64)),
        (1_000, 20_000, (256, 128)),
    ],
)
def test_sizes_follow_width_and_length(n_samples, n_features, sizes):
    assert resolve(n_samples, n_features).hidden_layer_sizes == sizes


@pytest.mark.parametrize(("n_components", "n_layers"), [(32, 3), (33, 2)])
def test_many_codes_get_two_layers(n_components, n_layers):
    sizes = resolve(60_000, 784, n_components=n_components).hidden_layer_sizes
    assert len(sizes) == n_layers


@pytest.mark.parametrize("n_samples", [2, 30, 129, 5_000, 60_000, 3_000_000])
@pytest.mark.parametrize(("solver", "least"), [("soap", 1_000), ("adamw", 2_000)])
def test_budget_is_in_steps(n_samples, solver, least):
    made = resolve(n_samples, 10, solver=solver)
    n_steps = made.max_iter * -(-n_samples // made.batch_size)
    assert made.max_iter >= 5
    assert n_steps >= least
    assert n_steps < least + -(-n_samples // made.batch_size) or made.max_iter == 5


@pytest.mark.parametrize(
    ("params", "link", "solver"),
    [
        ({}, "identity", "soap"),
        ({}, "logistic", "soap"),
        ({}, ("identity", "logistic"), "soap"),
        ({}, "log", "adamw"),
        ({"latent": "gaussian"}, "identity", "adamw"),
        ({"network": Conv((64,))}, "identity", "adamw"),
        ({"solver": "sgd"}, "identity", "sgd"),
    ],
    ids=str,
)
def test_auto_is_soap_where_it_was_better(params, link, solver):
    assert resolve(500, 10, link=link, **params).solver == solver
    for size in ((499, 10), (10_001, 10), (500, 257)):
        if "network" not in params:
            assert resolve(*size, link=link, **params).solver in ("adamw", "sgd")


def test_what_is_set_is_kept():
    made = resolve(
        500,
        10,
        hidden_layer_sizes=(3,),
        activation="relu",
        solver="sgd",
        learning_rate_init=0.3,
        learning_rate="constant",
        batch_size=17,
        max_iter=4,
        n_iter_no_change=2,
    )
    assert made.hidden_layer_sizes == (3,)
    assert (made.activation, made.solver) == ("relu", "sgd")
    assert (made.learning_rate_init, made.learning_rate) == (0.3, "constant")
    assert (made.batch_size, made.max_iter, made.n_iter_no_change) == (17, 4, 2)


def test_batches_are_no_larger_than_the_data():
    assert resolve(10, 3, batch_size=100).batch_size == 10


@pytest.mark.parametrize(
    ("n_samples", "max_iter", "batch_size"),
    [(25_599, "auto", 128), (25_600, "auto", 256), (60_000, 9, 256), (60_000, 8, 128)],
)
def test_large_batches_need_many_rows_and_passes(n_samples, max_iter, batch_size):
    assert resolve(n_samples, 3, max_iter=max_iter).batch_size == batch_size


def test_previous_architecture_answers_for_auto():
    params = check_slots(parameters(), 5)
    before = {"hidden_layer_sizes": (9,), "activation": "elu", "init": "random"}
    state = FittedState.of(vars(fitted("default")[0]))
    state = replace(state, architecture=replace(state.architecture, **before))
    made = Config.of(params, 100, 5, "identity", state)
    assert {name: getattr(made, name) for name in before} == before


def test_links_that_are_linear_near_the_mean_start_near_pca():
    assert resolve(100, 5).init == resolve(100, 5, link="logistic").init == "pca"
    assert resolve(100, 5, link="exp").init == "random"
    assert resolve(100, 5, link="exp", init="pca").init == "pca"


def test_codes_are_held_to_pcas_where_the_output_is_linear():
    assert resolve(100, 5).linearity == 1.2
    assert resolve(100, 5, link="logistic").linearity == 0
    assert resolve(100, 5, link="logistic", linearity=3.0).linearity == 3


@pytest.mark.parametrize(
    "part", [{"penalty": "sparsity"}, {"network": Dense(tied=True)}]
)
def test_what_pcas_start_does_not_suit_starts_plain(part):
    assert resolve(100, 64, **part).init == "random"


@pytest.mark.parametrize(
    "part",
    [{"penalty": "contraction"}, {"latent": "gaussian"}, {"network": Conv((8, 8))}],
)
def test_what_it_suits_starts_as_pca(part):
    assert resolve(100, 64, **part).init == "pca"


def test_distributions_are_not_held_to_pcas_points():
    assert resolve(100, 5, latent=Gaussian()).linearity == 0
    assert resolve(100, 5, latent=Mixture()).linearity == 1.2


def test_steps_of_drawn_codes_are_half_as_large():
    rates = [
        resolve(100, 5, latent=latent, solver="adamw").learning_rate_init
        for latent in (None, Gaussian())
    ]
    assert rates[1] == rates[0] / 2


def test_encoders_of_distributions_give_a_mean_and_a_variance():
    assert resolve(100, 5, n_components=3, latent="gaussian").n_outputs == 6
    assert resolve(100, 5, n_components=3, penalty=Sparsity()).n_outputs == 3


def test_patience_is_longer_for_codes_that_are_drawn():
    patience = [
        resolve(100, 5, max_iter=300, latent=latent).n_iter_no_change
        for latent in (None, Gaussian())
    ]
    assert patience == [30, 60]


@pytest.mark.parametrize(
    ("max_iter", "has_targets", "patience"),
    [(300, False, 30), (300, True, 20), (40, False, 10), (40, True, 10)],
)
def test_codes_with_a_target_are_given_up_earlier(max_iter, has_targets, patience):
    params = check_slots(parameters(max_iter=max_iter, supervision=3.0), 64)
    made = Config.of(params, 500, 3, "identity", None, has_targets)
    assert made.n_iter_no_change == patience


class TestConvolutions:
    """Of few rows they get as many passes as these are worth."""

    params = {"network": Conv(image_shape=(8, 8))}

    def affordable(self, row_flops, **params):
        made = resolve(140, 64, **self.params, **params)
        resolved = check_slots(parameters(**self.params, **params), 64)
        return made, made.with_capped_epochs(resolved, lambda: row_flops, False)

    @pytest.mark.parametrize(
        ("row_flops", "max_iter", "patience"),
        [(1e3, 1_000, 100), (1e7, 150, 15), (1e9, 50, 10)],
    )
    def test_passes_are_fewer_the_more_they_cost(self, row_flops, max_iter, patience):
        _, made = self.affordable(row_flops)
        assert (made.max_iter, made.n_iter_no_change) == (max_iter, patience)

    @pytest.mark.parametrize("params", [{"max_iter": 777}, {"max_time": 3.0}])
    def test_what_is_asked_for_is_made(self, params):
        made, affordable = self.affordable(1e9, **params)
        assert affordable == made

    def test_patience_that_is_set_stays(self):
        assert self.affordable(1e9, n_iter_no_change=40)[1].n_iter_no_change == 40

    def test_dense_layers_are_not_asked(self):
        made = resolve(140, 64)
        params = check_slots(parameters(), 64)
        assert made.with_capped_epochs(params, None, False) is made

    def test_a_fit_makes_no_more(self, digits, monkeypatch):
        monkeypatch.setattr(config, "_ROW_FLOPS", 1.0)
        X = digits[0][:40]
        model = AutoEncoderTransformer(4, **self.params, random_state=0, alpha=0.0)
        model.set_params(init="random").fit(X)
        assert model.n_iter_ <= 50
        assert model.set_params(max_iter=70, n_iter_no_change=70).fit(X).n_iter_ == 70


@pytest.mark.parametrize(
    ("network", "n_epochs"),
    [(Dense(), 400), (Conv((8, 8)), 150)],
    ids=["dense", "conv"],
)
def test_a_gpu_trains_with_adamw(network, n_epochs, monkeypatch):
    """As many epochs as AdamW needs, or as convolutions are worth."""
    seen = []

    def stop(self, *args):
        seen.append(self.config)
        raise InterruptedError

    monkeypatch.setattr(session, "check_device", lambda *args: torch.device("cuda"))
    monkeypatch.setattr(session, "step_flops", lambda *args: 1e7)
    monkeypatch.setattr(session.TrainingSession, "batches_of", stop)
    X = np.random.RandomState(0).normal(size=(640, 64))
    with pytest.raises(InterruptedError):
        AutoEncoderTransformer(2, network=network).fit(X)
    (made,) = seen
    assert made.solver == "adamw"
    assert made.max_iter == n_epochs
