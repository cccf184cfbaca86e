"""Reconstruction: rows from codes, and how well they come back."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from ._checking import FLOATS
from ._inference import cached_codec
from ._latents import draw_codes

__all__ = ["ReconstructingTransformer"]


class ReconstructingTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods of an autoencoder that decode, and that judge what comes back."""

    @property
    def _n_features_out(self):
        return self.n_components_

    def inverse_transform(self, Z):
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them; the first of them with ``ordered=True``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data; float32 if ``Z`` is, else float64.

        Raises
        ------
        ValueError
            If ``Z`` has not ``n_components`` columns.
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=FLOATS, input_name="Z", estimator=self)
        missing = self.n_components_ - Z.shape[1]
        if self._ordered and missing > 0:
            Z = np.pad(Z, ((0, 0), (0, missing)))
        elif missing != 0:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"n_components={self.n_components_}."
            )
        return cached_codec(self, Z.dtype, len(Z)).decode(Z)

    def reconstruction_error(self, X, *, per_feature=False):
        """Squared error of each row after encoding and decoding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        per_feature : bool, default=False
            Whether to return the errors of the features rather than their mean.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            float64, in squared units of ``X``, or of the standardized features with
            ``standardize=True``. Squared errors whatever the loss, so that models
            with other losses, and PCA, compare.
        """
        check_is_fitted(self)
        X = self._validate(X)
        codec = cached_codec(self, X.dtype, X.shape[0])
        return codec.squared_errors(X, per_feature)

    def sample(self, n_samples=1, *, random_state=None):
        """Draw codes from the prior and decode them: rows like the training rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            float64.

        Raises
        ------
        ValueError
            If the codes are points without a density.
        """
        check_is_fitted(self)
        if self._prior is None:
            raise ValueError(
                "sample needs codes with a density: fit with latent='gaussian', or "
                "with latent='mixture', which changes neither codes nor reconstruction."
            )
        rng = check_random_state(random_state)
        return self.inverse_transform(draw_codes(self._prior, n_samples, rng))

    def score_samples(self, X):
        """Minus the reconstruction error of each row: low for unusual rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        score : ndarray of shape (n_samples,)
        """
        return -self.reconstruction_error(X)

    def score(self, X, y=None):
        """Share of the variance that the codes explain; 1 is perfect.

        One minus the squared error over the error, on the training rows, of
        predicting their mean. The scores of folds of equal size average to the score
        of the whole.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
        """
        error = self.reconstruction_error(X).mean()
        return float(1 - error / (self._scaling["mean_error"] or 1.0))
