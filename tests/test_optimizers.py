"""Optimizers: the steps they take, what they decay, and the schedules."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoEncoderTransformer
from skae._training.flat_parameters import FlatParameters
from skae._training.optimizers import SCHEDULES, SOLVERS, Optimizer, _orthogonal


def make(name="adam", schedule="constant", rate=0.1, alpha=0.0, n_steps=10):
    layer = nn.Linear(3, 2)
    parameters = FlatParameters(layer)
    config = SimpleNamespace(
        solver=name,
        learning_rate=schedule,
        learning_rate_init=rate,
        alpha=alpha,
        max_time=np.inf,
    )
    return layer, parameters, Optimizer(parameters, config, n_steps)


@pytest.mark.parametrize("name", SOLVERS)
def test_first_step_goes_down_the_gradient(name):
    layer, parameters, optimizer = make(name)
    before = parameters.copy()
    parameters.gradients.fill_(2.0)
    optimizer.step()
    assert (parameters.values < before).all()
    # The layer's own parameters are views of the same numbers, transposed if wide.
    assert torch.equal(layer.weight.t().reshape(-1), parameters.values[:6])


def test_laid_end_to_end_weights_are_what_they_were():
    layers = nn.Linear(5, 2), nn.Linear(2, 5), nn.Linear(3, 3)
    before = [p.detach().clone() for layer in layers for p in layer.parameters()]
    parameters = FlatParameters(*layers)
    after = [p for layer in layers for p in layer.parameters()]
    for p, q in zip(before, after, strict=True):
        assert torch.equal(p, q)
        assert q.grad.stride() == q.stride()
    parameters.values.zero_()
    assert not any(p.any() for p in after)


def test_adam_moves_by_the_step_size_first():
    _, parameters, optimizer = make("adam", rate=0.25)
    before = parameters.copy()
    parameters.gradients.fill_(-3.0)
    optimizer.step()
    torch.testing.assert_close(parameters.values, before + 0.25)


@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (20, 20), (1, 5)])
def test_orthogonal_keeps_the_singular_vectors(shape):
    matrix = np.random.RandomState(0).normal(size=shape).astype(np.float32)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    for scale in (1.0, 1e-12, 1e12):
        made = _orthogonal(torch.from_numpy(scale * matrix)).numpy()
        values = u.T @ made @ v.T
        assert np.abs(values - np.diag(np.diag(values))).max() < 1e-4
        assert (np.diag(values) > 0.5).all()
        assert (np.diag(values) < 1.3).all()


def test_muon_moves_all_directions_of_a_matrix_alike():
    layer, parameters, optimizer = make("muon", rate=0.1)
    before = layer.weight.detach().clone()
    # A gradient that hardly shows its second direction.
    layer.weight.grad.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.05, 0.0]]))
    optimizer.step()
    moved = (before - layer.weight.detach()).numpy()
    ratio = moved[1, 1] / moved[0, 0]
    assert 0.5 < ratio < 2
    assert np.linalg.norm(moved) == pytest.approx(0.1 * 0.2 * 6**0.5, rel=0.3)


def test_muon_moves_kernels_and_biases_as_adamw_does():
    kernels = []
    for name in ("adamw", "muon"):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 5))
        config = SimpleNamespace(
            solver=name,
            learning_rate="constant",
            learning_rate_init=0.1,
            alpha=0.0,
            max_time=np.inf,
        )
        parameters = FlatParameters(network)
        parameters.gradients.copy_(torch.linspace(-1, 1, len(parameters.gradients)))
        Optimizer(parameters, config, 10).step()
        kernels.append([network[0].weight, network[0].bias, network[1].bias])
    for of_adam, of_muon in zip(*kernels, strict=True):
        torch.testing.assert_close(of_adam, of_muon)


@pytest.mark.parametrize("name", SOLVERS)
def test_decay_shrinks_matrices_and_leaves_biases(name):
    layer, parameters, optimizer = make(name, alpha=0.5)
    with torch.no_grad():
        parameters.values.fill_(1.0)
    optimizer.step()  # the gradient is zero: only the decay moves
    assert (layer.weight < 1).all()
    assert (layer.bias == 1).all()


def test_one_cycle_rises_and_falls_to_zero():
    one_cycle = [SCHEDULES["one_cycle"](t) for t in np.linspace(0, 1, 101)]
    peak = int(np.argmax(one_cycle))
    assert 10 < peak < 40
    assert one_cycle[peak] == pytest.approx(1)
    assert (np.diff(one_cycle[: peak + 1]) > 0).all()
    assert (np.diff(one_cycle[peak:]) < 0).all()
    assert one_cycle[-1] == pytest.approx(0, abs=1e-9)


def test_step_size_follows_the_schedule():
    _, _, optimizer = make("sgd", "one_cycle", rate=2.0, n_steps=5)
    seen = []
    optimizer.rule.step = seen.append
    for _ in range(5):
        optimizer.step()
    expected = [2.0 * SCHEDULES["one_cycle"](i / 5) for i in range(5)]
    assert seen == pytest.approx(expected)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_solver_learns_with_its_own_step_size(name, schedule, digits):
    model = AutoEncoderTransformer(
        8, solver=name, learning_rate=schedule, max_iter=30, random_state=0
    ).fit(digits[0][:600])
    assert model.score(digits[0][600:]) > 0.6


@pytest.mark.parametrize("name", SOLVERS)
def test_alpha_reaches_the_weights(name, X):
    def norm(alpha):
        model = AutoEncoderTransformer(
            solver=name,
            alpha=alpha,
            init="random",
            max_iter=20,
            early_stopping=False,
            random_state=0,
        ).fit(X)
        return sum((w**2).sum() for k, w in model._weights.items() if "weight" in k)

    assert norm(1.0) < norm(0.0)
