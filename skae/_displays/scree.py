"""Scree: the share of variance that is reconstructed, by number of codes."""

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from .._reconstruction import ReconstructingTransformer
from .._runtime.warning import ValidationWarning
from .._typing import MatrixLike
from .canvas import COLOURS, DASHES, coincide, one_axes
from .checks import check_number
from .comparison import (
    PCAWithUnits,
    encode,
    share_of_variance,
    unit_of,
    unpack,
)
from .rows import filled_rows, has_gaps, observed_rows, observed_variance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ScreeDisplay"]


class ScreeDisplay:
    """R2 of the reconstruction by number of codes, compared with PCA.

    Use `from_estimator` to make it. The parameters are the data that it draws.

    Parameters
    ----------
    n_components : array-like of int of shape (n_points,)
        Numbers of codes.
    scores : array-like of shape (n_points,)
        Share of the variance that is reconstructed.
    baseline_scores : array-like of shape (n_points,), default=None
        PCA's scores.
    name : str, default="autoencoder"
        Name in the legend.
    baseline_name : str, default="PCA"
        Name of the baseline.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, ScreeDisplay
    >>> X = load_digits().data
    >>> ae = AutoEncoderTransformer(8, ordered=True, max_iter=5, random_state=0)
    >>> display = ScreeDisplay.from_estimator(ae.fit(X[:500]), X[:500])
    >>> display.n_components
    array([1, 2, 3, 4, 5, 6, 7, 8])
    """

    def __init__(
        self,
        n_components: ArrayLike,
        scores: ArrayLike,
        baseline_scores: ArrayLike | None = None,
        *,
        name: str = "autoencoder",
        baseline_name: str = "PCA",
    ) -> None:
        self.n_components = n_components
        self.scores = scores
        self.baseline_scores = baseline_scores
        self.name = name
        self.baseline_name = baseline_name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        *,
        X_train: MatrixLike | None = None,
        n_components: ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the share of variance that is reconstructed, by number of codes.

        If an autoencoder was fitted with ``ordered=True``, its first codes can be used
        alone, as those of PCA: one fit is enough. Other autoencoders are fitted again
        for each number of codes.

        Parameters
        ----------
        estimator : AutoEncoderTransformer, PCA, or Pipeline that ends in one
            Fitted estimator.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to measure on.
        X_train : {array-like, sparse matrix}, default=None
            Rows for fitting PCA, and for fitting the autoencoder again. None means
            ``X``.
        n_components : array-like of int, default=None
            Numbers of codes. None means every number up to that of the estimator. If
            each number needs a fit, None means 1, 2, 4, 8 and so on, and the number of
            the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : ScreeDisplay
            The display, drawn.
        """
        X_train = X if X_train is None else X_train
        fitted, given, _ = unpack(estimator, X)
        learnt = unpack(estimator, X_train)[1]
        rows, Z = observed_rows(fitted, given), encode(fitted, given)
        k = Z.shape[1]
        is_ours = isinstance(fitted, ReconstructingTransformer)
        refits = is_ours and not fitted._ordered
        numbers = _numbers(n_components, k, refits)
        if not np.any(observed_variance(rows) > 0):
            raise ValueError(
                f"The {len(rows)} rows of X do not vary, so there is no share of their "
                "variance: pass rows that differ."
            )
        unit = unit_of(fitted, rows.shape[1])
        if refits:
            scores = [_refit(fitted, j, learnt, given, rows, unit) for j in numbers]
            name = f"{type(fitted).__name__}, fitted for each"
        else:
            decode = fitted.inverse_transform if is_ours else _padded(fitted, k)
            scores = _of_first(Z, decode, numbers, rows, unit)
            name = f"{type(fitted).__name__}, its first codes"
        pca = PCAWithUnits(max(numbers), unit).fit(filled_rows(fitted, learnt))
        of_pca = (
            pca.transform(filled_rows(fitted, given)),
            pca.inverse_transform,
            numbers,
            rows,
            unit,
        )
        where = "" if X_train is not X else " of these rows"
        if has_gaps(rows):
            where += " (gaps filled)"
        display = cls(
            numbers, np.array(scores), np.array(_of_first(*of_pca)),
            name=name, baseline_name=f"PCA{where}",
        )  # fmt: skip
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : ScreeDisplay
            The display, drawn.
        """
        ax = self.ax_ = one_axes(ax, earlier=getattr(self, "ax_", None))
        self.figure_ = ax.figure
        lines = {"ours": (self.name, self.scores, "o")}
        if coincide(self.scores, self.baseline_scores):  # one would hide the other
            lines["ours"] = f"{self.name} = {self.baseline_name}", self.scores, "o"
        elif self.baseline_scores is not None:
            lines["baseline"] = self.baseline_name, self.baseline_scores, "s"
        for role, (label, scores, marker) in lines.items():
            style: dict[str, Any] = {"color": COLOURS[role], "linestyle": DASHES[role]}
            style["clip_on"] = False  # draw markers at the edge completely
            if marker == "s":  # open, so that they show points within them
                style |= {"mfc": "none", "ms": 8}
            ax.plot(self.n_components, scores, marker=marker, label=label, **style)
        lowest = min(np.min(scores) for _, scores, _ in lines.values())
        ax.set(xlabel="number of codes", ylabel="share of the variance (R²)")
        ax.set_ylim(min(0.0, 1.05 * lowest), 1.0)
        numbers = np.unique(np.asarray(self.n_components))
        if len(numbers) == 1:
            ax.set_xlim(numbers[0] - 1, numbers[0] + 1)
            ax.set_xticks(numbers)
        else:
            locator: Any = ax.xaxis.get_major_locator()
            locator.set_params(integer=True)
        ax.grid(lw=0.4, alpha=0.5)
        ax.legend(frameon=False)
        return self


# Pickles name the public place, so that they survive a move of this file.
ScreeDisplay.__module__ = "skae"


def _numbers(n_components, k, refits):
    """Return the numbers of codes, in order."""
    if n_components is not None:
        given = np.ravel(np.asarray(n_components)).tolist()
        if not given:
            raise ValueError(f"n_components={n_components!r} names no number of codes.")
        most = None if refits else k  # the codes that the estimator has
        return np.unique([check_number("n_components", j, 1, most) for j in given])
    if not refits:
        return np.arange(1, k + 1)
    return np.unique([*(2 ** np.arange(k.bit_length())), k])


def _refit(estimator, n_components, X_train, X, rows, unit):
    """Return the score of a clone with another number of codes."""
    model = clone(estimator).set_params(n_components=int(n_components))
    with warnings.catch_warnings():
        # The picture shows which results are PCA.
        warnings.simplefilter("ignore", ValidationWarning)
        model.fit(X_train)
    again = np.asarray(model.inverse_transform(encode(model, X)))
    return share_of_variance(rows, again, unit)


def _of_first(Z, decode, numbers, X, unit):
    """Return the scores with the first codes alone."""
    rows = (np.asarray(decode(Z[:, :j])) for j in numbers)
    return [share_of_variance(X, again, unit) for again in rows]


def _padded(estimator, k):
    """Return a function that decodes the first codes, with zeros for the others."""

    def decode(Z):
        return estimator.inverse_transform(np.pad(Z, ((0, 0), (0, k - Z.shape[1]))))

    return decode
