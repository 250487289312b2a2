"""Opening image files: sizes from headers, and the limit on them."""

import pickle
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE, ImageFault, image_size
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image


def test_the_size_of_a_png_is_known_without_its_pixels(tmp_path, pixels, saved):
    path = saved(tmp_path / "a.png", pixels)
    head = path.read_bytes()[: 8 + 25 + 8]  # signature, IHDR, and the head of IDAT
    path.write_bytes(head)
    assert image_size(path) == (11, 7)
    with pytest.raises(InputError, match=r"a\.png: the image is truncated or damaged"):
        read_image(path)


class TestSizeLimit:
    """Images of more pixels than allowed."""

    def test_it_can_be_set_and_the_message_says_how(self, tmp_path, pixels, monkeypatch, saved):
        path = saved(tmp_path / "a.png", pixels[..., 0] % 16)
        monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.000076")
        for read in (read_image, read_mask, image_size):
            with pytest.raises(
                ImageFault, match=rf"11x7 pixels.*{MAX_MEGAPIXELS_VARIABLE}=1$"
            ) as e:
                read(path)
            assert e.value.kind == "too large"
        monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.000077")
        assert read_image(path).shape == (7, 11, 3)

    @pytest.mark.parametrize("text", ["", "many", "-1", "0", "nan", "inf"])
    def test_what_is_no_limit_is_refused(self, tmp_path, pixels, monkeypatch, text, saved):
        monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, text)
        with pytest.raises(InputError, match=rf"{MAX_MEGAPIXELS_VARIABLE}: expected a number"):
            read_image(saved(tmp_path / "a.png", pixels))

    @pytest.mark.parametrize(
        ("width", "allowed"), [(13300, True), (24900, True), (25100, False), (10**6, False)]
    )
    def test_133_megapixels_pass_and_pillow_neither_warns_nor_refuses(
        self, tmp_path, width, allowed
    ):
        # Only the header: a small file may claim any size.
        head = struct.pack(">IIBBBBB", width, 10000, 8, 2, 0, 0, 0)
        path = tmp_path / "a.png"
        chunk = b"IHDR" + head
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
            + struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 9) + b"IDAT"
        )  # fmt: skip
        limit = Image.MAX_IMAGE_PIXELS
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if allowed:
                assert image_size(path) == (width, 10000)
            else:
                with pytest.raises(ImageFault, match=f"{width}x10000.*more than the 250 allowed"):
                    image_size(path)
        assert limit == Image.MAX_IMAGE_PIXELS

    @pytest.mark.parametrize("size", [(1, 249_000_000), (1_000_001, 1), (2, 1_000_001)])
    def test_sides_longer_than_any_photograph_are_refused_by_the_header(self, size, png_file):
        for read in (image_size, read_image, read_mask):
            with pytest.raises(
                ImageFault, match=f"{size[0]}x{size[1]} pixels.* at most 1000000"
            ) as e:
                read(png_file(size, 8, 0, b""))
            assert e.value.kind == "too large"
        assert image_size(png_file((1, 1_000_000), 8, 0, b"")) == (1, 1_000_000)

    @pytest.mark.parametrize("size", [(0, 5), (5, 0)])
    def test_an_image_without_pixels_is_refused(self, size, png_file):
        with pytest.raises(ImageFault):
            read_image(png_file(size, 8, 0, b""))

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])  # Pillow checks a TIFF twice
    def test_a_photograph_above_the_limit_of_pillow_is_decoded(
        self, tmp_path, monkeypatch, name, saved
    ):
        levels = np.indices((220, 220), dtype=np.uint16).sum(0).astype(np.uint8)
        path = saved(tmp_path / name, levels)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
        with pytest.raises(Image.DecompressionBombError):
            Image.open(path).load()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(read_image(path)[..., 0], levels)
        assert Image.MAX_IMAGE_PIXELS == 1_000

    def test_the_limit_of_pillow_returns_when_the_last_thread_has_read(
        self, tmp_path, monkeypatch, saved
    ):
        path = saved(tmp_path / "a.png", np.zeros((64, 64), np.uint8))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
        with ThreadPoolExecutor(8) as pool:
            assert {a.shape for a in pool.map(read_image, [path] * 64)} == {(64, 64, 3)}
        assert Image.MAX_IMAGE_PIXELS == 1_000


def test_a_fault_survives_the_ways_in_which_workers_pass_it_on():
    fault = ImageFault("a.png: expected class ids", "ids", {16: 3})
    copy = pickle.loads(pickle.dumps(fault))
    assert (str(copy), copy.kind, copy.values) == (str(fault), "ids", {16: 3})
    assert isinstance(ImageFault("Caught ImageFault ..."), InputError)  # torch gives the text alone
