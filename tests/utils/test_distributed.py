"""Reading from the environment which process this is, and refusing what cannot work."""

import pytest
import torch

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils import distributed

SLURM = {"SLURM_JOB_ID": "41", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "4",
         "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "127.0.0.[1-2]"}  # fmt: skip
MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
       "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "host-1@1"}  # fmt: skip
TORCHRUN = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost",
            "MASTER_PORT": "29511"}  # fmt: skip


@pytest.fixture
def environment(monkeypatch):
    """Sets the environment to what a launcher sets, and nothing of another one."""

    def set_to(values):
        for name in {*SLURM, *MPI, *TORCHRUN, "SLURM_STEP_NUM_TASKS", "TORCHELASTIC_RUN_ID"}:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    set_to({})
    return set_to


def test_each_launcher_is_understood(environment):
    environment(TORCHRUN)
    assert distributed.read_ranks("pytorch") == distributed.Ranks(0, 2, 0, "localhost", 29511)
    environment(SLURM)
    assert distributed.read_ranks("slurm") == distributed.Ranks(3, 4, 1, "127.0.0.1", 15041)
    environment(MPI)
    found = distributed.read_ranks("mpi")
    assert (found.rank, found.world_size, found.local_rank) == (1, 2, 1)
    assert found.address == "127.0.0.1"


def test_what_is_set_by_hand_wins(environment):
    environment({**SLURM, "MASTER_ADDR": "localhost", "MASTER_PORT": "12345"})
    found = distributed.read_ranks("slurm")
    assert (found.address, found.port) == ("localhost", 12345)


def test_jobs_of_the_same_time_and_steps_of_one_job_get_ports_of_their_own(environment):
    ports = {}
    for job in range(70_000, 70_400):
        for step in range(3):
            environment({**SLURM, "SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)})
            ports[job, step] = distributed.read_ranks("slurm").port
    assert len(set(ports.values())) == len(ports)
    assert min(ports.values()) > 1024
    assert max(ports.values()) < 32768  # from there on Linux hands ports out


@pytest.mark.parametrize(
    ("launcher", "values"), [("slurm", SLURM), ("mpi", MPI), ("pytorch", TORCHRUN)]
)
def test_variables_half_set_are_named_in_one_message(environment, launcher, values):
    optional = {"PMIX_NAMESPACE", "OMPI_COMM_WORLD_LOCAL_SIZE"}
    needed = [name for name in values if name not in optional]
    for missing in needed:
        environment({name: value for name, value in values.items() if name != missing})
        with pytest.raises(InputError) as caught:
            distributed.read_ranks(launcher)
        assert f"{missing} is not set" in caught.value.problems
    environment({needed[0]: values[needed[0]]})
    with pytest.raises(InputError) as caught:
        distributed.read_ranks(launcher)
    assert {f"{name} is not set" for name in needed[1:]} <= set(caught.value.problems)


def test_a_batch_script_is_not_a_task_of_srun(environment):
    environment({name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"})
    with pytest.raises(InputError, match="Start it with srun") as caught:
        distributed.read_ranks("slurm")
    assert caught.value.problems == ["SLURM_STEP_ID is not set"]


def test_numbers_that_cannot_be_are_refused(environment):
    environment({**SLURM, "SLURM_PROCID": "first"})
    with pytest.raises(InputError, match="SLURM_PROCID='first' is not a number"):
        distributed.read_ranks("slurm")
    environment({**SLURM, "SLURM_PROCID": "4"})
    with pytest.raises(InputError, match="SLURM_PROCID=4\n"):
        distributed.read_ranks("slurm")


def test_a_node_that_does_not_resolve_is_named(environment):
    environment({**SLURM, "SLURM_STEP_NODELIST": "gpu[07-09].invalid"})
    with pytest.raises(InputError, match=r"'gpu07\.invalid'.*does not resolve.*Set MASTER_ADDR"):
        distributed.read_ranks("slurm")


def test_mpi_on_several_nodes_must_be_told_where_to_meet(environment):
    environment({**MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"})
    with pytest.raises(InputError, match="MASTER_ADDR is not set"):
        distributed.read_ranks("mpi")


@pytest.mark.parametrize(
    ("values", "launcher"),
    [
        ({"SLURM_STEP_NUM_TASKS": "2"}, "slurm"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "mpi"),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2"}, "pytorch"),
    ],
)
def test_one_of_several_processes_must_name_its_launcher(environment, values, launcher):
    environment(values)
    with pytest.raises(InputError, match=f"add --launcher {launcher}"):
        distributed.check_launcher("none")
    environment(dict.fromkeys(values, "1"))
    distributed.check_launcher("none")


def test_one_process_speaks_for_its_node(environment):
    environment({**SLURM, "SLURM_LOCALID": "0"})
    assert distributed.is_first_of_node("slurm")
    assert not distributed.is_main_process()
    environment(SLURM)
    assert not distributed.is_first_of_node("slurm")
    assert distributed.is_first_of_node("none")


def test_what_one_process_meets_alone_is_marked(environment):
    def fail():
        with distributed.alone():
            raise InputError("a.png: cannot be read")

    with pytest.raises(InputError) as caught:
        fail()
    assert not isinstance(caught.value, distributed.OneProcessError)
    environment(TORCHRUN)
    with pytest.raises(distributed.OneProcessError, match=r"a\.png: cannot be read"):
        fail()


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
    assert distributed.is_main_process() is expected


def test_the_rank_in_the_process_group_counts_more_than_the_environment(monkeypatch):
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        monkeypatch.setenv("RANK", "1")
        assert distributed.is_main_process()
    finally:
        torch.distributed.destroy_process_group()
    assert not distributed.is_main_process()
