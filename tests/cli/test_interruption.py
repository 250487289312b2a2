"""Commands that are stopped at any moment leave nothing half written, and the same one goes on."""

import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mmseg_heritage.cli.last_message import EXIT_STOPPED, EXIT_TERMINATED
from mmseg_heritage.utils.files import is_unfinished

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
CODES = {
    signal.SIGINT: EXIT_STOPPED,
    signal.SIGTERM: EXIT_TERMINATED,
    signal.SIGKILL: -signal.SIGKILL,
}


@pytest.fixture
def commands(tmp_path, tiny_run, sample_set, random_counts, tested_run):
    """Name -> arguments; each writes below ``tmp_path/out``."""
    out = tmp_path / "out"
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    checkpoint = str(tmp_path / "run" / "iter_3.pth")
    runs = [str(tested_run(tmp_path / f"tested{i}", random_counts(seed=i), seed=i)) for i in (1, 1)]
    images, masks = str(sample_set / "images"), str(sample_set / "annotations")
    return {
        "test": [checkpoint, "--work-dir", f"{out}/test", "--show-dir", f"{out}/show",
                 "--out", f"{out}/maps"],
        "predict": [checkpoint, images, "--out", f"{out}/predicted"],
        "compare": [*runs[:1], "--out", f"{out}/compared"],
        "report": [*runs[:1], "--out", f"{out}/report.html"],
        "import-data": ["cracks_threshold", "--images", images, "--masks", masks, "--skip-faulty",
                        "--out", f"{out}/data"],
        "make-sample-data": ["--out", f"{out}/sample", "--num-images", "12"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "moments"),
    [("test", 3), ("predict", 3), ("compare", 6), ("report", 3), ("import-data", 6),
     ("make-sample-data", 3)],
)  # fmt: skip
def test_stopped_anywhere(name, moments, commands, tmp_path):
    command = [sys.executable, "-m", "mmseg_heritage", name, *commands[name]]
    start = time.monotonic()
    whole = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    seconds = time.monotonic() - start
    assert whole.returncode == 0, whole.stderr
    wanted = written(tmp_path / "out")
    rng, stopped = random.Random(name), 0
    for k in range(moments):
        shutil.rmtree(tmp_path / "out")
        number = list(CODES)[k % 3]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            time.sleep(seconds * rng.uniform(0.3, 0.9))
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        if process.returncode == 0:
            continue  # it was faster this time
        stopped += 1
        # Before the command line is read, Python itself ends.
        assert process.returncode in (CODES[number], -number)
        if process.returncode == CODES[number] > 0:
            assert said.strip().splitlines()[-1].startswith("stopped")
            assert "Traceback" not in said
        if written(tmp_path / "out") == wanted and not left_over(tmp_path):
            continue  # everything was written, and the signal came while it ended
        again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert again.returncode == 0, again.stderr
        assert written(tmp_path / "out") == wanted
        assert not left_over(tmp_path)
    assert stopped


def left_over(folder):
    """Returns temporary files, and folders that are marked as unfinished."""
    folders = [path for path in folder.rglob("*") if path.is_dir()]
    return [path for path in folder.rglob(".*") if ".partial-" in path.name] + [
        path for path in folders if is_unfinished(path)
    ]


def written(folder):
    """Returns the names of all files but hidden ones, and logs, which are named after the time."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if "evaluation/2" not in name and "/." not in f"/{name}"}
