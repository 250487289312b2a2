"""Decoding a photograph and its mask, and what is wrong with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.checks.duplicates import perceptual_hash
from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.dataprep.checks.mask_values import smoothed_classes
from mmseg_heritage.images.color import profile_fault
from mmseg_heritage.images.image_files import ImageFault, image_header
from mmseg_heritage.images.masks import class_pixels, read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.taxonomy import ARTEFACT, ClassList


def read_pair(
    image: Path | None, annotation: Path | None, classes: ClassList = ARTEFACT
) -> tuple[np.ndarray | None, np.ndarray | None, list[Fault]]:
    """Decodes a photograph and its mask as training does.

    Args:
        image: File of the photograph, if there is one.
        annotation: File of the mask, if there is one.
        classes: Those that the mask can hold.

    Returns:
        :func:`mmseg_heritage.images.photographs.read_image` and
        :func:`mmseg_heritage.images.masks.read_mask` of them, None where that is not possible, and
        what is wrong.
    """
    pixels = mask = size = None
    faults = []
    if image is not None:
        try:
            pixels = read_image(image)
            size = (pixels.shape[1], pixels.shape[0])
        except ImageFault as error:
            faults.append(_fault(image, error))
    if annotation is not None:
        try:
            mask = read_mask(annotation, size, classes=classes)
        except ImageFault as error:
            faults.append(_fault(annotation, error))
    return pixels, mask, faults


def _fault(path: Path, error: ImageFault) -> Fault:
    message = error.summary.removeprefix(f"{path}: ")
    return Fault(error.kind, path, message, values=error.values)


@dataclass(frozen=True)
class Examined:
    """What :func:`examine` found in one photograph and its mask.

    Attributes:
        faults: What is wrong with them.
        size: (width, height) of the photograph in pixels; None without a readable one.
        digest: SHA-256 of the decoded pixels and their shape; None without a readable photograph.
        hash: Perceptual hash; None without a readable photograph.
        class_pixels: As :func:`mmseg_heritage.images.masks.class_pixels`; None
            without a sound mask.
    """

    faults: tuple[Fault, ...]
    size: tuple[int, int] | None = None
    digest: str | None = None
    hash: int | None = None
    class_pixels: NDArray[np.int64] | None = None


def examine(image: Path | None, annotation: Path | None, classes: ClassList = ARTEFACT) -> Examined:
    """Decodes a photograph and its mask, and computes what data sets are compared by.

    Args:
        image: File of the photograph, if there is one.
        annotation: File of the mask, if there is one.
        classes: Those that the mask can hold.
    """
    pixels, mask, faults = read_pair(image, annotation, classes)
    size = digest = phash = counts = None
    if image is not None and pixels is not None:
        size = (pixels.shape[1], pixels.shape[0])
        digest = _digest(pixels)
        phash = perceptual_hash(pixels)
        header = image_header(image)
        if unused := profile_fault(header.mode, header.profile):
            faults.append(Fault("color profile", image, f"{unused}; its numbers are read as sRGB"))
        if annotation is not None:
            faults += _turned_apart(header.orientation, annotation)
    if annotation is not None and mask is not None:
        counts = class_pixels(mask, classes)
        if not counts[:-1].any():
            faults.append(Fault("no label", annotation, "every pixel is 255, outside the object"))
        if smooth := smoothed_classes(mask, classes.ids):
            found = ", ".join(map(str, smooth))
            message = (
                f"the classes {found} are nowhere but between others, as resizing a mask like a "
                "photograph makes them; resize it by nearest neighbor, or import it again"
            )
            faults.append(Fault("mask values", annotation, message))
    return Examined(tuple(faults), size, digest, phash, counts)


def _turned_apart(orientation: int, annotation: Path) -> list[Fault]:
    """Warns where a photograph is turned by its EXIF orientation, and its mask is not."""
    try:
        if orientation == 1 or image_header(annotation).orientation != 1:
            return []
    except ImageFault:  # told already
        return []
    message = (
        f"its photograph is turned by its EXIF orientation {orientation}, the mask has none; see "
        "that it was drawn on the photograph as it is shown, and turn it if not"
    )
    return [Fault("orientation", annotation, message)]


def _digest(pixels: np.ndarray) -> str:
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels.data)
    return digest.hexdigest()
