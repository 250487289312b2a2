"""The registered data set: what it lists, and how class choices change ids."""

import numpy as np
import pytest

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.data.images import read_mask
from mmseg_heritage.data.splits import load_split
from mmseg_heritage.datasets import (
    ARTeFACTDataset,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE, LEVELS

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


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_levels_merge_classes_and_leave_255(sample_set, level):
    dataset = _dataset(sample_set, level=level)
    for mask, trained in _masks(dataset):
        for fine in FINE:
            groups = set(trained[mask == fine.id].tolist())
            assert groups <= {LEVELS[level].fine_to_group[fine.id]}
        assert (trained[mask == 255] == 255).all()
    assert list(dataset.metainfo["classes"]) == list(LEVELS[level].classes)


def test_background_becomes_the_seventeenth_class(sample_set):
    seen = 0
    dataset = _dataset(sample_set, with_background=True)
    for mask, trained in _masks(dataset):
        assert (trained[mask == 255] == 16).all()
        assert np.array_equal(trained[mask != 255], mask[mask != 255])
        seen += int((trained == 16).sum())
    assert seen > 0
    assert len(dataset.metainfo["classes"]) == len(dataset.metainfo["palette"]) == 17


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
        ({"metainfo": {"classes": ("Clean", "Mould")}}, "unknown: 'Mould'"),
        ({"reduce_zero_label": True}, "must stay False"),
        ({"level": "binary", "with_background": True}, "needs level='fine'"),
    ],
)
def test_what_cannot_be_meant_is_refused(sample_set, kwargs, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        _dataset(sample_set, **kwargs)


def test_without_a_manifest_no_source_is_in_two_parts(sample_set):
    parts = [
        ARTeFACTDataset(data_root=str(sample_set), split=part) for part in ("train", "val", "test")
    ]
    sources = [{p.get_data_info(i)["source_id"] for i in range(len(p))} for p in parts]
    assert all(sources)
    assert sum(map(len, sources)) == len(set().union(*sources)) == 12


def test_real_masks_keep_255(shared_data):
    dataset = ARTeFACTDataset(
        data_root=str(shared_data / "artefact_mini"), split="all", pipeline=LOAD
    )
    assert len(dataset) >= 18
    assert any((dataset[i]["gt_seg_map"] == 255).any() for i in range(len(dataset)))
