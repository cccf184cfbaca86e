"""Model: its shapes, its start, and every activation trained."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from torch import nn

from skae import AutoEncoderTransformer
from skae._nn.autoencoder import Anchored, initialise, step_flops
from skae._nn.layers import ACTIVATIONS
from skae._parts.networks import make_autoencoder

DENSE = ("Dense", {})


def shapes(module):
    return [tuple(m.weight.shape) for m in module if isinstance(m, nn.Linear)]


def test_decoder_mirrors_the_encoder():
    network = make_autoencoder(10, 2, 2, (7, 5), "relu", "random", DENSE)
    assert shapes(network.encoder) == [(7, 10), (5, 7), (2, 5)]
    assert shapes(network.decoder) == [(5, 2), (7, 5), (10, 7)]


def test_code_and_output_are_linear():
    network = make_autoencoder(10, 2, 2, (7,), "tanh", "random", DENSE)
    assert [type(m) for m in network.encoder] == [nn.Linear, nn.Tanh, nn.Linear]
    assert [type(m) for m in network.decoder] == [nn.Linear, nn.Tanh, nn.Linear]


def test_start_is_glorots_and_the_output_bias_what_was_asked():
    network = make_autoencoder(300, 100, 100, (200,), "relu", "random", DENSE)
    start = np.arange(300.0)
    initialise(network, start, np.random.default_rng(0))
    weight = network.encoder[0].weight.detach().numpy()
    assert weight.std() == pytest.approx((2 / 500) ** 0.5, rel=0.01)
    assert abs(weight).max() <= (6 / 500) ** 0.5
    assert_allclose(network.decoder[-1].bias.detach(), start)
    assert not network.encoder[0].bias.detach().any()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_trains(activation, X):
    model = AutoEncoderTransformer(
        4,
        activation=activation,
        hidden_layer_sizes=(32,),
        init="random",
        early_stopping=False,
        max_iter=150,
        random_state=0,
    ).fit(X)
    assert model._architecture["activation"] == activation
    assert model.result_ == "network" and model.score(X) > 0.9


@pytest.mark.parametrize("n_components", [1, 3])
def test_linear_autoencoder_reaches_the_error_of_pca(n_components):
    """Baldi, Hornik (1989): no other minimum than the principal subspace."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 8)) @ rng.normal(size=(8, 8)) + 10
    model = AutoEncoderTransformer(
        n_components,
        hidden_layer_sizes=(),
        init="random",
        early_stopping=False,
        alpha=0,
        n_iter_no_change=1000,
        random_state=0,
    ).fit(X)
    pca = PCA(n_components).fit(X)
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).mean()
    assert model.reconstruction_error(X).mean() == pytest.approx(error, rel=1e-3)


def test_flops_of_a_step_count_three_products_a_weight():
    network = make_autoencoder(10, 3, 3, (5,), "relu", "random", DENSE)
    assert step_flops(network, 100) == 6 * 2 * (10 * 5 + 5 * 3) * 100


def test_flops_of_convolutions_count_their_places():
    network = ("Conv", {"image_shape": (5, 6), "channels": (4,)})
    network = make_autoencoder(30, 3, 3, (), "relu", "random", network)
    places = 3 * 3  # half of each side, rounded up
    n_products = 2 * (9 * 4 * places + 4 * places * 3)
    assert step_flops(network, 1) == 6 * n_products


def test_construction_draws_nothing_from_torchs_generator():
    before = torch.get_rng_state()
    initialise(
        make_autoencoder(5, 2, 2, (4,), "relu", "random", DENSE),
        np.zeros(5),
        np.random.default_rng(0),
    )
    assert torch.equal(torch.get_rng_state(), before)


class TestAnchored:
    @pytest.fixture
    def part(self):
        part = Anchored(nn.Sequential(nn.Linear(3, 2)), 3, 2)
        with torch.no_grad():
            part.correction[0].weight.copy_(torch.arange(6.0).view(2, 3))
            part.correction[0].bias.fill_(1.0)
            part.linear.fill_(0.5)
            part.trust_radius.fill_(2.0)
        return part

    def test_inside_the_radius_both_parts_add_up(self, part):
        x = torch.tensor([[1.0, -1.0, 0.5], [0.0, 0.0, 0.0]])
        expected = x @ part.linear.t() + part.correction(x)
        torch.testing.assert_close(part.eval()(x), expected)
        torch.testing.assert_close(part.train()(x), expected)

    @pytest.mark.parametrize("factor", [1.0, 3.0, 1e3, 1e20])
    def test_outside_the_correction_fades(self, part, factor):
        x = torch.tensor([[0.0, 2.0, 0.0]])
        correction = part.eval()(factor * x) - factor * x @ part.linear.t()
        expected = part.correction(x) / factor
        torch.testing.assert_close(correction, expected, atol=1e-6 * factor, rtol=1e-4)

    def test_while_training_it_does_not(self, part):
        x = torch.tensor([[0.0, 200.0, 0.0]])
        expected = x @ part.linear.t() + part.correction(x)
        torch.testing.assert_close(part.train()(x), expected)

    def test_linear_map_is_not_trained(self, part):
        assert {name for name, _ in part.named_parameters()} == {
            "correction.0.weight",
            "correction.0.bias",
        }
