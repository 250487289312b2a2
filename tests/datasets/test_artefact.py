"""The registered data set: what it lists, and how class choices change ids."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmseg")

from mmengine.dataset import ClassBalancedDataset
from mmseg.registry import TRANSFORMS

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.datasets import (
    ARTeFACTDataset,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
    RandomSquareCrop,
    RareClassCrop,
    artefact,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.taxonomy import ARTEFACT

LOAD = [LoadHeritageImage(), LoadARTeFACTAnnotations()]
MANIFEST = "splits/holdout.json"


def _dataset(root, **kwargs):
    return ARTeFACTDataset(data_root=str(root), ann_file=MANIFEST, pipeline=LOAD, **kwargs)


def test_each_part_lists_its_ids_in_order(sample_set):
    split = load_split(sample_set / MANIFEST)
    for part in ("train", "val", "test"):
        dataset = _dataset(sample_set, split=part)
        found = [dataset.get_data_info(i)["sample_id"] for i in range(len(dataset))]
        assert found == list(split.parts[part])
    assert len(_dataset(sample_set, split="all")) == sum(map(len, split.parts.values()))


def test_the_parts_of_a_data_set_share_one_reading_of_its_folder(copied_sample_set):
    for path in (copied_sample_set, *copied_sample_set.rglob("*")):
        os.utime(path, (1e9, 1e9))  # as it is for long
    train, val = _dataset(copied_sample_set), _dataset(copied_sample_set, split="val")
    assert val.folder is train.folder
    for dataset in (train, val):
        (copied_sample_set / "metadata.csv").unlink(missing_ok=True)  # must not be read again
        split, samples = dataset.read_split()
        assert split is train.folder.split(copied_sample_set / MANIFEST)
        assert samples is train.folder.samples
        assert len(dataset.read_samples()) == len(dataset)
    changed = _dataset(copied_sample_set)
    assert {changed.get_data_info(i)["material"] for i in range(len(changed))} == {""}


def test_workers_get_their_own_part_only(sample_set):
    dataset = _dataset(sample_set)
    everything = dataset.read_split()
    sent = pickle.loads(pickle.dumps(dataset))
    assert sent._folder is None
    assert sent.read_split() == everything


def test_near_duplicates_are_of_one_group(copied_sample_set):
    path = copied_sample_set / MANIFEST
    manifest = json.loads(path.read_text())
    pair = manifest["parts"]["train"][:2]
    manifest["near_duplicates"] = {"groups": [pair]}
    path.write_text(json.dumps(manifest))
    dataset = _dataset(copied_sample_set)
    items = {i["sample_id"]: i for i in map(dataset.get_data_info, range(len(dataset)))}
    sources = {items[name]["source_id"] for name in pair}
    assert len(sources) == 2
    for item in items.values():
        expected = min(sources) if item["source_id"] in sources else item["source_id"]
        assert item["group"] == expected


def test_image_and_mask_belong_together(sample_set):
    dataset = _dataset(sample_set)
    for index in range(len(dataset)):
        item = dataset[index]
        assert item["img"].shape[:2] == item["gt_seg_map"].shape
        assert np.array_equal(item["gt_seg_map"], read_mask(item["seg_map_path"]))


def _masks(dataset):
    """Yields (mask on disk, mask as trained) of every sample."""
    for index in range(len(dataset)):
        item = dataset[index]
        yield read_mask(item["seg_map_path"]), item["gt_seg_map"]


def test_a_subset_of_the_classes_ignores_the_others(sample_set):
    dataset = _dataset(sample_set, metainfo={"classes": ("Cracks", "Clean")})
    for mask, trained in _masks(dataset):
        expected = np.full_like(mask, 255)
        expected[mask == 9] = 0
        expected[mask == 0] = 1
        assert np.array_equal(trained, expected)
    assert [list(color) for color in dataset.metainfo["palette"]] == [[0, 0, 166], [0, 0, 0]]


@pytest.mark.parametrize("level", sorted(ARTEFACT.levels))
def test_levels_merge_classes_and_leave_255(sample_set, level):
    dataset = _dataset(sample_set, level=level)
    for mask, trained in _masks(dataset):
        for fine in ARTEFACT.classes:
            groups = set(trained[mask == fine.id].tolist())
            assert groups <= {ARTEFACT.levels[level].fine_to_group[fine.id]}
        assert (trained[mask == 255] == 255).all()
    assert list(dataset.metainfo["classes"]) == list(ARTEFACT.levels[level].classes)


def test_background_becomes_the_seventeenth_class(sample_set):
    seen = 0
    dataset = _dataset(sample_set, with_background=True)
    for mask, trained in _masks(dataset):
        assert (trained[mask == 255] == 16).all()
        assert np.array_equal(trained[mask != 255], mask[mask != 255])
        seen += int((trained == 16).sum())
    assert seen > 0
    assert len(dataset.metainfo["classes"]) == len(dataset.metainfo["palette"]) == 17


def test_the_names_of_a_level_bring_its_groups_and_colors(sample_set):
    named = _dataset(sample_set, metainfo={"classes": ["Clean", "Damage"]})
    level = _dataset(sample_set, level="binary")
    assert named.metainfo["palette"] == level.metainfo["palette"]
    assert named.label_map == level.label_map == {0: 0, **dict.fromkeys(range(1, 16), 1)}


def test_filters_by_content_and_by_a_single_name(sample_set):
    whole = _dataset(sample_set, split="all")
    content = whole.get_data_info(0)["content"]
    kept = _dataset(sample_set, split="all", contents=content)
    assert 0 < len(kept) < len(whole)
    assert {kept.get_data_info(i)["content"] for i in range(len(kept))} == {content}


def test_a_material_may_be_missing_from_a_part_but_a_part_must_not_be_empty(sample_set):
    materials = {part: set() for part in ("train", "val", "test")}
    for part, found in materials.items():
        dataset = _dataset(sample_set, split=part)
        found.update(dataset.get_data_info(i)["material"] for i in range(len(dataset)))
    rare = min(materials["train"] - materials["test"])
    tested = min(materials["test"])
    assert len(_dataset(sample_set, split="test", materials=[rare, tested])) > 0
    with pytest.raises(InputError, match=r"part 'test' of split 'holdout' is empty after the"):
        _dataset(sample_set, split="test", materials=[rare])


def test_filters_keep_the_named_materials(sample_set):
    whole = _dataset(sample_set, split="all")
    material = whole.get_data_info(0)["material"]
    kept = _dataset(sample_set, split="all", materials=[material])
    assert 0 < len(kept) < len(whole)
    assert {kept.get_data_info(i)["material"] for i in range(len(kept))} == {material}


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"split": "training"}, "has no part 'training'; it has test, train, val"),
        ({"level": "medium"}, "level must be one of"),
        ({"materials": ["Plastic"]}, "material 'Plastic' occurs nowhere"),
        ({"metainfo": {"classes": ("Clean", "Mold")}}, "unknown: 'Mold'"),
        ({"metainfo": {"classes": ("Clean", "Clean")}}, "each once; found: Clean, Clean"),
        ({"metainfo": {"classes": []}}, "each once; found: none"),
        ({"metainfo": {"classes": "Cracks"}}, "must be a list of class names, found 'Cracks'"),
        ({"metainfo": {"classes": ("Clean",)}, "level": "binary"}, "not both"),
        ({"data_prefix": {"ann_path": "masks"}}, "img_path and seg_map_path, found ann_path"),
        ({"reduce_zero_label": True}, "must stay False"),
        ({"level": "binary", "with_background": True}, "needs level='fine'"),
    ],
)
def test_what_cannot_be_meant_is_refused(sample_set, kwargs, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        _dataset(sample_set, **kwargs)


def test_one_folder_may_have_another_name(copied_sample_set):
    (copied_sample_set / "annotations").rename(copied_sample_set / "masks")
    dataset = _dataset(copied_sample_set, data_prefix={"seg_map_path": "masks"})
    assert Path(dataset.get_data_info(0)["seg_map_path"]).parent.name == "masks"


def test_masks_of_other_sizes_are_gathered_when_the_data_set_is_built(copied_sample_set):
    ids = load_split(copied_sample_set / MANIFEST).parts["train"][:2]
    for sample_id in ids:
        Image.new("L", (500, 3)).save(copied_sample_set / "annotations" / f"{sample_id}.png")
    with pytest.raises(InputError, match="size of their images") as caught:
        _dataset(copied_sample_set)
    assert len(caught.value.problems) == 2


def test_a_manifest_that_does_not_fit_is_refused(copied_sample_set):
    path = copied_sample_set / MANIFEST
    content = json.loads(path.read_text())
    content["parts"]["val"].append("gone")
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="'gone', which the data set lacks"):
        _dataset(copied_sample_set, split="train")


def test_a_missing_data_root_is_refused():
    with pytest.raises(InputError, match="no data_root was given"):
        ARTeFACTDataset()


def test_without_a_manifest_no_source_is_in_two_parts(sample_set):
    parts = [
        ARTeFACTDataset(data_root=str(sample_set), split=part) for part in ("train", "val", "test")
    ]
    sources = [{p.get_data_info(i)["source_id"] for i in range(len(p))} for p in parts]
    assert all(sources)
    assert sum(map(len, sources)) == len(set().union(*sources)) == 12


def test_255_survives_the_training_pipeline_on_real_data(shared_data):
    """Outside pixels are black here, so that no crop, turn or resizing can hide where they went."""
    root = str(shared_data / "artefact_mini")
    transforms = [
        RandomSquareCrop(64, max_ignore=1.0),
        *(TRANSFORMS.build({"type": "RandomFlip", "prob": 0.5, "direction": direction})
          for direction in ("horizontal", "vertical")),
    ]  # fmt: skip
    dataset = ARTeFACTDataset(data_root=root, split="all", pipeline=LOAD)
    np.random.seed(0)
    outside = 0
    for index in range(len(dataset)):
        item = dataset[index]
        mask = item["gt_seg_map"]
        item["img"] = np.repeat(np.where(mask == 255, 0, 255)[..., None], 3, 2).astype(np.uint8)
        known = set(mask.ravel().tolist())
        for transform in transforms:
            item = transform(item)
        trained, brightness = item["gt_seg_map"], item["img"][..., 0]
        assert set(trained.ravel().tolist()) <= known | {255}
        assert (trained[brightness == 0] == 255).all()
        assert (trained[brightness == 255] != 255).all()
        outside += int((trained == 255).sum())
    assert outside > 0


def test_real_masks_keep_255(shared_data):
    dataset = ARTeFACTDataset(
        data_root=str(shared_data / "artefact_mini"), split="all", pipeline=LOAD
    )
    assert len(dataset) >= 18
    assert any((dataset[i]["gt_seg_map"] == 255).any() for i in range(len(dataset)))


def _counted(dataset):
    """Pixels of each class in each sample, from the masks as they are trained on."""
    classes = range(len(dataset.metainfo["classes"]))
    masks = [dataset[i]["gt_seg_map"] for i in range(len(dataset))]
    return np.array([[(mask == c).sum() for c in classes] for mask in masks])


@pytest.mark.parametrize(
    "options",
    [
        {}, {"level": "binary"}, {"level": "coarse"}, {"with_background": True},
        {"metainfo": {"classes": ("Cracks", "Clean")}}, {"split": "val"}, {"indices": 3},
    ],
)  # fmt: skip
def test_pixels_are_counted_as_they_are_trained(sample_set, options):
    dataset = _dataset(sample_set, **options)
    expected = _counted(dataset)
    assert np.array_equal(dataset.class_pixels(), expected)
    for index in range(len(dataset)):
        assert dataset.get_cat_ids(index) == np.flatnonzero(expected[index]).tolist()


def test_crops_learn_from_the_training_part_what_is_rare(sample_set):
    crop = RareClassCrop(32, rare_class_prob=0.5)
    dataset = ARTeFACTDataset(data_root=str(sample_set), ann_file=MANIFEST, pipeline=[*LOAD, crop])
    counts = _counted(_dataset(sample_set)).sum(axis=0)
    weights = np.array(crop._weights)
    present = counts > 0
    assert (weights[~present] == 0).all()
    ratio = weights[present] * np.sqrt(counts[present])
    assert ratio == pytest.approx(ratio[0])
    assert dataset[0]["img"].shape == (32, 32, 3)


def test_masks_are_counted_only_where_a_crop_asks(sample_set, monkeypatch):
    monkeypatch.setattr(artefact, "sample_pixels", None)
    for crop in (RareClassCrop(32, 0), RareClassCrop(32, 0.5, [1.0] * 16), RandomSquareCrop(32)):
        ARTeFACTDataset(data_root=str(sample_set), ann_file=MANIFEST, pipeline=[*LOAD, crop])


@pytest.mark.slow
def test_rare_class_crops_raise_the_share_of_rare_classes(tmp_path):
    """Strips of 3000 pixels with 30 of Burn marks: one crop in 75 has some by chance."""
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        mask = np.zeros((40, 3000), np.uint8)
        mask[10:15, 700 * number : 700 * number + 6] = 14
        Image.fromarray(mask).save(tmp_path / "annotations" / f"{number}.png")
        Image.fromarray(mask).convert("RGB").save(tmp_path / "images" / f"{number}.png")

    def images_with_burn_marks(prob):
        np.random.seed(0)
        crop = RareClassCrop(32, rare_class_prob=prob)
        dataset = ARTeFACTDataset(data_root=str(tmp_path), split="all", pipeline=[*LOAD, crop])
        return np.mean([_counted(dataset)[:, 14] > 0 for _ in range(60)])

    assert images_with_burn_marks(0.0) < 0.06
    assert images_with_burn_marks(0.5) == pytest.approx(0.5, abs=0.12)


def test_the_class_balanced_data_set_of_mmengine_repeats_images_of_rare_classes(sample_set):
    inner = _dataset(sample_set)
    balanced = ClassBalancedDataset(inner, oversample_thr=0.9)
    has = _counted(inner) > 0
    share = has.mean(axis=0)
    expected = [
        int(np.ceil(max(1, *np.sqrt(0.9 / share[has[i]])))) for i in range(len(inner))
    ]  # Gupta et al. 2019
    assert np.bincount(balanced.repeat_indices).tolist() == expected
    assert len(balanced) > len(inner)
