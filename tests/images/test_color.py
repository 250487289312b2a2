"""Color profiles against the formulas they stand for, and 16 bits against exact rounding.

The profiles are written here, as ICC.1:2001-04 lays them out, so that what they mean is known.
"""

import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from mmseg_heritage.images.color import profile_fault, strips, to_8_bit, to_srgb
from mmseg_heritage.images.deep_color import deep_to_srgb
from mmseg_heritage.images.photographs import read_image

# White of the profile connection space, and sRGB's primaries adapted to it (Lindbloom, Bradford).
D50 = np.array([0.9642, 1.0, 0.8249])
SRGB_TO_D50 = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
ADOBE_TO_D50 = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)
INK_LAB = {  # C, M, Y, K: 0 or 1 -> Lab of the mixture
    (0, 0, 0, 0): (100, 0, 0),
    (1, 0, 0, 0): (60, -30, -40),
    (0, 1, 0, 0): (50, 60, 0),
    (0, 0, 1, 0): (90, -5, 70),
    (1, 1, 0, 0): (30, 20, -40),
    (1, 0, 1, 0): (50, -50, 30),
    (0, 1, 1, 0): (50, 55, 40),
    (1, 1, 1, 0): (20, 0, 0),
}


def _fixed(values):
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def _xyz(values):
    return b"XYZ \0\0\0\0" + _fixed(values)


def _gamma(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _profile(kind, space, connection, tags):
    text = b"test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(8 + 3 + 67),
        b"cprt": b"text\0\0\0\0" + text,
        b"wtpt": _xyz(D50),
        **tags,
    }
    table, content = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(content), len(data))
        content += data
    size = start + len(content)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(D50)
    return head.ljust(128, b"\0") + table + content


def adobe_rgb_profile(gamma=2.19921875):
    """Profile with the primaries of Adobe RGB (1998) and one gamma."""
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, ADOBE_TO_D50.T), strict=True))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"mntr", b"RGB ", b"XYZ ", columns | curves)


def gray_profile(gamma):
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _gamma(gamma)})


def cmyk_profile():
    """Profile that mixes inks as :data:`INK_LAB` says, and is black wherever K is full."""
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + _fixed(np.eye(3).ravel())
    lut += bytes(range(256)) * 4
    for ink in np.ndindex(2, 2, 2, 2):
        lightness, a, b = (0, 0, 0) if ink[3] else INK_LAB[ink]
        lut += bytes([round(lightness * 2.55), a + 128, b + 128])
    lut += bytes(range(256)) * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def srgb_from_xyz(xyz):
    """Returns 0..255, unrounded, of XYZ under D50."""
    linear = np.clip(xyz @ np.linalg.inv(SRGB_TO_D50).T, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 255 * curved


def srgb_from_lab(lab):
    lightness, a, b = np.moveaxis(np.asarray(lab, float), -1, 0)
    f = np.stack([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116,
                  (lightness + 16) / 116 - b / 200], axis=-1)  # fmt: skip
    return srgb_from_xyz(D50 * np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def _adobe_to_srgb(levels, gamma):
    """Returns 0..255 of levels 0..1."""
    return srgb_from_xyz(levels**gamma @ ADOBE_TO_D50.T)


def _distance(image, expected):
    return np.abs(np.asarray(image).astype(float) - expected).max()


def test_16_bits_become_the_nearest_of_8():
    deep = np.arange(1 << 16, dtype=np.uint16)
    expected = [round(Fraction(int(v), 257)) for v in deep[::97]]  # 257 is odd: there are no ties
    np.testing.assert_array_equal(to_8_bit(deep.reshape(256, 256)).ravel()[::97], expected)
    np.testing.assert_array_equal(
        to_8_bit((np.arange(256) * 257).astype("u2")[None])[0], range(256)
    )


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3, 1 << 23), (5000, 3000)])
def test_strips_cover_every_row_once_and_are_small(size):
    height, width = size
    covered = [row for rows in strips(height, width) for row in range(rows.start, rows.stop)]
    assert covered == list(range(height))
    assert all((s.stop - s.start) * width <= max(width, 1 << 22) for s in strips(height, width))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_photographs_in_adobe_rgb_are_brought_to_srgb(tmp_path, suffix):
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[60:180:16j, 60:180:16j]), -1)
    array = np.repeat(np.concatenate([smooth, smooth[::-1, :, :1]], -1), 4, 0).repeat(4, 1)
    array = array.round().astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    lossless = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}
    profile = adobe_rgb_profile()
    Image.fromarray(array).save(path, icc_profile=profile, **lossless.get(suffix, {}))
    expected = _adobe_to_srgb(array / 255, 2.19921875)
    assert _distance(array, expected) > 10  # ignoring the profile would be seen
    image = read_image(path)
    assert _distance(image, expected) < (6 if suffix == ".jpg" else 2)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.19921875])
def test_rgb_profiles_follow_their_formula(pixels, gamma):
    converted = to_srgb(Image.fromarray(pixels), adobe_rgb_profile(gamma))
    assert converted.mode == "RGB"
    assert _distance(converted, _adobe_to_srgb(pixels / 255, gamma)) < 2


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_gray_profiles_follow_their_formula(tmp_path, gamma, mode):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    array = {
        "L": levels,
        "LA": np.stack([levels, levels[::-1]], -1),
        "I;16": levels.astype(np.uint16) * 257,
    }[mode]
    Image.fromarray(array).save(tmp_path / "a.png", icc_profile=gray_profile(gamma))
    expected = srgb_from_xyz((levels / 255)[..., None] ** gamma * D50)
    assert _distance(read_image(tmp_path / "a.png"), expected) < 2


def test_gray_with_the_rgb_profile_of_its_scanner_is_r_g_b_alike():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    converted = to_srgb(Image.fromarray(levels), adobe_rgb_profile(1.8))
    expected = _adobe_to_srgb(np.repeat(levels[..., None], 3, 2) / 255, 1.8)
    assert _distance(converted, expected) < 2


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_inks_are_mixed_as_their_profile_says(tmp_path, suffix, bits):
    inks = np.array(list(np.ndindex(2, 2, 2, 2)), np.uint8).reshape(4, 4, 4)
    expected = srgb_from_lab(
        [(0, 0, 0) if i[3] else INK_LAB[tuple(i)] for i in inks.reshape(-1, 4)]
    )
    array = np.repeat(inks * 255, 16, 0).repeat(16, 1)
    path, profile = tmp_path / f"a{suffix}", cmyk_profile()
    if bits == 8:
        Image.fromarray(array, "CMYK").save(path, icc_profile=profile)
    elif suffix == ".jpg":
        pytest.skip("JPEG has 8 bits")
    else:
        deep = array.astype(np.uint16) * 257
        tifffile.imwrite(path, deep, photometric="separated", iccprofile=profile)
    image = read_image(path)[8::16, 8::16].reshape(-1, 3)  # away from the edges of JPEG's blocks
    assert _distance(image, expected) < (2 if suffix == ".tif" else 8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_an_srgb_profile_changes_nothing(tmp_path, pixels, mode):
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=SRGB)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.array(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
def test_no_profile_is_srgb(pixels, mode):
    image = Image.fromarray(pixels).convert(mode)
    np.testing.assert_array_equal(to_srgb(image, None), np.array(image.convert("RGB")))
    assert profile_fault(mode, None) is None


@pytest.mark.parametrize(
    ("mode", "profile", "message"),
    [
        ("RGB", cmyk_profile(), "for CMYK, the image is RGB"),
        ("RGB", gray_profile(2.2), "for GRAY, the image is RGB"),
        ("CMYK", SRGB, "for RGB, the image is CMYK"),
        ("RGB", b"no profile", "cannot be used"),
        ("RGB", adobe_rgb_profile()[:200], "cannot be used"),
    ],
)
def test_profiles_that_do_not_fit_are_ignored_and_told(tmp_path, pixels, mode, profile, message):
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "a.tif", icc_profile=profile)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.array(image.convert("RGB")))
    assert message in profile_fault(mode, profile)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", SRGB),
        ("RGBA", adobe_rgb_profile()),
        ("P", SRGB),
        ("L", SRGB),
        ("I;16", gray_profile(2.2)),
        ("CMYK", cmyk_profile()),
    ],
)
def test_profiles_that_fit_are_no_fault(mode, profile):
    assert profile_fault(mode, profile) is None


class TestDeepProfiles:
    """Profiles of 16-bit files, applied before the step to 8 bits."""

    @pytest.fixture
    def deep(self):
        """uint16 (60, 70, 3), half of it in the shadows."""
        levels = np.random.default_rng(0).random((60, 70, 3))
        levels[:30] *= 0.05
        return np.rint(levels * 65535).astype(np.uint16)

    @pytest.mark.parametrize("gamma", [1.0, 1.8, 2.19921875, 3.0])
    @pytest.mark.parametrize("suffix", [".tif", ".png"])
    def test_colors_follow_their_formula(self, tmp_path, deep, gamma, suffix, png_file):
        profile = adobe_rgb_profile(gamma)
        if suffix == ".tif":
            tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", iccprofile=profile)
        else:
            rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
            chunk = (b"iCCP", b"a\0\0" + zlib.compress(profile))
            (tmp_path / "a.png").write_bytes(png_file((70, 60), 16, 2, rows, [chunk]))
        expected = _adobe_to_srgb(deep / 65535, round(gamma * 256) / 256)
        assert _distance(read_image(tmp_path / f"a{suffix}"), expected) < 0.6

    @pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
    @pytest.mark.parametrize("profile", ["gray", "RGB"])
    def test_gray_follows_its_formula_at_each_level(self, tmp_path, gamma, profile):
        levels = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
        curved = (levels / 65535)[..., None] ** (round(gamma * 256) / 256)
        if profile == "gray":
            icc, expected = gray_profile(gamma), srgb_from_xyz(curved * D50)
        else:  # that of the scanner
            icc = adobe_rgb_profile(gamma)
            expected = srgb_from_xyz(curved.repeat(3, 2) @ ADOBE_TO_D50.T)
        Image.fromarray(levels).save(tmp_path / "a.png", icc_profile=icc)
        image = read_image(tmp_path / "a.png")
        assert _distance(image, expected) < 0.6
        assert len(np.unique(image)) == 256  # of 8 bits, a linear file keeps 183

    def test_gray_and_alpha_follow_the_profile_of_gray(self, png_file):
        levels = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
        gray_alpha = np.stack([levels, levels[::-1]], -1).astype(">u2")
        rows = b"".join(b"\0" + row.tobytes() for row in gray_alpha)
        chunk = (b"iCCP", b"a\0\0" + zlib.compress(gray_profile(1.0)))
        expected = srgb_from_xyz((levels / 65535)[..., None] * D50)
        assert _distance(read_image(png_file((64, 64), 16, 4, rows, [chunk])), expected) < 0.6

    @pytest.mark.parametrize(
        ("number", "values"),
        [(0, [2.4]), (1, [2.0, 1.2, -0.2]), (2, [2.0, 0.9, -0.1, 0.05]),
         (3, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]),
         (4, [2.4, 0.9, 0.05, 0.08, 0.05, 0.01, 0.002])],
    )  # fmt: skip
    def test_parametric_curves_are_those_of_little_cms(self, number, values):
        curve = b"para\0\0\0\0" + struct.pack(">HH", number, 0) + _fixed(values)
        profile = _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})
        levels = np.arange(256, dtype=np.uint8)
        of_8_bits = np.asarray(to_srgb(Image.fromarray(levels[None]), profile))
        of_16_bits = deep_to_srgb(levels.astype(np.uint16)[None, :, None] * 257, "L", profile)
        assert np.abs(of_8_bits.astype(int) - of_16_bits).max() <= 1

    def test_a_curve_of_points_is_that_of_little_cms(self):
        points = (65535 * np.linspace(0, 1, 40) ** 1.7).astype(">u2")
        curve = b"curv\0\0\0\0" + struct.pack(">I", len(points)) + points.tobytes()
        tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, ADOBE_TO_D50.T), strict=True))
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
        profile = _profile(b"mntr", b"RGB ", b"XYZ ", tags)
        array = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        of_8_bits = np.asarray(to_srgb(Image.fromarray(array), profile)).astype(int)
        of_16_bits = deep_to_srgb(array.astype(np.uint16) * 257, "RGB", profile)
        assert np.abs(of_8_bits - of_16_bits).max() <= 2  # Little CMS rounds on its way

    def test_tables_are_followed_between_the_levels_of_8_bits(self):
        profile = cmyk_profile()
        inks = np.random.default_rng(0).integers(0, 255, (50, 60, 4))
        part = np.random.default_rng(1).integers(0, 258, inks.shape)
        found = deep_to_srgb((inks * 257 + part).astype(np.uint16), "CMYK", profile).astype(int)
        corners = [inks + corner for corner in np.ndindex(2, 2, 2, 2)]
        around = np.stack([
            np.asarray(to_srgb(Image.frombytes("CMYK", (60, 50), c.astype(np.uint8).tobytes()),
                               profile)) for c in corners])  # fmt: skip
        assert (found >= around.min(0)).all()
        assert (found <= around.max(0)).all()
        at_levels = deep_to_srgb((inks * 257).astype(np.uint16), "CMYK", profile)
        np.testing.assert_array_equal(at_levels, around[0])
        # A ramp through three levels of black ink takes the steps of 16 bits, not of 8.
        ramp = np.zeros((1, 515, 4), np.uint16)
        ramp[..., 3] = np.arange(515) + 60 * 257
        steps = np.flatnonzero(np.diff(deep_to_srgb(ramp, "CMYK", profile)[0, :, 0].astype(int)))
        assert set(steps % 257) - {256}

    @pytest.mark.parametrize("damage", ["cut off", "no curve", "unknown curve"])
    def test_a_damaged_profile_is_ignored_or_followed_but_never_raises(self, deep, damage):
        profile = bytearray(adobe_rgb_profile())
        if damage == "cut off":
            profile = profile[:300]
        else:
            start = profile.index(b"curv")
            profile[start : start + 4] = {"no curve": b"text", "unknown curve": b"para"}[damage]
            profile[start + 8 : start + 10] = b"\0\x09"
        assert deep_to_srgb(deep, "RGB", bytes(profile)).shape == deep.shape
