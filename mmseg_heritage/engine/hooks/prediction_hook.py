"""Writing what a model predicted while it is tested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.dataprep.ids import id_of
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.images.writing import Palette, write_class_map, write_image
from mmseg_heritage.models.segmentors.predicted_samples import class_ids
from mmseg_heritage.taxonomy import IGNORE_INDEX
from mmseg_heritage.visualization.figures.display_colors import display_palette
from mmseg_heritage.visualization.figures.panels import panel


@HOOKS.register_module()
class PredictionHook(Hook):
    """Writes one picture and, or, one class map for each test image, named after the image.

    mmseg's ``SegVisualizationHook`` counts batches and numbers its files; here every image gets its
    own file, in distributed tests too, where each process writes those it predicted. Models with
    levels above the classes also fill a folder for each level, named after it.

    Args:
        show_dir: Folder of ``<id>.png`` panels: input, ground truth, prediction. None writes none.
        out_dir: Folder of ``<id>.png`` class maps, which hold the mask values of the data set, with
            its palette; those of levels hold positions of groups. None writes none.
    """

    priority = "LOW"

    def __init__(self, show_dir: str | None = None, out_dir: str | None = None) -> None:
        self.show_dir = Path(show_dir) if show_dir else None
        self.out_dir = Path(out_dir) if out_dir else None

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Writes the files of one batch."""
        meta = runner.test_evaluator.dataset_meta
        for index, sample in enumerate(outputs or ()):
            image = None if self.show_dir is None else _photograph(data_batch, index, sample)
            name = f"{id_of(Path(sample.img_path))}.png"
            truth = class_ids(sample.gt_sem_seg)
            prediction = class_ids(sample.pred_sem_seg)
            if self.out_dir is not None:
                values = meta.get("mask_values")
                write_class_map(self.out_dir / name, prediction, meta["palette"], values)
            self._show(name, image, truth, prediction, meta["classes"], meta["palette"])
            for level_name, level in sample.get("levels", {}).items():
                of_level = class_ids(sample.get(f"pred_sem_seg_{level_name}"))
                if self.out_dir is not None:
                    write_class_map(self.out_dir / level_name / name, of_level, level.colors)
                self._show(
                    f"{level_name}/{name}",
                    image,
                    np.array(level.lookup(), dtype=np.uint8)[truth],
                    of_level,
                    level.classes,
                    level.colors,
                )

    def _show(
        self,
        name: str,
        image: np.ndarray | None,
        truth: np.ndarray,
        prediction: np.ndarray,
        classes: Sequence[str],
        palette: Palette,
    ) -> None:
        """Writes the picture of one image at one level."""
        if self.show_dir is not None and image is not None:
            # Where the truth is ignored nothing is scored, and nothing is shown.
            shown = np.where(truth == IGNORE_INDEX, truth, prediction)
            maps = [("Ground truth", truth), ("Prediction", shown)]
            colors = display_palette(classes, palette)
            write_image(self.show_dir / name, panel(image, maps, classes, colors))


def _photograph(data_batch: Any, index: int, sample: Any) -> np.ndarray:
    """Returns a photograph of a batch as uint8 RGB, at the size at which the model sees it.

    The file is read again only where the batch holds something else, such as several views.
    """
    inputs = data_batch["inputs"][index] if data_batch else None
    shape = (3, *sample.get("img_shape", ())[:2])
    if isinstance(inputs, torch.Tensor) and inputs.dtype == torch.uint8 and inputs.shape == shape:
        return inputs.flip(0).permute(1, 2, 0).contiguous().cpu().numpy()  # BGR, as mmcv loads it
    return read_image(sample.img_path)
