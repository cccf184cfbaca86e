"""Components: the number of codes that ``n_components`` means, as in PCA."""

from numbers import Integral

import torch

from .._data.batches import Batches
from .._data.scaling import Scaling
from .._inference.fitted_state import FittedState
from .._linear.pca import components_for
from .._parts.column_losses import scale_of
from .._parts.parameters import Parameters
from .dataset import Dataset

__all__ = ["count_components"]


def count_components(
    params: Parameters, dataset: Dataset, seed: int, previous: FittedState | None
) -> int:
    """Return ``n_components`` as a number, from a share of variance or None for all."""
    n_components = params.n_components
    if isinstance(n_components, Integral):
        return int(n_components)
    if previous is not None:
        return previous.n_components
    if n_components is None:
        return min(dataset.n_samples, dataset.X.shape[1])
    rows = dataset.rows
    how = params.standardize, dataset.weights_of(rows), scale_of(params.loss)
    scaling = Scaling.fit(dataset.X, rows, *how)
    batches = Batches(dataset, rows, scaling, len(rows), torch.device("cpu"))
    return components_for(n_components, batches, seed)
