"""A real training where there is little of what workers need: it runs, with a line that says so."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("mmseg")
pytestmark = pytest.mark.slow

SMALL_SHARED_MEMORY = "mount -t tmpfs -o size=64m tmpfs /dev/shm && "  # as containers have it


def _inside(command: str, **options):
    """Runs a command of a shell that sees file systems of its own."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, **options
    )


@pytest.mark.skipif(
    shutil.which("unshare") is None or _inside(SMALL_SHARED_MEMORY + "true").returncode != 0,
    reason="mounts nothing here",
)
@pytest.mark.parametrize(
    ("limit", "said", "options"),
    [
        (SMALL_SHARED_MEMORY, "of shared memory", "batch_size=32 crop_size=384"),
        ("ulimit -n 24 && ", "may open 24 files", "batch_size=2"),
    ],
    ids=["64 MB of /dev/shm", "24 open files"],
)
def test_it_trains(limit, said, options, tiny_config, tmp_path):
    run = tmp_path / "run"
    done = _inside(
        f"{limit} '{sys.executable}' -m mmseg_heritage train '{tiny_config}' --work-dir '{run}' "
        f"--cfg-options max_iters=1 num_workers=2 {options}",
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert said in done.stdout + done.stderr
    assert (run / "iter_1.pth").is_file()
