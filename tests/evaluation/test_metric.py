"""The registered metric: keys, files, and independence of how images are batched."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.counts.calibration import BINS, calibration_counts
from mmseg_heritage.evaluation.counts.confusion import confusion_counts
from mmseg_heritage.evaluation.metric import PARTS, ConfusionMetric, log_key
from mmseg_heritage.evaluation.store import load_counts
from mmseg_heritage.evaluation.summary import SCHEMA, SCORES
from mmseg_heritage.taxonomy import ARTEFACT, Level

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
    first = _evaluate(samples, 1)
    for batch in (2, 5):
        assert _evaluate(samples, batch) == pytest.approx(first, nan_ok=True, abs=0)


def test_keys_are_bare_and_per_class_values_reach_the_log():
    scores = _evaluate(_samples(), 2)
    assert {"mIoU", "mF1", "aAcc", "damage_IoU", "IoU.Clean", "IoU.Cracks"} <= scores.keys()
    for score in ("IoU", "F1", "Precision", "Recall", "Accuracy"):
        assert 0 < scores[f"{score}.Cracks"] < 100
        assert np.isnan(scores[f"{score}.Peel"])  # absent from truth and prediction
    assert scores["classes_in_mean"] == 2
    assert scores["mIoU"] == pytest.approx((scores["IoU.Clean"] + scores["IoU.Cracks"]) / 2)
    assert scores["damage_IoU"] == pytest.approx(scores["IoU.Cracks"])


def test_files_hold_what_the_scores_were_made_from(tmp_path):
    samples = _samples()
    scores = _evaluate(samples, 2, results_dir=str(tmp_path))
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["schema"] == SCHEMA
    assert content["overall"]["mIoU"] == pytest.approx(scores["mIoU"])
    per_class = content["levels"]["fine"]["per_class"]
    assert per_class["Peel"]["iou"] is None
    assert content["all_clean"]["damage_IoU"] == 0
    counts = load_counts(tmp_path / "per_image.npz")
    assert counts.ids == tuple(f"id{i}" for i in range(5))
    valid = [int((s["gt_sem_seg"]["data"] != 255).sum()) for s in samples]
    assert counts.confusion.sum(axis=(1, 2)).tolist() == valid
    assert per_class["Cracks"]["support_pixels"] == counts.confusion.sum(axis=0)[1].sum()
    assert not any(counts.has(part) for part in PARTS)
    rows = (tmp_path / "per_class.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:4]] == [["fine", name] for name in CLASSES]


def test_a_test_set_without_a_valid_pixel_writes_null(tmp_path):
    samples = _samples(1)
    samples[0]["gt_sem_seg"]["data"].fill_(255)
    _evaluate(samples, 1, results_dir=str(tmp_path))
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
    assert not any("loss" in log_key(name) for name in ARTEFACT.names)
    assert log_key("Cracks") == "IoU.Cracks"


def test_source_groups_materials_and_contents_come_from_the_samples(tmp_path):
    samples = _samples(3)
    for sample, group in zip(samples, "bab", strict=True):
        sample.update(group=group, material="Glass", content="Line art")
    _evaluate(samples[::-1], 1, results_dir=str(tmp_path))
    counts = load_counts(tmp_path / "per_image.npz")
    assert counts.groups == ("b", "a", "b")  # in order of id, whatever the order of the images
    assert set(counts.materials) == {"Glass"}
    assert set(counts.contents) == {"Line art"}


def _with_scores(channels, seed=0):
    """Returns samples whose prediction follows from scores."""
    generator = torch.Generator().manual_seed(seed)
    samples = _samples()
    for sample in samples:
        shape = sample["gt_sem_seg"]["data"].shape[1:]
        scores = 3 * torch.randn(channels, *shape, generator=generator)
        if channels == 1:  # mmsegmentation leaves probabilities there
            scores = scores.sigmoid()
            prediction = (scores > 0.3).float()
        else:
            prediction = scores.argmax(dim=0, keepdim=True)
        sample["seg_logits"], sample["pred_sem_seg"] = {"data": scores}, {"data": prediction}
    return samples


def test_a_confidence_that_a_sample_has_is_taken(tmp_path, monkeypatch):
    """All of its 256 values, of which 14 are the edges between bins."""
    monkeypatch.setattr("mmseg_heritage.evaluation.metric._ROWS", 30)
    samples = _with_scores(3)
    values = np.arange(256, dtype=np.uint8)
    for number, sample in enumerate(samples):
        shape = sample["gt_sem_seg"]["data"].shape
        given = np.resize(np.roll(values, 97 * number), shape)
        sample["confidence"] = {"data": torch.from_numpy(given)}
    _evaluate(samples, 2, results_dir=str(tmp_path), parts=PARTS)
    counts = load_counts(tmp_path / "per_image.npz")
    for sample, found in zip(samples, counts.calibration, strict=True):
        label = sample["gt_sem_seg"]["data"][0].numpy()
        predicted = sample["pred_sem_seg"]["data"][0].numpy().astype(int)
        given = sample["confidence"]["data"][0].numpy().astype(int)
        known = label != 255
        bins = np.maximum(-(-given * BINS // 255) - 1, 0)  # exact, in whole numbers
        for number in range(BINS):
            here = known & (bins == number)
            right = (label == predicted)[here].sum()
            assert found[number] == pytest.approx([here.sum(), given[here].sum() / 255, right])


@pytest.mark.parametrize("channels", [1, 3])
def test_confidence_is_the_probability_of_the_predicted_class(channels, tmp_path, monkeypatch):
    monkeypatch.setattr("mmseg_heritage.evaluation.metric._ROWS", 30)  # several strips
    samples = _with_scores(channels)
    _evaluate(samples, 2, results_dir=str(tmp_path), parts=PARTS)
    counts = load_counts(tmp_path / "per_image.npz")
    for sample, found in zip(samples, counts.calibration, strict=True):
        scores = sample["seg_logits"]["data"].double().numpy()
        predicted = sample["pred_sem_seg"]["data"][0].numpy().astype(int)
        if channels == 1:
            confidence = np.where(predicted == 1, scores[0], 1 - scores[0])
        else:
            shares = np.exp(scores) / np.exp(scores).sum(axis=0)
            confidence = np.take_along_axis(shares, predicted[None], axis=0)[0]
        label = sample["gt_sem_seg"]["data"][0].numpy()
        expected = calibration_counts(label, predicted, confidence)
        assert found == pytest.approx(expected, abs=1e-4)
        assert found[:, 0].sum() == (label != 255).sum()


def test_maps_of_a_models_own_heads_are_counted_by_level(tmp_path):
    level = Level(("Clean", "Damage"), ((0, 0, 0), (9, 9, 9)), (0, 1, 1))
    partial = Level(("Surface",), ((9, 9, 9),), (255, 0, 0))
    samples = _samples(3)
    hits, unions = np.zeros(2), np.zeros(2)
    for sample in samples:
        label = sample["gt_sem_seg"]["data"][0].numpy()
        own = torch.randint(0, 2, (1, *label.shape), generator=torch.Generator().manual_seed(5))
        surface = torch.where(own == 1, 0, 255)  # where there is no damage the level says nothing
        sample.update(levels={"two": level, "one": partial}, pred_sem_seg_two={"data": own},
                      pred_sem_seg_one={"data": surface})  # fmt: skip
        own, inside = own[0].numpy(), label != 255
        for i in range(2):
            true, found = (label == i) & inside, (own == i) & inside
            hits[i] += (true & found).sum()
            unions[i] += (true | found).sum()
    scores = _evaluate(samples, 2, results_dir=str(tmp_path))
    assert scores["two_head_mIoU"] == pytest.approx(100 * (hits / unions).mean())
    damaged = sum((s["gt_sem_seg"]["data"] == 1).sum().item() for s in samples)
    assert scores["one_head_mIoU"] == pytest.approx(100 * hits[1] / damaged)
    counts = load_counts(tmp_path / "per_image.npz")
    assert counts.own_levels == {"two": level, "one": partial}
    content = json.loads((tmp_path / "metrics.json").read_text())
    damage = content["levels"]["two_head"]["per_class"]["Damage"]
    assert damage["iou"] == pytest.approx(100 * hits[1] / unions[1])


def test_without_scores_there_is_no_calibration_error(tmp_path):
    scores = _evaluate(_samples(), 1, results_dir=str(tmp_path), parts=PARTS)
    assert np.isnan(scores["ECE"])
    assert 0 < scores["boundary_mF1"] < 100
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["calibration"]["ECE"] is None
    assert sum(b["components"] for b in content["components"]["per_class"]["Cracks"]) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"parts": ["borders"]},
            "'borders' is none of boundary, skeleton, components, calibration",
        ),
        ({"per_class": ["dice"]}, "'dice' is none of iou"),
        ({"boundary_tolerance": 3}, "expected a share of the diagonal"),
    ],
)
def test_arguments_that_mean_nothing_are_named(options, message):
    with pytest.raises(InputError) as caught:
        ConfusionMetric(**options)
    assert message in str(caught.value)


def test_predictions_that_do_not_fit_are_named_with_their_image():
    samples = _samples(2)
    samples[1]["pred_sem_seg"] = samples[0]["pred_sem_seg"]  # of another size
    with pytest.raises(InputError, match=r"image 'id1'.*shape \(11, 12\), prediction \(10, 12\)"):
        _evaluate(samples, 1)
    samples = _samples(1)
    samples[0]["pred_sem_seg"]["data"][0, 5, 5] = 7
    with pytest.raises(InputError, match=r"image 'id0'.*class ids in 0\.\.2, found 0\.\.7"):
        _evaluate(samples, 1)


def test_a_test_of_nothing_and_images_of_one_id_are_refused():
    with pytest.raises(InputError, match="no image was tested"):
        _evaluate([], 1)
    samples = _samples(2)
    for sample, folder in zip(samples, "ab", strict=True):
        del sample["sample_id"]
        sample["img_path"] = f"{folder}/name.png"
    with pytest.raises(InputError, match="two images have one id") as caught:
        _evaluate(samples, 1)
    assert caught.value.problems == ["'name': a/name.png and b/name.png"]


@pytest.mark.slow
def test_save_best_log_and_curves_know_every_class(tiny_config, tmp_path, monkeypatch):
    from mmseg_heritage.apis.training import train

    def without_lightleak(*args):
        counts = confusion_counts(*args)
        counts[15] = counts[:, 15] = 0
        return counts

    monkeypatch.setattr("mmseg_heritage.evaluation.metric.confusion_counts", without_lightleak)
    with_tensorboard = find_spec("tensorboard") is not None  # an optional package
    backends = [{"type": "LocalVisBackend"}]
    backends += [{"type": "TensorboardVisBackend"}] if with_tensorboard else []
    train(
        tiny_config,
        work_dir=str(tmp_path),
        cfg_options={
            "max_iters": 2,
            "default_hooks.checkpoint.save_best": ["IoU.Cracks", "Recall.Lightleak"],
            "visualizer.vis_backends": backends,
        },
    )
    (best,) = tmp_path.glob("best_*")  # none by a score that is undefined
    assert best.name.startswith("best_IoU.Cracks_iter_")
    (scalars,) = tmp_path.glob("*/vis_data/scalars.json")
    last = json.loads(scalars.read_text().splitlines()[-1])
    keys = {log_key(name, score) for name in ARTEFACT.names for score in SCORES}
    assert keys <= last.keys()
    assert np.isnan(last["IoU.Lightleak"])
    assert 0 <= last["IoU.Clean"] <= 100
    (log,) = tmp_path.glob("*/*.log")
    assert "Recall.Lightleak: nan" in log.read_text()
    if with_tensorboard:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        (events,) = tmp_path.glob("*/vis_data/events*")
        curves = EventAccumulator(str(events)).Reload()
        assert keys <= set(curves.Tags()["scalars"])
        assert curves.Scalars("IoU.Clean")[0].value == pytest.approx(last["IoU.Clean"], rel=1e-5)
