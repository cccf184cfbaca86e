"""Embedding: rows as points in a plane, by two of their codes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import type_of_target

from .._typing import Bools, Floats, MatrixLike
from .canvas import class_styles, one_axes, short_names, text_width
from .checks import check_methods, check_numbers
from .comparison import encode, last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EmbeddingDisplay", "are_numbers", "read_target"]

# Whole numbers with more values than this are numbers, not classes.
_MANY_CLASSES = 20
# More points than this hide one another.
_MANY_POINTS = 5_000
_UNKNOWN = "#BBBBBB"
# The largest number of classes in a legend; if there are more, the others look alike.
_MOST_NAMED = 28
_OTHERS = "#999999"
# Largest number of characters of names in the legend.
_LONGEST = 24


class EmbeddingDisplay:
    """Two codes of each row, coloured by a target; for many rows, their density.

    Use `from_estimator` to make it. The parameters are the data that it draws.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2)
        Two codes of each row.
    y : array-like of shape (n_samples,), default=None
        Classes or numbers. Floats with fractions, and whole numbers with more than 20
        values, are numbers. Rows with NaN or None are grey. If there are more than 28
        classes, the legend names the largest ones, and the others are grey.
    code_names : pair of str, default=("code 0", "code 1")
        Labels of the axes.
    y_name : str, default=None
        Name of ``y`` in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, EmbeddingDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = AutoEncoderTransformer(2, max_iter=3, random_state=0).fit(X[:500])
    >>> display = EmbeddingDisplay.from_estimator(ae, X, y)
    >>> len(display.ax_.collections)  # one for each digit
    10
    """

    def __init__(
        self,
        codes: Floats,
        y: ArrayLike | None = None,
        *,
        code_names: Sequence[str] = ("code 0", "code 1"),
        y_name: str | None = None,
    ) -> None:
        self.codes = codes
        self.y = y
        self.code_names = code_names
        self.y_name = y_name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        components: Sequence[int] = (0, 1),
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw two codes of rows.

        Parameters
        ----------
        estimator : AutoEncoderTransformer, other transformer or Pipeline
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Target that colours the points.
        components : pair of int, default=(0, 1)
            Numbers of the two codes.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        check_methods(last_step(estimator), "transform")
        Z = encode(estimator, X)
        components = _two_of(components, Z.shape[1])
        if y is not None:
            check_consistent_length(X, y)
        shares = getattr(last_step(estimator), "explained_variance_ratio_", None)
        names = [f"code {j}" for j in components]
        if shares is not None:
            names = [
                f"{name} ({shares[j]:.1%} of the variance)"
                for name, j in zip(names, components, strict=True)
            ]
        y_name = getattr(y, "name", None)  # of a column of a data frame
        display = cls(Z[:, components], y, code_names=names, y_name=y_name)
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        is_new = ax is None
        ax = self.ax_ = one_axes(ax, (6.4, 5.2), getattr(self, "ax_", None))
        self.figure_ = ax.figure
        if self.y is None:
            self._plot_rows(ax)
        else:
            values, known = read_target(self.y)
            if not known.all():
                style: dict[str, Any] = {"c": _UNKNOWN, "s": 6, "lw": 0, "zorder": 0.5}
                label = f"unknown ({np.sum(~known)})"
                ax.scatter(*self.codes[~known].T, label=label, **style)
            draw = self._plot_numbers if are_numbers(values) else self._plot_classes
            draw(ax, self.codes[known], values)
        ax.set(xlabel=self.code_names[0], ylabel=self.code_names[1])
        # Both codes have the same unit, so distances in the picture are distances.
        ax.set_aspect("equal", adjustable="datalim")
        if is_new:
            _make_room(ax)
        return self

    def _plot_rows(self, ax):
        if len(self.codes) <= _MANY_POINTS:
            ax.scatter(*self.codes.T, s=8, lw=0, alpha=0.6)
            return
        bins = ax.hexbin(*self.codes.T, gridsize=60, bins="log", mincnt=1, lw=0)
        ax.figure.colorbar(bins, ax=ax, label="rows in a cell")

    def _plot_numbers(self, ax, codes, values):
        label = self._short_name() or "y"
        if len(codes) > _MANY_POINTS:
            style = {"gridsize": 60, "mincnt": 1, "lw": 0}
            points = ax.hexbin(*codes.T, C=values, **style)
            label = f"mean of {label} in a cell"
        else:
            points = ax.scatter(*codes.T, c=values, s=9, lw=0)
        ax.figure.colorbar(points, ax=ax, label=label)

    def _short_name(self):
        return None if self.y_name is None else short_names([self.y_name], _LONGEST)[0]

    def _plot_classes(self, ax, codes, values):
        if values.dtype.kind == "f":
            values = values.astype(int)  # floats with fractions are numbers
        classes, numbers = np.unique(values, return_inverse=True)
        alpha = 0.7 if len(codes) <= _MANY_POINTS else 0.35
        size = 14 if len(codes) <= 2_000 else 7
        style: dict[str, Any] = {"s": size, "alpha": alpha, "lw": 0}
        named = _most_frequent(numbers)
        others = ~np.isin(numbers, named)
        if others.any():
            label = f"{len(classes) - len(named)} other classes"
            ax.scatter(*codes[others].T, color=_OTHERS, label=label, **style)
        names = short_names([str(classes[c]) for c in named], _LONGEST)
        looks = class_styles(len(named))
        for c, name, (colour, marker) in zip(named, names, looks, strict=True):
            style |= {"color": colour, "marker": marker, "label": name}
            ax.scatter(*codes[numbers == c].T, **style)
        legend = ax.legend(
            title=self._short_name(),
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            ncols=_n_columns(ax.get_legend_handles_labels()[1]),
            frameon=False,
            fontsize="small",
        )
        for handle in legend.legend_handles:
            handle.set_alpha(1.0)
            handle.set_sizes([30])


# Pickles name the public place, so that they survive a move of this file.
EmbeddingDisplay.__module__ = "skae"


def _n_columns(names):
    """Return the number of columns of the legend."""
    return 1 + (len(names) - 1) // 15


def _make_room(ax):
    """Widen a new figure for a legend of several columns or long names."""
    legend = ax.get_legend()
    if legend is not None:
        names = [text.get_text() for text in legend.get_texts()]
        width = _n_columns(names) * (0.45 + text_width(names, is_small=True))
        ax.figure.set_figwidth(max(6.4, 5.4 + width))


def _most_frequent(numbers):
    """Return the classes to name, in order: all, or the ones with the most rows."""
    counts = np.bincount(numbers)
    return np.sort(np.argsort(-counts, kind="stable")[:_MOST_NAMED])


def _two_of(components, n_codes):
    """Return the numbers of two codes as a list."""
    if n_codes < 2:
        raise ValueError(
            "EmbeddingDisplay draws two codes, but the estimator has one: fit it with "
            "n_components=2. TraversalDisplay draws one code."
        )
    numbers = check_numbers("components", components, n_codes - 1)
    if len(numbers) != 2:
        raise ValueError(
            f"components={components!r} must be two numbers from 0 to {n_codes - 1}, "
            "one for each axis."
        )
    return numbers.tolist()


def read_target(y: ArrayLike) -> tuple[np.ndarray, Bools]:
    """Return the known targets, and a mask of the rows that have one."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}: points have one colour. Pass one of its columns."
        )
    if y.dtype.kind == "f":
        known = ~np.isnan(y)
    elif y.dtype == object:
        known = np.array([v is not None and v == v for v in y])
    else:
        known = np.ones(len(y), bool)
    values = y[known]
    if y.dtype == object:
        values = np.array(values.tolist())
    return values, known


def are_numbers(values: np.ndarray) -> bool:
    """Whether targets are numbers rather than classes."""
    if values.dtype.kind not in "iuf" or not len(values):
        return False
    is_continuous = type_of_target(values) == "continuous"
    return is_continuous or len(np.unique(values)) > _MANY_CLASSES
