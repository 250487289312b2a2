"""What reading a photograph takes at most, as its docstring states it."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peaks are read off Linux's /proc"
)

SIDE = 4000
BESIDE = 100e6  # bytes, whatever the size
READ = f"""
import sys
from pathlib import Path
import cv2
from mmseg_heritage.images.photographs import read_image
def memory(line):
    return int(Path("/proc/self/status").read_text().split(line)[1].split()[0]) * 1024
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS:")
assert read_image(sys.argv[1]).shape == ({SIDE}, {SIDE}, 3)
print(memory("VmHWM:") - before)
"""


@pytest.fixture(scope="module")
def levels():
    """A smooth photograph of 16 bits, in which every pixel differs from its neighbors."""
    rng = np.random.default_rng(0)
    few = rng.integers(0, 65535, (40, 40, 3), dtype=np.uint16)
    return cv2.resize(few, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _heic(path, levels):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray((levels >> 8).astype(np.uint8))).save(path)


def _pillow(path, levels):
    Image.fromarray((levels >> 8).astype(np.uint8)).save(path)


def _tiled(path, levels):
    tifffile.imwrite(path, levels, photometric="rgb", tile=(512, 512), compression="zlib")


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "write", "bytes_a_pixel"),
    [
        ("photograph.jpg", _pillow, 7),
        pytest.param("deep.png", cv2.imwrite, 20, marks=SLOW),
        pytest.param("plain.png", _pillow, 7, marks=SLOW),
        pytest.param("plain.tif", _pillow, 7, marks=SLOW),
        pytest.param("plain.webp", _pillow, 19, marks=SLOW),
        pytest.param("tiled.tif", _tiled, 16, marks=SLOW),
        pytest.param("telephone.heic", _heic, 9, marks=SLOW),
    ],
)
def test_peak_is_as_stated(levels, tmp_path, name, write, bytes_a_pixel):
    path = tmp_path / name
    write(str(path), levels)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True
    )
    limit = bytes_a_pixel * SIDE**2 + BESIDE + (path.stat().st_size if name == "deep.png" else 0)
    assert 3 * SIDE**2 <= int(done.stdout) <= limit
