"""Trains once in peace, and once killed again and again; ``test_kill_loop.py`` compares the two.

    python kill_loop.py CONFIG FOLDER KILLS ITERATIONS SEED

Each start is forked from this process, which has imported everything: starting Python again would
take longer than the training. Nothing is computed here before the forks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from mmseg_heritage.apis.training import train

torch.set_num_threads(1)


def start(config: str, folder: Path) -> int:
    """Forks a process that trains, and returns its id."""
    child = os.fork()
    if child:
        return child
    log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        train(config, str(folder), resume="auto", skip_data_check=True)
        code = 0
    finally:
        os._exit(code)


def reached(folder: Path) -> int:
    """Returns how far the run has come."""
    mark = folder / "last_checkpoint"
    return int(Path(mark.read_text()).stem.split("_")[1]) if mark.is_file() else 0


def halves(folder: Path) -> list[Path]:
    """Returns checkpoints that are being written, or were when their writer was killed."""
    return list(folder.glob(".*.pth"))


def kill(child: int, folder: Path, dice: random.Random, moment: str, target: int) -> None:
    """Kills a start while it starts; or, after an iteration, while it trains or saves."""
    deadline, old = time.monotonic() + 120, set(halves(folder))
    while (moment != "start" and reached(folder) < target) or (
        moment == "write" and not set(halves(folder)) - old
    ):
        if time.monotonic() > deadline or os.waitpid(child, os.WNOHANG)[0]:
            raise SystemExit(f"a start came to nothing; see {folder.with_suffix('.log')}")
        time.sleep(0.0005)
    time.sleep(dice.uniform(0, {"train": 0.05, "write": 0, "start": 1.0}[moment]))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    """Runs the loop, with the kills spread over the training, and prints what happened."""
    config, target = sys.argv[1:3]
    kills, iterations, seed = map(int, sys.argv[3:])
    dice, ends, cut = random.Random(seed), [], 0
    unbroken, killed = Path(target, "unbroken"), Path(target, "killed")
    statuses = [os.waitpid(start(config, unbroken), 0)[1]]
    for number in range(kills):
        moment = ("train", "write", "train", "start", "train")[number % 5]
        after = (number + dice.random()) / kills * (iterations - 10)  # the last must not be late
        kill(start(config, killed), killed, dice, moment, max(1, int(after)))
        ends.append(reached(killed))
        cut += bool(halves(killed))
    statuses.append(os.waitpid(start(config, killed), 0)[1])
    print(json.dumps({"statuses": statuses, "reached": ends, "cut": cut}))


if __name__ == "__main__":
    main()
