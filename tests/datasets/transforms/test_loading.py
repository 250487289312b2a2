"""Loading inside a pipeline: channel order, label maps, and errors that name the file."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.datasets.transforms import LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.errors import InputError


def test_images_arrive_in_bgr(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (5, 4), (200, 10, 30)).save(path)
    results = LoadHeritageImage()({"img_path": str(path)})
    assert results["img"].shape == (4, 5, 3)
    assert results["img"][0, 0].tolist() == [30, 10, 200]
    assert results["img_shape"] == results["ori_shape"] == (4, 5)


def test_the_label_map_is_applied_to_all_values_at_once(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 1, 9, 255]], dtype=np.uint8)).save(path)
    # 0 -> 1 and 1 -> 0: one replacement after the other would merge the two.
    results = {"seg_map_path": str(path), "label_map": {0: 1, 1: 0, 9: 255}, "seg_fields": []}
    loaded = LoadARTeFACTAnnotations()(results)
    assert loaded["gt_seg_map"].tolist() == [[1, 0, 255, 255]]
    assert loaded["seg_fields"] == ["gt_seg_map"]


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(path)
    with pytest.raises(InputError, match=r"mask\.png: expected the size of its image, 9x8"):
        LoadARTeFACTAnnotations()({"seg_map_path": str(path), "ori_shape": (8, 9)})
