"""Penalties: against their formulas and the exact Jacobian, and what they do."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import AutoEncoderTransformer, Contraction, PenaltySum, Sparsity
from skae._nn.autoencoder import initialise
from skae._parts.networks import make_autoencoder
from skae._parts.penalties import keeps_axes, needs_encoder


@pytest.fixture
def network():
    network = make_autoencoder(5, 3, 3, (7,), "gelu", "random", ("Dense", {}))
    initialise(network, np.zeros(5), np.random.default_rng(0))
    return network


@pytest.fixture
def x():
    return torch.from_numpy(np.random.default_rng(1).normal(size=(6, 5))).float()


def cost(penalty, network, x, seed=0):
    z = network.encode(x)
    return penalty.penalize(z, x, network.encode, np.random.default_rng(seed))


def exact_norms(network, x):
    """Squared Frobenius norm of the Jacobian at each row, by reverse derivatives."""
    jacobians = [
        torch.autograd.functional.jacobian(
            lambda row: network.encode(row[None])[0], row
        )
        for row in x
    ]
    return torch.stack([j.square().sum() for j in jacobians])


class TestContraction:
    def test_is_the_exact_jacobian_on_average(self, network, x):
        draws = cost(Contraction(2.0), network, x.repeat(3000, 1)).detach()
        draws = draws.view(3000, len(x))
        expected = 2.0 * exact_norms(network, x) / 5
        error = draws.std(dim=0) / 3000**0.5
        assert ((draws.mean(dim=0) - expected).abs() < 4 * error).all()

    def test_of_a_linear_encoder_of_one_feature_is_exact(self):
        network = make_autoencoder(1, 2, 2, (), "relu", "random", ("Dense", {}))
        initialise(network, np.zeros(1), np.random.default_rng(0))
        expected = network.encoder[0].weight.square().sum()
        found = cost(Contraction(1.0), network, torch.ones(4, 1))
        torch.testing.assert_close(found, expected.expand(4))

    def test_gradient_is_that_of_the_exact_norm(self, network, x):
        weights = list(network.encoder.parameters())
        average = cost(Contraction(1.0), network, x.repeat(2000, 1)).mean()
        found = torch.autograd.grad(average, weights[0])[0]
        # By differences: move the first weight a little.
        moved = weights[0].data
        for index in [(0, 0), (3, 2), (6, 4)]:
            before = moved[index].item()
            ends = []
            for step in (1e-2, -1e-2):
                moved[index] = before + step
                ends.append(exact_norms(network, x).mean().item() / 5)
            moved[index] = before
            slope = (ends[0] - ends[1]) / 2e-2
            assert found[index].item() == pytest.approx(slope, abs=0.02)

    def test_rows_at_the_centre_have_a_finite_cost(self, network):
        anchored = make_autoencoder(5, 3, 3, (7,), "gelu", "pca", ("Dense", {}))
        initialise(anchored, np.zeros(5), np.random.default_rng(0))
        for mode in (anchored.train(), anchored.eval()):
            assert cost(Contraction(), mode, torch.zeros(2, 5)).isfinite().all()

    def test_in_threads(self, X):
        model = AutoEncoderTransformer(
            penalty="contraction", random_state=0, max_iter=20
        )
        expected = model.fit_transform(X)
        with ThreadPoolExecutor(3) as threads:
            fits = threads.map(lambda _: clone(model).fit_transform(X), range(6))
        for Z in fits:
            # Another thread may compute with another number of cores: other last bits.
            np.testing.assert_allclose(Z, expected, rtol=1e-3, atol=1e-3)

    @pytest.mark.slow
    def test_makes_the_encoder_flatter(self, digits):
        norms = []
        for weight in (0.0, 1.0):
            model = AutoEncoderTransformer(
                8, penalty=Contraction(weight), random_state=0, max_iter=30
            ).fit(digits[0][:300])
            X = digits[0][:100].astype("f8")
            step = 1e-4 * np.random.default_rng(0).choice([-1, 1], X.shape)
            change = (model.transform(X + step) - model.transform(X - step)) / 2e-4
            norms.append(np.square(change * model.scale_[0]).sum(axis=1).mean())
        assert norms[1] < 0.7 * norms[0]


class TestSparsity:
    def test_is_the_mean_over_the_root_mean_square(self):
        z = torch.tensor([[1.0, -2.0], [3.0, 0.0], [0.0, 0.0]])
        found = Sparsity(0.5).penalize(z, None, None, None)
        size = torch.tensor([(10 / 3) ** 0.5, (4 / 3) ** 0.5])
        torch.testing.assert_close(found, 0.5 * (z.abs() / size).mean(dim=1))

    def test_is_the_divergence_of_the_mean_activation(self):
        z = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))
        found = Sparsity(2.0, target=0.1).penalize(z, None, None, None)
        square = z.numpy() ** 2
        a = (square / (square + square.mean(axis=0))).mean(axis=0)
        expected = 0.1 * np.log(0.1 / a) + 0.9 * np.log(0.9 / (1 - a))
        np.testing.assert_allclose(found, np.full(50, 2 * expected.mean()))

    @pytest.mark.parametrize("target", [None, 0.2])
    def test_has_no_unit(self, target):
        z = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))
        first, second = (
            Sparsity(1.0, target).penalize(scale * z, None, None, None)
            for scale in (1.0, 100.0)
        )
        torch.testing.assert_close(first, second)

    @pytest.mark.parametrize("target", [None, 0.2])
    def test_of_zeros_is_finite_with_its_gradient(self, target):
        z = torch.zeros(4, 3, requires_grad=True)
        value = Sparsity(1.0, target).penalize(z, None, None, None).mean()
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()

    @pytest.mark.slow
    def test_fewer_codes_are_active(self, digits):
        shares = []
        for choice in (None, Sparsity(0.3), Sparsity(0.3, target=0.05)):
            model = AutoEncoderTransformer(
                16, penalty=choice, init="random", random_state=0, max_iter=60
            )
            X = digits[0][:900]
            Z = model.fit_transform(X)
            if choice is not None:
                assert model.score(X) > model.baseline_score_
            shares.append(np.mean(np.abs(Z) > 0.3 * np.sqrt((Z**2).mean(axis=0))))
        assert max(shares[1:]) < 0.6 * shares[0]

    @pytest.mark.slow
    def test_mean_activation_is_its_target(self, digits):
        model = AutoEncoderTransformer(
            8, penalty=Sparsity(10.0, target=0.05), random_state=0
        )
        square = model.set_params(max_iter=60).fit_transform(digits[0][:900]) ** 2
        activation = (square / (square + square.mean(axis=0))).mean(axis=0)
        np.testing.assert_allclose(activation, 0.05, atol=0.02)

    @pytest.mark.slow
    def test_codes_are_not_turned(self, digits):
        """Principal axes of sparse codes would not be sparse."""
        model = AutoEncoderTransformer(
            8, penalty=Sparsity(0.3), random_state=0, max_iter=60
        )
        Z = model.fit_transform(digits[0][:600])
        _, axes = np.linalg.eigh(np.cov(Z.T))
        turned = (Z - Z.mean(axis=0)) @ axes
        sizes = [np.mean(np.abs(c) / np.sqrt((c**2).mean(axis=0))) for c in (Z, turned)]
        assert sizes[0] < sizes[1]


class TestSum:
    def test_adds_up(self, network, x):
        both = Sparsity(0.3) + Contraction(0.2)
        parts = cost(Sparsity(0.3), network, x) + cost(Contraction(0.2), network, x)
        torch.testing.assert_close(cost(both, network, x), parts)
        torch.testing.assert_close(cost(both + Sparsity(0.3), network, x).sum(),
            (parts + cost(Sparsity(0.3), network, x)).sum())  # fmt: skip

    def test_sums_begin_at_zero(self):
        terms = [Sparsity(0.3), Contraction(), Sparsity(0.1)]
        total = sum(terms)
        assert total.first.first is terms[0]
        assert total.second is terms[2]

    def test_says_what_its_terms_say(self):
        sparse, smooth = Sparsity(), Contraction()
        assert not needs_encoder(sparse + sparse)
        assert needs_encoder(sparse + smooth)
        assert not keeps_axes(smooth + smooth)
        assert keeps_axes(smooth + sparse)

    def test_terms_have_names(self):
        model = AutoEncoderTransformer(penalty=Sparsity(0.3) + Contraction(0.2))
        model = clone(model).set_params(penalty__second__weight=5.0)
        assert model.penalty.second.weight == 5.0
        assert repr(model.penalty).startswith("PenaltySum(first=Sparsity(weight=0.3)")


def test_weight_zero_is_no_penalty(digits):
    X = digits[0][:300]
    """In one pass, after which the random numbers go separate ways."""
    plain = AutoEncoderTransformer(4, random_state=0, init="random", max_iter=1)
    plain.set_params(early_stopping=False, solver="adamw")  # PCA would be better
    weightless = clone(plain).set_params(penalty=Contraction(0.0))
    np.testing.assert_allclose(
        plain.fit_transform(X), weightless.fit_transform(X), atol=1e-4
    )


@pytest.mark.parametrize(
    ("penalty", "error", "message"),
    [
        ("l2", ValueError, "'penalty' parameter .*'sparsity'"),
        (3, ValueError, "'penalty' parameter .* 'penalize'"),
        (Sparsity, TypeError, "an object, not the class: Sparsity"),
        (Sparsity(-1), ValueError, "'weight' parameter of Sparsity .* Got -1"),
        (Sparsity(target=1.0), ValueError, "'target' parameter of Sparsity"),
        (Sparsity() + Contraction(-2), ValueError, "'weight' parameter of Contraction"),
        (Sparsity() + 3, ValueError, "'second' parameter of PenaltySum"),
        (PenaltySum("sparsity", Sparsity()), ValueError, "'first' parameter"),
    ],
)
def test_what_is_no_penalty_is_refused(penalty, error, message, X):
    with pytest.raises(error, match=message):
        AutoEncoderTransformer(penalty=penalty).fit(X)
