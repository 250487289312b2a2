"""An exported model is read with care, and predicts without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mmseg_heritage.apis.predicting import predict  # noqa: E402
from mmseg_heritage.errors import InputError  # noqa: E402
from mmseg_heritage.inference.exported_file import ExportedModel, read_exported  # noqa: E402
from mmseg_heritage.inference.onnx_predictor import KEY, OnnxPredictor  # noqa: E402
from mmseg_heritage.inference.training_features import training_features  # noqa: E402
from mmseg_heritage.inference.window_engine import WindowEngine  # noqa: E402
from mmseg_heritage.taxonomy import ARTEFACT  # noqa: E402

MODEL = ExportedModel(
    ARTEFACT.names[:3],
    ARTEFACT.colors[:3],
    (0, 1, 9),
    ("area", "area", "line"),
    {},
    None,
    None,
    8,
    None,
    WindowEngine(crop=16),
    {"temperature": 2.0},
    training_features(np.random.default_rng(0).normal(100, 9, (9, 3)), np.full((4, 3), 90.0)),
    {"overall": {"mIoU": 40.0}, "all_clean": {"mIoU": 30.0}, "never_found": []},
    {"name": "a.pth", "sha256": "0" * 64},
    {"weights": None, "data": "CC0"},
)


def save(path, text, channels=3, sides=("h", "w")):
    """Writes a graph whose class is the largest of R, G and B, in cells of 2 px."""
    nodes = [
        helper.make_node("Cast", ["windows"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "scale"], ["scaled"]),
        helper.make_node("AveragePool", ["scaled"], ["cells"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Softmax", ["cells"], ["probabilities"], axis=1),
        helper.make_node("ReduceMean", ["numbers", "sides"], ["features"], keepdims=0),
    ]
    floats, graph_io = TensorProto.FLOAT, helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "test",
        [graph_io("windows", TensorProto.UINT8, ["n", channels, *sides])],
        [
            graph_io("probabilities", floats, ["n", channels, "a", "b"]),
            graph_io("features", floats, ["n", channels]),
        ],
        [
            numpy_helper.from_array(np.float32(0.05), "scale"),
            numpy_helper.from_array(np.array([2, 3]), "sides"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if text is not None:
        helper.set_model_props(model, {KEY: text})
    onnx.save(model, path)
    return path


@pytest.fixture
def exported(tmp_path):
    return save(tmp_path / "model.onnx", json.dumps(MODEL.content("1")))


@pytest.fixture
def photograph(tmp_path):
    pixels = np.full((50, 70, 3), 40, np.uint8)
    pixels[:20, :, 1], pixels[20:, :30, 2], pixels[20:, 30:, 0] = 200, 220, 240
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_content_is_read_as_it_was_written():
    found = read_exported(json.dumps(MODEL.content("1")), "x")
    assert found.content("1") == MODEL.content("1")
    assert np.array_equal(found.training_features.precision, MODEL.training_features.precision)


def test_prediction_without_torch_and_as_in_this_process(exported, photograph, tmp_path):
    found = OnnxPredictor(exported)(photograph)
    assert [int(found.class_map[y, x]) for y, x in ((5, 60), (40, 5), (40, 65))] == [1, 2, 0]
    blocked = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'mmseg', 'mmengine', 'mmcv', 'timm'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from mmseg_heritage.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["predict", str(exported), str(photograph), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", blocked, *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = np.asarray(Image.open(tmp_path / "out" / "photo_classes.png"))
    assert np.array_equal(written, np.array(MODEL.mask_values)[found.class_map])
    record = json.loads((tmp_path / "out" / "photo.json").read_text())
    assert record["made_with"]["exported_from"] == {"name": "a.pth", "sha256": "0" * 64}
    assert record["unlike_training"] == found.unlikeness.content()
    assert (tmp_path / "out" / "photo_confidence.png").exists()


def test_options_of_inference_count_and_others_are_refused(exported, photograph, tmp_path):
    predictor = OnnxPredictor(exported, {"inference.scales": ["fit:35"]})
    assert predictor(photograph).seen_at == ((25, 35),)
    with pytest.raises(InputError, match="no other options"):
        OnnxPredictor(exported, {"data_root": "x"})
    with pytest.raises(InputError, match="runs on the cpu"):
        predict(exported, photograph, tmp_path / "out", device="cuda")
    with pytest.raises(InputError, match="takes no config"):
        predict(exported, photograph, tmp_path / "out", config="x.py")


def test_a_graph_of_one_size_gives_the_same(exported, photograph, tmp_path):
    content = changed(fixed_window={"side": 16, "color": [9, 9, 9]}, training_features=None)
    fixed = save(tmp_path / "fixed.onnx", content, sides=(16, 16))
    for options in (
        {},
        {"inference.scales": ["fit:35", "fit:11"], "inference.tta": ["horizontal"]},
    ):
        found, expected = (OnnxPredictor(path, options)(photograph) for path in (fixed, exported))
        assert np.array_equal(found.class_map, expected.class_map)
    for option in ({"inference.crop": 8}, {"inference.crop": 32}, {"inference.mode": "whole"}):
        with pytest.raises(InputError, match="takes windows of 16 x 16 px"):
            OnnxPredictor(fixed, option)


def changed(**fields):
    return json.dumps({**MODEL.content("1"), **fields})


BAD = {
    "another program": (None, "another program"),
    "no JSON": ("{", "no JSON"),
    "too deep": ("[" * 10**5, "no JSON"),
    "a list": ("[]", "export the checkpoint again"),
    "another schema": (changed(schema="x"), "schema"),
    "classes": (changed(classes=["a", "a", "b"]), "different names"),
    "palette": (changed(palette=[[1, 2, 300]] * 3), "palette"),
    "mask values": (changed(mask_values=[1, 1, 2]), "mask_values"),
    "kinds": (changed(kinds=["area"] * 2 + ["x"]), "kinds"),
    "threshold": (changed(threshold=0.5), "threshold"),
    "unit": (changed(unit=0), "unit"),
    "color of a window": (changed(fixed_window={"side": 16, "color": [0, 0]}), "side and color"),
    "side of a window": (changed(fixed_window={"side": 12, "color": [0] * 3}), "multiple of unit"),
    "crop of a window": (changed(fixed_window={"side": 8, "color": [0] * 3}), "crop of at most"),
    "features of a window": (changed(fixed_window={"side": 16, "color": [0] * 3}), "whole"),
    "size of the graph": (
        changed(fixed_window={"side": 16, "color": [0] * 3}, training_features=None), "of the size",
    ),
    "inference": (changed(inference={"mode": "x"}), "inference"),
    "calibration": (changed(calibration={"temperature": -1.0}), "temperature"),
    "levels": (
        changed(
            level_mode="marginal",
            levels={"binary": {"classes": ["a"], "colors": [[1, 2, 3]], "fine_to_group": [0, 1]}},
        ),
        "group of each class",
    ),
    "features": (
        changed(
            training_features={**MODEL.content("1")["training_features"], "precision": "AAAA"}
        ),
        "damaged",
    ),
    "channels": (changed(classes=["a", "b"], palette=[[1, 2, 3]] * 2, mask_values=[0, 1],
                         kinds=["area"] * 2), "2 channels"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(name, tmp_path):
    text, message = BAD[name]
    with pytest.raises(InputError) as raised:
        OnnxPredictor(save(tmp_path / "bad.onnx", text))
    assert message in str(raised.value)
    assert "bad.onnx" in str(raised.value)


def test_files_that_are_no_onnx(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        OnnxPredictor(tmp_path / "missing.onnx")
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x08" * 99)
    with pytest.raises(InputError, match="not a whole ONNX file"):
        OnnxPredictor(tmp_path / "cut.onnx")
