"""Turning, scaling and bending image and mask together, in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import IGNORE_INDEX

MAX_EDGE = 32766
"""Longest edge that OpenCV's remap can address."""

_NODES = 5  # displacements are drawn on a grid of 5 x 5: bends, not wrinkles


@dataclass(frozen=True)
class Warp:
    """One drawn warp.

    Attributes:
        matrix: float64 (2, 2), from the result back to the input, around their centers.
        displacement: float32 (5, 5, 2), x and y, as a share of the short edge.
    """

    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32]


@TRANSFORMS.register_module()
class RandomWarp(BaseTransform):
    """Turns, scales, shears and bends an image, with one interpolation for all of it.

    The size stays. What comes from beyond the border is 255 in the mask, and mirrored in the image,
    so that no black edge is there to be learned. The mask is taken by nearest neighbor.

    Required keys: ``img`` (uint8, (H, W, 3)), ``gt_seg_map`` (uint8, (H, W)). Changed keys: both.

    Args:
        rotation: Largest angle in degrees, either way, 0..180.
        scale: Range of the factor by which content grows, each above 0.
        shear: Largest shear in degrees, either way, 0..45.
        displacement: Largest shift of the nodes of a smooth grid of 5 x 5, as a share of the short
            edge, 0..0.05; beyond that the image could fold over.

    Raises:
        InputError: With everything that is wrong with the arguments.
    """

    def __init__(
        self,
        rotation: float = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
        displacement: float = 0.0,
    ) -> None:
        problems = []
        for name, value, most in (
            ("rotation", rotation, 180),
            ("shear", shear, 45),
            ("displacement", displacement, 0.05),
        ):
            if not 0 <= value <= most:
                problems.append(f"{name} must be in 0..{most}, found {value}")
        if not 0 < scale[0] <= scale[1]:
            problems.append(f"scale must be two rising numbers above 0, found {scale}")
        if problems:
            raise InputError("RandomWarp cannot be built", problems)
        self.rotation = rotation
        self.scale = scale
        self.shear = shear
        self.displacement = displacement

    @cache_randomness
    def _draw(self) -> Warp:
        angle = np.deg2rad(np.random.uniform(-self.rotation, self.rotation))
        grow = np.exp(np.random.uniform(*np.log(self.scale)))
        lean = np.tan(np.deg2rad(np.random.uniform(-self.shear, self.shear)))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1.0, lean], [0.0, 1.0]]) / grow
        nodes = np.random.uniform(-self.displacement, self.displacement, (_NODES, _NODES, 2))
        return Warp(matrix, nodes.astype(np.float32))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Warps image and mask by the same map."""
        height, width = results["img"].shape[:2]
        if max(height, width) > MAX_EDGE:
            raise InputError(
                f"RandomWarp: the longest edge may have {MAX_EDGE} pixels, found {width}x{height}; "
                "warp crops instead"
            )
        map_x, map_y = _maps(self._draw(), height, width)
        results["img"] = cv2.remap(
            results["img"], map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        results["gt_seg_map"] = cv2.remap(
            results["gt_seg_map"],
            map_x,
            map_y,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=IGNORE_INDEX,
        )
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(rotation={self.rotation}, scale={self.scale}, "
            f"shear={self.shear}, displacement={self.displacement})"
        )


def _maps(warp: Warp, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns for each pixel of the result where it comes from: x and y, float32 (H, W)."""
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    xs = np.arange(width) - middle_x
    ys = np.arange(height) - middle_y
    (xx, xy), (yx, yy) = warp.matrix
    map_x = np.add.outer(xy * ys, xx * xs + middle_x, dtype=np.float32)
    map_y = np.add.outer(yy * ys, yx * xs + middle_y, dtype=np.float32)
    if warp.displacement.any():
        bend = cv2.resize(
            warp.displacement * min(height, width), (width, height), interpolation=cv2.INTER_CUBIC
        )
        map_x += bend[..., 0]
        map_y += bend[..., 1]
    return map_x, map_y
