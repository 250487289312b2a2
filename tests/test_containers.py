"""The container files, which are not built here: what in them rots when other files change."""

import fnmatch
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from mmseg_heritage.doctor.diagnosis import NEWEST_PYTHON, OLDEST_PYTHON, SHM_NEEDED

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "containers"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="runs from a source tree")

UBUNTU_PYTHON = {"22.04": (3, 10), "24.04": (3, 12)}  # what `apt-get install python3` gives


@pytest.fixture(scope="module")
def dockerfile():
    """Instructions of the Dockerfile as (name, arguments), continued lines joined."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def definition():
    """Sections of the Apptainer definition by name, continued lines joined; "" is the header."""
    text = (FOLDER / "mmseg_heritage.def").read_text(encoding="utf-8")
    parts = re.split(r"^%(\w+)\n", re.sub(r"\\\n\s*", "", text), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.fixture(scope="module")
def services():
    """Services of the compose file."""
    return yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]


def of_name(dockerfile, name):
    return [arguments for instruction, arguments in dockerfile if instruction == name]


def copied(dockerfile, before=None):
    """Returns the sources of COPY, of those before the instruction that contains a text."""
    sources = []
    for instruction, arguments in dockerfile:
        if before is not None and before in arguments:
            break
        if instruction == "COPY":
            sources += arguments.split()[:-1]
    return sources


def packages(text):
    """Returns what apt-get installs."""
    (found,) = re.findall(r"apt-get install --yes --no-install-recommends\s+([^&\n]+)", text)
    return found.split()


class TestDockerfile:
    """The image."""

    def test_its_base_is_pinned_and_has_a_python_of_the_range(self, dockerfile):
        (base,) = of_name(dockerfile, "FROM")
        match = re.fullmatch(r"nvidia/cuda:(\d+)\.\d+\.\d+-base-ubuntu(\d\d\.\d\d)", base)
        assert OLDEST_PYTHON <= UBUNTU_PYTHON[match[2]] <= NEWEST_PYTHON

    def test_its_base_has_the_cuda_of_the_pinned_torch(self, dockerfile):
        torch = pytest.importorskip("torch")
        pins = (ROOT / "requirements" / "constraints-official.txt").read_text()
        if f"torch=={metadata.version('torch').split('+')[0]}" not in pins:
            pytest.skip("another torch is installed here")
        if torch.version.cuda is None:
            pytest.skip("this torch is built without CUDA")
        (base,) = of_name(dockerfile, "FROM")
        assert base.startswith(f"nvidia/cuda:{torch.version.cuda.split('.')[0]}.")

    def test_it_installs_by_make_alone(self, dockerfile):
        runs = of_name(dockerfile, "RUN")
        assert [run.split()[-2:] for run in runs].count(["make", "env"]) == 1
        assert not [run for run in runs if "pip install" in run]
        assert "make" in packages("\n".join(runs))

    def test_its_stack_is_one_with_constraints(self, dockerfile):
        (argument,) = of_name(dockerfile, "ARG")
        name, stack = argument.split("=")
        assert name == "STACK"
        assert (ROOT / "requirements" / f"constraints-{stack}.txt").is_file()

    def test_it_does_not_run_as_root(self, dockerfile):
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of_name(dockerfile, "USER")[-1])

    def test_what_it_copies_exists_and_the_code_comes_after_the_packages(self, dockerfile):
        early = copied(dockerfile, before="make env")
        assert all((ROOT / name).exists() for name in early)
        assert "." in copied(dockerfile)
        assert "." not in early

    def test_what_is_copied_first_is_enough_to_install(self, dockerfile, tmp_path):
        for name in copied(dockerfile, before="make env"):
            source = ROOT / name
            files = [source] if source.is_file() else source.glob("*")
            for file in files:
                target = tmp_path / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
        for command in (["setup.py", "--version"], ["requirements/make_env.py", "--help"]):
            done = subprocess.run(
                [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr

    def test_its_command_is_one_that_exists(self, dockerfile):
        from mmseg_heritage.cli import COMMANDS

        (command,) = of_name(dockerfile, "CMD")
        *start, name = yaml.safe_load(command)
        assert start == ["python", "-m", "mmseg_heritage"]
        assert name in {module.__name__.rpartition(".")[2] for module in COMMANDS}

    def test_what_it_leaves_out(self, dockerfile):
        lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
        patterns = [line.rstrip("/") for line in lines if line and not line.startswith("#")]

        def is_left_out(path):
            return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)

        for name in (".git", ".venv", ".venv-onedl", "data", "work_dirs", "mmseg_heritage/.mim"):
            assert is_left_out(name), name
        kept = [name.rstrip("/") for name in copied(dockerfile) if name != "."]
        kept += ["configs", "tools", "tests", "docs", "README.md", "mmseg_heritage/data"]
        assert not [name for name in kept if is_left_out(name)]


class TestApptainer:
    """The definition for clusters says the same as the Dockerfile."""

    def test_the_base_is_the_same(self, dockerfile, definition):
        assert re.findall(r"^From: (\S+)$", definition[""], re.MULTILINE) == of_name(
            dockerfile, "FROM"
        )

    def test_the_packages_of_the_system_are_the_same(self, dockerfile, definition):
        runs = "\n".join(of_name(dockerfile, "RUN"))
        assert packages(definition["post"]) == packages(runs)

    def test_it_installs_by_make_alone(self, definition):
        (line,) = re.findall(r"^\s+make (.*)$", definition["post"], re.MULTILINE)
        assert line.split() == ["env", "STACK={{", "STACK", "}}", "VENV=/opt/venv"]
        assert "pip install" not in definition["post"]
        assert definition["arguments"].split() == ["STACK=official"]

    def test_its_files_exist_and_hold_what_the_image_needs(self, dockerfile, definition):
        files = dict(line.split() for line in definition["files"].strip().splitlines())
        assert all((ROOT / name).exists() for name in files)
        assert files == {name: f"/app/{name}" for name in files}
        early = {name.split("/")[0] for name in copied(dockerfile, before="make env")}
        assert early <= set(files)
        assert {"configs", "tools", "model-index.yml"} <= set(files)  # mim's

    @pytest.mark.parametrize("section", ["post", "environment", "runscript", "test"])
    def test_its_scripts_are_shell(self, definition, section):
        done = subprocess.run(
            ["sh", "-n"], input=definition[section], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


class TestCompose:
    """The services."""

    def test_both_run_the_image_of_the_dockerfile(self, services, dockerfile):
        assert set(services) == {"cpu", "gpu"}
        for service in services.values():
            context = (FOLDER / service["build"]["context"]).resolve()
            assert context == ROOT
            assert (context / service["build"]["dockerfile"]).is_file()
            assert service["image"].endswith(service["build"]["args"]["STACK"])
        default = re.fullmatch(r"\$\{STACK:-(\w+)\}", services["cpu"]["build"]["args"]["STACK"])[1]
        assert of_name(dockerfile, "ARG") == [f"STACK={default}"]

    def test_files_belong_to_the_user(self, services):
        for service in services.values():
            assert re.fullmatch(r"\$\{USER_ID:\?[^}]+\}:\$\{GROUP_ID:\?[^}]+\}", service["user"])

    def test_data_and_runs_are_folders_of_the_checkout(self, services):
        for service in services.values():
            mounted = {v["target"]: (FOLDER / v["source"]).resolve() for v in service["volumes"]}
            assert mounted == {"/app/data": ROOT / "data", "/app/work_dirs": ROOT / "work_dirs"}
            # docker would make a missing folder, as root's.
            assert not any(v["bind"]["create_host_path"] for v in service["volumes"])

    def test_workers_have_room(self, services):
        for service in services.values():
            assert int(service["shm_size"].removesuffix("gb")) << 30 > SHM_NEEDED

    def test_only_one_takes_the_gpus(self, services):
        (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        assert "deploy" not in services["cpu"]


def test_the_page_names_files_and_services_that_exist(services):
    page = (ROOT / "docs" / "how-to" / "containers.md").read_text(encoding="utf-8")
    commands = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    assert set(re.findall(r"run --rm (\w+)", commands)) == set(services)
    for name in re.findall(r"containers/[\w.]+", page):
        assert (ROOT / name).is_file(), name
    for variable in ("USER_ID", "GROUP_ID"):
        assert variable in commands
