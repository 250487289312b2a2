"""How long a training takes to begin, and how commands grow with images, megapixels, processes.

    python benchmarks/growth.py [--out FOLDER] [--small]

Each command is run as a user would, in a process of its own. Seconds are real time, so nothing else
should run; memory is the largest of its processes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from shared import write_pair

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "quickstart_artefact.py"
SIDE, ITERATIONS, ROUNDS = 160, 40, 3
PROGRAM = [sys.executable, "-m", "mmseg_heritage"]


def run(command: Sequence[str], threads: int | None = None) -> tuple[float, float]:
    """Runs a command; returns its seconds and the MB of its largest process."""
    environment = dict(os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {}))
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def training(data: Path, out: Path, *options: str) -> list[str]:
    """Returns the arguments of a short training."""
    shutil.rmtree(out, ignore_errors=True)
    return ["train", str(CONFIG), "--work-dir", str(out), "--cfg-options", f"data_root={data}",
            "split_file=", f"max_iters={ITERATIONS}", "train_cfg.val_interval=1000",
            "default_hooks.checkpoint.interval=1000", *options]  # fmt: skip


def with_images(number: int, place: Path) -> list[str]:
    """Measures commands on a data set of so many small images."""
    data = place / f"images_{number}"
    if not (data / "images").is_dir():
        for i in range(number):
            write_pair(data, f"{i:06}", (SIDE, SIDE), i)
    (data / "verified.json").unlink(missing_ok=True)
    first = run([*PROGRAM, "check-data", "--data-root", str(data)])
    again = run([*PROGRAM, "check-data", "--data-root", str(data)])
    trained = run([*PROGRAM, *training(data, place / "run")])
    return [f"{number:,} images of {SIDE} px", f"check-data {first[0]:.1f} s, {first[1]:.0f} MB",
            f"again {again[0]:.1f} s", f"{ITERATIONS} iterations {trained[0]:.1f} s, "
            f"{trained[1]:.0f} MB"]  # fmt: skip


def until_first_iteration(data: Path, place: Path) -> list[str]:
    """Measures a training until it has logged an iteration, beside the imports that it needs."""
    imports, starts = [], []
    for _ in range(ROUNDS):
        imports.append(run([sys.executable, "-c", "import mmseg_heritage, mmseg.apis"])[0])
        command = [*PROGRAM, *training(data, place / "run", "default_hooks.logger.interval=1")]
        command.insert(len(PROGRAM) + 1, "--verbose")
        begin = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, text=True
        ) as process:
            assert process.stdout is not None
            next(line for line in process.stdout if "Iter(train)" in line)
            starts.append(time.perf_counter() - begin)
            process.communicate()
    return [f"first iteration after {median(starts):.1f} s ({min(starts):.1f}..{max(starts):.1f})",
            f"imports of torch and mmseg {median(imports):.1f} s"]  # fmt: skip


def with_megapixels(megapixels: int, checkpoint: Path, place: Path) -> list[str]:
    """Measures the prediction of a photograph, looked at shrunk."""
    size = (round(1000 * (megapixels * 4 / 3) ** 0.5), round(1000 * (megapixels * 3 / 4) ** 0.5))
    write_pair(place / "photographs", f"{megapixels:03}", size, 0)
    out = place / "maps"
    shutil.rmtree(out, ignore_errors=True)
    photograph = place / "photographs" / "images" / f"{megapixels:03}.jpg"
    seconds, memory = run([*PROGRAM, "predict", str(checkpoint), str(photograph), "--out", str(out),
                           "--inference", "scales=fit:1024"])  # fmt: skip
    return [f"{megapixels} megapixels", f"predict {seconds:.1f} s, {memory:.0f} MB"]


def with_processes(number: int, data: Path, place: Path) -> list[str]:
    """Measures the training with processes of one thread each."""
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={number}"]
    arguments = training(data, place / "run")
    run([*launch, "tools/train.py", *arguments[1:], "--launcher", "pytorch"], threads=1)
    found = json.loads((place / "run" / "throughput.json").read_text())
    speed, memory = found["images_per_second"], found["peak_rss_mib"]
    return [f"{number} processes of one thread", f"{speed:.1f} images/s, {memory:.0f} MiB each"]


def main() -> None:
    """Prints a line for each amount."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "work_dirs" / "growth")
    parser.add_argument("--small", action="store_true", help="is it sound?")
    parser.add_argument(
        "--checkpoint", type=Path, help="of which predictions are timed (default: that of the "
        "trainings here, which are too short: its maps are noise, which takes long to measure)",
    )  # fmt: skip
    args = parser.parse_args()
    images = (10, 20) if args.small else (100, 1000, 10000)
    for number in images:
        print("; ".join(with_images(number, args.out)), flush=True)
    for number in (1, 2):
        print(
            "; ".join(with_processes(number, args.out / f"images_{images[0]}", args.out)),
            flush=True,
        )
    print("; ".join(until_first_iteration(args.out / f"images_{images[0]}", args.out)), flush=True)
    checkpoint = args.checkpoint or next((args.out / "run").glob("*.pth"))
    for megapixels in (1, 2) if args.small else (1, 12, 50, 100, 200):
        print("; ".join(with_megapixels(megapixels, checkpoint, args.out)), flush=True)


if __name__ == "__main__":
    main()
