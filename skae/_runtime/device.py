"""Device: which device to use, and how much free memory it has.

Nothing here runs at import. CUDA is queried only if the device may be a GPU.
"""

from collections.abc import Callable

import torch

from .._compat import cuda_is_lost

__all__ = ["check_device", "free_memory", "inference_device"]

# From this number of floating point operations per training step on, the GPU is used.
# Two CPU cores take about a millisecond for these. In about two thousand steps the GPU
# then saves the seconds that CUDA takes to start. Measured in docs/choices.md, "Steps
# on a GPU".
_CUDA_STEP_FLOPS = 2e8
# From this number of floating point operations for all rows to encode on, the GPU is
# used. Below it, copying the weights to the GPU takes longer than the GPU saves.
# Measured in docs/choices.md, "Steps on a GPU".
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
        If the device is none of these, or if this machine does not have it.
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

    The CPU is used if the device is missing, in processes that were forked after CUDA
    had started, and if there are too few rows to pay for the copy to the GPU.

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
    """Return the free bytes of a CUDA device."""
    return torch.cuda.mem_get_info(device)[0]
