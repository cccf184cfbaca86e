"""Codec: computes codes and reconstructions by a fitted network, in chunks."""

import copy
from collections.abc import Callable
from itertools import chain
from typing import TypeAlias

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from .._data.scaling import FARTHEST, Scaling, dense_rows, row_slices
from .._linear.ppca import PPCA
from .._nn.autoencoder import AutoEncoder, step_flops
from .._nn.fast_forward import FastForward
from .._nn.seeded_modules import UserModule
from .._parts.column_links import PlainLink, link_of
from .._parts.networks import Architecture
from .._runtime.caching import cached_property
from .._runtime.isolation import isolated
from .._runtime.memory import in_halves
from .._runtime.threads import in_parts
from .._typing import Floats, Rows
from .code_transform import CodeTransform
from .few_rows import FewRows

__all__ = ["Codec", "float32_scaling", "from_numpy", "to_numpy"]

#: Mean, factor and rest: x is scaled as (x - mean) * factor + rest.
Float32Scaling: TypeAlias = tuple[Tensor | None, Tensor, Tensor]

_LARGEST = torch.finfo(torch.float32).max
_SMALLEST = 1 / _LARGEST
# Largest ratio of a mean and its scale for which the mean may be subtracted in float32
# after scaling.
_SMALL_MEAN = 8.0
# Smallest number of floating point operations that several threads share.
_SHARED_FLOPS = 2e7
# Largest number of groups of chunks: as many as there may be cores.
_MOST_GROUPS = 64


def to_numpy(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the weights by name, as arrays that share no memory with torch."""
    weights = {
        name: value.detach().cpu().numpy().copy()
        for name, value in network.state_dict().items()
    }
    if getattr(network, "init", None) == "linear":
        if _are_transposed(weights):
            del weights["decoder.linear"]
        if not weights["decoder.offset"].any():
            del weights["decoder.offset"]
    return weights


def _are_transposed(weights):
    """Whether PCA's two linear maps are transposes of each other, up to rounding."""
    encoder, decoder = weights["encoder.linear"], weights["decoder.linear"]
    return encoder.shape == decoder.T.shape and np.allclose(
        encoder, decoder.T, rtol=0, atol=1e-12 * np.abs(encoder).max()
    )


def from_numpy(
    architecture: Architecture, weights: dict[str, np.ndarray], dtype: torch.dtype
) -> AutoEncoder:
    """Return a network with weights that `to_numpy` returned."""
    network = architecture.build().to(dtype)
    state = {name: torch.tensor(w) for name, w in weights.items()}
    if network.linear and "decoder.linear" not in state:
        state["decoder.linear"] = state["encoder.linear"].t()
    network.load_state_dict(state, strict=not network.linear)
    return network


class Codec:
    """Encodes rows of ``X`` and decodes codes in chunks, which limits the memory.

    Parameters
    ----------
    network : AutoEncoder
        Network in evaluation mode. All results have its dtype.
    scaling : Scaling
    link : str or tuple
        The link of the loss; see `link_of`.
    code_transform : CodeTransform
        Transform from the network's codes to those that are returned.
    ppca : PPCA or None
        Model that fills gaps, in units of ``X``. None if rows have no gaps.
    """

    def __init__(
        self,
        network: AutoEncoder,
        scaling: Scaling,
        link: PlainLink,
        code_transform: CodeTransform,
        ppca: PPCA | None = None,
    ) -> None:
        self.network = network
        self.scaling = scaling
        self.link = link
        links, n_features = link_of(link), network.n_features
        self._inverse_link, self._project = links.inverse, links.project
        self._is_scaled = links.is_scaled(n_features)
        # A column of a group that sums to 1 cannot be set alone.
        sums = links.sums_to_one(n_features)
        self._constant = np.flatnonzero(scaling.constant & ~sums)
        self.code_transform = code_transform
        self.ppca = ppca
        self._fast = FastForward(network)
        parameter = next(chain(network.parameters(), network.buffers()))
        self.device = parameter.device
        self._transform_codes, self._untransform_codes = code_transform.on(
            self.device, parameter.dtype
        )
        self.dtype = np.dtype(str(parameter.dtype).removeprefix("torch."))
        self.n_features, self.n_components = network.n_features, network.n_components
        self.width = network.width
        is_float32 = self.dtype == np.float32
        self._float32_scaling = float32_scaling(scaling) if is_float32 else None
        self.few_rows = None
        if self.device.type == "cpu":
            scalings = scaling, self._float32_scaling
            self.few_rows = FewRows(network, *scalings, link, code_transform)

    @cached_property
    def is_thread_safe(self) -> bool:
        """Whether several threads may use it: not if it has a user's layers."""
        return not any(
            isinstance(module, UserModule) for module in self.network.modules()
        )

    @cached_property
    def flops(self) -> float:
        """Number of floating point operations to encode and decode one row.

        It is infinite if there are a user's layers, which may compute more than their
        weights tell.
        """
        if not self.is_thread_safe:
            return np.inf
        return step_flops(self.network, 1) / 3  # the backward pass is two thirds

    @isolated
    def on(self, device: torch.device) -> "Codec":
        """Return the same codec with a copy of the network on a device."""
        network = copy.deepcopy(self.network).to(device)
        return Codec(network, self.scaling, self.link, self.code_transform, self.ppca)

    def chunks(self, n_samples: int) -> list[slice]:
        """Return slices of rows that need a few megabytes of memory each."""
        return row_slices(n_samples, self.width)

    def complete(self, X: Rows) -> Rows:
        """Return rows with their gaps filled. Gaps are NaN."""
        if self.ppca is None or issparse(X):
            return X
        missing = np.isnan(X)
        return self.ppca.fill(X, missing) if missing.any() else X

    def encode(self, X: Rows) -> Floats:
        """Return codes (n_samples, n_components) of rows (n_samples, n_features)."""
        X = self.complete(X)
        Z = np.empty((X.shape[0], self.n_components), self.dtype)
        groups = self._groups(X.shape[0])
        in_parts(lambda chunks: self._encode(X, Z, chunks), groups)
        return Z

    def _encode(self, X: Rows, Z: Floats, chunks: list[slice]) -> None:
        buffer = None
        with torch.inference_mode():
            for rows in chunks:
                # Allocating memory for each chunk would take longer than the products.
                if buffer is None and len(chunks) > 1:
                    buffer = torch.from_numpy(np.empty(X[rows].shape, np.float32))
                out = None if buffer is None else buffer[: rows.stop - rows.start]
                x = self._scaled(dense_rows(X, rows), out)
                Z[rows] = self._run(self.codes, x)

    def decode(self, Z: Floats) -> Floats:
        """Return rows (n_samples, n_features) in the units of ``X`` from codes."""
        X = np.empty((len(Z), self.n_features), self.dtype)
        in_parts(lambda chunks: self._decode(Z, X, chunks), self._groups(len(Z)))
        return X

    def _decode(self, Z: Floats, X: Floats, chunks: list[slice]) -> None:
        with torch.inference_mode():
            for rows in chunks:
                z = _tensor(Z[rows].astype(self.dtype, copy=False))
                x = self._run(self._rows, z)
                X[rows] = self._undo(x)

    def _undo(self, x: Floats) -> Floats:
        """Return rows in the units of ``X``, from values after the link."""
        scaling, is_scaled, constant = self.scaling, self._is_scaled, self._constant
        if is_scaled.all():
            x = scaling.undo(x)
        elif is_scaled.any():
            x[:, is_scaled] = scaling.of(is_scaled).undo(x[:, is_scaled])
        x = self._project(x)
        x[:, constant] = scaling.mean[constant]
        return x

    def _groups(self, n_samples: int) -> list[list[slice]]:
        """Return groups of chunks that threads share. Few rows have one group."""
        chunks = self.chunks(n_samples)
        is_work = _SHARED_FLOPS <= n_samples * self.flops < np.inf
        if not is_work or self.device.type != "cpu":
            return [chunks]  # a user's layers may not be thread-safe
        n_groups = max(1, min(len(chunks), _MOST_GROUPS))
        return [chunks[i::n_groups] for i in range(n_groups)]

    @torch.inference_mode()
    def output(self, Z: Floats) -> Tensor:
        """Return the decoder's output (n_samples, n_features), before the link."""
        return self._fast.decoder(self._untransform_codes(_tensor(Z).to(self.device)))

    def squared_errors(self, X: Rows, per_feature: bool) -> Floats:
        """Return squared errors of each feature, or their mean in each row.

        They are in units of the scaling. Errors of missing entries are NaN, and the
        means leave them out. Errors that overflow float64 are its largest number.
        """
        errors = np.empty(X.shape if per_feature else X.shape[0])
        for rows in self.chunks(X.shape[0]):
            original = dense_rows(X, rows)
            x = self.decode(self.encode(original))
            with np.errstate(over="ignore"):
                squared = np.square(np.subtract(original, x, dtype=np.float64))
                squared /= self.scaling.unit**2
                errors[rows] = squared if per_feature else self._row_means(squared)
        return np.minimum(errors, np.finfo(np.float64).max, out=errors)

    def _row_means(self, errors: Floats) -> Floats:
        """Return the mean over the observed entries of each row, NaN if it has none."""
        if self.ppca is None:
            return errors.mean(axis=1)
        known = ~np.isnan(errors)
        n_known = known.sum(axis=1)
        sums = errors.sum(axis=1, where=known)
        return np.divide(sums, n_known, np.full(len(errors), np.nan), where=n_known > 0)

    def codes(self, x: Tensor) -> Tensor:
        """Return codes of scaled rows. Both are tensors on the codec's device."""
        return self._transform_codes(self._fast.encoder(x)[:, : self.n_components])

    def _rows(self, z: Tensor) -> Tensor:
        return self._inverse_link(self._fast.decoder(self._untransform_codes(z)))

    def _scaled(self, X: Floats, buffer: Tensor | None = None) -> Tensor:
        """Return scaled rows as a tensor. `Scaling.apply` does the same in float64.

        If there is a ``buffer`` and the dtype is float32, they are written to it.
        """
        if self._float32_scaling is None:
            return _tensor(self.scaling.apply(X).astype(self.dtype, copy=False))
        mean, factor, rest = self._float32_scaling
        x = _tensor(X)
        if mean is not None:
            x = buffer = torch.sub(x, mean, out=buffer)
            x.clamp_(-_LARGEST, _LARGEST)  # zero times infinity would be NaN
        return torch.addcmul(rest, x, factor, out=buffer).clamp_(-FARTHEST, FARTHEST)

    def _run(self, function: Callable[[Tensor], Tensor], values: Tensor) -> Floats:
        run = in_halves(lambda part: function(part.to(self.device)).cpu(), values)
        return run.numpy()


def float32_scaling(scaling: Scaling) -> Float32Scaling | None:
    """Return tensors mean, factor and rest, to scale as ``(x - mean) * factor + rest``.

    Return None if float32 cannot represent a mean or a scale. Rows then have to be
    scaled in float64.

    The mean is rounded to float32 first, so that it is subtracted exactly from a row
    near it. The rest makes up for the rounding. If all means are small compared with
    their scales, float32 loses almost no digits: the mean is None, and the rest
    contains it.
    """
    largest = max(scaling.scale.max(), np.abs(scaling.mean).max())
    if scaling.scale.min() < _SMALLEST or largest > _LARGEST:
        return None
    mean = scaling.mean.astype(np.float32)
    factor = np.where(scaling.constant, 0.0, 1 / scaling.scale)
    if np.abs(factor * scaling.mean).max() <= _SMALL_MEAN:
        mean = np.zeros_like(mean)
    rest = factor * (mean - scaling.mean)
    tensors = (torch.from_numpy(v.astype(np.float32)) for v in (mean, factor, rest))
    of_mean, of_factor, of_rest = tensors
    return of_mean if of_mean.any() else None, of_factor, of_rest


def _tensor(values: Floats) -> Tensor:
    """Return an array as a tensor. It is a copy if torch cannot share the memory."""
    if not values.flags.writeable or not values.flags.c_contiguous:
        values = np.array(values, order="C")
    return torch.from_numpy(values)
