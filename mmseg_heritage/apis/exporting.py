"""A trained model as a file for others: an ONNX graph, or its weights alone, with a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mmengine.config import Config

from mmseg_heritage.apis.refining.new_checkpoint import (
    check_new_file,
    new_content,
    save_checkpoint,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.exported_file import MOST_FEATURES, ExportedModel
from mmseg_heritage.inference.onnx_graph import (
    check_exportable,
    fixed_window,
    part_name,
    write_graph,
)
from mmseg_heritage.inference.predictor import BasePredictor
from mmseg_heritage.inference.training_features import TrainingFeatures
from mmseg_heritage.runs.load_predictor import load_predictor
from mmseg_heritage.runs.trained_run import TrainedRun, read_trained_run
from mmseg_heritage.utils.files import replacing, sha256, writing_together
from mmseg_heritage.utils.text import require_known
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.report.release_card import ReleasedModel, release_card

ONNX, WEIGHTS = "onnx", "weights"
FORMATS = {ONNX: ".onnx", WEIGHTS: ".pth"}
_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
_KEPT = ("meta", "state_dict", "training_features")
_VALIDATION = "runtime_info"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: The model.
        card: Its model card.
        remarks: What the file does without.
    """

    file: Path
    card: Path
    remarks: list[str]


def export(
    checkpoint: str | Path,
    out: str | Path | None = None,
    format: str = ONNX,
    *,
    weights_license: str | None = None,
    data_license: str | None = None,
    inference: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
) -> Exported:
    """Writes a trained model for others, with a model card (Markdown) beside it.

    Args:
        checkpoint: Checkpoint file.
        out: File to write; None for the checkpoint's name beside it, with the ending of the format
            (of weights, ``<name>_release.pth``).
        format: 'onnx', a graph that ``predict`` runs without torch; or 'weights', a checkpoint
            without the state of its training and without folders of this machine.
        weights_license: License of the weights, such as 'CC-BY-4.0'; None if it is not stated.
        data_license: License of the training data.
        inference: Of a graph: arguments of
            :class:`~mmseg_heritage.inference.window_engine.WindowEngine` in place of the model's.
        overwrite: Allows replacing files.
        trust_checkpoint: Lets the checkpoint run code.

    Returns:
        What was written.

    Raises:
        InputError: If the checkpoint cannot be used or exported, or files would be replaced.
    """
    require_known("--format", [format], FORMATS)
    old = Path(checkpoint).expanduser()
    file = Path(out).expanduser() if out else _beside(old, format)
    if file.suffix.lower() != FORMATS[format]:
        raise InputError(f"--out {file}: expected a name that ends in {FORMATS[format]}")
    card = file.parent / f"{file.stem}.md"
    check_new_file(old, [file, card], overwrite)
    if format == ONNX:
        _require_libraries()
    elif inference:
        raise InputError(f"--inference is for --format {ONNX}; a checkpoint takes it in predict")
    options = {f"inference.{name}": value for name, value in (inference or {}).items()}
    run = read_trained_run(old, None, options, trust_checkpoint)
    predictor = load_predictor(run, "cpu")
    licenses = {"weights": weights_license, "data": data_license}
    origin = {"name": old.name, "sha256": sha256(old)}
    remarks: list[str] = []
    features = predictor.training_features
    with writing_together(file.parent, [file, card]):
        if format == ONNX:
            remarks, features = _write_onnx(predictor, run, origin, file, licenses)
        else:
            _write_weights(old, file, licenses, trust_checkpoint)
        with replacing(card) as temporary:
            model = _released(
                predictor, run, origin["sha256"], file, format, licenses, features is not None
            )
            temporary.write_text(release_card(model, remarks), encoding="utf-8")
    return Exported(file, card, remarks)


def _beside(old: Path, format: str) -> Path:
    ending = "_release.pth" if format == WEIGHTS else FORMATS[format]
    return old.parent / f"{old.stem}{ending}"  # with_name refuses what has no name


def _require_libraries() -> None:
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"--format onnx needs {', '.join(missing)}, not installed here: "
            'pip install "mmseg_heritage[export]"'
        )


def _write_onnx(
    predictor: BasePredictor,
    run: TrainedRun,
    origin: Mapping[str, str],
    file: Path,
    licenses: Mapping[str, str | None],
) -> tuple[list[str], TrainingFeatures | None]:
    """Writes the graph; returns what it does without, and the training features that it has."""
    model, head = predictor.model, predictor.model.decode_head
    check_exportable(model)
    if not predictor.takes_photographs():
        raise InputError(
            f"{run.checkpoint}: its test pipeline changes images, which an exported model does "
            "not; only models whose pipeline loads and packs RGB images are exported"
        )
    window = fixed_window(model)
    features, remarks = predictor.training_features, []
    if window is not None:
        remarks.append(
            f"it takes windows of {window.side} x {window.side} px only: smaller photographs, and "
            "those that scales make smaller, are filled up, which can change what is found near "
            "their edges"
        )
        if features is not None:
            features = None
            remarks.append(
                "photographs unlike the training are not flagged: that needs a look at them whole"
            )
    if features is not None and len(features.mean) > MOST_FEATURES:
        features = None
        remarks.append(
            f"photographs unlike the training are not flagged: the backbone has more than "
            f"{MOST_FEATURES} features"
        )
    if model.window_inference.precision != "float32":
        remarks.append("it computes in float32")
    hierarchy = getattr(head, "scores", None)
    calibration = run.cfg.model.get("calibration")
    found = ExportedModel(
        predictor.classes,
        predictor.palette,
        predictor.mask_values,
        predictor.kinds,
        predictor.levels,
        None if hierarchy is None else hierarchy.mode,
        float(head.threshold) if head.out_channels == 1 else None,
        model.stride,
        window,
        model.window_inference,
        None if calibration is None else calibration.to_dict(),
        features,
        run.validation,
        origin,
        licenses,
    )
    text = json.dumps(found.content(__version__), ensure_ascii=True, allow_nan=False)
    with replacing(file) as temporary:
        write_graph(model, temporary, text, features is not None, window)
    return remarks, features


def _write_weights(
    old: Path, file: Path, licenses: Mapping[str, str | None], trust_checkpoint: bool
) -> None:
    """Writes a checkpoint of what prediction reads: no optimizer, no folders of this machine."""
    content = new_content(old, trust_checkpoint, _without_folders)
    hub = content.get("message_hub")
    released = {name: content[name] for name in _KEPT if name in content}
    if isinstance(hub, Mapping) and _VALIDATION in hub:  # the scores of the validation
        released["message_hub"] = {_VALIDATION: hub[_VALIDATION]}
    released["meta"] = {**released["meta"], "licenses": dict(licenses)}
    save_checkpoint(released, file)


def _without_folders(cfg: Config) -> None:
    """Shortens paths of this machine in a config to their last name."""
    for name, value in list(cfg.items()):
        cfg[name] = _shortened(value)


def _shortened(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _shortened(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_shortened(value) for value in node)
    if isinstance(node, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(node).is_absolute():
                return kind(node).name
    return node


def _released(
    predictor: BasePredictor,
    run: TrainedRun,
    origin_sha256: str,
    file: Path,
    format: str,
    licenses: Mapping[str, str | None],
    knows_training: bool,
) -> ReleasedModel:
    model = predictor.model
    backbone, head = (part_name(part) for part in (model.backbone, model.decode_head))
    return ReleasedModel(
        file.name,
        format,
        file.stat().st_size,
        sha256(file),
        origin_sha256,
        Path(run.cfg.filename or "").name,
        backbone,
        head,
        sum(p.numel() for p in model.parameters()),
        predictor.classes,
        predictor.kinds,
        tuple(predictor.levels),
        run.validation,
        knows_training,
        bool(run.cfg.model.get("calibration")),
        licenses,
    )
