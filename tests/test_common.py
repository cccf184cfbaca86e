"""scikit-learn's own checks, on every variant, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoEncoderTransformer

from .variants import VARIANTS, autoencoder


@parametrize_with_checks([AutoEncoderTransformer()])
def test_default_passes_the_checks(estimator, check):
    check(estimator)


@parametrize_with_checks([autoencoder(name) for name in VARIANTS])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_variant_passes_the_checks(estimator, check):
    check(estimator)
