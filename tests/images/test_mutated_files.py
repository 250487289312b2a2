"""Mutants of small files of every format: they are read, or refused as an input error.

Set MMSEG_HERITAGE_MUTANTS to a number to try more of them than the suite does.
"""

import io
import os
import struct
import time
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import ImageFault, image_header
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

MUTANTS = int(os.environ.get("MMSEG_HERITAGE_MUTANTS", "20"))
SECONDS = 5  # none took a second
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _pillow(array, name, mode=None, **options):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    image = Image.fromarray(array)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, name, exif=exif, **options)
    return stream.getvalue()


def _tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, extratags=[(0x0112, "H", 1, 6, True)], **options)
    return stream.getvalue()


def _files():
    color = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    ids = (color[..., 0] % 16).astype(np.uint8)
    deep = color.astype(np.uint16) * 257
    five = np.concatenate([color, color[..., :2]], -1)
    extra = ["unassalpha"] * 2
    return {
        "png": _pillow(color, "PNG", icc_profile=SRGB, compress_level=1),
        "png of ids": _pillow(ids, "PNG"),
        "png with a palette": _pillow(ids, "PNG", "P"),
        "png of 16 bits": cv2.imencode(".png", deep)[1].tobytes(),
        "png of 16-bit gray": _pillow(deep[..., 0], "PNG"),
        "jpeg": _pillow(color, "JPEG", icc_profile=SRGB),
        "progressive jpeg": _pillow(color, "JPEG", progressive=True),
        "jpeg of inks": _pillow(color, "JPEG", "CMYK"),
        "tiff": _pillow(color, "TIFF", icc_profile=SRGB),
        "tiff of ids": _pillow(ids, "TIFF"),
        "tiff in LZW": _pillow(ids, "TIFF", compression="tiff_lzw"),
        "tiff in JPEG": _pillow(color, "TIFF", compression="jpeg"),
        "tiff of 1 bit": _pillow(ids, "TIFF", "1", compression="group4"),
        "tiff of 16 bits": _tiff(deep, photometric="rgb", iccprofile=SRGB),
        "deflated tiff of 16 bits": _tiff(deep, photometric="rgb", compression="zlib"),
        "tiff of 16-bit tiles": _tiff(deep, photometric="rgb", tile=(16, 16)),
        "tiff of 5 channels": _tiff(five, photometric="rgb", extrasamples=extra),
        "bmp": _pillow(color, "BMP"),
        "bmp of ids": _pillow(ids, "BMP"),
        "webp": _pillow(color, "WEBP", icc_profile=SRGB),
        "lossless webp": _pillow(color, "WEBP", lossless=True),
    }


FILES = _files()


def _mutant(content, rng):
    """Changes bits, bytes, numbers or ranges; half of the changes hit the first 200 bytes."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        end = len(data) if rng.random() < 0.5 else min(200, len(data))
        place = int(rng.integers(0, max(end, 1)))
        kind = rng.integers(0, 6)
        if kind == 0:
            data[place : place + 1] = bytes([data[place] ^ (1 << int(rng.integers(0, 8)))])
        elif kind == 1:
            data[place : place + 1] = rng.bytes(1)
        elif kind == 2:
            number = int(rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1]))
            data[place : place + 4] = struct.pack(rng.choice(["<I", ">I"]), number)
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 20))]
        elif kind == 4:
            start = int(rng.integers(0, len(data)))
            data[place:place] = data[start : start + int(rng.integers(1, 60))]
        else:
            del data[max(place, 1) :]
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_a_mutant_is_read_or_refused(name, monkeypatch):
    monkeypatch.setenv("MMSEG_HERITAGE_MAX_MEGAPIXELS", "20")  # larger claims take long
    rng = np.random.default_rng(sum(name.encode()))
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of the damage
        for _ in range(MUTANTS):
            mutant = _mutant(FILES[name], rng)
            start = time.monotonic()
            try:
                header = image_header(mutant, "a mutant")
                pixels = read_image(mutant, "a mutant")
                assert (pixels.shape, pixels.dtype) == ((*header.size[::-1], 3), np.uint8)
            except InputError as error:
                assert isinstance(error, ImageFault)
                assert str(error).startswith("a mutant: ")
                refused += 1
            try:
                assert read_mask(mutant, name="a mutant").dtype == np.uint8
            except ImageFault as error:
                assert str(error).startswith("a mutant: ")
            assert time.monotonic() - start < SECONDS
    assert refused
