"""scikit-learn's own checks, on every variant, with no expected failure."""

from functools import partial

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from skae import AutoEncoderTransformer

from .variants import VARIANTS, autoencoder


def named(check):
    """Return the check's name and options: an id that is the same in every process."""
    options = []
    while isinstance(check, partial):
        options = [f"{k}={v}" for k, v in check.keywords.items()] + options
        check = check.func
    return "-".join([check.__name__, *options])


def checks_of(estimator, name):
    return [
        pytest.param(estimator, check, id=f"{name}-{named(check)}")
        for estimator, check in estimator_checks_generator(estimator)
    ]


@pytest.mark.parametrize(
    ("estimator", "check"), checks_of(AutoEncoderTransformer(), "defaults")
)
def test_default_passes_the_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [param for name in VARIANTS for param in checks_of(autoencoder(name), name)],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_variant_passes_the_checks(estimator, check):
    check(estimator)
