"""Training: the objective against its formula, flat gradients against autograd's."""

import numpy as np
import pytest
import torch

from skae._data import Batches
from skae._losses import LINKS, LOSSES, check_loss
from skae._networks import AutoEncoder, initialise
from skae._scaling import Scaling
from skae._training import FlatParameters, Objective, epochs, evaluate

CPU = torch.device("cpu")


class Still:
    """A solver that does not move."""

    steps = 0

    def step(self):
        self.steps += 1


def make(loss="squared_error", output_activation="auto", n_rows=23):
    rng = np.random.default_rng(0)
    X = rng.dirichlet(np.ones(5), size=n_rows)
    scaling = Scaling.fit(X, np.arange(n_rows), standardize=False)
    loss, link = check_loss(loss, output_activation)
    network = AutoEncoder(5, 2, (4,), "tanh")
    initialise(network, LINKS[link].start(scaling.mean), rng)
    objective = Objective(network, loss, link, scaling, CPU)
    return X, scaling, objective, Batches(X, np.arange(n_rows), scaling, 4, CPU)


def test_flat_parameters_are_the_networks_own():
    network = AutoEncoder(5, 2, (4,), "relu")
    initialise(network, np.zeros(5), np.random.default_rng(0))
    flat = FlatParameters(network)
    n_weights = sum(p.numel() for p in network.parameters())
    assert flat.values.shape == flat.gradients.shape == (n_weights,)
    n_matrices = sum(p.numel() for p in network.parameters() if p.ndim == 2)
    assert flat.matrices.shape == (n_matrices,)
    kept = flat.copy()
    flat.values.fill_(3.0)
    assert all((p == 3).all() for p in network.parameters())
    flat.restore(kept)
    assert torch.equal(flat.values, kept)
    assert torch.equal(flat.vectors, kept[n_matrices:])


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_autograds_of_the_loss(loss):
    _, _, objective, batches = make(loss)
    x = next(batches.in_order())
    parameters = list(objective.network.parameters())
    expected = torch.autograd.grad(objective(x), parameters)
    for _ in range(2):  # a second call replaces the first one's gradient
        value = objective.backward(x)
    assert value == pytest.approx(objective(x).item())
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("loss", LOSSES)
def test_objective_compares_reconstruction_and_data(loss):
    X, scaling, objective, batches = make(loss)
    value = evaluate(objective, batches)
    x = torch.from_numpy(scaling.apply(X)).float()
    output = objective.network(x).double()
    target = torch.from_numpy(X) if LOSSES[loss].canonical else x.double()
    assert value == pytest.approx(LOSSES[loss].function(output, target).item(), 1e-4)


def test_linked_output_is_compared_in_scaled_units():
    X, scaling, objective, batches = make(output_activation="logistic")
    x = torch.from_numpy(scaling.apply(X)).float()
    reconstruction = torch.sigmoid(objective.network(x)).detach().numpy()
    expected = (((reconstruction - X) / scaling.scale) ** 2).mean()
    assert evaluate(objective, batches) == pytest.approx(expected, 1e-4)


def test_loss_of_a_pass_is_the_mean_over_rows():
    _, _, objective, batches = make()
    solver = Still()
    passes = epochs(objective, batches, solver, np.random.default_rng(0))
    # No step moves the weights, so the pass meets the loss of all rows.
    assert next(passes) == pytest.approx(evaluate(objective, batches))
    assert solver.steps == batches.n_batches == 6
    next(passes)
    assert solver.steps == 12


def test_a_pass_with_broken_weights_has_no_loss():
    _, _, objective, batches = make()
    solver = Still()
    solver.step = lambda: objective.parameters.values.fill_(np.nan)
    batches.n_batches = 1
    assert np.isnan(next(epochs(objective, batches, solver, np.random.default_rng(0))))


def test_evaluation_leaves_no_gradient():
    _, _, objective, batches = make()
    evaluate(objective, batches)
    assert not objective.parameters.gradients.any()
