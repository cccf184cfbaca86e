"""Types for annotations in several packages: arrays, and rows of data."""

from typing import TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, issparse, sparray, spmatrix

__all__ = [
    "Bools",
    "Floats",
    "Ints",
    "MatrixLike",
    "RandomState",
    "Rows",
    "is_sparse",
]

#: An array of float32 or float64.
Floats: TypeAlias = NDArray[np.floating]
#: An array of integers, mostly indices.
Ints: TypeAlias = NDArray[np.integer]
#: A boolean mask.
Bools: TypeAlias = NDArray[np.bool_]
#: Rows of data after validation, (n_samples, n_features).
Rows: TypeAlias = Floats | csr_matrix
#: Rows as users pass them: an array, a list, a data frame, or a sparse matrix.
MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray
#: A seed, as scikit-learn takes it.
RandomState: TypeAlias = int | np.random.RandomState | None


def is_sparse(X: object) -> TypeGuard[csr_matrix]:
    """Return whether rows are a sparse matrix instead of an array."""
    return issparse(X)
