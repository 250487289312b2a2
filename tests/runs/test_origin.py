"""A test is held against the run of its checkpoint: its model, and the images that it has seen."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmseg")
from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.layout import Sample, read_folder
from mmseg_heritage.dataprep.splits.split import default_split, load_split
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.summary import load_metrics
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.origin import check_same_model, check_unseen, seen_images
from mmseg_heritage.utils.files import write_json


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "model.decode_head.loss_decode.0.loss_weight": 7.0,
            "model.decode_head.dropout_ratio": 0.5,
        },
        {"model.decode_head.norm_cfg.type": "SyncBN", "batch_size": 3, "pretrained": None},
    ],
)
def test_what_only_training_uses_may_differ(options, tiny_run):
    cfg, trained = load_config(tiny_run.config, options), load_config(tiny_run.config)
    check_same_model(cfg, trained, "a.pth")


def test_all_that_changes_predictions_is_listed(tiny_run):
    options = {"model.decode_head.channels": 24, "model.data_preprocessor.bgr_to_rgb": False}
    cfg, trained = load_config(tiny_run.config, options), load_config(tiny_run.config)
    with pytest.raises(InputError, match=r"a\.pth: was trained as another model") as e:
        check_same_model(cfg, trained, "a.pth")
    assert sorted(problem.split(":")[0] for problem in e.value.problems) == sorted(options)
    assert "now 24" in str(e.value)


def test_modes_of_one_head_with_the_same_weights_are_told_apart(tiny_run):
    cfg, trained = load_config(tiny_run.config), load_config(tiny_run.config)
    trained.model.decode_head.mode, cfg.model.decode_head.mode = "conditional", "independent"
    with pytest.raises(InputError, match="mode: the run has 'conditional', now 'independent'"):
        check_same_model(cfg, trained, "a.pth")


def test_a_checkpoint_without_its_run_has_seen_nothing_that_is_known(tmp_path):
    assert seen_images([], ["a"], tmp_path / "iter_3.pth") is None
    check_unseen(None, default_split([_sample(name) for name in "abc"]), tmp_path / "iter_3.pth")


def _sample(name, source=None):
    return Sample(name, Path(f"{name}.png"), Path(f"{name}.png"), source or name)


def test_relatives_of_what_was_trained_on_count_as_seen(tmp_path):
    samples = [_sample(name) for name in "abcdef"] + [_sample("a2", "a")]
    split = default_split(samples[:6])
    trained, chose, unseen = (split.parts[part][0] for part in ("train", "val", "test"))
    write_json(tmp_path / "split.json", split.to_json())
    copy = _sample("copy", trained)
    seen = seen_images([*samples, copy], ["copy", chose, unseen], tmp_path / "a.pth")
    assert seen == {"train": ["copy"], "val": [chose]}
    with pytest.raises(InputError, match="--allow-seen") as e:
        check_unseen(seen, split, tmp_path / "a.pth")
    assert e.value.problems == [
        "1 trained on, such as copy",
        f"1 used to choose the checkpoint, such as {chose}",
    ]
    check_unseen(seen_images(samples, [unseen], tmp_path / "a.pth"), split, tmp_path / "a.pth")


@pytest.mark.slow
def test_another_split_is_refused_unless_seen_images_are_wanted(tiny_run, tmp_path, capsys):
    data = shutil.copytree(tiny_run.data, tmp_path / "data")
    parts = load_split(tiny_run.folder / "split.json").parts
    other = default_split(read_folder(data, "images", "annotations", "metadata.csv"))
    turned = type(other)(
        "turned", {"train": parts["test"], "val": parts["val"], "test": parts["train"]}
    )
    write_json(data / "splits" / "turned.json", turned.to_json())
    arguments = ["test", str(tiny_run.config), str(tiny_run.checkpoint), "--work-dir",
                 str(tmp_path / "out"), "--skip-data-check"]  # fmt: skip
    options = ["--cfg-options", f"data_root={data}", "split_file=splits/turned.json"]
    assert main([*arguments, *options]) == 2
    assert f"{len(parts['train'])} trained on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--allow-seen", *options]) == 0
    metrics = load_metrics(tmp_path / "out" / "evaluation" / "metrics.json")
    assert metrics["run"]["seen_images"] == {"train": len(parts["train"]), "val": 0}


def test_a_checkpoint_without_its_split_says_what_nobody_can_tell(tiny_run, tmp_path, capsys):
    alone = shutil.copy(tiny_run.checkpoint, tmp_path / "alone.pth")
    assert main(["test", str(alone), "--work-dir", str(tmp_path), "--skip-data-check"]) == 0
    assert f"warning: {tmp_path} holds no split.json" in capsys.readouterr().out
    metrics = load_metrics(tmp_path / "evaluation" / "metrics.json")
    assert metrics["run"]["seen_images"] is None
