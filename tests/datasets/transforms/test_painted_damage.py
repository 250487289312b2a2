"""Painted damage: what changes in the image is in the mask, and nothing else is."""

import numpy as np
import pytest

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.datasets.trained_classes import classes_of_level, classes_of_metainfo
from mmseg_heritage.datasets.transforms import RandomPaintedDamage
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, DamageClass, own_classes

IDS = {"Dust": 3, "Scratch": 4, "Hair": 5}


def scene():
    image = np.full((160, 160, 3), 170, np.uint8)
    mask = np.zeros((160, 160), np.uint8)
    mask[:40] = 255
    mask[120:] = 9
    return {"img": image, "gt_seg_map": mask}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("seed", range(4))
def test_image_and_mask_change_together_and_on_clean_pixels_only(name, seed):
    np.random.seed(seed)
    before = scene()
    after = RandomPaintedDamage([name])(scene())
    change = np.abs(after["img"].astype(int) - before["img"]).max(axis=2)
    marked = after["gt_seg_map"] != before["gt_seg_map"]
    assert marked.sum() > 20
    assert (after["gt_seg_map"][marked] == IDS[name]).all()
    assert (before["gt_seg_map"][marked] == 0).all()
    assert (change[marked] >= 20).all()
    assert (change[before["gt_seg_map"] != 0] == 0).all()
    assert (change[~marked] <= 21).all()  # soft edges are damage too, as far as they show


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (ARTEFACT.levels["binary"].classes, 1), (("Clean", "Dust", "Hair", "Scratch"), 2),
        (("Clean", "Cracks"), 255),
    ],
)  # fmt: skip
def test_the_id_is_that_of_the_trained_classes(classes, expected):
    np.random.seed(0)
    label_map = classes_of_metainfo(ARTEFACT, {"classes": classes}).label_map
    table = np.arange(256, dtype=np.uint8)
    for old, new in label_map.items():
        table[old] = new
    data = scene()
    data["gt_seg_map"] = table[data["gt_seg_map"]]
    after = RandomPaintedDamage(["Hair"])({**data, "label_map": label_map})["gt_seg_map"]
    assert set(after[after != data["gt_seg_map"]]) == {expected}


def test_where_clean_is_ignored_it_is_refused():
    label_map = classes_of_level(ARTEFACT, "coarse", False).label_map
    with pytest.raises(InputError, match="another level"):
        RandomPaintedDamage()({**scene(), "label_map": label_map})


def test_own_classes_are_marked_by_name_and_none_is_made_up():
    own = own_classes([DamageClass(0, "Hair", (9, 9, 9)), DamageClass(3, "Clean", (0, 0, 0))])
    data = {**scene(), "mask_classes": own, "label_map": {0: 0, 3: 1}}
    data["gt_seg_map"] = np.where(data["gt_seg_map"] == 0, 1, 255).astype(np.uint8)
    np.random.seed(0)
    after = RandomPaintedDamage(["Hair"])(dict(data))["gt_seg_map"]
    assert set(after[after != data["gt_seg_map"]]) == {0}
    with pytest.raises(InputError, match="paints classes of ARTeFACT") as caught:
        RandomPaintedDamage()(data)
    assert caught.value.problems == ["no class 'Dust'", "no class 'Scratch'"]


def test_nothing_clean_is_left_alone():
    data = scene()
    data["gt_seg_map"][:] = 255
    assert RandomPaintedDamage()(data)["img"] is data["img"]


@pytest.mark.parametrize("classes", [(), ["Cracks"], "Dust"])
def test_other_damage_cannot_be_painted(classes):
    with pytest.raises(InputError, match="some of Dust, Scratch, Hair"):
        RandomPaintedDamage(classes)
