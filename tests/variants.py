"""Every variant of the estimator, once: what must hold for all is tested over these."""

import numpy as np
from scipy.special import expit, softmax

from skae import AutoEncoderTransformer, GaussianNoise, SwapNoise

VARIANTS = {
    "default": {},
    "random": {"init": "random"},
    "linear": {"init": "random", "hidden_layer_sizes": ()},
    "deep_tanh": {"hidden_layer_sizes": (16, 8, 8), "activation": "tanh"},
    "free": {"linearity": 0.0},
    "nearly_linear": {"linearity": 10.0},
    "absolute_error": {"loss": "absolute_error"},
    "huber": {"loss": "huber", "activation": "gelu"},
    "log_loss": {"loss": "log_loss", "activation": "relu"},
    "kl_divergence": {"loss": "kl_divergence", "activation": "elu"},
    "poisson": {"loss": "poisson"},
    "log_loss_from_pca": {"loss": "log_loss", "init": "pca"},
    "positive_output": {"output_activation": "softplus"},
    "ordered": {"ordered": True},
    "masking": {"corruption": "masking"},
    "gaussian_noise": {"corruption": GaussianNoise(0.5), "loss": "huber"},
    "swap_noise": {"corruption": SwapNoise(0.2), "supervision": 1.0, "ordered": True},
    "supervised": {"supervision": 1.0},
    "supervised_plain": {"supervision": 0.5, "init": "random", "ordered": True},
    "standardized": {"standardize": True},
    "adam": {"solver": "adam", "learning_rate": "constant", "alpha": 0.01},
    "rmsprop": {"init": "random", "solver": "rmsprop", "batch_size": 7},
    "sgd": {"init": "random", "solver": "sgd", "activation": "logistic"},
    "early_stopping": {"early_stopping": True, "validation_fraction": 0.3},
}

# Losses that ask for more than signs: a map of any rows into their domain.
_INTO_DOMAIN = {
    "log_loss": lambda X: expit(X / 100).astype(X.dtype),
    "kl_divergence": lambda X: softmax(X / 100, axis=1).astype(X.dtype),
}


class InDomain(AutoEncoderTransformer):
    """An autoencoder that takes any data, mapped into the domain of its loss.

    So that scikit-learn's checks, whose data are drawn from all of the real line, can
    run on every loss.
    """

    def _validate(self, X, **checks):
        return _INTO_DOMAIN[self.loss](super()._validate(X, **checks))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = False
        return tags


def autoencoder(name, **overrides):
    """Return the variant, with a seed, unless told otherwise."""
    params = {"n_components": 2, "random_state": 0}
    # Few passes, but the network that they train is kept, not PCA.
    params |= {"max_iter": 20, "early_stopping": False}
    cls = (
        InDomain
        if VARIANTS[name].get("loss") in _INTO_DOMAIN
        else AutoEncoderTransformer
    )
    return cls(**params | VARIANTS[name] | overrides)


def target_of(name, X):
    """Return classes of the rows for variants that learn from them, else None."""
    if "supervision" not in VARIANTS[name]:
        return None
    return np.arange(len(X)) % 3
