"""What a built package holds, and that the requirement files say why."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT_FILES = sorted((ROOT / "requirements").glob("*.txt"))
CONSTRAINT_FILES = [path for path in REQUIREMENT_FILES if path.name.startswith("constraints-")]

pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.py").exists(),
    reason="runs from a source tree, not from an installed package",
)


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what packaging reads, with traces as earlier builds leave them."""
    tree = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "model-index.yml", "LICENSE"):
        shutil.copy2(ROOT / name, tree / name)
    for name in ("requirements", "configs", "tools", "mmseg_heritage"):
        shutil.copytree(
            ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".mim")
        )
    stale = [
        tree / "mmseg_heritage" / ".mim" / "tools" / "stale.py",
        tree / "build" / "lib" / "mmseg_heritage" / "stale.py",
        tree / "build" / "lib" / "mmseg_heritage" / ".mim" / "configs" / "stale.py",
    ]
    for path in stale:
        path.parent.mkdir(parents=True)
        path.write_text("raise RuntimeError\n")
    return tree


def _pip(command: str, *arguments: str | Path) -> None:
    # Looked up, not imported: importing setuptools here would change distutils under pytest.
    setuptools = find_spec("setuptools")
    if find_spec("pip") is None or setuptools is None or setuptools.origin is None:
        pytest.skip("building needs pip and setuptools in this environment")
    builds_alone = Path(setuptools.origin).with_name("command").joinpath("bdist_wheel.py").exists()
    if not builds_alone and find_spec("wheel") is None:
        pytest.skip("this setuptools builds wheels only with the package 'wheel' beside it")
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, *flags, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--wheel-dir", folder, source_tree)
    (path,) = folder.glob("mmseg_heritage-*.whl")
    return path


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    """Names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("part", ["tools", "configs"])
def test_wheel_holds_every_file_that_mim_looks_for(wheel_names: set[str], part: str) -> None:
    sources = {
        f"mmseg_heritage/.mim/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources
    assert {
        name for name in wheel_names if name.startswith(f"mmseg_heritage/.mim/{part}/")
    } == sources
    assert "mmseg_heritage/.mim/model-index.yml" in wheel_names


def test_wheel_holds_every_file_of_the_package(wheel_names: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mmseg_heritage").rglob("*")
        if path.is_file() and not {"__pycache__", ".mim"} & set(path.parts)
    }
    assert "mmseg_heritage/py.typed" in files  # or type checkers would not look at the package
    assert {Path(name).suffix for name in files} >= {".py", ".json", ".html", ".css"}
    assert files <= wheel_names


def test_wheel_holds_nothing_from_earlier_builds_or_beside_the_package(
    wheel_names: set[str],
) -> None:
    assert not [name for name in wheel_names if "stale" in name or "__pycache__" in name]
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mmseg_heritage"}


@pytest.mark.slow
def test_editable_installation_makes_a_fresh_mim_folder(source_tree: Path, tmp_path: Path) -> None:
    _pip("install", "--target", tmp_path / "site", "--editable", source_tree)
    mim = source_tree / "mmseg_heritage" / ".mim"
    assert sorted(path.name for path in mim.iterdir()) == ["configs", "model-index.yml", "tools"]
    assert (mim / "configs" / "metafile.yml").samefile(source_tree / "configs" / "metafile.yml")


@pytest.mark.slow
def test_sdist_can_be_built_into_the_same_wheel(source_tree: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path)],
        cwd=source_tree,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    _pip("wheel", "--wheel-dir", tmp_path, sdist)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "mmseg_heritage/.mim/model-index.yml",
        "mmseg_heritage/.mim/configs/metafile.yml",
    } <= names
    assert not [name for name in names if "stale" in name]


def test_every_model_of_the_metafile_names_a_config_of_its_own_name() -> None:
    index = yaml.safe_load((ROOT / "model-index.yml").read_text(encoding="utf-8"))
    models = []
    collections = set()
    for path in index["Import"]:
        content = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
        models += content["Models"]
        collections |= {collection["Name"] for collection in content["Collections"]}
    assert models
    for model in models:
        assert (ROOT / model["Config"]).is_file(), model["Config"]
        assert Path(model["Config"]).stem == model["Name"]
        assert model["In Collection"] in collections


def test_config_file_names_are_unique_because_mim_finds_configs_by_name() -> None:
    names = [path.name for path in (ROOT / "configs").glob("*.py")]
    names += [path.name for path in (ROOT / "configs").glob("*/*.py") if "_base_" not in path.parts]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", REQUIREMENT_FILES, ids=lambda path: path.name)
def test_every_requirement_has_its_reason(path: Path) -> None:
    is_explained = False  # by a comment that heads the block of lines
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("#"):
            is_explained = path in CONSTRAINT_FILES  # there, one reason serves a whole block
        elif line and not line.startswith("-r "):
            assert is_explained or "  # " in line, f"{path.name}:{number}: {line}"


def test_runtime_requirements_leave_the_stack_to_the_extras() -> None:
    text = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    names = re.findall(r"^([A-Za-z][\w-]*)", text, flags=re.MULTILINE)
    assert "numpy" in names
    # timm requires torch, and torch decides which stack an environment can be.
    assert not [name for name in names if re.match(r"(onedl-|open)?mm|openmim|torch|timm", name)]


@pytest.mark.parametrize("stack", ["official", "onedl", "classic"])
def test_constraints_pin_exactly_and_cover_the_stack(stack: str) -> None:
    constraints = (ROOT / "requirements" / f"constraints-{stack}.txt").read_text(encoding="utf-8")
    pinned = set()
    for line in constraints.splitlines():
        if line and not line.startswith("#"):
            match = re.match(r"([\w.-]+)==[\w.+!]+(\s*;.*)?$", line)
            assert match, line
            pinned.add(match.group(1).lower().replace("_", "-"))
    for name in (stack, "runtime", "hub", "tests", "docs"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        wanted = re.findall(r"^([A-Za-z][\w.-]*)", text, flags=re.MULTILINE)
        assert not {name.lower().replace("_", "-") for name in wanted} - pinned


def test_pre_commit_runs_the_ruff_that_make_runs() -> None:
    pinned = re.search(
        r"^ruff==(\S+)", (ROOT / "requirements" / "tests.txt").read_text(), flags=re.MULTILINE
    )
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (revision,) = (repo["rev"] for repo in hooks["repos"] if "ruff" in repo["repo"])
    assert pinned is not None
    assert revision == f"v{pinned.group(1)}"


@dataclass(frozen=True)
class Mim:
    """mim as it is called in an empty folder.

    Attributes:
        folder: The folder.
        root: Below it are the tools and configs that mim shall find.
        config: What ``mim train`` needs to be told to find the quickstart config.
        python_path: Where the package is installed, before what the environment has.
    """

    folder: Path
    root: Path
    config: str
    python_path: str

    def __call__(self, *arguments: str) -> str:
        """Returns what a command of mim prints."""
        done = subprocess.run(
            [sys.executable, "-m", "mim", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": self.python_path, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def mim(source_tree: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mim:
    """Returns openmim with the wheel, or the forks' mim with an editable installation.

    Neither works the other way round (docs/how-to/launch.md).
    """
    installed = {distribution.metadata["Name"] for distribution in distributions()}
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    if "openmim" in installed:
        _pip("install", "--target", site, wheel)
        root = site / "mmseg_heritage" / ".mim"
        return Mim(folder, root, "quickstart_artefact.py", str(site))
    if "onedl-mim" in installed:
        _pip("install", "--target", site, "--editable", source_tree)
        # Python follows the link to the source tree in its own site-packages only.
        path = f"{site}{os.pathsep}{source_tree}"
        config = str(source_tree / "configs" / "quickstart_artefact.py")
        return Mim(folder, source_tree, config, path)
    pytest.skip("no mim in this environment")


@pytest.fixture(scope="module")
def sample_of_mim(mim: Mim) -> str:
    """What mim says when it makes data/sample."""
    return mim("run", "mmseg_heritage", "make_sample_data", "--out", "data/sample",
               "--num-images", "12", "--size", "96")  # fmt: skip


@pytest.mark.slow
def test_mim_runs_a_tool_in_an_empty_folder(mim: Mim, sample_of_mim: str) -> None:
    assert str(mim.root / "tools" / "make_sample_data.py") in sample_of_mim
    assert len(list((mim.folder / "data" / "sample" / "images").iterdir())) == 12


@pytest.mark.slow
def test_mim_lists_every_model_of_the_metafile(mim: Mim) -> None:
    metafile = yaml.safe_load((ROOT / "configs" / "metafile.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"config id: (\S+)", mim("search", "mmseg_heritage"))
    assert sorted(listed) == sorted(model["Name"] for model in metafile["Models"])


SMALL = ["--cfg-options", "max_iters=1", "crop_size=64", "batch_size=2", "num_workers=0"]


@pytest.mark.slow
def test_mim_trains_and_tests_a_shipped_config(mim: Mim, sample_of_mim: str) -> None:
    mim("run", "mmseg_heritage", "train", "quickstart_artefact", *SMALL)
    run = mim.folder / "work_dirs" / "quickstart_artefact"
    mim("train", "mmseg_heritage", mim.config, "--work-dir", "other", *SMALL)
    for folder in (run, mim.folder / "other"):
        assert (folder / "iter_1.pth").is_file()
    mim("test", "mmseg_heritage", mim.config, "--checkpoint", str(run / "iter_1.pth"))
    assert (run / "evaluation" / "metrics.json").is_file()


@pytest.mark.slow
def test_mim_trains_and_tests_a_shipped_config_with_the_tools_of_mmsegmentation(
    mim: Mim, sample_of_mim: str
) -> None:
    """Full names of fields: mmseg's own scripts know no short variables."""
    config = str(mim.root / "configs" / "quickstart_artefact.py")
    package = "mmsegmentation" if mim.config != config else "onedl-mmsegmentation"
    options = ["--cfg-options", "train_cfg.max_epochs=1", "train_dataloader.batch_size=3"]
    mim("train", package, config, "--gpus", "0", "--work-dir", "stock", *options)
    checkpoint = mim.folder / "stock" / "epoch_1.pth"
    printed = mim("test", package, config, "--gpus", "0", "--checkpoint", str(checkpoint),
                  "--out", "maps")  # fmt: skip
    assert "mIoU" in printed
    assert len(list((mim.folder / "maps").glob("*.png"))) > 0


@pytest.mark.slow
def test_what_mim_searches_over_is_trained_with(mim: Mim, sample_of_mim: str) -> None:
    mim("gridsearch", "mmseg_heritage", mim.config, "--work-dir", "grid",
        "--search-args", "--optim_wrapper.optimizer.lr 0.02 0.03", *SMALL)  # fmt: skip
    for rate in ("0.02", "0.03"):
        (path,) = (mim.folder / f"grid_search_optim_wrapper.optimizer.lr_{rate}").glob(
            "*/vis_data/config.py"
        )
        text = path.read_text(encoding="utf-8")
        assert re.search(rf"\blr={rate},\s+type='AdamW'", text)
