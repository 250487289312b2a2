"""Which photographs a command looks at."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis.photograph_list import find_photographs
from mmseg_heritage.errors import InputError


def _touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()


def _names(*paths, recursive=False):
    return [photograph.name for photograph in find_photographs(paths, recursive)[0]]


def test_folders_below_give_names_with_slashes(tmp_path):
    _touch(tmp_path, "a.png", "wall/north/b.jpg", ".hidden/c.png")
    assert _names(tmp_path) == ["a"]
    assert _names(tmp_path, recursive=True) == ["a", "wall/north/b"]


def test_masks_beside_their_photographs_are_not_predicted(tmp_path, capsys):
    rng = np.random.default_rng(0)
    photograph = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    ids = rng.choice([0, 9, 255], (40, 60)).astype(np.uint8)
    painted = rng.choice([0, 200], (40, 60, 3)).astype(np.uint8)
    images = {
        "a.jpg": photograph, "A_mask.png": ids, "b.jpg": photograph, "b-Label.png": painted,
        "venetian_mask.jpg": photograph,  # of no other
        "f.jpg": photograph, "mask f.png": ids,
        "c.jpg": photograph, "c_label.jpg": ids,  # JPEG keeps no ids
        "d.jpg": photograph, "d_label.png": photograph,  # the photograph of a label
        "e.jpg": photograph, "e_mask.png": ids[:20],
    }  # fmt: skip
    for name, pixels in images.items():
        Image.fromarray(pixels).save(tmp_path / name)
    masks = "A_mask.png", "b-Label.png", "mask f.png"
    assert set(_names(tmp_path)) == {Path(n).stem for n in images.keys() - masks}
    assert f"3 masks beside their photographs: {', '.join(masks)}" in capsys.readouterr().out
    assert _names(tmp_path / "A_mask.png") == ["A_mask"]


def test_results_that_would_be_the_same_files_are_named(tmp_path):
    _touch(tmp_path, "a.jpg", "a.png", "b.png", "Run.png")
    found, problems = find_photographs([tmp_path])
    assert [photograph.name for photograph in found] == ["b"]
    assert len(problems) == 3
    assert any("Run.json says how all results were made" in line for line in problems)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    _touch(tmp_path, "a.txt", "below/b.png")
    with pytest.raises(InputError, match=r"holds no images .*1 folder"):
        find_photographs([tmp_path])
    with pytest.raises(InputError, match="no such photograph or folder"):
        find_photographs([tmp_path / "missing.png"])
