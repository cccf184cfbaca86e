"""scikit-learn's own checks of the outlier detector, with no expected failure."""

import pytest
from sklearn.decomposition import PCA

from skae import ReconstructionOutlierDetector

from .test_common import checks_of

PARAMS = [
    *checks_of(ReconstructionOutlierDetector(), "defaults"),
    *checks_of(ReconstructionOutlierDetector(PCA(1), max_samples=0.8), "pca"),
]


@pytest.mark.parametrize(("estimator", "check"), PARAMS)
def test_detector_passes_the_checks(estimator, check):
    check(estimator)
