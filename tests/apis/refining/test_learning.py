"""learn: a new checkpoint of corrected images, what it has seen, and what it gains."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage import Predictor
from mmseg_heritage.cli import main
from mmseg_heritage.utils.checkpoints.checkpoint import load_checkpoint_file
from mmseg_heritage.utils.files import sha256

pytestmark = pytest.mark.slow  # four short trainings


@pytest.fixture(scope="module")
def corrected(tiny_run, tmp_path_factory):
    """Folder of three images of the sample set, of which one was looked at in part."""
    root = tmp_path_factory.mktemp("corrected") / "photo s"
    split = json.loads((tiny_run.folder / "split.json").read_text())
    names = [*split["parts"]["test"], *split["parts"]["val"], *split["parts"]["train"]][:3]
    for kind in ("images", "annotations"):
        (root / kind).mkdir(parents=True)
        for name in names:
            shutil.copy(next((tiny_run.data / kind).glob(f"{name}.*")), root / kind)
    mask = next((root / "annotations").iterdir())
    pixels = np.array(Image.open(mask))
    pixels[: len(pixels) // 2] = 255
    Image.fromarray(pixels).save(mask)
    return root, names


@pytest.fixture(scope="module")
def learned(tiny_run, corrected, tmp_path_factory):
    out = tmp_path_factory.mktemp("learned")
    arguments = [str(tiny_run.checkpoint), str(corrected[0]), "--out", str(out), "--steps", "3"]
    assert main(["learn", *arguments, "--lr", "0.01"]) == 0
    return out


def test_the_checkpoint_is_whole_and_says_what_it_learned_from(learned, tiny_run, corrected):
    root, names = corrected
    content = load_checkpoint_file(learned / "learned.pth")
    (record,) = content["learned_from"]
    assert record["parent_sha256"] == sha256(tiny_run.checkpoint)
    assert sorted(image["id"] for image in record["images"]) == sorted(names)
    assert "optimizer" not in content
    image = next((root / "images").iterdir())
    maps = [Predictor(p)(image).class_map for p in (tiny_run.checkpoint, learned / "learned.pth")]
    assert not np.array_equal(*maps)
    assert [path.name for path in learned.iterdir() if path.name.startswith(".")] == []


def test_each_image_was_left_out_once(learned, corrected):
    content = json.loads((learned / "learned.json").read_text())
    assert content["folds"] == 3
    assert sorted(content["scores"]["images"]) == sorted(corrected[1])
    assert {"damage_IoU", "mIoU"} <= content["scores"]["scores"].keys()


def test_corrected_images_count_as_seen(learned, corrected, capsys):
    split = json.loads((learned / "split.json").read_text())
    assert set(corrected[1]) <= set(split["parts"]["train"])
    assert not set(corrected[1]) & set(split["parts"]["test"])
    assert main(["test", str(learned / "learned.pth")]) == 2  # it was tested on one of them
    assert "trained on" in capsys.readouterr().err


def test_it_learns_again_with_replay_and_adapters(learned, corrected, tiny_run, tmp_path):
    arguments = [str(learned / "learned.pth"), str(corrected[0]), "--out", str(tmp_path / "again")]
    options = ["--estimate", "none", "--steps", "2", "--tune", "norm", "--replay"]
    assert main(["learn", *arguments, *options, str(tiny_run.data)]) == 0
    again = load_checkpoint_file(tmp_path / "again" / "learned.pth")["learned_from"]
    assert [record["replay"] for record in again] == [False, True]


def test_bad_arguments(tiny_run, corrected, learned, tmp_path, capsys):
    arguments = [str(tiny_run.checkpoint), str(corrected[0])]
    assert main(["learn", *arguments, "--out", str(learned)]) == 2
    assert "already there" in capsys.readouterr().err
    assert main(["learn", *arguments, "--out", str(tmp_path), "--estimate", "9"]) == 2
    assert "number of folds from 2 to 3" in capsys.readouterr().err
    assert main(["learn", *arguments, "--out", str(tmp_path), "--steps", "0", "--lr", "-1"]) == 2
    assert "steps=0" in (problems := capsys.readouterr().err)
    assert "lr=-1.0" in problems


def test_masks_that_say_nothing_are_named(tiny_run, corrected, tmp_path, capsys):
    root = tmp_path / "unseen"
    shutil.copytree(corrected[0], root)
    mask = next((root / "annotations").iterdir())
    Image.fromarray(np.full_like(np.array(Image.open(mask)), 255)).save(mask)
    out = tmp_path / "out"
    assert main(["learn", str(tiny_run.checkpoint), str(root), "--out", str(out)]) == 2
    assert mask.stem in capsys.readouterr().err
    assert list(out.iterdir()) == []
