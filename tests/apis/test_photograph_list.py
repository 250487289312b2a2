"""Which photographs a command looks at."""

import pytest

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
    _touch(tmp_path, "a.jpg", "a_mask.png", "b.jpg", "b-Label.png", "venetian_mask.jpg")
    assert _names(tmp_path) == ["a", "b", "venetian_mask"]
    assert "2 masks beside their photographs, such as a_mask.png" in capsys.readouterr().out
    assert _names(tmp_path / "a_mask.png") == ["a_mask"]


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
