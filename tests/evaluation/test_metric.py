"""The registered metric: keys, files, and independence of how images are batched."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

from mmseg_heritage.evaluation.metric import SCHEMA, ConfusionMetric, log_key
from mmseg_heritage.taxonomy import LEVELS

CLASSES = ("Clean", "Cracks", "Peel")


def _samples(count=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for index in range(count):
        shape = (1, 10 + index, 12)
        label = torch.randint(0, 2, shape, generator=generator, dtype=torch.uint8)
        label[:, :2] = 255
        prediction = torch.randint(0, 2, shape, generator=generator)
        samples.append(
            {
                "sample_id": f"id{index}",
                "gt_sem_seg": {"data": label},
                "pred_sem_seg": {"data": prediction},
            }
        )
    return samples


def _evaluate(samples, batch, **kwargs):
    metric = ConfusionMetric(**kwargs)
    metric.dataset_meta = {"classes": kwargs.get("classes", CLASSES)}
    for start in range(0, len(samples), batch):
        metric.process({}, samples[start : start + batch])
    return metric.evaluate(len(samples))


def test_scores_do_not_depend_on_the_batch_size():
    samples = _samples()
    assert _evaluate(samples, 1) == _evaluate(samples, 2) == _evaluate(samples, 5)


def test_keys_are_bare_and_per_class_values_reach_the_log():
    scores = _evaluate(_samples(), 2)
    assert {"mIoU", "mF1", "aAcc", "damage_IoU", "IoU.Clean", "IoU.Cracks"} <= scores.keys()
    assert "IoU.Peel" not in scores  # absent from truth and prediction
    assert scores["classes_in_mean"] == 2
    assert scores["mIoU"] == pytest.approx((scores["IoU.Clean"] + scores["IoU.Cracks"]) / 2)
    assert scores["damage_IoU"] == pytest.approx(scores["IoU.Cracks"])


def test_files_hold_what_the_scores_were_made_from(tmp_path):
    samples = _samples()
    scores = _evaluate(samples, 2, output_dir=str(tmp_path))
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["schema"] == SCHEMA
    assert content["overall"]["mIoU"] == pytest.approx(scores["mIoU"])
    assert content["per_class"]["Peel"]["iou"] is None
    assert content["all_clean"]["damage_IoU"] == 0
    with np.load(tmp_path / "per_image.npz") as counts:
        assert counts["ids"].tolist() == [f"id{i}" for i in range(5)]
        valid = [int((s["gt_sem_seg"]["data"] != 255).sum()) for s in samples]
        assert counts["confusion"].sum(axis=(1, 2)).tolist() == valid
        support = counts["confusion"].sum(axis=0)[1].sum()
    assert content["per_class"]["Cracks"]["support_pixels"] == support


def test_a_test_set_without_a_valid_pixel_writes_null(tmp_path):
    samples = _samples(1)
    samples[0]["gt_sem_seg"]["data"].fill_(255)
    _evaluate(samples, 1, output_dir=str(tmp_path))
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["overall"]["mIoU"] is None


def test_background_as_a_class_is_neither_clean_nor_damage():
    metric = ConfusionMetric()
    metric.dataset_meta = {"classes": ("Clean", "Cracks", "Background")}
    # The truth's two pixels of background are not scored, whatever was predicted there; the damage
    # taken for background is missed.
    label = torch.tensor([[[0, 1, 1, 2, 2]]], dtype=torch.uint8)
    prediction = torch.tensor([[[0, 1, 2, 1, 0]]])
    metric.process({}, [{**_samples(1)[0], "gt_sem_seg": {"data": label},
                         "pred_sem_seg": {"data": prediction}}])  # fmt: skip
    scores = metric.evaluate(1)
    assert scores["damage_IoU"] == pytest.approx(50)
    assert scores["binary_mIoU"] == pytest.approx((100 + 50) / 2)


def test_no_logged_key_is_averaged_over_time_by_mmengine():
    # Its log processor smooths whatever has 'loss' in its name.
    assert not any("loss" in log_key(name) for name in LEVELS["fine"].classes)
    assert log_key("Cracks") == "IoU.Cracks"
