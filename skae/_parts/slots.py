"""Slots: the parts of the estimator, resolved in one place when `fit` begins."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .corruptions import CORRUPTIONS, check_corruption
from .latents import LATENTS, check_latent
from .mixed import MixedLoss
from .networks import NAMED_NETWORKS, Modules, check_network
from .parameters import Parameters
from .penalties import PENALTIES, check_penalty

__all__ = ["check_slots", "user_parts", "with_parts"]

_NAMED: dict[str, Mapping[str, type]] = {
    "network": NAMED_NETWORKS,
    "corruption": CORRUPTIONS,
    "latent": LATENTS,
    "penalty": PENALTIES,
    "teacher": {},
    "loss": {"auto": MixedLoss},
}


def with_parts(params: dict[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters to set, with names replaced by parts where this is needed.

    ``latent="gaussian", latent__beta=0.1`` turns the name into a part, whose parameter
    can be set. So does ``network__dropout=0.1`` with None, the dense network.

    Parameters
    ----------
    params : dict
        Arguments of `set_params`.
    current : dict
        Current values of the slots.
    """
    parts = {}
    for key in params:
        slot, is_nested, _ = key.partition("__")
        if not is_nested or slot not in _NAMED:
            continue
        part = params.get(slot, current.get(slot))
        if slot == "network" and part is None:
            part = "dense"
        if isinstance(part, str) and part in _NAMED[slot]:
            parts[slot] = _NAMED[slot][part]()
        elif part is None or isinstance(part, str):
            names = ", ".join(map(repr, _NAMED[slot])) or "an estimator"
            raise ValueError(
                f"{key} cannot be set: {slot}={part!r} has no parameters. Set {slot} "
                f"first, to {names} or an object."
            )
    return params | parts


def check_slots(params: Parameters, n_features: int) -> Parameters:
    """Return the parameters with a part, or None, in each slot.

    Parameters
    ----------
    params : Parameters
    n_features : int
    """
    latent = check_latent(params.latent)
    if params.whiten and latent.has_kl:
        raise ValueError(
            f"whiten=True is not for latent={params.latent!r}, whose codes have "
            "unit variance in the prior that they are drawn from: set whiten=False."
        )
    return replace(
        params,
        network=check_network(params.network, params, n_features),
        corruption=check_corruption(params.corruption),
        latent=latent,
        penalty=check_penalty(params.penalty),
    )


def user_parts(params: Parameters) -> str:
    """Name the parts that users may have written, for messages."""
    parts = [("corruption", params.corruption), ("penalty", params.penalty)]
    parts = [(slot, part) for slot, part in parts if part is not None]
    if callable(params.loss):
        parts.append(("loss", params.loss))
    if isinstance(params.network, Modules):
        parts.append(("network", params.network))
    return " or ".join(f"{slot}={part!r}" for slot, part in parts)
