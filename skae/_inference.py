"""Inference: a fitted network's numpy weights to codes and reconstructions, in chunks.

Modules are rebuilt from the weights when they are first needed, and cached beside the
estimator rather than on it: what is fitted stays plain numpy.
"""

import copy
import weakref

import numpy as np
import torch

from ._losses import LINKS
from ._model import AutoEncoder
from ._scaling import FARTHEST, dense_rows, row_slices

__all__ = ["Codec", "cached_network", "from_numpy", "to_numpy"]

_LARGEST = torch.finfo(torch.float32).max
_SMALLEST = 1 / _LARGEST
# estimator -> (the weights the modules were built from, {dtype: module})
_MODULES = weakref.WeakKeyDictionary()


def to_numpy(network):
    """Return the weights by name, as arrays that share nothing with torch."""
    return {
        name: value.detach().cpu().numpy().copy()
        for name, value in network.state_dict().items()
    }


def from_numpy(architecture, weights, dtype):
    """Return the network that `to_numpy` took the weights from."""
    network = AutoEncoder(**architecture)
    network.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    return network.to(dtype)


def cached_network(owner, architecture, weights, dtype):
    """Return the network in a numpy ``dtype``, built once for each fit of ``owner``.

    ``owner``, the estimator, is the key of the cache and no more.
    """
    dtype = getattr(torch, np.dtype(dtype).name)
    built_from, modules = _MODULES.get(owner, (None, None))
    if built_from is not weights:
        modules = {}
        _MODULES[owner] = weights, modules
    if dtype not in modules:
        modules[dtype] = from_numpy(architecture, weights, dtype).eval()
    return modules[dtype]


class Codec:
    """Encodes rows of ``X`` and decodes codes, with memory bounded by a chunk's.

    Parameters
    ----------
    network : AutoEncoder
        In evaluation mode; its dtype is that of the arithmetic and of what comes out.
    scaling : Scaling
    link : str
        Key of ``LINKS``.
    device : torch.device
        Where to compute.
    """

    def __init__(self, network, scaling, link, device):
        parameter = next(network.parameters())
        if parameter.device != device:
            # A copy that goes with this object, so that nothing stays on the device.
            network = copy.deepcopy(network).to(device)
        self.network = network
        self.scaling = scaling
        self.link = link
        self.device = device
        self.dtype = np.dtype(str(parameter.dtype).removeprefix("torch."))
        self.n_features, self.n_components = network.n_features, network.n_components
        self.width = network.width

    def chunks(self, n_rows):
        """Slices of rows that take a few megabytes on their way through."""
        return row_slices(n_rows, self.width)

    def encode(self, X):
        """Codes (n_rows, n_components) of rows (n_rows, n_features)."""
        Z = np.empty((X.shape[0], self.n_components), self.dtype)
        room = None
        for rows in self.chunks(X.shape[0]):
            # Fresh memory for each chunk would cost more than the products.
            if room is None:
                room = torch.from_numpy(np.empty(X[rows].shape, np.float32))
            x = self._scaled(dense_rows(X, rows), room[: rows.stop - rows.start])
            Z[rows] = self._run(self.network.encode, x)
        return Z

    def decode(self, Z):
        """Rows (n_rows, n_features) in the units of ``X`` from codes."""
        X = np.empty((len(Z), self.n_features), self.dtype)
        constant, mean = self.scaling.constant, self.scaling.mean
        for rows in self.chunks(len(Z)):
            output = self._run(
                self._decoder, _tensor(Z[rows].astype(self.dtype, copy=False))
            )
            X[rows] = self.scaling.undo(output) if self.link == "identity" else output
            # A softmax shares out the whole, so no feature can be set alone.
            if self.link != "softmax":
                X[rows, constant] = mean[constant]
        return X

    def squared_errors(self, X, per_feature):
        """Squared errors in units of the scaling, of rows' features or their means."""
        errors = np.empty(X.shape if per_feature else X.shape[0])
        for rows in self.chunks(X.shape[0]):
            original = dense_rows(X, rows)
            x = self.decode(self.encode(original))
            squared = np.square(np.subtract(original, x, dtype=np.float64))
            squared /= self.scaling.unit**2
            errors[rows] = squared if per_feature else squared.mean(axis=1)
        return errors

    def explained_variance_ratio(self, X):
        """R2 gained by each code, shape (n_components,), the later ones at their mean.

        The gains add up to the R2 of the whole reconstruction of ``X``.
        """
        Z = self.encode(X)
        partial = np.broadcast_to(Z.mean(axis=0), Z.shape).copy()
        left = [self.scaling.variance]
        for j in range(self.n_components):
            partial[:, j] = Z[:, j]
            error = np.subtract(X, self.decode(partial), dtype=np.float64)
            left.append(np.mean(np.square(error / self.scaling.scale)))
        return -np.diff(left) / (self.scaling.variance or 1.0)

    def _decoder(self, z):
        return LINKS[self.link].function(self.network.decoder(z))

    def _scaled(self, X, room):
        """Scaled rows as a tensor, what `Scaling.apply` makes in float64.

        Into ``room``, of float32, if that is the dtype.
        """
        smallest = self.scaling.scale.min()
        if self.dtype == np.float64 or smallest < _SMALLEST:
            return _tensor(self.scaling.apply(X).astype(self.dtype, copy=False))
        # In float32 a mean is rounded first, so that a row near it is subtracted
        # exactly, and what the rounding has changed is added at the end.
        mean = self.scaling.mean.astype(np.float32)
        factor = np.where(self.scaling.constant, 0.0, 1 / self.scaling.scale)
        rounded = torch.from_numpy(factor * (mean - self.scaling.mean)).float()
        x = torch.sub(_tensor(X), torch.from_numpy(mean), out=room)
        x.clamp_(-_LARGEST, _LARGEST)  # no infinity, that zero times it be zero
        torch.addcmul(rounded, x, torch.from_numpy(factor).float(), out=x)
        return x.clamp_(-FARTHEST, FARTHEST)

    @torch.inference_mode()
    def _run(self, function, values):
        return function(values.to(self.device)).cpu().numpy()


def _tensor(values):
    """Return an array as a tensor; a copy if torch could not share it."""
    if not values.flags.writeable or not values.flags.c_contiguous:
        values = np.array(values, order="C")
    return torch.from_numpy(values)
