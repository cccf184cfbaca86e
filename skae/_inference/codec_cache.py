"""Codec cache: the codecs of fitted estimators, built when they are first needed.

The cache is not an attribute of the estimator, whose fitted state is plain numpy.
"""

import weakref
from collections.abc import Callable

import numpy as np
import torch
from sklearn.base import BaseEstimator

from .._runtime.device import inference_device
from .._runtime.isolation import isolated
from .._runtime.memory import explains_out_of_memory
from .._runtime.threads import one_thread
from .._typing import Floats, Rows
from .codec import Codec, from_numpy
from .explained_variance import score_of
from .fitted_state import FittedState, damaged

__all__ = ["cached_codec", "decode", "encode", "score", "squared_errors"]

# estimator -> (weights from which the codecs were built, {dtype: codec on the CPU})
_CODECS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def encode(estimator: BaseEstimator, X: Rows) -> Floats:
    """Return a fitted estimator's codes of rows."""
    codec = cached_codec(estimator, X.dtype, X.shape[0])
    X = codec.complete(X)
    Z = None if codec.few_rows is None else codec.few_rows.encode(X)
    return _run(codec.encode, X) if Z is None else Z


def decode(estimator: BaseEstimator, Z: Floats) -> Floats:
    """Return the rows that a fitted estimator decodes from codes."""
    codec = cached_codec(estimator, Z.dtype, len(Z))
    X = None if codec.few_rows is None else codec.few_rows.decode(Z)
    return _run(codec.decode, Z) if X is None else X


@isolated
@explains_out_of_memory()
def _run(function: Callable[[Rows], Floats], values: Rows) -> Floats:
    return function(values)


@isolated
@explains_out_of_memory()
def squared_errors(
    estimator: BaseEstimator, X: Rows, per_feature: bool = False
) -> Floats:
    """Return squared errors of rows, or of each feature; see `Codec`."""
    codec = cached_codec(estimator, X.dtype, X.shape[0])
    return codec.squared_errors(X, per_feature)


@isolated
@explains_out_of_memory()
def score(estimator: BaseEstimator, X: Rows, weights: Floats | None = None) -> float:
    """Return the share of the variance of rows that the reconstruction explains.

    Rows may have ``weights``, (n_samples,).
    """
    return score_of(cached_codec(estimator, X.dtype, X.shape[0]), X, weights)


def cached_codec(estimator: BaseEstimator, dtype: np.dtype, n_samples: int) -> Codec:
    """Return the codec of a fitted estimator in a numpy dtype, built once a fit.

    It is on the device that suits the number of rows. The cached codec is on the CPU,
    so that nothing stays on a GPU.
    """
    weights = vars(estimator)["_weights"]
    built_from, codecs = _CODECS.get(estimator, (None, {}))
    if built_from is not weights or dtype not in codecs:
        state = FittedState.of(vars(estimator))
        if built_from is not state.weights:
            codecs = {}
            _CODECS[estimator] = state.weights, codecs
        # The caller may be in inference mode, but `sensitivity` needs gradients later.
        with torch.inference_mode(False):
            codecs[dtype] = _codec(state, getattr(torch, dtype.name))
    codec = codecs[dtype]
    device = inference_device(estimator.device_, lambda: n_samples * codec.flops)
    return codec if device == codec.device else codec.on(device)


@isolated
def _codec(state: FittedState, dtype: torch.dtype) -> Codec:
    """Build a codec from an estimator's fitted state."""
    with one_thread():
        try:
            network = from_numpy(state.architecture, state.weights, dtype).eval()
        except RuntimeError as error:  # weights have other names or shapes
            raise damaged(error) from error
        both = state.scaling, state.link
        return Codec(network, *both, state.code_transform, state.ppca)
