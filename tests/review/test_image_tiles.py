"""Tiles put together again are the photograph, at every level."""

import cv2
import numpy as np
import pytest

from mmseg_heritage.review.image_tiles import OVERLAP, TILE, levels, write_tiles


@pytest.fixture
def photograph():
    """A smooth photograph of odd size, which JPEG changes little."""
    y, x = np.mgrid[:1237, :1101]
    channels = [127 + 90 * np.sin(x / 61), 127 + 90 * np.cos(y / 47), (x + y) / 10]
    return np.stack(channels, axis=-1).astype(np.uint8)


def put_together(folder, width, height):
    found = np.zeros((height, width, 3), np.uint8)
    for row in range(-(-height // TILE)):
        for column in range(-(-width // TILE)):
            tile = cv2.imread(str(folder / f"{column}_{row}.jpg"))[..., ::-1]
            top, left = max(row * TILE - OVERLAP, 0), max(column * TILE - OVERLAP, 0)
            bottom, right = (
                min((row + 1) * TILE + OVERLAP, height),
                min((column + 1) * TILE + OVERLAP, width),
            )
            assert tile.shape[:2] == (bottom - top, right - left)
            found[top:bottom, left:right] = tile
    return found


@pytest.mark.parametrize("rows", [1237, 512, 101])
def test_every_level_is_the_photograph(tmp_path, photograph, rows):
    height, width = photograph.shape[:2]
    smallest, largest = levels(width, height)
    assert (smallest, largest) == (9, 11)
    bands = [photograph[top : top + rows] for top in range(0, height, rows)]
    write_tiles(tmp_path / "tiles", bands, width, height)
    assert sorted(p.name for p in (tmp_path / "tiles").iterdir()) == ["10", "11", "9"]
    for level in range(smallest, largest + 1):
        factor = 2 ** (largest - level)
        size = (-(-width // factor), -(-height // factor))
        found = put_together(tmp_path / "tiles" / str(level), *size)
        whole = (width // factor, height // factor)
        expected = cv2.resize(photograph[: whole[1] * factor, : whole[0] * factor], whole,
                              interpolation=cv2.INTER_AREA)  # fmt: skip
        difference = np.abs(found[: whole[1], : whole[0]].astype(int) - expected)
        assert difference.mean() < 1.5
        assert difference.max() < 16


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (512, 512), (513, 1), (1024, 3)])
def test_sizes_at_the_edges(tmp_path, size):
    width, height = size
    write_tiles(tmp_path, [np.full((height, width, 3), 90, np.uint8)], width, height)
    smallest, largest = levels(width, height)
    for level in range(smallest, largest + 1):
        factor = 2 ** (largest - level)
        found = put_together(tmp_path / str(level), -(-width // factor), -(-height // factor))
        assert np.abs(found.astype(int) - 90).max() <= 1
    assert max(-(-width >> largest - smallest), -(-height >> largest - smallest)) <= TILE
