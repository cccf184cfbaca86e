"""Traversal: how a row changes along a code."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .._typing import Floats, MatrixLike
from .canvas import grid, limits, pyplot
from .checks import check_number, check_numbers
from .comparison import encode, name_features, unpack
from .pictures import grey_levels, picture
from .profiles import Profile, check_kind
from .rows import observed_rows, observed_variance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TraversalDisplay"]

_MOST_CODES = 4
_CELLS = {"curve": (4.4, 1.9), "table": (6.4, 2.2)}
_RANGE = (0.05, 0.95)


class TraversalDisplay:
    """Rows decoded from codes that differ in one number.

    Use `from_estimator` to make it. The parameters are the data that it draws.

    Parameters
    ----------
    rows : ndarray of shape (n_codes, n_steps, n_features)
        Decoded rows at the steps along each code.
    values : ndarray of shape (n_codes, n_steps)
        Values of the code at the steps.
    base : ndarray of shape (n_features,)
        The row to compare with, decoded from the starting codes.
    kind : {"auto", "image", "curve", "table"}, default="auto"
        As in `ReconstructionDisplay`.
    image_shape : tuple of int, default=None
        Height and width of pictures; for colour pictures, height, width and channels.
    feature_axis : array-like of shape (n_features,), default=None
        Positions of the features on the axis of curves, such as wavelengths.
    feature_names : list of str, default=None
        Names on the axis of a table.
    spread : ndarray of shape (n_features,), default=None
        Standard deviations of the features, used as their units in a table.
    code_names : list of str, default=None
        Titles of the codes.

    Attributes
    ----------
    axes_, figure_ : ndarray of Axes, Figure
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, TraversalDisplay
    >>> X = load_digits().data
    >>> ae = AutoEncoderTransformer(3, max_iter=3, random_state=0).fit(X[:500])
    >>> display = TraversalDisplay.from_estimator(ae, X, image_shape=(8, 8))
    >>> display.axes_.shape  # codes, steps
    (3, 7)
    """

    def __init__(
        self,
        rows: Floats,
        values: Floats,
        base: Floats,
        *,
        kind: str = "auto",
        image_shape: Sequence[int] | None = None,
        feature_axis: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        spread: Floats | None = None,
        code_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.values = values
        self.base = base
        self.kind = kind
        self.image_shape = image_shape
        self.feature_axis = feature_axis
        self.feature_names = feature_names
        self.spread = spread
        self.code_names = code_names

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        *,
        components: ArrayLike | None = None,
        n_steps: int = 7,
        row: int | None = None,
        kind: str = "auto",
        image_shape: Sequence[int] | None = None,
        feature_axis: ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw how rows change along codes.

        Each code goes from its 5 % to its 95 % quantile in ``X``. The other codes stay
        at their mean, or at their values in a given row.

        Parameters
        ----------
        estimator : AutoEncoderTransformer or Pipeline that ends in one
            Fitted estimator. Any transformer with ``inverse_transform`` works. For a
            pipeline, the rows are drawn as its last step gets them.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows whose codes set the range.
        components : array-like of int, default=None
            Numbers of the codes; None for the first four.
        n_steps : int, default=7
            Number of rows along each code, at least 2.
        row : int, default=None
            Number of the row of ``X`` to start from; None for the mean code.
        kind, image_shape, feature_axis : str, tuple of int, array-like
            As in the class.
        ax : matplotlib Axes, default=None
            Axes to replace by a grid. None makes a figure.

        Returns
        -------
        display : TraversalDisplay
            The display, drawn.
        """
        estimator, X, names = unpack(estimator, X)
        Z = encode(estimator, X)
        numbers = np.arange(min(_MOST_CODES, Z.shape[1]))
        if components is not None:
            numbers = check_numbers("components", components, Z.shape[1] - 1)
        n_steps = check_number("n_steps", n_steps, 2)
        start = Z.mean(axis=0)
        if row is not None:
            start = Z[check_number("row", row, 0, len(Z) - 1)]
        codes, values = [], []
        for j in numbers:
            low, high = np.quantile(Z[:, j], _RANGE)
            values.append(np.linspace(low, high, n_steps))
            codes.append(np.tile(start, (n_steps, 1)))
            codes[-1][:, j] = values[-1]
        decode = estimator.inverse_transform
        rows = np.asarray(decode(np.concatenate(codes)), dtype=np.float64)
        shares = getattr(estimator, "explained_variance_ratio_", None)
        code_names = [
            f"code {j}" if shares is None else f"code {j} ({shares[j]:.1%})"
            for j in numbers
        ]
        spread = np.sqrt(observed_variance(observed_rows(estimator, X)))
        display = cls(
            rows.reshape(len(codes), n_steps, -1),
            np.array(values),
            np.asarray(decode(start[None]))[0],
            kind=kind,
            image_shape=image_shape,
            feature_axis=feature_axis,
            feature_names=names,
            spread=np.where(spread > 0, spread, 1.0),
            code_names=code_names,
        )
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the rows along each code.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to replace by a grid. None makes a figure.

        Returns
        -------
        display : TraversalDisplay
            The display, drawn.
        """
        n_codes, n_steps, n_features = self.rows.shape
        kind = check_kind(self.kind, n_features, self.image_shape, self.feature_axis)
        features = name_features(self.feature_names, n_features)
        profile = Profile(kind, self.feature_axis, features)
        names = self.code_names or [f"code {j}" for j in range(n_codes)]
        if kind == "image":
            panels = grid(ax, n_codes, n_steps, (1.1, 1.25))
        else:
            # A table shows only the changes, because features have different units.
            n_columns = 2 if kind == "curve" else 1
            panels = grid(ax, n_codes, n_columns, _CELLS[kind], below=profile.height)
        self.figure_, self.axes_ = panels.figure, panels.axes
        if kind == "image":
            self._plot_images(names, panels.font_size(6))
        else:
            self._plot_profiles(kind, profile, names, panels.width)
        panels.fit()
        return self

    def _plot_images(self, names, size_of_font):
        assert self.image_shape is not None  # pictures have a shape
        levels = grey_levels(self.rows, self.image_shape)
        style = {"cmap": "gray", "vmin": levels[0], "vmax": levels[1]}
        for axes, rows, values, name in zip(
            self.axes_, self.rows, self.values, names, strict=True
        ):
            for ax, row, value in zip(axes, rows, values, strict=True):
                ax.imshow(picture(row, self.image_shape, levels), **style)
                ax.set(xticks=[], yticks=[])
                ax.set_xlabel(f"{value:.2g}", fontsize=size_of_font)
            label = name.replace(" (", "\n(")
            style_of_label = {"fontsize": size_of_font, "rotation": 0}
            axes[0].set_ylabel(label, ha="right", va="center", **style_of_label)

    def _plot_profiles(self, kind, profile, names, width):
        spread = 1.0 if kind == "curve" or self.spread is None else self.spread
        n_steps = self.rows.shape[1]
        # Without the lightest end, which is hard to see on white.
        colours = pyplot().get_cmap("viridis")(np.linspace(0, 0.9, n_steps))
        named = {0, (n_steps - 1) // 2, n_steps - 1}
        lines = zip(self.axes_, self.rows, self.values, names, strict=True)
        for axes, rows, values, name in lines:
            for i, (row, colour) in enumerate(zip(rows, colours, strict=True)):
                if kind == "curve":
                    profile.draw(axes[0], row, color=colour)
                change = (row - self.base) / spread
                label = f"{values[i]:.2g}" if i in named else None
                profile.draw(axes[-1], change, color=colour, label=label)
            for ax in axes:
                size = limits(np.abs(self.base / spread))[1]
                ax.set_ylim(*limits(ax.get_ylim(), size))
            axes[-1].set_title("change", fontsize="small", loc="left")
            axes[0].set_title(name, fontsize="small", loc="left")
            style = {"fontsize": "x-small", "title_fontsize": "x-small"}
            place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
            axes[-1].legend(title="code", frameon=False, **style, **place)
            unit = "value" if kind == "curve" else "change, in\nstandard deviations"
            axes[0].set_ylabel(unit, fontsize="small")
        profile.label(self.axes_, width)


# Pickles name the public place, so that they survive a move of this file.
TraversalDisplay.__module__ = "skae"
