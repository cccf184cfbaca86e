"""Reconstruction: rows from codes, and how well they come back."""

from numbers import Integral

import numpy as np
from scipy.linalg import pinvh
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._data.validation import as_given, check_codes
from ._data.weights import weigh
from ._inference.codec_cache import cached_codec, decode, score, squared_errors
from ._inference.fitted_state import FittedState
from ._inference.imputation import impute
from ._inference.sensitivity import sensitivity
from ._inference.torch_module import to_torch
from ._parts.column_losses import most_likely
from ._parts.latents import draw_codes

__all__ = ["ReconstructingTransformer"]


class ReconstructingTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods of an autoencoder that decode, and that judge what comes back."""

    @property
    def _n_features_out(self):
        return self.n_components_

    @property
    def n_samples_seen_(self):
        """Rows seen so far: ``n_samples_``, by the name it has in `IncrementalPCA`."""
        check_is_fitted(self)
        return self.n_samples_

    @property
    def components_(self):
        """Mean slope of the decoder along each code, (n_components, n_features)."""
        check_is_fitted(self)
        if self._components is None:  # PCA's are its weights
            return self._weights["encoder.linear"].copy()
        return self._components

    @property
    def result_(self):
        """What the result is: "network", "pca", or "linear", as PCA with a target."""
        check_is_fitted(self)
        if self._architecture["init"] != "linear":
            return "network"
        return "pca" if self.target_type_ is None else "linear"

    @property
    def losses_(self):
        """Losses with their columns, a list of (str, ndarray of int)."""
        check_is_fitted(self)
        everything = range(self.n_features_in_)
        return [
            (name, np.array(everything if columns is None else columns))
            for name, columns, *_ in self._loss_parts
        ]

    def inverse_transform(self, X, *, as_categories=False):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them; the first of them with ``ordered=True``.
        as_categories : bool, default=False
            Whether probabilities become the most likely categories: columns with
            "log_loss" 0 or 1, and blocks with "cross_entropy", or rows with
            "kl_divergence", a single 1. Numbers and counts stay means.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data; float32 if codes are, else float64.

        Raises
        ------
        ValueError
            If ``X`` has not ``n_components`` columns.
        """
        check_is_fitted(self)
        codes = check_codes(self, X)
        missing = self.n_components_ - codes.shape[1]
        if self._ordered and missing > 0:
            codes = np.pad(codes, ((0, 0), (0, missing)))
        elif missing != 0:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but {type(self).__name__} has "
                f"n_components={self.n_components_}."
            )
        rows = decode(self, codes)
        if as_categories:
            rows = most_likely(rows, self._loss_parts)
        return as_given(rows, X)

    def reconstruction_error(self, X, *, per_feature=False):
        """Squared error of each row after encoding and decoding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        per_feature : bool, default=False
            Whether to return the errors of the features rather than their mean.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared errors in float64, in squared units of ``X``, or of the
            standardized features with ``standardize=True``, or of the scaled columns
            with a mixed loss. They are squared errors
            whatever the loss is, so that models with other losses, and PCA, can be
            compared.
        """
        check_is_fitted(self)
        errors = squared_errors(self, self._validate(X), per_feature)
        return as_given(errors, X)

    def sensitivity(self, X, *, average=True):
        """Differentiate the codes by the features: which of them move a code.

        The Jacobian of `transform`, exact, by automatic differentiation; to
        `components_` it is what an encoder is to a decoder. Where the result is PCA, it
        is ``components_ / scale_`` for every row. Multiplied by the features' standard
        deviations, it compares features of different units.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        average : bool, default=True
            Whether to return the mean over the rows, rather than each row's.

        Returns
        -------
        jacobian : ndarray of shape (n_components, n_features), or \
                (n_samples, n_components, n_features) with ``average=False``
            Code for each unit of ``X``; float32 if ``X`` is, else float64. Features
            that were constant in `fit` move nothing.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skae import AutoEncoderTransformer
        >>> X = load_iris().data
        >>> ae = AutoEncoderTransformer(2, max_iter=5, random_state=0).fit(X)
        >>> ae.sensitivity(X).shape
        (2, 4)
        >>> step = np.array([0.0, 0.0, 1e-6, 0.0])
        >>> slope = (ae.transform(X + step) - ae.transform(X - step)) / 2e-6
        >>> np.allclose(slope, ae.sensitivity(X, average=False)[:, :, 2], atol=1e-6)
        True
        """
        check_is_fitted(self)
        rows = self._validate(X)
        jacobian = sensitivity(self, rows, average).astype(rows.dtype, copy=False)
        return as_given(jacobian, X)

    def impute(self, X, *, n_draws=None, random_state=None):
        """Complete rows: fill their gaps from what is observed of them.

        A gap is filled by a weighted mean of what probabilistic PCA and the decoder
        say, with the weight that was best for hidden entries of the rows held out in
        `fit`, and within the values observed there. About half as many codes as
        features are a good choice for it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with ``missing_values`` in their gaps.
        n_draws : int, default=None
            How often to draw what fills them, for multiple imputation. The errors have
            the covariance that probabilistic PCA expects, and the size that those of
            the hidden entries had. None fills in the most likely values, once.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features), or \
                (n_draws, n_samples, n_features)
            Copies of the rows, whose observed entries are as they were; float32 if
            ``X`` is, else float64.

        Raises
        ------
        ValueError
            If the estimator was fitted with ``missing_values=None``, or to sparse rows.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skae import AutoEncoderTransformer
        >>> X = load_iris().data
        >>> X[::5, 2] = np.nan
        >>> ae = AutoEncoderTransformer(
        ...     2, missing_values=np.nan, max_iter=5, random_state=0
        ... )
        >>> bool(np.isnan(ae.fit(X).impute(X)).any())
        False
        """
        check_is_fitted(self)
        rows = self._validate(X)
        state = FittedState.of(vars(self))
        if state.imputation is None:
            raise ValueError(
                "impute needs to know how features go together: fit to dense rows with "
                "missing_values=np.nan, or another value that stands for a gap."
            )
        rng = None
        if n_draws is not None:
            if not isinstance(n_draws, Integral) or n_draws < 1:
                raise ValueError(
                    f"n_draws must be a positive int or None, got {n_draws!r}."
                )
            seed = check_random_state(random_state).randint(2**31 - 1)
            rng = np.random.default_rng(seed)
        codec = cached_codec(self, rows.dtype, rows.shape[0])
        return as_given(impute(codec, state.imputation, rows, n_draws, rng), X)

    def sample(self, n_samples=1, *, random_state=None, as_categories=False):
        """Draw codes from the prior and decode them: rows like the training rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. An int repeats them.
        as_categories : bool, default=False
            As in `inverse_transform`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, in float64.

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
        codes = draw_codes(self._prior, n_samples, rng)
        return self.inverse_transform(codes, as_categories=as_categories)

    def score_samples(self, X):
        """Return minus the reconstruction error of each row: low for unusual rows.

        It is not the log-likelihood that `PCA.score_samples` is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            Minus the mean squared error of each row.
        """
        return -self.reconstruction_error(X)

    def score(self, X, y=None, sample_weight=None):
        """Share of the variance of ``X`` that comes back; 1 is perfect.

        One minus the squared error over that of predicting the mean of ``X``, as
        ``r2_score(X, X_again, multioutput="variance_weighted")`` of what comes back; of
        the standardized features with ``standardize=True``, and of the scaled columns
        with a mixed loss. It is not the mean
        log-likelihood that `PCA.score` is, so that the two must not be compared in a
        grid search. One row, or rows that are all alike, have no variance: the error is
        divided by that of the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each one stands for, in the error and in the mean.

        Returns
        -------
        score : float
            The share: at most 1, and negative where the mean would be better.
        """
        check_is_fitted(self)
        X, weights = weigh(sample_weight, self._validate(X))
        return score(self, X, weights)

    def to_torch(self, dtype="float32"):
        """Return the autoencoder as a module of torch, in units of ``X``.

        All of it: scaling, network, what happens far from the data, output activation,
        whitening. No layer branches on values, so that `torch.export`,
        `torch.compile`, `torch.onnx.export`, quantization and further training work.
        Weights are parameters, those of PCA's linear maps too; the scaling of rows and
        codes are buffers. ``torch.save`` of it names classes of skae; a state dict, an
        exported program or ONNX does not.

        Parameters
        ----------
        dtype : str, numpy.dtype or torch.dtype, default="float32"
            The type of parameters, rows and codes: float32 or float64. float64 gives
            what `transform` and `inverse_transform` give for such rows, up to rounding.

        Returns
        -------
        module : torch.nn.Module
            With ``encoder``, from (batch, n_features) to (batch, n_components), and
            ``decoder``, the way back; called, it reconstructs rows. On the CPU, in
            evaluation mode, and sharing nothing with the estimator.

        Raises
        ------
        ValueError
            If ``dtype`` is another one.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoEncoderTransformer
        >>> X, _ = load_digits(return_X_y=True)
        >>> ae = AutoEncoderTransformer(8, max_iter=3, random_state=0).fit(X)
        >>> module = ae.to_torch()
        >>> x = torch.tensor(X[:5], dtype=torch.float32)
        >>> module.encoder(x).shape, module(x).shape
        (torch.Size([5, 8]), torch.Size([5, 64]))
        """
        check_is_fitted(self)
        return to_torch(FittedState.of(vars(self)), dtype)

    def get_covariance(self):
        """Covariance of the features as the codes tell it, by a linear decoder.

        Of the decoder's mean slope, ``components_``, the codes' variance, and
        ``noise_variance_`` in all other directions. It is that of
        `PCA.get_covariance` where the result is PCA; a decoder that bends has more to
        it than a covariance can say.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
            In units of ``X``.
        """
        check_is_fitted(self)
        unit = self._scaling["unit"]
        slopes = np.sqrt(self._code_variance)[:, None] * self.components_
        slopes = slopes * self.scale_ / unit
        axes, sizes, _ = np.linalg.svd(slopes.T, full_matrices=False)
        axes = axes[:, sizes > 1e-10 * sizes.max(initial=0.0)]
        others = np.eye(self.n_features_in_) - axes @ axes.T
        covariance = slopes.T @ slopes + self.noise_variance_ * others
        return covariance * np.outer(unit, unit)

    def get_precision(self):
        """Inverse of `get_covariance`, or its pseudo-inverse where it has none.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
            In inverse units of ``X``.
        """
        return pinvh(self.get_covariance())
