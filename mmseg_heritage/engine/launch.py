"""Preparing a run for the launcher and the device it will find."""

from __future__ import annotations

import contextlib
import datetime
import logging
import multiprocessing
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, broadcast_object_list, init_dist
from mmengine.logging import print_log

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.distributed import (
    LostProcessError,
    Ranks,
    check_launcher,
    is_main_process,
    read_ranks,
)

# How the backends say that the other end of a connection is gone; gloo has no exception of its own.
_LOST = re.compile(
    r"connection (was )?(closed|reset|refused)|broken pipe|socket closed|timed out|timeout|"
    r"remote process exited|ncclRemoteError|failed to recv",
    re.IGNORECASE,
)


def prepare_distributed(cfg: Config) -> None:
    """Makes the process group of a distributed run, on machines without a GPU too.

    mmengine sets a CUDA device and passes it to DistributedDataParallel whatever the backend. Here
    the process group is made before the Runner, which then leaves it alone: with the config's
    backend (nccl) on GPUs, and with gloo without, where the wrapper is told to use the CPU and
    SyncBN, which has no CPU kernel, becomes BN.

    Args:
        cfg: The run's config; changed in place.

    Raises:
        InputError: If the launcher is unknown or is not what started this process, if there is no
            GPU for each process of a node, if the processes cannot meet, or if their configs
            differ.
    """
    check_launcher(cfg.launcher)
    has_gpu = torch.cuda.is_available()
    if not has_gpu:
        _warn_of_cpu(cfg.launcher)
    if cfg.launcher == "none":
        return
    ranks = read_ranks(cfg.launcher)
    if has_gpu:
        ranks = replace(ranks, local_rank=_device_index(cfg.launcher, ranks))
    else:
        _fit_to_cpu(cfg)
    ranks.export()
    if not torch.distributed.is_initialized():
        _init_process_group(cfg, ranks, has_gpu)
    _refuse_other_configs(cfg)


def _warn_of_cpu(launcher: str) -> None:
    """Says once that a run on a cluster uses no GPU: by mistake it would take days."""
    if not is_main_process() or (launcher == "none" and "SLURM_JOB_ID" not in os.environ):
        return
    given = os.environ.get("SLURM_JOB_GPUS") or os.environ.get("CUDA_VISIBLE_DEVICES")
    reason = (
        f"the job was given GPU {given}, but torch {torch.__version__} cannot use it"
        if given
        else "none was asked for (Slurm: --gres=gpu:N), or torch sees none"
    )
    print_log(
        f"no GPU on {socket.gethostname()}: {reason}. The run goes on, slowly, on the CPU",
        logger="current",
        level=logging.WARNING,
    )


def _device_index(launcher: str, ranks: Ranks) -> int:
    """Returns the number of the process's GPU among those that it sees."""
    visible = torch.cuda.device_count()
    if ranks.local_rank < visible:
        return ranks.local_rank
    if visible == 1 and launcher != "pytorch":
        return 0  # --gpus-per-task and its like show each task its own GPU, as number 0
    raise InputError(
        f"process {ranks.local_rank} on {socket.gethostname()} has no GPU: {visible} can be seen "
        "there, and each process needs one. Start fewer processes, or ask for more GPUs "
        "(torchrun --nproc_per_node, Slurm: --ntasks-per-node and --gres=gpu:N)"
    )


def _fit_to_cpu(cfg: Config) -> None:
    cfg.merge_from_dict({"env_cfg.dist_cfg.backend": "gloo"})
    cfg.model_wrapper_cfg = {
        "type": "MMDistributedDataParallel",
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
        **(cfg.get("model_wrapper_cfg") or {}),
        "device_ids": None,
    }
    cfg.model = without_sync_bn(cfg.model)


def _init_process_group(cfg: Config, ranks: Ranks, has_gpu: bool) -> None:
    """Makes the process group, or says why the processes did not find each other."""
    options = dict(cfg.get("env_cfg", {}).get("dist_cfg", {}))
    options.setdefault("backend", "nccl")
    if not torch.distributed.is_nccl_available():  # Windows
        options["backend"] = "gloo"
    try:
        if has_gpu:
            _choose_start_method(cfg)
            init_dist("pytorch", **options)  # its names are those that Ranks.export has set
            return
        limit = {}  # torch 2.1 takes no None
        if options.get("timeout") is not None:
            limit["timeout"] = datetime.timedelta(seconds=options["timeout"])
        torch.distributed.init_process_group("gloo", **limit)
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(_rendezvous_message(ranks, options["backend"], str(error))) from error


def _rendezvous_message(ranks: Ranks, backend: str, reason: str) -> str:
    place, host = f"{ranks.address}:{ranks.port}", socket.gethostname()
    reason = next((line.strip() for line in reason.splitlines() if line.strip()), "no reason given")
    if re.search("EADDRINUSE|address already in use", reason, re.IGNORECASE):
        return (
            f"port {ranks.port} is in use on {host}, perhaps by another run: set MASTER_PORT to a "
            "free port (torchrun: --master_port, or --standalone on one node)"
        )
    interfaces = ", ".join(name for _, name in socket.if_nameindex())
    family = "NCCL" if backend == "nccl" else "GLOO"
    return (
        f"process {ranks.rank} of {ranks.world_size} on {host} could not meet the others at "
        f"{place}: {reason}. Has another process ended, or a firewall closed the port? Where the "
        f"nodes share one of several networks, name its interface (here: {interfaces}): "
        f"export {family}_SOCKET_IFNAME=NAME"
    )


def _choose_start_method(cfg: Config) -> None:
    """Sets the start method of workers as the Runner will; init_dist would choose another one."""
    wanted = cfg.get("env_cfg", {}).get("mp_cfg", {}).get("mp_start_method", "fork")
    if multiprocessing.get_start_method(allow_none=True) is None:
        multiprocessing.set_start_method(wanted)


def _refuse_other_configs(cfg: Config) -> None:
    """Compares every process's config with that of process 0.

    They would train different models and average their gradients, or wait for each other forever.
    """
    mine = flatten(cfg.to_dict())
    reference = [mine]
    broadcast_object_list(reference)
    fields = {*mine, *reference[0]}
    differing = sorted(key for key in fields if mine.get(key) != reference[0].get(key))
    host = socket.gethostname()
    found = [f"{key} on {host}: {mine.get(key, 'not set')}" for key in differing]
    problems = [
        f"process {rank}: {problem}"
        for rank, others in enumerate(all_gather_object(found))
        for problem in others
    ]
    if problems:
        raise InputError(
            "the processes of this run have different configs. Give all of them the same files and "
            "options; these differ from those of process 0",
            problems,
        )


def flatten(node: Any, key: str = "") -> dict[str, str]:
    """Returns the leaves of a config by their dotted keys, as text."""
    if isinstance(node, Mapping):
        pairs = [(str(name), value) for name, value in node.items()]
    elif isinstance(node, (list, tuple)):
        pairs = [(str(index), value) for index, value in enumerate(node)]
    else:
        return {key: repr(node)}
    if not pairs:
        return {key: repr(node)}
    leaves: dict[str, str] = {}
    for name, value in pairs:
        leaves.update(flatten(value, f"{key}.{name}" if key else name))
    return leaves


@contextlib.contextmanager
def watching_processes() -> Iterator[None]:
    """Says in one sentence that another process has gone, where a collective call finds out.

    Raises:
        LostProcessError: In place of the backend's error.
    """
    try:
        yield
    except InputError:
        raise
    except RuntimeError as error:
        if not torch.distributed.is_initialized() or not _LOST.search(str(error)):
            raise
        reason = str(error).strip().splitlines()[0]
        raise LostProcessError(
            f"process {torch.distributed.get_rank()} on {socket.gethostname()} has lost contact "
            "with another process of this run, and stops. The message of the one that ended first "
            "says why; none is left by one that was killed, often for want of memory. Go on from "
            f"the last checkpoint with --resume ({reason})"
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
