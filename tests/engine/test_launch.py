"""Starting runs by launchers, and distributed training on a machine without a GPU."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from PIL import Image

from mmseg_heritage.cli import main
from mmseg_heritage.engine import launch
from mmseg_heritage.engine.hooks import EXIT_PREEMPTED, PreemptionHook
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.distributed import Ranks

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
    with pytest.raises(InputError, match=r"Start it with|must be one of"):
        launch.prepare_distributed(Config({"launcher": launcher, "model": {}}))


@pytest.mark.parametrize(
    ("launcher", "local_rank", "visible", "expected"),
    [
        ("pytorch", 3, 4, 3),
        ("slurm", 1, 4, 1),  # --gres: every task sees all GPUs of the job
        ("slurm", 3, 1, 0),  # --gpus-per-task: each sees its own
        ("mpi", 3, 1, 0),
        ("pytorch", 1, 1, None),
        ("slurm", 4, 2, None),
    ],
)
def test_each_process_takes_a_gpu_of_its_own(launcher, local_rank, visible, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    ranks = Ranks(local_rank, 8, local_rank, "localhost", 1)
    if expected is None:
        with pytest.raises(InputError, match=f"has no GPU: {visible} can be seen"):
            launch._device_index(launcher, ranks)
    else:
        assert launch._device_index(launcher, ranks) == expected


def test_wrapper_options_of_the_config_reach_a_cpu_run():
    cfg = Config({"model": {}, "find_unused_parameters": True})
    launch._fit_to_cpu(cfg)
    assert cfg.model_wrapper_cfg.find_unused_parameters is True
    cfg.model_wrapper_cfg = {"type": "MMDistributedDataParallel", "broadcast_buffers": True,
                             "device_ids": [0]}  # fmt: skip
    launch._fit_to_cpu(cfg)
    assert cfg.model_wrapper_cfg.broadcast_buffers is True
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.env_cfg.dist_cfg.backend == "gloo"


def test_a_port_in_use_and_a_failed_meeting_say_what_to_do(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": str(taken.getsockname()[1])}  # fmt: skip
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match=r"port \d+ is in use on .*: set MASTER_PORT"):
            launch._init_process_group(
                Config({}), Ranks(0, 2, 0, "127.0.0.1", int(place["MASTER_PORT"])), False
            )
    monkeypatch.setenv("RANK", "1")  # nobody listens there any more
    cfg = Config({"env_cfg": {"dist_cfg": {"backend": "gloo", "timeout": 1}}})
    with pytest.raises(InputError, match=r"could not meet the others .*GLOO_SOCKET_IFNAME"):
        launch._init_process_group(
            cfg, Ranks(1, 2, 1, "127.0.0.1", int(place["MASTER_PORT"])), False
        )
    message = launch._rendezvous_message(Ranks(1, 2, 1, "n1", 5), "nccl", "timed out")
    assert "NCCL_SOCKET_IFNAME" in message


@pytest.mark.parametrize("job", [{"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "0,1"}, {}])
def test_a_cluster_run_without_a_gpu_warns_and_a_laptop_does_not(job, monkeypatch):
    said = []
    monkeypatch.setattr(launch, "print_log", lambda text, **_: said.append(text))
    for name in ("SLURM_JOB_ID", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    launch._warn_of_cpu("none")
    assert len(said) == len(job) // 2
    assert all("was given GPU 0,1, but torch" in text for text in said)


def test_leaves_of_a_config_have_dotted_names():
    node = {"a": {"b": [1, {"c": "x"}], "empty": {}}, "d": None}
    assert launch.flatten(node) == {
        "a.b.0": "1", "a.b.1.c": "'x'", "a.empty": "{}", "d": "None",
    }  # fmt: skip


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
    assert "on cpu, 2 processes" in output
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
    assert output.count("sample_0004.png: the image is truncated") == 1
    assert not (tmp_path / "run").exists()


def variables(rank: int, port: int) -> dict[str, str]:
    """What torchrun sets, for processes that nothing watches over."""
    return {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip


@pytest.mark.slow
def test_processes_with_different_configs_are_found(tiny_config, tmp_path):
    port = free_port()
    commands = [
        [sys.executable, *train_command(tiny_config, tmp_path / "run", "pytorch", f"lr={lr}")]
        for lr in (0.1, 0.2)
    ]
    done = run_processes(commands, [variables(rank, port) for rank in (0, 1)])
    assert [code for code, _ in done] == [2, 2], done
    assert "the processes of this run have different configs" in done[0][1]
    assert re.search(r"process 1: optim_wrapper.optimizer.lr on \S+: 0.2", done[0][1])
    assert "error:" not in done[1][1]  # one process speaks for its node
    assert not (tmp_path / "run").exists()


@contextlib.contextmanager
def two_processes_that_train(config: Path, folder: Path, log: Path) -> Iterator[list]:
    """Processes that nothing watches over, when they have written a checkpoint; one log of both."""
    port = free_port()
    command = [sys.executable, *train_command(config, folder, "pytorch")]
    command = [word.replace("max_iters=2", "max_iters=1000") for word in command]
    with log.open("w") as sink:
        processes = [
            subprocess.Popen(
                command,
                env={**os.environ, "OMP_NUM_THREADS": "1", **variables(rank, port)},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
            for rank in (0, 1)
        ]
    try:
        end = time.monotonic() + 200
        while not (folder / "last_checkpoint").exists():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_when_a_process_is_killed_the_other_ends_with_a_message(tiny_config, tmp_path):
    log = tmp_path / "log"
    with two_processes_that_train(tiny_config, tmp_path / "run", log) as processes:
        processes[1].kill()
        assert processes[0].wait(timeout=60) == 1
    output = log.read_text()
    assert "error: process 0 on " in output
    assert "has lost contact with another process of this run" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_signal_to_one_process_lets_both_leave_after_the_same_iteration(tiny_config, tmp_path):
    log = tmp_path / "log"
    with two_processes_that_train(tiny_config, tmp_path / "run", log) as processes:
        processes[1].send_signal(signal.SIGUSR1)
        codes = [process.wait(timeout=120) for process in processes]
    output = log.read_text()
    assert codes == [EXIT_PREEMPTED, EXIT_PREEMPTED], output
    [(saved, iteration)] = re.findall(r"SIGUSR1: saved (\S+) after iteration (\d+)", output)
    assert int(iteration) % PreemptionHook().interval == 0
    assert (tmp_path / "run" / "last_checkpoint").read_text() == saved
    assert torch.load(saved, weights_only=False)["meta"]["iter"] == int(iteration)
    assert "Traceback" not in output


@pytest.mark.slow
def test_two_processes_test_to_the_last_digit_as_one_does(tiny_run, tmp_path):
    common = ["test", str(tiny_run.config), str(tiny_run.checkpoint), "--skip-data-check"]
    assert main([*common, "--work-dir", str(tmp_path / "one")]) == 0
    tool = str(REPOSITORY / "tools" / "test.py")
    arguments = [*common[1:], "--work-dir", str(tmp_path / "two"), "--launcher", "pytorch"]
    [(code, output)] = run_processes([torchrun(tool, *arguments)], [{}])
    assert code == 0, output
    one, two = (
        json.loads((tmp_path / name / "evaluation" / "metrics.json").read_text())
        for name in ("one", "two")
    )
    assert (one.pop("run")["processes"], two.pop("run")["processes"]) == (1, 2)
    assert one == two


# Equal in exact arithmetic: the mean of the gradients of two halves is that of the whole where both
# halves have as many pixels, no statistics over the batch, and no chance that differs by process.
EXACT = """
train_dataloader = val_dataloader = test_dataloader = dict(
    dataset=dict(data_root={data!r}))
model = dict(decode_head=dict(
    norm_cfg=dict(_delete_=True, type='GN', num_groups=4),
    loss_decode=[dict(type='MaskedCrossEntropyLoss')]))
optim_wrapper = dict(dtype='float32', optimizer=dict(_delete_=True, type='SGD', lr=0.05))
"""


@pytest.mark.slow
def test_two_processes_train_as_one_does_at_the_same_global_batch(
    tiny_config, copied_sample_set, tmp_path
):
    for path in copied_sample_set.glob("*/*.png"):
        with Image.open(path) as image:
            resized = image.resize((96, 96), Image.Resampling.NEAREST)
        if path.parent.name == "annotations":
            resized = resized.point(lambda i: 0 if i == 255 else i)
        resized.save(path)
    config = tmp_path / "exact.py"
    text = EXACT.format(data=str(copied_sample_set))
    config.write_text(f"_base_ = [{str(tiny_config)!r}]\n{text}")
    options = ["max_iters=6", "crop_size=96", "augmentation=none", "global_batch_size=2"]
    common = [str(config), "--cfg-options", *options, "--work-dir"]
    assert main(["train", *common, str(tmp_path / "one")]) == 0
    arguments = [*common, str(tmp_path / "two"), "--launcher", "pytorch"]
    command = torchrun(str(REPOSITORY / "tools" / "train.py"), *arguments)
    [(code, output)] = run_processes([command], [{}])
    assert code == 0, output
    one, two = (
        torch.load(tmp_path / name / "iter_6.pth", weights_only=False) for name in ("one", "two")
    )
    start = torch.load(tmp_path / "one" / "iter_5.pth", weights_only=False)["state_dict"]
    assert any(not torch.equal(start[name], w) for name, w in one["state_dict"].items())
    for name, weight in one["state_dict"].items():
        assert torch.allclose(weight, two["state_dict"][name], rtol=1e-4, atol=1e-6), name
    scores = [_last_scores(tmp_path / name) for name in ("one", "two")]
    assert scores[0]["mIoU"] == pytest.approx(scores[1]["mIoU"], abs=0.1)
    assert scores[0]["aAcc"] == pytest.approx(scores[1]["aAcc"], abs=0.1)


def _last_scores(folder: Path) -> dict[str, float]:
    [path] = folder.glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if "mIoU" in line][-1]


@pytest.mark.slow
def test_two_tasks_of_mpirun(tiny_config, tmp_path):
    command = [sys.executable, *train_command(tiny_config, tmp_path / "run", "mpi")]
    shared = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
              "MASTER_PORT": str(free_port())}  # fmt: skip
    environments = [
        {**shared, "OMPI_COMM_WORLD_RANK": str(i), "OMPI_COMM_WORLD_LOCAL_RANK": str(i)}
        for i in (0, 1)
    ]
    done = run_processes([command] * 2, environments)
    assert [code for code, _ in done] == [0, 0], done
    assert (tmp_path / "run" / "iter_2.pth").is_file()
