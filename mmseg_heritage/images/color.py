"""Colors of photographs: embedded ICC profiles applied, and 16 bits brought to 8."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import numpy as np
from PIL import Image, ImageCms

_STRIP = 1 << 22  # pixels converted at a time: bounds the memory beside the result
# Flags of lcms2.h; Pillow names them differently from version to version.
_BLACK_POINT_COMPENSATION = 0x2000
_NO_OPTIMIZATION = 0x0100
# Nearest 8-bit level of each 16-bit one: 65535 is 255, as 65535 = 255 * 257.
_LEVELS = ((np.arange(1 << 16) + 128) // 257).astype(np.uint8)
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def strips(
    height: int, width: int, pixels: int = _STRIP, most_rows: int | None = None
) -> Iterator[slice]:
    """Cuts the rows of an image into slices of about so many pixels, by default 4 million."""
    rows = min(max(1, pixels // max(1, width)), most_rows or height or 1)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def color_numbers(pixels: np.ndarray) -> np.ndarray:
    """Returns one number for each color, red * 65536 + green * 256 + blue.

    Args:
        pixels: uint8 (..., 3), RGB.

    Returns:
        int32 (...).
    """
    red, green, blue = np.moveaxis(pixels.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def to_8_bit(deep: np.ndarray) -> np.ndarray:
    """Brings 16-bit levels to the nearest 8-bit ones.

    Args:
        deep: uint16 (H, W) or (H, W, C), 0 .. 65535.

    Returns:
        uint8 of the same shape, ``round(v / 257)``.
    """
    out = np.empty(deep.shape, np.uint8)
    for rows in strips(deep.shape[0], deep[0].size):
        out[rows] = _LEVELS[deep[rows]]
    return out


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Brings an 8-bit image of any mode to sRGB; may change ``image`` itself.

    Conversion is relative colorimetric with black point compensation, as photo editors do it. An
    alpha channel is dropped, not blended: what a scan has below it is real. Without a profile,
    numbers are taken for sRGB, and CMYK for plain inverse ink.

    A profile that is damaged or made for another color model is ignored, as browsers do;
    :func:`profile_fault` tells.

    Args:
        image: Modes L, LA, La, P, PA, 1, RGB, RGBA, RGBX, CMYK or YCbCr.
        profile: ICC profile, or None.

    Returns:
        An image of mode RGB.
    """
    model = _color_model(image.mode)
    transform = srgb_transform(profile, model) if profile else None
    if image.mode == "La":
        image = image.convert("LA")
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    if model == "L":
        return _through_table(image.convert("L"), transform)
    if transform.input_mode != image.mode:
        image = image.convert(transform.input_mode)
    if image.mode == "RGB":  # a second image of 133 megapixels is half a gigabyte
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    return cast(Image.Image, ImageCms.applyTransform(image, transform))


def _through_table(gray: Image.Image, transform: Any) -> Image.Image:
    """Converts each of the 256 gray levels once: exact, and fast though nothing is optimized."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(transform.input_mode)
    table = np.asarray(ImageCms.applyTransform(ramp, transform))[0]
    return Image.merge("RGB", [gray.point(column.tolist()) for column in table.T])


def profile_fault(mode: str, profile: bytes | None) -> str | None:
    """Returns why the embedded profile of an image of this mode is not used, or None."""
    if not profile:
        return None
    try:
        space = _open_profile(profile)[1]
        if _input_mode(space, _color_model(mode)) is None:
            return f"the color profile is for {space}, the image is {mode}"
        srgb_transform.__wrapped__(profile, _color_model(mode), strict=True)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        return f"the color profile cannot be used ({error})"
    return None


def _color_model(mode: str) -> str:
    """Returns the mode that holds an image's colors without alpha, palette or bit depth."""
    if mode == "CMYK":
        return "CMYK"
    return "L" if mode in ("1", "L", "LA", "La") or mode.startswith("I") else "RGB"


def _open_profile(profile: bytes) -> tuple[Any, str]:
    """Returns a profile and the name of its color space."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return opened, opened.profile.xcolor_space.strip()


def _input_mode(space: str, model: str) -> str | None:
    """Returns the mode in which a profile takes an image, or None where they do not belong."""
    mode = _MODE_OF_SPACE.get(space)
    # Gray scans often carry the RGB profile of the scanner; gray is R = G = B in it.
    return mode if mode == model or (mode == "RGB" and model == "L") else None


@lru_cache(maxsize=32)  # one scanner, one profile; building the tables of CMYK takes long
def srgb_transform(profile: bytes, model: str, strict: bool = False) -> Any | None:
    """Builds the transform of a profile to sRGB; None where there is none, or it changes nothing.

    Args:
        profile: ICC profile.
        model: "L", "RGB" or "CMYK", that of the image. A gray image may have an RGB profile: the
            ``input_mode`` of the transform tells.
        strict: Whether a damaged profile is an error.

    Raises:
        PyCMSError: With ``strict``, if the profile is damaged.
        OSError: Likewise.
    """
    try:
        opened, space = _open_profile(profile)
        mode = _input_mode(space, model)
        if mode is None:
            return None
        # Optimized, lcms follows a gray curve by a few points: too few in a linear scan's shadows.
        flags: Any = _BLACK_POINT_COMPENSATION | (_NO_OPTIMIZATION if model == "L" else 0)
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags,
        )
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        if strict:
            raise
        return None


def _changes_nothing(transform: Any) -> bool:
    """Whether a transform moves no color by more than one level: it comes from sRGB itself.

    Its rounding would only add noise to the photographs, nearly all of which are sRGB.
    """
    axis = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(18, -1, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
    return bool(np.abs(moved.astype(int) - grid).max() <= 1)
