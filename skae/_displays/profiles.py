"""Profiles: values of features along an axis, as a curve or as points by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Floats
from .canvas import short_names, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["KINDS", "Profile", "check_kind"]

KINDS = ("auto", "image", "curve", "table")
# Largest number of names that can be read side by side.
_MANY_FEATURES = 30


def check_kind(
    kind: str,
    n_features: int,
    image_shape: Sequence[int] | None,
    feature_axis: ArrayLike | None,
) -> str:
    """Return how rows are drawn: "image", "curve" or "table".

    Raises
    ------
    ValueError
        If there is no such kind, or the shape of pictures does not fit the rows.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} must be one of {', '.join(map(repr, KINDS))}.")
    if kind == "auto":
        is_long = n_features > _MANY_FEATURES or feature_axis is not None
        kind = "image" if image_shape is not None else "curve" if is_long else "table"
    if kind == "image" and not _holds(image_shape, n_features):
        raise ValueError(
            f"image_shape={image_shape!r} does not hold the {n_features} features of a "
            "row: pass (height, width), or (height, width, channels) with 1, 3 or 4 "
            "channels."
        )
    n_places = n_features if feature_axis is None else len(np.asarray(feature_axis))
    if n_places != n_features:
        raise ValueError(
            f"feature_axis has {n_places} values, but rows have {n_features} features."
        )
    return kind


def _holds(image_shape, n_features):
    """Whether rows are pictures of this shape."""
    if image_shape is None or np.ndim(image_shape) != 1:
        return False
    is_picture = len(image_shape) == 2 or (
        len(image_shape) == 3 and image_shape[-1] in (1, 3, 4)
    )
    return is_picture and np.prod(image_shape) == n_features


class Profile:
    """How the features of a row are drawn along an axis.

    Parameters
    ----------
    kind : {"curve", "table"}
        A line over ordered features, or a point for each feature.
    positions : array-like of shape (n_features,) or None
        Positions of features that have an order.
    names : list of str
    """

    def __init__(
        self, kind: str, positions: ArrayLike | None, names: Sequence[str]
    ) -> None:
        self.kind = kind
        self.names = short_names(names)
        self.has_positions = positions is not None
        self.axis_name = "feature (by number)"
        if self.has_positions:  # an index or a series of pandas has a name
            name = getattr(positions, "name", None) or "feature axis"
            (self.axis_name,) = short_names([name])
        is_placed = kind == "curve" and self.has_positions
        self.positions = np.asarray(positions) if is_placed else np.arange(len(names))

    @property
    def height(self) -> float:
        """Height in inches of the labels of features."""
        return text_width(self.names) if self.kind == "table" else 0.0

    def draw(self, ax: "Axes", values: Floats, **style: Any) -> "list[Line2D]":
        """Draw the values of all features."""
        if self.kind == "curve":
            style = {"lw": 1.1} | style
            if np.isnan(values).any():  # else a value between gaps could not be seen
                style = {"marker": ".", "ms": 3} | style
            return ax.plot(self.positions, values, **style)
        # A line would suggest an order of the features, which they do not have.
        size = 10 if style.get("marker") == "_" else 4.5
        if style.get("marker") == "s":  # open, so that it shows a point within it
            style, size = {"mfc": "none"} | style, 6.5
        style = {"marker": "o", "ms": size, "alpha": 0.85, **style, "linestyle": "none"}
        return ax.plot(self.positions, values, **style)

    def label(self, axes: np.ndarray, width: float) -> None:
        """Label the features below the lowest row of an array of axes.

        Parameters
        ----------
        axes : ndarray of Axes
        width : float
            Width in inches of each with its labels. If it is short, the names are
            small, or only some are written.
        """
        points = 72 * 0.75 * width / len(self.names) / 1.2
        size, step = float(np.clip(points, 5, 8.3)), max(1, int(np.ceil(5 / points)))
        for ax in np.ravel(axes):
            ax.tick_params(labelsize="small")
            if self.kind == "table":
                ax.set_xticks(self.positions, [])
                ax.grid(axis="x", lw=0.4, alpha=0.5)
        for ax in np.atleast_2d(axes)[-1]:
            if self.kind == "table":
                names = [n if i % step == 0 else "" for i, n in enumerate(self.names)]
                ax.set_xticks(self.positions, names, rotation=90, fontsize=size)
            else:
                ax.set_xlabel(self.axis_name)
