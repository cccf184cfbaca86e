"""Weight decay: on trial, from the best weights on, and in a second training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skae._data.targets import no_values
from skae._fitting.contest import Regime
from skae._fitting.dataset import Dataset
from skae._fitting.source import Source
from skae._fitting.weight_decay import decay_if_overfitted, try_decay
from skae._parts.losses import LOSSES
from skae._parts.slots import check_slots
from skae._runtime.threads import ThreadTuner

from .variants import parameters

RNG = np.random.default_rng(0)
T = RNG.uniform(-2, 2, size=(90, 2))
X = np.hstack([T, T**2, np.sin(3 * T)]) + 0.1 * RNG.normal(size=(90, 6))


def rows(X):
    """Rows to learn from, and those that are held out."""
    return np.split(np.arange(len(X)), [2 * len(X) // 3])


def make_source(X=X, **params):
    dataset, loss = Dataset(X, no_values(len(X))), LOSSES["squared_error"]
    held_out = dataset, rows(X)[1]
    params = check_slots(parameters(n_components=2, **params), X.shape[1])
    return Source(params, dataset, held_out, None, loss, ThreadTuner(), 0, None)


@pytest.fixture
def source():
    return make_source(max_iter=60)


@pytest.fixture
def trial(source):
    return source.trial(rows(X)[0], Regime("identity"))


def weights(training):
    return training.objective.parameters.copy()


def test_a_trial_that_goes_back_makes_the_same_passes_again(trial):
    trial.advance(5)
    state = trial.state()
    trial.go_back(state)
    trial.advance(9)
    curves, end = (trial.loss_curve, trial.validation_curve), weights(trial.training)
    trial.go_back(state)
    assert len(trial.loss_curve) == trial.early_stopping.n_iter == 5
    trial.decay()
    trial.advance(9)
    assert trial.loss_curve != curves[0]
    trial.go_back(state)
    trial.advance(9)
    assert (trial.loss_curve, trial.validation_curve) == curves
    assert torch.equal(weights(trial.training), end)
    assert trial.training.optimizer.alpha == 0.0


def test_passes_that_were_good_are_made_again(source, trial):
    trial.advance(6)
    trial.decay()
    trial.advance(10)
    trial.early_stopping.best_iter = 10
    again = source.training(rows(X)[0], trial.regime)
    trial.retrain(again)
    assert again.optimizer.alpha > 0
    assert again.optimizer.n_steps_made == 10 * again.batches.n_batches
    trial.early_stopping.best_iter = 4
    again = source.training(rows(X)[0], trial.regime)
    trial.retrain(again)
    assert (again.optimizer.alpha, again.optimizer.n_steps_made) == (0.0, 4)


@pytest.mark.parametrize(
    ("n_samples", "noise", "decays"), [(90, 0.5, True), (900, 0.0, False)]
)
def test_weights_decay_if_there_is_noise_to_learn_by_heart(n_samples, noise, decays):
    rng = np.random.default_rng(1)
    T = rng.uniform(-2, 2, size=(n_samples, 2))
    X = np.hstack([T, T**2, np.sin(3 * T), np.cos(T), np.tanh(T)])
    X += noise * rng.normal(size=X.shape)
    source = make_source(X, max_iter=400 * 90 // n_samples)
    trial = source.trial(rows(X)[0], Regime("identity"))
    config = trial.training.config
    trial.early_stopping.config = replace(config, n_iter_no_change=np.inf)
    trial._look_for_overfitting = lambda: None
    try_decay(trial)
    assert (trial.training.optimizer.alpha > 0) == decays
    assert len(trial.loss_curve) == len(trial.validation_curve)


def test_weights_decay_from_the_best_on_and_not_for_long_in_vain(trial):
    trial.advance(20)
    trial.early_stopping.reason, trial.early_stopping.best_iter = "converged", 3
    trial.early_stopping.best_loss = trial.early_stopping._target = 0.0
    decay_if_overfitted(trial)
    assert trial.early_stopping.reason == "converged"
    assert len(trial.loss_curve) == 20 + 4  # of nine passes
    trial.early_stopping.best_iter = 22
    assert trial._parts_to_best() == [(None, 3), (9, 2)]


@pytest.mark.parametrize("params", [{"alpha": 0.0}, {"n_iter_no_change": 10}])
def test_weights_decay_only_where_nobody_has_chosen(params):
    trial = make_source(max_iter=60, **params).trial(rows(X)[0], Regime("identity"))
    assert not trial.may_decay


def test_patience_waits_for_shorter_steps_until_the_schedule_ends(trial):
    trial.early_stopping.best_loss, trial.early_stopping.best_iter = 0.0, 1
    trial.early_stopping._target = 0.0
    trial._pca_gap = np.inf  # no gap is wider: nothing is overfitted
    trial.advance(2 * trial.training.config.max_iter)
    assert trial.early_stopping.reason == "max_iter"
    assert len(trial.loss_curve) == trial.training.config.max_iter
