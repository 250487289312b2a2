"""Which code decodes photographs and masks: what it made earlier may be outdated."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from mmseg_heritage.utils.files import sha256

_PACKAGES = ("Pillow", "tifffile", "imagecodecs")


def reader_version() -> str:
    """Returns a hash, as 64 hex digits, of the code and the packages that decode.

    The same file may have other pixels with another version of them.
    """
    parts = [sha256(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    for name in _PACKAGES:
        try:
            parts.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            parts.append(f"no {name}")
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
