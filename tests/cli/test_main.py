"""The command line: its help, and runs that are killed, resumed or repeated."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from mmseg_heritage.cli import _message, _parser, main
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.utils.distributed import LostProcessError, OneProcessError, alone


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestHelp:
    """``--help`` and parsing."""

    @pytest.mark.parametrize("command", [[], ["train"], ["test"], ["predict"], ["quickstart"]])
    def test_help_needs_no_heavy_module(self, command):
        code = (
            "import sys\n"
            "from mmseg_heritage.cli import main\n"
            "try:\n"
            f"    main({[*command, '--help']!r})\n"
            "except SystemExit as end:\n"
            "    assert end.code == 0\n"
            "heavy = {'torch', 'mmengine', 'mmseg', 'mmcv', 'numpy', 'cv2', 'rich'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "usage: mmseg-heritage" in done.stdout

    def test_the_module_runs(self):
        done = subprocess.run(
            [sys.executable, "-m", "mmseg_heritage", "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0
        for command in ("train", "test", "predict", "make-sample-data", "quickstart"):
            assert command in done.stdout

    @pytest.mark.parametrize("spelling", ["--local_rank=1", "--local-rank=1"])
    def test_the_rank_of_old_and_new_launchers_is_taken(self, spelling, monkeypatch, capsys):
        import os

        monkeypatch.setattr(os, "environ", dict(os.environ))
        os.environ.pop("LOCAL_RANK", None)
        assert main(["train", "nowhere.py", spelling]) == 2
        assert os.environ["LOCAL_RANK"] == "1"

    def test_options_given_twice_add_up(self):
        once = ["train", "c.py", "--cfg-options", "a=1", "--amp", "--cfg-options", "b=2", "a=3"]
        assert _parser().parse_args(once).cfg_options == ["a=1", "b=2", "a=3"]
        assert _parser().parse_args(["train", "c.py"]).cfg_options == []


class TestSeveralProcesses:
    """What the processes of one run say."""

    @pytest.fixture(autouse=True)
    def _no_grace(self, monkeypatch):
        monkeypatch.setattr("mmseg_heritage.cli._GRACE", 0.0)

    @pytest.mark.parametrize(("local_rank", "is_said"), [("0", True), ("1", False)])
    def test_one_on_each_node_says_what_all_met(self, local_rank, is_said, monkeypatch, capsys):
        monkeypatch.setenv("RANK", "5")
        monkeypatch.setenv("LOCAL_RANK", local_rank)
        assert main(["train", "nowhere.py", "--launcher", "pytorch"]) == 2
        assert ("nowhere.py: no such config file" in capsys.readouterr().err) is is_said
        assert main(["train", "nowhere.py"]) == 2  # LOCAL_RANK may be left from something else
        assert "nowhere.py" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("error", "code"),
        [(OneProcessError("a.png: truncated"), 2), (LostProcessError("lost contact"), 1)],
    )
    def test_what_one_met_alone_is_always_said(self, error, code, monkeypatch, capsys):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setenv("LOCAL_RANK", "1")
        monkeypatch.setattr("mmseg_heritage.apis.training.train", fail)
        assert main(["train", "c.py", "--launcher", "pytorch"]) == code
        assert capsys.readouterr().err == f"error: {error}\n"


class _OnePhotograph:
    """A data set whose only photograph is read by the worker that asks for it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int):
        return read_image(self.path)


def test_a_fault_that_a_data_loading_worker_meets_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_text("no image")
    with pytest.raises(InputError) as caught:
        list(DataLoader(_OnePhotograph(path), num_workers=1))
    message = _message(caught.value)
    assert message.startswith(f"{path}: cannot be read as an image")
    assert "\n" not in message
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OneProcessError) as alone_caught, alone():
        list(DataLoader(_OnePhotograph(path), num_workers=1))
    assert _message(alone_caught.value) == message


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tiny_config, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", str(tiny_config), "--work-dir", str(run), "--resume",
                 "--cfg-options", "max_iters=80"]  # fmt: skip
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "mmseg_heritage", *arguments], stdout=log, stderr=log
    )
    deadline = time.monotonic() + 120
    while not (run / "last_checkpoint").exists():
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    log.close()
    assert "starting from the beginning" in (tmp_path / "log").read_text()
    assert not (run / "iter_80.pth").exists()
    reached = int(Path((run / "last_checkpoint").read_text()).stem.split("_")[1])

    moved = run.rename(tmp_path / "moved")  # the record inside names the old place
    arguments[3] = str(moved)
    assert main(arguments) == 0
    assert (moved / "iter_80.pth").is_file()
    logs = "".join(path.read_text() for path in moved.glob("*/*.log"))
    assert f"resumed epoch: 0, iter: {reached}" in logs


@pytest.mark.slow
def test_a_finished_run_is_not_replaced_without_being_asked(tiny_run, tmp_path, capsys):
    copy = Path(shutil.copytree(tiny_run.folder, tmp_path / "copy"))
    (copy / "best_mIoU_iter_999.pth").write_bytes(b"of the earlier run")
    before = files_below(copy)
    arguments = ["train", str(tiny_run.config), "--work-dir", str(copy),
                 "--cfg-options", "max_iters=1"]  # fmt: skip
    assert main(arguments) == 2
    assert "already holds a run. Continue it with --resume" in capsys.readouterr().err
    assert files_below(copy) == before
    assert main([*arguments, "--overwrite"]) == 0
    assert (copy / "last_checkpoint").read_text().endswith("iter_1.pth")
    assert not (copy / "best_mIoU_iter_999.pth").exists()


@pytest.mark.slow
def test_sample_data_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "sample"
    arguments = ["make-sample-data", "--out", str(out), "--num-images", "3", "--size", "64"]
    assert main(arguments) == 0
    assert len(list((out / "images").iterdir())) == 3
    assert str(out) in capsys.readouterr().out
