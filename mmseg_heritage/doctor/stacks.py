"""Which distributions make up each of the three stacks; the bounds are in ``requirements/``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # annotations alone need it, and Python 3.8, which is turned away, lacks it
    Facts = Mapping[str, Any]

OFFICIAL, ONEDL, CLASSIC = "official", "onedl", "classic"
TITLES = {
    OFFICIAL: "the OpenMMLab releases with mmcv-lite",
    ONEDL: "the maintained forks",
    CLASSIC: "the OpenMMLab releases with full mmcv",
}

_TORCH = ("torch", "torchvision", "timm", "setuptools")
_RELEASES = ("mmengine", "mmsegmentation", "mmpretrain", "ftfy", "regex")
PARTS = {
    OFFICIAL: (*_TORCH, *_RELEASES, "mmcv-lite"),
    ONEDL: (*_TORCH, "onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation", "onedl-mmpretrain"),
    CLASSIC: (*_TORCH, *_RELEASES, "mmcv"),
}
"""What each stack cannot do without."""
RUNTIME = (
    "numpy", "opencv-python", "pillow", "tifffile", "scikit-image", "rich", "jinja2", "matplotlib",
    "shapely",
)  # fmt: skip
"""What this package imports on every stack."""
MIM = {OFFICIAL: "openmim", ONEDL: "onedl-mim", CLASSIC: "openmim"}

MODULES = {
    "numpy": ("numpy",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "torch": ("torch",),
    "torchvision": ("torchvision",),
    "timm": ("timm",),
    "mmengine": ("mmengine", "onedl-mmengine"),
    "mmcv": ("mmcv-lite", "mmcv", "onedl-mmcv"),
    "mmseg": ("mmsegmentation", "onedl-mmsegmentation"),
    "mmpretrain": ("mmpretrain", "onedl-mmpretrain"),
}
"""Modules that matter most -> the distributions that ship them, the likeliest first."""

STAMP = "mmseg_heritage-stamp.txt"
"""Of ``make env``, which does nothing where it is; see ``requirements/make_env.py``."""

# Modules that both families ship: two of one name overwrite each other's files.
RELEASED = ("mmengine", "mmcv", "mmcv-lite", "mmsegmentation", "mmpretrain", "openmim")
FORKED = ("onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation", "onedl-mmpretrain", "onedl-mim")


def present(facts: Facts, names: tuple[str, ...]) -> list[str]:
    """Returns those of the names that are installed."""
    return [name for name in names if name in facts["distributions"]]


def missing(facts: Facts, names: tuple[str, ...]) -> list[str]:
    """Returns those of the names that are not installed."""
    return [name for name in names if name not in facts["distributions"]]


def stack_of(facts: Facts) -> str | None:
    """Returns the stack that is installed, whole or not; None where there is nothing of any.

    Where both families are there, it is the one of which there is more.
    """
    released, forked = present(facts, RELEASED), present(facts, FORKED)
    if not released and not forked:
        return None
    if len(forked) > len(released):
        return ONEDL
    is_full = "mmcv" in facts["distributions"] and "mmcv-lite" not in facts["distributions"]
    return CLASSIC if is_full else OFFICIAL


def pip(facts: Facts) -> str:
    """Returns how pip of this environment is called."""
    return f"{shlex.quote(facts['python']['executable'])} -m pip"


def install_line(facts: Facts, stack: str) -> str:
    """Returns the command that installs a stack here, and raises or lowers what is off."""
    checkout = facts["package"]["checkout"]
    if stack == CLASSIC:
        # pip alone gets an mmcv without its compiled ops.
        make = f"make {f'-C {shlex.quote(checkout)} ' if checkout else ''}env STACK=classic"
        stamp = shlex.quote(f"{facts['python']['prefix']}/{STAMP}")
        return f"rm -f {stamp} && {make}" if stack_of(facts) == CLASSIC else make
    if checkout is None:
        return f'{pip(facts)} install "mmseg_heritage[{stack}]"'
    constraints = shlex.quote(f"{checkout}/requirements/constraints-{stack}.txt")
    return f'{pip(facts)} install -c {constraints} -e "{checkout}[{stack}]"'


def reinstall_line(facts: Facts, module: str) -> str:
    """Returns the command that puts a module right whose distribution is there and is broken."""
    stack = stack_of(facts) or OFFICIAL
    line, names = install_line(facts, stack), present(facts, MODULES.get(module, ()))
    if stack == CLASSIC or not names:  # make looks for broken packages itself
        return line
    chosen = f"{names[0]}=={facts['distributions'][names[0]]}"
    return f"{line} && {pip(facts)} install --force-reinstall --no-deps {chosen}"
