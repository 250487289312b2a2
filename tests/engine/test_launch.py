"""Starting runs by launchers, and distributed training on a machine without a GPU."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict

from mmseg_heritage.engine import launch
from mmseg_heritage.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_sync_bn_becomes_bn_at_every_depth_and_nothing_else_changes():
    node = ConfigDict(
        {
            "backbone": {"norm_cfg": {"type": "SyncBN", "requires_grad": True}, "depth": 50},
            "heads": [{"norm_cfg": {"type": "SyncBN"}}, {"norm_cfg": {"type": "LN"}}],
            "pair": ({"type": "SyncBN"}, "SyncBN"),
        }
    )
    before = node.to_dict()
    changed = launch.without_sync_bn(node)
    assert isinstance(changed, ConfigDict)
    assert changed.to_dict() == {
        "backbone": {"norm_cfg": {"type": "BN", "requires_grad": True}, "depth": 50},
        "heads": [{"norm_cfg": {"type": "BN"}}, {"norm_cfg": {"type": "LN"}}],
        "pair": ({"type": "BN"}, "SyncBN"),
    }
    assert node.to_dict() == before


def test_one_process_needs_no_preparation():
    cfg = Config({"launcher": "none", "model": {"norm_cfg": {"type": "SyncBN"}}})
    launch.prepare_distributed(cfg)
    assert cfg.model.norm_cfg.type == "SyncBN"
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("launcher", ["pytorch", "slurm", "mpi", "gpu"])
def test_a_launcher_that_did_not_start_this_process_is_refused(launcher, monkeypatch):
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"start it with|must be one of"):
        launch.prepare_distributed(Config({"launcher": launcher, "model": {}}))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"RANK": "0"}, True),
        ({"RANK": "1"}, False),
        ({"SLURM_PROCID": "3"}, False),
        ({"RANK": "0", "SLURM_PROCID": "3"}, True),
        ({"OMPI_COMM_WORLD_RANK": "2"}, False),
    ],
)
def test_the_main_process_is_known_before_torch_is_set_up(environment, expected, monkeypatch):
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launch.is_main_process() is expected


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_processes(
    commands: list[list[str]], environments: list[dict[str, str]]
) -> list[tuple[int, str]]:
    processes = [
        subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command, environment in zip(commands, environments, strict=True)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    return [(p.returncode, o) for p, o in zip(processes, outputs, strict=True)]


def train_command(config: Path, folder: Path, launcher: str, *options: str) -> list[str]:
    return [str(REPOSITORY / "tools" / "train.py"), str(config), "--work-dir", str(folder),
            "--launcher", launcher, "--cfg-options", "max_iters=2",
            "model.decode_head.norm_cfg.type=SyncBN", *options]  # fmt: skip


def torchrun(*command: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
            f"--master_port={free_port()}", *command]  # fmt: skip


@pytest.mark.slow
def test_two_processes_of_torchrun_train_validate_and_save_once(tiny_config, tmp_path):
    command = torchrun(*train_command(tiny_config, tmp_path / "run", "pytorch"))
    [(code, output)] = run_processes([command], [{}])
    assert code == 0, output
    assert (tmp_path / "run" / "iter_2.pth").is_file()
    assert "Distributed launcher: pytorch" in output
    assert "GPU number: 2" in output  # what mmengine calls the number of processes
    scalars = (tmp_path / "run").glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for path in scalars for line in path.read_text().splitlines()]
    assert sum("mIoU" in line for line in lines) == 2  # one process logs each validation

    checkpoint = torch.load(tmp_path / "run" / "iter_2.pth", weights_only=False)
    assert not any(key.startswith("module.") for key in checkpoint["state_dict"])


@pytest.mark.slow
def test_bad_data_stops_all_processes_before_anything_is_written(
    tiny_config, copied_sample_set, tmp_path
):
    path = copied_sample_set / "images" / "sample_0004.png"
    path.write_bytes(path.read_bytes()[:200])
    command = train_command(
        tiny_config, tmp_path / "run", "pytorch", f"data_root={copied_sample_set}"
    )
    [(code, output)] = run_processes([torchrun(*command)], [{}])
    assert code != 0
    assert "sample_0004.png: the image is truncated" in output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_slurm_tasks_without_a_gpu(tiny_config, tmp_path):
    fake = tmp_path / "bin" / "scontrol"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 127.0.0.1\necho other\n")
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    command = [sys.executable, *train_command(tiny_config, tmp_path / "run", "slurm")]
    shared = {"SLURM_NTASKS": "2", "SLURM_NODELIST": "node[1-2]", "MASTER_PORT": str(free_port()),
              "PATH": f"{fake.parent}:{os.environ['PATH']}"}  # fmt: skip
    environments = [{**shared, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in (0, 1)]
    done = run_processes([command] * 2, environments)
    assert [code for code, _ in done] == [0, 0], done
    assert (tmp_path / "run" / "iter_2.pth").is_file()
