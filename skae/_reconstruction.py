"""Reconstruction: rows from codes, and how good the reconstruction is."""

from numbers import Integral

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike
from scipy.linalg import pinvh
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._data.validation import as_given, check_codes, check_flag
from ._data.weights import weigh
from ._inference.codec_cache import cached_codec, decode, score, squared_errors
from ._inference.fitted_state import FittedState
from ._inference.imputation import impute
from ._inference.sensitivity import sensitivity
from ._inference.torch_module import TorchAutoEncoder, to_torch
from ._parts.column_losses import most_likely
from ._parts.latents import draw_codes
from ._runtime.warning import warn
from ._typing import Floats, Ints, MatrixLike, RandomState

__all__ = ["ReconstructingTransformer"]


class ReconstructingTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods of an autoencoder that decode, and that measure reconstructions."""

    @property
    def _n_features_out(self):
        return self.n_components_

    @property
    def n_samples_seen_(self) -> int:
        """Rows seen so far: ``n_samples_``, with the name from `IncrementalPCA`."""
        check_is_fitted(self)
        return self.n_samples_

    @property
    def components_(self) -> Floats:
        """Mean slope of the decoder along each code, (n_components, n_features)."""
        check_is_fitted(self)
        if self._components is None:  # PCA's are its weights
            return self._weights["encoder.linear"].copy()
        return self._components

    @property
    def result_(self) -> str:
        """What the result is: "network", "pca", or "linear", as PCA with a target."""
        check_is_fitted(self)
        if self._architecture["init"] != "linear":
            return "network"
        return "pca" if self.target_type_ is None else "linear"

    @property
    def losses_(self) -> list[tuple[str, Ints]]:
        """Losses with their columns, a list of (str, ndarray of int)."""
        check_is_fitted(self)
        everything = range(self.n_features_in_)
        return [
            (name, np.array(everything if columns is None else columns))
            for name, columns, *_ in self._loss_parts
        ]

    def inverse_transform(
        self, X: ArrayLike, *, as_categories: bool = False
    ) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them. With ``ordered=True``, the first codes
            are enough.
        as_categories : bool, default=False
            Whether to return the most likely categories instead of probabilities.
            Columns with "log_loss" become 0 or 1. Blocks with "cross_entropy", and rows
            with "kl_divergence", get a single 1. Numbers and counts stay means.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data; float32 if codes are, else float64.

        Raises
        ------
        ValueError
            If ``X`` does not have ``n_components`` columns.
        """
        check_is_fitted(self)
        check_flag("as_categories", as_categories)
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

    def reconstruction_error(
        self, X: MatrixLike, *, per_feature: bool = False
    ) -> np.ndarray:
        """Squared error of each row after encoding and decoding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        per_feature : bool, default=False
            Whether to return the error of each feature instead of the mean over
            features.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared errors in float64, in squared units of ``X``, or of the
            standardized features with ``standardize=True``, or of the scaled columns
            with a mixed loss. The error is squared for any loss, so that models with
            different losses, and PCA, can be compared. It is NaN for missing entries,
            and for rows without an observed entry.
        """
        check_is_fitted(self)
        check_flag("per_feature", per_feature)
        errors = squared_errors(self, self._validate(X), per_feature)
        return as_given(errors, X)

    def sensitivity(self, X: MatrixLike, *, average: bool = True) -> np.ndarray:
        """Differentiate the codes by the features: which features move a code.

        This is the exact Jacobian of `transform`, by automatic differentiation. It
        describes the encoder, as `components_` describes the decoder. If the result is
        PCA, it is ``components_ / scale_`` for all complete rows within the codes of
        the training rows. Multiply it by the features' standard deviations to compare
        features with different units. In rows with gaps, a change of an observed entry
        also changes what fills the gaps; the derivatives by missing entries are zero.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        average : bool, default=True
            Whether to return the mean Jacobian over the rows instead of one for each
            row.

        Returns
        -------
        jacobian : ndarray of shape (n_components, n_features), or \
                (n_samples, n_components, n_features) with ``average=False``
            Change of a code per unit of ``X``; float32 if ``X`` is, else float64. It is
            zero for features that were constant in `fit`.

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
        check_flag("average", average)
        rows = self._validate(X)
        jacobian = sensitivity(self, rows, average).astype(rows.dtype, copy=False)
        return as_given(jacobian, X)

    def impute(
        self,
        X: ArrayLike,
        *,
        n_draws: int | None = None,
        random_state: RandomState = None,
    ) -> np.ndarray:
        """Complete rows: fill their gaps from the observed entries of the row.

        A gap is filled with a weighted mean of the values from probabilistic PCA and
        from the decoder. The weight is the one that was best for hidden entries of
        held-out rows in `fit`. The result is limited to the range observed in `fit`.
        About half as many codes as features are a good choice for imputation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with ``missing_values`` in their gaps.
        n_draws : int, default=None
            How many times to draw values for the gaps, for multiple imputation. The
            random errors have the covariance that probabilistic PCA expects, and the
            size of the errors on hidden entries in `fit`. None fills in the most likely
            values, once.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features), or \
                (n_draws, n_samples, n_features)
            Copies of the rows. Observed entries are unchanged. float32 if ``X`` is,
            else float64.

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
        state = FittedState.of(self.__dict__)
        if state.imputation is None:
            raise ValueError(
                "impute needs a fit with missing_values: fit to dense rows with "
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

    def sample(
        self,
        n_samples: int = 1,
        *,
        random_state: RandomState = None,
        as_categories: bool = False,
    ) -> np.ndarray:
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

    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Return minus the reconstruction error of each row: low for unusual rows.

        It is not a log-likelihood, as `PCA.score_samples` is.

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

    def score(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Share of the variance of ``X`` that is reconstructed; 1 is perfect.

        It is one minus the squared error, divided by the squared error of predicting
        the mean of ``X``: ``r2_score(X, X_again, multioutput="variance_weighted")`` for
        the reconstruction ``X_again``. It is computed on the standardized features with
        ``standardize=True``, and on the scaled columns with a mixed loss. It is not a
        mean log-likelihood, as `PCA.score` is, so do not compare the two in a grid
        search. A single row, or equal rows, have no variance: then the error is divided
        by the variance of the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row stands for, in the error and in the mean.

        Returns
        -------
        score : float
            The share. It is at most 1, and negative if predicting the mean would be
            better.
        """
        check_is_fitted(self)
        X, weights = weigh(sample_weight, self._validate(X))
        return score(self, X, weights)

    def to_torch(self, dtype: DTypeLike | torch.dtype = "float32") -> TorchAutoEncoder:
        """Return the autoencoder as a module of torch, in units of ``X``.

        The module includes all steps: scaling, network, the treatment of rows far from
        the data, output activation, and whitening. No layer branches on values, so that
        `torch.export`, `torch.compile`, `torch.onnx.export`, quantization and further
        training work. Weights are parameters, including those of PCA's linear maps. The
        scaling of rows and codes is in buffers. A file of ``torch.save`` refers to
        classes of skae; a state dict, an exported program and ONNX do not. The module
        takes complete rows only, and there is a warning if it was fitted with
        ``missing_values``.

        Parameters
        ----------
        dtype : str, numpy.dtype or torch.dtype, default="float32"
            The type of parameters, rows and codes: float32 or float64. A float64 module
            gives the same as `transform` and `inverse_transform`, up to rounding.

        Returns
        -------
        module : torch.nn.Module
            It has ``encoder``, from (batch, n_features) to (batch, n_components), and
            ``decoder``, from codes to rows. Calling the module reconstructs rows. It is
            on the CPU, in evaluation mode, and shares nothing with the estimator.

        Raises
        ------
        ValueError
            If ``dtype`` is another type.

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
        state = FittedState.of(self.__dict__)
        if state.ppca is not None:
            warn(
                "The exported module takes complete rows only: fill gaps before, as "
                "impute does, whatever value stands for them.",
                UserWarning,
            )
        return to_torch(state, dtype)

    def get_covariance(self) -> np.ndarray:
        """Covariance of the features, from a linear approximation of the decoder.

        It is computed from the decoder's mean slope (``components_``), the codes'
        variance, and ``noise_variance_`` in all other directions. If the result is PCA,
        it equals `PCA.get_covariance`. A covariance cannot describe the nonlinear part
        of a decoder.

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

    def get_precision(self) -> np.ndarray:
        """Inverse of `get_covariance`, or its pseudo-inverse if it is singular.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
            In inverse units of ``X``.
        """
        return pinvh(self.get_covariance())
