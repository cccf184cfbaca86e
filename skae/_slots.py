"""Slots: the parts of the estimator, resolved in one place when `fit` begins."""

from ._corruptions import check_corruption
from ._latents import check_latent
from ._networks import Modules, check_network
from ._penalties import check_penalty

__all__ = ["check_slots", "own_parts"]


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


def own_parts(params):
    """Name the parts whose numbers may be of someone's own making, for messages."""
    parts = [(slot, params[slot]) for slot in ("corruption", "penalty")]
    parts = [(slot, part) for slot, part in parts if part is not None]
    if callable(params["loss"]):
        parts.append(("loss", params["loss"]))
    if isinstance(params["network"], Modules):
        parts.append(("network", params["network"]))
    return " or ".join(f"{slot}={part!r}" for slot, part in parts)
