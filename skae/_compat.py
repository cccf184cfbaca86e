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

__all__ = [
    "ATEN",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
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


def seed_torch(seed, device):
    """Seed torch's global generators of the CPU, and of a GPU if that is the device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


def torch_library():
    """Return the path of the library that torch's Python names are loaded from."""
    return torch._C.__file__
