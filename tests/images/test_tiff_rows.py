"""Rows that are decoded as they are needed are those of the whole photograph."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE, ImageFault
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.images.tiff_rows import TiffRows, large_photograph, page_count

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


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 16)}], ids=str)
def test_a_header_that_promises_too_much_is_refused(layout, compression, tmp_path):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8), compression=compression, **layout)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tags = [tiff.pages[0].tags.get(code) for code in (256, 257, 278)]  # sides, rows of a strip
    for tag in filter(None, tags):
        size = {3: 2, 4: 4}[tag.dtype]
        content[tag.valueoffset : tag.valueoffset + size] = (60_000).to_bytes(size, "little")
    path.write_bytes(content)
    with pytest.raises(ImageFault, match=r"of its pixels are there|have to be decoded whole"):
        large_photograph(path)


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


def test_pages_are_chosen_and_counted_without_previews(tmp_path):
    path = tmp_path / "a.tif"
    pages = [np.full((20, 30), level, np.uint8) for level in (10, 20, 30)]
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pages[0], subfiletype=1)
        for page in pages:
            tiff.write(page, photometric="minisblack")
    assert page_count(path) == 3
    for number, page in enumerate(pages, start=1):
        assert (all_rows(path, page=number)[0][..., 0] == page).all()
        assert (read_image(path, page=number)[..., 0] == page).all()
    for read in (TiffRows, lambda path, page: read_image(path, page=page)):
        with pytest.raises(ImageFault, match="expected 4 or more pages, found 3"):
            read(path, page=4)
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    assert page_count(tmp_path / "a.png") == 1
    with pytest.raises(ImageFault, match="page 2 was asked for, but PNG holds one image"):
        read_image(tmp_path / "a.png", page=2)


def test_only_a_tiff_above_the_limit_is_read_in_parts(tmp_path, monkeypatch):
    small = write(tmp_path / "a.tif", size=(30, 30))
    large = write(tmp_path / "b.tif", size=(40, 40), tile=(16, 16))
    Image.new("RGB", (40, 40)).save(tmp_path / "c.png")
    (tmp_path / "d.tif").write_bytes(b"II*\0")
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.001")
    for path in (small, tmp_path / "c.png", tmp_path / "d.tif", tmp_path / "absent.tif"):
        assert large_photograph(path) is None
    with large_photograph(large) as image:
        assert image.shape == (40, 40)


def test_the_resolution_is_that_of_the_upright_photograph(tmp_path):
    options = {"resolution": (300, 150), "resolutionunit": 2, "tile": (32, 48)}
    for orientation, expected in ((1, (300, 150, 2)), (8, (150, 300, 2))):
        path = write(tmp_path / "a.tif", orientation=orientation, **options)
        with TiffRows(path) as image:
            assert image.resolution == expected
    with TiffRows(write(tmp_path / "b.tif", tile=(32, 48))) as image:
        assert image.resolution is None
