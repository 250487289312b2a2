"""Which process of a run this is and where the processes meet, read from the environment.

Needs no torch: the command line asks before anything is imported.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mmseg_heritage.errors import InputError

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
STARTERS = {"pytorch": "torchrun", "slurm": "srun", "mpi": "mpirun"}

# Rank, number of processes, and rank on its node, as each launcher calls them.
_RANKS = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
}
# What else must be there. A batch script has SLURM_PROCID too; only srun numbers its steps.
_ALSO_NEEDED = {
    "pytorch": ("MASTER_ADDR", "MASTER_PORT"),
    "slurm": ("SLURM_JOB_ID", "SLURM_STEP_ID"),
    "mpi": (),
}
# Above the ports of well-known services, below those that Linux hands out by itself (32768 on).
_FIRST_PORT, _NUM_PORTS = 15000, 15000


class OneProcessError(InputError):
    """Bad input that one process of a run met alone, such as a file only it has read."""


class LostProcessError(RuntimeError):
    """Another process of the run has ended, so that this one cannot go on."""


@dataclass(frozen=True)
class Ranks:
    """A process's place in a run.

    Attributes:
        rank: 0 for the process that writes.
        world_size: Number of processes.
        local_rank: Number of the process on its node, from 0.
        address: Host of the process of rank 0.
        port: Port where that process waits for the others.
    """

    rank: int
    world_size: int
    local_rank: int
    address: str
    port: int

    def export(self) -> None:
        """Gives torch and mmengine the place under the names that they read."""
        os.environ.update(
            RANK=str(self.rank),
            WORLD_SIZE=str(self.world_size),
            LOCAL_RANK=str(self.local_rank),
            MASTER_ADDR=self.address,
            MASTER_PORT=str(self.port),
        )


def check_launcher(launcher: str) -> None:
    """Refuses a launcher that did not start this process: runs would hang or mix their files.

    Raises:
        InputError: If the launcher is unknown, or 'none' for one of several processes.
    """
    if launcher not in LAUNCHERS:
        raise InputError(f"launcher must be one of {', '.join(LAUNCHERS)}, found '{launcher}'")
    if launcher != "none":
        return
    sizes = {"slurm": "SLURM_STEP_NUM_TASKS", "mpi": "OMPI_COMM_WORLD_SIZE"}
    if "TORCHELASTIC_RUN_ID" in os.environ:
        sizes["pytorch"] = "WORLD_SIZE"
    for name, variable in sizes.items():
        if os.environ.get(variable, "1") != "1":
            raise InputError(
                f"{STARTERS[name]} started {os.environ[variable]} processes that do not know of "
                f"each other: add --launcher {name}"
            )


def read_ranks(launcher: str) -> Ranks:
    """Reads the place of this process.

    Args:
        launcher: 'pytorch', 'slurm' or 'mpi'.

    Raises:
        InputError: If the launcher did not start this process, with everything that is missing or
            wrong; or if the address where the processes meet does not resolve.
    """
    environ = os.environ
    needed = [*_RANKS[launcher], *_ALSO_NEEDED[launcher]]
    if "MASTER_ADDR" not in environ:
        needed += {"slurm": ["SLURM_STEP_NODELIST"], "mpi": _address_of_mpi()}.get(launcher, [])
    problems = [f"{name} is not set" for name in needed if not environ.get(name)]
    problems += [
        f"{name}='{environ[name]}' is not a number"
        for name in (*_RANKS[launcher], "MASTER_PORT", "SLURM_JOB_ID")
        if environ.get(name) and not environ[name].isdecimal()
    ]
    if not problems:
        rank, size, local = (int(environ[name]) for name in _RANKS[launcher])
        if max(rank, local) >= size:
            problems = [f"{name}={environ[name]}" for name in _RANKS[launcher]]
    if problems:
        starter = STARTERS[launcher]
        raise InputError(
            f"--launcher {launcher} is for processes that {starter} starts, which sets the "
            f"variables below and numbers the processes from 0. Start it with {starter}, or leave "
            "--launcher out to use one process",
            problems,
        )
    address = environ.get("MASTER_ADDR") or (
        first_node(environ["SLURM_STEP_NODELIST"]) if launcher == "slurm" else "127.0.0.1"
    )
    _check_address(address)
    return Ranks(rank, size, local, address, _port(launcher))


def _address_of_mpi() -> list[str]:
    """Returns the variable that mpirun's processes need to meet; those of one node need none."""
    sizes = {os.environ.get(f"OMPI_COMM_WORLD_{name}SIZE") for name in ("", "LOCAL_")}
    return [] if len(sizes) == 1 else ["MASTER_ADDR"]


def first_node(nodes: str) -> str:
    """Returns the first name of a Slurm list such as 'gpu[03-05,9],big1': 'gpu03'.

    ``scontrol show hostnames`` does the same, but is not there inside containers.
    """
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first.group() if first else nodes)


def _check_address(address: str) -> None:
    try:
        socket.getaddrinfo(address, None)
    except OSError as error:
        raise InputError(
            f"the processes are to meet at '{address}' (MASTER_ADDR, or Slurm's first node), which "
            f"does not resolve on {socket.gethostname()}: {error}. Set MASTER_ADDR to an address "
            "of the first node that all nodes know, and start again"
        ) from error


def _port(launcher: str) -> int:
    """Returns MASTER_PORT, or a port of this job's own: two jobs on one node must not clash.

    Jobs get numbers one after the other, so that the ports of jobs of the same time differ.
    """
    environ = os.environ
    if environ.get("MASTER_PORT"):
        return int(environ["MASTER_PORT"])
    if launcher == "slurm":
        step = environ["SLURM_STEP_ID"]
        number = int(environ["SLURM_JOB_ID"]) + 4999 * (int(step) if step.isdecimal() else 0)
    else:
        number = zlib.crc32(environ.get("PMIX_NAMESPACE", "").encode())
    return _FIRST_PORT + number % _NUM_PORTS


def is_main_process() -> bool:
    """Whether this process is the one that reports and writes: the one of rank 0.

    May be asked at any time. Once torch's process group exists, the rank in it counts. Before that,
    and in a run of one process, the variables count that launchers set; without any, it is True.
    """
    groups = sys.modules.get("torch.distributed")  # not imported here: that takes seconds
    if groups is not None and groups.is_available() and groups.is_initialized():
        return bool(groups.get_rank() == 0)
    names = [names[0] for names in _RANKS.values()]
    return next((os.environ[name] for name in names if os.environ.get(name)), "0") == "0"


def is_first_of_node(launcher: str) -> bool:
    """Whether this process reports for its node.

    Until a run starts, the processes of a node read the same files and arguments and meet the same
    faults. Those of another node may not: its disks are others.
    """
    return launcher == "none" or os.environ.get(_RANKS[launcher][2], "0") == "0"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Marks what a process meets in the block as its own: the others may not have met it.

    Raises:
        OneProcessError: For an :class:`InputError` in one of several processes.
    """
    try:
        yield
    except InputError as error:
        if os.environ.get("WORLD_SIZE", "1") == "1":
            raise
        raise OneProcessError(str(error)) from error
