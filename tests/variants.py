"""One estimator of each variant, for tests of what must hold for all variants."""

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from torch import nn

from skae import (
    AutoEncoderTransformer,
    Contraction,
    Conv,
    Dense,
    Gaussian,
    GaussianNoise,
    Mixture,
    Modules,
    Sparsity,
    SwapNoise,
)
from skae._parts.parameters import Parameters


def two_layers(n_in, n_out):
    """Return modules with difficult layers: dropout and batch normalisation."""
    return nn.Sequential(
        nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, n_out)
    )


def one_layer(n_in, n_out):
    """Return a module without any special layer."""
    return nn.Linear(n_in, n_out)


def huber(output, target):
    """Return the losses of rows: an example of a user's loss."""
    return nn.functional.huber_loss(output, target, reduction="none").mean(dim=1)


VARIANTS = {
    "default": {},
    "random": {"init": "random"},
    "linear": {"init": "random", "hidden_layer_sizes": ()},
    "deep_tanh": {"hidden_layer_sizes": (16, 8, 8), "activation": "tanh"},
    "free": {"linearity": 0.0},
    "nearly_linear": {"linearity": 10.0},
    "absolute_error": {"loss": "absolute_error"},
    "muon": {"solver": "muon"},
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
    "sparse": {"penalty": Sparsity(0.3)},
    "sparse_to_a_target": {"penalty": Sparsity(0.1, target=0.1), "init": "pca"},
    "contractive": {"penalty": "contraction", "activation": "tanh"},
    "sparse_and_contractive": {
        "penalty": Sparsity() + Contraction(0.5),
        "corruption": "masking",
    },
    "variational": {"latent": "gaussian", "hidden_layer_sizes": (128, 64)},
    "variational_plain": {
        "latent": Gaussian(beta=0.1, warm_up=0.0),
        "init": "random",
        "loss": "log_loss",
    },
    "mixture": {"latent": Mixture(3)},
    "tied": {"network": Dense(tied=True)},
    "layer_norm_and_dropout": {"network": Dense(layer_norm=True, dropout=0.1)},
    "conv": {"network": Conv(channels=(4, 8))},
    "modules": {"network": Modules(two_layers, two_layers), "init": "random"},
    "own_loss": {
        "loss": huber,
        "network": Modules(one_layer, two_layers),
        "max_iter": 60,
    },
    "everything": {
        "network": Conv(channels=(3,)),
        "corruption": SwapNoise(),
        "latent": "gaussian",
        "penalty": Sparsity(0.01) + Contraction(0.01),
        "ordered": True,
        "supervision": 1.0,
    },
    "supervised": {"supervision": 1.0},
    "supervised_plain": {"supervision": 0.5, "init": "random", "ordered": True},
    "standardized": {"standardize": True},
    "adam": {"solver": "adam", "learning_rate": "constant", "alpha": 0.01},
    "rmsprop": {"init": "random", "solver": "rmsprop", "batch_size": 7},
    "sgd": {"init": "random", "solver": "sgd", "activation": "logistic"},
    "early_stopping": {"early_stopping": True, "validation_fraction": 0.3},
}

# For losses with a restricted domain: a function that maps any rows into it.
_INTO_DOMAIN = {
    "log_loss": lambda X: expit(X / 100).astype(X.dtype),
    "kl_divergence": lambda X: softmax(X / 100, axis=1).astype(X.dtype),
}


class InDomain(AutoEncoderTransformer):
    """An autoencoder that takes any data, mapped into the domain of its loss.

    With it, scikit-learn's checks, whose data may be any real numbers, can run on every
    loss.
    """

    def _validate(self, X, **checks):
        X = super()._validate(X, **checks)
        return _INTO_DOMAIN[self.loss](X.toarray() if issparse(X) else X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = False
        return tags


def autoencoder(name, **overrides):
    """Return an estimator of a variant, with a fixed seed by default."""
    params = {"n_components": 2, "random_state": 0}
    # Few epochs, and the result is the trained network, never PCA.
    params |= {"max_iter": 20, "early_stopping": False}
    cls = (
        InDomain
        if VARIANTS[name].get("loss") in _INTO_DOMAIN
        else AutoEncoderTransformer
    )
    return cls(**params | VARIANTS[name] | overrides)


def parameters(**params):
    """Return parameters as a fit has them."""
    return Parameters.of(AutoEncoderTransformer(**params))


def target_of(name, X):
    """Return classes of the rows for supervised variants, None for others."""
    if "supervision" not in VARIANTS[name]:
        return None
    return np.arange(len(X)) % 3
