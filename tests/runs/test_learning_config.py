"""The config of learning is made of that of the checkpoint, and is one that a training takes."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.learning_config import Recipe, learning_config

PLACES = (Path("parent.pth"), Path("corrected"), Path("fold.json"))


@pytest.mark.parametrize(
    "name",
    [
        "segformer_efficientnet-lite0_cracks",
        "hierarchical_convnext-tiny_artefact-curriculum",
        "segformer_mitb3_artefact-groupdro",
        "upernet_convnext-tiny_artefact-layer-decay",
    ],
)
def test_what_is_for_many_images_is_left_out(name, tmp_path):
    parent = load_config(name)
    before = parent.pretty_text
    cfg = learning_config(parent, *PLACES, Recipe(tune="norm", steps=7), Path("data"), 3)
    assert parent.pretty_text == before
    assert not {"val_dataloader", "val_cfg", "val_evaluator", "test_dataloader"} & cfg.keys()
    assert "dg" not in cfg.model
    assert cfg.model.tune == "norm"
    assert cfg.model.decode_head == parent.model.decode_head
    corrected, earlier = cfg.train_dataloader.dataset.dataset.datasets
    assert corrected.times == 3
    assert corrected.dataset.data_root == "corrected"
    assert corrected.dataset.ann_file == "fold.json"
    assert (earlier.data_root, earlier.split) == ("data", "train")
    assert not any("Curriculum" in hook.type or "Domain" in hook.type for hook in cfg.custom_hooks)
    cfg.dump(str(tmp_path / "config.py"))
    assert load_config(tmp_path / "config.py").train_cfg.max_iters == 7


def test_crops_look_for_rare_classes_where_they_can():
    cfg = learning_config(load_config("segformer_efficientnet-lite0_cracks"), *PLACES, Recipe())
    (crop,) = (s for s in cfg.train_dataloader.dataset.pipeline if s.type == "RareClassCrop")
    assert crop.rare_class_prob == 0.5
    assert "tune" not in cfg.model


def test_other_runs_are_refused():
    parent = Config({"train_dataloader": {"dataset": {"type": "ADE20KDataset"}}})
    with pytest.raises(InputError, match="ARTeFACTDataset"):
        learning_config(parent, *PLACES, Recipe())
