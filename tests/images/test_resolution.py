"""Resolutions as other programs write them into files."""

import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin

from mmseg_heritage.images.resolution import resolutions_of

EXPOSURE, ORIENTATION = 0x829A, 0x0112


def exif(across=None, down=None, unit=2, orientation=1, exposure=False):
    found = Image.Exif()
    if across:
        found[0x011A], found[0x011B], found[0x0128] = across, down, unit
    found[ORIENTATION] = orientation
    if exposure:
        found.get_ifd(0x8769)[EXPOSURE] = 0.01
    return found


def saved(path, **options):
    Image.new("RGB", (40, 20), (90, 80, 70)).save(path, **options)
    return [(round(r.across, 1), round(r.down, 1), r.place) for r in resolutions_of(path)]


def test_each_format_in_its_own_way(tmp_path):
    assert saved(tmp_path / "a.jpg", dpi=(300, 600)) == [(300, 600, "JFIF")]
    assert saved(tmp_path / "a.png", dpi=(300, 600)) == [(300, 600, "PNG")]
    assert saved(tmp_path / "a.bmp", dpi=(300, 300)) == [(300, 300, "BMP")]
    assert saved(tmp_path / "a.tif", dpi=(300, 600)) == [(300, 600, "TIFF")]
    assert saved(tmp_path / "b.jpg", exif=exif(400.0, 400.0)) == [(400, 400, "EXIF")]
    assert saved(tmp_path / "c.jpg", exif=exif(100.0, 100.0, 3)) == [(254, 254, "EXIF")]
    assert saved(tmp_path / "a.webp", exif=exif(400.0, 400.0)) == [(400, 400, "EXIF")]
    assert saved(tmp_path / "b.png", exif=exif(400.0, 400.0)) == [(400, 400, "EXIF")]
    both = saved(tmp_path / "d.jpg", dpi=(72, 72), exif=exif(400.0, 400.0))
    assert both == [(72, 72, "JFIF"), (400, 400, "EXIF")]


def test_nothing_is_told_without_a_unit_or_a_number(tmp_path):
    assert saved(tmp_path / "a.png") == []
    assert saved(tmp_path / "a.jpg") == []  # JFIF tells the shape of pixels only
    assert saved(tmp_path / "b.jpg", exif=exif(400.0, 400.0, 1)) == []
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((3, 3), np.uint8))
    assert resolutions_of(tmp_path / "c.png") == []
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    assert resolutions_of(tmp_path / "d.jpg") == []
    assert resolutions_of(tmp_path / "gone.tif") == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_that_lies_on_a_side_is_turned(tmp_path, orientation):
    turned = (600, 300) if orientation > 4 else (300, 600)
    more = {"exif": exif(orientation=orientation)}
    for name in ("a.jpg", "a.png"):
        (found,) = saved(tmp_path / name, dpi=(300, 600), **more)
        assert found[:2] == turned
    path = tmp_path / "a.tif"
    tags = [(274, "H", 1, orientation, True)]
    pixels = np.zeros((8, 9), np.uint8)
    tifffile.imwrite(path, pixels, resolution=(300, 600), resolutionunit=2, extratags=tags)
    (found,) = resolutions_of(path)
    assert (found.across, found.down) == turned


def test_a_camera_tells_of_an_exposure(tmp_path):
    for name in ("a.jpg", "a.png", "a.webp"):
        for exposure in (True, False):
            saved(tmp_path / name, exif=exif(300.0, 300.0, exposure=exposure))
            assert [r.by_camera for r in resolutions_of(tmp_path / name)] == [exposure]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x8769], tags.tagtype[0x8769] = {EXPOSURE: TiffImagePlugin.IFDRational(1, 100)}, 4
    saved(tmp_path / "a.tif", tiffinfo=tags, dpi=(300, 300))
    assert [r.by_camera for r in resolutions_of(tmp_path / "a.tif")] == [True]


def test_centimeters_and_pages_of_a_tiff(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((4, 4), np.uint8), resolution=(100, 100), resolutionunit=3)
        file.write(np.zeros((4, 4), np.uint8), resolution=(600, 600), resolutionunit=2)
        file.write(np.zeros((4, 4), np.uint8), resolution=(600, 600), resolutionunit=1)
    assert [r.across for page in (1, 2, 3, 9) for r in resolutions_of(path, page)] == [254, 600]


def test_directories_that_lead_anywhere_end(tmp_path):
    """EXIF whose directories point behind the end, into themselves, or have any number of tags."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        entries = b""
        for tag in rng.choice([0x011A, 0x8769, 0x0128], 5).tolist():
            kind, place = rng.integers(0, (14, 200)).tolist()
            entries += struct.pack("<HHII", tag, kind, 1, place)
        block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, int(rng.integers(0, 65536))) + entries
        Image.new("L", (4, 4)).save(tmp_path / "a.jpg", exif=block)
        assert isinstance(resolutions_of(tmp_path / "a.jpg"), list)
