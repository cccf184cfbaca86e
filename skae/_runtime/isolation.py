"""Isolation: settings of the process do not change the results of skae.

Notebooks and libraries change the defaults of torch, numpy and scikit-learn. A
transformer in a pipeline should give the same numbers in spite of that. Default device,
autocast, gradient modes, numpy's handling of floating point errors and scikit-learn's
configuration are settings of a thread. They are reset for the calling thread only.
Other settings of torch hold for all threads. If it is enough to name a dtype, they are
not touched. Otherwise they are changed as long as any thread computes in skae. Two
settings are respected on purpose: the number of threads, and deterministic algorithms.
They change no result on a CPU.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import sklearn
import torch

from .forks import after_fork, forkable_lock

__all__ = ["isolated", "isolated_fit"]

P = ParamSpec("P")
Result = TypeVar("Result")

# numpy's defaults.
_FLOATING_POINT_ERRORS: dict[str, Any] = {
    "divide": "warn",
    "over": "warn",
    "under": "ignore",
    "invalid": "warn",
}
# scikit-learn's defaults, for the settings that influence the estimators fitted here.
_CONFIGURATION = {
    "assume_finite": False,
    "working_memory": 1024,
    "pairwise_dist_chunk_size": 256,
    "enable_cython_pairwise_dist": True,
    "array_api_dispatch": False,
    "transform_output": "default",
    "enable_metadata_routing": False,
    "sparse_interface": "spmatrix",
}
_CONFIGURATION = {k: v for k, v in _CONFIGURATION.items() if k in sklearn.get_config()}


def isolated(function: Callable[P, Result]) -> Callable[P, Result]:
    """Make a function compute with the defaults of torch and numpy."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        with np.errstate(**_FLOATING_POINT_ERRORS):
            if _torch_has_defaults():
                return function(*args, **kwargs)
            with _torch_defaults():
                return function(*args, **kwargs)

    return run


@contextmanager
def isolated_fit() -> Iterator[None]:
    """Return a context that trains with the defaults of torch, numpy, scikit-learn."""
    with (
        np.errstate(**_FLOATING_POINT_ERRORS),
        sklearn.config_context(**_CONFIGURATION),
        _torch_defaults(),
        torch.inference_mode(False),
    ):
        yield


def _torch_has_defaults():
    """Whether all settings of torch have their defaults. Fast, for single rows."""
    return (
        _default_device_is_cpu()
        and not _autocast_devices()
        and not any(setting.is_changed() for setting in _GLOBAL_SETTINGS)
    )


@contextmanager
def _torch_defaults():
    with ExitStack() as stack:
        if not _default_device_is_cpu():
            stack.enter_context(torch.device("cpu"))
        for device in _autocast_devices():
            stack.enter_context(torch.autocast(device, enabled=False))
        for setting in _GLOBAL_SETTINGS:
            if setting.is_changed():
                stack.enter_context(setting.at_default())
        yield


def _default_device_is_cpu():
    try:
        return torch.empty(0).is_cpu
    except (AssertionError, RuntimeError):  # the device does not exist
        return False


def _autocast_devices():
    return [d for d in ("cpu", "cuda") if torch.is_autocast_enabled(d)]


class _Setting:
    """A setting of the whole process, whose default several threads may need at a time.

    Parameters
    ----------
    get, set : callable
    wanted : tuple
        Values that are acceptable. The first replaces any other value.
    """

    def __init__(self, get, set, *wanted):
        self.get, self.set, self.wanted = get, set, wanted
        self._users = []
        self._before = None  # value before the first user, in a tuple
        self._lock = forkable_lock()
        after_fork(self._leave_alone)

    def is_changed(self):
        """Whether the setting has been changed, even if skae has reset it for now."""
        return bool(self._users) or self.get() not in self.wanted

    @contextmanager
    def at_default(self):
        """Reset it when the first user enters, and restore it after the last user.

        An interrupt at any place does not leave a user behind.
        """
        user = object()
        try:
            with self._lock:
                if not self._users:
                    self._before = (self.get(),)
                    self.set(self.wanted[0])
                self._users.append(user)
            yield
        finally:
            with self._lock:
                self._users = [other for other in self._users if other is not user]
                self._put_back()

    def _put_back(self):
        if self._before and not self._users:
            self.set(*self._before)
            self._before = None

    def _leave_alone(self):
        """Restore it in a forked process, which does not have the other threads."""
        self._users.clear()
        self._put_back()


def _precision_of_cpu(operation):
    """Return the setting for the internal precision of float32 products."""
    backend = getattr(torch.backends.mkldnn, operation)

    def change(value):
        backend.fp32_precision = "none"  # use the setting of all operations if possible
        if backend.fp32_precision != value:
            backend.fp32_precision = value

    return _Setting(lambda: backend.fp32_precision, change, "ieee", "none")


# torch must not raise errors for gradients that are not finite: the fit handles these.
_GLOBAL_SETTINGS = [
    _Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False)
]
if hasattr(torch.backends.mkldnn, "matmul"):
    _GLOBAL_SETTINGS += [_precision_of_cpu("matmul"), _precision_of_cpu("conv")]
else:  # torch < 2.9
    _GLOBAL_SETTINGS.append(
        _Setting(
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
            "highest",
        )
    )
