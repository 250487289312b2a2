"""The shipped Slurm scripts on a real Slurm of two nodes (conftest.py), with the tiny model.

Each test ends by itself: every wait has a limit. Two cores take about 100 seconds for all.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.utils.distributed import first_node

pytest.importorskip("mmseg")
pytestmark = pytest.mark.slow

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture
def submit(cluster, tmp_path):
    """Calls a script as a user would, from a folder of runs, and returns the job's number."""
    folder = tmp_path / "my runs"  # nothing may break at a blank
    folder.mkdir()

    def call(script, *arguments, check=True, **environment):
        common = {"PYTHON": sys.executable, "CPUS_PER_TASK": "1", "OMP_NUM_THREADS": "1",
                  "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip
        done = cluster.run(
            TOOLS / script, "test", "tiny", *arguments,
            cwd=folder, env={**common, **environment}, timeout=240, check=check,
        )  # fmt: skip
        return done if not check else done.stdout.strip()

    call.folder = folder
    call.log = lambda job: (folder / "work_dirs/slurm" / f"tiny-{job}.out").read_text()
    return call


def scores(folder):
    return json.loads((folder / "evaluation" / "metrics.json").read_text())["overall"]


def confusion(folder):
    with np.load(folder / "evaluation" / "per_image.npz") as arrays:
        return dict(zip(arrays["ids"].tolist(), arrays["confusion"], strict=True))


def test_two_nodes_train_and_two_tests_wait_for_them(submit, cluster, tiny_config):
    train = submit(
        "slurm_train.sh", tiny_config, "--cfg-options", "max_iters=2",
        "model.decode_head.norm_cfg.type=SyncBN", GPUS="2", GPUS_PER_NODE="1",
    )  # fmt: skip
    run, after = submit.folder / "work_dirs" / "tiny", f"afterok:{train}"
    two = submit("slurm_test.sh", tiny_config, run, "--work-dir", "two", GPUS="2", DEPENDENCY=after)
    one = submit("slurm_evaluate.sh", tiny_config, run, DEPENDENCY=f"afterok:{train}:{two}")
    trained = cluster.wait_for(train)
    assert trained["JobState"] == "COMPLETED", submit.log(train)
    assert trained["NumNodes"] == "2"
    assert trained["TresPerNode"] == "gres:gpu:1"
    log = submit.log(train)
    assert "on cpu, 2 processes" in log
    assert log.count("no GPU on") == 1
    assert "slurm_job: " in log

    for job in (two, one):
        assert cluster.wait_for(job)["JobState"] == "COMPLETED", submit.log(job)
    assert scores(submit.folder / "two") == scores(run)
    here, there = confusion(submit.folder / "two"), confusion(run)
    assert here.keys() == there.keys()
    assert all((here[name] == there[name]).all() for name in here)
    assert len(list((run / "evaluation" / "pictures").glob("*.png"))) == len(here)


def test_an_array_trains_and_tests_folds_that_are_collected(
    submit, cluster, tiny_config, sample_set, tmp_path
):
    data = shutil.copytree(sample_set, tmp_path / "data")
    make_split_files(data, None, ("kfold",), folds=2)
    job = submit(
        "slurm_benchmark.sh", tiny_config, "--", "--cfg-options", "max_iters=1",
        f"data_root={data}", "split_file=splits/kfold-2", FOLDS="2", MODE="array",
    )  # fmt: skip
    queued = ("squeue", "--noheader", f"--jobs={job}")
    wait_until(lambda: not cluster.run(*queued, check=False).stdout, 240)
    folder = submit.folder / "work_dirs" / "tiny" / "kfold-2"
    for fold in ("fold-1", "fold-2"):
        assert "mIoU" in scores(folder / fold)
    logs = list((submit.folder / "work_dirs" / "slurm").glob("tiny-*.out"))
    assert len(logs) == 2  # one for each task of the array
    assert len({log.read_text().split("--fold ")[1][0] for log in logs}) == 2


def test_a_benchmark_on_two_nodes_is_preempted_goes_on_and_is_collected(
    submit, cluster, sample_set, tmp_path
):
    data = shutil.copytree(sample_set, tmp_path / "data")
    plan, out = tmp_path / "plan.json", submit.folder / "runs"
    config = "segformer_mitb3_artefact-erm-natural"
    content = {
        "schema": "mmseg_heritage/benchmark-dg-plan/1", "data_root": str(data),
        "folds": {"leave-one-content-out": ["line-art"]}, "reference": "plain", "seeds": [0],
        "methods": {"plain": {"config": config},
                    "light": {"config": config, "cfg_options": {"augmentation": "light"}}},
        "max_iters": 60, "seconds_per_iteration": 0.1,
        "cfg_options": {
            "model.backbone.embed_dims": 8, "model.backbone.num_layers": [1, 1, 1, 1],
            "model.decode_head.channels": 16, "crop_size": 64, "num_workers": 0, "batch_size": 4,
            "train_cfg.val_interval": 100, "default_hooks.checkpoint.interval": 10,
        },
    }  # fmt: skip
    plan.write_text(json.dumps(content))
    asked = ("slurm_benchmark_dg.sh", plan, "--out", out)
    job = submit(*asked, GRES="gpu:4")  # a task fills a node
    saved = out / "plain/leave-one-content-out/line-art/seed-0/last_checkpoint"
    wait_until(saved.exists, 120)
    cluster.run("scancel", "--batch", "--signal=USR1", f"{job}_0")
    queued = ("squeue", "--noheader", f"--jobs={job}")
    wait_until(lambda: not cluster.run(*queued, check=False).stdout, 240)
    logs = [log.read_text() for log in (submit.folder / "work_dirs/slurm").glob("tiny-*.out")]
    assert len(logs) == 2
    assert sorted(log.count("restart 1") for log in logs) == [0, 1], logs
    assert sum("going on after step" in log for log in logs) == 1
    again = submit(*asked, check=False)
    assert "no run is left" in again.stderr
    done = cluster.run(sys.executable, TOOLS / "benchmark_dg.py", *asked[1:], "--collect")
    assert "light" in done.stdout
    assert len(json.loads((out / "benchmark.json").read_text())["runs"]) == 2


def test_a_preempted_run_comes_back_and_goes_on(submit, cluster, tiny_config):
    job = submit("slurm_train.sh", tiny_config, "--cfg-options", "max_iters=40")
    saved = submit.folder / "work_dirs" / "tiny" / "last_checkpoint"
    wait_until(saved.exists, 120)
    cluster.run("scancel", "--batch", "--signal=USR1", job)
    ended = cluster.wait_for(job)
    log = submit.log(job)
    assert ended["JobState"] == "COMPLETED", log
    assert ended["Restarts"] == "1"
    assert "back into the queue" in log
    assert "leave with exit code 75" in log
    assert "restart 1" in log
    assert "going on after step" in log
    assert saved.read_text().endswith("iter_40.pth")


def test_a_canceled_run_stays_canceled(submit, cluster, tiny_config):
    job = submit("slurm_train.sh", tiny_config, "--cfg-options", "max_iters=1000")
    wait_until(lambda: cluster.job(job)["JobState"] == "RUNNING", 30)
    time.sleep(1)  # until the batch script has set its traps
    cluster.run("scancel", job)
    assert cluster.wait_for(job, 60)["JobState"] == "CANCELLED"
    time.sleep(3)  # time in which it could come back
    assert cluster.job(job)["JobState"] == "CANCELLED"


def test_bad_input_is_said_once_and_the_job_fails(submit, cluster):
    job = submit("slurm_train.sh", "nowhere.py", GPUS="2")
    assert cluster.wait_for(job)["JobState"] == "FAILED"
    log = submit.log(job)
    assert log.count("error: nowhere.py: no such config file") == 1
    assert "Traceback" not in log


def test_only_asks_where_it_is_told_to(submit, cluster, tiny_config):
    done = submit("slurm_train.sh", tiny_config, check=False, TEST_ONLY="1")
    assert done.returncode == 0
    assert "to start at" in done.stderr
    assert done.stdout == ""
    impossible = submit("slurm_train.sh", tiny_config, check=False, TEST_ONLY="1", GRES="gpu:9")
    assert impossible.returncode != 0


@pytest.mark.parametrize(
    "nodes", ["node7", "node[3-5,9]", "gpu[03-05],big1", "a1,b[2-3]", "r[1-2]n[04-05]"]
)
def test_the_first_node_is_the_one_that_slurm_names(cluster, nodes):
    expected = cluster.run("scontrol", "show", "hostnames", nodes).stdout.split()[0]
    assert first_node(nodes) == expected


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
