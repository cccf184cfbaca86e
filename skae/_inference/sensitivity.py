"""Sensitivity: the Jacobian of the encoder, that is, how features change the codes.

It is exact, by automatic differentiation through all steps from a row to its code: the
network, its fading far from the data, and the code transform. Rows do not depend on one
another. So one backward pass gives a code's derivatives for all rows of a chunk.
"""

import numpy as np
import torch
from sklearn.base import BaseEstimator

from .._data.scaling import dense_rows, row_slices
from .._runtime.isolation import isolated
from .._runtime.memory import explains_out_of_memory
from .._runtime.threads import in_parts
from .._typing import Floats, Rows
from .codec_cache import cached_codec

__all__ = ["sensitivity"]


@isolated
@explains_out_of_memory()
def sensitivity(estimator: BaseEstimator, X: Rows, average: bool) -> Floats:
    """Return derivatives of codes with respect to features, in units of ``X``.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    average : bool
        Whether to return their mean over the rows.

    Returns
    -------
    jacobian : ndarray of float64
        Its shape is (n_components, n_features) if ``average`` is True, else (n_samples,
        n_components, n_features).
    """
    with torch.inference_mode(False):  # tensors of inference mode have no gradients
        codec = cached_codec(estimator, np.dtype(np.float64), X.shape[0])
    shape = codec.n_components, codec.n_features
    jacobian = np.empty((0 if average else X.shape[0], *shape))

    def differentiate(rows):
        with torch.inference_mode(False), torch.enable_grad():
            values = _jacobian(codec, dense_rows(X, rows))
        if average:
            return values.sum(axis=0)
        jacobian[rows] = values
        return None

    chunks = row_slices(X.shape[0], max(codec.width, shape[0] * shape[1]))
    if codec.is_thread_safe:
        sums = in_parts(differentiate, chunks)
    else:
        sums = [differentiate(rows) for rows in chunks]
    return sum(sums) / X.shape[0] if average else jacobian


def _jacobian(codec, X):
    """Return the Jacobian of each row, (n_samples, n_components, n_features).

    Entries that fill gaps depend on the observed ones.
    """
    scaling, missing = codec.scaling, np.isnan(X)
    X = codec.complete(X)
    x = torch.from_numpy(scaling.apply(X)).to(codec.device).requires_grad_()
    z = codec.codes(x)
    # Users' layers may not be twice differentiable.
    is_narrow = codec.n_features < codec.n_components and codec.is_thread_safe
    slopes = _by_features(x, z) if is_narrow else _by_codes(x, z)
    slopes /= scaling.scale
    slopes[:, :, scaling.constant] = 0.0
    if missing.any():
        gaps = missing.any(axis=1)
        given = slopes[gaps], missing[gaps], X[gaps]
        slopes[gaps] = codec.ppca.differentiate_fill(*given)
    return slopes


def _by_codes(x, z):
    """Compute Jacobians in reverse mode, with one pass for each code."""
    slopes = np.empty((*z.shape, x.shape[1]))
    for j in range(z.shape[1]):
        slopes[:, j] = _gradient(z[:, j], x).cpu().numpy()
    return slopes


def _by_features(x, z):
    """Compute Jacobians in forward mode, with one pass for each feature.

    Forward mode is made of two reverse passes: ``weights @ J`` is linear in the
    weights, so its derivatives with respect to them are the columns of J. torch's own
    forward mode has one counter of levels for all threads, so it is not safe in
    threads.
    """
    slopes = np.empty((*z.shape, x.shape[1]))
    weights = torch.ones_like(z, requires_grad=True)
    back = _gradient((weights * z).sum(dim=1), x, create_graph=True)
    for i in range(x.shape[1]):
        slopes[:, :, i] = _gradient(back[:, i], weights).cpu().numpy()
    return slopes


def _gradient(values, of, **options):
    """Return the gradient of the sum with respect to ``of``; zero if independent."""
    if not values.requires_grad:
        return torch.zeros_like(of)
    options = {"retain_graph": True, "materialize_grads": True, **options}
    return torch.autograd.grad(values.sum(), of, **options)[0]
