"""Class weights are numbers in a config from the start, and of the split that is trained on."""

import json

import pytest
from mmengine.config import Config

from mmseg_heritage.dataprep.splits.split import Split, load_split
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.class_weights import FIELD, check_weights, weights_as_numbers
from mmseg_heritage.utils.files import sha256


def config_with(*sources):
    losses = [{"type": "ClassWeightedDiceLoss", "class_weight": source} for source in sources]
    return Config({"model": {"decode_head": {"loss_decode": losses}}})


def test_a_file_becomes_numbers_with_its_hash(fold_set):
    file = fold_set / "class_weights" / "kfold-2" / "fold-1.json"
    cfg = config_with(str(file), None, str(file))
    weights_as_numbers(cfg)
    numbers = json.loads(file.read_text())["class_weights"]
    found = [loss.class_weight for loss in cfg.model.decode_head.loss_decode]
    assert found == [numbers, None, numbers]
    assert cfg[FIELD].sha256 == sha256(file)


def test_weights_counted_on_another_split_are_refused(fold_set):
    cfg = config_with(str(fold_set / "class_weights" / "kfold-2" / "fold-1.json"))
    weights_as_numbers(cfg)
    check_weights(cfg, load_split(fold_set / "splits" / "kfold-2" / "fold-1.json"))
    with pytest.raises(InputError, match="counted on the training part of split 'fold-1'"):
        check_weights(cfg, load_split(fold_set / "splits" / "kfold-2" / "fold-2.json"))
    with pytest.raises(InputError, match="'fold-1', but the run's split of this name"):
        check_weights(cfg, Split("fold-1", {"train": ("another",)}))


def test_lists_are_the_user_s_own(tmp_path):
    own = tmp_path / "own.json"
    own.write_text("[1, 2]")
    for source in (None, [1, 2], str(own)):
        cfg = config_with(source)
        weights_as_numbers(cfg)
        check_weights(cfg, Split("s", {}))


def test_two_files_in_one_config_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="from different files"):
        weights_as_numbers(config_with(*(str(tmp_path / f"{n}.json") for n in "ab")))
