"""Canvas: matplotlib, imported when a picture is drawn, its axes, and the colours.

Colours are those of Okabe and Ito (2008), which colour-blind people can distinguish.
Whatever differs in colour also differs in dashes, markers or position.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "COLOURS",
    "DASHES",
    "GAPS",
    "MARKERS",
    "class_styles",
    "grid",
    "one_axes",
    "pyplot",
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

_OF_CLASSES = [
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#555555",
]
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


def one_axes(ax: "Axes | None", figsize: tuple[float, float] = (6.4, 4.2)) -> "Axes":
    """Return the given axes, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
    figsize : tuple of float
        Width and height in inches.
    """
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def grid(
    ax: "Axes | None", n_rows: int, n_columns: int, cell: tuple[float, float]
) -> "tuple[Figure | SubFigure, np.ndarray]":
    """Return a figure and an array of axes, which replace the given axes.

    Parameters
    ----------
    ax : matplotlib Axes or None
        None makes a figure.
    n_rows, n_columns : int
    cell : tuple of float
        Width and height in inches of each cell of a new figure.

    Returns
    -------
    figure : matplotlib Figure
    axes : ndarray of shape (n_rows, n_columns)
    """
    plt = pyplot()
    shape = {"nrows": n_rows, "ncols": n_columns, "squeeze": False}
    if ax is None:
        size = cell[0] * n_columns, cell[1] * n_rows + 0.5
        return plt.subplots(**shape, figsize=size, layout="constrained")
    ax.set_axis_off()
    place: Any = ax.get_subplotspec()  # None for axes that are in no grid
    inner = place.subgridspec(n_rows, n_columns)
    return ax.figure, inner.subplots(squeeze=False)


def class_styles(n_classes: int) -> list[tuple[str, str]]:
    """Return a colour and a marker for each class; there are 56 different pairs."""
    # Markers change with the colours, so that neighbours differ in both.
    n_colours, n_markers = len(_OF_CLASSES), len(_MARKERS)
    return [
        (
            _OF_CLASSES[i % n_colours],
            _MARKERS[(i % n_colours + i // n_colours) % n_markers],
        )
        for i in range(n_classes)
    ]
