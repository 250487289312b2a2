"""Color profiles applied to 16-bit levels, which Pillow's ImageCms would cut to 8 bits first.

A linear scan has half of its visible levels below 22 % of white: cut to 8 bits before its profile
is applied, it loses up to 6.5 levels in the shadows.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mmseg_heritage.images.color import srgb_transform, strips, to_8_bit

_STRIP = 1 << 18  # pixels computed at a time: up to 200 bytes for each
_RAMP = np.linspace(0, 1, 1 << 16)
# sRGB's primaries adapted to D50, the white of profiles, by Bradford's method (Lindbloom).
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
# IEC 61966-2-1: 8-bit level of each linear one.
_ENCODED = np.rint(
    255 * np.where(_RAMP <= 0.0031308, 12.92 * _RAMP, 1.055 * _RAMP ** (1 / 2.4) - 0.055)
).astype(np.uint8)


def deep_to_srgb(deep: NDArray[np.uint16], mode: str, profile: bytes | None) -> NDArray[np.uint8]:
    """Brings 16-bit levels to the nearest 8-bit ones of sRGB.

    Profiles made of curves and a matrix are computed exactly; those made of tables, which Pillow
    follows in 8 bits only, are interpolated between its levels. Otherwise as
    :func:`mmseg_heritage.images.color.to_srgb`. Holds at most 60 MB beside the result.

    Args:
        deep: uint16 (rows, W, C), 0 .. 65535, without alpha.
        mode: "L", "RGB" or "CMYK"; C is 1, 3 or 4.
        profile: ICC profile, or None.

    Returns:
        uint8 (rows, W, 3).
    """
    transform = srgb_transform(profile, mode) if profile else None
    if profile is None or transform is None:
        pixels = to_8_bit(deep)
        if mode == "CMYK":
            return np.asarray(_image(pixels, mode).convert("RGB"))
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    if mode == "L":
        return _gray_table(profile, transform)[deep[..., 0]]
    return _converted(deep, profile, transform)


@lru_cache(maxsize=8)
def _gray_table(profile: bytes, transform: Any) -> NDArray[np.uint8]:
    """Converts each of the 65536 gray levels once, to uint8 (65536, 3)."""
    ramp = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256, 1)
    ramp = ramp.repeat(len(transform.input_mode), axis=2)  # L or RGB
    return _converted(ramp, profile, transform).reshape(-1, 3)


def _converted(deep: NDArray[np.uint16], profile: bytes, transform: Any) -> NDArray[np.uint8]:
    shaper = _curves_and_matrix(profile)
    if shaper is None:
        return _interpolated(deep, transform)
    curves, matrix, black = shaper
    height, width = deep.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    for rows in strips(height, width, _STRIP):
        linear = np.stack([curve[deep[rows, :, i]] for i, curve in enumerate(curves)], axis=-1)
        linear = np.clip((linear @ matrix.T - black) / (1 - black), 0, 1)
        out[rows] = _ENCODED[np.rint(linear * 65535).astype(np.uint16)]
    return out


@lru_cache(maxsize=8)
def _curves_and_matrix(
    profile: bytes,
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32], np.float32] | None:
    """Reads a profile that is made of curves and a matrix (ICC.1:2010, 8.3.3 and 8.6).

    Returns:
        (for each channel the linear value of every 16-bit level, matrix (3, channels) from these
        to linear sRGB, luminance of black), or None if the profile is of another make.
    """
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        tags = {}
        for index in range(min(count, 200)):
            name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            tags[name] = profile[start : start + size]
        if profile[20:24] != b"XYZ " or any(n[:3] in (b"A2B", b"D2B") for n in tags):
            return None
        if profile[16:20] == b"GRAY":
            curves, matrix = [_curve(tags[b"kTRC"])], np.ones((3, 1))
        else:
            columns = [_fixed(tags[color + b"XYZ"], 3, 8) for color in (b"r", b"g", b"b")]
            matrix = np.linalg.inv(_SRGB_TO_XYZ) @ np.array(columns).T
            curves = [_curve(tags[color + b"TRC"]) for color in (b"r", b"g", b"b")]
        # As Little CMS detects black: of the darkest color, but no lighter than L* = 50.
        black = _SRGB_TO_XYZ[1] @ matrix @ [curve[0] for curve in curves]
        return curves, matrix.astype(np.float32), np.float32(np.clip(black, 0, 0.1842))
    except (struct.error, ValueError, KeyError):
        return None


def _fixed(data: bytes, count: int, offset: int) -> list[float]:
    """Reads numbers of type s15Fixed16."""
    return [value / 65536 for value in struct.unpack_from(f">{count}i", data, offset)]


def _curve(data: bytes) -> NDArray[np.float32]:
    """Evaluates a curve of type ``curv`` or ``para`` (ICC.1:2010, 10.5 and 10.15) at each level."""
    kind, number = struct.unpack_from(">4s4xH", data)
    x = _RAMP
    if kind == b"para":
        counts = (1, 3, 4, 5, 7)
        if number >= len(counts):
            raise ValueError("unknown type of curve")
        given = _fixed(data, counts[number], 12)
        g, a, b, c, d, e, f = given + [0.0] * (7 - len(given))
        if number == 0:
            a = 1.0
        elif number in (1, 2):  # below -b / a, the constant c; of type 1, that is 0
            d, e, f, c = -b / a if a else 0.0, c, c, 0.0
        with np.errstate(all="ignore"):
            y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    else:
        (number,) = struct.unpack_from(">I", data, 8)
        if number == 0:
            y = x
        elif number == 1:
            y = x ** (struct.unpack_from(">H", data, 12)[0] / 256)
        else:
            levels = np.frombuffer(data, ">u2", number, 12) / 65535
            y = np.interp(x, np.linspace(0, 1, number), levels)
    return np.clip(np.nan_to_num(y), 0, 1).astype(np.float32)


def _interpolated(deep: NDArray[np.uint16], transform: Any) -> NDArray[np.uint8]:
    """Interpolates between the 8-bit levels on both sides of each 16-bit one.

    In n channels, between n + 1 corners of the cell, one more channel moving up at each: in three,
    tetrahedral interpolation (Sakamoto and Itooka, US patent 4275413).
    """
    levels = transform.input_mode
    height, width = deep.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    for rows in strips(height, width, _STRIP):
        node = (deep[rows] // 257).astype(np.uint8)
        part = (deep[rows] % 257).astype(np.int32)
        order = np.argsort(-part, axis=-1)
        falling = np.take_along_axis(part, order, -1)
        weights = -np.diff(falling, axis=-1, prepend=257, append=0)
        total = np.full((*node.shape[:2], 3), 128, np.int32)
        for corner in range(weights.shape[-1]):
            if corner:  # of level 255 the weight is 0, so that it may wrap
                channel = order[..., corner - 1 : corner]
                up = np.take_along_axis(node, channel, -1) + np.uint8(1)
                np.put_along_axis(node, channel, up, -1)
            image = ImageCms.applyTransform(_image(node, levels), transform)
            total += weights[..., corner, None] * np.asarray(image)
        out[rows] = total // 257
    return out


def _image(pixels: NDArray[np.uint8], mode: str) -> Image.Image:
    """Returns uint8 (H, W, C) as an image of the mode."""
    size = (pixels.shape[1], pixels.shape[0])
    return Image.frombuffer(mode, size, np.ascontiguousarray(pixels), "raw", mode, 0, 1)
