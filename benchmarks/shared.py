"""What several benchmarks need: generated photographs with masks, and scores of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def write_pair(root: Path, name: str, size: tuple[int, int], seed: int) -> tuple[Path, Path]:
    """Writes a photograph of smooth shapes (JPEG) and a mask of blocks; returns their paths."""
    generator = np.random.default_rng(seed)
    cells = (30, 40)
    smooth = generator.integers(0, 256, (*cells, 3), np.uint8)
    blocks = generator.choice([*range(16), 255], cells).astype(np.uint8)
    image, mask = root / "images" / f"{name}.jpg", root / "annotations" / f"{name}.png"
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    pixels = cv2.resize(smooth, size, interpolation=cv2.INTER_CUBIC)
    Image.fromarray(pixels).save(image, quality=92)
    Image.fromarray(cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)).save(mask)
    return image, mask


def damage_iou(counts: np.ndarray) -> float:
    """Returns the IoU of all damage in percent, of confusion counts whose first class is Clean."""
    return float(100 * counts[1:, 1:].sum() / max(counts.sum() - counts[0, 0], 1))
