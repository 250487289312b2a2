"""What mask values may mean: which is Clean, which is ignored, how the others are called."""

from __future__ import annotations

import json
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.importing.label_mapping import load_mapping
from mmseg_heritage.dataprep.proposing.propose_mapping import (
    MaskValues,
    propose_mapping,
    read_values,
)
from mmseg_heritage.errors import InputError


def values(pixels, in_color=False):
    return MaskValues(in_color, Counter(pixels), Counter(dict.fromkeys(pixels, 1)))


def proposed(pixels, names=None, in_color=False, folder=None):
    """Returns value -> meaning; the whole is a mapping file that import-data takes."""
    content = propose_mapping(values(pixels, in_color), "a folder", names or {}, "_mask")
    if folder is not None:
        (folder / "mapping.json").write_text(json.dumps(content))
        assert load_mapping(folder / "mapping.json").suffix == "_mask"
    return content["values"]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ({0: 9, 255: 1}, {"0": "Clean", "255": "Damage"}),
        ({0: 1, 1: 9}, {"0": "Clean", "1": "Damage"}),  # 0 is Clean, though most have 1
        ({0: 9, 1: 1, 255: 1}, {"0": "Clean", "1": "Class 1", "255": "ignore"}),
        ({3: 2, 7: 8, 9: 1}, {"3": "Class 3", "7": "Clean", "9": "Class 9"}),
    ],
)
def test_gray_values(tmp_path, pixels, expected):
    assert proposed(pixels, folder=tmp_path) == expected


def test_colors_are_called_by_their_names(tmp_path):
    pixels = {0xFFFFFF: 90, 0xFF0000: 5, 0xEE0000: 2, 0x0000FF: 1}
    assert proposed(pixels, in_color=True, folder=tmp_path) == {
        "#0000ff": "Blue", "#ee0000": "Red", "#ff0000": "Red 2", "#ffffff": "Clean",
    }  # fmt: skip


def test_names_that_the_user_gives(tmp_path):
    pixels = {0: 90, 0xFF0000: 5, 0x0000FF: 1}
    names = {"#FF0000": "Mold", "#0000ff": "ignore"}
    found = proposed(pixels, names, in_color=True, folder=tmp_path)
    assert found == {"#000000": "Clean", "#0000ff": "ignore", "#ff0000": "Mold"}
    content = propose_mapping(values(pixels, True), "a", names)
    assert content["classes"] == [{"name": "Clean"}, {"name": "Mold", "color": "#ff0000"}]


def test_names_of_values_that_no_mask_has():
    with pytest.raises(InputError, match="that no mask has") as caught:
        proposed({0: 9, 255: 1}, {"254": "Mold"})
    assert "found 0, 255" in caught.value.problems[0]


def test_the_colors_of_artefact_have_its_names():
    pixels = {0: 9, 0x0000A6: 1, 0x5A0007: 1}
    assert proposed(pixels, in_color=True) == {
        "#000000": "Clean", "#0000a6": "Cracks", "#5a0007": "ignore",
    }  # fmt: skip


def test_black_and_white_with_soft_edges_gets_a_limit(tmp_path):
    pixels = {0: 900, 255: 90} | dict.fromkeys(range(1, 255), 0.1)
    assert proposed(pixels, folder=tmp_path) == {"<128": "Clean", ">=128": "Damage"}
    assert proposed(pixels, {"255": "Cracks"}) == {"<128": "Clean", ">=128": "Cracks"}


@pytest.mark.parametrize("in_color", [False, True])
def test_photographs_are_no_masks(in_color):
    with pytest.raises(InputError, match="more than anybody paints"):
        proposed(dict.fromkeys(range(256), 10), in_color=in_color)


def test_one_value_is_no_mask():
    with pytest.raises(InputError, match="one value only, 0;"):
        proposed({0: 10})


def test_the_values_of_files(tmp_path):
    painted = np.zeros((20, 30, 3), np.uint8)
    cv2.circle(painted, (15, 10), 5, (255, 0, 0), -1)
    plain = np.zeros((20, 30), np.uint8)
    plain[:2] = 7
    Image.fromarray(painted).save(tmp_path / "a.png")
    Image.fromarray(plain).save(tmp_path / "b.png")
    found = read_values([tmp_path / "a.png", tmp_path / "b.png"])
    red = int((painted[..., 0] == 255).sum())
    assert found.in_color
    assert found.pixels == {0: 600 - red + 540, 0xFF0000: red, 0x070707: 60}
    assert found.masks == {0: 2, 0xFF0000: 1, 0x070707: 1}
    # Gray that is stored as colors is gray.
    Image.fromarray(np.dstack([plain] * 3)).save(tmp_path / "a.png")
    found = read_values([tmp_path / "a.png", tmp_path / "b.png"])
    assert (found.in_color, dict(found.pixels)) == (False, {0: 1080, 7: 120})


def test_all_masks_that_cannot_be_read_are_named(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        read_values([tmp_path / "a.png", tmp_path / "b.png"])
    assert len(caught.value.problems) == 2
