"""A checkpoint tells all that is needed to predict and test, and runs no code."""

import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmseg")
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.load_predictor import Predictor
from mmseg_heritage.runs.trained_run import read_trained_run


@pytest.fixture
def changed(tiny_run, tmp_path):
    """A function that changes the content of the tiny checkpoint and writes it elsewhere."""

    def change(function):
        content = torch.load(tiny_run.checkpoint, weights_only=False)
        function(content)
        torch.save(content, tmp_path / "changed.pth")
        return tmp_path / "changed.pth"

    return change


@pytest.fixture
def reconfigured(changed):
    """A function that changes the config inside the tiny checkpoint and writes it elsewhere."""

    def change(function):
        def apply(content):
            cfg = Config.fromstring(content["meta"]["cfg"], ".py")
            function(cfg)
            content["meta"]["cfg"] = cfg.pretty_text

        return changed(apply)

    return change


def test_the_config_is_that_of_the_run_without_what_only_training_reads(tiny_run):
    run = read_trained_run(tiny_run.checkpoint)
    trained = Config.fromfile(tiny_run.folder / "tiny.py")
    assert run.cfg.test_dataloader == trained.test_dataloader
    assert run.cfg.model.decode_head.channels == trained.model.decode_head.channels
    assert run.cfg.filename == "tiny.py"  # what a test dumps its config as
    assert not {"train_dataloader", "val_dataloader", "optim_wrapper"} & set(run.cfg)
    assert list(run.dataset_meta["classes"])[:2] == ["Clean", "Material loss"]


def test_options_reach_it(tiny_run):
    options = {"inference.scales": ["fit:77"], "data_root": "elsewhere"}
    cfg = read_trained_run(tiny_run.checkpoint, cfg_options=options).cfg
    assert cfg.test_dataloader.dataset.data_root == "elsewhere"
    assert cfg.model.inference.scales == ["fit:77"]
    with pytest.raises(InputError, match=r"iter_3\.pth: --cfg-options cannot be applied"):
        read_trained_run(tiny_run.checkpoint, cfg_options={"max_egde": 77})


def test_files_that_only_training_reads_are_not_looked_for(reconfigured, tiny_run):
    def name_files(cfg):
        cfg.model.pretrained = "gone.pth"
        cfg.model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": "gone.pth"}
        for loss in cfg.model.decode_head.loss_decode:
            loss.class_weight = "gone.json"

    predictor = Predictor(reconfigured(name_files), device="cpu")
    photograph = next((tiny_run.data / "images").iterdir())
    expected = Predictor(tiny_run.checkpoint, device="cpu")(photograph)
    assert (predictor(photograph).class_map == expected.class_map).all()


def test_another_model_than_the_one_that_was_trained_is_refused(tiny_run):
    options = {"model.data_preprocessor.bgr_to_rgb": False}
    for config in (None, tiny_run.config):
        with pytest.raises(InputError, match="was trained as another model") as caught:
            read_trained_run(tiny_run.checkpoint, config, options)
        assert [p.split(":")[0] for p in caught.value.problems] == list(options)


def test_a_checkpoint_without_a_config_needs_one(changed, tiny_run):
    path = changed(lambda content: content["meta"].pop("cfg"))
    with pytest.raises(InputError, match="holds no config; give the one it was trained with"):
        read_trained_run(path)
    assert read_trained_run(path, tiny_run.config).cfg.model.type == "HeritageEncoderDecoder"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_named(value, changed):
    name = "decode_head.conv_seg.bias"
    path = changed(lambda content: content["state_dict"][name].fill_(value))
    with pytest.raises(InputError, match="these weights are not numbers") as caught:
        read_trained_run(path)
    assert caught.value.problems == [name]


def _call(cfg, marker):
    cfg.model = {"type": "os.system", "command": f"touch {marker}"}


def _call_deep(cfg, marker):
    cfg.test_dataloader.dataset.pipeline.append({"type": "pathlib.Path.touch", "self": marker})


@pytest.mark.parametrize("change", [_call, _call_deep])
def test_a_config_in_a_checkpoint_cannot_call_what_is_not_registered(
    change, reconfigured, tmp_path
):
    marker = tmp_path / "marker"
    path = reconfigured(lambda cfg: change(cfg, str(marker)))
    with pytest.raises(InputError, match="names Python code that is not registered") as caught:
        Predictor(path, device="cpu")
    assert caught.value.problems[0].split(".")[0] in ("os", "pathlib")
    assert not marker.exists()


def test_a_module_that_the_config_would_import_is_imported_only_for_trusted_checkpoints(
    reconfigured, tmp_path, monkeypatch
):
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = reconfigured(lambda cfg: cfg.custom_imports.imports.append("evil_module"))
    read_trained_run(path)
    assert not Path(tmp_path, "marker").exists()
    path = reconfigured(
        lambda cfg: cfg.merge_from_dict({"custom_hooks": [{"type": "evil_module"}]})
    )
    with pytest.raises(InputError, match="names Python code") as caught:
        read_trained_run(path)
    assert caught.value.problems == ["evil_module"]
    assert not Path(tmp_path, "marker").exists()
    path = reconfigured(lambda cfg: cfg.custom_imports.imports.append("evil_module"))
    read_trained_run(path, trust_checkpoint=True)
    assert Path(tmp_path, "marker").exists()


def test_classes_and_palette_are_those_of_the_checkpoint(changed):
    names = [f"Class {i}" for i in range(16)]
    meta = {"classes": names, "palette": [[i, i, i] for i in range(16)]}
    path = changed(lambda content: content["meta"].update(dataset_meta=meta))
    predictor = Predictor(path, device="cpu")
    assert predictor.classes == tuple(names)
    assert predictor.palette[3] == (3, 3, 3)
    for wrong in ([[i, i, 999] for i in range(16)], [[0, 0, 0]], "red", [["0"] * 3] * 16, None):
        path = changed(
            lambda content: content["meta"].update(dataset_meta={**meta, "palette": wrong})  # noqa: B023
        )
        with pytest.raises(InputError, match="'dataset_meta' cannot be used"):
            Predictor(path, device="cpu")
    meta = {"classes": names[:5], "palette": meta["palette"][:5]}
    path = changed(lambda content: content["meta"].update(dataset_meta=meta))
    with pytest.raises(InputError, match="knows 5 classes, the config's head 16"):
        Predictor(path, device="cpu")


def test_a_missing_checkpoint_names_those_that_are_there(tiny_run, tmp_path):
    shutil.copy(tiny_run.checkpoint, tmp_path / "there.pth")
    with pytest.raises(InputError, match=r"no such checkpoint. In .*: there\.pth"):
        Predictor(tmp_path / "gone.pth")


def test_the_scores_of_its_own_validation_are_told_and_no_others(tiny_run, changed):
    (best,) = tiny_run.folder.glob("best_*.pth")
    found = read_trained_run(best).validation
    assert found["overall"].keys() == found["all_clean"].keys()
    assert 0 < found["all_clean"]["binary_mIoU"] < 60
    info = torch.load(best, weights_only=False)["message_hub"]["runtime_info"]
    assert found == {key: info["validation"][key] for key in found}
    # Written before a validation, it has the scores of other weights.
    path = changed(lambda content: content["meta"].update(iter=content["meta"]["iter"] + 1))
    assert read_trained_run(path).validation == {}


def test_the_newest_checkpoint_knows_the_scores_of_the_best(tiny_run):
    last = torch.load(tiny_run.checkpoint, weights_only=False)["message_hub"]["runtime_info"]
    assert last["best_validation"]["overall"]["mIoU"] == pytest.approx(last["best_score"], abs=1e-3)
