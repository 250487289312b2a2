"""Large class maps are tiled TIFFs that other programs read."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.images.large_maps import write_large_class_map
from mmseg_heritage.images.writing import stored_colors
from mmseg_heritage.taxonomy import ARTEFACT


@pytest.mark.parametrize("size", [(1, 1), (256, 256), (300, 700), (257, 3)])
def test_pillow_and_tifffile_read_ids_and_colors(size, tmp_path):
    ids = np.random.default_rng(0).integers(0, 2, size, dtype=np.uint8)
    ids[-1, -1] = 255
    path = tmp_path / "map.tif"
    write_large_class_map(path, ids, ARTEFACT.colors[:2], (0, 9), (118.0, 118.0, 3))
    table, colors = stored_colors(ARTEFACT.colors[:2], (0, 9))
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), table[ids])
        assert np.array_equal(np.asarray(image.convert("RGB")), colors[table[ids]])
    with tifffile.TiffFile(path) as tiff:
        assert np.array_equal(tiff.asarray(), table[ids])
        assert tiff.pages[0].is_tiled
        assert tiff.pages[0].resolution == (118.0, 118.0)
    assert list(tmp_path.iterdir()) == [path]
