"""Data: rows of an array to batches of scaled float32 tensors on a device."""

import numpy as np
import torch

from ._device import free_memory
from ._scaling import dense_rows, row_slices

__all__ = ["Batches"]

# Rows are kept as one tensor up to this size, or up to half of a GPU's free memory;
# beyond it each batch is read from X as it comes.
_RESIDENT_BYTES = 2**28


class Batches:
    """The scaled rows of a table, in batches of tensors (batch, n_features).

    With each batch comes that of its targets, (batch, width).

    Parameters
    ----------
    table : Table
    rows : ndarray of int
        The rows of the table to use.
    scaling : Scaling
    batch_size : int
        Rows of a batch, at most.
    device : torch.device
    """

    def __init__(self, table, rows, scaling, batch_size, device):
        self.X = table.X
        self.rows = rows
        self.scaling = scaling
        self.batch_size = batch_size
        self.device = device
        self.n_rows, self.n_features = len(rows), self.X.shape[1]
        self.n_batches = -(-self.n_rows // batch_size)
        size = 4 * self.n_rows * self.n_features
        limit = _RESIDENT_BYTES
        if device.type == "cuda":
            limit = free_memory(device) // 2
        self.resident = self._load() if size <= limit else None
        self.targets = torch.from_numpy(table.targets[rows]).to(device)

    def _load(self):
        """All rows as one tensor, filled a few at a time."""
        x = torch.empty(self.n_rows, self.n_features, device=self.device)
        for part in row_slices(self.n_rows, self.n_features):
            x[part] = self._read(self.rows[part])
        return x

    def _read(self, rows):
        # Centred and scaled in float64, before float32 could lose small differences
        # of large values.
        x = self.scaling.apply(dense_rows(self.X, rows)).astype(np.float32)
        return torch.from_numpy(x).to(self.device)

    def shuffled(self, rng):
        """Every row once, in random order, in batches of nearly equal size.

        Equal sizes rather than a small rest, whose noisy gradient would count as
        much as a full one.
        """
        order = torch.from_numpy(rng.permutation(self.n_rows))
        if self.resident is not None:
            order = order.to(self.device)
            batch = self.resident.new_empty(self.batch_size, self.n_features)
            parts = order.tensor_split(self.n_batches)
            # One buffer for all batches, of two sizes at most: each is used up before
            # the next comes. Where there are no targets, any rows of them will do.
            sizes = {parts[0].shape[0], parts[-1].shape[0]}
            rooms = {n: (batch[:n], self.targets[:n]) for n in sizes}
            has_targets = self.targets.shape[1] > 0
            for part in parts:
                out, t = rooms[part.shape[0]]
                x = torch.index_select(self.resident, 0, part, out=out)
                yield x, self.targets[part] if has_targets else t
        else:
            for part in order.tensor_split(self.n_batches):
                # Read in the order of the file, for memory-mapped X.
                in_file, order_of = part.sort()
                x = self._read(self.rows[in_file.numpy()])[order_of.argsort()]
                yield x, self.targets[part.to(self.device)]

    def in_order(self):
        """Every row once, in order, in large batches for evaluation."""
        for part in row_slices(self.n_rows, self.n_features):
            x = self.resident[part] if self.resident is not None else None
            yield self._read(self.rows[part]) if x is None else x, self.targets[part]

    def sample(self, n_bytes, rng):
        """All rows and their targets as arrays, or a random part of streamed ones.

        Of that part the rows take about ``n_bytes``.
        """
        few = 4 * self.n_rows * self.n_features <= _RESIDENT_BYTES  # of a GPU's rows
        if few and self.resident is not None:
            return self.resident.cpu().numpy(), self.targets.cpu().numpy()
        n_rows = min(max(2, n_bytes // (4 * self.n_features)), self.n_rows)
        x = np.empty((n_rows, self.n_features), np.float32)
        chosen = np.sort(rng.choice(self.n_rows, n_rows, replace=False))
        for part in row_slices(n_rows, self.n_features):
            x[part] = self._read(self.rows[chosen[part]]).cpu().numpy()
        return x, self.targets.cpu().numpy()[chosen]
