"""Each painter of damage: seen where the mask says, and nowhere outside the object."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.damages.all_damages import CLASS_IDS, FOUND_ON, PAINTERS, plausible
from mmseg_heritage.sample_set.damages.damage import lay
from mmseg_heritage.sample_set.noise import child_rng
from mmseg_heritage.sample_set.plan import ImagePlan, plan_images, split_ids
from mmseg_heritage.sample_set.render import undamaged
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, MATERIALS

PLANS = plan_images(18, 128, seed=5)


def scenes_for(name: str) -> list[Scene]:
    """Three objects on which this damage is found."""
    plans = [p for p in PLANS if plausible(name, p.material, p.content)]
    return [undamaged(p, seed=5)[1] for p in plans[:3]]


def test_every_class_has_a_painter_and_real_materials() -> None:
    assert set(PAINTERS) == set(FOUND_ON) == {row.name for row in ARTEFACT.classes if row.id != 0}
    for materials in FOUND_ON.values():
        assert set(materials) <= set(MATERIALS)


@pytest.mark.parametrize("name", PAINTERS)
def test_damage_is_seen_inside_its_mask_and_not_outside(name: str) -> None:
    for k, scene in enumerate(scenes_for(name)):
        before, surround = scene.image.copy(), scene.mask == IGNORE_INDEX
        lay(scene, PAINTERS[name](scene, child_rng(1, k)), CLASS_IDS[name])
        change = np.abs(scene.image - before).mean(axis=-1)
        where = scene.mask == CLASS_IDS[name]
        assert where.sum() >= 12, scene.material
        assert change[where].mean() > 0.05, scene.material
        assert change[where].mean() > 5 * change[~where].mean(), scene.material
        assert np.array_equal(scene.mask == IGNORE_INDEX, surround)
        assert not change[surround].any()


@pytest.mark.parametrize("name", PAINTERS)
def test_a_painter_leaves_the_scene_to_the_caller(name: str) -> None:
    scene = scenes_for(name)[0]
    image, mask = scene.image.copy(), scene.mask.copy()
    layer = PAINTERS[name](scene, child_rng(2))
    assert np.array_equal(scene.image, image)
    assert np.array_equal(scene.mask, mask)
    assert layer.color.shape == scene.image.shape
    assert layer.alpha.shape == scene.shape


def test_later_damage_lies_on_top() -> None:
    scene = scenes_for("Sticker")[0]
    scene.mask[scene.inside] = CLASS_IDS["Staining"]
    lay(scene, PAINTERS["Sticker"](scene, child_rng(3)), CLASS_IDS["Sticker"])
    assert set(np.unique(scene.mask[scene.inside])) == {
        CLASS_IDS["Staining"],
        CLASS_IDS["Sticker"],
    }


def test_plans_do_not_depend_on_how_many_follow() -> None:
    assert plan_images(7, 128, seed=5) == PLANS[:7]


def test_planned_damage_suits_the_object() -> None:
    def suits(plan: ImagePlan) -> bool:
        return all(plausible(name, plan.material, plan.content) for name in plan.damages)

    assert all(suits(plan) and len(plan.damages) >= 2 for plan in plan_images(60, 64, seed=8))


@pytest.mark.parametrize("seed", range(5))
def test_rare_classes_reach_train_and_test(seed: int) -> None:
    damages = {f"i{k:02d}": {"Dirt"} for k in range(40)}
    for k in (3, 4, 5):
        damages[f"i{k:02d}"] |= {"Burn marks", "Dust"}
    for k in (5, 17, 30):
        damages[f"i{k:02d}"] |= {"Hair"}
    parts = split_ids(damages, seed)
    assert [len(ids) for ids in parts.values()] == [24, 6, 10]
    for part in ("train", "test"):
        found = set().union(*(damages[key] for key in parts[part]))
        assert found == {"Dirt", "Burn marks", "Dust", "Hair"}


def test_three_images_make_three_parts() -> None:
    parts = split_ids({"a": {"Dirt"}, "b": {"Hair"}, "c": {"Dust"}}, seed=0)
    assert sorted(chain.from_iterable(parts.values())) == ["a", "b", "c"]
    assert all(len(ids) == 1 for ids in parts.values())
