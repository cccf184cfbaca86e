"""Codecs of fitted estimators, built when they are first needed.

They are cached beside the estimator, not on it: what is fitted stays plain numpy.
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

# estimator -> (the weights the codecs were built from, {dtype: codec on the CPU})
_CODECS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def encode(estimator: BaseEstimator, X: Rows) -> Floats:
    """Return the codes of rows, by a fitted estimator."""
    codec = cached_codec(estimator, X.dtype, X.shape[0])
    X = codec.complete(X)
    Z = None if codec.few_rows is None else codec.few_rows.encode(X)
    return _run(codec.encode, X) if Z is None else Z


def decode(estimator: BaseEstimator, Z: Floats) -> Floats:
    """Return the rows of codes."""
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
    """Return those of rows, or of each of their features; see `Codec`."""
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

    It is on the device that suits so many rows. On a GPU nothing stays: what is cached
    is on the CPU.
    """
    weights = vars(estimator)["_weights"]
    built_from, codecs = _CODECS.get(estimator, (None, {}))
    if built_from is not weights or dtype not in codecs:
        state = FittedState.of(vars(estimator))
        if built_from is not state.weights:
            codecs = {}
            _CODECS[estimator] = state.weights, codecs
        # Whatever mode it is built in, `sensitivity` differentiates it later.
        with torch.inference_mode(False):
            codecs[dtype] = _codec(state, getattr(torch, dtype.name))
    codec = codecs[dtype]
    device = inference_device(estimator.device_, lambda: n_samples * codec.flops)
    return codec if device == codec.device else codec.on(device)


@isolated
def _codec(state: FittedState, dtype: torch.dtype) -> Codec:
    """Build the codec of what an estimator has learnt."""
    with one_thread():
        try:
            network = from_numpy(state.architecture, state.weights, dtype).eval()
        except RuntimeError as error:  # weights of other names or shapes
            raise damaged(error) from error
        both = state.scaling, state.link
        return Codec(network, *both, state.code_transform, state.ppca)
