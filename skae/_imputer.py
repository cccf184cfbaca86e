"""The imputer: rows with gaps in, complete rows out, as a step of a pipeline."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ._compat import CallbackSupportMixin, Documented, HasMethods, fit_context
from ._data.validation import check_rows, is_nan
from ._estimator import AutoEncoderTransformer
from ._fitting.callbacks import FitOfOthers
from ._inference.state import from_pickle, to_pickle
from ._runtime.atomic import all_or_nothing
from ._typing import RandomState, Rows

__all__ = ["AutoEncoderImputer"]

# Number of codes, as a share of the number of features. With too few codes, the network
# cannot represent the features. With as many as features, it need not learn how they
# depend on each other.
_PART = 0.5


class AutoEncoderImputer(
    Documented,
    CallbackSupportMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Fill missing values with an autoencoder and probabilistic PCA.

    It is used like `sklearn.impute.KNNImputer`: `transform` returns the rows with their
    gaps filled. Observed entries do not change. The values come from
    `AutoEncoderTransformer.impute`.

    Parameters
    ----------
    estimator : AutoEncoderTransformer or None, default=None
        Estimator to clone and fit. None is an autoencoder with half as many codes as
        features. Its ``missing_values`` are set to those of the imputer.
    missing_values : int or float, default=np.nan
        The value that means "missing".
    random_state : int, RandomState instance or None, default=None
        Seed of the training if ``estimator`` is None.

    Attributes
    ----------
    estimator_ : AutoEncoderTransformer
        The fitted estimator.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if ``X`` has names that are all strings.

    See Also
    --------
    AutoEncoderTransformer : Codes of rows with gaps, and multiple imputation
        (`AutoEncoderTransformer.impute`).
    sklearn.impute.KNNImputer : Fills gaps from neighbouring rows; much faster.
    sklearn.impute.MissingIndicator : Columns that say which entries were missing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoEncoderImputer
    >>> X = load_iris().data
    >>> X[::5, 2] = np.nan
    >>> complete = AutoEncoderImputer(random_state=0).fit_transform(X)
    >>> bool(np.isnan(complete).any())
    False
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "impute"]), None],
        "missing_values": [Real],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        missing_values: float = np.nan,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.missing_values = missing_values
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the autoencoder, which learns how the features depend on each other.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least two, with or without gaps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Passed to the estimator, which ignores it unless it has ``supervision``.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row stands for.

        Returns
        -------
        self : AutoEncoderImputer
            The fitted imputer. It stays as it was if the fit fails.

        Raises
        ------
        ValueError
            If a feature has no observed value, or ``X`` is sparse and has gaps.
        """
        callbacks = FitOfOthers(self, "fit-estimator", 1)
        (subtask,) = callbacks.subtasks
        with all_or_nothing(self):
            X = self._validate(X, reset=True, ensure_min_samples=2)
            callbacks.begin(X, y)
            estimator = self._new_estimator(X.shape[1])
            with subtask.fitting(estimator, X, y):
                self.estimator_ = estimator.fit(X, y, sample_weight)
            callbacks.end(X, y)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return rows with their gaps filled.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Copies of the rows. Observed entries are unchanged. float32 if ``X`` is,
            else float64.
        """
        check_is_fitted(self)
        return self.estimator_.impute(self._validate(X))

    def _new_estimator(self, n_features):
        if self.estimator is not None:
            estimator = clone(self.estimator)
        else:
            n_components = max(1, round(_PART * n_features))
            estimator = AutoEncoderTransformer(
                n_components, random_state=self.random_state
            )
        return estimator.set_params(missing_values=np.nan)

    def _validate(self, X: ArrayLike, **checks: Any) -> Rows:
        missing_values = float(self.missing_values)
        checks |= {"missing_values": missing_values, "accept_sparse": False}
        return check_rows(self, X, **checks)

    def __getstate__(self) -> dict[str, Any]:
        return to_pickle(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_pickle(state, type(self).__name__))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = is_nan(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# Pickles name the public place, so that they survive a move of this file.
AutoEncoderImputer.__module__ = "skae"
