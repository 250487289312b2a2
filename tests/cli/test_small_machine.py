"""A machine without room: real file systems that are small or read-only, one message each."""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
COMMANDS = {
    "train": "{config} --work-dir {out} --cfg-options max_iters=1",
    "predict": "{model} {data}/images --out {out}/maps",
    "import-data": "cracks_threshold --images {data}/images --masks {data}/annotations "
                   "--skip-faulty --out {out}/data",
    "calibrate": "{model} --out {out}/calibrated.pth",
}  # fmt: skip


@pytest.fixture(scope="module")
def mounted():
    """A function that runs a command beside a file system that nobody else sees."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], capture_output=True
        ).returncode
    ):
        pytest.skip("this user may not mount anything")

    def run(place, options, *command):
        script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script, str(place), sys.executable, "-m",
             "mmseg_heritage", *command],
            capture_output=True, text=True, env=environment,
        )  # fmt: skip

    return run


def test_shared_memory_of_one_megabyte(mounted, tiny_config, tmp_path):
    options = [f"{part}_dataloader.num_workers=2" for part in ("train", "val", "test")]
    done = mounted("/dev/shm", "size=1m", "train", str(tiny_config), "--work-dir",
                   str(tmp_path / "run"), "--cfg-options", "max_iters=2", "batch_size=4",
                   *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shared memory" in done.stdout + done.stderr
    assert (tmp_path / "run" / "iter_2.pth").is_file()


@pytest.mark.parametrize("options", ["ro", "size=16k"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_target_that_takes_nothing(name, options, mounted, tiny_run, sample_set, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    text = COMMANDS[name].format(config=tiny_run.config, model=tiny_run.checkpoint, out=out,
                                 data=sample_set)  # fmt: skip
    done = mounted(out, options, name, *text.split())
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    reason = (
        "Read-only file system"
        if options == "ro"
        else "No space left|disk is full|the disk has 0.0 MB left"
    )
    assert any(part in done.stderr for part in reason.split("|")), done.stderr
