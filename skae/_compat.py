"""Private API of scikit-learn and torch that skae uses: here, and nowhere else.

What moves or changes in a later version of theirs is mended here.
"""

import torch
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
)

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: scikit-learn has callbacks from 1.9 on."""


__all__ = [
    "ATEN",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
    "callback_context",
    "fit_context",
    "fused_adam",
    "seed_torch",
    "torch_library",
]

#: Kernels of torch by name: gradients of activations, among others.
ATEN = torch.ops.aten

#: One kernel for a step of Adam on a list of tensors; the optimiser's own wrapper takes
#: as long as the step of a small network.
fused_adam = torch._fused_adam_


def callback_context(estimator, task_name):
    """Return the context of a fit for scikit-learn's callbacks; None if there are none.

    `fit_context` sees to it that callbacks are told of the end, whatever it is.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(task_name=task_name, max_subtasks=None)


def seed_torch(seed, device):
    """Seed torch's global generators of the CPU, and of a GPU if that is the device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


def torch_library():
    """Return the path of the library that torch's Python names are loaded from."""
    return torch._C.__file__
