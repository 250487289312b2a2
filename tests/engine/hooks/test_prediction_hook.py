"""One picture and one class map for each image, named after it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_heritage.engine.hooks import PredictionHook
from mmseg_heritage.taxonomy import ARTEFACT

FINE = ARTEFACT.levels["fine"]
RUNNER = SimpleNamespace(
    test_evaluator=SimpleNamespace(
        dataset_meta={"classes": FINE.classes, "palette": [list(c) for c in FINE.colors]}
    )
)


def make_sample(path, seed=0):
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    sample = SegDataSample(metainfo={"img_path": str(path)})
    truth = rng.choice([0, 1, 15, 255], (1, 20, 30))
    prediction = rng.integers(0, 16, (1, 20, 30))
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth.astype(np.uint8)))
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(prediction))
    return sample


def test_every_image_of_every_batch_gets_its_files(tmp_path):
    hook = PredictionHook(show_dir=str(tmp_path / "show"), out_dir=str(tmp_path / "out"))
    samples = [make_sample(tmp_path / f"photo.{i}.png", i) for i in range(3)]
    hook.after_test_iter(RUNNER, 0, outputs=samples[:2])
    hook.after_test_iter(RUNNER, 1, outputs=samples[2:])
    for folder in ("show", "out"):
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == ["photo.0.png", "photo.1.png", "photo.2.png"]
    for sample in samples:
        name = sample.img_path.rsplit("/", 1)[1]
        with Image.open(tmp_path / "out" / name) as found:
            assert found.mode == "P"
            assert found.getpalette()[3:6] == list(FINE.colors[1])
            np.testing.assert_array_equal(np.asarray(found), sample.pred_sem_seg.data[0].numpy())
        with Image.open(tmp_path / "show" / name) as picture:
            assert picture.width > 3 * 30  # input, truth and prediction side by side


def test_maps_hold_mask_values_with_their_colors(tmp_path):
    meta = {"classes": ("Clean", "Cracks"), "palette": [[0, 0, 0], [0, 0, 166]]}
    sample = make_sample(tmp_path / "photo.png")
    trained = torch.randint(0, 2, (1, 20, 30))
    sample.pred_sem_seg = PixelData(data=trained)
    evaluator = SimpleNamespace(dataset_meta={**meta, "mask_values": [0, 9]})
    hook = PredictionHook(out_dir=str(tmp_path / "out"))
    hook.after_test_iter(SimpleNamespace(test_evaluator=evaluator), 0, outputs=[sample])
    with Image.open(tmp_path / "out" / "photo.png") as found:
        assert found.getpalette()[27:30] == [0, 0, 166]
        np.testing.assert_array_equal(np.asarray(found), 9 * trained[0].numpy())


def test_the_picture_shows_what_the_model_was_given_without_reading_the_file_again(tmp_path):
    sample = make_sample(tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    sample.set_metainfo({"img_shape": (10, 15)})
    given = torch.zeros(3, 10, 15, dtype=torch.uint8)
    given[2] = 250  # red, in the order blue, green, red
    PredictionHook(show_dir=str(tmp_path)).after_test_iter(RUNNER, 0, {"inputs": [given]}, [sample])
    picture = np.asarray(Image.open(tmp_path / "gone.png"))
    red = np.argwhere((picture == (250, 0, 0)).all(axis=2))
    assert tuple(red.max(axis=0) - red.min(axis=0) + 1) == (20, 30)  # the size of the maps
    assert len(red) == 20 * 30


@pytest.mark.parametrize("wanted", ["show_dir", "out_dir"])
def test_only_what_was_asked_for_is_written(wanted, tmp_path):
    hook = PredictionHook(**{wanted: str(tmp_path / "there")})
    hook.after_test_iter(RUNNER, 0, outputs=[make_sample(tmp_path / "photo.png")])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photo.png", "there"]


def test_a_batch_without_outputs_writes_nothing(tmp_path):
    PredictionHook(show_dir=str(tmp_path / "show")).after_test_iter(RUNNER, 0)
    assert not list(tmp_path.iterdir())
