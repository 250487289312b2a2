"""A config means what is written in it; options of the command line come on top, by name."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import config_folder, find_config, load_config

QUICKSTART = config_folder() / "quickstart_artefact.py"


@pytest.fixture
def child(tmp_path):
    """A function that writes a config which inherits from the quickstart config."""

    def write(text="", base=QUICKSTART):
        path = tmp_path / "child.py"
        path.write_text(f"_base_ = [{str(base)!r}]\n{text}\n")
        return path

    return write


def test_without_options_it_is_what_mmengine_reads(child):
    path = child("train_dataloader = dict(batch_size=3)")
    assert load_config(path).to_dict() == Config.fromfile(path).to_dict()


def test_an_option_wins_over_the_child_and_a_full_name_over_both(child):
    path = child("optim_wrapper = dict(optimizer=dict(lr=0.5))")
    assert load_config(path, {"lr": 0.2}).optim_wrapper.optimizer.lr == 0.2
    options = {"optim_wrapper.optimizer.lr": 0.9, "lr": 0.2}
    assert load_config(path, options).optim_wrapper.optimizer.lr == 0.9


def test_a_dumped_config_is_taken_as_it_stands(child, tmp_path):
    load_config(child(), {"lr": 0.2, "crop_size": 96}).dump(tmp_path / "dumped.py")
    cfg = load_config(tmp_path / "dumped.py")
    assert cfg.to_dict() == load_config(child(), {"lr": 0.2, "crop_size": 96}).to_dict()


def test_every_unknown_option_is_named_beside_what_there_is(child):
    options = {"learning_rate": 1, "optim_wrappr.lr": 1, "val_evaluator.0.type": 1, "pretraned": 1}
    with pytest.raises(InputError, match="Variables of this config: data_root, split") as caught:
        load_config(child(), options)
    names = [problem.split(":")[0] for problem in caught.value.problems]
    assert names == list(options)
    assert caught.value.problems[-1].endswith("did you mean pretrained?")


def test_all_values_of_a_wrong_type_or_range_are_named(child):
    options = {"max_iters": 0, "optim_wrapper.optimizer.lr": -1.0, "batch_size": True, "lr": 0.0}
    with pytest.raises(InputError, match="these values cannot be used") as caught:
        load_config(child(), options)
    assert caught.value.problems == [
        "max_iters must be a positive integer, found 0",
        "optim_wrapper.optimizer.lr must be a number from 0, found -1.0",
        "batch_size must be a positive integer, found True",
    ]


def test_variables_of_parts_that_are_not_there_are_refused_by_name(child):
    path = child(
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'),\n"
        "    dict(type='RandomCrop', crop_size=(64, 64)), dict(type='PackSegInputs')]))"
    )
    options = {"crop_size": 96, "augmentation": "light", "decay_rate": 0.5, "mode": "marginal"}
    with pytest.raises(InputError, match="reach only what the config has") as caught:
        load_config(path, options)
    assert [problem.split(" ")[0] for problem in caught.value.problems] == list(options)
    assert "RareClassCrop or RandomSquareCrop in train_dataloader" in caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop_size = 96", "line 2: crop_size is for --cfg-options and no field; write "),
        ("a, lr = 1, 0.1", "lr is for --cfg-options and no field; write optim_wrapper = dict(opt"),
        (
            "train_datalaoder = dict(batch_size=2)",
            "train_datalaoder is no field; did you mean train_dataloader",
        ),
        ("test_pipeline = []", "test_pipeline changes nothing by itself; give it to the data set"),
        ("model = dict()\nmodel = dict(test_cfg=dict())", "line 3: model is set a second time"),
    ],
)
def test_names_that_change_nothing_are_refused(child, text, message):
    with pytest.raises(InputError, match="no effect or no meaning") as caught:
        load_config(child(text))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "batch_size = 3\ntrain_dataloader = dict(batch_size=batch_size)",
        "crop = 96\n_base_.train_dataloader.dataset.pipeline[2].size = crop",
        "my_notes = 'anything'",
        "model = dict()\nmodel = {**model}",
        "val_dataloader = test_dataloader = dict()\nval_dataloader.update(num_workers=1)",
        "__batch_size = 3",
    ],
)
def test_names_that_are_read_or_the_author_s_own_are_not(child, text):
    load_config(child(text))


def test_names_that_an_inheriting_file_reads_are_not_refused(child, tmp_path):
    base = child("lr = 0.3\nbatch_size = 5\nmax_epochs = 9")
    base = base.rename(tmp_path / "base.py")
    path = child(
        "optim_wrapper = dict(optimizer=dict(lr={{_base_.lr}}))\n"
        "train_dataloader = dict(batch_size=_base_.batch_size)\n"
        "train_cfg = dict(max_epochs=_base_['max_epochs'])",
        base=base,
    )
    cfg = load_config(path)
    assert cfg.optim_wrapper.optimizer.lr == 0.3
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs) == (5, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_dataloader = dict(batch_size=0)", "batch_size must be a positive integer, found 0"),
        ("param_scheduler = [dict(type='OneCycleLR', eta_max=0.001, total_steps=50)]\n"
         "train_cfg = dict(max_epochs=4)", "total_steps is 50, train_cfg.max_epochs 4"),
        ("param_scheduler = [dict(type='OneCycleLR', eta_max=0.5, total_steps=50)]",
         "eta_max is 0.5, optim_wrapper.optimizer.lr 0.002"),
        ("param_scheduler = [dict(type='LinearLR', end=60), dict(type='CosineAnnealingLR', "
         "begin=60)]", "begin is 60, but the training has max_epochs=40"),
        ("train_cfg = dict(max_epochs=1, max_iters=4)", "max_epochs=1 and max_iters=4"),
        ("train_cfg = dict(max_epochs=1, max_iters=4)\nlr = 3", "lr is for --cfg-options"),
    ],
)  # fmt: skip
def test_contradictions_are_one_clear_message(child, text, message):
    with pytest.raises(InputError, match="no effect or no meaning") as caught:
        load_config(child(text))
    assert message in str(caught.value)


def test_a_config_that_fails_names_its_file(child):
    with pytest.raises(InputError, match=r"child\.py: the config cannot be read"):
        load_config(child("x = 1 / 0"))
    with pytest.raises(InputError, match=r"nowhere\.py: no such config file"):
        load_config("nowhere.py")


def test_a_bare_name_is_a_shipped_config_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("quickstart_artefact") == find_config("quickstart_artefact.py") == QUICKSTART
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


def test_a_byte_order_mark_is_named(tmp_path):
    path = tmp_path / "windows.py"
    path.write_text("a = 1\n", encoding="utf-8-sig")
    (tmp_path / "child.py").write_text("_base_ = ['./windows.py']\n")
    for config in (path, tmp_path / "child.py"):
        with pytest.raises(InputError, match=r"byte order mark.* save it as UTF-8"):
            load_config(config)
