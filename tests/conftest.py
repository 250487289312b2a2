"""Data that tests in every folder read: a generated sample set, and real data where it is."""

import os
import shutil
from pathlib import Path

import pytest

from mmseg_heritage.data.sample_set import make_sample_set

REAL_DATA_VARIABLE = "MMSEG_HERITAGE_REAL_DATA"
_BESIDE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


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
