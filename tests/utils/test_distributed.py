"""Reading from the environment which process this is, and refusing what cannot work."""

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils import distributed as ranks

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
    assert ranks.read_ranks("pytorch") == ranks.Ranks(0, 2, 0, "localhost", 29511)
    environment(SLURM)
    assert ranks.read_ranks("slurm") == ranks.Ranks(3, 4, 1, "127.0.0.1", 15041)
    environment(MPI)
    found = ranks.read_ranks("mpi")
    assert (found.rank, found.world_size, found.local_rank) == (1, 2, 1)
    assert found.address == "127.0.0.1"


def test_what_is_set_by_hand_wins(environment):
    environment({**SLURM, "MASTER_ADDR": "localhost", "MASTER_PORT": "12345"})
    found = ranks.read_ranks("slurm")
    assert (found.address, found.port) == ("localhost", 12345)


def test_jobs_of_the_same_time_and_steps_of_one_job_get_ports_of_their_own(environment):
    ports = {}
    for job in range(70_000, 70_400):
        for step in range(3):
            environment({**SLURM, "SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)})
            ports[job, step] = ranks.read_ranks("slurm").port
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
            ranks.read_ranks(launcher)
        assert f"{missing} is not set" in caught.value.problems
    environment({needed[0]: values[needed[0]]})
    with pytest.raises(InputError) as caught:
        ranks.read_ranks(launcher)
    assert {f"{name} is not set" for name in needed[1:]} <= set(caught.value.problems)


def test_a_batch_script_is_not_a_task_of_srun(environment):
    environment({name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"})
    with pytest.raises(InputError, match="Start it with srun") as caught:
        ranks.read_ranks("slurm")
    assert caught.value.problems == ["SLURM_STEP_ID is not set"]


def test_numbers_that_cannot_be_are_refused(environment):
    environment({**SLURM, "SLURM_PROCID": "first"})
    with pytest.raises(InputError, match="SLURM_PROCID='first' is not a number"):
        ranks.read_ranks("slurm")
    environment({**SLURM, "SLURM_PROCID": "4"})
    with pytest.raises(InputError, match="SLURM_PROCID=4\n"):
        ranks.read_ranks("slurm")


def test_a_node_that_does_not_resolve_is_named(environment):
    environment({**SLURM, "SLURM_STEP_NODELIST": "gpu[07-09].invalid"})
    with pytest.raises(InputError, match=r"'gpu07\.invalid'.*does not resolve.*Set MASTER_ADDR"):
        ranks.read_ranks("slurm")


def test_mpi_on_several_nodes_must_be_told_where_to_meet(environment):
    environment({**MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"})
    with pytest.raises(InputError, match="MASTER_ADDR is not set"):
        ranks.read_ranks("mpi")


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
        ranks.check_launcher("none")
    environment(dict.fromkeys(values, "1"))
    ranks.check_launcher("none")


def test_one_process_speaks_for_its_node(environment):
    environment({**SLURM, "SLURM_LOCALID": "0"})
    assert ranks.is_first_of_node("slurm")
    assert not ranks.is_main_process()
    environment(SLURM)
    assert not ranks.is_first_of_node("slurm")
    assert ranks.is_first_of_node("none")


def test_what_one_process_meets_alone_is_marked(environment):
    def fail():
        with ranks.alone():
            raise InputError("a.png: cannot be read")

    with pytest.raises(InputError) as caught:
        fail()
    assert not isinstance(caught.value, ranks.OneProcessError)
    environment(TORCHRUN)
    with pytest.raises(ranks.OneProcessError, match=r"a\.png: cannot be read"):
        fail()
