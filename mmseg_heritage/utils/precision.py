"""Numbers in which a network computes, on the device at hand."""

from __future__ import annotations

from pathlib import Path

import torch

from mmseg_heritage.errors import InputError

DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}
AUTO = "auto"


def dtype_of(name: str, device_type: str) -> torch.dtype:
    """Returns the dtype of a name.

    Args:
        name: 'auto' (see :func:`automatic_dtype`), 'float32', 'bfloat16', or 'float16' on a GPU.
        device_type: 'cuda' or 'cpu'.

    Raises:
        InputError: If the name is none of these, or float16 on a CPU.
    """
    if name != AUTO and name not in DTYPES:
        raise InputError(f"dtype must be 'auto' or one of {', '.join(DTYPES)}, found '{name}'")
    dtype = automatic_dtype(device_type) if name == AUTO else DTYPES[name]
    if dtype is torch.float16 and device_type == "cpu":
        raise InputError("float16 needs a CUDA device; use dtype='auto' or 'bfloat16' on a CPU")
    return dtype


def automatic_dtype(device_type: str) -> torch.dtype:
    """Returns the fastest safe dtype for training on a device.

    Args:
        device_type: 'cuda' or 'cpu'.

    Returns:
        bfloat16 on CUDA cards of capability 8.0 (Ampere) or later and on CPUs with bfloat16
        instructions, float16 on older cards, float32 on other CPUs, where emulation is slower.
    """
    if device_type == "cuda":
        ampere_or_later = torch.cuda.get_device_capability() >= (8, 0)
        return torch.bfloat16 if ampere_or_later else torch.float16
    return torch.bfloat16 if _cpu_has_bfloat16() else torch.float32


def _cpu_has_bfloat16() -> bool:
    """Looks for bfloat16 instructions among the CPU's flags (Linux; elsewhere the answer is no).

    torch itself only tells whether its kernels can emulate the format, which is slower than
    float32.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = {
        word
        for line in lines
        if line.lower().startswith(("flags", "features"))
        for word in line.split()
    }
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
