"""Measuring maps again that an earlier command has written, with another scale or threshold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.apis.prediction_files import (
    Job,
    read_record,
    result_file,
    write_quantities,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_maps import read_large_map
from mmseg_heritage.images.large_photographs import large_photograph
from mmseg_heritage.images.masks import position_table, read_labels
from mmseg_heritage.images.photographs import read_image

if TYPE_CHECKING:
    from mmseg_heritage.inference.prediction import PhotographPredictor


def measured_again(
    photograph: Photograph, predictor: PhotographPredictor, job: Job
) -> tuple[dict[str, Any], bool]:
    """Returns the content of a photograph's JSON file, and whether it was measured anew for it.

    Args:
        photograph: One that was predicted before.
        predictor: The model with which this was done.
        job: What is done now.

    Raises:
        InputError: If a map that is needed is missing or damaged.
    """
    content = read_record(result_file(photograph, job.out))
    if content is None:
        raise InputError(f"{result_file(photograph, job.out)}: has changed since the command began")
    scale = job.scale_of(photograph, (content["width"], content["height"])).content()
    if content["scale"] == scale and content["unsure"]["below"] == job.unsure_below:
        return content, False
    folder = result_file(photograph, job.out).parent
    values = read_map(folder / content["files"]["class_map"])
    confidence = None
    if "confidence" in content["files"]:
        confidence = read_map(folder / content["files"]["confidence"])
    same = all(value == i for i, value in enumerate(predictor.mask_values))
    class_map = values if same else position_table(predictor.mask_values, undecided=True)[values]
    if content["scale"] != scale:
        _draw_again(class_map, photograph, predictor, job)
    content = write_quantities(
        content, photograph, job, class_map, confidence,
        predictor.classes, predictor.kinds, predictor.palette,
    )  # fmt: skip
    return content, True


def _draw_again(
    class_map: np.ndarray, photograph: Photograph, predictor: PhotographPredictor, job: Job
) -> None:
    """Draws the pictures of a photograph anew: their scale bars have changed."""
    large = large_photograph(photograph.path, job.page)
    if large is None:
        image = read_image(photograph.path, page=job.page)
    else:
        from mmseg_heritage.apis.predicting_large import small_copy

        with large:
            image = small_copy(large)
    job.draw(image, class_map, predictor.classes, predictor.palette, photograph)


def read_map(path: Path) -> np.ndarray:
    """Reads a map of ids or confidences that predict wrote, uint8 (H, W).

    Raises:
        InputError: If the file is missing or damaged.
    """
    if path.suffix != ".tif":
        return read_labels(path, lambda header: header.mode, lambda values: values)
    try:
        return read_large_map(path)
    except Exception as error:  # tifffile raises nearly everything
        raise InputError(
            f"{path}: cannot be read ({error}); predict the photograph again with --overwrite"
        ) from error
