"""One variable reaches every field it stands for; a slip of the pen is named."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config_files import check_classes, config_folder, find_config, load_config

BASE = """
lr = 0.1
size = 8
weights = dict(a=1, b=2)
optim_wrapper = dict(optimizer=dict(lr=lr), other=dict(lr=lr))
pipeline = [dict(type='A'), dict(size=size)]
loss = dict(weights=weights)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10)
train_dataloader = dict(sampler=dict(type='DefaultSampler'))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=2),
    dict(type='PolyLR', begin=2, end=10, convert_to_iter_based=True),
    dict(type='ConstantLR', by_epoch=False, end=77)]
default_hooks = dict(checkpoint=dict(), logger=dict())
log_processor = dict(by_epoch=True)
some_variables = dict(
    lr=(lr, ['optim_wrapper.optimizer.lr', 'optim_wrapper.other.lr']),
    size=(size, ['pipeline.1.size']),
    weights=(weights, ['loss.weights']))
"""


@pytest.fixture
def base(tmp_path):
    (tmp_path / "base.py").write_text(BASE)
    return tmp_path / "base.py"


def child_of(base, text):
    path = base.with_name("child.py")
    path.write_text(f"_base_ = ['base.py']\n{text}\n")
    return path


def rates(cfg):
    return [cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.other.lr]


def test_a_variable_of_a_child_config_reaches_all_fields(base):
    cfg = load_config(child_of(base, "lr = 0.5\nsize = 4"))
    assert rates(cfg) == [0.5, 0.5]
    assert cfg.pipeline[1].size == 4


def test_an_option_wins_over_the_child(base):
    assert rates(load_config(child_of(base, "lr = 0.5"), {"lr": 0.2})) == [0.2, 0.2]


def test_an_option_equal_to_the_default_wins_over_a_field_that_the_child_set(base):
    child = child_of(base, "optim_wrapper = dict(other=dict(lr=0.7))")
    assert rates(load_config(child)) == [0.1, 0.7]
    assert rates(load_config(child, {"lr": 0.1})) == [0.1, 0.1]


def test_a_part_of_a_variable_given_as_an_option_reaches_its_fields(base):
    assert load_config(base, {"weights.b": 5}).loss.weights == {"a": 1, "b": 5}
    child = child_of(base, "weights = dict(a=7)")
    assert load_config(child, {"weights.b": 5}).loss.weights == {"a": 7, "b": 5}


def test_a_field_wins_over_its_variable(base):
    cfg = load_config(base, {"optim_wrapper.other.lr": 0.9, "lr": 0.2})
    assert rates(cfg) == [0.2, 0.9]


def test_a_dumped_config_is_taken_as_it_stands(base, tmp_path):
    load_config(base, {"lr": 0.2}).dump(tmp_path / "dumped.py")
    text = (tmp_path / "dumped.py").read_text()
    assert rates(load_config(tmp_path / "dumped.py")) == [0.2, 0.2]
    (tmp_path / "edited.py").write_text(text + "\noptim_wrapper['other']['lr'] = 0.3\n")
    assert rates(load_config(tmp_path / "edited.py")) == [0.2, 0.3]


def test_a_warm_up_longer_than_the_training_is_named(base):
    child = child_of(base, "warmup_epochs = 8")
    with pytest.raises(InputError, match="warmup_epochs=8 must be below max_epochs=5"):
        load_config(child, {"train_cfg.max_epochs": 5})


def test_every_unknown_option_is_named_beside_what_there_is(base):
    options = {"learning_rate": 1, "optim_wrappr.lr": 1, "pipeline.7.size": 1, "load_from": None}
    with pytest.raises(InputError, match="Variables of this config: lr, max_iters, size") as caught:
        load_config(base, options)
    names = [problem.split(":")[0] for problem in caught.value.problems]
    assert names == ["learning_rate", "optim_wrappr.lr", "pipeline.7.size", "load_from"]


def test_max_iters_turns_epochs_into_iterations_in_proportion(base):
    cfg = load_config(base, {"max_iters": 200})
    assert cfg.train_cfg == {
        "type": "IterBasedTrainLoop",
        "max_iters": 200,
        "val_interval": 20,
    }
    linear, poly, constant = cfg.param_scheduler
    assert (linear.begin, linear.end, linear.by_epoch) == (0, 40, False)
    assert (poly.begin, poly.end, poly.by_epoch) == (40, 200, False)
    assert "convert_to_iter_based" not in poly
    assert constant.end == 77  # counted iterations already
    assert cfg.train_dataloader.sampler.type == "InfiniteSampler"


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True])
def test_max_iters_must_be_a_positive_integer(value, base):
    with pytest.raises(InputError, match="max_iters must be a positive integer"):
        load_config(base, {"max_iters": value})


def test_all_values_of_a_wrong_type_or_range_are_named(base):
    child = child_of(base, "lr = 'fast'")
    options = {"max_iters": 0, "optim_wrapper.other.lr": -1.0, "optim_wrapper.optimizer.lr": 0.0}
    with pytest.raises(InputError, match="these values cannot be used") as caught:
        load_config(child, options)
    assert caught.value.problems == [
        "lr must be a number from 0, found 'fast'",
        "max_iters must be a positive integer, found 0",
        "optim_wrapper.other.lr must be a number from 0, found -1.0",
    ]


def test_a_variable_that_no_field_holds_is_suggested():
    with pytest.raises(InputError, match="num_workers, pretrained, pretrained_name") as caught:
        load_config("quickstart_artefact", {"pretraned": None})
    assert caught.value.problems == [
        "pretraned: no such variable or field; did you mean pretrained?"
    ]


def test_a_config_that_fails_names_its_file(base):
    with pytest.raises(InputError, match=r"child\.py: the config cannot be read"):
        load_config(child_of(base, "x = 1 / 0"))
    with pytest.raises(InputError, match=r"nowhere\.py: no such config file"):
        load_config("nowhere.py")


def test_a_bare_name_is_a_shipped_config_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = config_folder() / "quickstart_artefact.py"
    assert find_config("quickstart_artefact") == find_config("quickstart_artefact.py") == shipped
    (tmp_path / "quickstart_artefact.py").touch()
    assert find_config("quickstart_artefact.py") == Path("quickstart_artefact.py")
    with pytest.raises(InputError, match="did you mean quickstart_artefact"):
        find_config("quickstart_artefakt.py")
    with pytest.raises(InputError, match=r"there/quickstart_artefact\.py: no such config file$"):
        find_config("there/quickstart_artefact.py")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "quickstart_artefact.py").touch()
    for wrong in ("there/quickstart_artefakt.py", "there/quickstart_artefact"):
        with pytest.raises(InputError, match=r"; did you mean quickstart_artefact\.py\?$"):
            find_config(wrong)


def test_every_head_with_another_number_of_classes_is_named():
    heads = {"decode_head": {"num_classes": 5}, "auxiliary_head": [{"num_classes": 4}, {}]}
    with pytest.raises(InputError, match="has 16 classes; set num_classes=16") as caught:
        check_classes(Config({"model": heads}), 16)
    assert caught.value.problems == [
        "model.decode_head.num_classes is 5",
        "model.auxiliary_head[0].num_classes is 4",
    ]
    check_classes(Config({"model": {"decode_head": {"num_classes": 16}}}), 16)


def test_variables_reach_a_data_set_inside_wrappers(base):
    """A child config that repeats images must not silently train on another data root."""
    path = base.with_name("data.py")
    path.write_text(
        "root = 'a'\n"
        "train_dataloader = dict(dataset=dict(type='Set', data_root=root, pipeline=[dict(n=1)]))\n"
        "val_dataloader = dict(dataset=dict(type='Set', data_root=root))\n"
        "data_variables = dict(root=(root, ['train_dataloader.dataset.data_root',\n"
        "                                  'train_dataloader.dataset.pipeline.0.n',\n"
        "                                  'val_dataloader.dataset.data_root']))\n"
    )
    child = base.with_name("wrapped.py")
    child.write_text(
        "_base_ = ['data.py']\n"
        "train_dataloader = dict(dataset=dict(\n"
        "    _delete_=True, type='RepeatDataset', times=2, dataset=dict(\n"
        "        type='ClassBalancedDataset', dataset={{_base_.train_dataloader.dataset}})))\n"
    )
    cfg = load_config(child, {"root": "b"})
    inner = cfg.train_dataloader.dataset.dataset.dataset
    assert (inner.type, inner.data_root, inner.pipeline[0].n) == ("Set", "b", "b")
    assert cfg.train_dataloader.dataset.keys() == {"type", "times", "dataset"}
    assert cfg.val_dataloader.dataset.data_root == "b"
