"""Private API of scikit-learn and torch that skae uses: here, and nowhere else.

What moves or changes in a later version of theirs is mended here.
"""

from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from torch.autograd import forward_ad

try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar
except ImportError:
    ProgressBar = None

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: scikit-learn has callbacks from 1.9 on."""


__all__ = [
    "ATEN",
    "CallbackSupportMixin",
    "Documented",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
    "Summarized",
    "are_progress_bars",
    "callback_context",
    "check_sample_weight",
    "close_forward_derivatives",
    "cuda_is_lost",
    "fit_context",
    "fused_adam",
    "safe_indexing",
    "seed_torch",
    "torch_library",
]

#: Kernels of torch by name: gradients of activations, among others.
ATEN = torch.ops.aten

#: One kernel for a step of Adam on a list of tensors; the optimiser's own wrapper takes
#: as long as the step of a small network.
fused_adam: Callable[..., None] = torch._fused_adam_

#: Whether the process was forked after CUDA had started, and so cannot use it.
cuda_is_lost = torch.cuda._is_in_bad_fork


def close_forward_derivatives() -> None:
    """Close forward derivatives that an interrupt has left open, if it has."""
    forward_ad._current_level = 0
    try:
        forward_ad.exit_dual_level()
    except RuntimeError:  # there was none
        forward_ad._current_level = -1


def callback_context(estimator: BaseEstimator, task_name: str) -> Any:
    """Return the context of a fit for scikit-learn's callbacks; None if there are none.

    `fit_context` sees to it that callbacks are told of the end, whatever it is.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(task_name=task_name, max_subtasks=None)


def are_progress_bars(context: Any) -> bool:
    """Return whether scikit-learn's progress bars are all that a context calls.

    They take nothing from an epoch but that it has ended.
    """
    return all(type(callback) is ProgressBar for callback in context._callbacks)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's global generators of the CPU, and of a GPU if that is the device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


def torch_library() -> str:
    """Return the path of the library that torch's Python names are loaded from."""
    return torch._C.__file__


#: A placeholder: the documentation has no site yet.
DOCUMENTATION_URL = "https://skae.example.org/api/"


class Documented:
    """What links scikit-learn's HTML of an object to its page of the documentation."""

    _doc_link_module = "skae"
    _doc_link_template = DOCUMENTATION_URL + "{estimator_name}.html"


class Summarized(Documented):
    """An estimator whose HTML has a summary above its fitted attributes.

    From scikit-learn 1.9 on, also inside of pipelines and searches; versions before
    show none. The method ``_summary_html`` returns it.
    """

    def _get_fitted_attr_html(self, doc_link=""):
        attributes = super()._get_fitted_attr_html(doc_link)
        return _BelowSummary(attributes, self._summary_html())


class _BelowSummary:
    """Attributes with a summary above them, as scikit-learn asks for their HTML."""

    def __init__(self, attributes, summary):
        self._attributes = attributes
        self._summary = summary

    def __len__(self):
        return len(self._attributes)

    def _repr_html_inner(self):
        return self._summary + self._attributes._repr_html_inner()
