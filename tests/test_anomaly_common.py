"""scikit-learn's own checks of the outlier detector, with no expected failure."""

import pytest
from sklearn.decomposition import PCA

from skae import ReconstructionOutlierDetector

from .test_common import checks_of

# Three members instead of ten: they are alike, and each takes its time.
PARAMS = [
    *checks_of(ReconstructionOutlierDetector(n_estimators=3), "autoencoders"),
    *checks_of(ReconstructionOutlierDetector(PCA(1), max_samples=0.8), "pca"),
]


@pytest.mark.parametrize(("estimator", "check"), PARAMS)
def test_detector_passes_the_checks(estimator, check):
    check(estimator)
