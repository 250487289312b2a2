"""A real Slurm of two nodes on this machine's loopback, for the tests of this folder.

Everything is below one short folder in /tmp: configuration, key, sockets, logs. Nothing in
/etc/slurm, /run or /var is read or written, and the daemons listen on 127.0.0.1 only. GPUs are
names: character devices that are all /dev/null, so that --gres is obeyed and nothing computes.
Debian and Ubuntu: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "sinfo")
NODES = ("127.0.0.1", "127.0.0.2")  # names that resolve everywhere
GPUS = 4
NULL_DEVICE = os.makedev(1, 3)


class Cluster:
    """The daemons, and commands that talk to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []
        (folder / "log").mkdir()
        (folder / "state").mkdir()
        self.socket = folder / "munge.sock"
        self.conf = folder / "slurm.conf"
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        for name in [name for name in self.environment if name.startswith("SBATCH_")]:
            del self.environment[name]

    def start(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        for index in range(GPUS):  # the digit in the name is the GPU's number
            os.mknod(self.folder / f"nvidia{index}", 0o666 | stat.S_IFCHR, NULL_DEVICE)
        gres = "".join(f"Name=gpu File={self.folder}/nvidia{i}\n" for i in range(GPUS))
        (self.folder / "gres.conf").write_text(gres)
        self.conf.write_text(self._configuration(_free_ports(1 + len(NODES))))
        files = [
            f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "seed", "log")
        ]
        self._daemon("munged", "--force", "--foreground", f"--socket={self.socket}", *files)
        _wait(self.socket.exists, 20, "munged makes no socket")
        self._daemon("slurmctld", "-D", "-c", "-f", str(self.conf))
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node, "-f", str(self.conf))
        _wait(self._is_idle, 30, "the nodes do not come up")

    def stop(self) -> None:
        self.run("scancel", "--full", "--user=root", check=False)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=15)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def run(
        self, *command: str | Path, check: bool = True, timeout: float = 60, **options: object
    ) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **options.pop("env", {})}
        done = subprocess.run(
            [str(part) for part in command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            **options,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def job(self, number: str) -> dict[str, str]:
        """Returns what Slurm says about a job, such as JobState, ExitCode, Restarts."""
        shown = self.run("scontrol", "show", "job", "--oneliner", number).stdout
        return dict(pair.partition("=")[::2] for pair in shown.split() if "=" in pair)

    def wait_for(self, number: str, timeout: float = 240) -> dict[str, str]:
        """Waits until a job has ended for good."""
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        _wait(
            lambda: self.job(number)["JobState"] in over,
            timeout,
            lambda: f"job {number} does not end: {self.job(number)}",
        )
        return self.job(number)

    def _daemon(self, name: str, *options: str) -> None:
        log = (self.folder / "log" / f"{len(self.daemons)}-{name}").open("wb")
        with log:
            self.daemons.append(
                subprocess.Popen(
                    [_program(name), *options],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _is_idle(self) -> bool:
        states = self.run("sinfo", "--noheader", "--Node", "--format=%T", check=False)
        return states.stdout.split() == ["idle"] * len(NODES)

    def _configuration(self, ports: list[int]) -> str:
        host = socket.gethostname().split(".")[0]
        settings = {
            "ClusterName": "loopback",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": ports[0],
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "AuthType": "auth/munge",
            "CredType": "cred/munge",
            # Slurm lets a job that was put back wait for as long as a credential lives.
            "AuthInfo": f"socket={self.socket},cred_expire=5",
            "StateSaveLocation": self.folder / "state",
            "SlurmdSpoolDir": self.folder / "spool.%n",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "slurmd.%n.pid",
            # No cgroups: they are not to be had in containers.
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core",
            "SchedulerParameters": "batch_sched_delay=1,sched_interval=2,bf_interval=2",
            "GresTypes": "gpu",
            "ReturnToService": 2,
            "KillWait": 2,
            "MinJobAge": 600,
            "SlurmdParameters": "config_overrides",  # more CPUs than there are
            "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",  # 127.0.0.1 only
        }
        lines = [f"{key}={value}" for key, value in settings.items()]
        lines += [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 "
            f"RealMemory=65536 Gres=gpu:{GPUS} State=UNKNOWN"
            for node, port in zip(NODES, ports[1:], strict=True)
        ]
        lines += [f"PartitionName=test Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE"]
        return "\n".join(lines) + "\n"


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _wait(condition, seconds: float, complaint) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(complaint if isinstance(complaint, str) else complaint())
        time.sleep(0.2)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running Slurm; skips where it or its rights are missing."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        pytest.skip(f"no Slurm here: {', '.join(missing)} missing (apt-get install --no-install-"
                    "recommends slurmctld slurmd slurm-client munge)")  # fmt: skip
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons and the names of its GPUs need root")
    # Not below pytest's own folder: the path of a socket may have 107 characters only.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    try:
        os.mknod(folder / "probe", 0o666 | stat.S_IFCHR, NULL_DEVICE)
        (folder / "probe").open("rb").close()
    except OSError as error:
        shutil.rmtree(folder)
        pytest.skip(f"root may not make device files here ({error})")
    folder.chmod(0o755)
    running = Cluster(folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder)
