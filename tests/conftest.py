"""Data that tests in every folder read: a generated sample set, counts, and real data."""

import gc
import hashlib
import importlib.util
import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.apis.prediction_files import SCHEMA, Job, write_quantities
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.dataprep.weights.weight_files import make_weight_files
from mmseg_heritage.evaluation.counts.components import SIZE_EDGES
from mmseg_heritage.evaluation.counts.levels import derived_levels
from mmseg_heritage.evaluation.store import Counts, save_counts
from mmseg_heritage.images import formats
from mmseg_heritage.images.writing import write_class_map
from mmseg_heritage.quantities.scale import Scale
from mmseg_heritage.sample_set import make_sample_set
from mmseg_heritage.sample_set.plan import plan_images
from mmseg_heritage.sample_set.render import render
from mmseg_heritage.taxonomy import ARTEFACT, FINE_LEVEL
from mmseg_heritage.utils.files import sha256, write_json

REAL_DATA_VARIABLE = "MMSEG_HERITAGE_REAL_DATA"
# pytest's import mode lets files of tests import none of their neighbors.
_SPEC = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
_BROWSER = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_BROWSER)
browser = _BROWSER.browser
_BESIDE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish() -> None:
    """Takes what was imported out of garbage collection: mmengine starts one for each data set."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # or libraries that count at the exit report leaks


@pytest.fixture(autouse=True)
def _loggers_of_earlier_tests(monkeypatch):
    """Loggers of mmengine keep the output stream that pytest has closed since."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture(scope="session")
def sample_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a sample set of 12 images of 96 px. Read only: other tests read the same files."""
    return make_sample_set(tmp_path_factory.mktemp("data") / "sample", num_images=12, size=96)


@pytest.fixture
def copied_sample_set(sample_set: Path, tmp_path: Path) -> Path:
    """Folder of a copy of the sample set that a test may change; no check has verified it yet."""
    unverified = shutil.ignore_patterns("verified.json")
    return Path(shutil.copytree(sample_set, tmp_path / "sample_copy", ignore=unverified))


@pytest.fixture(scope="session")
def fold_set(sample_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a sample set with two folds and their class weights. Read only."""
    root = Path(shutil.copytree(sample_set, tmp_path_factory.mktemp("folds") / "data"))
    make_split_files(root, None, ("kfold",), folds=2)
    make_weight_files(root, "splits/kfold-2")
    return root


OWN_CLASSES = {
    "schema": "mmseg_heritage/classes/1",
    "classes": [
        {"name": "Mold", "id": 7, "color": "#00aa00", "group": "Biological"},
        {"name": "Clean", "id": 0},
        {"name": "Salt", "id": 3, "color": [250, 250, 0], "group": "Chemical"},
    ],
}
"""Ids that are neither positions nor in order: whoever mixes up the two is found out."""


@pytest.fixture(scope="session")
def artworks() -> list[np.ndarray]:
    """Two different generated artworks of 280 px, uint8 (H, W, 3). Read only."""
    return [render(plan, 5).image for plan in plan_images(4, 280, 5)[:2]]


@pytest.fixture(scope="session")
def own_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 10 images of 64 px with the three own classes of classes.json. Read only."""
    root = tmp_path_factory.mktemp("own") / "plaster"
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(10):
        mask = np.zeros((64, 64), np.uint8)
        mask[8:40, 8:30] = 7
        if number % 2:
            mask[44:60, 20:50] = 3
        mask[:, :4] = 255
        noise = rng.integers(0, 40, (64, 64, 3), dtype=np.uint8)
        photograph = 25 * mask[..., None] % 200 + noise
        Image.fromarray(photograph.astype(np.uint8)).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "annotations" / f"{number}.png")
    write_json(root / "classes.json", OWN_CLASSES)
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets (``artefact_mini/``, ``crackforest/``, ``photos/``, ...)."""
    folder = Path(os.environ.get(REAL_DATA_VARIABLE) or _BESIDE_REPOSITORY)
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set {REAL_DATA_VARIABLE} to their folder")
    return folder


REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class TinyRun:
    """A finished training run of a few iterations.

    Attributes:
        config: Its config file.
        folder: Its work folder.
        checkpoint: The checkpoint it wrote last.
        data: Folder of its data set.
    """

    config: Path
    folder: Path
    checkpoint: Path
    data: Path


@pytest.fixture(scope="session")
def tiny_config(sample_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config file of SegFormer at its smallest, on the sample set."""
    path = tmp_path_factory.mktemp("config") / "tiny.py"
    path.write_text(
        f"_base_ = [{str(REPOSITORY / 'configs' / 'segformer_mitb3_artefact.py')!r}]\n"
        f"__data = dict(data_root={str(sample_set)!r}, ann_file='splits/holdout.json')\n"
        "__workers = dict(num_workers=0, persistent_workers=False)\n"
        "train_dataloader = dict(batch_size=2, dataset=__data, **__workers)\n"
        "val_dataloader = test_dataloader = dict(dataset=__data, **__workers)\n"
        "_base_.train_dataloader.dataset.pipeline[2].size = 64\n"
        "model = dict(\n"
        "    inference=dict(scales=['fit:256']),\n"
        "    backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], drop_path_rate=0.0),\n"
        "    decode_head=dict(\n"
        "        channels=16, dropout_ratio=0.0, norm_cfg=dict(type='BN', requires_grad=True),\n"
        "        loss_decode=[dict(type='ClassWeightedDiceLoss', class_weight=None),\n"
        "                     dict(type='MaskedCrossEntropyLoss', class_weight=None)]))\n"
        "optim_wrapper = dict(optimizer=dict(lr=0.001))\n"
        "param_scheduler = [dict(type='PerGroupOneCycleLR', pct_start=0.1,\n"
        "                        convert_to_iter_based=True)]\n"
        "train_cfg = dict(val_interval=25)\n"
        "default_hooks = dict(checkpoint=dict(interval=25), logger=dict(interval=50))\n"
    )
    return path


@pytest.fixture(scope="session")
def tiny_run(
    tiny_config: Path, sample_set: Path, tmp_path_factory: pytest.TempPathFactory
) -> TinyRun:
    """A run of three iterations with :func:`tiny_config`. Read only."""
    pytest.importorskip("mmseg")
    from mmseg_heritage.apis.training import train

    folder = tmp_path_factory.mktemp("run") / "tiny"
    train(tiny_config, work_dir=str(folder), cfg_options={"max_iters": 3})
    return TinyRun(tiny_config, folder, folder / "iter_3.pth", sample_set)


def _counts(images=12, classes=ARTEFACT.levels[FINE_LEVEL].classes, seed=0, own=False, **changes):
    """Returns random counts; two images of each group, some classes absent from some images.

    Args:
        images: Number N of images.
        classes: Class names.
        seed: Another seed gives other counts of the same images.
        own: Adds the counts of a hierarchical model's own heads.
        **changes: Fields of ``Counts`` to set.
    """
    generator = np.random.default_rng(seed)
    number = len(classes)
    confusion = generator.integers(0, 500, (images, number, number))
    confusion += 3000 * np.eye(number, dtype=int)
    present = np.random.default_rng(1).random((images, number)) < 0.6
    present[:, 0] = True
    confusion *= present[:, :, None] * (generator.random((images, 1, number)) < 0.8)
    totals = generator.integers(0, 200, (images, number, 4))
    totals[..., 1::2] = generator.binomial(totals[..., ::2], 0.6)
    lines = generator.integers(0, 90, (images, number, 4))
    lines[..., 1::2] = generator.binomial(lines[..., ::2], 0.6)
    lines[:, 0] = 0
    components = generator.integers(0, 9, (images, number, 4, 2))
    components[..., 1] = generator.binomial(components[..., 0], 0.5)
    calibration = np.zeros((images, 15, 3))
    calibration[..., 0] = generator.integers(0, 1000, (images, 15))
    calibration[..., 1] = (
        calibration[..., 0] * (np.arange(15) + generator.random((images, 15))) / 15
    )
    calibration[..., 2] = generator.binomial(calibration[..., 0].astype(int), 0.7)
    levels = derived_levels(classes)
    own_levels = levels if own else {}
    heads = {}
    for name, level in own_levels.items():
        side = len(level.classes) + 1
        heads[name] = generator.integers(0, 900, (images, side, side))
        heads[name][:, -1] = 0
    fields = {
        "classes": tuple(classes),
        "palette": generator.integers(0, 256, (number, 3)).astype(np.uint8),
        "ids": tuple(f"image{i:03d}" for i in range(images)),
        "groups": tuple(f"object{i // 2:03d}" for i in range(images)),
        "materials": tuple(("Paper", "Glass", "Wood")[i % 3] for i in range(images)),
        "contents": tuple(("Line art", "")[i % 2] for i in range(images)),
        "confusion": confusion,
        "levels": levels,
        "own_levels": own_levels,
        "own": heads,
        "boundary": totals,
        "boundary_tolerance": 0.0075,
        "skeleton": lines,
        "components": components,
        "component_edges": np.array(SIZE_EDGES),
        "calibration": calibration,
    }
    return Counts(**{**fields, **changes})


@pytest.fixture
def random_counts():
    """A function that returns random counts, as a test of a model leaves them."""
    return _counts


def _another_model(counts, gain=0.0, seed=1):
    """Returns counts of another model on the same images, with the same true pixels.

    Args:
        counts: Of the first model.
        gain: Share of the first one's mistakes that the other does not make.
        seed: Other mistakes.
    """
    true = counts.confusion.sum(axis=2)
    right = np.eye(len(counts.classes))
    shares = np.where(true[..., None] > 0, counts.confusion / np.maximum(true, 1)[..., None], right)
    shares = (1 - gain) * shares + gain * right
    confusion = np.random.default_rng(seed).multinomial(true, shares)
    return replace(counts, confusion=confusion)


@pytest.fixture
def another_model():
    """A function that returns counts of another model on the same images."""
    return _another_model


def _tested_run(folder, counts, seed=0, split="holdout", part="test", **stamp):
    """Writes what a test of a model leaves in its folder.

    Args:
        folder: Of the run.
        counts: What was counted.
        seed: Of the training; another one is another checkpoint.
        split: Name of the split, which decides on its hash.
        part: Of the split.
        **stamp: What else the test says of itself.

    Returns:
        The folder.
    """
    from mmseg_heritage.evaluation.summary import COUNTS_FILE, METRICS_FILE, summarize

    save_counts(folder / "evaluation" / COUNTS_FILE, counts)
    run = {
        "checkpoint_sha256": hashlib.sha256(f"{folder} {seed}".encode()).hexdigest(),
        "seed": seed,
        "split": {
            "name": split,
            "sha256": hashlib.sha256(split.encode()).hexdigest(),
            "part": part,
        },
        **stamp,
    }
    write_json(folder / "evaluation" / METRICS_FILE, {**summarize(counts), "run": run})
    return folder


@pytest.fixture
def tested_run():
    """A function that writes what a test of a model leaves in its folder."""
    return _tested_run


# How a viewer turns the stored pixels, from the EXIF standard's "row 0 is ..., column 0 is ...".
_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.fixture
def upright():
    """A function that turns pixels as a viewer does for an EXIF orientation, 1 to 8."""
    return lambda array, orientation: _UPRIGHT[orientation](array)


@pytest.fixture
def no_optional_readers(monkeypatch):
    """As on a machine without the libraries that read HEIC and raw files."""
    monkeypatch.setattr(formats, "can_read", lambda found: False)


@pytest.fixture
def pixels():
    """uint8 (7, 11, 3)."""
    return np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)


@pytest.fixture
def saved():
    """A function that saves an array with Pillow and returns the path."""

    def save(path, array, mode=None, **options):
        image = Image.fromarray(array)
        (image if mode is None else image.convert(mode)).save(path, **options)
        return path

    return save


def _predicted(
    folder, name, class_map, classes=ARTEFACT, confidence=None, mm_per_pixel=None, pixels=None
):
    """Writes a noisy photograph beside a folder of results, and its results as predict does.

    Args:
        folder: Of the results; the photograph lies in ``<folder>/../photos``.
        name: Of the photograph.
        class_map: Mask values, uint8 (H, W).
        classes: What they mean.
        confidence: uint8 (H, W); None for about 0.5 to 1, by noise.
        mm_per_pixel: Scale, or None.
        pixels: Of the photograph, uint8 (H, W, 3); None for noise.
    """
    height, width = class_map.shape
    rng = np.random.default_rng(height)
    image = (folder.parent / "photos" / name).with_suffix(".png")
    image.parent.mkdir(parents=True, exist_ok=True)
    noise = rng.integers(80, 160, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    if pixels is None:
        pixels = noise.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    Image.fromarray(pixels).save(image, compress_level=1)
    if confidence is None:
        confidence = rng.integers(128, 255, class_map.shape, dtype=np.uint8)
    photograph = Photograph(image, name)
    made_with = {
        "version": "0",
        "checkpoint": "model.pth",
        "checkpoint_sha256": "c" * 64,
        "page": 1,
    }
    scale = mm_per_pixel and Scale(mm_per_pixel, mm_per_pixel, "test")
    job = Job(folder, made_with, scale=scale)
    path = photograph.result(folder, "_classes.png")
    positions = np.full(256, 255, np.uint8)
    positions[254] = 254  # not decided
    positions[list(classes.ids)] = range(len(classes.ids))
    ids = positions[class_map]
    write_class_map(path, ids, classes.colors, classes.ids)
    content = {
        "schema": SCHEMA,
        "image": str(image),
        "image_sha256": sha256(image),
        "made_with": made_with,
        "width": width,
        "height": height,
        "classes": [{"name": c.name, "id": c.id, "color": c.color} for c in classes.classes],
        "thinnest_line_px": 1.0,
        "area_share": {},
        "levels": {},
        "files": {"class_map": path.name},
    }
    write_quantities(
        content, photograph, job, ids, confidence, classes.names, classes.kinds, classes.colors
    )
    return folder


@pytest.fixture
def predicted():
    """Function that writes a prediction, see :func:`_predicted`."""
    return _predicted
