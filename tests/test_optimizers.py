"""Optimizers: the steps they take, what they decay, and the schedules."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoEncoderTransformer
from skae._training import soap
from skae._training.flat_parameters import FlatParameters
from skae._training.optimizers import SCHEDULES, SOLVERS, Optimizer
from skae._training.solvers import AdamW, _orthogonal


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


@pytest.mark.parametrize("solver", ["muon", "soap"])
def test_kernels_and_biases_move_as_with_adamw(solver):
    kernels = []
    for name in ("adamw", solver):
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
    for of_adam, of_solver in zip(*kernels, strict=True):
        torch.testing.assert_close(of_adam, of_solver)


def correlated_regression(n_features, n_outputs, seed=0):
    """Return rows of correlated features, and targets that are linear in them."""
    rng = np.random.RandomState(seed)
    axes = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    hidden, scale = rng.normal(size=(500, n_features)), np.geomspace(1, 0.1, n_features)
    x, y = hidden * scale @ axes, hidden[:, :n_outputs]
    return torch.from_numpy(x).float(), torch.from_numpy(y).float()


def loss_after(name, n_features, n_outputs, n_steps=300):
    """Return the loss of a linear regression after some steps of a solver."""
    x, y = correlated_regression(n_features, n_outputs)
    torch.manual_seed(0)
    layer = nn.Linear(n_features, n_outputs)
    parameters = FlatParameters(layer)
    config = SimpleNamespace(
        solver=name, learning_rate="one_cycle", learning_rate_init=0.1, alpha=0.0
    )
    optimizer = Optimizer(parameters, config, n_steps)
    for _ in range(n_steps):
        parameters.gradients.zero_()
        loss = torch.nn.functional.mse_loss(layer(x), y)
        loss.backward()
        optimizer.step()
        optimizer.end_step()
    return loss.item()


@pytest.mark.parametrize("n_outputs", [3, 8])
def test_soap_learns_from_correlated_inputs(n_outputs):
    assert loss_after("soap", 8, n_outputs) < 0.1 * loss_after("adamw", 8, n_outputs)


def test_soap_updates_layers_with_many_inputs_as_adamw_with_its_rates(monkeypatch):
    monkeypatch.setattr(soap, "_MOST_INPUTS", 7)
    monkeypatch.setattr(AdamW, "beta2", soap.Soap.beta2)
    assert loss_after("soap", 8, 3) == pytest.approx(loss_after("adamw", 8, 3), 1e-4)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_soap_rotates_to_where_derivatives_are_uncorrelated(shape):
    n_outputs, n_inputs = shape
    rng = np.random.RandomState(0)
    mix = torch.from_numpy(rng.normal(size=(n_inputs, n_inputs))).float()
    layer = nn.Linear(n_inputs, n_outputs)
    parameters = FlatParameters(layer)
    config = SimpleNamespace(
        solver="soap", learning_rate="constant", learning_rate_init=0.0, alpha=0.0
    )
    optimizer = Optimizer(parameters, config, 10)
    for _ in range(2_001):
        gradient = torch.from_numpy(rng.normal(size=shape)).float() @ mix
        layer.weight.grad.copy_(gradient)
        optimizer.step()
        optimizer.end_step()
    (rotated,) = optimizer.rule.layers
    basis = rotated.basis
    torch.testing.assert_close(basis.T @ basis, torch.eye(n_inputs), atol=1e-5, rtol=0)
    covariance = basis.T @ (mix.T @ mix) @ basis
    scale = covariance.diag().sqrt()
    correlation = covariance / scale / scale[:, None] - torch.eye(n_inputs)
    before = mix.T @ mix
    scale = before.diag().sqrt()
    at_first = before / scale / scale[:, None] - torch.eye(n_inputs)
    assert correlation.norm() < 0.5 * at_first.norm()


def test_soap_survives_weights_that_have_diverged():
    for first in (1.0, np.nan, np.inf):
        _, parameters, optimizer = make("soap")
        for value in (first, np.nan, np.inf):
            parameters.gradients.fill_(value)
            for _ in range(51):
                optimizer.step()
                optimizer.end_step()
        assert parameters.values.isnan().all()


def test_soap_rotates_its_momentum_with_the_basis():
    _, parameters, optimizer = make("soap", rate=1e-3)
    for seed in range(51):
        torch.manual_seed(seed)
        parameters.gradients.normal_()
        optimizer.step()
        if seed in (0, 50):  # then the basis is renewed
            (layer,) = optimizer.rule.layers
            momentum = layer.mean @ layer.basis_t
            optimizer.end_step()
            torch.testing.assert_close(layer.mean @ layer.basis_t, momentum)
        else:
            optimizer.end_step()


def test_products_of_soap_are_those_of_all_its_layers():
    """The numbers of threads that may be used are those that do not change them."""
    _, parameters, optimizer = make("soap")
    parameters.gradients.normal_()
    g = parameters.linear[0][1]
    square = g.t() @ g
    moved = parameters.linear[0][0] + g @ square @ square.t()
    made = optimizer.with_products(parameters.gradients)
    expected = parameters.gradients, square, g @ square, moved
    torch.testing.assert_close(made, torch.cat([e.reshape(-1) for e in expected]))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_restored_state_continues_as_if_nothing_had_happened(name):
    def step(parameters, optimizer, seeds):
        for seed in seeds:
            torch.manual_seed(seed)
            parameters.gradients.normal_()
            optimizer.step()
            optimizer.end_step()

    _, parameters, optimizer = make(name)
    step(parameters, optimizer, range(70))
    values, state = parameters.copy(), optimizer.state_dict()
    step(parameters, optimizer, range(70, 140))
    _, others, restored = make(name)
    others.restore(values)
    restored.load_state_dict(state)
    step(others, restored, range(70, 140))
    assert torch.equal(others.values, parameters.values)


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
