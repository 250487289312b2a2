"""Reading masks that MATLAB saved, for data sets that come as .mat files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import ImageFault


def require_scipy() -> None:
    """Says what to install where scipy is absent, which only this part of the package needs.

    Raises:
        InputError: If it cannot be imported.
    """
    try:
        import scipy.io  # noqa: F401
    except ImportError as error:
        raise InputError(f"reading .mat files needs scipy ({error}): pip install scipy") from error


def read_mat(path: Path, variable: str) -> np.ndarray:
    """Reads a mask from a .mat file of MATLAB 4 to 7.2.

    Args:
        path: The file.
        variable: Name of the variable, and of fields in it after dots: "groundTruth.Segmentation".

    Returns:
        Array of whole numbers, shape (H, W).

    Raises:
        ImageFault: If the file cannot be read, lacks the variable, or holds something else in it.
    """
    import scipy.io

    name, *fields = variable.split(".")
    try:
        content = scipy.io.loadmat(path, variable_names=[name])
    except NotImplementedError as error:
        raise ImageFault(
            f"{path}: saved by MATLAB 7.3 as HDF5; save it again with '-v7'"
        ) from error
    except Exception as error:  # damaged files raise whatever the reader stumbles over
        raise ImageFault(f"{path}: cannot be read as a .mat file ({error})") from error
    if name not in content:
        names = ", ".join(entry[0] for entry in scipy.io.whosmat(path)) or "nothing"
        raise ImageFault(f"{path}: no variable '{name}'; it holds {names}")
    value = content[name]
    for field in fields:
        there = value.dtype.names or ()
        if field not in there or value.size != 1:
            found = ", ".join(there) or f"numbers of shape {value.shape}"
            raise ImageFault(f"{path}: no field '{field}' in '{variable}'; there is {found}")
        value = value[field].item()
    if value.ndim != 2 or value.dtype.kind not in "buif" or not np.array_equal(value, value // 1):
        raise ImageFault(
            f"{path}: expected whole numbers of shape (H, W) in '{variable}', found "
            f"{value.dtype} of shape {value.shape}",
            "mode",
        )
    return value if value.dtype.kind != "f" else value.astype(np.int64)
