"""Preparing a run for the launcher and the device it will find."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist

from mmseg_heritage.errors import InputError

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")

# What each launcher tells its processes through the environment.
_VARIABLES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST"),
    "mpi": (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "MASTER_ADDR",
    ),
}


def prepare_distributed(cfg: Config) -> None:
    """Makes the process group of a distributed run, on machines without a GPU too.

    mmengine sets a CUDA device and passes it to DistributedDataParallel whatever the backend. Here
    the process group is made before the Runner, which then leaves it alone; without a GPU it uses
    gloo, and the wrapper is told to use the CPU.

    Args:
        cfg: The run's config; changed in place.

    Raises:
        InputError: If the launcher is unknown, or is not what started this process.
    """
    _check_launcher(cfg.launcher)
    if cfg.launcher == "none":
        return
    if torch.cuda.is_available():
        if not torch.distributed.is_initialized():
            _choose_start_method(cfg)
            init_dist(cfg.launcher, **cfg.get("env_cfg", {}).get("dist_cfg", {}))
        return
    cfg.merge_from_dict({"env_cfg.dist_cfg.backend": "gloo"})
    cfg.model_wrapper_cfg = {
        "type": "MMDistributedDataParallel",
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
        "device_ids": None,
    }
    cfg.model = without_sync_bn(cfg.model)
    if not torch.distributed.is_initialized():
        _name_ranks(cfg.launcher)
        torch.distributed.init_process_group("gloo")


def _check_launcher(launcher: str) -> None:
    """Refuses a launcher that did not start this process: runs would hang or fight for files."""
    if launcher not in LAUNCHERS:
        raise InputError(f"launcher must be one of {', '.join(LAUNCHERS)}, found '{launcher}'")
    if launcher == "none":
        if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
            raise InputError("torchrun started several processes: add --launcher pytorch")
        return
    missing = [f"{name} is not set" for name in _VARIABLES[launcher] if name not in os.environ]
    if missing:
        starter = {"pytorch": "torchrun", "slurm": "srun", "mpi": "mpirun"}[launcher]
        raise InputError(
            f"--launcher {launcher} is for processes that {starter} starts; "
            f"start it with {starter}, or leave --launcher out to use one process",
            missing,
        )


def _choose_start_method(cfg: Config) -> None:
    """Sets the start method of workers as the Runner will; init_dist would choose another one."""
    wanted = cfg.get("env_cfg", {}).get("mp_cfg", {}).get("mp_start_method", "fork")
    if multiprocessing.get_start_method(allow_none=True) is None:
        multiprocessing.set_start_method(wanted)


def _name_ranks(launcher: str) -> None:
    """Gives torch the ranks under the names it reads, from those that Slurm and MPI use."""
    environ = os.environ
    if launcher == "slurm":
        environ["RANK"] = environ["SLURM_PROCID"]
        environ["WORLD_SIZE"] = environ["SLURM_NTASKS"]
        environ["LOCAL_RANK"] = environ.get("SLURM_LOCALID", "0")
        if "MASTER_ADDR" not in environ:
            environ["MASTER_ADDR"] = _first_slurm_node(environ["SLURM_NODELIST"])
    elif launcher == "mpi":
        environ["RANK"] = environ["OMPI_COMM_WORLD_RANK"]
        environ["WORLD_SIZE"] = environ["OMPI_COMM_WORLD_SIZE"]
        environ["LOCAL_RANK"] = environ["OMPI_COMM_WORLD_LOCAL_RANK"]
    environ.setdefault("MASTER_PORT", "29500")  # torch's default


def _first_slurm_node(nodes: str) -> str:
    """Returns the first host of a list such as 'node[3-5,9]'."""
    try:
        command = ["scontrol", "show", "hostnames", nodes]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        return found.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise InputError(
            f"scontrol cannot name the first node of '{nodes}' ({error}); set MASTER_ADDR to it"
        ) from error


def without_sync_bn(node: Any) -> Any:
    """Returns a config with every SyncBN replaced by BN, which also runs on CPU."""
    if isinstance(node, dict):
        changed = {key: without_sync_bn(value) for key, value in node.items()}
        if changed.get("type") == "SyncBN":
            changed["type"] = "BN"
        return type(node)(changed)
    if isinstance(node, (list, tuple)):
        return type(node)(without_sync_bn(value) for value in node)
    return node


def is_main_process() -> bool:
    """Whether this process reports and writes, told from the environment before torch is set up."""
    names = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
    return next((os.environ[name] for name in names if os.environ.get(name)), "0") == "0"
