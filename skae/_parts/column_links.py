"""Links of several columns each: they turn the output of a mixed loss into values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from .._data.scaling import Scaling
from .._typing import Bools, Floats
from .losses import LINKS, Link

__all__ = [
    "PROJECTED",
    "ColumnLinks",
    "LinkParts",
    "NamedLink",
    "PlainLink",
    "Projections",
    "link_of",
]

#: First item of the plain value of `Projections`.
PROJECTED = "projected"

#: Keys of ``LINKS``, columns, and the factor of their values.
LinkParts: TypeAlias = tuple[tuple[str, tuple[int, ...], float], ...]
#: Plain value of a link, as it is stored.
PlainLink: TypeAlias = str | LinkParts | tuple[str, LinkParts]


def link_of(link: PlainLink) -> "NamedLink | ColumnLinks | Projections":
    """Return the link for its plain value.

    Parameters
    ----------
    link : str or tuple
        Key of ``LINKS``; ``parts`` of `ColumnLinks`; or a pair of ``PROJECTED`` and
        such parts.
    """
    if isinstance(link, str):
        return NamedLink(link)
    if link[0] == PROJECTED:
        return Projections(link[1])
    return ColumnLinks(cast(LinkParts, link))


@dataclass(frozen=True)
class NamedLink:
    """One link for all columns.

    Attributes
    ----------
    name : str
        Key of ``LINKS``.
    """

    name: str

    def inverse(self, output: Tensor) -> Tensor:
        """Return values of an output, a tensor (batch, n_features)."""
        return LINKS[self.name].inverse(output)

    def start(self, mean: Floats) -> Floats:
        """Return the output (n_features,) whose reconstruction is about ``mean``."""
        return LINKS[self.name].start(mean)

    def slope(self, scaling: Scaling) -> Floats:
        """Return the slope of the output's link, in units of the scaled data."""
        if self.name == "identity":
            return np.ones(len(scaling.mean))
        return LINKS[self.name].slope(scaling.mean) / scaling.scale

    def is_scaled(self, n_features: int) -> Bools:
        """Return which values are in units of the scaled data, not in units of X."""
        return np.full(n_features, self.name == "identity")

    def project(self, values: Floats) -> Floats:
        """Return rows in units of X, clipped to the range of each column."""
        return values

    def sums_to_one(self, n_features: int) -> Bools:
        """Return which values are parts of a sum, so that none can be set alone."""
        return np.full(n_features, self.name == "softmax")


@dataclass(frozen=True)
class ColumnLinks:
    """A link for each group of columns; see `NamedLink` for the methods.

    Attributes
    ----------
    parts : tuple of (str, tuple of int, float)
        Keys of ``LINKS``, columns, and the factor of their values. Each column is in
        one part. A softmax is over the columns of its part.
    """

    parts: LinkParts

    def inverse(self, output: Tensor) -> Tensor:
        values = output.clone()
        for name, columns, units in self.joined():
            if name != "identity":
                linked = LINKS[name].inverse(output[:, columns])
                values[:, columns] = linked * torch.as_tensor(units).to(output)
        return values

    def start(self, mean: Floats) -> Floats:
        return self._by_part(lambda link, m, scale, unit: link.start(m / unit), mean)

    def slope(self, scaling: Scaling) -> Floats:
        def of_part(
            link: Link, mean: Floats, scale: Floats, unit: float
        ) -> Floats | float:
            if link is LINKS["identity"]:
                return 1.0
            return link.slope(mean / unit) * unit / scale

        return self._by_part(of_part, scaling.mean, scaling.scale)

    def is_scaled(self, n_features: int) -> Bools:
        return self._are("identity", n_features)

    def project(self, values: Floats) -> Floats:
        return values

    def sums_to_one(self, n_features: int) -> Bools:
        return self._are("softmax", n_features)

    def joined(self) -> Iterator[tuple[str, list[int], Floats]]:
        """Yield names, columns and their units (an array); each softmax separately."""
        together: dict[
            tuple[str, tuple[int, ...] | None], tuple[list[int], list[float]]
        ] = {}
        for name, columns, unit in self.parts:
            key = name, columns if name == "softmax" else None
            joined, units = together.setdefault(key, ([], []))
            joined.extend(columns)
            units.extend([unit] * len(columns))
        for (name, _), (joined, units) in together.items():
            yield name, joined, np.array(units)

    def _by_part(
        self,
        function: Callable[[Link, Floats, Floats, float], Floats | float],
        mean: Floats,
        scale: Floats | None = None,
    ) -> Floats:
        values = np.empty_like(mean)
        scale = np.ones_like(mean) if scale is None else scale
        for name, columns, unit in self.parts:
            where = list(columns)
            of_part = LINKS[name], mean[where], scale[where], unit
            values[where] = function(*of_part)
        return values

    def _are(self, kind: str, n_features: int) -> Bools:
        of_kind = np.full(n_features, False)
        for name, columns, _ in self.parts:
            of_kind[list(columns)] = name == kind
        return of_kind


@dataclass(frozen=True)
class Projections:
    """The ranges of links, for linear reconstructions, which have no range.

    Attributes
    ----------
    parts : tuple
        As in `ColumnLinks`.
    """

    parts: LinkParts

    def inverse(self, output: Tensor) -> Tensor:
        return output

    def is_scaled(self, n_features: int) -> Bools:
        return np.full(n_features, True)

    def sums_to_one(self, n_features: int) -> Bools:
        return ColumnLinks(self.parts).sums_to_one(n_features)

    def project(self, values: Floats) -> Floats:
        values = values.copy()
        for columns, low, high, sums_to_one in self.bounds():
            part = np.clip(values[:, columns], low, high)
            if sums_to_one:
                part /= part.sum(axis=1, keepdims=True)
            values[:, columns] = part
        return values

    def bounds(self) -> Iterator[tuple[list[int], Floats, Floats, bool]]:
        """Yield columns, bounds of their values, and whether these sum to one."""
        for name, columns, units in ColumnLinks(self.parts).joined():
            link = LINKS[name]
            if name != "identity":
                yield columns, link.low * units, link.high * units, name == "softmax"
