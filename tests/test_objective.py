"""Training: the objective against its formula, flat gradients against autograd's."""

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoEncoderTransformer, Gaussian, Sparsity
from skae._data.batches import Batches
from skae._data.scaling import Scaling
from skae._data.targets import no_values
from skae._fitting.dataset import Dataset
from skae._nn.autoencoder import initialise
from skae._nn.dense_backprop import DenseBackprop
from skae._nn.layers import ACTIVATIONS
from skae._parts.losses import LINKS, LOSSES, check_loss
from skae._parts.networks import make_autoencoder
from skae._runtime.threads import ThreadTuner
from skae._training.batch import Batch
from skae._training.flat_parameters import FlatParameters
from skae._training.loop import epochs, evaluate, row_losses
from skae._training.objective import Objective
from skae._training.terms import PullToPCA, Reconstruction

CPU = torch.device("cpu")


DENSE = ("Dense", {})


class Still:
    """A solver that does not move."""

    steps = n_steps_made = 0
    n_steps = 100
    progress = 1.0
    out_of_time = False

    def step(self):
        self.steps += 1

    def end_step(self):
        pass


def make(loss="squared_error", output_activation="auto", n_samples=23, network=None):
    rng = np.random.default_rng(0)
    X = rng.dirichlet(np.ones(5), size=n_samples)
    scaling = Scaling.fit(X, np.arange(n_samples), standardize=False)
    loss, link = check_loss(loss, output_activation)
    network = network or make_autoencoder(5, 2, 2, (4,), "tanh", "random", DENSE)
    initialise(network, LINKS[link].start(scaling.mean), rng)
    objective = Objective(network, Reconstruction(loss, link, scaling, CPU))
    dataset = Dataset(X, no_values(n_samples))
    return (
        X,
        scaling,
        objective,
        Batches(dataset, np.arange(n_samples), scaling, 4, CPU),
    )


def a_batch(batches):
    x, t = next(batches.in_order())
    return Batch(x, t, x, np.random.default_rng(0))


def test_flat_parameters_are_the_networks_own():
    network = make_autoencoder(5, 2, 2, (4,), "relu", "random", DENSE)
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
    flat.matrix_gradients.fill_(1.0)
    assert all((p.grad == (p.ndim == 2)).all() for p in network.parameters())


@pytest.mark.parametrize("path", ["dense", "autograd"])
@pytest.mark.parametrize("init", ["random", "pca"])
@pytest.mark.parametrize(
    ("loss", "activation", "hidden"),
    [(loss, "tanh", (4,)) for loss in LOSSES]
    + [("squared_error", activation, (7, 6)) for activation in ACTIVATIONS]
    + [("squared_error", "relu", ())],
)
def test_gradient_is_autograds_of_the_loss(loss, activation, hidden, init, path):
    _, _, objective, batches = make(
        loss, network=make_autoencoder(5, 2, 2, hidden, activation, init, DENSE)
    )
    assert objective.dense is not None
    if path == "autograd":
        objective.dense = None
    batch = a_batch(batches)
    x = batch.x
    network, penalty = objective.network, 0.0
    objective.fast = network  # whose losses autograd can follow
    if init == "pca":
        draw = np.random.default_rng(1).normal
        for part in (network.encoder, network.decoder):
            part.linear.copy_(torch.from_numpy(draw(size=part.linear.shape)))
            part.correction[-1].weight.data.fill_(0.1)  # it would start at zero
        objective.pull = PullToPCA(0.7, np.array([2.0, 3.0]), CPU)
        residual = network.encoder.correction(x)
        penalty = (residual**2 * objective.pull.weight).mean()
    parameters = list(network.parameters())
    expected = torch.autograd.grad(objective(batch).mean() + penalty, parameters)
    for _ in range(2):  # a second call replaces the first one's gradient
        value = float(objective.backward(batch))
    assert value == pytest.approx(objective(batch).mean().item(), rel=1e-5)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize(
    "activation", ["quick_gelu", "silu", "gelu", "elu", "selu", "softplus"]
)
def test_no_gradient_becomes_subnormal(activation):
    network = make_autoencoder(5, 2, 2, (700,), activation, "random", DENSE)
    _, _, objective, batches = make(network=network)
    first = network.encoder[0]
    slope = getattr(network.encoder[1], "slope", 1.0)
    # What comes before the activation is -5 to -110, in steps that hit any band.
    first.weight.data.zero_()
    first.bias.data.copy_(-torch.linspace(5, 110, 700) / slope)
    batch = a_batch(batches)

    def gradients():
        objective.backward(batch)
        gradient = first.bias.grad.abs()
        is_subnormal = (gradient > 0) & (gradient < torch.finfo(torch.float32).tiny)
        return is_subnormal.sum().item(), first.bias.grad.clone()

    n_before, before = gradients()
    objective.avoid_underflow()
    n_after, after = gradients()
    assert n_before > 0 and n_after == 0
    torch.testing.assert_close(after, before, rtol=0, atol=1e-20)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("path", ["dense", "autograd"])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_rows_moved_outward_count_in_proportion(loss, path, ordered):
    _, _, objective, batches = make(
        loss, network=make_autoencoder(5, 2, 2, (4,), "tanh", "pca", DENSE)
    )
    network = objective.network
    for part in (network.encoder, network.decoder):
        part.linear.fill_(0.3)
        part.correction[-1].weight.data.fill_(0.1)  # it would start at zero
    objective.pull = PullToPCA(0.7, np.array([2.0, 3.0]), CPU)
    if path == "autograd":
        objective.dense = None
    x, t = next(batches.in_order())
    factors = torch.tensor([[3.0], [100.0]])
    everyone = torch.ones(len(x), 1)
    everyone[:2] = factors
    moved = everyone * x
    moved[0] = x[0] + torch.tensor([0.0, 0, 7, 0, 0])
    wanted = moved / everyone
    network.train()
    kept = torch.ones(len(x), 2)
    kept[::2, 1] = 0.0 if ordered else 1.0
    output = network.decoder(kept * network.encoder(moved)) / everyone
    residual = network.encoder.correction(moved) / everyone
    losses = objective.reconstruction.loss.function(output, wanted)
    total = losses.mean() + (residual**2 * objective.pull.weight).mean()
    parameters = list(network.parameters())
    expected = torch.autograd.grad(total, parameters)
    mask = kept if ordered else None
    batch = Batch(wanted, t, moved, factors=factors, code_mask=mask)
    value = float(objective.backward(batch))
    assert value == pytest.approx(losses[2:].mean().item(), rel=1e-5)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("loss", LOSSES)
def test_objective_compares_reconstruction_and_data(loss):
    X, scaling, objective, batches = make(loss)
    value = evaluate(objective, batches)
    x = torch.from_numpy(scaling.apply(X)).float()
    output = objective.network(x).double()
    target = torch.from_numpy(X) if LOSSES[loss].canonical else x.double()
    assert value == pytest.approx(
        LOSSES[loss].function(output, target).mean().item(), 1e-4
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        # With larger steps rounding alone grows beyond the bound.
        {"init": "pca", "learning_rate_init": 5e-4},
        {"init": "pca", "n_components": 40, "learning_rate_init": 5e-4},
        {"ordered": True},
        {"penalty": Sparsity()},
        {"latent": "gaussian"},
        {"latent": Gaussian(0.1), "penalty": "sparsity", "ordered": True},
        {"latent": Gaussian(0.1), "linearity": 0.3, "loss": "huber"},
    ],
)
def test_both_paths_train_to_the_same_weights(params, monkeypatch, digits):
    """A hundred steps with and without autograd end at the same place."""
    params = {"learning_rate_init": 2e-3, "n_components": 4} | params
    # SOAP's bases would make more of the rounding errors.
    model = AutoEncoderTransformer(max_iter=8, random_state=0, solver="adamw", **params)
    dense = model.fit(digits[0])._weights
    monkeypatch.setattr(DenseBackprop, "handles", lambda network: False)
    autograd = model.fit(digits[0])._weights
    for name, weight in dense.items():
        np.testing.assert_allclose(weight, autograd[name], atol=1e-5)


def test_an_unknown_layer_takes_the_path_of_autograd():
    class Cube(nn.Module):
        def forward(self, x):
            return x**3

    network = make_autoencoder(5, 2, 2, (4,), "tanh", "random", DENSE)
    network.encoder[1] = Cube()
    _, _, objective, batches = make(network=network)
    assert objective.dense is None
    assert objective.backward(a_batch(batches)).isfinite()


def test_linked_output_is_compared_in_scaled_units():
    X, scaling, objective, batches = make(output_activation="logistic")
    x = torch.from_numpy(scaling.apply(X)).float()
    reconstruction = torch.sigmoid(objective.network(x)).detach().numpy()
    expected = (((reconstruction - X) / scaling.scale) ** 2).mean()
    assert evaluate(objective, batches) == pytest.approx(expected, 1e-4)


def test_loss_of_a_pass_is_the_mean_over_rows():
    _, _, objective, batches = make()
    solver = Still()
    rng = np.random.default_rng(0)
    passes = epochs(objective, batches, solver, rng, ThreadTuner(1))
    # No step moves the weights, so the pass meets the loss of all rows.
    assert next(passes) == pytest.approx(evaluate(objective, batches))
    assert solver.steps == batches.n_batches == 6
    next(passes)
    assert solver.steps == 12


def test_a_pass_with_broken_weights_has_no_loss():
    _, _, objective, batches = make()
    solver = Still()
    solver.step = lambda: objective.parameters.values.fill_(np.nan)
    batches.n_batches = 1  # the loss is met before the step
    batches.batch_size = batches.n_samples
    rng = np.random.default_rng(0)
    assert np.isnan(next(epochs(objective, batches, solver, rng, ThreadTuner(1))))


def test_each_row_has_its_loss():
    X, scaling, objective, batches = make()
    x = torch.from_numpy(scaling.apply(X)).float()
    error = (objective.network(x) - x).square().mean(dim=1).double()
    torch.testing.assert_close(row_losses(objective, batches), error)


def test_evaluation_leaves_no_gradient():
    _, _, objective, batches = make()
    evaluate(objective, batches)
    assert not objective.parameters.gradients.any()
