"""Types that annotations in several packages name: arrays, and rows of a table."""

from typing import TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse

__all__ = ["Bools", "Floats", "Ints", "Rows", "is_sparse"]

#: An array of float32 or float64.
Floats: TypeAlias = NDArray[np.floating]
#: An array of whole numbers: indices, mostly.
Ints: TypeAlias = NDArray[np.integer]
#: A mask.
Bools: TypeAlias = NDArray[np.bool_]
#: Rows of a table as they are checked, (n_samples, n_features).
Rows: TypeAlias = Floats | csr_matrix


def is_sparse(X: object) -> TypeGuard[csr_matrix]:
    """Return whether rows are a sparse matrix, and no array."""
    return issparse(X)
