"""Photographs above the limit are read in parts, in every format that allows it."""

import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, PngImagePlugin

from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE, ImageFault
from mmseg_heritage.images.large_photographs import large_photograph, page_count
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.images.tiff_rows import TiffRows
from mmseg_heritage.images.vips_rows import VipsRows

try:
    import pyvips
except ImportError:  # an extra
    pyvips = None


def tiff(path, side):
    pixels = np.zeros((side, side, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(16, 16))
    return path


def rows_of(image, step=37):
    height = image.shape[0]
    parts = [image.rows(i, min(i + step, height)) for i in range(0, height, step)]
    return np.concatenate(parts)


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


def test_pages_are_chosen_and_counted_without_previews(tmp_path):
    path = tmp_path / "a.tif"
    pages = [np.full((20, 30), level, np.uint8) for level in (10, 20, 30)]
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pages[0], subfiletype=1)
        for page in pages:
            tiff.write(page, photometric="minisblack")
    assert page_count(path) == 3
    for number, page in enumerate(pages, start=1):
        with TiffRows(path, number) as image:
            assert (rows_of(image)[..., 0] == page).all()
        assert (read_image(path, page=number)[..., 0] == page).all()
    for read in (TiffRows, lambda path, page: read_image(path, page=page)):
        with pytest.raises(ImageFault, match="expected 4 or more pages, found 3"):
            read(path, page=4)
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    assert page_count(tmp_path / "a.png") == 1
    with pytest.raises(ImageFault, match="page 2 was asked for, but PNG holds one image"):
        read_image(tmp_path / "a.png", page=2)


def test_each_page_has_its_own_profile(swapped_profile, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, photometric="rgb", iccprofile=swapped_profile)
        tiff.write(pixels, photometric="rgb", subfiletype=3)  # a preview, of several pages too
        tiff.write(pixels, photometric="rgb")
    assert page_count(path) == 2
    for number in (1, 2):
        with TiffRows(path, number) as image:
            found = rows_of(image)
        assert np.array_equal(found, read_image(path, page=number))
        assert np.array_equal(found, pixels) == (number == 2)


def test_what_is_read_in_parts(tmp_path, monkeypatch):
    small, large = tiff(tmp_path / "a.tif", 30), tiff(tmp_path / "b.tif", 40)
    Image.new("RGB", (40, 40)).save(tmp_path / "c.webp")
    (tmp_path / "d.tif").write_bytes(b"II*\0")
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.001")
    for path in (small, tmp_path / "c.webp", tmp_path / "d.tif", tmp_path / "absent.tif"):
        assert large_photograph(path) is None
    with large_photograph(large) as image:
        assert image.shape == (40, 40)


def test_without_pyvips_it_is_named_with_another_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvips", None)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.001")
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg")
    with pytest.raises(ImageFault, match=r"pip install pyvips\[binary\]\); or save it as a tiled"):
        large_photograph(tmp_path / "a.jpg")


class TestPngAndJpeg:
    """Read by libvips."""

    @pytest.fixture(autouse=True)
    def _needs_pyvips(self, monkeypatch):
        if pyvips is None:
            pytest.skip("no pyvips")
        monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.001")

    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
    @pytest.mark.parametrize("step", [1, 37, 200])
    def test_png_is_read_as_by_the_reader_of_whole_files(self, mode, step, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 4), dtype=np.uint8)
        path = tmp_path / "a.png"
        Image.fromarray(pixels).convert(mode).save(path)
        self._check(path, step)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_png_of_16_bits(self, channels, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 1 << 16, (90, 70, channels), dtype=np.uint16)
        cv2.imwrite(str(tmp_path / "a.png"), pixels)
        self._check(tmp_path / "a.png")

    @pytest.mark.parametrize("mode", ["RGB", "L"])
    def test_jpeg(self, mode, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((700, 900)).convert(mode).save(tmp_path / "a.jpg")
        self._check(tmp_path / "a.jpg")

    def test_what_comes_in_several_passes_is_refused(self, tmp_path):
        image = Image.radial_gradient("L")
        image.save(tmp_path / "a.jpg", progressive=True)
        with pytest.raises(ImageFault, match="progressive JPEG of this size cannot be read in"):
            large_photograph(tmp_path / "a.jpg")
        pyvips.Image.new_from_array(np.asarray(image)).pngsave(
            str(tmp_path / "b.png"), interlace=True
        )
        with pytest.raises(ImageFault, match="interlaced or progressive PNG"):
            large_photograph(tmp_path / "b.png")

    def test_long_texts_do_not_matter(self, tmp_path):
        info = PngImagePlugin.PngInfo()
        info.add_text("long", "a" * (1 << 21), zip=True)
        Image.radial_gradient("L").save(tmp_path / "a.png", pnginfo=info)
        self._check(tmp_path / "a.png")

    def test_the_profile_is_applied(self, swapped_profile, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=swapped_profile)
        found = self._check(tmp_path / "a.png")
        assert (found != pixels).mean() > 0.5

    def test_rows_can_be_read_again(self, tmp_path):
        path = tmp_path / "a[page=2].png"  # which libvips would take for options
        Image.radial_gradient("L").save(path)
        with VipsRows(path, "PNG") as image:
            first = image.rows(0, 100)
            image.rows(150, 200)
            assert np.array_equal(image.rows(0, 100), first)

    @pytest.mark.parametrize("suffix", [".png", ".jpg"])
    def test_of_a_file_that_ends_early_the_rows_before_are_kept(self, suffix, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (600, 400, 3), dtype=np.uint8)
        path = tmp_path / f"a{suffix}"
        Image.fromarray(pixels).save(path)
        whole = np.asarray(Image.open(path))
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
        image = large_photograph(path)
        found = rows_of(image, 16)
        (part,) = image.unread
        assert (part.rows.stop, part.columns) == (600, slice(0, 400))
        assert 128 <= part.rows.start <= 420
        assert np.array_equal(found[: part.rows.start], whole[: part.rows.start])
        assert not found[part.rows].any()
        assert np.array_equal(rows_of(image), found)  # once more
        assert len(image.unread) == 1

    def test_what_is_not_upright_or_of_other_colors_is_refused(self, tmp_path):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg", exif=exif)
        Image.new("CMYK", (40, 40)).save(tmp_path / "b.jpg")
        for name, message in (("a.jpg", "vips autorot"), ("b.jpg", "found cmyk")):
            with pytest.raises(ImageFault, match=message):
                large_photograph(tmp_path / name)

    def _check(self, path, step=16):
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv(MAX_MEGAPIXELS_VARIABLE)
            whole = read_image(path)
        image = large_photograph(path)
        assert isinstance(image, VipsRows)
        found = rows_of(image, step)
        assert not image.unread
        assert np.array_equal(found, whole)
        return found
