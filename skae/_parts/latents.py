"""Latents: what a code is, a point or a distribution, and what to sample from.

The encoder's output h is (batch, n_outputs). Its first ``n_components`` columns are the
code, or the mean of the code's distribution. A prior is a mixture of normal
distributions of codes, stored as plain arrays, independent of the latent it is from.
"""

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from .._compat import Documented, Interval
from .._runtime.helpers import helper
from .._typing import Floats
from .base import resolve_part

__all__ = [
    "LATENTS",
    "AnyLatent",
    "Gaussian",
    "Mixture",
    "Point",
    "Prior",
    "check_latent",
    "draw_codes",
]

#: A mixture of normal distributions: weights, means and covariances.
Prior: TypeAlias = dict[str, np.ndarray]

# Bounds of the logarithms of variances, because of float32's limited range.
_LOWEST, _HIGHEST = -10.0, 10.0


class _Points:
    """Codes that are points, without a cost term."""

    keeps_axes = False
    has_kl = False

    def n_outputs(self, n_components: int) -> int:
        return n_components

    def draw(self, h: Tensor, rng: np.random.Generator | None) -> Tensor:
        return h

    def linear(
        self, encoder: Floats, decoder: Floats, variance: Floats
    ) -> tuple[Floats, Floats, Floats]:
        return encoder, decoder, np.zeros(len(encoder))


class Point(_Points):
    """Codes that are points, without a density (the default)."""

    def prior(self, n_components: int, encode: Callable[[], Floats], seed: int) -> None:
        return None


class Mixture(_Points, Documented, BaseEstimator):
    """Codes that are points, with a density to sample from.

    After training, a mixture of normal distributions
    (`sklearn.mixture.GaussianMixture`) is fitted to the codes [1]_ of at most 10,000
    training rows (after `partial_fit`, of the rows of the last call). The mixture
    changes neither the codes nor the reconstruction.

    Parameters
    ----------
    n_components : int, default=20
        Number of normal distributions in the mixture, as in
        `sklearn.mixture.GaussianMixture`. It is reduced if there are fewer than ten
        rows for each.

    References
    ----------
    .. [1] Ghosh, Sajjadi, Vergari, Black, Schölkopf (2020). From variational to
       deterministic autoencoders. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, Mixture
    >>> X, _ = load_digits(return_X_y=True)
    >>> latent = Mixture(50)
    >>> ae = AutoEncoderTransformer(8, latent=latent, max_iter=10, random_state=0)
    >>> ae.fit(X).sample(3, random_state=0).shape
    (3, 64)
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")]
    }

    def __init__(self, n_components: int = 20) -> None:
        self.n_components = n_components

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "n_mixtures" in state:  # its name before states had a version
            state["n_components"] = state.pop("n_mixtures")
        super().__setstate__(state)

    def prior(
        self, n_components: int, encode: Callable[[], Floats], seed: int
    ) -> Prior:
        """Return a mixture.

        Parameters
        ----------
        n_components : int
        encode : callable
            Returns the codes (n_samples, n_components) of training rows.
        seed : int
        """
        codes = encode()
        if len(codes) < 2:
            return _mixture([1.0], codes, np.zeros((1, *2 * codes.shape[1:])))
        n_parts = max(1, min(self.n_components, len(codes) // 10))
        # GaussianMixture adds a constant to variances, so codes get a unit scale.
        scale = codes.std() or 1.0
        with warnings.catch_warnings():
            # EM need not converge, and need not use all components.
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = _clusters(codes / scale, n_parts, seed)
            mixture = GaussianMixture(n_parts, random_state=seed, **start)
            helper(mixture).fit(codes / scale)
        return _mixture(
            mixture.weights_, mixture.means_ * scale, mixture.covariances_ * scale**2
        )


def _clusters(codes, n_clusters, seed):
    """Return the start that `GaussianMixture` itself would choose: clusters of KMeans.

    Libraries that log fits would log a KMeans that `GaussianMixture` fits.
    """
    kmeans = helper(KMeans(n_clusters, n_init=1, random_state=seed))
    member = np.eye(n_clusters)[kmeans.fit(codes).labels_]  # (n_samples, n_clusters)
    sizes = member.sum(axis=0) + 10 * np.finfo(float).eps
    means = member.T @ codes / sizes[:, None]
    precisions = []
    for is_in, size, mean in zip(member.T, sizes, means, strict=True):
        squares = (codes - mean).T @ (is_in[:, None] * (codes - mean))
        covariance = squares / size + 1e-6 * np.eye(codes.shape[1])
        precisions.append(np.linalg.inv((covariance + covariance.T) / 2))
    return {
        "weights_init": sizes / sizes.sum(),
        "means_init": means,
        "precisions_init": np.array(precisions),
        "init_params": "random",  # its draws are not used
    }


class Gaussian(Documented, BaseEstimator):
    """Codes that are normal distributions: the variational autoencoder.

    The encoder outputs the mean and the logarithm of the variance of each code. In
    training, codes are drawn from this distribution. The divergence of the distribution
    from a standard normal prior [1]_ is added to the loss ::

        beta / n_features * sum(variance + mean² - 1 - log(variance)) / 2

    `sample` draws codes from the prior. `transform` returns the means. With
    ``loss="log_loss"`` and ``beta=1``, the loss is the negative evidence lower bound
    (ELBO) in nats, divided by the number of features. With the squared error, it is the
    bound for a decoder with variance beta / 2, in units of the scaled data.

    Training starts as the best linear variational autoencoder, which is probabilistic
    PCA [3]_ [4]_. The network has to beat the bound of this start. Components with less
    variance than the decoder's are not used. Codes keep their axes and are not centred.
    They are not kept close to PCA's codes (``linearity="auto"`` is 0).

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the divergence [2]_. A smaller weight gives sharper reconstructions; a
        larger weight gives codes that are closer to the prior.
    warm_up : float in [0, 1), default=0.1
        Part of the training in which the weight rises from zero to ``beta``.

    References
    ----------
    .. [1] Kingma, Welling (2014). Auto-encoding variational Bayes. ICLR.
    .. [2] Higgins et al. (2017). beta-VAE: learning basic visual concepts with a
       constrained variational framework. ICLR.
    .. [3] Tipping, Bishop (1999). Probabilistic principal component analysis. Journal
       of the Royal Statistical Society B 61.
    .. [4] Lucas, Tucker, Grosse, Norouzi (2019). Don't blame the ELBO! A linear VAE
       perspective on posterior collapse. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, Gaussian
    >>> X, _ = load_digits(return_X_y=True)
    >>> latent = Gaussian(beta=0.5)
    >>> ae = AutoEncoderTransformer(8, latent=latent, max_iter=10, random_state=0)
    >>> ae.fit(X).sample(3, random_state=0).shape
    (3, 64)
    """

    keeps_axes = True
    has_kl = True

    _parameter_constraints = {
        "beta": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, beta: float = 1.0, warm_up: float = 0.1) -> None:
        self.beta = beta
        self.warm_up = warm_up

    def n_outputs(self, n_components: int) -> int:
        """Return the number of columns that the encoder has to output."""
        return 2 * n_components

    def draw(self, h: Tensor, rng: np.random.Generator | None) -> Tensor:
        """Return codes (batch, n_components) from the encoder's output."""
        assert rng is not None  # there is one where codes are drawn
        mean, log_variance = self._split(h)
        noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype="float32"))
        return mean + noise.to(mean) * (0.5 * log_variance).exp()

    def kl_divergence(self, h: Tensor, n_features: int) -> Tensor:
        """Return the weighted divergence of rows' codes from the prior, (batch,)."""
        mean, log_variance = self._split(h)
        divergence = log_variance.exp() + mean.square() - 1 - log_variance
        return 0.5 * self.beta / n_features * divergence.sum(dim=1)

    def kl_weight(self, progress: float) -> float:
        """Return the part of the weight at a progress in [0, 1] of the training."""
        return min(1.0, progress / self.warm_up) if self.warm_up else 1.0

    def linear(
        self, encoder: Floats, decoder: Floats, variance: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return the linear start with the least expected cost.

        Parameters
        ----------
        encoder, decoder : ndarray
            Linear maps for point codes, of shape (n_components, n_features) and
            (n_features, n_components).
        variance : ndarray of shape (n_components,)
            Variance of these codes.

        Returns
        -------
        encoder : ndarray of shape (n_outputs, n_features)
        decoder : ndarray of shape (n_features, n_components)
        offset : ndarray of shape (n_outputs,)
            Offset of the encoder.
        """
        length = np.linalg.norm(decoder, axis=0)
        explained = length**2 * variance
        noise = 0.5 * self.beta
        used = explained > noise
        explained = np.where(used, explained, 1.0)
        size = np.sqrt(np.where(used, explained - noise, 0.0))
        mean = (size / explained * length)[:, None] * encoder
        decoder = decoder / np.where(used, length, 1.0) * size
        log_variance = np.log(np.where(used, max(noise, 1e-4) / explained, 1.0))
        offset = np.concatenate([np.zeros(len(mean)), log_variance])
        return np.concatenate([mean, np.zeros_like(mean)]), decoder, offset

    def prior(
        self, n_components: int, encode: Callable[[], Floats], seed: int
    ) -> Prior:
        """Return the standard normal distribution; see `Mixture.prior`."""
        means, covariances = np.zeros((1, n_components)), np.eye(n_components)[None]
        return _mixture([1.0], means, covariances)

    @staticmethod
    def _split(h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = h.chunk(2, dim=1)
        return mean, log_variance.clamp(_LOWEST, _HIGHEST)


#: Type of the part in this slot.
AnyLatent: TypeAlias = Point | Gaussian | Mixture
#: name -> latent with its defaults.
LATENTS = {"gaussian": Gaussian, "mixture": Mixture}


def check_latent(latent: str | AnyLatent | None) -> AnyLatent:
    """Resolve a name, or None, to its latent; check that the parameters are valid."""
    return Point() if latent is None else resolve_part("latent", latent, LATENTS)


def _mixture(weights: ArrayLike, means: Floats, covariances: Floats) -> Prior:
    """Return a prior from arrays; for their shapes see `contracts.Latent.prior`."""
    return {
        "weights": np.asarray(weights, dtype=np.float64),
        "means": np.asarray(means, dtype=np.float32),
        "covariances": np.asarray(covariances, dtype=np.float32),
    }


def draw_codes(prior: Prior, n_samples: int, rng: np.random.RandomState) -> Floats:
    """Draw codes (n_samples, n_components), float64.

    Parameters
    ----------
    prior : dict
        The return value of a latent's ``prior``.
    n_samples : int
    rng : RandomState
    """
    mixture = GaussianMixture(len(prior["weights"]), random_state=rng)
    for name, values in prior.items():
        setattr(mixture, f"{name}_", values.astype(np.float64))
    codes, _ = mixture.sample(n_samples)
    return rng.permutation(codes)  # they are sorted by component of the mixture


# Pickles name the public place, so that they survive a move of this file.
for _part in LATENTS.values():
    _part.__module__ = "skae"
