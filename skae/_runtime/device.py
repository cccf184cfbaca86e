"""Device: which one trains, and what it has room for.

Nothing here runs at import, and CUDA is asked only when the device may be one.
"""

from collections.abc import Callable

import torch

from .._compat import cuda_is_lost

__all__ = ["check_device", "free_memory", "inference_device"]

# Floating point operations of a training step from which the GPU is used. Two CPU cores
# need a millisecond for so many. In some two thousand steps the GPU's speed then pays
# for the seconds that CUDA takes to start.
_CUDA_STEP_FLOPS = 2e8
# Floating point operations of all rows to encode from which the GPU is used: its speed
# then pays for copying the weights there.
_CUDA_ROWS_FLOPS = 1e9


_CPU = torch.device("cpu")


def check_device(
    device: str | torch.device, step_flops: Callable[[], float]
) -> torch.device:
    """Resolve the parameter ``device`` to a `torch.device`.

    Parameters
    ----------
    device : str or torch.device
        "auto", "cpu", "cuda" or "cuda:N".
    step_flops : callable
        Returns the floating point operations of one training step, for "auto".

    Raises
    ------
    ValueError
        If the device is not one of these, or is not on this machine.
    """
    if device == "auto":
        wins = step_flops() >= _CUDA_STEP_FLOPS and _has_cuda()
        return torch.device("cuda", 0) if wins else torch.device("cpu")
    name = str(device)
    if name in ("cpu", "cpu:0"):
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind != "cuda" or not (index.isdecimal() or name == "cuda"):
        raise ValueError(
            f"device={device!r} is not known: use 'auto', 'cpu', 'cuda' or 'cuda:N'."
        )
    if cuda_is_lost():
        raise ValueError(
            f"device={device!r} cannot be used here: this process was forked after "
            "CUDA had started. Use device='cpu', or start processes by 'spawn'."
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise ValueError(
            f"device={device!r} is not available: torch {torch.__version__} sees "
            f"{count} CUDA device(s). Use device='auto' or 'cpu', or install a build "
            "of torch with CUDA."
        )
    return torch.device("cuda", int(index or 0))


def inference_device(name: str, flops: Callable[[], float]) -> torch.device:
    """Return the device that trained a model, or the CPU.

    That is taken where the device is missing, in processes that are forked after CUDA
    has started, and where few rows are not worth the way there.

    Parameters
    ----------
    name : str
    flops : callable
        Returns the floating point operations to be done.
    """
    if name == "cpu" or not _has_cuda():
        return _CPU
    device = torch.device(name)
    is_there = device.index < torch.cuda.device_count()
    return device if is_there and flops() >= _CUDA_ROWS_FLOPS else _CPU


def _has_cuda() -> bool:
    return not cuda_is_lost() and torch.cuda.is_available()


def free_memory(device: torch.device) -> int:
    """Bytes free on a CUDA device."""
    return torch.cuda.mem_get_info(device)[0]
