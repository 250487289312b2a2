"""What a reader of scores should know of a model: data, training, cost, versions.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. Facts are taken from what a
test and a training wrote; a config is read as text and never run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.splits.split import SPLIT_FILE, load_split
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER, Run
from mmseg_heritage.utils.config_text import plain_values

_SHOWN = 6  # of several different values, as folds have them
_UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Facts:
    """A part of a card: a title, and names with what is known of them."""

    title: str
    rows: Sequence[tuple[str, str]]


def model_card(run: Run) -> list[Facts]:
    """Collects what is known of a tested run.

    Args:
        run: One test, or the folds of a family.

    Returns:
        Model, data, training, cost and versions. What was not recorded is said to be so.
    """
    stamps, config = run.stamps, training_config(run)
    return [
        Facts("Model", _model(stamps, config)),
        Facts("Data and split", _data(run, config)),
        Facts("Training", _training(stamps, config)),
        Facts("Hardware and speed", _cost(stamps)),
        Facts("Versions", _versions(stamps)),
    ]


def training_config(run: Run) -> dict[str, Any]:
    """Reads the config that a run was trained with, which lies in its folder; empty without one.

    Of folds, the first one that is found: they differ in their split only.
    """
    for stamp in run.stamps:
        name = Path(str(stamp.get("config"))).name
        places = [run.folder / name, run.folder / EVALUATION_FOLDER / name]
        places += sorted(run.folder.glob(f"*/{name}")) if len(run.stamps) > 1 else []
        for path in places:
            if path.suffix == ".py" and path.is_file():
                return read_dump(path)
    return {}


def read_dump(path: Path) -> dict[str, Any]:
    """Reads a config as mmengine writes it, without running it.

    Returns:
        Name -> value; what is not written so is left out, such as a config with code in it.
    """
    try:
        return plain_values(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _model(stamps: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[tuple[str, str]]:
    model = config.get("model")
    parts = {
        "architecture": _types(model),
        "backbone": _types(_at(model, "backbone")),
        "decode head": _types(_at(model, "decode_head")),
    }
    side = _at(stamps[0], "model", "flops_side")
    return [
        ("experiment", _distinct(_each(stamps, "experiment"))),
        *((name, text) for name, text in parts.items()),
        ("parameters", _distinct(_scaled(_each(stamps, "parameters"), 1e-6, "million"))),
        (
            f"operations for {side} x {side} px" if side else "operations",
            _distinct(_scaled(_each(stamps, "model", "flops"), 1e-9, "GFLOPs")),
        ),
        ("checkpoint, SHA-256", _distinct(_each(stamps, "checkpoint_sha256"))),
    ]


def _data(run: Run, config: Mapping[str, Any]) -> list[tuple[str, str]]:
    stamps, counts = run.stamps, run.counts
    dataset = _at(config, "test_dataloader", "dataset", "type")
    rows = [
        ("data set class", str(dataset or _UNKNOWN)),
        ("data folder", _distinct(Path(str(root)).name for root in _each(stamps, "data_root"))),
        ("split", _distinct(_each(stamps, "split", "name"))),
        ("split, SHA-256", _distinct(_each(stamps, "split", "sha256"))),
        ("tested part", _distinct(_each(stamps, "split", "part"))),
        ("sizes of the parts", _part_sizes(run)),
        ("tested images", f"{len(counts.ids):,} of {len(set(counts.groups)):,} source groups"),
        *_seen(stamps),
        ("scored pixels", f"{int(counts.confusion.sum()):,}"),
        ("classes", f"{len(counts.classes)}: {', '.join(counts.classes)}"),
    ]
    if run.not_tested:
        rows.append(("folds not tested", ", ".join(run.not_tested)))
    return rows


def _seen(stamps: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Says where images were scored that a model was trained on or chosen by."""
    counts = [stamp.get("seen_images") or {} for stamp in stamps]
    total = sum(number for count in counts for number in count.values())
    if not total:
        return []
    return [("NOT HELD OUT", f"{total:,} tested images were trained on or chose the checkpoint")]


def _part_sizes(run: Run) -> str:
    """Counts the images of each part, from the manifest that the training left in its folder."""
    if len(run.stamps) > 1:
        return f"{len(run.stamps)} folds, tested each on its own part"
    try:
        split = load_split(run.folder / SPLIT_FILE)
    except InputError:
        return f"{_UNKNOWN}: no {SPLIT_FILE} in the folder of the run"
    if split.digest() != run.stamps[0]["split"]["sha256"]:
        return f"{_UNKNOWN}: {SPLIT_FILE} in the folder of the run is another split"
    return ", ".join(f"{part} {len(ids):,}" for part, ids in split.parts.items())


def _training(
    stamps: Sequence[Mapping[str, Any]], config: Mapping[str, Any]
) -> list[tuple[str, str]]:
    if not config:
        return [
            ("seed", _distinct(_each(stamps, "seed"))),
            ("config", f"{_UNKNOWN}: the config is not in the folder of the run"),
        ]
    cycle = config.get("train_cfg")
    length = [
        f"{_at(cycle, key)} {unit}"
        for key, unit in (("max_epochs", "epochs"), ("max_iters", "iterations"))
        if _at(cycle, key) is not None
    ]
    head = _at(config, "model", "decode_head")
    heads = head if isinstance(head, (list, tuple)) else [head]
    optimizer = _at(config, "optim_wrapper", "optimizer")
    rows = {
        "config": _distinct(Path(str(path)).name for path in _each(stamps, "config")),
        "seed": _distinct(_each(stamps, "seed")),
        "length": ", ".join(length) or None,
        "batch size": _at(config, "train_dataloader", "batch_size"),
        "crop size": _of_type(config.get("train_dataloader"), "Crop", "size"),
        "scales in tests": _distinct(
            ", ".join(map(str, scales))
            for scales in _each(stamps, "inference", "scales")
            if isinstance(scales, list)
        ),
        "optimizer": _types(optimizer),
        "learning rate": _at(optimizer, "lr"),
        "loss": ", ".join(_types(_at(part, "loss_decode")) for part in heads),
        "class weights": _class_weights(config),
        "pretrained weights": _pretrained(config),
    }
    return [(name, _UNKNOWN if value is None else str(value)) for name, value in rows.items()]


def _cost(stamps: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    names = []
    for stamp in stamps:
        name, threads = _at(stamp, "device", "name"), _at(stamp, "device", "threads")
        on_cpu = _at(stamp, "device", "type") == "cpu" and threads
        names.append(f"{name}, threads: {threads}" if on_cpu else name)
    return [
        ("device", _distinct(names)),
        ("processes", _distinct(_each(stamps, "processes"))),
        ("model alone", _distinct(_scaled(_each(stamps, "time", "model_ms"), 1, "ms per image"))),
        ("images per second", _distinct(_scaled(_each(stamps, "time", "images_per_second"), 1))),
        (
            "with reading and scoring",
            _distinct(_scaled(_each(stamps, "time", "whole_ms"), 1, "ms per image")),
        ),
        (
            "peak memory of the GPU",
            _distinct(_scaled(_each(stamps, "time", "peak_memory_bytes"), 2**-20, "MiB")),
        ),
        ("how it was measured", _distinct(_each(stamps, "time", "protocol"))),
    ]


def _versions(stamps: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    names = {name: None for stamp in stamps for name in _at(stamp, "versions") or {}}
    rows = [(name, _distinct(_each(stamps, "versions", name))) for name in names]
    commits = []
    for git in _each(stamps, "git"):
        if git is not None:
            changed = " with uncommitted changes" if _at(git, "changed") else ""
            commits.append(f"{_at(git, 'commit')}{changed}")
    return [*rows, ("commit of mmseg_heritage", _distinct(commits))]


def _of_type(node: Any, part: str, key: str) -> Any:
    """Returns a field of the first dict whose type contains a word, wherever it is; or None."""
    if isinstance(node, Mapping):
        if part in str(node.get("type")) and key in node:
            return node[key]
        node = list(node.values())
    found = (
        (_of_type(inner, part, key) for inner in node) if isinstance(node, (list, tuple)) else ()
    )
    return next((value for value in found if value is not None), None)


def _class_weights(config: Mapping[str, Any]) -> str:
    """Says where the weights of the classes came from."""
    if path := _at(config, "class_weights_file", "path"):
        return Path(str(path)).name
    weighted = _of_type(_at(config, "model", "decode_head"), "Loss", "class_weight")
    return "none" if weighted is None else "given as numbers"


def _pretrained(config: Mapping[str, Any]) -> str:
    """Says which weights the backbone began with, and their license where it is recorded."""
    backbone = _at(config, "model", "backbone")
    file = _at(backbone, "init_cfg", "checkpoint") or _at(backbone, "checkpoint_path")
    if not file and not _at(backbone, "pretrained"):
        return "none"
    found = Path(str(file)).name if file else "those of timm"
    license_name = config.get("pretrained_license")
    return f"{found}, license: {license_name}" if license_name else found


def _at(content: Any, *keys: str) -> Any:
    """Returns what is inside a nested dict, None where it is not."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _each(stamps: Iterable[Mapping[str, Any]], *keys: str) -> list[Any]:
    return [_at(stamp, *keys) for stamp in stamps]


def _scaled(values: Iterable[Any], factor: float, unit: str = "") -> list[str | None]:
    return [
        f"{factor * value:.3g} {unit}".strip() if isinstance(value, (int, float)) else None
        for value in values
    ]


def _distinct(values: Iterable[Any]) -> str:
    """Names the different values that are known, of one test usually one."""
    names = list(dict.fromkeys(str(value) for value in values if value is not None))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more or _UNKNOWN


def _types(part: Any) -> str:
    """Names the type of a part of a config, or of each in a list, with its timm model."""
    parts = part if isinstance(part, (list, tuple)) else [part]
    names = []
    for one in parts:
        name, model = _at(one, "type"), _at(one, "model_name")
        if name is not None:
            names.append(f"{name} ({model})" if model else str(name))
    return ", ".join(names) or _UNKNOWN
