"""Error: which features and which rows have large reconstruction errors."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, check_cv

from .._compat import safe_indexing
from .._typing import Floats, MatrixLike
from .canvas import (
    COLOURS,
    DASHES,
    coincide,
    legend_above,
    one_axes,
    short_names,
    text_width,
)
from .checks import check_quantile
from .comparison import compare, name_features
from .profiles import Profile
from .rows import observed_variance, with_slices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ErrorDisplay"]

# Largest number of features whose names can be read in a list.
_MANY_FEATURES = 40
# Width of the axes in inches, beside the names.
_WIDTH = 4.6
# Ratio of the largest to the smallest error from which on the scale is logarithmic.
_WIDE = 30.0


class ErrorDisplay:
    """Errors of features, compared with PCA's, or of rows, with a threshold.

    Use `from_estimator` to make it. The parameters are the data that it draws.

    Parameters
    ----------
    feature_errors, feature_variances : ndarray of shape (n_features,)
        Mean squared errors, and variances, in squared units of the features.
    row_errors : ndarray of shape (n_samples,)
        Mean squared errors over features; NaN for rows without an observed entry.
    baseline_feature_errors, baseline_row_errors : ndarray, default=None
        The same errors for the baseline.
    threshold : float, default=None
        Error above which a row is unusual.
    threshold_name : str, default="threshold"
        Name of the threshold in the legend.
    feature_names : list of str, default=None
        Labels of the features.
    feature_axis : array-like of shape (n_features,), default=None
        Positions of the features on an axis, such as wavelengths.
    baseline_name : str, default="PCA"
        Name of the baseline.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoEncoderTransformer, ErrorDisplay
    >>> X = load_wine(as_frame=True).data
    >>> ae = AutoEncoderTransformer(3, max_iter=20, random_state=0)
    >>> model = make_pipeline(StandardScaler(), ae).fit(X)
    >>> display = ErrorDisplay.from_estimator(model, X)
    >>> len(display.ax_.get_yticklabels())  # a line for each feature
    13
    >>> display.plot(kind="row").ax_.get_ylabel()
    'rows'
    """

    def __init__(
        self,
        feature_errors: Floats,
        feature_variances: Floats,
        row_errors: Floats,
        *,
        baseline_feature_errors: Floats | None = None,
        baseline_row_errors: Floats | None = None,
        threshold: float | None = None,
        threshold_name: str = "threshold",
        feature_names: Sequence[str] | None = None,
        feature_axis: ArrayLike | None = None,
        baseline_name: str | None = "PCA",
    ) -> None:
        self.feature_errors = feature_errors
        self.feature_variances = feature_variances
        self.row_errors = row_errors
        self.baseline_feature_errors = baseline_feature_errors
        self.baseline_row_errors = baseline_row_errors
        self.threshold = threshold
        self.threshold_name = threshold_name
        self.feature_names = feature_names
        self.feature_axis = feature_axis
        self.baseline_name = baseline_name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        *,
        X_train: MatrixLike | None = None,
        baseline: str | BaseEstimator | None = "pca",
        threshold: float | None = 0.99,
        cv: Any = None,
        feature_axis: ArrayLike | None = None,
        kind: str = "feature",
        metric: str = "share",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the errors of rows after encoding and decoding.

        Parameters
        ----------
        estimator : AutoEncoderTransformer or Pipeline that ends in one
            Fitted estimator. Any transformer with ``inverse_transform`` works. For a
            pipeline, the errors are those of its last step.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        X_train : {array-like, sparse matrix}, default=None
            Rows that the estimator was fitted to. PCA is fitted to them, and their
            errors set the threshold. None means ``X``.
        baseline : "pca", transformer or None, default="pca"
            Baseline: PCA with as many codes, or a fitted transformer.
        threshold : float in (0, 1) or None, default=0.99
            Quantile of the errors of ``X_train`` above which a row is unusual.
        cv : int, splitter or None, default=None
            Whether the errors of ``X_train`` for the threshold are out of fold. None
            takes the errors of the estimator, which has learnt from these rows: its
            errors of normal new rows are larger, and more of them are above the
            threshold. With a number of folds (of shuffled rows) or a splitter of
            scikit-learn, a clone is fitted to each part of ``X_train``, and the errors
            are those of the other rows. This takes the time of a fit for each fold, and
            holds for new rows.
        feature_axis : array-like of shape (n_features,), default=None
            Positions of the features on an axis, such as wavelengths.
        kind, metric : str
            As in `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : ErrorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``cv`` is given without ``X_train``.
        """
        check_quantile("threshold", threshold)
        if cv is not None and X_train is None:
            raise ValueError(
                f"cv={cv!r} needs X_train, the rows that the estimator was fitted to."
            )
        compared = compare(estimator, X, X_train, baseline)
        row_errors = compared.row_errors(compared.reconstruction)
        level, name = None, "threshold"
        if threshold is not None:
            known, whose = _errors_for_threshold(estimator, compared, X_train, cv)
            level = float(np.nanquantile(known, threshold))
            name = f"{threshold:.4g} quantile of {whose}"
        of_baseline: dict[str, Any] = {}
        if compared.baseline is not None:
            of_baseline = {
                "baseline_feature_errors": compared.feature_errors(compared.baseline),
                "baseline_row_errors": compared.row_errors(compared.baseline),
                "baseline_name": compared.baseline_name,
            }
        display = cls(
            compared.feature_errors(compared.reconstruction),
            observed_variance(compared.X),
            row_errors,
            threshold=level,
            threshold_name=name,
            feature_names=compared.names,
            feature_axis=feature_axis,
            **of_baseline,
        )
        return display.plot(kind=kind, metric=metric, ax=ax)

    def plot(
        self, *, kind: str = "feature", metric: str = "share", ax: "Axes | None" = None
    ) -> Self:
        """Draw the errors.

        Parameters
        ----------
        kind : {"feature", "row"}, default="feature"
            The error of each feature, or the distribution of the errors of rows.
        metric : {"share", "rmse"}, default="share"
            Error of a feature: the share of its variance that is lost (1 if the
            reconstruction is its mean), or the root mean squared error in its units. If
            no feature varies, as in a single row, it is the latter.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : ErrorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If ``kind`` or ``metric`` has another value.
        """
        if kind not in ("feature", "row"):
            raise ValueError(f"kind={kind!r} must be 'feature' or 'row'.")
        if metric not in ("share", "rmse"):
            raise ValueError(f"metric={metric!r} must be 'share' or 'rmse'.")
        if not np.any(self.feature_variances > 0):  # there are no shares
            metric = "rmse"
        n_features = len(self.feature_errors)
        is_list = n_features <= _MANY_FEATURES and self.feature_axis is None
        size = 6.4, 4.2
        if kind == "feature" and is_list:
            names = self._short_names(n_features)
            size = 1.0 + _WIDTH + text_width(names), 1.2 + 0.24 * n_features
        ax = self.ax_ = one_axes(ax, size, getattr(self, "ax_", None))
        self.figure_ = ax.figure
        if kind == "row":
            self._plot_rows(ax)
        elif is_list:
            self._plot_list(ax, metric)
        else:
            self._plot_curve(ax, metric)
        return self

    def _short_names(self, n_features):
        return short_names(name_features(self.feature_names, n_features))

    def _of_features(self, metric):
        """Return a label, errors, and the baseline's errors or None.

        Shares of constant features are NaN.
        """
        errors = [self.feature_errors, self.baseline_feature_errors]
        if metric == "rmse":
            label = "root mean squared error (units of the feature)"
            return label, *(None if e is None else np.sqrt(e) for e in errors)
        variances = np.where(self.feature_variances > 0, self.feature_variances, np.nan)
        label = "share of the feature's variance that is lost"
        return label, *(None if e is None else e / variances for e in errors)

    def _plot_list(self, ax, metric):
        label, ours, others = self._of_features(metric)
        names = self._short_names(len(ours))
        order = np.argsort(np.nan_to_num(ours))  # the largest on top
        places = np.arange(len(order))
        others, name = self._baseline_beside(ours, others)
        if others is not None:
            ax.hlines(
                places, ours[order], others[order], color="#BBBBBB", lw=1.5, zorder=1
            )
            style = {"color": COLOURS["baseline"], "marker": "s", "ls": "none", "ms": 7}
            style["mfc"] = "none"  # it shows a point within it
            ax.plot(others[order], places, label=self.baseline_name, **style)
        style = {"color": COLOURS["ours"], "marker": "o", "ls": "none"}
        ax.plot(ours[order], places, label=name, **style)
        names = [
            f"{n} (constant)" if np.isnan(e) else n
            for n, e in zip(names, ours, strict=True)
        ]
        ax.set_yticks(places, [names[i] for i in order])
        if metric == "share":
            self._mark_mean(ax.axvline)
        ax.set(xlabel=label, ylim=(-0.7, len(order) - 0.3))
        ax.set_xlim(left=0)
        ax.grid(axis="x", lw=0.4, alpha=0.5)
        legend_above(ax, _WIDTH)

    def _plot_curve(self, ax, metric):
        label, ours, others = self._of_features(metric)
        names = name_features(self.feature_names, len(ours))
        profile = Profile("curve", self.feature_axis, names)
        others, name = self._baseline_beside(ours, others)
        lines = {"ours": (name, ours)}
        if others is not None:  # its dashes show a line below them
            lines["baseline"] = self.baseline_name, others
        for role, (name, errors) in lines.items():
            style = {"color": COLOURS[role], "linestyle": DASHES[role], "label": name}
            profile.draw(ax, errors, **style)
        profile.label(ax, _WIDTH)
        if metric == "share":
            self._mark_mean(ax.axhline)
        ax.set_ylabel(label)
        ax.set_ylim(bottom=0)
        legend_above(ax, _WIDTH)

    def _baseline_beside(self, ours, others):
        """Return the baseline's errors, None if ours hide them, and our name."""
        if coincide(ours, others):
            return None, f"reconstruction = {self.baseline_name}"
        return others, "reconstruction"

    def _mark_mean(self, draw):
        """Mark the error of predicting the mean of a feature."""
        draw(1.0, color=COLOURS["train"], ls=":", lw=1, label="mean of the feature")

    def _plot_rows(self, ax):
        others, name = self._baseline_beside(self.row_errors, self.baseline_row_errors)
        all_errors = [_observed(self.row_errors)]
        if others is not None:
            all_errors.append(_observed(others))
        values = np.concatenate(all_errors)
        least, most = values.min(), values.max()
        is_wide = least > 0 and most > _WIDE * least
        n_bins = int(np.clip(2 * np.sqrt(len(all_errors[0])), 10, 60))
        space = np.geomspace if is_wide else np.linspace
        bins = space(least if is_wide else 0.0, most or 1.0, n_bins + 1)
        ax.hist(
            all_errors[0],
            bins,
            color=COLOURS["ours"],
            alpha=0.6,
            label=name,
        )
        if len(all_errors) > 1:
            style = {"color": COLOURS["baseline"], "ls": DASHES["baseline"]}
            ax.hist(
                all_errors[1], bins, histtype="step", label=self.baseline_name, **style
            )
        if self.threshold is not None and not np.isnan(self.threshold):
            above = int((self.row_errors > self.threshold).sum())
            label = f"{self.threshold_name}: {above} of {len(all_errors[0])} above"
            ax.axvline(self.threshold, color=COLOURS["original"], ls=":", label=label)
        if is_wide:
            ax.set_xscale("log")
        ax.set(xlabel="mean squared error of a row", ylabel="rows")
        legend_above(ax, _WIDTH)


def _observed(errors):
    """Return the errors of rows in which anything is observed."""
    errors = np.asarray(errors)
    return errors[~np.isnan(errors)]


def _errors_for_threshold(estimator, compared, X_train, cv):
    """Return the errors whose quantile is the threshold, and whose errors they are."""
    if X_train is None:
        return compared.row_errors(compared.reconstruction), "these rows"
    if cv is None:
        learnt = compare(estimator, X_train, baseline=None)
        return learnt.row_errors(learnt.reconstruction), "training rows"
    X_train, errors = with_slices(X_train), []
    if isinstance(cv, Integral):  # rows may be sorted by class
        cv = KFold(cv, shuffle=True, random_state=0)
    for learnt, others in check_cv(cv).split(X_train):
        again = clone(estimator).fit(safe_indexing(X_train, learnt))
        unseen = compare(again, safe_indexing(X_train, others), baseline=None)
        unseen = replace(unseen, unit=compared.unit)
        errors.append(unseen.row_errors(unseen.reconstruction))
    return np.concatenate(errors), "training rows, out of fold"


# Pickles name the public place, so that they survive a move of this file.
ErrorDisplay.__module__ = "skae"
