"""Damage maps of photographs."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_heritage.apis import predict, train
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.runs.build import build_model
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.visualization.figures.display_colors import DISPLAY_COLORS


@pytest.fixture
def photographs(sample_set, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("sample_0000.png", "sample_0001.png"):
        shutil.copy(sample_set / "images" / name, folder / name)
    Image.new("L", (33, 71), 128).save(folder / "gray.tif")
    return folder


ENDS = ("_classes.png", "_overlay.png", "_panel.png", ".json", "_preview.jpg", "_confidence.png",
        "_regions.csv")  # fmt: skip
OF_ALL = {"index.html", "areas.csv", "regions.csv", "run.json"}


def records(out):
    """Returns the JSON files of photographs."""
    return {path for path in out.glob("*.json") if path.name != "run.json"}


def command(tiny_run, photographs, out, *more):
    return ["predict", str(tiny_run.config), str(tiny_run.checkpoint), str(photographs),
            "--out", str(out), "--device", "cpu", *more]  # fmt: skip


def test_the_files_of_each_photograph_and_of_all(tiny_run, photographs, tmp_path):
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ("sample_0000", "sample_0001", "gray")
    assert names == {s + end for s in stems for end in ENDS} | OF_ALL
    content = json.loads((tmp_path / "out" / "gray.json").read_text())
    assert (content["width"], content["height"]) == (33, 71)
    with Image.open(tmp_path / "out" / "gray_classes.png") as image:
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


def test_the_overlay_of_a_jpeg_is_one(tiny_run, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (64, 40), (90, 80, 70)).save(folder / "a.JPG")
    assert main(command(tiny_run, folder, tmp_path / "out")) == 0
    with Image.open(tmp_path / "out" / "a_overlay.jpg") as image:
        assert image.format == "JPEG"
        assert image.width >= 64  # a legend lies below the photograph, and is wider than this one
        assert image.height > 40


def test_the_colors_of_the_data_set_are_drawn_on_request(tiny_run, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(
        folder / "a.png"
    )
    pictures = []
    for options in ((), ("--official-colors",)):
        out = tmp_path / f"out{len(pictures)}"
        assert main([*command(tiny_run, folder, out), *options]) == 0
        pictures.append(np.asarray(Image.open(out / "a_overlay.png")))
        with Image.open(out / "a_classes.png") as image:
            values = np.unique(np.asarray(image))
        index = int(next(value for value in values if value not in (0, 255)))
        colors = (DISPLAY_COLORS[ARTEFACT.names[index]], ARTEFACT.colors[index])
        for color, is_there in zip(colors, (not options, bool(options)), strict=True):
            assert (pictures[-1] == color).all(axis=2).any() == is_there


def test_what_is_shrunk_is_said(tiny_run, photographs, tmp_path, capsys):
    assert main(command(tiny_run, photographs, tmp_path / "full")) == 0
    assert "photographs were shrunk" not in capsys.readouterr().out
    shrunk = command(tiny_run, photographs, tmp_path / "out", "--inference", "scales=fit:32")
    assert main(shrunk) == 0
    assert "3 of 3 photographs were shrunk" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "gray.json").read_text())
    assert content["seen_at"] == [{"width": 15, "height": 32}]
    assert content["thinnest_line_px"] == pytest.approx(71 / 32, abs=0.01)


def test_wrong_settings_are_one_message(tiny_run, photographs, tmp_path, capsys):
    wrong = ["--inference", "scales=fit:much", "overlap=1.5"]
    assert main(command(tiny_run, photographs, tmp_path / "out", *wrong)) == 2
    message = capsys.readouterr().err
    assert "'fit:much'" in message
    assert "overlap=1.5" in message
    assert "Traceback" not in message


def test_prediction_and_test_agree(tiny_run, sample_set, tmp_path):
    arguments = ["test", str(tiny_run.checkpoint), "--work-dir", str(tmp_path / "run"), "--out",
                 str(tmp_path / "maps"), "--skip-data-check"]  # fmt: skip
    assert main(arguments) == 0
    tested = sorted((tmp_path / "maps").iterdir())
    predict(
        tiny_run.checkpoint,
        [sample_set / "images" / path.name for path in tested],
        tmp_path / "out",
        device="cpu",
    )
    for path in tested:
        one = np.asarray(Image.open(tmp_path / "out" / f"{path.stem}_classes.png"))
        np.testing.assert_array_equal(one, np.asarray(Image.open(path)))


def test_a_broken_photograph_does_not_stop_the_others(tiny_run, photographs, tmp_path, capsys):
    path = photographs / "broken.png"
    path.write_bytes((photographs / "sample_0000.png").read_bytes()[:300])
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "1 of 4 photographs could not be predicted" in error
    assert f"{path}: the image is truncated" in error
    assert len(records(tmp_path / "out")) == 3
    assert not list((tmp_path / "out").glob("*broken*"))


def test_what_the_system_refuses_does_not_stop_the_others(tiny_run, photographs, tmp_path, capsys):
    long = photographs / f"{'a' * 245}.png"  # the names of its results are too long
    shutil.copy(photographs / "sample_0000.png", long)
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "1 of 4 photographs could not be predicted; the results of the others are in" in error
    assert "File name too long; give a shorter name" in error
    assert len(records(tmp_path / "out")) == 3


def test_a_page_is_chosen_and_that_there_are_others_is_said(
    tiny_run, photographs, tmp_path, capsys
):
    first, second = Image.new("RGB", (33, 71), "red"), Image.new("RGB", (20, 10))
    first.save(photographs / "pages.tif", save_all=True, append_images=[second])
    for page, size in (("1", (33, 71)), ("2", (20, 10))):
        out = tmp_path / page
        assert main(command(tiny_run, photographs / "pages.tif", out, "--page", page)) == 0
        content = json.loads((out / "pages.json").read_text())
        assert (content["width"], content["height"]) == size
        assert f"2 pages, of which page {page} is predicted" in capsys.readouterr().out
    assert main(command(tiny_run, photographs, tmp_path / "3", "--page", "0")) == 2
    assert "pages are counted from 1" in capsys.readouterr().err


def test_the_same_command_goes_on_with_what_is_missing(tiny_run, photographs, tmp_path, capsys):
    arguments = command(tiny_run, photographs, tmp_path / "out")
    assert main(arguments) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "gray.json").unlink()
    assert main(arguments) == 0
    assert "2 of 3 photographs were predicted before" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    changed = {path.name for path in before if before[path] != after[path]} - OF_ALL
    assert {name.partition("_")[0].partition(".")[0] for name in changed} == {"gray"}
    with Image.open(photographs / "gray.tif") as image:  # another photograph of this name
        image.point(lambda level: 255 - level).save(photographs / "gray.tif")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "results are already there, of other photographs, another checkpoint or other" in error
    assert "gray.json" in error
    assert "sample_0000.json" not in error


@pytest.mark.usefixtures("no_optional_readers")
def test_what_of_a_folder_is_not_read_is_counted(tiny_run, photographs, tmp_path, capsys):
    for name in ("a.HEIC", "b.heic", "c.NEF"):
        (photographs / name).touch()
    (photographs / "more").mkdir()
    (photographs / "sample_0000.png").rename(photographs / "sample_0000.jfif")
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    assert f"{photographs}: not read: 2 .heic, 1 .nef, 1 folder; export" in printed
    assert "3 photographs: class maps" in printed


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
    assert "error: 3 of 3 photographs could not be predicted\n" in capsys.readouterr().err


def test_earlier_results_are_not_replaced_without_being_asked(
    tiny_run, photographs, tmp_path, capsys
):
    arguments = command(tiny_run, photographs, tmp_path / "out")
    assert main(arguments) == 0
    (tmp_path / "out" / "gray.json").write_text("mine")
    assert main(arguments) == 2
    assert "replace them with --overwrite" in capsys.readouterr().err
    assert (tmp_path / "out" / "gray.json").read_text() == "mine"
    assert main([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "out" / "gray.json").read_text() != "mine"


def _trained_alone(tiny_config, tiny_run, sample_set, folder):
    """Trains on files of its own, removes them and all of the run but its checkpoint."""
    data = shutil.copytree(sample_set, folder / "data")
    shutil.copy(tiny_run.checkpoint, folder / "pretrained.pth")
    (folder / "weights.json").write_text(json.dumps([1.0] * 15 + [2.0]))
    config = shutil.copy(tiny_config, folder / "mine.py")
    train(config, work_dir=str(folder / "run"), skip_data_check=True, cfg_options={
        "max_iters": 2, "data_root": str(data), "split_file": "splits/holdout.json",
        "class_weights": str(folder / "weights.json"), "pretrained": str(folder / "pretrained.pth"),
    })  # fmt: skip
    (folder / "alone").mkdir()
    checkpoint = shutil.move(folder / "run" / "iter_2.pth", folder / "alone" / "model.pth")
    for left in set(folder.iterdir()) - {folder / "alone"}:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return checkpoint


@pytest.mark.slow
def test_a_checkpoint_alone_in_an_empty_folder_predicts_and_tests(
    tiny_config, tiny_run, sample_set, photographs, tmp_path, monkeypatch, capsys
):
    (tmp_path / "of_run").mkdir()
    checkpoint = _trained_alone(tiny_config, tiny_run, sample_set, tmp_path / "of_run")
    monkeypatch.chdir(checkpoint.parent)
    assert main(["predict", "model.pth", str(photographs), "--out", "maps"]) == 0
    assert len(records(checkpoint.parent / "maps")) == 3
    capsys.readouterr()
    assert main(["test", "model.pth"]) == 2  # the data is gone
    assert f"{tmp_path / 'of_run' / 'data'}" in capsys.readouterr().err
    assert not (checkpoint.parent / "evaluation").exists()
    assert main(["test", "model.pth", "--cfg-options", f"data_root={sample_set}"]) == 0
    run = json.loads((checkpoint.parent / "evaluation" / "metrics.json").read_text())["run"]
    assert (run["config"], run["experiment"]) == ("mine.py", "mine")
    assert run["split"]["name"] == "holdout"
    assert (checkpoint.parent / "evaluation" / "mine.py").is_file()


def test_a_config_may_be_given_before_the_checkpoint_or_by_name(tiny_run, photographs, tmp_path):
    path = str(photographs / "gray.tif")
    config, checkpoint = str(tiny_run.config), str(tiny_run.checkpoint)
    forms = ([checkpoint, path], [config, checkpoint, path], [checkpoint, path, "--config", config])
    maps = []
    for i, form in enumerate(forms):
        out = tmp_path / str(i)
        assert main(["predict", *form, "--out", str(out), "--device", "cpu"]) == 0
        maps.append((out / "gray_classes.png").read_bytes())
    assert maps[0] == maps[1] == maps[2]


def test_several_photographs_and_folders_at_once(tiny_run, photographs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (photographs / "gray.tif").rename(other / "gray.tif")
    given = [photographs / "sample_0000.png", other]
    written = predict(tiny_run.checkpoint, given, tmp_path / "out", device="cpu")
    assert [path.name for path in written] == ["sample_0000.json", "gray.json"]


def test_a_photograph_is_decoded_once(tiny_run, photographs, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        "mmseg_heritage.images.inputs.read_image",
        lambda path, **options: read.append(path) or read_image(path, **options),
    )
    predict(tiny_run.checkpoint, photographs, tmp_path / "out", device="cpu")
    assert sorted(read) == sorted(photographs.iterdir())


def refuse(tiny_run, source, out, message, **options):
    with pytest.raises(InputError, match=message):
        predict(tiny_run.checkpoint, source, out, **options)


def test_photographs_that_cannot_be_told_apart(tiny_run, photographs, tmp_path):
    shutil.copy(photographs / "gray.tif", photographs / "gray.png")
    refuse(tiny_run, photographs, tmp_path / "out", "2 of .* could not be predicted; the results")
    written = {path.stem for path in records(tmp_path / "out")}
    assert written == {path.stem for path in photographs.iterdir()} - {"gray"}


def test_other_input_that_cannot_be_used(tiny_run, photographs, tmp_path):
    (tmp_path / "empty").mkdir()
    refuse(tiny_run, tmp_path / "gone.png", tmp_path / "out", "nothing to predict")
    refuse(tiny_run, [], tmp_path / "out", "nothing to predict")
    with pytest.raises(InputError) as caught:
        predict(tiny_run.checkpoint, [tmp_path / "a.png", tmp_path / "empty"], tmp_path / "out")
    assert [p.split(":")[0] for p in caught.value.problems] == [
        str(tmp_path / "a.png"),
        str(tmp_path / "empty"),
    ]
    refuse(tiny_run, tmp_path / "empty", tmp_path / "out", "the folder holds no images")
    refuse(tiny_run, photographs, photographs, "results among the photographs")
    refuse(tiny_run, photographs, tmp_path / "out", "not available here", device="nonsense")
    refuse(tiny_run, photographs, photographs / "gray.tif" / "x", "expected a folder to write to")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [(1600, 9), (7, 1500), (1, 1)])
def test_photographs_of_any_shape(size, tiny_run, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "scroll.png")
    assert main(command(tiny_run, tmp_path / "scroll.png", tmp_path / "out")) == 0
    with Image.open(tmp_path / "out" / "scroll_classes.png") as image:
        assert image.size == size


def test_names_of_older_encodings_are_left_out_and_escaped(tiny_run, photographs, tmp_path, capsys):
    shutil.copy(photographs / "gray.tif", os.fsencode(photographs) + b"/caf\xe9.tif")
    assert main(command(tiny_run, photographs, tmp_path / "out")) == 2
    said = capsys.readouterr()
    assert "1 of 4 photographs could not be predicted" in said.err
    assert r"caf\xe9.tif: " in said.err
    assert len(records(tmp_path / "out")) == 3


def test_a_model_of_no_use_is_called_that(tiny_run, photographs, tmp_path, capsys):
    path = photographs / "gray.tif"
    assert main(command(tiny_run, path, tmp_path / "out")) == 0
    assert "when it was validated, OF NO USE YET" in capsys.readouterr().out
    assert "<strong>OF NO USE YET" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
