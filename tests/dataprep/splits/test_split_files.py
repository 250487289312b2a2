"""Manifests on disk: made once, the same again, never replaced unasked."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.dataprep.splits.split_check import check_split_files
from mmseg_heritage.dataprep.splits.split_files import KINDS, make_split_files
from mmseg_heritage.dataprep.weights.weight_files import make_weight_files
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.photographs import read_image


def _bytes(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _add_copy(root, source, name, pixels, row=None):
    """Adds an image beside the others, with a row of metadata like its source's."""
    Image.fromarray(pixels).save(root / "images" / f"{name}.png")
    mask = np.zeros(pixels.shape[:2], np.uint8)
    Image.fromarray(mask).save(root / "annotations" / f"{name}.png")
    with (root / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [*rows[0], *(key for key in row or {} if key not in rows[0])]
    like = next(r for r in rows if r["id"] == source)
    rows.append({**like, "id": name, **(row or {})})
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_all_kinds_are_made_and_are_sound(sample_set, tmp_path):
    titles = []

    def bar(title):
        titles.append(title)
        from mmseg_heritage.utils.progress import no_bar

        return no_bar(title)

    paths = make_split_files(sample_set, tmp_path, folds=3, bar=bar)
    samples = read_folder(sample_set)
    names = {str(path.relative_to(tmp_path)) for path in paths}
    assert {"holdout.json", "kfold-3/fold-1.json", "kfold-3/fold-3.json"} <= names
    for kind, values in (
        ("leave-one-material-out", {s.material for s in samples}),
        ("leave-one-content-out", {s.content for s in samples}),
    ):
        assert len([name for name in names if name.startswith(kind)]) == len(values)
    assert set(tmp_path.rglob("*.json")) == set(paths)
    assert titles == ["counting classes", "looking for near-duplicates"]
    assert check_split_files(sample_set, tmp_path).keys() == set(paths)
    content = json.loads((tmp_path / "kfold-3" / "fold-2.json").read_text())
    assert content["sha256"] == load_split(tmp_path / "kfold-3" / "fold-2.json").digest()
    assert {key: content[key] for key in ("kind", "seed", "fold", "folds", "val_share")} == {
        "kind": "kfold", "seed": 0, "fold": 2, "folds": 3, "val_share": 0.15,
    }  # fmt: skip
    assert content["near_duplicates"] == {
        "found_by": "perceptual hash",
        "max_distance": 12,
        "groups": [],
    }


def test_the_same_again_writes_nothing_and_others_replace_only_when_asked(sample_set, tmp_path):
    paths = make_split_files(sample_set, tmp_path, ("holdout", "kfold"))
    times = {path: path.stat().st_mtime_ns for path in paths}
    paths[1].unlink()  # as after a kill
    assert make_split_files(sample_set, tmp_path, ("holdout", "kfold")) == paths
    assert {p for p in paths if p.stat().st_mtime_ns != times[p]} == {paths[1]}

    before = _bytes(tmp_path)
    # The same parts, but without the proof that nothing in them is alike.
    with pytest.raises(InputError, match="splits are made once"):
        make_split_files(sample_set, tmp_path, ("holdout",), max_distance=None)
    with pytest.raises(InputError, match="splits are made once") as caught:
        make_split_files(sample_set, tmp_path, ("holdout", "kfold"), seed=7)
    assert f"{paths[0]}: holds another split" in caught.value.problems
    assert _bytes(tmp_path) == before
    make_split_files(sample_set, tmp_path, ("holdout",), seed=7, overwrite=True)
    after = _bytes(tmp_path)
    assert {path for path in after if after[path] != before[path]} == {paths[0]}


def test_a_file_that_is_no_fold_of_the_family_is_never_mixed_in(sample_set, tmp_path):
    (stray,) = make_split_files(sample_set, tmp_path, ("holdout",))
    (tmp_path / "kfold-5").mkdir()
    stray.rename(tmp_path / "kfold-5" / "old.json")
    with pytest.raises(InputError) as caught:
        make_split_files(sample_set, tmp_path, ("kfold",), overwrite=True)
    assert caught.value.problems == [
        f"{tmp_path / 'kfold-5' / 'old.json'}: is no fold of this family; move it away"
    ]
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_mirrored_copies_that_nobody_named_stay_with_their_original(copied_sample_set, tmp_path):
    root = copied_sample_set
    originals = [s.id for s in read_folder(root)]
    for name in originals[:3]:
        pixels = read_image(root / "images" / f"{name}.png")
        _add_copy(root, name, f"{name}_again", np.ascontiguousarray(np.rot90(pixels[:, ::-1])))
    (path, *_) = make_split_files(root, tmp_path / "found", ("holdout",))
    split = load_split(path)
    pairs = [[name, f"{name}_again"] for name in originals[:3]]
    assert split.near_duplicates == pairs
    part_of = {i: part for part, ids in split.parts.items() for i in ids}
    assert all(part_of[a] == part_of[b] for a, b in pairs)

    (path, *_) = make_split_files(root, tmp_path / "blind", ("holdout",), max_distance=None)
    assert load_split(path).near_duplicates == []
    assert json.loads(path.read_text())["near_duplicates"]["found_by"].endswith("not looked for")


def test_groups_of_the_metadata_are_taken_instead_of_hashes(copied_sample_set, tmp_path):
    root = copied_sample_set
    name = read_folder(root)[0].id
    pixels = read_image(root / "images" / f"{name}.png")
    _add_copy(root, name, "flip", np.ascontiguousarray(pixels[:, ::-1]), {"group_id": "alone"})
    (path,) = make_split_files(root, tmp_path, ("holdout",))
    found = json.loads(path.read_text())["near_duplicates"]
    assert found == {"found_by": "group_id in the metadata"}


def test_unknown_kinds_are_named(sample_set, tmp_path):
    with pytest.raises(InputError, match=f"{', '.join(KINDS)}; found 'k-fold'"):
        make_split_files(sample_set, tmp_path, ("holdout", "k-fold"))


def test_what_a_killed_command_left_is_no_fold(sample_set, tmp_path):
    make_split_files(sample_set, tmp_path, ["kfold"], folds=2)
    for name in (".fold-2.partial-5b5c3da8-1-00000000.json", "._fold-1.json"):
        (tmp_path / "kfold-2" / name).write_text("{")
    make_split_files(sample_set, tmp_path, ["kfold"], folds=2)
    assert len(check_split_files(sample_set, tmp_path)) == 2
    assert len(make_weight_files(sample_set, str(tmp_path / "kfold-2"), tmp_path / "weights")) == 2
