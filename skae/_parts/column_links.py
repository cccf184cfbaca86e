"""Links of several columns each: they turn the output of a mixed loss into values."""

from dataclasses import dataclass

import numpy as np
import torch

from .losses import LINKS

__all__ = ["PROJECTED", "ColumnLinks", "NamedLink", "Projections", "link_of"]

#: First item of the plain value of `Projections`.
PROJECTED = "projected"


def link_of(link):
    """Return the link for its plain value.

    Parameters
    ----------
    link : str or tuple
        Key of ``LINKS``; ``parts`` of `ColumnLinks`; or a pair of ``PROJECTED`` and
        such parts.
    """
    if isinstance(link, str):
        return NamedLink(link)
    return Projections(link[1]) if link[0] == PROJECTED else ColumnLinks(link)


@dataclass(frozen=True)
class NamedLink:
    """One link for all columns.

    Attributes
    ----------
    name : str
        Key of ``LINKS``.
    """

    name: str

    def inverse(self, output):
        """Return values of an output, a tensor (batch, n_features)."""
        return LINKS[self.name].inverse(output)

    def start(self, mean):
        """Raw output, shape (n_features,), whose reconstruction is about ``mean``."""
        return LINKS[self.name].start(mean)

    def slope(self, scaling):
        """Return the slope of the output's link, in units of the scaled data."""
        if self.name == "identity":
            return np.ones(len(scaling.mean))
        return LINKS[self.name].slope(scaling.mean) / scaling.scale

    def is_scaled(self, n_features):
        """Which values are in units of the scaled data rather than in units of X."""
        return np.full(n_features, self.name == "identity")

    def project(self, values):
        """Return rows in units of X, an array, brought into the range of columns."""
        return values

    def sums_to_one(self, n_features):
        """Which values are parts of a sum, so that no value can be set alone."""
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

    parts: tuple

    def inverse(self, output):
        values = output.clone()
        for name, columns, units in self.joined():
            if name != "identity":
                units = torch.as_tensor(units).to(output)
                values[:, columns] = LINKS[name].inverse(output[:, columns]) * units
        return values

    def start(self, mean):
        return self._by_part(lambda link, m, scale, unit: link.start(m / unit), mean)

    def slope(self, scaling):
        def of_part(link, mean, scale, unit):
            if link is LINKS["identity"]:
                return 1.0
            return link.slope(mean / unit) * unit / scale

        return self._by_part(of_part, scaling.mean, scaling.scale)

    def is_scaled(self, n_features):
        return self._are("identity", n_features)

    def project(self, values):
        return values

    def sums_to_one(self, n_features):
        return self._are("softmax", n_features)

    def joined(self):
        """Yield names, columns and their units (an array); each softmax separately."""
        together = {}
        for name, columns, unit in self.parts:
            key = name, columns if name == "softmax" else None
            joined, units = together.setdefault(key, ([], []))
            joined.extend(columns)
            units.extend([unit] * len(columns))
        for (name, _), (columns, units) in together.items():
            yield name, columns, np.array(units)

    def _by_part(self, function, mean, scale=None):
        values = np.empty_like(mean)
        scale = np.ones_like(mean) if scale is None else scale
        for name, columns, unit in self.parts:
            columns = list(columns)
            of_part = LINKS[name], mean[columns], scale[columns], unit
            values[columns] = function(*of_part)
        return values

    def _are(self, kind, n_features):
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

    parts: tuple

    def inverse(self, output):
        return output

    def is_scaled(self, n_features):
        return np.full(n_features, True)

    def sums_to_one(self, n_features):
        return ColumnLinks(self.parts).sums_to_one(n_features)

    def project(self, values):
        values = values.copy()
        for columns, low, high, sums_to_one in self.bounds():
            part = np.clip(values[:, columns], low, high)
            if sums_to_one:
                part /= part.sum(axis=1, keepdims=True)
            values[:, columns] = part
        return values

    def bounds(self):
        """Yield columns, bounds of their values, and whether these sum to one."""
        for name, columns, units in ColumnLinks(self.parts).joined():
            link = LINKS[name]
            if name != "identity":
                yield columns, link.low * units, link.high * units, name == "softmax"
