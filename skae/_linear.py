"""Linear: principal component analysis, the baseline that a network has to beat."""

import numpy as np
from sklearn.decomposition import PCA

__all__ = ["pca_error"]

# Of larger data PCA sees a random sample of this size.
_SAMPLE_BYTES = 2**28


def pca_error(batches, check, n_components, seed):
    """Mean squared error of PCA on the rows of ``check``, in units of the scaled data.

    Parameters
    ----------
    batches, check : Batches
        The rows PCA is fitted to, and those it reconstructs.
    n_components : int
        Components, or as many as the rows and features allow.
    seed : int
        For the sample and for PCA's randomized solver.
    """
    x = batches.sample(_SAMPLE_BYTES, np.random.default_rng(seed))
    pca = PCA(min(n_components, *x.shape), random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):  # data without any variance
        pca.fit(x)
    total = 0.0
    for rows in check.in_order():
        rows = rows.cpu().numpy()
        residual = rows - pca.inverse_transform(pca.transform(rows))
        total += np.square(residual, dtype=np.float64).sum()
    return total / (check.n_rows * check.n_features)
