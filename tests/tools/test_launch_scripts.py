"""The launch scripts in tools/: their lint, their help, and the commands that they put together."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SCRIPTS = sorted(TOOLS.glob("*.sh"))
COMMANDS = [path for path in SCRIPTS if os.access(path, os.X_OK) and path.name != "slurm_job.sh"]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def recorded(tmp_path):
    """Runs a script with programs that only record how they are called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "python"):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >> "{tmp_path}/calls"\necho 77\n'
        )
        program.chmod(0o755)
    folder = tmp_path / "a folder"
    folder.mkdir()

    def call(script, *arguments, **environment):
        (tmp_path / "calls").unlink(missing_ok=True)
        kept = {key: os.environ[key] for key in ("HOME", "PATH") if key in os.environ}
        kept["PATH"] = f"{programs}:{kept['PATH']}"
        done = subprocess.run(
            [str(TOOLS / script), *arguments],
            cwd=folder,
            env={**kept, **environment},
            capture_output=True,
            text=True,
        )
        calls = tmp_path / "calls"
        return done, calls.read_text().splitlines() if calls.exists() else []

    return call


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_all_are_clean_for_shellcheck():
    done = subprocess.run(
        ["shellcheck", "-x", *(f"tools/{path.name}" for path in SCRIPTS)],
        cwd=TOOLS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_without_arguments_they_say_how_they_are_used(path, recorded):
    done, calls = recorded(path.name)
    assert done.returncode == 2
    assert f"tools/{path.name} " in done.stderr
    assert not calls


def test_the_shipped_ones_are_there():
    assert {path.name for path in COMMANDS} == {
        "dist_train.sh", "dist_test.sh", "slurm_train.sh", "slurm_test.sh", "slurm_evaluate.sh",
        "slurm_visualize.sh", "slurm_benchmark.sh", "slurm_benchmark_dg.sh",
    }  # fmt: skip


def test_torchrun_gets_every_argument_as_it_was(recorded):
    arguments = ["--cfg-options", "data_root=my data"]
    done, calls = recorded("dist_train.sh", "my config.py", "4", *arguments)
    assert done.returncode == 0, done.stderr
    assert calls == [
        "python", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "4",
        f"{TOOLS}/train.py", "my config.py", "--launcher", "pytorch", *arguments,
    ]  # fmt: skip


def test_several_nodes_need_to_know_the_first(recorded):
    done, calls = recorded("dist_test.sh", "c.py", "w.pth", "2", NNODES="2")
    assert done.returncode == 2
    assert "needs MASTER_ADDR" in done.stderr
    assert not calls
    done, calls = recorded(
        "dist_test.sh", "c.py", "w.pth", "2", NNODES="2", MASTER_ADDR="n1", NODE_RANK="1", PORT="5"
    )
    assert calls[3:13] == ["--nnodes", "2", "--node_rank", "1", "--master_addr", "n1",
                           "--master_port", "5", "--nproc_per_node", "2"]  # fmt: skip


def test_slurm_gets_what_the_environment_says(recorded, tmp_path):
    done, calls = recorded(
        "slurm_train.sh", "gpu", "run 1", "my config.py", "--work-dir", "x y",
        GPUS="16", GPUS_PER_NODE="4", CPUS_PER_TASK="3", GRES="gpu:a100:4", WAIT="1",
        SBATCH_ARGS="--time=8:00:00 --account=museum", DEPENDENCY="afterok:5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "77\n"
    assert {"--partition=gpu", "--job-name=run 1", "--nodes=4", "--ntasks=16", "--time=8:00:00",
            "--ntasks-per-node=4", "--cpus-per-task=3", "--gres=gpu:a100:4", "--account=museum",
            "--dependency=afterok:5", "--requeue", "--signal=B:USR1@120", "--wait",
            f"--output={tmp_path}/a folder/work_dirs/slurm/%x-%j.out"} <= set(calls)  # fmt: skip
    job = calls[calls.index(f"{TOOLS}/slurm_job.sh") :]
    assert job[3:] == ["0", "train.py", "my config.py", "--", "--launcher", "slurm",
                       "--work-dir", "x y"]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GPUS": "two"}, "GPUS must be a number from 1 on, found 'two'"),
        ({"GPUS": "6", "GPUS_PER_NODE": "4"}, "GPUS=6 is no multiple of GPUS_PER_NODE=4"),
        ({"FOLDS": "-1"}, "FOLDS must be a number"),
        ({"PYTHON": "python9"}, "python9 is no command"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_submitted(recorded, environment, message):
    done, calls = recorded("slurm_train.sh", "gpu", "run", "c.py", **environment)
    assert done.returncode == 2
    assert message in done.stderr
    assert not calls


def test_a_checkpoint_that_every_restart_would_start_from_again_is_refused(recorded):
    done, calls = recorded("slurm_train.sh", "gpu", "run", "c.py", "--resume", "a.pth")
    assert done.returncode == 2
    assert "load_from=a.pth" in done.stderr
    assert not calls
    for allowed in (["--resume"], ["--resume", "auto"], ["--resume", "--amp"]):
        assert recorded("slurm_train.sh", "gpu", "run", "c.py", *allowed)[0].returncode == 0


def test_a_trial_has_one_epoch_and_a_folder_of_its_own(recorded):
    added = ["--cfg-options", "max_epochs=1"]
    _, calls = recorded("dist_train.sh", "a/b.py", "1", "--amp", SMOKE="1")
    assert calls[-5:] == ["--work-dir", "work_dirs/smoke/b", *added, "--amp"]
    _, calls = recorded("slurm_train.sh", "gpu", "run", "a/b.py", SMOKE="1")
    assert calls[-4:] == ["--work-dir", "work_dirs/smoke/{config}", *added]


class TestBenchmark:
    """slurm_benchmark.sh."""

    def test_in_sequence_each_waits_for_the_one_before(self, recorded):
        done, calls = recorded("slurm_benchmark.sh", "gpu", "bench", "--", "--amp")
        assert done.returncode == 0, done.stderr
        waits = [call for call in calls if call.startswith("--dependency")]
        assert waits == ["--dependency=afterok:77", "--dependency=afterany:77"] * 2 + waits[:1]
        assert [Path(call).name for call in calls if call.startswith(f"{TOOLS}/../configs")] == [
            f"segformer_{encoder}_artefact.py"
            for encoder in ("mitb3", "convnext-tiny", "maxvit-tiny")
        ]
        assert calls.count("--amp") == 3  # the tests read the configs as they were run
        assert "work_dirs/segformer_mitb3_artefact/segformer_mitb3_artefact.py" in calls

    def test_as_an_array_each_test_waits_for_its_own_training(self, recorded):
        _, calls = recorded("slurm_benchmark.sh", "gpu", "bench", MODE="array")
        assert calls.count("sbatch") == 2
        assert calls.count("--array=0-2") == 2
        assert "--dependency=aftercorr:77" in calls

    def test_folds_of_every_config_make_one_array(self, recorded):
        _, calls = recorded("slurm_benchmark.sh", "gpu", "bench", MODE="array", FOLDS="5")
        assert calls.count("sbatch") == 1  # train --fold tests, too
        assert "--array=0-14" in calls

    def test_configs_are_files_or_names_of_shipped_ones(self, recorded):
        done, calls = recorded("slurm_benchmark.sh", "gpu", "bench", "quickstart_artefact")
        assert done.returncode == 0, done.stderr
        assert "work_dirs/quickstart_artefact/quickstart_artefact.py" in calls
        done, calls = recorded("slurm_benchmark.sh", "gpu", "bench", "quickstart_artefakt")
        assert done.returncode == 2
        assert "quickstart_artefakt: no such config file" in done.stderr
        assert not calls

    def test_one_folder_for_all_is_refused(self, recorded):
        done, calls = recorded("slurm_benchmark.sh", "gpu", "bench", "--", "--work-dir=x")
        assert done.returncode == 2
        assert not calls


class TestBenchmarkOfDomains:
    """slurm_benchmark_dg.sh."""

    @pytest.fixture
    def python(self, tmp_path):
        """Stands for benchmark-dg --dry-run."""
        program = tmp_path / "planned"
        lines = ("   0  done   erm/a", "   1  to do  coral/a", "   2  to do  erm/b", "2 runs to do")
        program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
        program.chmod(0o755)
        return program

    def test_what_is_left_is_an_array(self, recorded, python):
        done, calls = recorded(
            "slurm_benchmark_dg.sh", "gpu", "dg", "plan.json", "--out", "a b",
            PYTHON=str(python), MAX_TASKS="4",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert {"--array=1,2%4", "--requeue", "--ntasks=1"} <= set(calls)
        assert calls[-6:] == ["4", "benchmark_dg.py", "plan.json", "--", "--out", "a b"]

    def test_nothing_left_is_said(self, recorded):
        done, calls = recorded("slurm_benchmark_dg.sh", "gpu", "dg", "plan.json")
        assert done.returncode == 2
        assert "no run is left" in done.stderr
        assert "sbatch" not in calls

    def test_several_gpus_for_a_run_are_refused(self, recorded):
        done, calls = recorded("slurm_benchmark_dg.sh", "gpu", "dg", "plan.json", GPUS="2")
        assert done.returncode == 2
        assert not calls


@pytest.mark.parametrize(
    ("task", "expected"), [("0", "a.py --fold 1"), ("4", "a.py --fold 5"), ("7", "&.py --fold 3")]
)
def test_a_task_of_an_array_takes_its_config_and_fold(task, expected, tmp_path):
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    done = subprocess.run(
        [str(TOOLS / "slurm_job.sh"), "tools", "python", "5", "train.py", "a.py", "&.py", "--",
         "--work-dir", "runs/{config}"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": task},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"tools/train.py {expected} --work-dir runs/{expected[0]}" in done.stdout


@pytest.mark.parametrize(
    ("code", "is_signaled", "state", "is_requeued"),
    [
        (75, True, "RUNNING", True),
        (143, True, "RUNNING", True),  # the signal came while Python was starting
        (75, True, "CANCELLED", False),
        (75, False, "RUNNING", False),  # srun ended it because another process died
        (1, True, "RUNNING", False),
        (0, True, "RUNNING", False),
    ],
)
def test_only_a_preempted_job_goes_back_into_the_queue(
    code, is_signaled, state, is_requeued, tmp_path
):
    told, calls = tmp_path / "told", tmp_path / "calls"
    programs = {
        "srun": f"touch {tmp_path}/up; while [ ! -e {told} ]; do sleep 0.05; done; exit {code}",
        "scancel": f'echo scancel "$@" >> {calls}; touch {told}',
        "scontrol": f'echo scontrol "$@" >> {calls}; echo "JobId=9 JobState={state} Requeue=1"',
    }
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    job = subprocess.Popen(
        [str(TOOLS / "slurm_job.sh"), "tools", "python", "0", "train.py", "a.py", "--"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "9"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "up").exists():
        assert job.poll() is None
        time.sleep(0.02)
    if is_signaled:
        job.send_signal(signal.SIGTERM)
    else:
        told.touch()
    assert job.wait(timeout=30) == code
    lines = calls.read_text().splitlines() if calls.exists() else []
    assert ("scancel --signal=USR1 9" in lines) is is_signaled
    assert ("scontrol requeue 9" in lines) is is_requeued
