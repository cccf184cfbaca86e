"""All private API of scikit-learn and torch that skae uses.

No other module uses such API. If a later version of these libraries changes it, only
this module has to be adapted.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, TypeVar

import torch
from sklearn.base import BaseEstimator, _fit_context
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
        """Empty stand-in: scikit-learn has callbacks from 1.9 on."""


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
    "callback_context_of_subtasks",
    "check_sample_weight",
    "close_forward_derivatives",
    "cuda_is_lost",
    "documentation_url",
    "fit_context",
    "fused_adam",
    "safe_indexing",
    "seed_torch",
    "torch_library",
]

#: Kernels of torch by name, such as gradients of activations.
ATEN = torch.ops.aten

#: One kernel for a step of Adam on a list of tensors. torch's wrapper around it takes
#: as long as the step of a small network.
fused_adam: Callable[..., None] = torch._fused_adam_

#: Whether the process was forked after CUDA had started, so that it cannot use CUDA.
cuda_is_lost = torch.cuda._is_in_bad_fork


Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator of methods that fit."""
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def close_forward_derivatives() -> None:
    """Close the context of forward derivatives if an interrupt has left it open."""
    forward_ad._current_level = 0
    try:
        forward_ad.exit_dual_level()
    except RuntimeError:  # no context was open
        forward_ad._current_level = -1


def callback_context(estimator: BaseEstimator, task_name: str) -> Any:
    """Return the context of a fit for scikit-learn's callbacks; None if there are none.

    `fit_context` tells callbacks of the end of a fit, even after an error.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(task_name=task_name, max_subtasks=None)


def callback_context_of_subtasks(estimator: BaseEstimator, n_subtasks: int) -> Any:
    """Return the context of a fit whose subtasks each fit another estimator.

    Before scikit-learn 1.9 it is None. The context also exists if the estimator has no
    callbacks, because the other estimators may have callbacks of their own.
    """
    if not hasattr(estimator, "_init_callback_context"):
        return None
    return estimator._init_callback_context(
        max_subtasks=n_subtasks, sequential_subtasks=False
    )


def are_progress_bars(context: Any) -> bool:
    """Return whether scikit-learn's progress bars are all that a context calls.

    Progress bars need no information about an epoch except that it has ended.
    """
    return all(type(callback) is ProgressBar for callback in context._callbacks)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's global generator of the CPU, and of a GPU if it is the device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


def torch_library() -> str:
    """Return the path of the library that contains torch's Python bindings."""
    return torch._C.__file__


class Documented:
    """Base class whose scikit-learn HTML links to the page of the documentation.

    There is no link if the documentation has no site, or for subclasses of others.
    """

    def _get_doc_link(self) -> str:
        site, cls = documentation_url(), type(self)
        is_ours = cls.__module__.partition(".")[0] == "skae"
        return f"{site}/api/{cls.__name__}.html" if site and is_ours else ""


@lru_cache(1)
def documentation_url() -> str:
    """Return the address of the documentation's site, or "" if there is none.

    It is the project URL "Documentation" in the metadata of the installed package.
    """
    try:
        urls = metadata("skae").get_all("Project-URL") or []
    except PackageNotFoundError:  # the source is used without an installation
        return ""
    named = (url.partition(",") for url in urls)
    found = (url for name, _, url in named if name.strip() == "Documentation")
    return next(found, "").strip().rstrip("/")


class Summarized(Documented):
    """An estimator whose HTML has a summary above its fitted attributes.

    From scikit-learn 1.9 on, the summary also appears inside of pipelines and searches.
    Earlier versions show no summary. The method ``_summary_html`` returns it.
    """

    _summary_html: Callable[[], str]

    def _get_fitted_attr_html(self, doc_link: str = "") -> "_BelowSummary":
        attributes = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        return _BelowSummary(attributes, self._summary_html())


class _BelowSummary:
    """Wraps fitted attributes, and puts a summary above their HTML."""

    def __init__(self, attributes, summary):
        self._attributes = attributes
        self._summary = summary

    def __len__(self):
        return len(self._attributes)

    def _repr_html_inner(self):
        return self._summary + self._attributes._repr_html_inner()
