"""Masks in .mat files: read as MATLAB saved them, or refused in words."""

import numpy as np
import pytest

from mmseg_heritage.dataprep.importing.mat_files import read_mat
from mmseg_heritage.images.image_files import ImageFault

scipy_io = pytest.importorskip("scipy.io")

VALUES = np.arange(12).reshape(3, 4)


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f8", "?"])
def test_numbers_come_back(kind, tmp_path):
    values = VALUES.astype(kind)
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"mask": values, "s": {"inner": {"mask": values}}})
    for variable in ("mask", "s.inner.mask"):
        found = read_mat(path, variable)
        assert found.dtype.kind != "f"
        assert np.array_equal(found, values)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("other", "no variable 'other'; it holds mask, text, s, half, deep"),
        ("s.other", "no field 'other' in 's.other'; there is mask"),
        ("mask.other", r"there is numbers of shape \(3, 4\)"),
        ("text", r"expected whole numbers of shape \(H, W\) in 'text'"),
        ("half", "expected whole numbers"),
        ("deep", r"of shape \(3, 4, 2\)"),
        ("s", "expected whole numbers"),
    ],
)
def test_what_is_no_mask_is_refused(variable, message, tmp_path):
    path = tmp_path / "a.mat"
    content = {"mask": VALUES, "text": "x", "s": {"mask": VALUES}, "half": VALUES / 2}
    scipy_io.savemat(path, content | {"deep": np.zeros((3, 4, 2))})
    with pytest.raises(ImageFault, match=message) as caught:
        read_mat(path, variable)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "content", [b"", b"no matlab", b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"]
)
def test_files_that_cannot_be_read_are_named(content, tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(ImageFault, match=r"a\.mat: (cannot be read as|saved by MATLAB 7.3)"):
        read_mat(path, "mask")


def test_a_file_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"mask": np.zeros((50, 50))})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ImageFault, match=r"a\.mat: "):
        read_mat(path, "mask")
