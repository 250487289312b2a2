"""A folder is read once by a process, and again when something in it has changed."""

import json
import os

import pytest

from mmseg_heritage.dataprep import data_folder as module
from mmseg_heritage.dataprep.data_folder import DataFolder, data_folder
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.splits.split import default_split, load_split
from mmseg_heritage.errors import InputError

MANIFEST = "splits/holdout.json"


@pytest.fixture
def root(copied_sample_set):
    """A sample set that has been as it is for long."""
    for path in (copied_sample_set, *copied_sample_set.rglob("*")):
        os.utime(path, (1e9, 1e9))
    return copied_sample_set


def test_an_unchanged_folder_is_read_once(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    folder = data_folder(root)
    assert data_folder(str(root)) is data_folder(root.name) is folder
    assert folder.samples == read_folder(root)


def _add(root):
    for part in ("images", "annotations"):
        (root / part / "new.png").write_bytes((root / part / "sample_0000.png").read_bytes())
    with (root / "metadata.csv").open("a") as file:
        file.write("new\n")


def _remove(root):
    (root / "metadata.csv").unlink()
    for part in ("images", "annotations"):
        (root / part / "sample_0000.png").unlink()


def _edit_metadata(root):
    path = root / "metadata.csv"
    path.write_text(path.read_text().replace("sample_0003,", "sample_0003,x"))


def _remove_metadata(root):
    (root / "metadata.csv").unlink()


@pytest.mark.parametrize("change", [_add, _remove, _edit_metadata, _remove_metadata])
def test_a_changed_folder_is_read_anew(root, change):
    before = data_folder(root)
    change(root)
    after = data_folder(root)
    assert after.samples == read_folder(root) != before.samples


def test_a_renamed_annotation_is_noticed(root):
    data_folder(root)
    mask = root / "annotations" / "sample_0000.png"
    mask.rename(mask.with_name("other.png"))
    with pytest.raises(InputError, match="not consistent"):
        data_folder(root)


def test_other_folders_of_one_root_are_kept_apart(root):
    (root / "annotations").rename(root / "masks")
    (root / "annotations").symlink_to(root / "masks")
    one, two = data_folder(root), data_folder(root, annotations="masks")
    assert {sample.annotation.parent.name for sample in one.samples} == {"annotations"}
    assert {sample.annotation.parent.name for sample in two.samples} == {"masks"}


def test_a_split_is_read_once_until_its_file_changes(root, monkeypatch):
    read = []
    monkeypatch.setattr(module, "load_split", lambda path: read.append(path) or load_split(path))
    folder, path = DataFolder(root), root / MANIFEST
    split = folder.split(path)
    assert folder.split(str(path)) is split
    assert len(read) == 1
    assert split == load_split(path)
    manifest = json.loads(path.read_text())
    manifest.pop("sha256", None)
    moved = manifest["parts"]["train"].pop()
    manifest["parts"]["val"].append(moved)
    path.write_text(json.dumps(manifest))
    assert moved in folder.split(path).part("val")
    assert folder.split() == default_split(folder.samples)


def test_a_split_that_does_not_fit_is_refused_every_time(root):
    path = root / MANIFEST
    manifest = json.loads(path.read_text())
    manifest.pop("sha256", None)
    manifest["parts"]["val"].append("nowhere")
    path.write_text(json.dumps(manifest))
    os.utime(path, (1e9, 1e9))
    folder = DataFolder(root)
    for _ in range(2):
        with pytest.raises(InputError, match="nowhere"):
            folder.split(path)
