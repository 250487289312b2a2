"""What is read and what is refused: by content, never by trust in a name."""

import ast
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import mmseg_heritage
from mmseg_heritage.images.formats import (
    IMAGE_SUFFIXES,
    OTHER_SUFFIXES,
    READ_FORMATS,
    folder_files,
    unread_reason,
)
from mmseg_heritage.images.image_files import ImageFault, image_header, image_size
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

PACKAGE = Path(mmseg_heritage.__file__).parent


def _opens_without_formats(path):
    """Lists the calls of Image.open in a file that do not say which formats may be opened."""
    return [
        f"{path}:{call.lineno}"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("Image.open", "PIL.Image.open", "open_with_pillow")
        and not any(keyword.arg == "formats" for keyword in call.keywords)
    ]


def test_each_opening_by_pillow_says_which_formats(tmp_path):
    (tmp_path / "a.py").write_text("from PIL import Image\nImage.open('a.png')\n")
    assert len(_opens_without_formats(tmp_path / "a.py")) == 1
    assert [found for p in PACKAGE.rglob("*.py") for found in _opens_without_formats(p)] == []
    # Another name for it would go unseen.
    for path in PACKAGE.rglob("*.py"):
        assert "from PIL.Image import" not in path.read_text(encoding="utf-8")


def test_all_suffixes_are_those_of_the_formats(tmp_path, pixels):
    assert set(IMAGE_SUFFIXES).isdisjoint(OTHER_SUFFIXES)
    for name, suffixes in READ_FORMATS.items():
        for suffix in suffixes:
            Image.fromarray(pixels).save(tmp_path / f"a{suffix}", name)
            assert image_header(tmp_path / f"a{suffix}").format == name


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 10\n%%EndComments\n"
    b"0 0 moveto 20 10 lineto stroke\nshowpage\n%%EOF\n"
)


@pytest.mark.skipif(os.name == "nt", reason="a program of a shell script")
def test_a_postscript_named_as_a_photograph_starts_no_program(tmp_path, monkeypatch):
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in ("a.png", "a.tif", "a.jpg"):
        (tmp_path / name).write_bytes(EPS)
        for read in (read_image, read_mask, image_size):
            with pytest.raises(ImageFault, match="found PostScript or EPS; export it as TIFF"):
                read(tmp_path / name)
    assert not (tmp_path / "started").exists()


def _saved_as(name):
    stream = io.BytesIO()
    image = Image.fromarray(np.zeros((64, 64, 3), np.uint8))
    image.save(stream, name)
    return stream.getvalue()


FOREIGN = {
    "GIF": "GIF",
    "DDS": "DDS",
    "ICNS": "ICNS",
    "ICO": "ICO",
    "PCX": "PCX",
    "PDF": "PDF",
    "JPEG2000": "JPEG 2000",
    "AVIF": "AVIF",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_formats_that_pillow_knows_and_we_do_not_are_named(name):
    codec = {"JPEG2000": "jpg_2000", "AVIF": "avif"}.get(name)
    if codec and codec not in features.get_supported():
        pytest.skip(f"this Pillow writes no {name}")
    content = _saved_as(name)
    for read in (read_image, read_mask, image_size):
        with pytest.raises(ImageFault, match=f"expected PNG.*, found {FOREIGN[name]}; export it"):
            read(content)


@pytest.mark.usefixtures("no_optional_readers")
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC; pip install pillow-heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC; pip install pillow-heif"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a raw file of a camera; pip install rawpy"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(50), "a raw file of a camera; pip install rawpy"),
        (b"FUJIFILMCCD-RAW 0201", "a raw file of a camera; pip install"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"<!doctype html><html>", "a web page"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ],
)
def test_other_files_are_named_by_their_first_bytes(tmp_path, content, found):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageFault, match=rf"a\.jpg: expected PNG.* or WebP, found {found}"):
        read_image(tmp_path / "a.jpg")


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageFault, match=r"a\.jpg: the file is empty; copy it again$"):
        read_image(tmp_path / "a.jpg")


def test_a_format_without_signature_is_named_by_its_suffix(tmp_path):
    (tmp_path / "a.tga").write_bytes(_saved_as("TGA"))
    with pytest.raises(ImageFault, match="found TGA; export"):
        read_image(tmp_path / "a.tga")
    (tmp_path / "a.png").write_bytes(_saved_as("TGA"))
    with pytest.raises(ImageFault, match="cannot be read as an image; expected PNG"):
        read_image(tmp_path / "a.png")


@pytest.mark.usefixtures("no_optional_readers")
def test_a_raw_file_is_not_read_as_the_tiff_that_it_begins_as(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / "a.NEF")
    with pytest.raises(ImageFault, match="found a raw file of a camera; pip install rawpy"):
        read_image(tmp_path / "a.NEF")


def test_the_content_counts_not_the_suffix(tmp_path, pixels):
    for name in ("a.jpg", "a.tif", "a.heic"):
        Image.fromarray(pixels).save(tmp_path / name, "PNG")
        np.testing.assert_array_equal(read_image(tmp_path / name), pixels)


class TestFolder:
    """What is in a folder, and what of it is not read."""

    @pytest.mark.usefixtures("no_optional_readers")
    def test_each_file_is_in_one_list(self, tmp_path):
        for name in ("b.JPG", "a.jfif", "c.HEIC", "e.nef", "d.heic", "notes.txt", ".a.png"):
            (tmp_path / name).touch()
        (tmp_path / "more.tif").mkdir()
        (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
        files = folder_files(tmp_path)
        assert [p.name for p in files.images] == ["a.jfif", "b.JPG", "gone.png"]
        assert [p.name for p in files.unread] == ["c.HEIC", "d.heic", "e.nef"]
        assert [p.name for p in files.other] == ["more.tif", "notes.txt"]
        assert files.not_read() == (
            "not read: 2 .heic, 1 .nef, 1 folder; export pictures as TIFF, PNG or JPEG or pip "
            "install pillow-heif rawpy"
        )
        reasons = [unread_reason(path) for path in files.unread + files.other]
        assert "HEIC; pip install" in reasons[0]
        assert "a raw file of a camera; pip install" in reasons[2]
        assert "a folder" in reasons[3]
        assert "expected one of .png" in reasons[4]

    def test_nothing_is_said_where_all_is_read(self, tmp_path):
        (tmp_path / "a.png").touch()
        (tmp_path / "notes.txt").touch()
        assert folder_files(tmp_path).not_read() == ""
