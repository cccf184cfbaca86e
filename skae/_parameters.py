"""Parameters: what each may be, checked by scikit-learn when `fit` begins."""

from numbers import Integral, Real

from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from ._corruptions import CORRUPTIONS
from ._latents import LATENTS
from ._layers import ACTIVATIONS
from ._losses import LINKS, LOSSES
from ._networks import NETWORKS
from ._penalties import PENALTIES
from ._solvers import SCHEDULES, SOLVERS
from ._targets import TARGET_TYPES

__all__ = ["CONSTRAINTS"]

_AUTO = StrOptions({"auto"})
_COUNT = Interval(Integral, 1, None, closed="left")

CONSTRAINTS = {
    "n_components": [_COUNT, Interval(RealNotInt, 0, 1, closed="neither"), None],
    "hidden_layer_sizes": [_AUTO, "array-like"],
    "activation": [StrOptions({"auto", *ACTIVATIONS})],
    "loss": [StrOptions({*LOSSES}), callable],
    "output_activation": [StrOptions({"auto", *LINKS})],
    "init": [StrOptions({"auto", "pca", "random"})],
    "linearity": [_AUTO, Interval(Real, 0, None, closed="left")],
    "ordered": ["boolean"],
    "network": [*NETWORKS.values(), None],
    "corruption": [StrOptions({*CORRUPTIONS}), HasMethods("corrupt"), None],
    "latent": [StrOptions({*LATENTS}), *LATENTS.values(), None],
    "penalty": [StrOptions({*PENALTIES}), HasMethods("penalize"), None],
    "supervision": [Interval(Real, 0, None, closed="left")],
    "teacher": [_AUTO, HasMethods(["fit", "predict"]), None],
    "target_type": [StrOptions({"auto", *TARGET_TYPES})],
    "standardize": ["boolean"],
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
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
