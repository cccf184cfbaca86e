"""The detector of rows with large reconstruction errors or isolated codes."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._compat import (
    CallbackSupportMixin,
    Documented,
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
)
from .._data.scaling import dense_rows, row_slices
from .._data.validation import check_rows
from .._estimator import AutoEncoderTransformer
from .._fitting.callbacks import FitOfOthers
from .._inference.state import from_pickle, to_pickle
from .._runtime.atomic import all_or_nothing
from .._runtime.helpers import helper
from .._typing import MatrixLike, RandomState
from .member import ENOUGH_ROWS, Member, fit_member
from .sampling import left_out_rows, remember, scoring_members

__all__ = ["ReconstructionOutlierDetector"]

# Number of rows that a member is fitted to, as in an isolation forest: so few that
# outliers are rare among them. If there are few rows, this share of them is the limit.
_ROWS = 256
_MOST_OF_THE_ROWS = 0.5
# Scaled values are limited to this size, so that squares of errors stay finite.
_FARTHEST = 1e100
# Distance of Tukey's fence from the quartile, in interquartile ranges.
_FENCE = 1.5


class ReconstructionOutlierDetector(
    Documented, CallbackSupportMixin, OutlierMixin, BaseEstimator
):
    """Detect outliers, anomalies and novelties with an autoencoder, or with PCA.

    A row is unusual if its reconstruction error is large, or if its code is far from
    those of other rows. A single autoencoder that is fitted to rows with outliers would
    learn the outliers too. So the detector is an ensemble of small autoencoders. Each
    member is fitted to a few rows drawn at random, among which outliers are rare [1]_.
    A row is scored only by members that were not fitted to it.

    `fit` needs no labels. The training data may contain outliers (outlier or anomaly
    detection) or not (novelty detection). `predict` and the scores work for training
    rows and for new rows.

    Parameters
    ----------
    estimator : transformer or None, default=None
        Any estimator with `fit`, `transform` and `inverse_transform`: an autoencoder
        with other parameters, `sklearn.decomposition.PCA`, or a pipeline of scalers and
        one of these. It is cloned. None is an `AutoEncoderTransformer` with two codes
        and one hidden layer, trained for a few epochs.
    contamination : "auto" or float, default="auto"
        Share of outliers in the training rows, in (0, 0.5]. It sets the threshold
        `offset_`. About the same share of new rows is beyond the threshold, if they are
        like the training rows. "auto" is Tukey's fence, as in a box plot: the lower
        quartile of `training_scores_` minus 1.5 times the interquartile range.
    n_estimators : int, default=10
        Number of members of the ensemble, at least 2.
    max_samples : "auto", int or float, default="auto"
        Rows that each member is fitted to, drawn without replacement: a number, or a
        share of all. "auto" is 256, or half of the rows if that is less. If the
        training rows are known to be normal (novelty detection), 0.8 with an
        `estimator` of more codes and `standardize=False` finds far more outliers, above
        all in pictures.
    standardize : bool, default=True
        Whether to divide the features by their standard deviation first. If False, the
        transformer gets the rows as they are.
    n_jobs : int or None, default=None
        Number of members that are fitted at the same time, each in its own process.
        None is 1, unless in a `joblib.parallel_config`; -1 is the number of cores. The
        result does not depend on it. A process takes seconds to start, so use it only
        for large transformers.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws, and of members that have a ``random_state``.

    Attributes
    ----------
    estimators_ : list of transformer
        The fitted members.
    offset_ : float
        `decision_function` is `score_samples` minus this threshold.
    training_scores_ : ndarray of shape (n_samples,)
        `score_samples` of the training rows, each from members that were not fitted to
        this row.
    n_features_in_, feature_names_in_ : int, ndarray of shape (`n_features_in_`,)
        Number of features seen in `fit`, and their names if ``X`` had names.

    See Also
    --------
    sklearn.ensemble.IsolationForest : An ensemble of random trees.
    sklearn.neighbors.LocalOutlierFactor : Density among the nearest rows.
    AutoEncoderTransformer : The transformer itself, with `reconstruction_error`.

    Notes
    -----
    For each member, the score of a row x with code z and reconstruction r is ::

        sum_j log(1 + ((x_j - r_j) / s_j)^2) / a + |z - z'| / b

    Here s_j is the median absolute error of feature j. z' is the tenth nearest code
    among the rows that the member was fitted to; codes are divided by their standard
    deviation. a and b are the medians of the sum and of the distance. All medians are
    over rows that the member was not fitted to. The first term is minus the
    log-likelihood of independent Cauchy errors. The score of an ordinary row is about
    2. `score_samples` is minus the mean over members.

    References
    ----------
    .. [1] Liu, Ting, Zhou (2008). Isolation forest. ICDM.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import ReconstructionOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 300)
    >>> X = np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle)]
    >>> X += 0.05 * rng.normal(size=X.shape)
    >>> detector = ReconstructionOutlierDetector(contamination=0.02, random_state=0)
    >>> detector.fit(X).predict([[1.0, 0.0, 1.0], [1.0, 0.0, -4.0]])
    array([ 1, -1])
    >>> int(detector.feature_contributions([[1.0, 0.0, -4.0]]).argmax())  # the third
    2
    """

    _advice_on_gaps = (
        "The detector takes no missing values, whatever its estimator takes. Fill them "
        "first: make_pipeline(AutoEncoderImputer(), ReconstructionOutlierDetector())."
    )

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "transform", "inverse_transform"]), None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "n_estimators": [Interval(Integral, 2, None, closed="left")],
        "max_samples": [
            StrOptions({"auto"}),
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "standardize": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        contamination: str | float = "auto",
        n_estimators: int = 10,
        max_samples: str | int | float = "auto",
        standardize: bool = True,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.standardize = standardize
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike | None = None) -> Self:
        """Fit the ensemble to ``X`` and set the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least four, with or without outliers. The rows of a sparse
            matrix are given to members as dense arrays, some at a time.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : ReconstructionOutlierDetector
            The fitted detector. It stays as it was if the fit fails.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, or if `estimator` raises it.
        """
        callbacks = FitOfOthers(self, "fit-member", self.n_estimators)
        with all_or_nothing(self):
            X = self._validate(X, reset=True, ensure_min_samples=4)
            callbacks.begin(X, y)
            self._mean, self._unit = self._scaling(X)
            members, fitted = self._fit_members(X, callbacks.subtasks)
            # Plain values, so that a pickle names no private class.
            self._members = [vars(member) for member in members]
            self._row_keys, self._seen = remember(X, fitted)
            self.estimators_ = [member.estimator for member in members]
            self.training_scores_ = self._scores(X)
            self.offset_ = self._threshold(self.training_scores_)
            callbacks.end(X, y)
        return self

    def fit_predict(
        self, X: MatrixLike, y: ArrayLike | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Fit to ``X`` and label the outliers among its rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency.
        **kwargs : dict
            No other arguments are supported.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        self.fit(X, y, **kwargs)
        return np.where(self.training_scores_ < self.offset_, -1, 1)

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Label outliers among training rows or new rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for the others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return the scores of rows minus the threshold: negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            `score_samples` minus the threshold.
        """
        return self.score_samples(X) - self.offset_

    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Score rows: about -2 for an ordinary row, lower for unusual rows.

        Rows that are equal to training rows are scored as in `fit`, by the members that
        were not fitted to them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The lower, the more unusual.
        """
        check_is_fitted(self)
        return self._scores(self._validate(X))

    def feature_contributions(self, X: MatrixLike) -> np.ndarray:
        """Return how much each feature contributes to how unusual a row is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features)
            At least 0. Each row sums to minus its `score_samples`. The error of a
            feature is its own contribution. The distance of the code is divided among
            the features in proportion to the squared difference between the row and the
            mean reconstruction of its neighbours.
        """
        check_is_fitted(self)
        X = self._validate(X)
        return self._average_in_parts(X, "contributions")

    def __getstate__(self) -> dict[str, Any]:
        return to_pickle(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Parameters that did not exist when it was pickled get their defaults.
        state = from_pickle(state, type(self).__name__)
        super().__setstate__({**_DEFAULTS, **state})

    def _fit_members(self, X, subtasks):
        """Return the fitted members, and which rows each was fitted to."""
        rng = check_random_state(self.random_state)
        n_left_out = X.shape[0] - self._n_rows(X.shape[0])
        estimators, fitted, others = [], [], []
        for left_out in left_out_rows(X.shape[0], n_left_out, self.n_estimators, rng):
            estimators.append(self._new_estimator(rng))
            fitted.append(np.setdiff1d(np.arange(X.shape[0]), left_out))
            others.append(left_out[:ENOUGH_ROWS])
        members = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_member)(estimator, *(self._scaled(X, r) for r in rows), subtask)
            for estimator, *rows, subtask in zip(
                estimators, fitted, others, subtasks, strict=True
            )
        )
        return members, fitted

    def _new_estimator(self, rng):
        estimator = clone(self.estimator) if self.estimator is not None else _default()
        seeds = {
            name: rng.randint(np.iinfo(np.int32).max)
            for name in sorted(estimator.get_params(deep=True))
            if name == "random_state" or name.endswith("__random_state")
        }
        return estimator.set_params(**seeds)

    def _n_rows(self, n_samples):
        """Return how many rows a member is fitted to.

        The number leaves enough rows that each row is left out by at least one member.
        """
        if self.max_samples == "auto":
            n_rows = min(_ROWS, int(_MOST_OF_THE_ROWS * n_samples))
        elif isinstance(self.max_samples, Integral):
            n_rows = self.max_samples
        else:
            n_rows = int(self.max_samples * n_samples)
        most = n_samples - -(-n_samples // self.n_estimators)
        return max(2, min(n_rows, most))

    def _threshold(self, scores):
        if not isinstance(self.contamination, str):
            # A new row like the n training rows has any rank among all n + 1 rows with
            # the same probability. So the expected share of new rows below this
            # quantile is the contamination, even if n is small.
            return np.quantile(scores, self.contamination, method="weibull")
        lower, upper = np.percentile(scores, [25, 75])
        return lower - _FENCE * (upper - lower)

    def _scores(self, X):
        return -self._average_in_parts(X, "score")

    def _average_in_parts(self, X, method):
        slices = row_slices(*X.shape)
        parts = [self._average(dense_rows(X, rows), method) for rows in slices]
        return np.concatenate(parts)

    def _average(self, X, method):
        """Return the mean of a method over the members that score each row."""
        scores_row = scoring_members(X, self._row_keys, self._seen)
        weights = scores_row / scores_row.sum(axis=1, keepdims=True)
        Z, total = self._scaled(X), 0.0
        for state, weight in zip(self._members, weights.T, strict=True):
            values = getattr(Member(**state), method)(Z)
            total = total + (weight * values.T).T
        return total

    def _scaling(self, X):
        """Return the numbers that are subtracted from rows, and their divisors."""
        if not self.standardize:
            return np.zeros(X.shape[1]), np.ones(X.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            scaler = helper(StandardScaler(with_mean=not issparse(X))).fit(X)
        overflows = np.flatnonzero(~np.isfinite(scaler.var_))
        if len(overflows):
            feature = overflows[0]
            largest = np.abs(X[:, [feature]]).max()
            raise ValueError(
                f"The variance of feature {feature} overflows float64: its values "
                f"reach {largest:.3g}. Rescale X."
            )
        return scaler.mean_, scaler.scale_

    def _scaled(self, X, rows=slice(None)):
        with np.errstate(over="ignore"):
            Z = (dense_rows(X, rows) - self._mean) / self._unit
        return np.clip(Z, -_FARTHEST, _FARTHEST)

    def _validate(self, X, **checks):
        return check_rows(self, X, dtype=np.float64, **checks)


def _default():
    return AutoEncoderTransformer(
        2, hidden_layer_sizes=(64,), max_iter=10, early_stopping=False
    )


_DEFAULTS = ReconstructionOutlierDetector().get_params(deep=False)
# Pickles use the public name, so that they stay valid if this file moves.
ReconstructionOutlierDetector.__module__ = "skae"
