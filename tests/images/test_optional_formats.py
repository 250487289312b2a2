"""HEIC and raw files, read where their libraries are installed and explained where not."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mmseg_heritage.images import formats
from mmseg_heritage.images.formats import folder_files
from mmseg_heritage.images.image_files import ImageFault, image_header
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

RED, GREEN, BLUE = 0, 1, 2


@pytest.fixture
def scene():
    """A smooth photograph, uint8 (48, 64, 3), of which one corner is bright."""
    generator = np.random.default_rng(0)
    pixels = cv2.resize(generator.integers(40, 200, (4, 5, 3), dtype=np.uint8), (64, 48))
    pixels[:12, :16] = 250
    return pixels


def heic(pixels, mode="RGB", **settings):
    """Returns the content of a HEIC file without loss but that of its color space."""
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    image = pillow_heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes())
    image.save(file, quality=-1, chroma=444, **settings)
    return file.getvalue()


def dng(path, levels, flip=1):
    """Writes a raw file as of a camera with the filter red, green / green, blue.

    Args:
        path: Where to write.
        levels: uint16 (H, W), what the sensor counted.
        flip: Orientation as TIFF numbers it.
    """
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("rawpy")
    to_camera = (np.array([3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040,
                           1.0570]) * 10000).astype(int)  # fmt: skip
    matrix = [number for value in to_camera for number in (int(value), 10000)]
    tags = [
        (274, "H", 1, flip, True),
        (271, "s", 0, "Test", True),  # Make
        (272, "s", 0, "Camera", True),  # Model
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, (RED, GREEN, GREEN, BLUE), True),  # CFAPattern
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, "s", 0, "Test Camera", True),  # UniqueCameraModel
        (50714, "H", 1, 0, True),  # BlackLevel
        (50717, "H", 1, 65535, True),  # WhiteLevel
        (50721, "2i", 9, matrix, True),  # ColorMatrix1: of a camera that sees linear sRGB
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
    ]
    tifffile.imwrite(path, levels, photometric=32803, extratags=tags, metadata=None)


def srgb(linear):
    """The curve of IEC 61966-2-1, 0..1 to 0..255."""
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


class TestHeic:
    """Photographs of telephones."""

    def test_pixels_and_header(self, tmp_path, scene):
        (tmp_path / "a.HEIC").write_bytes(heic(scene))
        header = image_header(tmp_path / "a.HEIC")
        assert (header.size, header.format, header.bits) == ((64, 48), "HEIC", 8)
        found = read_image(tmp_path / "a.HEIC")
        assert np.abs(found.astype(int) - scene).max() <= 2  # YCbCr of 8 bits

    def test_gray_and_alpha(self, scene):
        gray = scene[..., 0]
        for mode, pixels in (("L", gray), ("RGBA", np.dstack([scene, gray]))):
            found = read_image(heic(pixels, mode))
            expected = gray[..., None] if mode == "L" else scene
            assert found.shape == scene.shape
            assert np.abs(found.astype(int) - expected).max() <= 2

    def test_ten_bits_keep_their_range(self, scene):
        content = heic(scene.astype(np.uint16) * 257, "RGB;16")
        assert image_header(content).bits == 16
        assert np.abs(read_image(content).astype(int) - scene).max() <= 1

    def test_the_orientation_is_applied_once(self, scene):
        exif = Image.Exif()
        exif[274] = 6
        pillow_heif = pytest.importorskip("pillow_heif")
        file = io.BytesIO()
        image = pillow_heif.from_pillow(Image.fromarray(scene))
        image.info["exif"] = exif.tobytes()
        image.save(file, quality=-1, chroma=444)
        # As telephones write it: the turn in a box of HEIC, the tag beside it for other programs.
        turned = pillow_heif.open_heif(file).size == (48, 64)
        expected = np.rot90(scene, -1) if turned else scene
        found = read_image(file.getvalue())
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).max() <= 2

    def test_the_profile_is_applied(self, scene):
        linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        header = image_header(heic(scene, icc_profile=profile))
        assert header.profile == profile
        # A profile of Lab does not fit RGB: taken for sRGB, as in every format.
        found = read_image(heic(scene, icc_profile=linear))
        assert np.abs(found.astype(int) - scene).max() <= 2

    def test_it_is_no_mask(self, tmp_path, scene):
        (tmp_path / "a.heic").write_bytes(heic(scene[..., 0], "L"))
        with pytest.raises(ImageFault, match=r"a\.heic: found a mask as HEIC, which changes ids"):
            read_mask(tmp_path / "a.heic")

    def test_what_is_damaged_is_named(self, tmp_path, scene):
        content = heic(scene)
        for length in (40, 400, len(content) - 30):
            (tmp_path / "a.heic").write_bytes(content[:length])
            with pytest.raises(ImageFault, match=r"a\.heic: .*copy it again"):
                read_image(tmp_path / "a.heic")

    def test_the_limit_of_pixels_comes_before_the_decoder(self, monkeypatch, scene):
        content = heic(scene)
        monkeypatch.setenv("MMSEG_HERITAGE_MAX_MEGAPIXELS", "0.003")
        with pytest.raises(ImageFault, match=r"64x48 pixels are .* more than the 0.003 allowed"):
            read_image(content)


class TestRaw:
    """What a sensor counted, developed to sRGB."""

    def test_a_gray_card_comes_out_as_its_light(self, tmp_path):
        for light in (0.05, 0.18, 0.5):
            dng(tmp_path / "a.dng", np.full((64, 96), round(light * 65535), np.uint16))
            header = image_header(tmp_path / "a.dng")
            assert (header.size, header.bits) == ((96, 64), 16)
            found = read_image(tmp_path / "a.dng")
            assert found.shape == (64, 96, 3)
            assert np.abs(found.astype(float) - srgb(np.array(light))).max() <= 2

    def test_colors_of_the_filter(self, tmp_path):
        levels = np.full((64, 96), 3000, np.uint16)
        levels[::2, ::2] = 40000  # red
        dng(tmp_path / "a.dng", levels)
        found = read_image(tmp_path / "a.dng")[16:-16, 16:-16].reshape(-1, 3).mean(axis=0)
        assert found[RED] > 3 * max(found[GREEN], found[BLUE])

    def test_it_is_turned_as_the_camera_was(self, tmp_path):
        levels = np.full((64, 96), 3000, np.uint16)
        levels[:16, :16] = 40000
        dng(tmp_path / "a.dng", levels, flip=6)
        assert image_header(tmp_path / "a.dng").size == (64, 96)
        found = read_image(tmp_path / "a.dng")
        assert found.shape == (96, 64, 3)
        assert found[:10, -10:].mean() > 2 * found[:10, :10].mean()

    def test_a_tiff_with_the_name_of_a_raw_file_is_none(self, tmp_path, scene):
        pytest.importorskip("rawpy")
        Image.fromarray(scene).save(tmp_path / "a.tif")
        (tmp_path / "a.tif").rename(tmp_path / "a.NEF")
        with pytest.raises(ImageFault, match=r"a\.NEF: .*copy it again"):
            read_image(tmp_path / "a.NEF")


class TestFolder:
    """A folder tells by suffix what is read."""

    def test_with_the_libraries_they_are_images(self, tmp_path):
        pytest.importorskip("pillow_heif")
        pytest.importorskip("rawpy")
        for name in ("a.heic", "b.NEF", "c.jp2"):
            (tmp_path / name).touch()
        files = folder_files(tmp_path)
        assert [path.name for path in files.images] == ["a.heic", "b.NEF"]
        assert files.not_read() == "not read: 1 .jp2; export pictures as TIFF, PNG or JPEG"

    @pytest.mark.usefixtures("no_optional_readers")
    def test_without_them_the_command_is_named(self, tmp_path):
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        (tmp_path / "b.nef").write_bytes(b"II*\0" + bytes(40))
        files = folder_files(tmp_path)
        assert files.images == []
        assert files.not_read().endswith("or pip install pillow-heif rawpy")
        with pytest.raises(ImageFault, match="found HEIC; pip install pillow-heif, with which it"):
            read_image(tmp_path / "a.heic")
        with pytest.raises(ImageFault, match="found a raw file of a camera; pip install rawpy"):
            read_image(tmp_path / "b.nef")
        assert not formats.is_image_name("a.heic")
