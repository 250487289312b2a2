"""Damage maps of photographs that have no annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.dataprep.layout import list_images
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.engine.launch import without_sync_bn
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import IMAGE_SUFFIXES
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.runs.config_files import load_config
from mmseg_heritage.runs.origin import check_same_model
from mmseg_heritage.runs.prepare import (
    build_model,
    config_errors,
    output_folder,
    quiet_known_warnings,
)
from mmseg_heritage.taxonomy import FINE_LEVEL, Level
from mmseg_heritage.utils.checkpoint import check_fits, checkpoint_reading, weights_of
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.visualization.figures.panels import overlay, panel, write_class_map, write_image

SCHEMA = "mmseg_heritage/prediction/1"


class Predictor:
    """A trained model that turns photographs into class maps.

    Args:
        cfg: The config the model was trained with.
        checkpoint: Checkpoint file.
        device: 'cuda', 'cuda:1', 'cpu', or None for a GPU where there is one.

    Attributes:
        classes: Class names; the position is the id in the maps.
        palette: One RGB colour for each class.
        levels: Levels above the classes that the model predicts, by name; mostly none.

    Raises:
        InputError: If the checkpoint cannot be loaded or is of another model.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, device: str | None = None) -> None:
        quiet_known_warnings()
        check_same_model(cfg, checkpoint)
        self.device = _device(device)
        # One process, one image: SyncBN has nothing to synchronise and refuses to run on a CPU.
        cfg.model = without_sync_bn(cfg.model)
        self.model = build_model(cfg)
        content = check_fits(self.model, checkpoint)
        self.classes, self.palette = _classes(content, self.model, checkpoint)
        self.model.load_state_dict(weights_of(content, checkpoint))
        self.levels: dict[str, Level] = getattr(self.model.decode_head, "levels", {})
        self.model.to(self.device).eval()
        with config_errors("test_dataloader.dataset.pipeline"):
            steps = [dict(step) for step in cfg.test_dataloader.dataset.pipeline
                     if step["type"] != "LoadARTeFACTAnnotations"]  # fmt: skip
            if steps[-1]["type"] == "PackSegInputs":
                steps[-1]["meta_keys"] = ("img_path", "ori_shape", "img_shape", "pad_shape")
            self.pipeline = Compose(steps)

    def __call__(self, path: str | Path) -> np.ndarray:
        """Returns the uint8 (H, W) class map of a photograph, at the photograph's own size."""
        return self.maps(path)[FINE_LEVEL]

    @torch.inference_mode()
    def maps(self, path: str | Path) -> dict[str, np.ndarray]:
        """Returns the maps of the classes and, for hierarchical models, of the levels above them.

        Args:
            path: Photograph.

        Returns:
            "fine" and the names in :attr:`levels` -> uint8 (H, W) ids, at the photograph's own
            size; 255 where a level does not apply.
        """
        data = self.pipeline({"img_path": str(path), "seg_fields": []})
        sample = self.model.test_step(pseudo_collate([data]))[0]
        found = {FINE_LEVEL: sample.pred_sem_seg}
        found.update({name: sample.get(f"pred_sem_seg_{name}") for name in self.levels})
        return {
            name: pixels.data.squeeze(0).cpu().numpy().astype(np.uint8)
            for name, pixels in found.items()
        }


def predict(
    config: str | Path,
    checkpoint: str | Path,
    image_or_folder: str | Path,
    out_dir: str | Path,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
) -> list[Path]:
    """Writes, for every photograph, its class map, an overlay and the share of each class.

    The files are ``<name>_classes.png`` (ids with palette), ``<name>_overlay.png``,
    ``<name>_panel.png`` (photograph and class map with a legend) and ``<name>.json``; hierarchical
    models add ``<name>_<level>.png`` (ids with palette) for each level.

    Args:
        config: Config the model was trained with.
        checkpoint: Checkpoint file.
        image_or_folder: A photograph, or a folder of them.
        out_dir: Where to write.
        device: As in :class:`Predictor`.
        cfg_options: Dotted key -> value.
        overwrite: Allows replacing files of an earlier prediction.
        trust_checkpoint: Lets the checkpoint run code.

    Returns:
        The JSON files.

    Raises:
        InputError: If inputs cannot be used. Photographs that cannot be read are gathered and
            reported after the others are done.
    """
    photographs = _photographs(Path(image_or_folder))
    out = output_folder(out_dir)
    if Path(image_or_folder).is_dir() and out == Path(image_or_folder).resolve():
        raise InputError(
            f"{out}: results among the photographs would be taken for photographs next time; "
            "choose another --out"
        )
    if not overwrite:
        _guard(out, photographs)
    with checkpoint_reading(trust_checkpoint):
        predictor = Predictor(load_config(config, cfg_options), checkpoint, device)
    written, problems = [], []
    with progress_bar("predicting") as report:
        for done, photograph in enumerate(photographs, start=1):
            try:
                written.append(_predict_one(predictor, photograph, out))
            except InputError as error:
                problems.append(str(error))
            report(done, len(photographs))
    if problems and len(photographs) == 1:
        raise InputError(problems[0])
    if problems:
        others = f"; the results of the others are in {out}" if written else ""
        raise InputError(
            f"{len(problems)} of {len(photographs)} photographs could not be read{others}",
            problems,
        )
    return written


def _shares(ids: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Returns the share of each class in a map of ids (H, W); 255 is what no group holds."""
    counts = np.bincount(ids.ravel(), minlength=len(classes))[: len(classes)]
    return {name: int(n) / ids.size for name, n in zip(classes, counts, strict=True)}


def _predict_one(predictor: Predictor, photograph: Path, out: Path) -> Path:
    """Writes the four files of one photograph."""
    maps = predictor.maps(photograph)
    class_map = maps[FINE_LEVEL]
    classes, palette = predictor.classes, predictor.palette
    clean = classes.index("Clean") if "Clean" in classes else None
    name = photograph.stem
    write_class_map(out / f"{name}_classes.png", class_map, palette)
    image = read_image(photograph)
    write_image(out / f"{name}_overlay.png", overlay(image, class_map, palette, clean))
    for level_name, level in predictor.levels.items():
        write_class_map(out / f"{name}_{level_name}.png", maps[level_name], level.colors)
    sheet = panel(image, [("Prediction", class_map)], classes, palette)
    write_image(out / f"{name}_panel.png", sheet)
    height, width = class_map.shape
    content = {
        "schema": SCHEMA,
        "image": str(photograph),
        "width": width,
        "height": height,
        "area_share": _shares(class_map, classes),
        "levels": {n: _shares(maps[n], level.classes) for n, level in predictor.levels.items()},
        "note": "shares of all pixels of the photograph, 0 to 1, as predicted by a model; "
        "to be reviewed by a conservator",
    }
    write_json(out / f"{name}.json", content)
    return out / f"{name}.json"


def _photographs(path: Path) -> list[Path]:
    """Returns the photographs to predict, and refuses two of one name, which would share files."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such photograph or folder")
    photographs = list_images(path)
    if not photographs:
        raise InputError(f"{path}: the folder holds no images ({', '.join(IMAGE_SUFFIXES)})")
    names: dict[str, Path] = {}
    problems = []
    for photograph in photographs:
        other = names.setdefault(photograph.stem, photograph)
        if other is not photograph:
            problems.append(f"{photograph.name} and {other.name}")
    if problems:
        raise InputError(f"{path}: photographs of one name would share their results", problems)
    return photographs


def _guard(out: Path, photographs: Sequence[Path]) -> None:
    """Refuses to replace the results of an earlier prediction."""
    existing = [
        str(out / f"{p.stem}.json") for p in photographs if (out / f"{p.stem}.json").exists()
    ]
    if existing:
        raise InputError(
            "results are already there; choose another --out, or replace them with --overwrite",
            existing,
        )


def _device(name: str | None) -> torch.device:
    """Returns the device of that name, or the best one if None.

    Raises:
        InputError: If there is no such device here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {name} is not available here ({reason}); try cpu") from error
    return device


def _classes(
    content: Any, model: torch.nn.Module, checkpoint: str | Path
) -> tuple[list[str], list[list[int]]]:
    """Returns class names and colours: the checkpoint's own, or where it has none ARTeFACT's."""
    meta = (content.get("meta") or {}).get("dataset_meta") or ARTeFACTDataset.METAINFO
    classes, palette = list(meta["classes"]), [list(color) for color in meta["palette"]]
    expected = model.num_classes
    if len(classes) != expected:
        raise InputError(
            f"{checkpoint}: the checkpoint knows {len(classes)} classes, "
            f"the config's head {expected}"
        )
    return classes, palette
