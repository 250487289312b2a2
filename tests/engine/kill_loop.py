"""Trains once in peace, and once killed again and again; ``test_kill_loop.py`` compares the two.

    python kill_loop.py CONFIG FOLDER KILLS SEED

Each start is forked from this process, which has imported everything: starting Python anew would
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

from mmseg_heritage.apis.train import train

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


def kill(child: int, folder: Path, dice: random.Random, trains: bool) -> None:
    """Kills a start at a random moment: while it starts, or after it has trained a little."""
    before, log = reached(folder), folder.with_suffix(".log")
    deadline = time.monotonic() + 120
    while trains and reached(folder) == before:
        if time.monotonic() > deadline or os.waitpid(child, os.WNOHANG)[0]:
            raise SystemExit(f"a start came to nothing; see {log}")
        time.sleep(0.001)
    time.sleep(dice.uniform(0, 0.04 if trains else 1.0))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    """Runs the loop and prints what happened."""
    config, target, kills, seed = sys.argv[1:]
    dice, ends, halves = random.Random(int(seed)), [], 0
    unbroken, killed = Path(target, "unbroken"), Path(target, "killed")
    statuses = [os.waitpid(start(config, unbroken), 0)[1]]
    for number in range(int(kills)):
        kill(start(config, killed), killed, dice, trains=number % 5 != 4)
        ends.append(reached(killed))
        halves += len(list(killed.glob(".*.pth")))  # killed while it wrote a checkpoint
    statuses.append(os.waitpid(start(config, killed), 0)[1])
    print(json.dumps({"statuses": statuses, "reached": ends, "halves": halves}))


if __name__ == "__main__":
    main()
