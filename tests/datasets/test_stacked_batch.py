"""Batches that are handed over as two tensors, equal to those of mmengine."""

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.datasets import stacked_collate
from mmseg_heritage.models import HeritageDataPreProcessor

MODEL = {
    "type": "mmseg.HeritageEncoderDecoder",
    "backbone": {"type": "mmseg.TimmBackboneAdapter", "model_name": "resnet10t"},
    "decode_head": {"type": "mmseg.FCNHead", "in_channels": "auto", "in_index": 1, "channels": 4,
                    "num_classes": 16, "norm_cfg": {"type": "BN"}},
}  # fmt: skip


def sample(number=0, size=(6, 8), labels=None):
    generator = np.random.default_rng(number)
    if labels is None:
        labels = generator.choice([0, 3, 15, 255], size)
    found = SegDataSample(metainfo={"img_path": f"{number}.png", "ori_shape": size})
    found.gt_sem_seg = PixelData(data=torch.from_numpy(labels.astype(np.int64))[None])
    image = torch.from_numpy(generator.integers(0, 256, (3, *size), dtype=np.uint8))
    return {"inputs": image, "data_samples": found}


class Samples(list):
    """A data set of samples, which workers can get."""


def assert_same(batch, expected):
    assert all(torch.equal(a, b) for a, b in zip(batch["inputs"], expected["inputs"], strict=True))
    pairs = list(zip(batch["data_samples"], expected["data_samples"], strict=True))
    for one, other in pairs:
        assert one.metainfo == other.metainfo
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
    return pairs


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_equals_that_of_mmengine(workers):
    samples = Samples(sample(i) for i in range(4))
    loader = DataLoader(samples, 4, num_workers=workers, collate_fn=stacked_collate)
    [batch] = loader
    assert_same(batch, pseudo_collate(samples))
    assert batch["inputs"].shape == (4, 3, 6, 8)
    assert batch["labels"].dtype == torch.uint8
    stacked = torch.stack([s.gt_sem_seg.data for s in batch["data_samples"]])
    assert torch.equal(batch["labels"], stacked)
    label = batch["data_samples"][1].gt_sem_seg.data
    assert label.data_ptr() == batch["labels"][1].data_ptr()  # a view


def test_a_worker_hands_over_two_tensors_of_a_byte_for_each_value():
    batch = stacked_collate([sample(i) for i in range(5)])
    handed, reduce = [], ForkingPickler._extra_reducers[torch.Tensor]
    ForkingPickler.register(torch.Tensor, lambda tensor: handed.append(tensor) or reduce(tensor))
    try:
        found = pickle.loads(bytes(ForkingPickler.dumps(batch)))
    finally:
        ForkingPickler.register(torch.Tensor, reduce)
    assert [(t.dtype, len(t)) for t in handed] == [(torch.uint8, 5)] * 2
    assert_same(found, batch)


@pytest.mark.parametrize(
    "other", [{"size": (5, 8)}, {"labels": np.full((6, 8), 300)}, {"labels": np.full((6, 8), -1)}]
)
def test_other_samples_are_collated_by_mmengine(other):
    samples = [sample(), sample(1, **other)]
    batch = stacked_collate(samples)
    assert set(batch) == {"inputs", "data_samples"}
    assert_same(batch, pseudo_collate(samples))


def test_samples_with_more_than_labels_keep_it():
    samples = [sample(), sample(1)]
    for one in samples:
        one["data_samples"].gt_edge_map = PixelData(data=torch.zeros(1, 6, 8))
    assert "gt_edge_map" in stacked_collate(samples)["data_samples"][0]


def test_both_preprocessors_give_our_segmentor_the_same_loss():
    model = MODELS.build(MODEL)
    batch = stacked_collate([sample(i, (32, 32)) for i in range(2)])
    losses = []
    for kind in (HeritageDataPreProcessor, SegDataPreProcessor):
        prepared = kind(size_divisor=32)(dict(batch), training=True)
        torch.manual_seed(0)
        losses.append(model(**prepared, mode="loss")["decode.loss_ce"])
    assert torch.equal(*losses)
