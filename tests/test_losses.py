"""Losses against scipy's and scikit-learn's values, links against their inverses."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit, rel_entr, softmax
from sklearn.metrics import log_loss, mean_poisson_deviance
from threadpoolctl import threadpool_limits

from skae import AutoEncoderTransformer
from skae._data.column_kinds import looks_like_pictures
from skae._parts.losses import LINKS, LOSSES, check_loss


@pytest.fixture
def output():
    return np.random.RandomState(0).normal(size=(20, 6))


def loss(name, output, target):
    losses = LOSSES[name].function(torch.tensor(output), torch.tensor(target))
    assert losses.shape == (len(output),)
    return losses.mean().item()


class TestKnownAnswers:
    def test_squared_absolute_huber(self, output):
        target = np.random.RandomState(1).normal(size=output.shape)
        error = np.abs(output - target)
        assert loss("squared_error", output, target) == pytest.approx((error**2).mean())
        assert loss("absolute_error", output, target) == pytest.approx(error.mean())
        huber = np.where(error < 1, error**2 / 2, error - 0.5)
        assert loss("huber", output, target) == pytest.approx(huber.mean())

    def test_log_loss(self, output):
        target = (np.random.RandomState(1).random(output.shape) < 0.5).astype(float)
        expected = log_loss(target.ravel(), expit(output).ravel())
        assert loss("log_loss", output, target) == pytest.approx(expected)

    def test_kl_divergence(self, output):
        target = np.random.RandomState(1).dirichlet(np.ones(6), size=20)
        target[0] = np.eye(6)[0]  # zeros count nothing
        expected = rel_entr(target, softmax(output, axis=1)).sum(axis=1).mean()
        assert loss("kl_divergence", output, target) == pytest.approx(expected)
        assert loss("kl_divergence", np.log(target + 1e-300), target) < 1e-12

    def test_poisson(self, output):
        target = np.random.RandomState(1).poisson(2, size=output.shape).astype(float)
        expected = mean_poisson_deviance(target.ravel(), np.exp(output).ravel()) / 2
        assert loss("poisson", output, target) == pytest.approx(expected)

    @pytest.mark.parametrize("name", LOSSES)
    def test_extreme_outputs_give_finite_losses_and_gradients(self, name):
        output = torch.tensor([[-1e4, 1e4, 0.0]], requires_grad=True)
        LOSSES[name].function(output, torch.tensor([[0.0, 1.0, 0.0]])).backward()
        assert output.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(LINKS.keys() - {"identity"}))
def test_start_of_a_link_reconstructs_the_mean(name):
    mean = np.array([0.2, 0.3, 0.5])
    start = torch.from_numpy(LINKS[name].start(mean))
    assert_allclose(LINKS[name].inverse(start), mean)


@pytest.mark.parametrize("name", LINKS)
def test_start_of_a_link_is_finite_at_the_ends_of_its_range(name):
    assert np.isfinite(LINKS[name].start(np.array([-1.0, 0.0, 1.0, 1e9]))).all()


@pytest.mark.parametrize("name", LOSSES)
def test_auto_output_activation_is_the_link(name):
    assert check_loss(name, "auto")[1] == LOSSES[name].link
    assert check_loss(name, LOSSES[name].link)[1] == LOSSES[name].link


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.eye(30), True),
        (np.full((30, 30), 0.5) + np.eye(30) / 2, False),  # too few at the ends
        (2 * np.eye(30), False),
        (-np.eye(30), False),
        (np.zeros((30, 30)), False),
    ],
)
def test_pictures_are_known_by_their_range(X, expected):
    assert looks_like_pictures(X) == expected


class TestDomains:
    @pytest.mark.parametrize(
        ("loss", "X", "message"),
        [
            ("log_loss", [[0.0, 1.5], [0, 1]], "got a maximum of 1.5"),
            ("log_loss", [[0.0, -0.5], [0, 1]], "down to -0.5"),
            ("poisson", [[3.0, -1], [0, 1]], "down to -1"),
            ("kl_divergence", [[0.5, 0.5], [-1, 2]], "down to -1"),
            ("kl_divergence", [[0.5, 0.5], [0.5, 0.4]], "row 1 sums to 0.9"),
        ],
    )
    def test_data_outside_are_refused(self, loss, X, message):
        with pytest.raises(ValueError, match=message):
            AutoEncoderTransformer(loss=loss).fit(X)

    @pytest.mark.parametrize(
        ("params", "low", "high"),
        [
            ({"loss": "log_loss"}, 0, 1),
            ({"loss": "poisson"}, 0, np.inf),
            ({"loss": "kl_divergence"}, 0, 1),
            ({"output_activation": "logistic"}, 0, 1),
            ({"output_activation": "tanh"}, -1, 1),
            ({"output_activation": "relu"}, 0, np.inf),
            ({"output_activation": "softplus"}, 0, np.inf),
            ({"output_activation": "exp"}, 0, np.inf),
            ({"output_activation": "softmax"}, 0, 1),
        ],
    )
    def test_reconstructions_stay_inside(self, params, low, high):
        X = np.random.RandomState(0).dirichlet(np.ones(5) / 3, size=60)
        model = AutoEncoderTransformer(1, max_iter=30, random_state=0, **params).fit(X)
        R = model.inverse_transform(np.linspace(-50, 50, 11)[:, None])
        assert R.min() >= low
        assert R.max() <= high
        if "softmax" in (model._link,):
            assert_allclose(R.sum(axis=1), 1)
        assert model.score(X) > 0


def test_poisson_learns_counts_of_any_size():
    rng = np.random.RandomState(0)
    rate = np.exp(rng.normal(size=(300, 1)) @ np.array([[1, -1, 0.5, 2]]) + 6)
    X = rng.poisson(rate)
    model = AutoEncoderTransformer(1, loss="poisson", random_state=0).fit(X)
    assert model.score(X) > 0.9


@pytest.mark.parametrize("n_samples", [255, 256, 97])
def test_cross_entropy_has_the_same_gradient_with_two_threads(n_samples, two_threads):
    rng = np.random.default_rng(0)
    output = torch.from_numpy(rng.normal(size=(n_samples, 720)).astype("f4"))
    x = torch.from_numpy(rng.random((n_samples, 720), dtype="f4"))
    scaled = torch.zeros(720), torch.ones(720)
    gradients = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            gradient_of = LOSSES["log_loss"].closed_form(1.0, *scaled)
            gradients.append(gradient_of(output.clone(), x)[1].clone())
    assert torch.equal(*gradients)
