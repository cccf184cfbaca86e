"""Losses of several columns each: the objective for a mixed table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._data.columns import spell
from .._data.scaling import dense_rows, row_slices
from .._typing import Bools, Floats, Rows
from .column_links import PROJECTED, LinkParts
from .losses import LINKS, Gradient

__all__ = ["LINKS_OF", "ColumnLosses", "loss_parts", "most_likely", "scale_of"]

#: Loss of a group -> the link that goes with it.
LINKS_OF = {
    "squared_error": "identity",
    "log_loss": "logistic",
    "cross_entropy": "softmax",
    # Far from the data, an exponential would grow much faster than this.
    "poisson": "softplus",
}
# Smallest rate of a count in its units, so that logarithms are finite.
_LEAST_RATE = 1e-6


#: Losses, their columns or None for all, factors and units; see `ColumnLosses`.
LossParts: TypeAlias = tuple[tuple[str, Any, float, float], ...]


@dataclass(frozen=True)
class ColumnLosses:
    """A `MixedLoss` resolved for some rows; it has the attributes of a `Loss`.

    Attributes
    ----------
    parts : tuple of (str, tuple of int, float, float)
        For each loss: its name; its columns (each column is in one loss); the factor of
        the sum of the columns' losses; and, for counts, the unit of their output.
    names : tuple of str or None
        Names of the columns, for messages.
    """

    parts: LossParts
    names: tuple[str, ...] | None = field(default=None, compare=False)

    canonical = True
    compares_with_pca = True
    non_negative = False

    @property
    def link(self) -> LinkParts:
        """Plain value of the `ColumnLinks`."""
        return tuple((LINKS_OF[n], columns, unit) for n, columns, _, unit in self.parts)

    @property
    def linear_link(self) -> tuple[str, LinkParts]:
        """Plain value of the link that clips linear reconstructions to the range."""
        return PROJECTED, self.link

    def linear_output(self, values: Tensor) -> Tensor:
        """Return the output, a tensor, that links map as near to values as possible.

        Values are in units of the targets. Those of a linear reconstruction may be out
        of range.
        """
        output = values.clone()
        for name, columns, *_ in self.parts:
            if LINKS_OF[name] != "identity":
                columns = list(columns)
                of_part = LINKS[LINKS_OF[name]].start(values[:, columns].cpu().numpy())
                output[:, columns] = torch.from_numpy(of_part).to(output)
        return output

    def vanishes(self, values: Floats) -> Bools:
        """Return False for all columns: even constant columns must be learnt."""
        return np.full(np.shape(values), False)

    def scale_of(self, variance: Floats) -> Floats:
        """Return scales of columns, (n_features,), so that variables count equally.

        Columns of a part have a mean variance of one. A block is one variable, so its
        columns have a total variance of one.
        """
        scale = np.ones_like(variance)
        for name, columns, *_ in self.parts:
            columns = list(columns)
            combine = np.sum if name == "cross_entropy" else np.mean
            scale[columns] = np.sqrt(combine(variance[columns])) or 1.0
        return scale

    def target_units(self, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and scale that turn scaled rows into targets.

        Numbers stay scaled. Counts are in their units.
        """
        mean, scale = mean.clone(), scale.clone()
        for name, columns, _, unit in self.parts:
            columns = list(columns)
            if LINKS_OF[name] == "identity":
                mean[columns], scale[columns] = 0.0, 1.0
            mean[columns] /= unit
            scale[columns] /= unit
        return mean, scale

    def check_data(self, X: Rows) -> None:
        """Raise an error that names the column if values do not suit their loss."""
        for rows in row_slices(*X.shape):
            values = dense_rows(X, rows)
            for name, columns, *_ in self.parts:
                part = values[:, list(columns)]
                if name == "squared_error":
                    continue
                if (bad := part < 0).any():
                    self._refuse(name, columns, part, bad, ">= 0")
                if name == "log_loss" and (bad := part > 1).any():
                    self._refuse(name, columns, part, bad, "in [0, 1]")
                if name == "cross_entropy":
                    sums = part.sum(axis=1, dtype=np.float64)
                    wrong = (abs(sums - 1) > 1e-3) & (sums != 0)
                    if wrong.any():
                        row = rows.start + int(np.argmax(wrong))
                        first, last = (spell(columns[i], self.names) for i in (0, -1))
                        raise ValueError(
                            "loss='cross_entropy' needs one-hot columns, but those "
                            f"from {first} to {last} sum to {sums[wrong][0]:g} in row "
                            f"{row}. Encode them in the same way as the earlier rows."
                        )

    def _refuse(self, name, columns, part, bad, need):
        place = np.argmax(bad.any(axis=0))
        value = part[:, place][bad[:, place]][0]
        raise ValueError(
            f"Column {spell(columns[place], self.names)} of X holds {value:g}, but "
            f"loss={name!r} needs values {need}. Use loss='squared_error' for this "
            "column in a MixedLoss, or scale it."
        )

    def function(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, (batch,)."""
        total = output.new_zeros(len(output))
        for compare, _, columns, factor in self._compiled:
            losses = compare(output[:, columns], target[:, columns])
            total = total + losses.flatten(1) @ factor.to(output)
        return total

    def closed_form(self, fraction: float, mean: Tensor, scale: Tensor) -> Gradient:
        """Return a function of (output, x, n_outliers, weights); see `Loss`."""
        compiled = [
            (compare, differentiate, columns, factor.to(mean))
            for compare, differentiate, columns, factor in self._compiled
        ]

        def gradient(
            output: Tensor,
            x: Tensor,
            n_outliers: int = 0,
            weights: Tensor | None = None,
        ) -> tuple[Tensor | float, Tensor]:
            target = torch.addcmul(mean, x, scale)
            n_rows = len(output)
            inliers = slice(n_outliers, None)
            rows = target.new_ones(n_rows, 1) if weights is None else weights
            rows = rows[:, 0]
            slope, value = torch.zeros_like(output), 0.0
            for compare, differentiate, columns, factor in compiled:
                o, t = output[:, columns], target[:, columns]
                losses = compare(o[inliers], t[inliers]).flatten(1)
                value = value + rows[inliers] @ (losses @ factor)
                of_part = differentiate(o, t)
                shape = -1, *(1 for _ in range(of_part.ndim - 2))
                of_part *= factor.view(shape) * (fraction / n_rows)
                slope[:, columns] = of_part * rows.view(shape + (1,))
            return fraction * value / (n_rows - n_outliers), slope

        return gradient

    @cached_property
    def _compiled(self):
        """Functions of losses and gradients, columns, and the factors of variables.

        Columns are (n,), or (n, width) for n blocks of one width.
        """
        together: dict[tuple[str, int | None], tuple[list[Any], list[float]]] = {}
        for name, columns, factor, unit in self.parts:
            if name == "cross_entropy":
                blocks, factors = together.setdefault((name, len(columns)), ([], []))
                blocks.append(columns)
                factors.append(factor)
            else:
                joined, factors = together.setdefault((name, None), ([], []))
                joined.extend(columns)
                # Deviances of counts are proportional to their units.
                factors.extend([factor * unit] * len(columns))
        return [
            (*_FUNCTIONS[name], _as_slice(columns), torch.tensor(factors))
            for (name, _), (columns, factors) in together.items()
        ]


def _as_slice(columns):
    """Return columns as a slice, which copies nothing, if they follow one another."""
    columns = torch.tensor(columns)
    if columns.ndim == 1 and (columns.diff() == 1).all():
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns


# Losses, and their derivatives with respect to the output. Output and target have the
# same shape. Losses are those of values, or of blocks (batch, n_blocks, width).


def _squared_error(output, target):
    return (output - target).square()


def _squared_error_slope(output, target):
    return 2 * (output - target)


def _log_loss(output, target):
    return F.binary_cross_entropy_with_logits(output, target, reduction="none")


def _log_loss_slope(output, target):
    return torch.sigmoid(output) - target


def _cross_entropy(output, target):
    target = target.clamp(min=0.0)  # scaling may turn zeros into negative values
    log_p = torch.log_softmax(output, dim=-1)
    return (torch.xlogy(target, target) - target * log_p).sum(dim=-1)


def _cross_entropy_slope(output, target):
    target = target.clamp(min=0.0)
    known = target.sum(dim=-1, keepdim=True)
    return torch.softmax(output, dim=-1) * known - target


def _poisson(output, target):
    target = target.clamp(min=0.0)
    rate = F.softplus(output) + _LEAST_RATE
    # The logarithm of the ratio would have no gradient where the target is zero.
    return rate - target + torch.xlogy(target, target) - target * rate.log()


def _poisson_slope(output, target):
    rate = F.softplus(output) + _LEAST_RATE
    return (1 - target.clamp(min=0.0) / rate) * torch.sigmoid(output)


_FUNCTIONS = {
    "squared_error": (_squared_error, _squared_error_slope),
    "log_loss": (_log_loss, _log_loss_slope),
    "cross_entropy": (_cross_entropy, _cross_entropy_slope),
    "poisson": (_poisson, _poisson_slope),
}


def loss_parts(loss: str | ColumnLosses | Callable[..., Any]) -> LossParts:
    """Return a resolved loss as plain values: names of losses with their columns."""
    if isinstance(loss, ColumnLosses):
        return loss.parts
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", repr(loss))
    return ((name, None, 1.0, 1.0),)


def most_likely(values: Floats, parts: LossParts) -> Floats:
    """Return rows with the most likely categories in place of their probabilities.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
    parts : tuple
        The return value of `loss_parts`.
    """
    values = values.copy()
    for name, columns, *_ in parts:
        columns = slice(None) if columns is None else list(columns)
        if name == "log_loss":
            values[:, columns] = values[:, columns] >= 0.5
        elif name in ("cross_entropy", "kl_divergence"):
            of_block = values[:, columns]
            chosen = of_block.argmax(axis=1)[:, None]
            values[:, columns] = chosen == np.arange(of_block.shape[1])
    return values


def scale_of(
    loss: str | ColumnLosses | Callable[..., Any],
) -> Callable[[Floats], Floats] | None:
    """Return a function from variances to scales, or None if all share one scale."""
    return loss.scale_of if isinstance(loss, ColumnLosses) else None
