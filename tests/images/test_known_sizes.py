"""The header of an unchanged image is read once."""

import os

import pytest
from PIL import Image

from mmseg_heritage.images import known_sizes as module
from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE, ImageFault
from mmseg_heritage.images.known_sizes import known_size


def test_a_header_is_read_once_until_the_file_changes(tmp_path, monkeypatch):
    read = []
    real = module.image_size
    monkeypatch.setattr(module, "image_size", lambda path: read.append(path) or real(path))
    path = tmp_path / "a.png"
    Image.new("L", (7, 5)).save(path)
    os.utime(path, (1e9, 1e9))
    assert [known_size(path), known_size(str(path))] == [(7, 5)] * 2
    assert len(read) == 1
    Image.new("L", (9, 5)).save(path)
    assert known_size(path) == (9, 5)
    path.unlink()
    with pytest.raises(ImageFault, match="no such file"):
        known_size(path)


def test_a_lower_limit_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (20, 20)).save(path)
    os.utime(path, (1e9, 1e9))
    assert known_size(path) == (20, 20)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.0003")
    with pytest.raises(ImageFault, match="more than the"):
        known_size(path)
