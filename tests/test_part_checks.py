"""`check_part`: parts that keep the contract pass, and each breach of it is named."""

import numpy as np
import pytest
import torch

from skae import (
    Contraction,
    Conv,
    GaussianNoise,
    Masking,
    Mixture,
    Sparsity,
    SwapNoise,
    check_part,
)

from .test_own_parts import Near, SaltAndPepper, log_cosh
from .variants import huber


@pytest.mark.parametrize(
    "part",
    [Near(), SaltAndPepper(), log_cosh, huber, torch.nn.MSELoss()]
    + [Masking(), GaussianNoise(0.1), SwapNoise()]
    + [Sparsity(), Sparsity(target=0.1), Contraction(), Sparsity() + Near()],
    ids=lambda part: getattr(part, "__name__", type(part).__name__),
)
def test_good_parts_pass(part):
    check_part(part)


def by_cost(z):
    """Return a penalty that is a function."""
    return z.square().mean(dim=1)


def half(x, rng):
    """Return a corruption that is a function."""
    return x * torch.from_numpy(rng.random(x.shape) < 0.5).to(x)


def test_functions_say_what_they_are():
    check_part(by_cost, kind="penalty")
    check_part(half, kind="corruption")
    with pytest.raises(ValueError, match="kind must be 'auto' or one of.*'noise'"):
        check_part(half, kind="noise")


class FromTorch:
    def corrupt(self, x, rng):
        return x + torch.randn(x.shape)


class FromNumpy:
    def corrupt(self, x, rng):
        return x + float(np.random.normal())


class Same:
    def corrupt(self, x, rng):
        return x[:]


class Infinite:
    def corrupt(self, x, rng):
        return x / 0


class Growing:
    n_calls = 0

    def corrupt(self, x, rng):
        self.n_calls += 1
        return x * self.n_calls


class Secret:
    needs_encoder = False

    def penalize(self, z, x, encode, rng):
        return encode(x).mean(dim=1)


class Constant:
    def penalize(self, z, x, encode, rng):
        return torch.ones(len(z))


class Writing:
    def penalize(self, z, x, encode, rng):
        x.zero_()
        return z.mean(dim=1)


class Root:
    def penalize(self, z, x, encode, rng):
        return (z - z.detach()).square().mean(dim=1).sqrt()


class Closed:
    def __reduce__(self):
        raise TypeError("no")

    def penalize(self, z, x, encode, rng):
        return z.mean(dim=1)


def root_of_error(output, target):
    return (output - target).square().mean(dim=1).sqrt()


def logarithm(output, target):
    return (output - target).mean(dim=1).log()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (FromTorch(), "draw from the generator it is given"),
        (FromNumpy(), "draw from the generator it is given"),
        (Same(), "a tensor of its own"),
        (Infinite(), "finite numbers"),
        (Growing(), "the same again"),
        (Secret(), "says needs_encoder = False"),
        (Constant(), "depend on the codes"),
        (Writing(), "leave codes and rows"),
        (Root(), "finite gradient"),
        (Closed(), "cannot be pickled: no"),
        (root_of_error, "finite gradient, also where the output is the target"),
        (logarithm, "finite losses"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_each_breach_is_named(part, message):
    with pytest.raises(AssertionError, match=message):
        check_part(part)


def test_what_does_not_return_rows_is_refused():
    with pytest.raises(TypeError, match="a number for each row"):
        check_part(sum_of_all, kind="penalty")


def sum_of_all(z):
    return z.sum(dim=0)


@pytest.mark.parametrize("part", [Conv(), Mixture(2)])
def test_parts_of_other_kinds_are_refused(part):
    with pytest.raises(TypeError, match="checks corruptions, penalties and losses"):
        check_part(part)
