"""Damage maps of photographs."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_heritage.apis.predict import Predictor, predict
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config_files import load_config
from mmseg_heritage.runs.prepare import build_model


@pytest.fixture
def photographs(sample_set, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("sample_0000.png", "sample_0001.png"):
        shutil.copy(sample_set / "images" / name, folder / name)
    Image.new("L", (33, 71), 128).save(folder / "grey.tif")
    return folder


def command(tiny_run, photographs, out, *more):
    return ["predict", str(tiny_run.config), str(tiny_run.checkpoint), str(photographs),
            "--out", str(out), "--device", "cpu", *more]  # fmt: skip


def test_four_files_for_each_photograph(tiny_run, photographs, tmp_path):
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ("sample_0000", "sample_0001", "grey")
    ends = ("_classes.png", "_overlay.png", "_panel.png", ".json")
    assert names == {s + end for s in stems for end in ends}
    content = json.loads((tmp_path / "out" / "grey.json").read_text())
    assert (content["width"], content["height"]) == (33, 71)
    with Image.open(tmp_path / "out" / "grey_classes.png") as image:
        assert image.size == (33, 71)
        class_map = np.asarray(image)
    for i, share in enumerate(content["area_share"].values()):
        assert share == pytest.approx(np.mean(class_map == i))
    assert sum(content["area_share"].values()) == pytest.approx(1)


def test_a_hierarchical_model_gives_each_level_with_its_shares(tiny_config, photographs, tmp_path):
    config, checkpoint, out = (tmp_path / name for name in ("h.py", "h.pth", "out"))
    config.write_text(
        f"_base_ = [{str(tiny_config)!r}]\n"
        "model = dict(decode_head=dict(_delete_=True, type='HierarchicalUPerHead', channels=8,\n"
        "    in_channels='auto', in_index=[0, 1, 2, 3], pool_scales=(1, 2), num_classes=16))\n"
    )
    torch.manual_seed(0)
    weights = build_model(load_config(config)).state_dict()
    weights["decode_head.conv_seg.bias"][0] = 100  # Clean, which is in no coarse group
    torch.save({"state_dict": weights}, checkpoint)
    arguments = ["predict", str(config), str(checkpoint), str(photographs), "--out", str(out)]
    assert main([*arguments, "--device", "cpu"]) == 0
    levels = json.loads((out / "sample_0000.json").read_text())["levels"]
    assert {name: len(shares) for name, shares in levels.items()} == {"binary": 2, "coarse": 4}
    for name, shares in levels.items():
        found = np.asarray(Image.open(out / f"sample_0000_{name}.png"))
        for i, share in enumerate(shares.values()):
            assert share == pytest.approx(np.mean(found == i))
        assert sum(shares.values()) == pytest.approx(np.mean(found != 255))
    assert 255 in found


def test_prediction_and_test_agree(tiny_run, sample_set, tmp_path):
    image = sample_set / "images" / "sample_0000.png"
    assert main(command(tiny_run, image, tmp_path / "out")) == 0
    arguments = ["test", str(tiny_run.config), str(tiny_run.checkpoint), "--work-dir",
                 str(tmp_path / "run"), "--out", str(tmp_path / "maps")]  # fmt: skip
    assert main(arguments) == 0
    one = np.asarray(Image.open(tmp_path / "out" / "sample_0000_classes.png"))
    other = np.asarray(Image.open(tmp_path / "maps" / "sample_0000.png"))
    np.testing.assert_array_equal(one, other)


def test_a_broken_photograph_does_not_stop_the_others(tiny_run, photographs, tmp_path, capsys):
    path = photographs / "broken.png"
    path.write_bytes((photographs / "sample_0000.png").read_bytes()[:300])
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "1 of 4 photographs could not be read" in error
    assert f"{path}: the image is truncated" in error
    assert len(list((tmp_path / "out").glob("*.json"))) == 3
    assert not list((tmp_path / "out").glob("*broken*"))


def test_where_no_photograph_can_be_read_there_are_no_others(
    tiny_run, photographs, tmp_path, capsys
):
    for path in photographs.iterdir():
        path.write_bytes(path.read_bytes()[:60])
    path = photographs / "sample_0000.png"
    assert main(command(tiny_run, path, tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert f"error: {path}: the image is truncated" in error
    assert "photographs" not in error
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 2
    assert "error: 3 of 3 photographs could not be read\n" in capsys.readouterr().err


def test_earlier_results_are_not_replaced_without_being_asked(
    tiny_run, photographs, tmp_path, capsys
):
    arguments = command(tiny_run, photographs, tmp_path / "out")
    assert main(arguments) == 0
    (tmp_path / "out" / "grey.json").write_text("mine")
    assert main(arguments) == 2
    assert "replace them with --overwrite" in capsys.readouterr().err
    assert (tmp_path / "out" / "grey.json").read_text() == "mine"
    assert main([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "out" / "grey.json").read_text() != "mine"


def refuse(tiny_run, source, out, message, **options):
    with pytest.raises(InputError, match=message):
        predict(tiny_run.config, tiny_run.checkpoint, source, out, **options)


def test_photographs_that_cannot_be_told_apart(tiny_run, photographs, tmp_path):
    shutil.copy(photographs / "grey.tif", photographs / "grey.png")
    refuse(tiny_run, photographs, tmp_path / "out", "photographs of one name")
    assert not (tmp_path / "out").exists()


def test_other_input_that_cannot_be_used(tiny_run, photographs, tmp_path):
    (tmp_path / "empty").mkdir()
    refuse(tiny_run, tmp_path / "empty", tmp_path / "out", "the folder holds no images")
    refuse(tiny_run, photographs, photographs, "results among the photographs")
    refuse(tiny_run, photographs, tmp_path / "out", "not available here", device="nonsense")
    refuse(tiny_run, photographs, photographs / "grey.tif" / "x", "expected a folder to write to")
    assert not (tmp_path / "out").exists()


def test_class_names_come_from_the_checkpoint(tiny_run, tmp_path):
    content = torch.load(tiny_run.checkpoint, weights_only=False)
    names = [f"Class {i}" for i in range(16)]
    content["meta"]["dataset_meta"] = {"classes": names, "palette": [[i, i, i] for i in range(16)]}
    torch.save(content, tmp_path / "c.pth")
    cfg = load_config(tiny_run.config)
    predictor = Predictor(cfg, tmp_path / "c.pth", "cpu")
    assert predictor.classes == names
    content["meta"]["dataset_meta"]["classes"] = names[:5]
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(InputError, match="knows 5 classes, the config's head 16"):
        Predictor(cfg, tmp_path / "c.pth", "cpu")
