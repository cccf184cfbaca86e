"""Batches: rows of an array as scaled float32 tensors on a device."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch

from .._runtime.device import free_memory
from .._typing import Bools, Floats, Ints, Rows
from .row_versions import BatchGaps, RowVersions
from .scaling import Scaling, dense_rows, row_slices, weighted

__all__ = ["Batches", "Sample"]

# Up to this size, or up to half of a GPU's free memory, all rows are held in one
# tensor. For larger data each batch is read from X when it is needed.
_RESIDENT_BYTES = 2**28
# Bytes of rows that are gathered at once, for several batches of a small network. They
# fit into a CPU's cache, or keep a GPU busy.
_GATHERED_BYTES = {"cpu": 2**22, "cuda": 2**26}
# Number of random versions of a row with gaps, in which other entries are hidden.
# Versions are reused, because filling gaps takes longer than a training step.
_N_VERSIONS = 16


#: Rows of several consecutive batches, their targets, weights and observed values, and
#: the list of batch sizes.
Shuffled: TypeAlias = tuple[
    torch.Tensor, torch.Tensor, torch.Tensor | None, BatchGaps | None, list[int]
]


class Sample(NamedTuple):
    """Scaled rows as arrays: all rows, or some if there are very many.

    ``x`` is of shape (n_samples, n_features), ``targets`` of shape (n_samples, width),
    and ``weights`` of shape (n_samples,) with mean 1, or None if all are 1.
    """

    x: Floats
    targets: Floats
    weights: Floats | None


class Table(Protocol):
    """The attributes of a `Dataset` that `Batches` needs."""

    @property
    def X(self) -> Rows: ...  # noqa: D102

    @property
    def with_gaps(self) -> Rows: ...  # noqa: D102

    @property
    def targets(self) -> Floats: ...  # noqa: D102

    @property
    def missing(self) -> Bools | None: ...  # noqa: D102

    @property
    def weights(self) -> Floats | None: ...  # noqa: D102

    def weights_of(self, rows: Ints) -> Floats | None: ...  # noqa: D102


class Batches:
    """The scaled rows of a dataset, in batches of tensors (batch, n_features).

    Each batch has targets, (batch, width), and weights, (batch, 1), or None if all are
    1. Batches may hold only the features that are learnt.

    Parameters
    ----------
    dataset : Dataset
    rows : ndarray of int
        Indices of the rows to use.
    scaling : Scaling
        Scaling of all features.
    batch_size : int
        Largest number of rows in a batch.
    device : torch.device
    features : ndarray of int of shape (n_features,), optional
        Indices of the features that are learnt.
    basis : ndarray of shape (n_features, n_axes), optional
        Orthonormal directions in the space of these features. If given, batches hold
        the coordinates of rows on these.
    """

    def __init__(
        self,
        dataset: Table,
        rows: Ints,
        scaling: Scaling,
        batch_size: int,
        device: torch.device,
        features: Ints | None = None,
        basis: Floats | None = None,
    ) -> None:
        self.X = dataset.X
        self.given = dataset.with_gaps
        self.rows = rows
        n_all = self.X.shape[1]
        self.features = np.arange(n_all) if features is None else features
        self.scaling = self.of_features = scaling.of(self.features)
        self.basis = basis
        self.n_samples, self.n_features = len(rows), len(self.features)
        if basis is not None:
            self.n_features = basis.shape[1]
            self.scaling = scaling.on_axes(self.n_features)
        #: Factor from a mean over the values of a row to a mean over all features.
        self.feature_fraction = self.n_features / n_all
        #: Squared distance of each row from the basis, which is part of the error of
        #: any reconstruction.
        self.off_basis = np.zeros(self.n_samples)
        self.batch_size = batch_size
        self.device = device
        self.n_batches = -(-self.n_samples // batch_size)
        size = 4 * self.n_samples * self.n_features
        limit = _RESIDENT_BYTES
        if device.type == "cuda":
            limit = free_memory(device) // 2
        self.resident = self._load() if size <= limit else None
        self.targets = torch.from_numpy(dataset.targets[rows]).to(device)
        #: Which values were observed, (n_samples, n_features). None if there are no
        #: gaps.
        self.observed: torch.Tensor | None = None
        if dataset.missing is not None:
            observed = ~dataset.missing[np.ix_(rows, self.features)]
            self.observed = torch.from_numpy(observed).to(device)
            shape = self.n_samples, self.n_features
            self._versions = RowVersions(*shape, _N_VERSIONS, device)
            self._version_in_order = RowVersions(*shape, 1, device)
        #: Sample weights with mean 1, (n_samples,). None if all are 1.
        self.row_weights = dataset.weights_of(rows)
        #: Mean of the sample weights as given.
        self.mean_weight, self.weights = 1, None
        if dataset.weights is not None and self.row_weights is not None:
            self.mean_weight = dataset.weights[rows].mean()
            weights = torch.from_numpy(self.row_weights[:, None].astype(np.float32))
            self.weights = weights.to(device)

    def _load(self) -> torch.Tensor:
        """Return all rows as one tensor, which is filled a few rows at a time."""
        x = torch.empty(
            self.n_samples, self.n_features, dtype=torch.float32, device=self.device
        )
        for part in row_slices(self.n_samples, self.X.shape[1]):
            values = self._scaled(self.rows[part])
            if self.basis is not None:
                values, self.off_basis[part] = self._project(values, self.basis)
            x[part] = torch.from_numpy(values).to(self.device)
        return x

    def _project(self, x: Floats, basis: Floats) -> tuple[Floats, Floats]:
        """Return coordinates of rows, and their squared distances from the basis."""
        values = x @ basis
        off = np.einsum("ij,ij->i", x, x) - np.einsum("ij,ij->i", values, values)
        return values, np.maximum(off, 0.0) / self.X.shape[1]

    def _read(self, rows: Ints) -> torch.Tensor:
        x = self._scaled(rows)
        x = x if self.basis is None else x @ self.basis
        return torch.from_numpy(x).to(self.device)

    def _scaled(self, rows: Ints) -> Floats:
        # Centred and scaled in float64, because float32 could lose small differences of
        # large values.
        values = dense_rows(self.X, rows)
        if len(self.features) < values.shape[1]:
            values = values[:, self.features]
        return self.of_features.apply(values).astype(np.float32)

    def shuffled(
        self, rng: np.random.Generator, n_epochs: int = 1
    ) -> Iterator[Shuffled]:
        """Yield every row once per epoch, in random order, in nearly equal batches.

        Sizes are nearly equal, because the noisy gradient of a small last batch would
        count as much as that of a full batch. Each item has several batches; see
        `Shuffled`. The caller may overwrite its tensors.
        """
        orders = [rng.permutation(self.n_samples) for _ in range(n_epochs)]
        sizes = [len(part) for part in np.array_split(orders[0], self.n_batches)]
        sizes *= n_epochs
        order = torch.from_numpy(np.concatenate(orders))
        if self.resident is not None:
            yield from self._gathered(self.resident, order.to(self.device), sizes)
            return
        for part in order.split(sizes):
            # Rows are read in the order of the file, in case X is memory-mapped.
            in_file, order_of = part.sort()
            x = self._read(self.rows[in_file.numpy()])[order_of.argsort()]
            yield x, *self._of_rows(part.to(self.device)), [len(part)]

    def _gathered(
        self, resident: torch.Tensor, order: torch.Tensor, sizes: list[int]
    ) -> Iterator[Shuffled]:
        """Yield batches of resident rows in a given order. Gather many at once.

        Each item reuses the memory of the item before.
        """
        n_bytes = _GATHERED_BYTES[self.device.type]
        n_batches = max(1, n_bytes // (4 * self.n_features * sizes[0]))
        groups = [sizes[i : i + n_batches] for i in range(0, len(sizes), n_batches)]
        buffer = resident.new_empty(sum(groups[0]), self.n_features)
        parts = order.split([sum(group) for group in groups])
        for rows, group in zip(parts, groups, strict=True):
            x = torch.index_select(resident, 0, rows, out=buffer[: sum(group)])
            yield x, *self._of_rows(rows), group

    def _of_rows(
        self, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, BatchGaps | None]:
        """Return targets, weights and observed values of some rows."""
        weights = None if self.weights is None else self.weights[rows]
        observed = None
        if self.observed is not None:
            observed = BatchGaps(self.observed[rows], rows, self._versions)
        return self.targets[rows], weights, observed

    def observed_in(self, part: slice) -> torch.Tensor | None:
        """Return which values of a slice of rows were observed, or None if all were."""
        return None if self.observed is None else self.observed[part]

    def gaps_in(self, part: slice) -> BatchGaps | None:
        """Return the gaps of a slice of rows, with the row version for evaluation."""
        if self.observed is None:
            return None
        rows = torch.arange(part.start, part.stop, device=self.device)
        return BatchGaps(self.observed[part], rows, self._version_in_order)

    def mean(self, losses: torch.Tensor | Floats) -> float:
        """Return the weighted mean of a tensor or an array of shape (n_samples,)."""
        if isinstance(losses, torch.Tensor):
            losses = losses.cpu().numpy()
        return weighted(losses, self.row_weights).mean()

    def parts(self) -> list[slice]:
        """Return the slices of rows that `in_order` yields, shorter for wide rows."""
        n_features = self.n_features if self.basis is None else self.X.shape[1]
        return row_slices(self.n_samples, n_features)

    def in_order(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield every row once, in order, in large batches for evaluation."""
        for part in self.parts():
            x = self.resident[part] if self.resident is not None else None
            yield self._read(self.rows[part]) if x is None else x, self.targets[part]

    def sample(self, n_bytes: int, rng: np.random.Generator) -> Sample:
        """Return a `Sample`: all rows, or random rows if data are streamed.

        Random rows take about ``n_bytes``.
        """
        # A GPU may hold more rows than should be copied to the CPU.
        few = 4 * self.n_samples * self.n_features <= _RESIDENT_BYTES
        if few and self.resident is not None:
            x, targets = self.resident.cpu().numpy(), self.targets.cpu().numpy()
            return Sample(x, targets, self.row_weights)
        n_samples = min(max(2, n_bytes // (4 * self.n_features)), self.n_samples)
        x = np.empty((n_samples, self.n_features), np.float32)
        chosen = np.sort(rng.choice(self.n_samples, n_samples, replace=False))
        for part in row_slices(n_samples, self.n_features):
            x[part] = self._read(self.rows[chosen[part]]).cpu().numpy()
        weights = None
        if self.row_weights is not None:
            weights = self.row_weights[chosen] / self.row_weights[chosen].mean()
        return Sample(x, self.targets.cpu().numpy()[chosen], weights)
