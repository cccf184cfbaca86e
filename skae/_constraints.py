"""Constraints: allowed values of parameters, checked by scikit-learn in `fit`."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from ._compat import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
)
from ._data.targets import TARGET_TYPES
from ._nn.layers import ACTIVATIONS
from ._parts.corruptions import CORRUPTIONS
from ._parts.latents import LATENTS
from ._parts.losses import LINKS, LOSSES
from ._parts.mixed import MixedLoss
from ._parts.networks import NAMED_NETWORKS, NETWORKS
from ._parts.penalties import PENALTIES
from ._training.optimizers import SCHEDULES, SOLVERS

__all__ = ["CONSTRAINTS", "check_missing_label", "check_whole_numbers"]

_AUTO = StrOptions({"auto"})
_COUNT = Interval(Integral, 1, None, closed="left")

CONSTRAINTS = {
    "n_components": [_COUNT, Interval(RealNotInt, 0, 1, closed="neither"), None],
    "hidden_layer_sizes": [_AUTO, "array-like", _COUNT],
    "activation": [StrOptions({"auto", *ACTIVATIONS}), callable],
    "loss": [StrOptions({"auto", *LOSSES}), MixedLoss, callable],
    "output_activation": [StrOptions({"auto", *LINKS})],
    "init": [StrOptions({"auto", "pca", "random"})],
    "linearity": [_AUTO, Interval(Real, 0, None, closed="left")],
    "ordered": ["boolean"],
    "network": [StrOptions({*NAMED_NETWORKS}), *NETWORKS.values(), None],
    "corruption": [StrOptions({*CORRUPTIONS}), HasMethods("corrupt"), callable, None],
    "latent": [StrOptions({*LATENTS}), *LATENTS.values(), None],
    "penalty": [StrOptions({*PENALTIES}), HasMethods("penalize"), callable, None],
    "supervision": [Interval(Real, 0, None, closed="left")],
    "teacher": [_AUTO, HasMethods(["fit", "predict"]), None],
    "missing_label": [Real, str, None],
    "missing_values": [Real, None],
    "target_type": [StrOptions({"auto", *TARGET_TYPES})],
    "standardize": ["boolean"],
    "whiten": ["boolean"],
    "solver": [StrOptions({"auto", *SOLVERS})],
    "learning_rate_init": [_AUTO, Interval(Real, 0, None, closed="neither")],
    "learning_rate": [StrOptions({"auto", *SCHEDULES})],
    "alpha": [_AUTO, Interval(Real, 0, None, closed="left")],
    "batch_size": [_AUTO, _COUNT],
    "max_iter": [_AUTO, _COUNT],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "early_stopping": ["boolean"],
    "validation": [
        _AUTO,
        Interval(Real, 0, 1, closed="neither"),
        HasMethods("split"),
        None,
    ],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [_AUTO, _COUNT],
    "tol": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
    "device": [str, torch.device],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "on_interrupt": [StrOptions({"raise", "keep"})],
}


def check_whole_numbers(params: dict[str, Any]) -> None:
    """Refuse floats that are whole numbers, such as 3.0, for integer parameters.

    scikit-learn's message would name the valid ranges, but not the problem.
    """
    for name, value in params.items():
        is_count = _COUNT in CONSTRAINTS.get(name, ())
        if is_count and isinstance(value, float | np.floating) and value >= 1:
            whole = f": use {int(value)}" if value == int(value) else ""
            raise InvalidParameterError(
                f"The {name!r} parameter must be an int, got {value!r}, which is a "
                f"{type(value).__name__}{whole}."
            )


def check_missing_label(label: object) -> None:
    """Refuse truth values, which Python treats as 0 and 1."""
    if isinstance(label, bool | np.bool_):
        raise InvalidParameterError(
            "The 'missing_label' parameter must be a number, a str, 'auto' or None, "
            f"got {label!r}: name the value of y that means a row without a target."
        )
