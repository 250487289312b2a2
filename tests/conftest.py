"""Data that tests in every folder read: a generated sample set, and real data where it is."""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmseg_heritage.data.sample_set import make_sample_set

REAL_DATA_VARIABLE = "MMSEG_HERITAGE_REAL_DATA"
_BESIDE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _loggers_of_earlier_tests(monkeypatch):
    """Loggers of mmengine keep the output stream that pytest has closed since."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture(scope="session")
def sample_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a sample set of 12 images of 96 px. Read only: other tests read the same files."""
    return make_sample_set(tmp_path_factory.mktemp("data") / "sample", num_images=12, size=96)


@pytest.fixture
def copied_sample_set(sample_set: Path, tmp_path: Path) -> Path:
    """Folder of a copy of the sample set that a test may change."""
    return Path(shutil.copytree(sample_set, tmp_path / "sample_copy"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets (``artefact_mini/``, ``crackforest/``, ``photos/``, ...)."""
    folder = Path(os.environ.get(REAL_DATA_VARIABLE) or _BESIDE_REPOSITORY)
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set {REAL_DATA_VARIABLE} to their folder")
    return folder


REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class TinyRun:
    """A finished training run of a few iterations.

    Attributes:
        config: Its config file.
        folder: Its work folder.
        checkpoint: The checkpoint it wrote last.
        data: Folder of its data set.
    """

    config: Path
    folder: Path
    checkpoint: Path
    data: Path


@pytest.fixture(scope="session")
def tiny_config(sample_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config file of the quickstart model at its smallest, on the sample set."""
    path = tmp_path_factory.mktemp("config") / "tiny.py"
    path.write_text(
        f"_base_ = [{str(REPOSITORY / 'configs' / 'quickstart_artefact.py')!r}]\n"
        f"data_root = {str(sample_set)!r}\n"
        "crop_size, batch_size, num_workers = 64, 2, 0\n"
        "model = dict(backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1]),\n"
        "             decode_head=dict(channels=16))\n"
    )
    return path


@pytest.fixture(scope="session")
def tiny_run(
    tiny_config: Path, sample_set: Path, tmp_path_factory: pytest.TempPathFactory
) -> TinyRun:
    """A run of three iterations with :func:`tiny_config`. Read only."""
    pytest.importorskip("mmseg")
    from mmseg_heritage.apis.train import train

    folder = tmp_path_factory.mktemp("run") / "tiny"
    train(tiny_config, work_dir=str(folder), cfg_options={"max_iters": 3})
    return TinyRun(tiny_config, folder, folder / "iter_3.pth", sample_set)
