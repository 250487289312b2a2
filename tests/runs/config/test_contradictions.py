"""What does not fit between the parts of a config is said."""

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.contradictions import (
    check_iterations,
    check_trees,
    contradictions,
)
from mmseg_heritage.taxonomy import ARTEFACT

OWN = ("Clean", "Mold")


def config(**head):
    return Config({"model": {"decode_head": {"type": "HierarchicalUPerHead", **head}}})


def test_a_tree_over_other_classes_than_those_of_the_data_set_is_refused():
    for cfg in (config(), config(classes=["Mold", "Clean"])):
        with pytest.raises(InputError, match="the data set's classes are Clean, Mold; list them"):
            check_trees(cfg, OWN)
    check_trees(config(classes=["Clean", {"name": "Mold", "group": "Biological"}]), OWN)
    check_trees(config(), ARTEFACT.names)
    check_trees(config(type="UPerHead"), OWN)


@pytest.mark.parametrize("steps", [2, 500])
def test_schedules_of_iterations_last_as_long_as_the_training(steps):
    schedule = {"type": "OneCycleLR", "by_epoch": False, "total_steps": steps}
    cfg = {"param_scheduler": [{"type": "LinearLR", "by_epoch": False}, schedule]}
    check_iterations(cfg, steps)
    with pytest.raises(InputError, match="the training has 40 iterations") as caught:
        check_iterations(cfg, 40)
    assert caught.value.problems == [f"param_scheduler[1] (OneCycleLR).total_steps is {steps}"]


@pytest.mark.parametrize("segmentor", ["EncoderDecoder", "mmseg.EncoderDecoder"])
def test_labels_of_a_byte_are_for_our_segmentor(segmentor):
    loader = {"collate_fn": {"type": "stacked_collate"}}
    cfg = Config({"model": {"type": segmentor}, "train_dataloader": loader})
    assert "set collate_fn=dict(type='pseudo_collate')" in contradictions(cfg)[0]
    cfg.model.type = "HeritageEncoderDecoder"
    assert not contradictions(cfg)
    cfg.model.type, cfg.train_dataloader.collate_fn.type = segmentor, "pseudo_collate"
    assert not contradictions(cfg)
