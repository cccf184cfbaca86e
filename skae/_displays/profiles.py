"""Profiles: values of features along an axis, as a curve or as points by name."""

import numpy as np

__all__ = ["KINDS", "Profile", "check_kind"]

KINDS = ("auto", "image", "curve", "table")
# Number of names that can be read beside one another.
_MANY_FEATURES = 30


def check_kind(kind, n_features, image_shape, feature_axis):
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
    if kind == "image" and (image_shape is None or np.prod(image_shape) != n_features):
        raise ValueError(
            f"image_shape={image_shape!r} does not hold the {n_features} features of a "
            "row: pass (height, width), or (height, width, channels)."
        )
    if feature_axis is not None and len(feature_axis) != n_features:
        raise ValueError(
            f"feature_axis has {len(feature_axis)} values, but rows have {n_features} "
            "features."
        )
    return kind


class Profile:
    """How the features of a row are drawn along an axis.

    Parameters
    ----------
    kind : {"curve", "table"}
        A line over features that have an order, or a point for each feature.
    positions : array-like of shape (n_features,) or None
        Positions of features that have an order.
    names : list of str
    """

    def __init__(self, kind, positions, names):
        self.kind = kind
        self.names = names
        self.has_positions = positions is not None
        is_placed = kind == "curve" and self.has_positions
        self.positions = np.asarray(positions) if is_placed else np.arange(len(names))

    def draw(self, ax, values, **style):
        """Draw the values of all features."""
        if self.kind == "curve":
            style = {"lw": 1.1} | style
            return ax.plot(self.positions, values, **style)
        # A line would suggest an order of the features, which they do not have.
        size = 10 if style.get("marker") == "_" else 4.5
        style = {"marker": "o", "ms": size, "alpha": 0.85, **style, "linestyle": "none"}
        return ax.plot(self.positions, values, **style)

    def label(self, axes):
        """Label the features below the lowest row of an array of axes."""
        for ax in np.ravel(axes):
            ax.tick_params(labelsize="small")
            if self.kind == "table":
                ax.set_xticks(self.positions, [])
                ax.grid(axis="x", lw=0.4, alpha=0.5)
        for ax in np.atleast_2d(axes)[-1]:
            if self.kind == "table":
                ax.set_xticks(self.positions, self.names, rotation=90)
            else:
                ax.set_xlabel("" if self.has_positions else "feature (by number)")
