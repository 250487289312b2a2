"""Damaged image files are read, or refused with one error that names them; nothing else happens."""

import io
import random
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import image_size
from mmseg_heritage.images.large_photographs import page_count
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

pytestmark = pytest.mark.filterwarnings("ignore")


def _files():
    """Returns suffix -> bytes of small files of every format and several layouts."""
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (24, 31, 3), dtype=np.uint8)
    ids = rng.integers(0, 16, (24, 31), dtype=np.uint8)
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a photograph"
    found = []
    for array, mode, form, options in (
        (color, "RGB", "PNG", {}), (color, "RGB", "JPEG", {"exif": exif}),
        (color, "CMYK", "JPEG", {}),
        (color, "RGB", "WEBP", {}), (color, "RGB", "BMP", {}), (color, "RGB", "TIFF", {}),
        (color, "CMYK", "TIFF", {"compression": "tiff_lzw"}), (ids, "L", "PNG", {}),
        (ids, "P", "PNG", {}), (ids, "L", "TIFF", {"compression": "tiff_deflate"}),
    ):  # fmt: skip
        stream = io.BytesIO()
        Image.fromarray(array).convert(mode).save(stream, form, **options)
        found.append((f".{form.lower()}", stream.getvalue()))
    for array, options in (
        (color.astype(np.uint16) * 257, {"tile": (16, 16), "compression": "zlib"}),
        (color, {"bigtiff": True, "rowsperstrip": 5}),
        (np.moveaxis(color, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, array, **options)
        found.append((".tiff", stream.getvalue()))
    return found


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 250), marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", range(len(_files())))
def test_every_reader(number, seeds, tmp_path, changed_bytes):
    suffix, data = _files()[number]
    path = tmp_path / f"a{suffix}"
    for seed in seeds:
        path.write_bytes(changed_bytes(data, random.Random(1000 * number + seed)))
        for read in (read_image, read_mask, image_size, page_count):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found = read(path)
                except InputError as error:
                    assert str(path) in str(error)
                else:
                    assert read not in (read_image, read_mask) or found.dtype == np.uint8
