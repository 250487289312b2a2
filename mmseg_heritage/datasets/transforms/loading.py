"""Reading images and masks inside a data pipeline."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_heritage.datasets.caches.pixel_cache import decode_image, decode_mask
from mmseg_heritage.taxonomy import ARTEFACT


@TRANSFORMS.register_module()
class LoadHeritageImage(BaseTransform):
    """Reads a photograph with the same reader that checks and prediction use.

    Required keys: ``img_path``; ``cached_img``, which a data set with a cache adds, is taken
    instead of reading the file. Added keys: ``img`` (uint8, (H, W, 3), BGR as all mmcv transforms
    expect), ``img_shape`` and ``ori_shape``, both (H, W). Removed keys: ``cached_img``.

    Raises:
        InputError: If the file is missing or damaged, naming it.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the image to ``results``."""
        image = results.pop("cached_img", None)
        if image is None:
            image = decode_image(results["img_path"])
        results["img"] = image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadARTeFACTAnnotations(BaseTransform):
    """Reads a mask, verifies it, and maps its ids to those of the classes that are trained.

    Required keys: ``seg_map_path``, ``label_map`` (old id -> new id, or None), ``mask_classes`` (a
    :class:`mmseg_heritage.taxonomy.ClassList`; without it ARTeFACT's) and, where the image was
    loaded before, ``ori_shape``; or ``cached_seg_map``, verified and mapped when the cache of
    the data set was filled. Added keys: ``gt_seg_map`` (uint8, (H, W)), ``seg_fields``. Removed
    keys: ``cached_seg_map``. Without any of both, as in a photograph that is to be predicted,
    nothing is added.

    Raises:
        InputError: If the mask has several channels, another size than its image, or illegal
            values.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the ground truth to ``results``."""
        mask = results.pop("cached_seg_map", None)
        if mask is None and "seg_map_path" not in results:
            return results
        if mask is None:
            height, width = results.get("ori_shape", (None, None))
            size = None if width is None else (width, height)
            mask = decode_mask(
                results["seg_map_path"],
                size,
                results.get("label_map"),
                results.get("mask_classes", ARTEFACT),
            )
        results["gt_seg_map"] = mask
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results
