"""What is trained of the classes in the masks, and which value stands for it in class maps."""

import numpy as np
import pytest

from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.datasets.trained_classes import (
    all_classes,
    classes_of_level,
    classes_of_metainfo,
)
from mmseg_heritage.datasets.transforms import LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.taxonomy import ARTEFACT, DamageClass, own_classes

OWN = own_classes(
    [
        DamageClass(7, "Mold", (0, 170, 0), "Biological"),
        DamageClass(0, "Clean", (0, 0, 0)),
        DamageClass(3, "Salt", (250, 250, 0), "Chemical"),
    ]
)


def test_the_classes_of_artefact_need_no_label_map():
    chosen = all_classes(ARTEFACT)
    assert chosen.label_map is None
    assert chosen.metainfo()["mask_values"] == list(range(16))


def test_a_subset_keeps_its_mask_values_colors_and_levels():
    chosen = classes_of_metainfo(ARTEFACT, {"classes": ("Clean", "Cracks")})
    assert chosen.label_map == {**dict.fromkeys(range(16), 255), 0: 0, 9: 1}
    meta = chosen.metainfo()
    assert meta["mask_values"] == [0, 9]
    assert meta["palette"] == [[0, 0, 0], [0, 0, 166]]
    assert meta["kinds"] == ["area", "line"]
    assert meta["levels"]["binary"]["fine_to_group"] == (0, 1)
    assert meta["levels"]["coarse"]["fine_to_group"] == (255, 0)
    assert meta["levels"]["coarse"]["classes"] == ("Structural", "Surface", "Colour", "Addition")


def test_without_clean_there_is_no_binary_level():
    meta = classes_of_metainfo(ARTEFACT, {"classes": ("Cracks", "Dust")}).metainfo()
    assert set(meta["levels"]) == {"fine", "coarse", "coarse_by_id"}


def test_own_classes_are_trained_in_their_order():
    chosen = all_classes(OWN)
    assert chosen.label_map == {7: 0, 0: 1, 3: 2}
    assert chosen.metainfo()["mask_values"] == [7, 0, 3]
    assert classes_of_level(OWN, "binary", False).label_map == {7: 1, 0: 0, 3: 1}
    coarse = classes_of_level(OWN, "coarse", False)
    assert coarse.label_map == {7: 0, 0: 255, 3: 1}
    assert coarse.trained.names == ("Biological", "Chemical")
    assert coarse.trained.ids == (0, 1)
    assert classes_of_metainfo(OWN, {"classes": ["Salt"]}).label_map == {7: 255, 0: 255, 3: 0}


def test_background_is_written_as_255():
    chosen = classes_of_level(OWN, "fine", True)
    assert chosen.label_map == {7: 0, 0: 1, 3: 2, 255: 3}
    assert chosen.metainfo()["mask_values"] == [7, 0, 3, 255]
    assert chosen.metainfo()["levels"]["binary"]["fine_to_group"] == (1, 0, 1, 255)


def test_names_of_which_none_is_known_are_an_own_list_by_position():
    meta = {"classes": ("Sound", "Rotten"), "palette": [[1, 2, 3], [4, 5, 6]]}
    chosen = classes_of_metainfo(ARTEFACT, meta)
    assert chosen.in_masks.ids == (0, 1)
    assert chosen.label_map == {0: 0, 1: 1}
    assert chosen.metainfo()["palette"] == meta["palette"]
    assert set(chosen.metainfo()["levels"]) == {"fine"}


@pytest.mark.parametrize(
    ("metainfo", "message"),
    [
        ({"classes": ("Clean", "Mold", "Rust")}, "unknown: 'Rust'"),
        ({"classes": ("Sound", "Rotten"), "palette": [[1, 2, 3]]}, "one color for each class: 2"),
        ({"classes": ("Clean", "Mold"), "palette": [[1, 2, 3], [4, 5]]}, "cannot be used"),
        ({"classes": ("Sound", "sound")}, "cannot be used"),
    ],
)
def test_what_cannot_be_meant_is_refused(metainfo, message):
    with pytest.raises(InputError, match=message):
        classes_of_metainfo(OWN, metainfo)


def test_a_second_background_is_refused():
    own = own_classes([DamageClass(0, "Background", (9, 9, 9)), DamageClass(1, "Mold", (0, 9, 0))])
    with pytest.raises(InputError, match=r"rename it in classes\.json"):
        classes_of_level(own, "fine", True)
    assert all_classes(own).label_map == {0: 0, 1: 1}


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_a_folder_says_its_own_classes(own_set, tmp_path, cache):
    pipeline = [LoadHeritageImage(), LoadARTeFACTAnnotations()]
    dataset = ARTeFACTDataset(
        data_root=str(own_set), split="all", pipeline=pipeline, cache=cache, cache_dir=str(tmp_path)
    )
    assert dataset.metainfo["classes"] == ("Mold", "Clean", "Salt")
    for index in range(len(dataset)):
        mask = read_mask(dataset.get_data_info(index)["seg_map_path"], classes=OWN)
        expected = np.select([mask == 7, mask == 0, mask == 3], [0, 1, 2], 255)
        assert np.array_equal(dataset[index]["gt_seg_map"], expected)
        assert dataset.class_pixels()[index].tolist() == [(expected == i).sum() for i in range(3)]


def test_another_file_of_classes_may_be_named_and_is_obeyed(own_set, tmp_path):
    (tmp_path / "mine.json").write_text(
        '{"schema": "mmseg_heritage/classes/1", "classes": ["Clean", {"name": "Mold", "id": 7}]}'
    )
    dataset = ARTeFACTDataset(
        data_root=str(own_set),
        split="all",
        classes_file=str(tmp_path / "mine.json"),
        pipeline=[LoadHeritageImage(), LoadARTeFACTAnnotations()],
    )
    assert dataset.metainfo["classes"] == ("Clean", "Mold")
    with pytest.raises(InputError, match=r"0 \(Clean\), 7 \(Mold\) or 255, found 3"):
        dataset[1]
