"""Bad input ends with one clear message and exit code 2, and nothing is written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.checks.verified import VERIFIED_FILE


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# What is broken, how the command is told, and what the message must hold.
def _missing_root(data: Path) -> None:
    shutil.rmtree(data)


def _empty(data: Path) -> None:
    for path in data.rglob("*.png"):
        path.unlink()
    (data / "metadata.csv").unlink()


def _unpaired(data: Path) -> None:
    (data / "annotations" / "sample_0002.png").unlink()
    (data / "images" / "sample_0003.png").unlink()


def _duplicate(data: Path) -> None:
    Image.open(data / "images" / "sample_0004.png").save(data / "images" / "sample_0004.jpg")


def _mask_too_large(data: Path) -> None:
    path = data / "annotations" / "sample_0004.png"
    width, height = Image.open(path).size
    Image.fromarray(np.zeros((height + 8, width + 4), np.uint8)).save(path)


def _rgb_mask(data: Path) -> None:
    path = data / "annotations" / "sample_0004.png"
    Image.open(path).convert("RGB").save(path)


def _illegal_value(data: Path) -> None:
    path = data / "annotations" / "sample_0004.png"
    mask = np.array(Image.open(path))
    mask[0, 0], mask[0, 1] = 16, 254
    Image.fromarray(mask).save(path)


def _truncated(data: Path) -> None:
    path = data / "images" / "sample_0004.png"
    path.write_bytes(path.read_bytes()[:200])


def _overlap(data: Path) -> None:
    path = data / "splits" / "holdout.json"
    content = json.loads(path.read_text())
    content["parts"]["test"].append(content["parts"]["train"][0])
    path.write_text(json.dumps(content))


def _unreadable_split(data: Path) -> None:
    (data / "splits" / "holdout.json").write_text("{")


def _nothing(data: Path) -> None:
    pass


BAD_DATA = {
    "missing root": (_missing_root, [], ["the data root does not exist", "Set data_root"]),
    "empty folder": (_empty, [], ["images: the folder holds no images (.png"]),
    "unpaired ids": (
        _unpaired,
        [],
        [
            "is not consistent",
            "sample_0002.png: no annotation with this id",
            "sample_0003.png: no image with this id",
        ],
    ),
    "duplicate ids": (_duplicate, [], ["the id 'sample_0004' is also that of sample_0004"]),
    "mask larger than image": (_mask_too_large, [], ["sample_0004.png: the mask is", "its image"]),
    "RGB mask": (
        _rgb_mask,
        [],
        ["sample_0004.png: expected a mask with one channel", "found 3 channels"],
    ),
    "illegal values": (_illegal_value, [], ["expected class ids 0..15 or 255, found 16, 254"]),
    "truncated image": (_truncated, [], ["sample_0004.png: the image is truncated", "copy it"]),
    "num_classes": (
        _nothing,
        ["num_classes=17"],
        ["the data set has 16 classes; set num_classes=16", "model.decode_head.num_classes is 17"],
    ),
    "with_background in one part": (
        _nothing,
        ["train_dataloader.dataset.with_background=True", "num_classes=17"],
        ["different numbers of classes", "train_dataloader.dataset has 17"],
    ),
    "unknown split part": (
        _nothing,
        ["train_dataloader.dataset.split=training"],
        ["has no part 'training'; it has test, train, val"],
    ),
    "no split file": (_nothing, ["split_file=nowhere.json"], ["no such file", "holdout.json"]),
    "overlapping split": (_overlap, [], ["parts of a split must not overlap", "is in 'train' and"]),
    "broken split": (_unreadable_split, [], ["holdout.json: expected a split manifest in JSON"]),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_ends_with_one_message_and_writes_nothing(
    case, tiny_config, copied_sample_set, tmp_path, capsys
):
    damage, options, expected = BAD_DATA[case]
    damage(copied_sample_set)
    before = files_below(tmp_path)
    work_dir = tmp_path / "run" / "deeper"
    arguments = ["train", str(tiny_config), "--work-dir", str(work_dir), "--cfg-options",
                 f"data_root={copied_sample_set}", "max_iters=1", *options]  # fmt: skip
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    for part in expected:
        assert part in error, error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
    # What was found sound is recorded, for the next check.
    (copied_sample_set / VERIFIED_FILE).unlink(missing_ok=True)
    assert files_below(tmp_path) == before


def test_all_faulty_files_are_reported_at_once(tiny_config, copied_sample_set, tmp_path, capsys):
    for path in (copied_sample_set / "annotations").iterdir():
        Image.open(path).convert("RGB").save(path)
    for path in (copied_sample_set / "images").iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    options = ["--cfg-options", f"data_root={copied_sample_set}"]
    assert main(["train", str(tiny_config), "--work-dir", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    faults = 2 * 12  # image and mask of every sample, the test part included
    listed = error.count("\n  - /")
    rest = int(error.split("... and ")[1].split()[0]) if "... and " in error else 0
    assert listed == min(faults, 20)
    assert listed + rest == faults


BAD_CONFIG = {
    "unknown model": (
        "model = dict(type='NoSuchModel')",
        ["'model' cannot be built", "NoSuchModel is not in the"],
    ),
    "unknown argument": (
        "model = dict(backbone=dict(no_such=1))",
        ["'model' cannot be built", "no_such"],
    ),
    "unknown optimizer": (
        "optim_wrapper = dict(optimizer=dict(type='NoSuch'))",
        ["'optim_wrapper' cannot be built", "NoSuch"],
    ),
    "float16 on CPU": (
        "optim_wrapper = dict(dtype='float16')",
        ["float16 needs a CUDA device; use dtype='auto'"],
    ),
    "unknown scheduler": (
        "param_scheduler = [dict(type='NoSuch')]",
        ["'param_scheduler' cannot be built", "NoSuch"],
    ),
    "scheduler argument": (
        "param_scheduler = [dict(type='PolyLR', no_such=1)]",
        ["'param_scheduler' cannot be built", "no_such"],
    ),
    "unknown transform": (
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='NoSuch')]))",
        ["'train_dataloader.dataset.pipeline' cannot be built", "NoSuch"],
    ),
    "unknown data set": (
        "train_dataloader = dict(dataset=dict(type='NoSuch'))",
        ["'train_dataloader.dataset' cannot be built", "NoSuch"],
    ),
    "unknown hook": (
        "custom_hooks = [dict(type='NoSuch')]",
        ["custom_hooks' cannot be built", "NoSuch"],
    ),
    "unknown metric": (
        "val_evaluator = dict(type='NoSuch')",
        ["'val_evaluator' cannot be built", "NoSuch"],
    ),
    "syntax error": ("model = dict(", ["bad.py: the config cannot be read"]),
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] * (i % 2)) for i, c in enumerate(BAD_CONFIG)],
)
def test_a_bad_config_ends_with_one_message(case, tiny_config, tmp_path, capsys):
    if case == "float16 on CPU" and torch.cuda.is_available():
        pytest.skip("float16 works here")
    text, expected = BAD_CONFIG[case]
    config = tmp_path / "bad.py"
    config.write_text(f"_base_ = [{str(tiny_config)!r}]\n{text}\n")
    assert main(["train", str(config), "--work-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    for part in expected:
        assert part in error, error
    assert not (tmp_path / "run").exists()


class TestBadCheckpoints:
    """Checkpoints that cannot be used, by every command that takes one."""

    @pytest.fixture
    def evil(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

        torch.save({"state_dict": {"w": torch.ones(1)}, "meta": Evil()}, tmp_path / "evil.pth")
        return tmp_path / "evil.pth"

    @pytest.fixture
    def other(self, tmp_path):
        torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
        return tmp_path / "other.pth"

    def commands(self, config: Path, checkpoint: Path, out: Path, data: Path) -> list[list[str]]:
        config_, checkpoint_, out_ = str(config), str(checkpoint), str(out)
        return [
            ["test", config_, checkpoint_, "--work-dir", out_],
            ["predict", config_, checkpoint_, str(data / "images"), "--out", out_],
            ["train", config_, "--work-dir", out_, "--resume", checkpoint_],
        ]

    def test_code_is_refused(self, evil, tiny_config, sample_set, tmp_path, capsys):
        out = tmp_path / "out"
        commands = self.commands(tiny_config, evil, out, sample_set)
        train = ["train", str(tiny_config), "--work-dir", str(out), "--cfg-options"]
        commands += [[*train, f"load_from={evil}"], [*train, f"pretrained={evil}"]]
        for command in commands:
            assert main(command) == 2, command
            error = capsys.readouterr().err
            assert f"error: {evil}: refused, because this checkpoint asks for" in error
            assert "eval" in error
            assert "--trust-checkpoint" in error
            assert not out.exists()
        assert not (tmp_path / "ran").exists()

    def test_another_architecture_is_refused(
        self, other, tiny_config, sample_set, tmp_path, capsys
    ):
        out = tmp_path / "out"
        for command in self.commands(tiny_config, other, out, sample_set):
            assert main(command) == 2, command
            error = capsys.readouterr().err
            assert f"error: {other}: this checkpoint is of another model" in error
            assert error.count("\n  - ") == 20  # and the rest is counted
            assert "more" in error.splitlines()[-1]
            assert not out.exists()

    def test_a_missing_file_is_named(self, tiny_config, sample_set, tmp_path, capsys):
        out = tmp_path / "out"
        for command in self.commands(tiny_config, tmp_path / "no.pth", out, sample_set):
            assert main(command) == 2
            assert "no.pth: no such checkpoint" in capsys.readouterr().err
            assert not out.exists()

    def test_a_truncated_file_is_named(self, tiny_run, tmp_path, capsys):
        path = tmp_path / "cut.pth"
        path.write_bytes(tiny_run.checkpoint.read_bytes()[:3000])
        out = tmp_path / "out"
        for command in self.commands(tiny_run.config, path, out, tiny_run.data):
            assert main(command) == 2
            assert "cut.pth: not a whole checkpoint file" in capsys.readouterr().err
            assert not out.exists()

    def test_weights_alone_cannot_be_resumed(self, tiny_run, tmp_path, capsys):
        content = torch.load(tiny_run.checkpoint, weights_only=False)
        torch.save({"state_dict": content["state_dict"]}, tmp_path / "weights.pth")
        command = ["train", str(tiny_run.config), "--work-dir", str(tmp_path / "run"),
                   "--resume", str(tmp_path / "weights.pth")]  # fmt: skip
        assert main(command) == 2
        assert "--cfg-options load_from=" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()

    def test_pretrained_weights_of_another_backbone(self, other, tiny_config, tmp_path, capsys):
        command = ["train", str(tiny_config), "--work-dir", str(tmp_path / "run"),
                   "--cfg-options", f"pretrained={other}"]  # fmt: skip
        assert main(command) == 2
        error = capsys.readouterr().err
        assert "expected pretrained weights of MixVisionTransformer" in error
        assert "only 0 of its" in error
        assert not (tmp_path / "run").exists()

    def test_a_missing_pretrained_file_says_what_to_do(self, tmp_path, capsys):
        command = ["train", "segformer_mitb3_artefact", "--work-dir", str(tmp_path / "run"),
                   "--cfg-options", "pretrained=nowhere.pth"]  # fmt: skip
        assert main(command) == 2
        error = capsys.readouterr().err
        assert "nowhere.pth: no such file of pretrained weights" in error
        assert "mit_b3_20220624-13b1141c.pth" in error
        assert "https://" in error
        assert "pretrained=None" in error
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "nowhere.py"], "nowhere.py: no such config file"),
        (["train", "CONFIG", "--cfg-options", "bach_size=4"], "bach_size: no such variable"),
        (["train", "CONFIG", "--cfg-options", "batch_size"], "KEY=VALUE"),
        (["train", "CONFIG", "--cfg-options", "max_iters=0"], "max_iters must be a positive"),
        (["train", "CONFIG", "--cfg-options", "batch_size=two"], "batch_size must be a positive"),
        (["train", "CONFIG", "--cfg-options", "pretraned=None"], "did you mean pretrained"),
        (["train", "CONFIG", "--launcher", "pytorch"], "for processes that torchrun starts"),
        (["train", "CONFIG", "--launcher", "slurm"], "for processes that srun starts"),
        (["train", "CONFIG", "--resume", "nowhere.pth"], "no such checkpoint to resume from"),
        (["predict", "CONFIG", "x.pth", "nowhere", "--out", "o"], "no such photograph or folder"),
        (["make-sample-data", "--out", "o", "--num-images", "1"], "num_images"),
    ],
)
def test_other_bad_input(arguments, expected, tiny_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert main([str(tiny_config) if a == "CONFIG" else a for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert expected in error
    assert not list(tmp_path.iterdir())


def test_a_run_without_launcher_under_torchrun_is_refused(tiny_config, monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", str(tiny_config)]) == 2
    assert "add --launcher pytorch" in capsys.readouterr().err


def test_a_file_in_the_way_of_the_work_dir(tiny_config, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["train", str(tiny_config), "--work-dir", str(tmp_path / "file" / "run")]) == 2
    assert "expected a folder to write to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
