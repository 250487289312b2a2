"""Exported models predict what their checkpoints do, and say what they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from PIL import Image

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.apis import exporting
from mmseg_heritage.apis.exporting import export
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.exported_file import KEY, FixedWindow
from mmseg_heritage.inference.onnx_graph import check_exportable, fixed_window, write_graph
from mmseg_heritage.inference.onnx_predictor import OnnxNetwork, OnnxPredictor, open_session
from mmseg_heritage.inference.run_network import RunNetwork, preprocessing
from mmseg_heritage.inference.sources import PhotographSource
from mmseg_heritage.models.backbones.padding import InputSizes
from mmseg_heritage.runs.load_predictor import Predictor
from mmseg_heritage.scores.head_scores import HeadScores

needs_onnx = pytest.mark.usefixtures("_onnx")


@pytest.fixture
def _onnx():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


def photographs(folder):
    return sorted((folder / "artefact_mini" / "images").iterdir())[:3]


@pytest.mark.slow
@needs_onnx
def test_a_checkpoint_and_its_onnx_file_give_the_same(tiny_run, tmp_path, shared_data, capsys):
    out = tmp_path / "tiny.onnx"
    assert main(["export", str(tiny_run.checkpoint), "--out", str(out)]) == 0
    assert "tiny.md" in capsys.readouterr().out
    expected, found = Predictor(tiny_run.checkpoint, device="cpu"), OnnxPredictor(out, threads=1)
    different = total = 0
    for path in photographs(shared_data):
        for predictor in (expected, found):
            predictor.keep_confidence()
        one, other = expected(path), found(path)
        different += (one.class_map != other.class_map).sum()
        total += one.class_map.size
        assert np.abs(one.confidence.astype(int) - other.confidence).max() <= 1
        assert one.seen_at == other.seen_at
    assert different <= 1e-4 * total
    assert found.validation == expected.validation
    assert found.kinds == expected.kinds
    with pytest.raises(InputError, match="already there"):
        export(tiny_run.checkpoint, out)


TIMM = {"type": "TimmBackboneAdapter"}
ARCHITECTURES = {
    "U-Net": ({**TIMM, "model_name": "test_efficientnet", "pad_type": "same", "out_indices": "all"},
              {"type": "UNetHead", "in_channels": "auto", "in_strides": "auto",
               "decoder_channels": [16, 16, 8, 8, 8]}),
    "hierarchical": ({**TIMM, "model_name": "convnext_atto"},
                     {"type": "HierarchicalUPerHead", "in_channels": "auto", "channels": 8,
                      "mode": "conditional"}),
    "attention in windows": ({**TIMM, "model_name": "test_maxvit", "img_size": 64},
                             {"type": "HierarchicalUPerHead", "in_channels": "auto", "channels": 8,
                              "mode": "marginal"}),
}  # fmt: skip


def built(backbone, head):
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = {
        "type": "HeritageEncoderDecoder", "backbone": backbone,
        "data_preprocessor": {"type": "SegDataPreProcessor", "bgr_to_rgb": True,
                              "mean": [100.0, 120.0, 140.0], "std": [60.0] * 3},
        "decode_head": {"num_classes": 16, **head},
    }  # fmt: skip
    return MODELS.build(ConfigDict(model)).eval()


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(name, tmp_path):
    model = built(*ARCHITECTURES[name])
    engine = model.window_inference
    engine.crop = 128
    check_exportable(model)
    window = fixed_window(model)
    assert (window is not None) == (name == "attention in windows")
    write_graph(model, tmp_path / "a.onnx", "{}", with_features=True, window=window)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(pixels).resize((320, 192)))
    session = open_session(tmp_path / "a.onnx", 1)
    assert session.get_modelmeta().custom_metadata_map[KEY] == "{}"
    network = OnnxNetwork(session, model.stride, engine, HeadScores(model.decode_head), window)
    expected = engine(model, PhotographSource(pixels))
    found = engine.maps_of(network, PhotographSource(pixels), pixels.shape[:2])
    for level, ids in expected.ids.items():
        assert (ids.numpy() != found.ids[level]).mean() < 1e-4
    if window is not None:
        _compare_filled_up(network, model, window, pixels[:90, :70])


def _compare_filled_up(network, model, window, pixels):
    """Compares what a graph makes of a smaller window with torch on one that is filled up."""
    small = np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1))  # blue, green, red
    [found] = network([small], (96, 96))
    edge = np.pad(small, ((0, 0), (0, 6), (0, 26)), mode="edge")
    whole = np.empty((3, window.side, window.side), np.uint8)
    whole[:] = np.array(window.color, np.uint8)[::-1, None, None]
    whole[:, :96, :96] = edge
    with torch.no_grad():
        [expected] = RunNetwork(model, preprocessing(model), 1, ())([whole], (window.side,) * 2)
    step = window.side // expected.shape[-1]
    assert np.abs(found - expected[:, : 96 // step, : 96 // step].numpy()).max() < 1e-3


def test_what_cannot_be_exported_is_named():
    model = built(*ARCHITECTURES["hierarchical"])
    model.backbone.input_sizes = InputSizes((224, 224), tiled=True)
    assert fixed_window(model) == FixedWindow(672, (100, 120, 140))  # the crop is 512
    model.data_preprocessor = SegDataPreProcessor(mean=[100.0, 120.0, 140.0], std=[60.0] * 3)
    assert fixed_window(model).color == (140, 120, 100)  # of one that takes blue, green, red
    model.window_inference.mode = "whole"
    with pytest.raises(InputError, match="expected --inference mode=window"):
        fixed_window(model)
    model.window_inference.crop = 4096
    with pytest.raises(InputError, match="convnext_atto is exported for one size"):
        fixed_window(model)
    with pytest.raises(InputError, match="Linear is not exported"):
        check_exportable(torch.nn.Linear(1, 1))


def test_absent_libraries_are_one_message(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"mmseg_heritage\[export\]"):
        export(tiny_run.checkpoint, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_weights_predict_the_same_and_hold_no_folders(tiny_run, tmp_path, sample_set):
    [checkpoint] = tiny_run.checkpoint.parent.glob("best_mIoU_*.pth")  # it was validated
    done = export(
        checkpoint, tmp_path / "w.pth", "weights", weights_license="CC-BY-4.0",
    )  # fmt: skip
    image = next((sample_set / "images").iterdir())
    expected, found = (Predictor(path, device="cpu")(image) for path in (checkpoint, done.file))
    assert np.array_equal(expected.class_map, found.class_map)
    content = torch.load(done.file, weights_only=False)
    assert set(content) <= {"meta", "state_dict", "message_hub", "training_features"}
    assert str(tiny_run.data) not in content["meta"]["cfg"]
    assert done.file.stat().st_size < checkpoint.stat().st_size
    card = done.card.read_text()
    for text in ("CC-BY-4.0", "not stated", "everything Clean", "## Limits", "| Cracks | line |"):
        assert text in card
    with pytest.raises(InputError, match="cannot take the place"):
        export(checkpoint, checkpoint, "weights", overwrite=True)
    with pytest.raises(InputError, match=r"ends in \.pth"):
        export(tiny_run.checkpoint, Path("a.onnx"), "weights")
    with pytest.raises(InputError, match="did you mean"):
        export(tiny_run.checkpoint, format="onx")
