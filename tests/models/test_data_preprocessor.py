"""Batches normalized as mmsegmentation does it, from two tensors."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

from mmseg_heritage.models import HeritageDataPreProcessor


def batch(size=(32, 64), number=3):
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (number, 3, *size), dtype=np.uint8))
    labels = torch.from_numpy(generator.choice([0, 7, 255], (number, 1, *size)).astype(np.uint8))
    samples = [
        SegDataSample(metainfo={"img_path": f"{i}.png"}, gt_sem_seg=PixelData(data=label))
        for i, label in enumerate(labels.long())
    ]
    return {"inputs": images, "labels": labels, "data_samples": samples}


def stock_batch(stacked):
    return {"inputs": list(stacked["inputs"]), "data_samples": stacked["data_samples"]}


@pytest.mark.parametrize(
    "options",
    [
        {"size_divisor": 1},
        {"bgr_to_rgb": True, "size_divisor": 32},
        {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0], "size": (32, 64), "bgr_to_rgb": True},
        {"mean": [1.0] * 3, "std": [2.0] * 3, "size": (64, 64)},  # padded, as mmsegmentation does
        {"size_divisor": 48},
    ],
)
def test_results_are_those_of_mmsegmentation(options):
    stacked = batch()
    found = HeritageDataPreProcessor(**options)(stacked, training=True)
    expected = SegDataPreProcessor(**options)(stock_batch(batch()), training=True)
    assert torch.equal(found["inputs"], expected["inputs"])
    assert set(found) == set(expected)
    for one, other in zip(found["data_samples"], expected["data_samples"], strict=True):
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        assert one.gt_sem_seg.data.dtype == torch.int64
        assert one.img_path == other.img_path


def test_tests_and_lists_of_images_go_the_way_of_mmsegmentation():
    options = {"mean": [1.0] * 3, "std": [2.0] * 3, "size_divisor": 32}
    preprocessor, stock = HeritageDataPreProcessor(**options), SegDataPreProcessor(**options)
    for training in (True, False):
        given = stock_batch(batch())
        assert torch.equal(
            preprocessor(given, training)["inputs"], stock(given, training)["inputs"]
        )


def test_a_stacked_batch_is_copied_as_two_tensors_and_stays_as_it_is(monkeypatch):
    stacked, copied = batch(), []
    labels = [sample.gt_sem_seg.data for sample in stacked["data_samples"]]
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda t, *a, **k: copied.append(t) or to(t, *a, **k))
    HeritageDataPreProcessor(mean=[1.0] * 3, std=[2.0] * 3)(stacked, training=True)
    assert [tensor.dtype for tensor in copied] == [torch.uint8] * 2
    assert all(
        sample.gt_sem_seg.data is label
        for sample, label in zip(stacked["data_samples"], labels, strict=True)
    )
