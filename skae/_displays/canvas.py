"""Canvas: matplotlib, imported when a picture is drawn, its axes, and the colours.

Colours of lines are those of Okabe and Ito (2008), and colours of classes those of
Paul Tol (2021) and black. Colour-blind people can distinguish them.
Whatever differs in colour also differs in dashes, markers or position.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "COLOURS",
    "DASHES",
    "GAPS",
    "MARKERS",
    "Panels",
    "class_styles",
    "coincide",
    "grid",
    "legend_above",
    "limits",
    "one_axes",
    "pyplot",
    "short_names",
    "text_width",
]

#: Role of a line or point -> its colour.
COLOURS = {
    "original": "#000000",
    "ours": "#0072B2",
    "baseline": "#D55E00",
    "train": "#767676",
    "kept": "#009E73",
}
#: Role of a line -> its dashes, as matplotlib names them.
DASHES = {"original": "-", "ours": "-", "baseline": "--", "train": ":", "kept": "-."}
#: Role of a point -> its marker.
MARKERS = {"original": "_", "ours": "o", "baseline": "s"}
#: Background of pictures with gaps, which shows where a value is missing.
GAPS: dict[str, Any] = {"facecolor": "#CFE8F7", "edgecolor": "#0072B2", "hatch": "///"}

# Paul Tol's "muted" colours, and black: ten that differ for any kind of sight.
_OF_CLASSES = [
    "#332288",
    "#DDCC77",
    "#117733",
    "#88CCEE",
    "#882255",
    "#CC6677",
    "#44AA99",
    "#000000",
    "#999933",
    "#AA4499",
]
# Differences smaller than this share of the numbers are rounding errors.
_NOISE = 1e-6
# Widths in inches of a character in the fonts "medium" and "small".
_MEDIUM, _SMALL = 0.085, 0.07
# Attribute of axes with the panels that have replaced them.
_PANELS = "_skae_panels"
_MARKERS = ["o", "^", "s", "D", "v", "P", "X", "*"]


def pyplot() -> ModuleType:
    """Return `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "skae draws with matplotlib, which is not installed: pip install skae[plot]"
        ) from error
    return plt


def one_axes(
    ax: "Axes | None",
    figsize: tuple[float, float] = (6.4, 4.2),
    earlier: "Axes | None" = None,
) -> "Axes":
    """Return the given axes, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
    figsize : tuple of float
        Width and height in inches.
    earlier : matplotlib Axes, default=None
        Axes that the same display was drawn on. They are cleared if they are ``ax``.
    """
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=figsize, layout="constrained")[1]
    if ax is earlier or hasattr(ax, _PANELS):
        _clear(ax)
    return ax


def _clear(ax):
    """Remove what was drawn in axes, with its colour bars and panels."""
    for image in [*ax.collections, *ax.images]:
        if image.colorbar is not None:
            image.colorbar.remove()
    for panel in getattr(ax, _PANELS, ()):
        if panel in ax.figure.axes:  # no one else has removed it
            panel.remove()
    if hasattr(ax, _PANELS):
        delattr(ax, _PANELS)
    ax.clear()
    ax.set_axis_on()


@dataclass(frozen=True)
class Panels:
    """A grid of axes, in a figure or in the place of other axes.

    Attributes
    ----------
    figure : matplotlib Figure
    axes : ndarray of shape (n_rows, n_columns)
    bar : matplotlib Axes or None
        Axes for a colour bar, if they are in the grid.
    place : matplotlib GridSpec or None
        Grid to fit into its box, if the figure has no layout that does it.
    box : tuple of float
        Left, bottom, right and top of the box, as shares of the figure.
    outer : matplotlib Axes or None
        The axes that the grid replaces. They keep a list of what replaces them.
    width : float
        About the width in inches of each of the axes with its labels.
    """

    figure: "Figure | SubFigure"
    axes: np.ndarray
    bar: "Axes | None" = None
    place: Any = None
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    outer: "Axes | None" = None
    width: float = 4.0

    def __post_init__(self) -> None:
        if self.outer is not None:
            inner = [*self.axes.flat, *([self.bar] if self.bar else [])]
            setattr(self.outer, _PANELS, inner)

    def font_size(self, n_characters: int) -> float:
        """Return the largest font size for so many characters beside one another.

        It is at least 4 points, and at most that of "small".
        """
        points = 7 * self.width / (_MEDIUM * n_characters)
        return float(np.clip(points, 4, 8.3))

    def colour_bar(self, image: Any, axes: np.ndarray, label: str) -> "Axes":
        """Draw a colour bar beside some of the axes, and return its axes."""
        where = {"cax": self.bar} if self.bar else {"ax": list(np.ravel(axes))}
        return self.figure.colorbar(image, **where, label=label).ax

    def fit(self) -> None:
        """Move the axes, so that their labels are in the box too."""
        if self.place is not None:
            with warnings.catch_warnings():
                # In a box that is too small for the labels, they stay where they are.
                warnings.filterwarnings("ignore", "(?i)tight layout not applied")
                # Axes that are elsewhere in the figure do not matter.
                warnings.filterwarnings("ignore", "This figure includes Axes")
                self.place.tight_layout(self.figure, rect=self.box)


def grid(
    ax: "Axes | None",
    n_rows: int,
    n_columns: int,
    cell: tuple[float, float],
    has_bar: bool = False,
    below: float = 0.0,
) -> Panels:
    """Return a grid of axes, which replace the given axes.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None makes a figure.
    n_rows, n_columns : int
    cell : tuple of float
        Width and height in inches of each cell of a new figure.
    has_bar : bool, default=False
        Whether there will be a colour bar.
    below : float, default=0.0
        Height in inches of a new figure below the cells, for long labels.
    """
    plt = pyplot()
    if ax is None:
        size = cell[0] * n_columns, cell[1] * n_rows + 0.5 + below
        shape = {"nrows": n_rows, "ncols": n_columns, "squeeze": False}
        figure, axes = plt.subplots(**shape, figsize=size, layout="constrained")
        return Panels(figure, axes, width=cell[0])
    _clear(ax)
    ax.set_axis_off()
    return _in_place(ax, n_rows, n_columns, has_bar)


def _in_place(ax, n_rows, n_columns, has_bar):
    """Return a grid of axes in the place of given axes."""
    figure, shape = ax.figure, (n_rows, n_columns + has_bar)
    width = ax.get_window_extent().width / shape[1] / figure.dpi
    ratios = [1.0] * n_columns + [0.12] * has_bar
    spec: Any = ax.get_subplotspec()  # None for axes that are in no grid
    has_layout = figure.get_layout_engine() is not None
    is_laid_out = spec is not None and has_layout
    box = tuple(ax.get_position().extents)
    if is_laid_out:
        place = spec.subgridspec(*shape, width_ratios=ratios)
    else:
        place = _grid_in_box(figure, shape, ratios, box)
    panels = [
        [figure.add_subplot(place[i, j]) for j in range(n_columns)]
        for i in range(n_rows)
    ]
    bar = figure.add_subplot(place[:, -1]) if has_bar else None
    if has_layout and not is_laid_out:  # which would move them out of the box
        for panel in [*np.ravel(panels), *([bar] if bar else [])]:
            panel.set_in_layout(False)
    # Parts of figures cannot fit their panels into a box.
    is_fitted = not is_laid_out and hasattr(figure, "get_size_inches")
    to_fit = place if is_fitted else None
    return Panels(figure, np.array(panels), bar, to_fit, box, ax, width)


def _grid_in_box(figure, shape, ratios, box):
    from matplotlib.gridspec import GridSpec

    sides: Any = dict(zip(("left", "bottom", "right", "top"), box, strict=True))
    n_rows, n_columns = shape
    return GridSpec(n_rows, n_columns, figure, width_ratios=ratios, **sides)


def short_names(names: Sequence[str], most: int = 30) -> list[str]:
    """Return names with an ellipsis in the middle of those that are too long to read.

    Names that would look the same then begin with their numbers.

    Parameters
    ----------
    names : sequence of str
    most : int, default=30
        Largest number of characters.
    """
    short = [_shortened(str(name), most) for name in names]
    counts = Counter(short)
    return [
        _shortened(f"{i}: {names[i]}", most)
        if counts[name] > 1 and name != str(names[i])
        else name
        for i, name in enumerate(short)
    ]


def _shortened(name, most):
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end].rstrip()}…{name[len(name) - end :].lstrip()}"


def legend_above(ax: "Axes", width: float) -> None:
    """Draw the legend above the axes, where it hides no lines.

    Parameters
    ----------
    ax : matplotlib Axes
    width : float
        Width of the axes in inches. Names beside one another fit into it.
    """
    longest = max(len(label) for label in ax.get_legend_handles_labels()[1])
    n_columns = 2 if 2 * (0.5 + _SMALL * longest) <= width else 1
    place: dict[str, Any] = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "borderaxespad": 0.2,
    }
    ax.legend(frameon=False, fontsize="small", ncols=n_columns, **place)


def text_width(names: Sequence[str], is_small: bool = False) -> float:
    """Return the width in inches of the longest name."""
    longest = max((len(name) for name in names), default=0)
    return (_SMALL if is_small else _MEDIUM) * longest


def coincide(values: ArrayLike, others: ArrayLike | None) -> bool:
    """Whether one line would hide the other, as they are the same but for noise."""
    if others is None:
        return False
    values = np.asarray(values, dtype=float)
    size = np.nanmax(np.abs(values), initial=0.0)
    return np.allclose(values, others, rtol=0, atol=_NOISE * size, equal_nan=True)


def limits(values: ArrayLike, size: float | None = None) -> tuple[float, float]:
    """Return the lowest and the highest value, as the ends of a scale.

    If they differ by rounding errors only, the scale is longer, so that it does not
    show these.

    Parameters
    ----------
    values : array-like
        Values; those that are not finite do not count.
    size : float, default=None
        Size of the numbers that the values are differences of. None means the size of
        the values.
    """
    values = np.asarray(values, dtype=float)
    known = values[np.isfinite(values)]
    low, high = float(known.min(initial=np.inf)), float(known.max(initial=-np.inf))
    if not known.size:
        low = high = 0.0
    size = max(abs(low), abs(high), size or 0.0) or 1.0
    if high - low > _NOISE * size:
        return low, high
    return low - 0.05 * size, high + 0.05 * size


def class_styles(n_classes: int) -> list[tuple[str, str]]:
    """Return a colour and a marker for each class; there are 80 different pairs."""
    # Markers change with the colours, so that neighbours differ in both.
    n_colours, n_markers = len(_OF_CLASSES), len(_MARKERS)
    return [
        (
            _OF_CLASSES[i % n_colours],
            _MARKERS[(i % n_colours + i // n_colours) % n_markers],
        )
        for i in range(n_classes)
    ]
