"""Runs commands, and stops them at moments that ``test_interruption.py`` chooses.

    python stopped_commands.py FOLDER

Each line of standard input is JSON: ``argv`` of a command; ``signal``, a number, or null for an
unbroken run; and when it comes: ``step``, before the command touches FOLDER for the n-th time
(opens a file for writing, renames, removes, makes a folder), or ``seconds`` of CPU time. With
``errno`` in place of a signal, that touch and all later ones fail with this error of the system;
``limits`` are those of the module resource, such as ``{"RLIMIT_NOFILE": 64}``. The answer is a line
of JSON: ``code`` (negative: ended by this signal), ``steps``, ``seconds``, and ``said`` on standard
error.

Each command is forked from this process, which has imported everything: starting Python again would
take longer than the command. Nothing is computed here before the forks.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import threading
from pathlib import Path

import torch

import mmseg_heritage.apis
import mmseg_heritage.cli
from mmseg_heritage.utils import distributed  # noqa: F401  so that torch.distributed is loaded

TOUCHING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"}
REMOVING = {"os.remove", "os.rmdir"}  # which a full disk allows
SECONDS = 300  # of real time, after which a command is killed as one that hangs
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def import_all(package) -> None:
    """Imports the modules of a package, so that each fork need not."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


class Counter:
    """Counts how often a folder is touched, and sends a signal to this process in time.

    Args:
        folder: The folder.
        job: With 'step', and 'signal' or 'errno'.
    """

    def __init__(self, folder: str, job: dict) -> None:
        self.steps, self._process = 0, os.getpid()
        self._folder, self._step = folder, job.get("step", 1 << 60)
        self._signal, self._errno = job.get("signal"), job.get("errno")

    def __call__(self, event: str, arguments: tuple) -> None:
        """An audit hook."""
        is_writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if not (is_writing or event in TOUCHING) or os.getpid() != self._process:
            return
        paths = [a for a in arguments[:2] if isinstance(a, (str, bytes, os.PathLike))]
        paths = paths[:1] if event == "open" else paths  # then comes the mode
        if any(Path(os.fsdecode(path)).absolute().is_relative_to(self._folder) for path in paths):
            self.steps += 1
            if self._errno and self.steps >= self._step and event not in REMOVING:
                raise OSError(self._errno, os.strerror(self._errno), os.fsdecode(paths[0]))
            if self._signal and self.steps == self._step:
                os.kill(self._process, self._signal)


def shorten_quickstart(config: Path) -> None:
    """Lets the quickstart train a tiny model on few images."""
    from mmseg_heritage.apis import quickstart as module

    train, make = module.train, module.make_sample_set

    def shorter(*args, cfg_options, **options):
        del cfg_options["pretrained"]  # of another network than the tiny one
        train(*args, cfg_options={**cfg_options, "max_iters": 1}, **options)

    module.config_folder, module.CONFIG, module.train = (
        (lambda: config.parent),
        config.name,
        shorter,
    )
    module.make_sample_set = lambda out, n, _, **options: make(out, min(n, 12), 64, **options)


def run(job: dict, folder: str, pipe: int) -> int:
    """Runs a command in this process, which was forked for it."""
    os.setpgid(0, 0)  # workers get what a terminal sends too
    signal.alarm(SECONDS)
    os.chdir(folder)
    for stream, name in ((1, "printed"), (2, "said")):
        os.dup2(os.open(f"{folder}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    counter = Counter(folder, job)
    for name, limit in job.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    if seconds := job.get("seconds"):
        signal.signal(signal.SIGPROF, lambda *_: os.killpg(0, job["signal"]))
        signal.setitimer(signal.ITIMER_PROF, seconds)
    if job["argv"][0] == "quickstart":
        shorten_quickstart(Path(folder, "tiny.py"))
    sys.addaudithook(counter)
    try:
        code = mmseg_heritage.cli.main(job["argv"])
    except SystemExit as end:
        code = end.code
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, signal.SIG_IGN)
    threading._shutdown()
    sys.stdout.flush()
    os.write(pipe, str(counter.steps).encode())
    return int(code or 0)


def answer(job: dict, folder: str) -> dict:
    """Forks a process for a command, and says how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = run(job, folder, writing)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    _, status, used = os.wait4(child, 0)
    os.set_blocking(reading, False)  # workers that outlive it hold the other end
    try:
        steps = os.read(reading, 100)
    except BlockingIOError:
        steps = b""
    os.close(reading)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "steps": int(steps or 0),
        "seconds": used.ru_utime + used.ru_stime,
        "said": Path(f"{folder}.said").read_text(errors="replace"),
    }


def main() -> None:
    """Answers until the input ends."""
    import_all(mmseg_heritage.apis)
    torch.set_num_threads(1)
    (folder,) = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), folder)), file=answers, flush=True)


if __name__ == "__main__":
    main()
