"""Weights are counted in the training part, and in nothing else."""

import shutil

import numpy as np
import pytest

from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.splits.split import default_split, load_split
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.dataprep.weights.weight_files import make_weight_files
from mmseg_heritage.dataprep.weights.weight_formulas import (
    class_weights,
    load_class_weights,
    read_weight_file,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.taxonomy import ARTEFACT


def _counts(root, ids):
    masks = [read_mask(s.annotation) for s in read_folder(root) if s.id in ids]
    return [[int((mask == c).sum()) for c in range(16)] for mask in masks]


def test_the_training_part_is_counted_and_the_origin_is_stated(sample_set, tmp_path):
    out = tmp_path / "weights.json"
    (path,) = make_weight_files(sample_set, "splits/holdout.json", out, "inverse_sqrt")
    split = load_split(sample_set / "splits" / "holdout.json")
    counts = np.array(_counts(sample_set, split.part("train")))
    content = read_weight_file(path).details
    assert content["pixel_counts"] == counts.sum(axis=0).tolist()
    assert content["image_counts"] == (counts > 0).sum(axis=0).tolist()
    assert load_class_weights(out, 16) == class_weights(counts.sum(axis=0), "inverse_sqrt")
    assert content["classes"] == list(ARTEFACT.names)
    empty = [name for name, n in zip(content["classes"], counts.sum(axis=0), strict=True) if not n]
    assert content["without_pixels"] == empty
    assert content["split"] == {
        "name": "holdout",
        "file": "holdout.json",
        "sha256": split.digest(),
        "part": "train",
        "images": len(counts),
        "copies_among_them": 0,
    }
    expected = [int(counts.sum(axis=1)[counts[:, c] > 0].sum()) for c in range(16)]
    assert content["image_pixels"] == expected


def test_masks_of_val_and_test_are_not_opened_and_copies_count(copied_sample_set):
    root = copied_sample_set
    samples = read_folder(root)
    split = default_split(samples)
    for part in ("val", "test"):
        for name in split.part(part):
            (root / "annotations" / f"{name}.png").write_text("no mask")
    name = split.part("train")[0]
    for folder in ("images", "annotations"):
        shutil.copy(root / folder / f"{name}.png", root / folder / f"{name}_copy.png")
    table = (root / "metadata.csv").read_text().splitlines()
    rows = [f"{row},{row.split(',')[0]}" for row in table[1:]]
    (root / "metadata.csv").write_text(
        "\n".join(
            [
                f"{table[0]},source_id",
                *rows,
                f"{name}_copy" + "," * table[0].count(",") + f",{name}",
            ]
        )
    )
    (path,) = make_weight_files(root)
    assert path == root / "class_weights" / "default.json"
    content = read_weight_file(path).details
    assert content["split"]["copies_among_them"] == 1
    counts = np.array(_counts(root, split.part("train")))
    twice = np.array(_counts(root, [name]))
    assert content["pixel_counts"] == (counts.sum(axis=0) + twice[0]).tolist()


@pytest.mark.parametrize("level", ARTEFACT.levels)
def test_every_level_has_its_classes(sample_set, tmp_path, level):
    (path,) = make_weight_files(sample_set, out=tmp_path / "w.json", level=level)
    assert len(load_class_weights(path)) == len(ARTEFACT.levels[level].classes)


def test_a_family_of_folds_gives_one_file_for_each(copied_sample_set):
    root = copied_sample_set
    folds = make_split_files(root, None, ("kfold",), folds=3)
    paths = make_weight_files(root, "splits/kfold-3", formula="median_frequency")
    assert list(paths) == [root / "class_weights" / "kfold-3" / f"fold-{i}.json" for i in (1, 2, 3)]
    for path, fold in zip(paths, folds, strict=True):
        content = read_weight_file(path).details
        assert content["split"]["sha256"] == load_split(fold).digest()
        counts = np.array(_counts(root, load_split(fold).part("train")))
        assert content["pixel_counts"] == counts.sum(axis=0).tolist()


def test_nothing_is_replaced_unasked(sample_set, tmp_path):
    out = tmp_path / "w.json"
    chart = tmp_path / "w.png"
    chart.write_text("mine")
    with pytest.raises(InputError, match="already there") as caught:
        make_weight_files(sample_set, out=out)
    assert caught.value.problems == [str(chart)]
    assert not out.exists()
    make_weight_files(sample_set, out=out, overwrite=True)
    with pytest.raises(InputError, match="already there"):
        make_weight_files(sample_set, out=out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "course"}, "level must be one of fine, coarse"),
        ({"formula": "cube"}, "no class-weight formula 'cube'"),
        ({"max_ratio": 0.5}, "a number from 1"),
        ({"split_file": "gone.json"}, r"gone\.json: expected a split manifest"),
        ({"split_file": "images"}, "images: no split manifests here"),
    ],
)
def test_bad_input_is_named_before_anything_is_read(sample_set, tmp_path, options, message):
    def bar(title):
        raise AssertionError("masks are read")

    with pytest.raises(InputError, match=message):
        make_weight_files(sample_set, out=tmp_path / "w.json", bar=bar, **options)
    assert not list(tmp_path.iterdir())


def test_a_training_part_without_samples(copied_sample_set):
    ids = [s.id for s in read_folder(copied_sample_set)]
    from mmseg_heritage.dataprep.splits.split import Split
    from mmseg_heritage.utils.files import write_json

    write_json(
        copied_sample_set / "s.json", Split("s", {"train": (), "test": tuple(ids)}).to_json()
    )
    with pytest.raises(InputError, match=r"s\.json: the training part is empty"):
        make_weight_files(copied_sample_set, "s.json")
