"""Links of several columns each: what makes values of the output of a mixed loss."""

from dataclasses import dataclass

import numpy as np

from .losses import LINKS

__all__ = ["ColumnLinks", "NamedLink", "link_of"]


def link_of(link):
    """Return what a link's plain value stands for.

    Parameters
    ----------
    link : str or tuple of (str, tuple of int, float)
        Key of ``LINKS``, or ``parts`` of `ColumnLinks`.
    """
    return NamedLink(link) if isinstance(link, str) else ColumnLinks(link)


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
        """Return what a small step of the output is, in units of the scaled data."""
        if self.name == "identity":
            return np.ones(len(scaling.mean))
        return LINKS[self.name].slope(scaling.mean) / scaling.scale

    def is_scaled(self, n_features):
        """Which values are in units of the scaled data, rather than in those of X."""
        return np.full(n_features, self.name == "identity")

    def sums_to_one(self, n_features):
        """Which values are parts of a sum, so that none can be set alone."""
        return np.full(n_features, self.name == "softmax")


@dataclass(frozen=True)
class ColumnLinks:
    """A link for each group of columns; see `NamedLink` for the methods.

    Attributes
    ----------
    parts : tuple of (str, tuple of int, float)
        Keys of ``LINKS``, columns, and what their values are multiplied by. Each column
        is in one part. A softmax is over the columns of its part.
    """

    parts: tuple

    def inverse(self, output):
        values = output.clone()
        for name, columns, unit in self.joined():
            if name != "identity":
                values[:, columns] = LINKS[name].inverse(output[:, columns]) * unit
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

    def sums_to_one(self, n_features):
        return self._are("softmax", n_features)

    def joined(self):
        """Yield names, columns and units: a softmax each, others of a unit together."""
        together = {}
        for name, columns, unit in self.parts:
            if name == "softmax":
                yield name, list(columns), unit
            else:
                together.setdefault((name, unit), []).extend(columns)
        for (name, unit), columns in together.items():
            yield name, columns, unit

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
