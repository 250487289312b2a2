"""Rows that are decoded as they are needed are those of the whole photograph."""

import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.images import deep_images
from mmseg_heritage.images.image_files import ImageFault
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.images.tiff_rows import TiffRows

SIZE = (150, 196)


def write(path, seed=0, dtype=np.uint8, channels=3, orientation=1, size=SIZE, **options):
    rng = np.random.default_rng(seed)
    shape = size if channels == 1 else (*size, channels)
    if options.get("planarconfig") == "separate":
        shape = (channels, *size)
    pixels = rng.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    photometric = "minisblack" if channels == 1 else "rgb"
    turned = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, pixels, photometric=photometric, extratags=turned, **options)
    return path


def all_rows(path, step=37, **options):
    with TiffRows(path, **options) as image:
        height = image.shape[0]
        parts = [image.rows(i, min(i + step, height)) for i in range(0, height, step)]
        return np.concatenate(parts), image.unread


LAYOUTS = {
    "strips": {"rowsperstrip": 7},
    "one strip": {"rowsperstrip": 150},
    "deflated strips": {"rowsperstrip": 20, "compression": "zlib"},
    "tiles": {"tile": (32, 48)},
    "deflated tiles": {"tile": (32, 48), "compression": "zlib", "predictor": True},
    "one tile": {"tile": (160, 208), "bigtiff": True},
    "planes": {"tile": (32, 48), "planarconfig": "separate"},
    "planes in strips": {"rowsperstrip": 9, "planarconfig": "separate"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_layout_is_read_as_by_the_reader_of_whole_files(layout, dtype, order, tmp_path):
    options = LAYOUTS[layout]
    path = write(tmp_path / "a.tif", dtype=dtype, byteorder=order, **options)
    found, unread = all_rows(path)
    assert np.array_equal(found, read_image(path))
    assert not unread


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_and_alpha(channels, dtype, tmp_path):
    path = write(tmp_path / "a.tif", dtype=dtype, channels=channels, tile=(32, 48))
    assert np.array_equal(all_rows(path)[0], read_image(path))


def ycbcr(path):
    """Writes a photograph as scanners and pyramids of libvips have it: JPEG in YCbCr, in strips."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels = np.stack([rows, columns, 255 - rows], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).convert("YCbCr").save(path, compression="jpeg", quality=95)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].photometric == tifffile.PHOTOMETRIC.YCBCR
    return pixels


def test_jpeg_in_ycbcr(tmp_path):
    pixels = ycbcr(tmp_path / "a.tif")
    found, unread = all_rows(tmp_path / "a.tif")
    assert not unread
    assert np.abs(found.astype(int) - pixels).mean() < 2
    assert np.abs(found.astype(int) - read_image(tmp_path / "a.tif")).max() <= 3


def test_jpeg_needs_a_package(tmp_path, monkeypatch):
    monkeypatch.setattr(deep_images, "find_spec", lambda name: None)
    ycbcr(tmp_path / "a.tif")
    with pytest.raises(ImageFault, match="JPEG requires the 'imagecodecs' package"):
        TiffRows(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("step", [1, 37, 500])
def test_photographs_are_upright(orientation, step, tmp_path):
    path = write(tmp_path / "a.tif", orientation=orientation, tile=(32, 48))
    assert np.array_equal(all_rows(path, step)[0], read_image(path))


@pytest.mark.parametrize("orientation", [1, 3, 4])
def test_strips_that_are_not_turned_by_a_quarter(orientation, tmp_path):
    path = write(tmp_path / "a.tif", orientation=orientation, rowsperstrip=7)
    assert np.array_equal(all_rows(path)[0], read_image(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_damaged_tile_is_named_and_the_rest_is_kept(orientation, tmp_path):
    options = {"orientation": orientation, "tile": (32, 48), "compression": "zlib"}
    path = write(tmp_path / "a.tif", **options)
    whole = read_image(path)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[7]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 40)
    found, (part,) = all_rows(path)
    inside = np.zeros(whole.shape[:2], bool)
    inside[part.rows, part.columns] = True
    assert inside.sum() == 32 * 48
    assert not found[inside].any()
    assert np.array_equal(found[~inside], whole[~inside])


@pytest.mark.parametrize(
    "options", [{"rowsperstrip": 10}, {"rowsperstrip": 10, "compression": "zlib"}], ids=str
)
def test_of_a_file_that_ends_early_the_rows_before_are_kept(options, tmp_path):
    path = write(tmp_path / "a.tif", **options)
    whole, size = read_image(path), path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * 0.8))
    found, unread = all_rows(path)
    first = min(part.rows.start for part in unread)
    assert 100 < first < 130
    assert np.array_equal(found[:first], whole[:first])


def test_a_file_that_is_mostly_missing_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", tile=(32, 48))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)
    with pytest.raises(ImageFault, match=r"9 of 25 parts of its pixels are there.*copy it again"):
        TiffRows(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"orientation": 6, "rowsperstrip": 10}, "strips, and its orientation turns it"),
        ({"dtype": np.uint32, "tile": (32, 48)}, "expected gray, RGB or CMYK with 8 or 16 bits"),
    ],
)
def test_what_cannot_be_read_in_parts_is_refused_with_a_remedy(options, message, tmp_path):
    path = write(tmp_path / "a.tif", **options)
    with pytest.raises(ImageFault, match=message):
        TiffRows(path)


def changed(path, code, value):
    """Writes another value into the first entry of a tag."""
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[code]
        size = {3: 2, 4: 4}[tag.dtype]
        place = tag.valueoffset
    content = bytearray(path.read_bytes())
    content[place : place + size] = value.to_bytes(size, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("layout", "code"),
    [
        ({"rowsperstrip": 7}, 278),
        ({"rowsperstrip": 7, "compression": "zlib"}, 278),
        ({"tile": (32, 48)}, 322),
        ({"tile": (32, 48), "compression": "zlib"}, 323),
    ],
)
def test_sides_of_nothing_are_one_message(layout, code, tmp_path):
    path = changed(write(tmp_path / "a.tif", **layout), code, 0)
    try:
        all_rows(path)
    except ImageFault as error:
        assert str(path) in str(error)


def test_tiles_that_are_too_wide_to_be_held_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", size=(16, 100), channels=1, tile=(16, 112))
    for code in (256, 257, 323):
        changed(path, code, 65_520)
    changed(path, 322, 112)
    with pytest.raises(ImageFault, match=r"parts of its pixels are there|have to be decoded"):
        TiffRows(path)


@pytest.mark.parametrize("layout", [{"rowsperstrip": 10}, {"tile": (32, 48)}], ids=str)
def test_a_part_that_inflates_to_more_than_it_should_is_left_out(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(deep_images, "_FREE_INFLATION", 1 << 10)
    path = write(tmp_path / "a.tif", compression="zlib", **layout)
    whole, bomb = read_image(path), zlib.compress(bytes(1 << 24), 9)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        for code, value in (
            ((324, 273), len(content)),
            ((325, 279), len(bomb)),
        ):  # where it is, its length
            tag = page.tags[code[not page.is_tiled]]
            size = {3: 2, 4: 4}[tag.dtype]
            place = tag.valueoffset + 2 * size
            content[place : place + size] = value.to_bytes(size, "little")
    path.write_bytes(content + bomb)
    found, (part,) = all_rows(path)
    assert "more than" in part.reason or "too many" in part.reason
    inside = np.zeros(whole.shape[:2], bool)
    inside[part.rows, part.columns] = True
    assert np.array_equal(found[~inside], whole[~inside])


def test_another_reader_reads_by_itself_and_tells_the_first_what_is_damaged(tmp_path):
    path = write(tmp_path / "a.tif", tile=(32, 48), compression="zlib")
    with path.open("r+b") as file, tifffile.TiffFile(path) as tiff:
        file.seek(tiff.pages[0].dataoffsets[-1])
        file.write(b"\xff" * 40)
    with TiffRows(path) as image:
        other = image.again()
        other.rows(140, 150)
        assert len(image.unread) == 1


@pytest.mark.parametrize("value", [(0, 1), (1, 0), (4_000_000_000, 1)])
def test_a_resolution_that_means_nothing_is_left_out(value, tmp_path):
    path = write(tmp_path / "a.tif", resolution=(300, 300), resolutionunit=2, tile=(32, 48))
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[0].tags[282].valueoffset
    content = bytearray(path.read_bytes())
    content[place : place + 8] = b"".join(number.to_bytes(4, "little") for number in value)
    path.write_bytes(content)
    with TiffRows(path) as image:
        assert image.resolution is None


def test_the_resolution_is_that_of_the_upright_photograph(tmp_path):
    options = {"resolution": (300, 150), "resolutionunit": 2, "tile": (32, 48)}
    for orientation, expected in ((1, (300, 150, 2)), (8, (150, 300, 2))):
        path = write(tmp_path / "a.tif", orientation=orientation, **options)
        with TiffRows(path) as image:
            assert image.resolution == expected
    with TiffRows(write(tmp_path / "b.tif", tile=(32, 48))) as image:
        assert image.resolution is None
