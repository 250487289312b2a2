"""Makes or repairs the environment of one stack. Called by the Makefile; needs only Python itself.

    python requirements/make_env.py --stack official --venv .venv [-- arguments of pip install]

Does nothing when a stamp in the environment says that it was finished for the same requirement
files, Python and place. The stamp is removed before and written after all work, so an interrupted
run never leaves one behind.
"""

import argparse
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
STACKS = {"official": (3, 13), "onedl": (3, 13), "classic": (3, 11)}  # newest Python of each
MMCV = "2.1.0"
STAMP = "mmseg_heritage-stamp.txt"  # inside the environment: it is finished
MADE = "mmseg_heritage-made.txt"  # inside the environment: this script made it and may remake it
LOG = "mmseg_heritage-install.log"

# Lists packages whose files are missing or cut short, as an interrupted installation leaves them.
FIND_BROKEN = """
import importlib.metadata as metadata, pathlib
for dist in metadata.distributions():
    name, files = dist.metadata["Name"], dist.files
    def whole(file):
        try:
            return file.size is None or pathlib.Path(file.locate()).stat().st_size == file.size
        except OSError:
            return file.suffix == ".pyc"
    if name and (files is None or not all(map(whole, files))):
        print(f"{name}=={dist.version}")
"""


class Failure(Exception):
    """Something the user can act on, in one line."""


def main() -> int:
    """Parses the command line and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", required=True, choices=sorted(STACKS))
    parser.add_argument("--venv", required=True, type=Path)
    parser.add_argument("pip_args", nargs="*", help="after --: passed to every pip install")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop pip too, as Ctrl-C does
    sys.stdout.reconfigure(line_buffering=True)  # steps show up in a log file as they begin
    try:
        make(options.stack, options.venv.absolute(), options.pip_args)
    except Failure as failure:
        print(f"make env: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmake env: stopped; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


def make(stack: str, venv: Path, pip_args: list[str]) -> None:
    """Brings ``venv`` to the state that the stack's requirement files describe."""
    check_python(stack)
    lock = (ROOT / "setup.py").open()  # held until this process ends
    if fcntl is not None:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second make in this checkout waits here
    wanted = fingerprint(stack, pip_args)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if is_finished(venv, python, wanted):
        return
    started = time.time()
    remake = check_folder(venv, stack)
    (venv / STAMP).unlink(missing_ok=True)
    print(f"Making {venv.name} (stack {stack}, Python {sys.version.split()[0]}); log: {venv / LOG}")
    create(venv, stack, python, remake)
    install(stack, venv, python, pip_args)
    (venv / STAMP).write_text(wanted + "\n", encoding="utf-8")
    print(f"{venv.name} is ready after {time.time() - started:.0f} s; next:")
    print(next_lines(venv, python))


def next_lines(venv: Path, python: Path) -> str:
    """Returns the commands that come after the environment is made."""
    folder = venv.relative_to(Path.cwd()) if Path.cwd() in venv.parents else venv
    activate = folder / python.parent.name / "activate"
    start = str(activate) if os.name == "nt" else f"source {shlex.quote(str(activate))}"
    return f"  {start}\n  mmseg-heritage doctor"


def check_python(stack: str) -> None:
    """Turns away a Python that the stack cannot run on, or one without venv."""
    newest = STACKS[stack]
    if sys.version_info[:2] > newest:  # the Makefile has checked the oldest
        raise Failure(
            f"stack {stack} runs on Python up to {newest[0]}.{newest[1]}, this is "
            f"{sys.version.split()[0]}; name another with PYTHON=python3.{newest[1]}"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Failure(
            f"{sys.executable} has no venv module; on Debian and Ubuntu: apt install "
            f"python3.{sys.version_info[1]}-venv"
        ) from None


def fingerprint(stack: str, pip_args: list[str]) -> str:
    """Hashes all that decides what belongs into the environment."""
    digest = hashlib.sha256()
    facts = [stack, sys.version, str(ROOT), os.environ.get("FORCE_CUDA", ""), *pip_args]
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    # This file is in: a changed way of installing is a changed environment.
    for path in [*sorted(REQUIREMENTS.glob("*.[tp][xy]*")), ROOT / "setup.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_finished(venv: Path, python: Path, wanted: str) -> bool:
    """Says whether an earlier run finished exactly this environment."""
    try:
        stamp = (venv / STAMP).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    # python: gone when the system's Python was replaced. .mim: made by the editable installation.
    mim = ROOT / "mmseg_heritage" / ".mim" / "model-index.yml"
    return stamp == wanted and python.exists() and mim.exists()


def check_folder(venv: Path, stack: str) -> bool:
    """Returns whether ``venv`` must be made anew; refuses a folder that is not ours to change."""
    config = venv / "pyvenv.cfg"
    made = venv / MADE
    version = python_version()
    if made.exists():
        return made.read_text(encoding="utf-8").split() != [stack, version]
    if not venv.exists() or not any(venv.iterdir()):
        return False
    if not config.exists():
        raise Failure(f"{venv} is there and is no Python environment; name another: VENV=FOLDER")
    if f"version = {version}." not in config.read_text(encoding="utf-8"):
        raise Failure(
            f"{venv} was not made by make and is not of Python {version}; remove it, or name "
            "another: VENV=FOLDER"
        )
    return False


def create(venv: Path, stack: str, python: Path, remake: bool) -> None:
    """Makes the environment itself, or completes one whose making was interrupted."""
    is_new = remake or not venv.exists() or not any(venv.iterdir())
    if is_new:
        if remake:
            shutil.rmtree(venv)
        venv.mkdir(parents=True)
        version = python_version()
        (venv / MADE).write_text(f"{stack} {version}\n", encoding="utf-8")
    (venv / LOG).write_text("", encoding="utf-8")
    if is_new or not works([str(python), "-m", "pip", "--version"]):
        run("creating the environment", [sys.executable, "-m", "venv", str(venv)], venv)


def install(stack: str, venv: Path, python: Path, pip_args: list[str]) -> None:
    """Installs the stack, the extras hub, tests and docs, and this package, and checks it."""
    constraints = REQUIREMENTS / f"constraints-{stack}.txt"
    pip = [str(python), "-m", "pip", "install", "--constraint", str(constraints), *pip_args]
    broken = subprocess.run(
        [str(python), "-c", FIND_BROKEN], stdout=subprocess.PIPE, check=False
    ).stdout.decode()
    run("pip and setuptools", [*pip, "--upgrade", "pip", "setuptools", "wheel"], venv)
    names = [line for line in broken.split() if not line.startswith("mmseg_heritage==")]
    if names:
        run(
            f"repairing {len(names)} packages that were installed in part",
            [*pip, "--force-reinstall", "--no-deps", *names],
            venv,
        )
    if stack == "classic":
        install_mmcv(venv, python, pip)
    files = [REQUIREMENTS / f"{name}.txt" for name in (stack, "hub", "tests", "docs")]
    chosen = [argument for file in files for argument in ("--requirement", str(file))]
    run(f"packages of stack {stack} (several GB with torch)", [*pip, *chosen], venv)
    # Without isolation: the setuptools just installed is recent enough, and nothing is downloaded.
    editable = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run("mmseg_heritage itself, editable", [*pip, *editable], venv)
    run("pip check", [str(python), "-m", "pip", "check"], venv)


def install_mmcv(venv: Path, python: Path, pip: list[str]) -> None:
    """Installs mmcv with its compiled ops, built once per user, torch and Python."""
    if works([str(python), "-c", "import mmcv._ext"]):
        return
    needed = ["torch", "torchvision", "numpy<2", "opencv-python", "ninja", "psutil"]
    run("torch, which mmcv is compiled against (several GB)", [*pip, *needed], venv)
    # CPU ops unless asked: no model of ours needs a compiled op, and the CUDA build needs the same
    # CUDA toolkit as torch's (12.1).
    is_cuda = os.environ.get("FORCE_CUDA") == "1"
    tags = subprocess.check_output(
        [
            str(python),
            "-c",
            "import sys, sysconfig, torch; print('torch%s-cp%d%d-%s' % (torch.__version__, "
            "*sys.version_info[:2], sysconfig.get_platform()))",
        ]
    )
    folder = cache() / "-".join(["mmcv", MMCV, tags.decode().strip(), "cuda" if is_cuda else "cpu"])
    if not list(folder.glob("mmcv-*.whl")):
        environment = {"MMCV_WITH_OPS": "1", "MAX_JOBS": str(os.cpu_count() or 1)}
        if not is_cuda:
            environment["CUDA_VISIBLE_DEVICES"] = ""  # mmcv compiles for a GPU where it sees one
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            build = [str(python), "-m", "pip", "wheel", f"mmcv=={MMCV}", "--no-binary", "mmcv"]
            build += ["--no-deps", "--no-build-isolation", "--wheel-dir", scratch]
            # pip's own cache does not know which torch a wheel was compiled against.
            build += ["--no-cache-dir"]
            run("compiling mmcv's ops (about 18 CPU minutes, once)", build, venv, environment)
            folder.mkdir(exist_ok=True)
            for wheel in Path(scratch).glob("mmcv-*.whl"):
                wheel.replace(folder / wheel.name)
    wheels = [str(wheel) for wheel in folder.glob("mmcv-*.whl")]
    run("mmcv with compiled ops", [*pip, "--force-reinstall", "--no-deps", *wheels], venv)


def python_version() -> str:
    """Returns this Python's version as 3.11."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def cache() -> Path:
    """Returns the folder, outside the tree, that keeps compiled wheels."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmseg_heritage" / "wheels"


def works(command: list[str]) -> bool:
    """Says whether a command can be run and succeeds."""
    try:
        quiet = subprocess.DEVNULL
        return subprocess.run(command, stdout=quiet, stderr=quiet, check=False).returncode == 0
    except OSError:
        return False


def run(
    what: str,
    command: list[str],
    venv: Path,
    environment: dict[str, str] | None = None,
) -> None:
    """Runs one step into the log, shows what it is doing, and fails with the log's last lines."""
    started = time.time()
    log = venv / LOG
    is_live = sys.stdout.isatty()
    print(f"  {what} ...", end="" if is_live else "\n", flush=True)
    with log.open("ab") as sink:
        sink.write(f"\n$ {' '.join(command)}\n".encode())
        sink.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=str(ROOT),
        )
    try:
        while process.poll() is None:
            time.sleep(0.2)
            if is_live:
                width = shutil.get_terminal_size().columns - 1
                line = f"  {what} ... {time.time() - started:.0f} s  {last_line(log)}"
                print(f"\r\033[K{line[:width]}", end="", flush=True)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if is_live:
        print(f"\r\033[K  {what}: {time.time() - started:.0f} s")
    if process.returncode:
        step = log.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2]
        print("\n".join(step.splitlines()[1:][-15:]), file=sys.stderr)
        raise Failure(f"failed at: {what} (exit code {process.returncode}); the whole log: {log}")


def last_line(log: Path) -> str:
    """Returns the last line of the log, as far as the end of the file shows it."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


if __name__ == "__main__":
    sys.exit(main())
