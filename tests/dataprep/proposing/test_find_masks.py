"""Which files of a folder are photographs, and which are their masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.proposing.find_masks import find_masks
from mmseg_heritage.errors import InputError


def photograph(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(cv2.resize(noise, (64, 48))).save(path)


def mask(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((48, 64), np.uint8)
    values[10:20, 10:30] = 255
    Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("image", "annotation", "suffix"),
    [
        ("{}.jpg", "{}_mask.png", "_mask"),
        ("{}.png", "{} Label.png", " Label"),
        ("images/{}.jpg", "masks/{}.png", ""),
        ("images/{}.jpg", "annotations/{}.png", ""),
        ("{}.jpg", "gt/{}_seg.tif", "_seg"),
        ("photos/{}.jpg", "damage/{}-gt.png", "-gt"),
        ("b/{}.png", "a/{}.png", ""),  # only their colors tell
        ("a/{}.png", "b/{}.png", ""),
    ],
)
def test_masks_beside_photographs_or_in_a_folder(tmp_path, image, annotation, suffix):
    for name in ("Foto 1", "Foto 2", "Straße"):
        photograph(tmp_path / image.format(name))
        mask(tmp_path / annotation.format(name))
    found = find_masks(tmp_path)
    assert found.suffix == suffix
    assert found.alone == ()
    assert {
        i: (a.relative_to(tmp_path).as_posix(), b.relative_to(tmp_path).as_posix())
        for i, (a, b) in found.files.items()
    } == {n: (image.format(n), annotation.format(n)) for n in ("Foto 1", "Foto 2", "Straße")}


def test_files_without_a_partner_are_listed(tmp_path):
    for name in "abc":
        photograph(tmp_path / f"{name}.jpg")
    for name in "bcd":
        mask(tmp_path / f"{name}_mask.png")
    found = find_masks(tmp_path)
    assert sorted(found.files) == ["b", "c"]
    assert [path.name for path in found.alone] == ["a.jpg", "d_mask.png"]


def test_where_there_are_no_masks_it_says_what_was_found(tmp_path):
    for name in "ab":
        photograph(tmp_path / "photos" / f"{name}.jpg")
    with pytest.raises(InputError, match=r"no masks were found.*NAME_mask\.png") as caught:
        find_masks(tmp_path)
    assert "photos: 2 images" in caught.value.problems[0]
    with pytest.raises(InputError, match="no such folder"):
        find_masks(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        find_masks(tmp_path / "empty")
    assert "no image" in caught.value.problems[0]
