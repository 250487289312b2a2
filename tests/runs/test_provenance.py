"""What a run says of itself: operations against a count by hand, and the commit."""

import subprocess

import pytest
import torch
from torch import nn

import mmseg_heritage
from mmseg_heritage.runs import provenance as stamp
from mmseg_heritage.runs.provenance import FLOPS_SIDE, flops, git_commit


class _Model(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.layer = nn.Conv2d(channels, 5, 3, stride=2, padding=1)

    def forward(self, inputs, mode):
        return self.layer(inputs)


def test_operations_equal_a_count_by_hand():
    # Of each of 5 x 256 x 256 outputs 27 products and as many additions.
    assert flops(_Model()) == 5 * (FLOPS_SIDE // 2) ** 2 * 27 * 2


def test_a_model_that_cannot_be_run_has_no_count():
    assert flops(_Model(channels=4)) is None


def test_the_commit_is_that_of_the_package_alone(tmp_path, monkeypatch):
    def git(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    package = tmp_path / "package"
    package.mkdir()
    (package / "version.py").write_text("1")
    monkeypatch.setattr(mmseg_heritage, "__file__", str(package / "__init__.py"))
    assert git_commit() is None  # no checkout
    git("init")
    assert git_commit() is None  # an environment inside a checkout of something else
    git("add", "package/version.py")
    git("commit", "-m", "one")
    found = git_commit()
    assert len(found["commit"]) == 40
    assert found["changed"] is False
    (package / "version.py").write_text("2")
    assert git_commit() == {**found, "changed": True}
    monkeypatch.setattr(stamp, "_git", lambda *arguments: None)  # git is not installed
    assert git_commit() is None


def test_devices_are_named():
    assert stamp.device_stamp(torch.device("cpu"))["type"] == "cpu"
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert stamp.device_stamp(torch.device("cuda"))["name"]
