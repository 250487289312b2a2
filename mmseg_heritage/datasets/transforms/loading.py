"""Reading images and masks inside a data pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_heritage.data.images import read_image, read_mask


@TRANSFORMS.register_module()
class LoadHeritageImage(BaseTransform):
    """Reads a photograph with the same reader that checks and prediction use.

    Required keys: ``img_path``. Added keys: ``img`` (uint8, (H, W, 3), BGR as all mmcv transforms
    expect), ``img_shape`` and ``ori_shape``, both (H, W).

    Raises:
        InputError: If the file is missing or damaged, naming it.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the image to ``results``."""
        image = np.ascontiguousarray(read_image(results["img_path"])[..., ::-1])
        results["img"] = image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadARTeFACTAnnotations(BaseTransform):
    """Reads a mask, verifies it, and maps its ids to those of the classes that are trained.

    Required keys: ``seg_map_path``, ``label_map`` (old id -> new id, or None) and, where the image
    was loaded before, ``ori_shape``. Added keys: ``gt_seg_map`` (uint8, (H, W)), ``seg_fields``.

    Raises:
        InputError: If the mask has several channels, another size than its image, or illegal
            values.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the ground truth to ``results``."""
        height, width = results.get("ori_shape", (None, None))
        mask = read_mask(results["seg_map_path"], None if width is None else (width, height))
        if results.get("label_map") is not None:
            table = np.arange(256, dtype=np.uint8)
            for old_id, new_id in results["label_map"].items():
                table[old_id] = new_id
            mask = table[mask]
        results["gt_seg_map"] = mask
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results
