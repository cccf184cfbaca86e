"""Reconstruction: rows and their reconstructions, as pictures, curves or tables."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .._typing import Floats, MatrixLike
from .canvas import COLOURS, DASHES, GAPS, MARKERS, coincide, grid, limits
from .checks import check_number, check_numbers
from .comparison import compare, name_features
from .pictures import difference_picture, grey_levels, is_in_colour, picture
from .profiles import Profile, check_kind
from .rows import observed_mean, observed_variance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReconstructionDisplay"]

# Number of characters in a line of a title above a picture.
_LINE = 14
_CELLS = {"image": (1.55, 1.5), "curve": (4.6, 1.9), "table": (4.6, 2.1)}


class ReconstructionDisplay:
    """Rows, their reconstructions, PCA's reconstructions, and the differences.

    Use `from_estimator` to make it. The parameters are the data that it draws.

    Parameters
    ----------
    original, reconstruction : ndarray of shape (n_rows, n_features)
        The rows and their reconstructions. NaN stands for gaps in the rows.
    baseline : ndarray of shape (n_rows, n_features), default=None
        Reconstructions by the baseline.
    kind : {"auto", "image", "curve", "table"}, default="auto"
        How a row is drawn: as a picture; as a curve over features that have an order;
        or as a point for each feature ("table"). "auto" is a picture if there is an
        ``image_shape``, a curve if there are more than 30 features or a
        ``feature_axis``, else a table.
    image_shape : tuple of int, default=None
        Height and width of pictures; for colour pictures, height, width and channels.
        The differences of these are means over red, green and blue.
    feature_axis : array-like of shape (n_features,), default=None
        Positions of the features on the axis of curves, such as wavelengths.
    feature_names : list of str, default=None
        Names on the axis of a table.
    centre, spread : ndarray of shape (n_features,), default=None
        A table draws ``(value - centre) / spread``, because features may have different
        units.
    row_names : list of str, default=None
        Titles of the rows.
    baseline_name : str, default="PCA"
        Name of the baseline.

    Attributes
    ----------
    axes_, figure_ : ndarray of Axes, Figure
        After `plot`.

    See Also
    --------
    ErrorDisplay : The errors of all rows, and of the features.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, ReconstructionDisplay
    >>> X = load_digits().data
    >>> ae = AutoEncoderTransformer(8, max_iter=3, random_state=0).fit(X[:500])
    >>> display = ReconstructionDisplay.from_estimator(
    ...     ae, X[500:], X_train=X[:500], image_shape=(8, 8)
    ... )
    >>> display.axes_.shape  # original, ours, PCA's, two differences
    (4, 5)
    """

    def __init__(
        self,
        original: Floats,
        reconstruction: Floats,
        baseline: Floats | None = None,
        *,
        kind: str = "auto",
        image_shape: Sequence[int] | None = None,
        feature_axis: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        centre: Floats | None = None,
        spread: Floats | None = None,
        row_names: Sequence[str] | None = None,
        baseline_name: str | None = "PCA",
    ) -> None:
        self.original = original
        self.reconstruction = reconstruction
        self.baseline = baseline
        self.kind = kind
        self.image_shape = image_shape
        self.feature_axis = feature_axis
        self.feature_names = feature_names
        self.centre = centre
        self.spread = spread
        self.row_names = row_names
        self.baseline_name = baseline_name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        *,
        rows: ArrayLike = 4,
        X_train: MatrixLike | None = None,
        baseline: str | BaseEstimator | None = "pca",
        kind: str = "auto",
        image_shape: Sequence[int] | None = None,
        feature_axis: ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw some rows and their reconstructions.

        Parameters
        ----------
        estimator : AutoEncoderTransformer or Pipeline that ends in one
            Fitted estimator. Any transformer with ``inverse_transform`` works. For a
            pipeline, the rows are drawn as its last step gets them.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        rows : int or array-like of int, default=4
            Numbers of the rows to draw. An int draws this many rows, from the smallest
            to the largest error, evenly spaced by rank.
        X_train : {array-like, sparse matrix}, default=None
            Rows that PCA is fitted to. None means ``X``, which favours PCA if the
            estimator was not fitted to ``X``.
        baseline : "pca", transformer or None, default="pca"
            Baseline: PCA with as many codes, or a fitted transformer.
        kind, image_shape, feature_axis : str, tuple of int, array-like
            As in the class.
        ax : matplotlib Axes, default=None
            Axes to replace by a grid. None makes a figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.
        """
        compared = compare(estimator, X, X_train, baseline)
        errors = compared.row_errors(compared.reconstruction)
        chosen = _choose(rows, errors)
        of_baseline = compared.baseline
        spread = np.sqrt(observed_variance(compared.X))
        display = cls(
            compared.X[chosen],
            compared.reconstruction[chosen],
            None if of_baseline is None else of_baseline[chosen],
            kind=kind,
            image_shape=image_shape,
            feature_axis=feature_axis,
            feature_names=compared.names,
            centre=observed_mean(compared.X),
            spread=np.where(spread > 0, spread, 1.0),
            row_names=[f"row {i}\n{_rank(errors, i)}" for i in chosen],
            baseline_name=compared.baseline_name,
        )
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to replace by a grid. None makes a figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.
        """
        n_rows, n_features = np.shape(self.original)
        kind = check_kind(self.kind, n_features, self.image_shape, self.feature_axis)
        is_image, has_baseline = kind == "image", self.baseline is not None
        n_columns = (3 + 2 * has_baseline) if is_image else 2
        features = name_features(self.feature_names, n_features)
        profile = Profile(kind, self.feature_axis, features)
        below = profile.height
        panels = grid(ax, n_rows, n_columns, _CELLS[kind], is_image, below)
        self.figure_, self.axes_ = panels.figure, panels.axes
        names = self.row_names or [f"row {i}" for i in range(n_rows)]
        if is_image:
            self._plot_images(panels, names)
        else:
            self._plot_profiles(kind, profile, names, panels.width)
        panels.fit()
        return self

    def _plot_images(self, panels, names):
        assert self.image_shape is not None  # pictures have a shape
        shown = {"original": self.original, "reconstruction": self.reconstruction}
        left = {"reconstruction\n- original": self.reconstruction - self.original}
        if self.baseline is not None:
            name = str(self.baseline_name)
            shown[name] = self.baseline
            left[f"{name}\n- original"] = self.baseline - self.original
        shape, levels = self.image_shape, grey_levels(self.original, self.image_shape)
        style = {"cmap": "gray", "vmin": levels[0], "vmax": levels[1]}
        columns = [
            (title, [picture(row, shape, levels) for row in values], style)
            for title, values in shown.items()
        ]
        pictures = {
            title: [difference_picture(row, shape) for row in values]
            for title, values in left.items()
        }
        size = np.abs(levels).max()
        most = max(np.abs(limits(values, size)).max() for values in pictures.values())
        style = {"cmap": "PuOr", "vmin": -most, "vmax": most}
        columns += [(title, values, style) for title, values in pictures.items()]
        size_of_font = panels.font_size(_LINE)
        for axes, (title, values, style) in zip(self.axes_.T, columns, strict=True):
            axes[0].set_title(_wrapped(title), fontsize=size_of_font)
            for ax, values_of_row, row in zip(axes, values, self.original, strict=True):
                image = ax.imshow(values_of_row, **style)
                ax.set(xticks=[], yticks=[])
                if np.isnan(row).any():  # seen where the picture has a gap
                    ax.patch.set(**GAPS)
        for ax, name in zip(self.axes_[:, 0], names, strict=True):
            style = {"rotation": 0, "fontsize": size_of_font}
            ax.set_ylabel(name, ha="right", va="center", **style)
        label = "difference"
        if is_in_colour(shape):
            label += " (mean over colours)"
        panels.colour_bar(image, self.axes_[:, len(shown) :], label)

    def _plot_profiles(self, kind, profile, names, width):
        lines = {"original": ("original", self.original)}
        lines["ours"] = "reconstruction", self.reconstruction
        if coincide(self.reconstruction, self.baseline):
            name = f"reconstruction = {self.baseline_name}"
            lines["ours"] = name, self.reconstruction
        elif self.baseline is not None:
            lines["baseline"] = str(self.baseline_name), self.baseline
        centre: Floats | float = 0.0
        spread: Floats | float = 1.0
        if kind == "table" and self.spread is not None:
            spread = self.spread
            centre = 0.0 if self.centre is None else self.centre
        for (ax, ax_left), i, name in zip(
            self.axes_, range(len(names)), names, strict=True
        ):
            for role, (label, values) in lines.items():
                style = {"color": COLOURS[role], "linestyle": DASHES[role]}
                if kind == "table":
                    style["marker"] = MARKERS[role]
                profile.draw(ax, (values[i] - centre) / spread, label=label, **style)
                if role != "original":
                    left = (values[i] - self.original[i]) / spread
                    profile.draw(ax_left, left, **style)
            ax_left.axhline(0, color=COLOURS["original"], lw=0.8)
            ax.set_title(name.replace("\n", ", "), fontsize="small", loc="left")
        self._share_limits(spread)
        unit = "standard deviations" if kind == "table" else "value"
        for ax in self.axes_[:, 0]:
            ax.set_ylabel(unit, fontsize="small")
        self.axes_[0, 1].set_title(
            "difference from the original (one scale)", fontsize="small", loc="left"
        )
        profile.label(self.axes_, width)
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.12)}
        self.axes_[0, 0].legend(fontsize="small", frameon=False, ncols=3, **place)

    def _share_limits(self, spread):
        size = limits(np.abs(self.original / spread))[1]
        most = max(np.abs(limits(ax.get_ylim(), size)).max() for ax in self.axes_[:, 1])
        for ax in self.axes_[:, 1]:
            ax.set_ylim(-most, most)


# Pickles name the public place, so that they survive a move of this file.
ReconstructionDisplay.__module__ = "skae"


def _wrapped(title):
    """Return a title in lines that are not wider than a picture."""
    return "\n".join(part for line in title.split("\n") for part in wrap(line, _LINE))


def _choose(rows, errors):
    """Return indices of rows: the given ones, or some from best to worst."""
    if np.ndim(rows) > 0:
        return check_numbers("rows", rows, len(errors) - 1)
    rows = check_number("rows", rows, 1)
    order = np.argsort(errors)  # rows without an observed entry are last
    n_known = int(np.sum(~np.isnan(errors)))
    ranks = np.linspace(0, n_known - 1, min(rows, n_known))
    return order[np.round(ranks).astype(int)]


def _rank(errors, i):
    """Return the rank of a row's error among all rows, as a text."""
    if np.isnan(errors[i]):
        return "nothing observed"
    rank, last = (errors < errors[i]).sum(), np.sum(~np.isnan(errors)) - 1
    if rank == 0:
        return "least error"
    if rank == last:
        return "largest error"
    return f"error > {rank / last:.0%} of rows"
