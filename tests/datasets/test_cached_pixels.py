"""A data set with a cache gives the network the very pixels of one without."""

import csv
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("mmseg")

from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.apis.training import train
from mmseg_heritage.datasets import ARTeFACTDataset, LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.datasets.caches import pixel_cache as decoding
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import load_config

LOAD = [LoadHeritageImage(), LoadARTeFACTAnnotations()]
CONFIG = Path(__file__).resolve().parents[2] / "configs" / "segformer_mitb3_artefact.py"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="memory is shared by memfd")
caches = pytest.mark.parametrize("cache", [pytest.param("ram", marks=linux_only), "disk"])


def _noise(rng, height, width, channels=3):
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def mixed_set(tmp_path_factory) -> Path:
    """Photographs of every kind: turned by EXIF, 16 bits, alpha, gray, larger and smaller."""
    root = tmp_path_factory.mktemp("data") / "mixed"
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    turned = Image.Exif()
    turned[0x0112] = 6  # shown turned by a quarter
    deep = (rng.integers(0, 65536, (70, 90))).astype(np.uint16)
    # Name -> (picture, suffix, options, displayed size). Several of a kind, so that all parts have.
    pictures = {
        "turned": (Image.fromarray(_noise(rng, 60, 110)), "jpg", {"exif": turned}, (60, 110)),
        "deep": (Image.fromarray(deep), "png", {}, (90, 70)),
        "deep_tiff": (Image.fromarray(deep), "tif", {}, (90, 70)),
        "alpha": (Image.fromarray(_noise(rng, 50, 64, 4)), "png", {}, (64, 50)),
        "gray": (Image.fromarray(_noise(rng, 80, 81)).convert("L"), "png", {}, (81, 80)),
        "large": (Image.fromarray(_noise(rng, 150, 200)), "png", {}, (200, 150)),
        "small": (Image.fromarray(_noise(rng, 20, 17)), "bmp", {}, (17, 20)),
        "exact": (Image.fromarray(_noise(rng, 48, 48)), "png", {}, (48, 48)),
    }
    rows = []
    for copy in range(3):
        for name, (picture, suffix, options, (width, height)) in pictures.items():
            sample_id = f"{name}_{copy}"
            picture.rotate(90 * copy, expand=False).save(
                root / "images" / f"{sample_id}.{suffix}", **options
            )
            mask = rng.choice([*range(16), 255], (height, width)).astype(np.uint8)
            stored = Image.fromarray(mask.astype(np.uint16) if copy == 1 else mask)
            stored.save(root / "annotations" / f"{sample_id}.png")
            rows.append({"id": sample_id})
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id"])
        writer.writeheader()
        writer.writerows(rows)
    return root


def _samples(part, options, epochs=1):
    """Returns everything that a shipped data loader hands to the network."""
    cfg = load_config(CONFIG, {"crop_size": 48, "max_edge": 100, "batch_size": 3, **options})
    init_default_scope("mmseg")
    loader = cfg[f"{part}_dataloader"]
    loader.persistent_workers = loader.num_workers > 0
    np.random.seed(5)
    torch.manual_seed(5)
    built = Runner.build_dataloader(loader, seed=3)
    batches = [batch for _ in range(epochs) for batch in built]
    return [
        (image, sample.gt_sem_seg.data, sample.metainfo)
        for batch in batches
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True)
    ]


def _assert_equal(found, expected):
    assert len(found) == len(expected) > 0
    for (image, mask, meta), (image_, mask_, meta_) in zip(found, expected, strict=True):
        assert image.dtype == image_.dtype == torch.uint8
        assert torch.equal(image, image_)
        assert torch.equal(mask, mask_)
        assert meta == meta_


@caches
@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("train", {"level": "fine", "num_workers": 2, "augmentation": "film_damage"}),
        ("val", {"level": "coarse", "num_workers": 0}),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("train", {"level": "fine", "num_workers": 0}),
                ("train", {"level": "binary", "num_workers": 2, "rare_class_prob": 0.5}),
                ("val", {"level": "fine", "num_workers": 2}),
            )
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value,
)
def test_every_sample_is_bit_equal(mixed_set, tmp_path, cache, part, options):
    options = {"data_root": str(mixed_set), **options}
    epochs = 2 if part == "train" else 1
    expected = _samples(part, options, epochs)
    cached = {**options, "cache": cache, "cache_dir": str(tmp_path)}
    _assert_equal(_samples(part, cached, epochs), expected)


@caches
def test_all_kinds_of_files_are_bit_equal_whole(mixed_set, tmp_path, cache):
    """The test pipeline hands on whole images: those it does not shrink are the cache's own."""
    options = {
        "data_root": str(mixed_set), "num_workers": 0,
        "val_dataloader.dataset.split": "all", "max_edge": 100,
    }  # fmt: skip
    expected = _samples("val", options)
    assert len(expected) == 24
    cached = {**options, "cache": cache, "cache_dir": str(tmp_path)}
    _assert_equal(_samples("val", cached), expected)


@pytest.mark.slow
@caches
def test_workers_that_are_not_forked_see_the_same(mixed_set, tmp_path, cache):
    options = {"data_root": str(mixed_set), "num_workers": 1}
    expected = _samples("train", options)
    cached = {
        **options, "cache": cache, "cache_dir": str(tmp_path),
        "train_dataloader.multiprocessing_context": "spawn",
    }  # fmt: skip
    _assert_equal(_samples("train", cached), expected)


@caches
def test_an_in_place_transform_spoils_neither_the_cache_nor_its_own_result(
    sample_set, tmp_path, cache
):
    def darken(results):
        results["img"] //= 2
        results["gt_seg_map"][...] = 255
        return results

    options = {"data_root": str(sample_set), "split": "all"}
    plain = ARTeFACTDataset(pipeline=LOAD, **options)
    kept = ARTeFACTDataset(
        pipeline=[*LOAD, darken], cache=cache, cache_dir=str(tmp_path), **options
    )
    for _ in range(2):
        for index in range(len(plain)):
            found = kept[index]
            assert np.array_equal(found["img"], plain[index]["img"] // 2)
            assert (found["gt_seg_map"] == 255).all()
            assert not {"cached_img", "cached_seg_map"} & found.keys()


@caches
def test_nothing_is_decoded_after_the_start(sample_set, tmp_path, cache, monkeypatch):
    dataset = ARTeFACTDataset(
        data_root=str(sample_set), pipeline=LOAD, cache=cache, cache_dir=str(tmp_path)
    )
    monkeypatch.setattr(decoding, "read_image", None)
    monkeypatch.setattr(decoding, "read_mask", None)
    for some in (dataset, pickle.loads(pickle.dumps(dataset)), dataset.get_subset([0, 2])):
        for index in range(len(some)):
            assert some[index]["img"].shape[:2] == some[index]["gt_seg_map"].shape


def test_only_the_samples_of_the_part_are_kept(sample_set, tmp_path):
    dataset = ARTeFACTDataset(
        data_root=str(sample_set), split="val", pipeline=LOAD, cache="disk",
        cache_dir=str(tmp_path), indices=1,
    )  # fmt: skip
    assert len(dataset) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_data_set_without_a_pipeline_keeps_nothing(copied_sample_set):
    ARTeFACTDataset(data_root=str(copied_sample_set), cache="disk")
    assert not (copied_sample_set / "cache").exists()


def test_the_folder_is_below_the_data_root_unless_another_is_given(copied_sample_set):
    dataset = ARTeFACTDataset(data_root=str(copied_sample_set), pipeline=LOAD, cache="disk")
    assert len(list((copied_sample_set / "cache").iterdir())) == 2 * len(dataset)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"cache": "memory"}, "cache must be one of auto, none, ram, disk, found 'memory'"),
        ({"cache": True}, "cache must be one of auto, none, ram, disk, found True"),
        ({"cache": "disk", "cache_dir": "{root}/images"}, "cannot be a folder of the data set"),
        (
            {"cache": "disk", "pipeline": LOAD[:1]},
            "LoadARTeFACTAnnotations is not there",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(sample_set, kwargs, message):
    if "cache_dir" in kwargs:
        kwargs = {**kwargs, "cache_dir": kwargs["cache_dir"].format(root=sample_set)}
    with pytest.raises(InputError, match=message):
        ARTeFACTDataset(**{"data_root": str(sample_set), "pipeline": LOAD, **kwargs})


@linux_only
def test_parts_that_do_not_fit_together_are_refused_before_anything_is_written(
    tiny_config, tmp_path, monkeypatch
):
    """Each part alone would fit: 8 and 2 of 12 photographs."""
    dataset = load_config(tiny_config).train_dataloader.dataset
    parts = [
        ARTeFACTDataset(dataset.data_root, split, dataset.ann_file).cache_items()
        for split in ("train", "val")
    ]
    monkeypatch.setattr(decoding, "_DECODING_BYTES", 0)
    sizes = [sum(item.nbytes for item in items) for items in parts]
    monkeypatch.setattr(decoding, "available_memory", lambda: int(max(sizes) / 0.9) + 9)
    for items in parts:
        decoding.check_memory(items)
    with pytest.raises(InputError, match=r"cache='ram' needs .* Use cache='disk'"):
        train(tiny_config, str(tmp_path / "run"), cfg_options={"cache": "ram", "max_iters": 1})
    assert not (tmp_path / "run").exists()
