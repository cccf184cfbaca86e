"""Slots: the parts of the estimator, resolved in one place when `fit` begins."""

from ._corruptions import check_corruption
from ._latents import check_latent
from ._networks import check_network
from ._penalties import check_penalty

__all__ = ["check_slots"]


def check_slots(params, n_features):
    """Return the parameters with a part in each slot, or None where none is one.

    Parameters
    ----------
    params : dict
        Parameters of `AutoEncoderTransformer`.
    n_features : int
    """
    return {
        **params,
        "network": check_network(params["network"], params, n_features),
        "corruption": check_corruption(params["corruption"]),
        "latent": check_latent(params["latent"]),
        "penalty": check_penalty(params["penalty"]),
    }
