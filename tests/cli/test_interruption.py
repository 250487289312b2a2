"""Commands that end at any moment leave nothing half written, and the same one goes on.

Each command is stopped by Ctrl-C, SIGTERM and kill, and ended by a system that refuses to write or
to open more files. Set MMSEG_HERITAGE_MOMENTS to a number to try
so many moments of each; the suite tries few.
"""

import errno
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_heritage.cli import COMMANDS as ALL_COMMANDS
from mmseg_heritage.cli.running.last_message import EXIT_STOPPED, EXIT_TERMINATED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
MOMENTS = int(os.environ.get("MMSEG_HERITAGE_MOMENTS", "0"))
CODES = {
    signal.SIGINT: EXIT_STOPPED,
    signal.SIGTERM: EXIT_TERMINATED,
    signal.SIGKILL: -signal.SIGKILL,
}
# Speed is measured in what was not stopped.
OPTIONAL = {f"out/{place}throughput.json" for place in ("", "kfold-2/fold-1/", "kfold-2/fold-2/")}
EXIT_PREEMPTED = 75  # of a training that has saved


def files_in(folder):
    """Returns name -> content of all files, and of hidden folders; times in names are left out."""
    found = {}
    for path in folder.rglob("*"):
        name = re.sub(r"\d{8}_\d{6}", "TIME", str(path.relative_to(folder)))
        if path.is_file():
            found[name] = path.read_bytes()
        elif path.name.startswith("."):
            found[name] = b""
    return found


def is_hidden(name):
    return "/." in f"/{name}"


def is_valid(name, content):
    """Whether a file can be read to its end. Logs grow by lines."""
    suffix, stream = Path(name).suffix, io.BytesIO(content)
    if "TIME" in name or suffix == ".log" or name.endswith("scalars.csv"):
        return True
    try:
        if suffix == ".json":
            json.loads(content)
        elif suffix in (".png", ".jpg"):
            Image.open(stream).load()
        elif suffix == ".npz":
            dict(np.load(stream))
        elif suffix == ".pth":
            torch.load(stream, weights_only=False)
        elif suffix == ".onnx":
            pytest.importorskip("onnx").load_from_string(content)
        elif suffix in (".zip", ".ora", ".docx"):
            return zipfile.ZipFile(stream).testzip() is None
        elif suffix == ".html":
            return content.rstrip().endswith(b"</html>")
        else:
            content.decode()
    except Exception:
        return False
    return True


@dataclass
class Command:
    """A command that is stopped, and what it writes when it is not.

    Attributes:
        argv: Its arguments.
        inputs: Folder of what it reads.
        place: Folder in which it runs.
        ask: Runs it.
        faults: What was wrong after a stop, by kind.
        stops: How it ended, code -> how often.
        rng: Draws the moments.
    """

    argv: list
    inputs: Path
    place: Path
    ask: Callable
    faults: list = field(default_factory=list)
    stops: Counter = field(default_factory=Counter)
    rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self):
        self.before = files_in(self.inputs)
        runs = [self.run(), self.run()] if MOMENTS else [self.run()]
        self.whole, self.wanted = runs[0]
        assert self.whole["code"] == 0, self.whole["said"]
        assert runs[-1][1].keys() == self.wanted.keys()
        assert not any(map(is_hidden, self.wanted.keys() - self.before.keys()))
        # Bytes that the time of day, or a commit in this time, changes are not compared.
        self.same = {n for n, b in self.wanted.items() if MOMENTS and runs[1][1][n] == b}
        # Nor are archives, whose times have steps of two seconds, and logs: each run has its own.
        ends = (".docx", "environment.json")
        self.same = {n for n in self.same if not n.endswith(ends) and "/TIME/" not in n}
        if self.trains:  # the config of a run that goes on says so, and speed is measured
            self.same = {n for n in self.same if not n.endswith((".py", "throughput.json"))}

    @property
    def trains(self):
        """Whether it is a training, which has other whole files from step to step."""
        return self.argv[0] == "train"

    def run(self, **moment):
        """Runs it in a fresh copy of its inputs."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.inputs, self.place)
        done = self.ask(self.argv, **moment)
        return done, files_in(self.place)

    def stop(self, number, **moment):
        """Stops it, runs it again, and notes what is wrong."""
        done, found = self.run(signal=number, **moment)
        wrong = self._end(done, number, moment)
        if number != signal.SIGKILL:
            wrong += [f"left behind: {n}" for n in found if ".partial-" in n]
        self._go_on(done, found, wrong, {"signal": number.name, **moment})

    def refuse(self, **moment):
        """Lets the system refuse something, runs it again, and notes what is wrong."""
        done, found = self.run(**moment)
        wrong = [f"left behind: {n}" for n in found if ".partial-" in n]
        said = done["said"]
        if done["code"]:
            is_message = done["code"] in (1, 2) and said.count("error: ") == 1
            wrong += [] if is_message and "Traceback" not in said else [f"{done['code']}: {said}"]
        self._go_on(done, found, wrong, moment)

    def _go_on(self, done, found, wrong, moment):
        """Runs the same command again after it did not end well."""
        self.stops[done["code"]] += 1
        wrong += self._halves(found)
        is_whole = found.keys() == self.wanted.keys() and not self._others(found)
        if done["code"] and not is_whole:
            again = self.ask(self.argv)
            found = files_in(self.place)
            left = {n for n in found.keys() - self.wanted.keys() if is_hidden(n)}
            if again["code"] and set(found) - left != set(self.wanted):
                wrong.append(f"again: code {again['code']}, {again['said'][-300:]}")
            wrong += [f"left for ever: {n}" for n in left]
            wrong += [f"missing: {n}" for n in self.wanted.keys() - found.keys() - OPTIONAL]
            wrong += [f"too much: {n}" for n in found.keys() - self.wanted.keys() - left]
            wrong += [f"other content: {n}" for n in self._others(found)]
        temporary = self.place.with_name("temporary")
        wrong += [f"left in the folder of temporary files: {path.name}"
                  for path in temporary.glob(".*.partial-*") if done["code"] != -9]  # fmt: skip
        if wrong:
            self.faults.append({**moment, "wrong": sorted(wrong)[:8]})

    def _end(self, done, number, moment):
        code, said = done["code"], done["said"]
        if code == 0:  # a training finishes its iteration, which was the last one
            is_due = moment.get("step", 1e9) <= done["steps"] and not self.trains
            return ["the stop was swallowed"] if is_due else []
        if code == -number and "seconds" in moment:
            return []  # before it listens
        if code not in (CODES[number], EXIT_PREEMPTED) or (
            code == EXIT_PREEMPTED and not (self.trains and number == signal.SIGTERM)
        ):
            return [f"code {code}: {said[-300:]}"]
        known = self.whole["said"].splitlines()
        new = [s for s in said.splitlines() if s.strip() and s not in known and "\u2501" not in s]
        is_one = code != CODES[number] or number == signal.SIGKILL or len(new) == 1
        return [] if is_one and "Traceback" not in said else [f"said: {said[-300:]}"]

    def _halves(self, found):
        return [
            f"half: {n}" for n, b in found.items()
            if not is_hidden(n) and self.before.get(n) != b
            and "/TIME/" not in f"/{n}"  # logs, which grow
            and (not is_valid(n, b)
                 or (n not in self.wanted and not (self.trains and n.endswith(".pth")))
                 or (n in self.same and b != self.wanted[n] and not self.trains))
        ]  # fmt: skip

    def _others(self, found):
        return [n for n in self.same if n in found and found[n] != self.wanted[n]]

    def moments(self, number):
        """Returns moments: most before a step, of which many are late, and some by the time."""
        rng = self.rng
        steps = range(1, self.whole["steps"] + 1)
        last = list(steps[-8:])
        count = min(len(steps), max(number * 7 // 10, 1))
        chosen = set(rng.sample(last, min(len(last), (count + 1) // 2)))
        rest = [step for step in steps if step not in chosen]
        chosen |= set(rng.sample(rest, count - len(chosen)))
        times = (self.whole["seconds"] * rng.uniform(0.02, 1) for _ in range(number - len(chosen)))
        return [*({"step": step} for step in sorted(chosen)), *({"seconds": t} for t in times)]


@pytest.fixture
def command(long_command, inputs, place, ask):
    name, argv = long_command
    command = Command(argv, inputs, place, ask)
    command.rng = random.Random(name)
    yield command
    print(json.dumps({"command": name, "steps": command.whole["steps"],
                      "seconds": command.whole["seconds"], "ends": command.stops,
                      "faults": command.faults}))  # fmt: skip
    shutil.rmtree(place)


def test_all_commands_are_stopped(long_commands):
    modules = {module.__name__.rpartition(".")[2].replace("_", "-") for module in ALL_COMMANDS}
    assert {name.split()[0] for name in long_commands} == modules


def test_stopped_anywhere(command):
    for number in CODES:
        for moment in command.moments(MOMENTS or 1):
            command.stop(number, **moment)
    assert not command.faults, json.dumps(command.faults, indent=1)


def test_refused_by_the_system(command):
    command.refuse(step=1, errno=errno.EROFS)
    for moment in command.moments(MOMENTS or 1):
        if "step" in moment:
            command.refuse(**moment, errno=errno.ENOSPC)
    for limits in ({"RLIMIT_FSIZE": 3000}, {"RLIMIT_NOFILE": 64})[: 2 if MOMENTS else 1]:
        command.refuse(limits=limits)
    assert not command.faults, json.dumps(command.faults, indent=1)
