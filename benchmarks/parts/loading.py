"""A training sample, and what it costs to hand a batch from a worker to the main process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from paired import Part
from shared import write_pair

CROP = 384
_FOLDER = tempfile.TemporaryDirectory()
# The steps of mmsegmentation's own training configs.
STOCK = [
    {"type": "RandomResize", "scale": (1024, 512), "ratio_range": (0.8, 1.5), "keep_ratio": True},
    {"type": "RandomCrop", "crop_size": (CROP, CROP), "cat_max_ratio": 0.75},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PhotoMetricDistortion"},
    {"type": "PackSegInputs"},
]


def sample(small: bool) -> Part:
    """Samples of 512 px: ours from memory, mmsegmentation's from memory and from PNG files."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmcv.transforms import Compose
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS, TRANSFORMS

    from mmseg_heritage.datasets.caches.pixel_cache import decode_image, decode_mask
    from mmseg_heritage.runs.config.config_files import load_config
    from mmseg_heritage.sample_set import make_sample_set

    init_default_scope("mmseg")
    images = 4 if small else 24
    root = make_sample_set(Path(_FOLDER.name) / "sample", num_images=images, size=512)
    config = Path(__file__).resolve().parents[2] / "configs" / "segformer_mitb3_artefact.py"
    cfg = load_config(config, {"data_root": str(root), "cache": "ram", "crop_size": CROP})
    ours = DATASETS.build({**cfg.train_dataloader.dataset, "split": "all"})
    infos = [ours.get_data_info(i) for i in range(images)]
    load = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
    from_files = Compose([TRANSFORMS.build(step) for step in [*load, *STOCK]])
    from_memory = Compose([TRANSFORMS.build(step) for step in STOCK])
    decoded = [(decode_image(i["img_path"]), decode_mask(i["seg_map_path"])) for i in infos]

    def epoch(draw: Callable[[int], Any]) -> list[Any]:
        np.random.seed(0)
        return [draw(number) for number in range(images)]

    def stock_info(number: int) -> dict[str, Any]:
        return {**infos[number], "seg_fields": [], "reduce_zero_label": False}

    def kept(number: int) -> Any:
        image, mask = decoded[number]
        info = {**stock_info(number), "img": image.copy(), "gt_seg_map": mask.copy()}
        shape = image.shape[:2]
        return from_memory(
            {**info, "seg_fields": ["gt_seg_map"], "img_shape": shape, "ori_shape": shape}
        )

    def check() -> str:
        for found in (*epoch(lambda i: ours[i]), *epoch(kept)):
            assert tuple(found["inputs"].shape) == (3, CROP, CROP)
        return "crops of the same size; augmentations differ"

    return Part(
        f"A training sample of {CROP} px from 512 px",
        {
            "ours, cache='ram'": lambda: epoch(lambda i: ours[i]),
            "mmseg, PNG files": lambda: epoch(lambda i: from_files(stock_info(i))),
            "mmseg, from memory": lambda: epoch(kept),
        },
        check, images, 8,
    )  # fmt: skip


def crop(small: bool) -> Part:
    """One crop of 512 px of 12 megapixels: from a disk cache, and as without one from a JPEG."""
    from mmseg_heritage.datasets.caches.disk_cache import fill_disk
    from mmseg_heritage.datasets.caches.pixel_cache import decode_image, decode_mask, plan_cache

    size = (1200, 1000) if small else (4000, 3000)
    generator = np.random.default_rng(0)
    image, mask = write_pair(Path(_FOLDER.name) / "large", "0", size, 0)
    cache = fill_disk(plan_cache([(str(image), str(mask))]), Path(_FOLDER.name) / "cache")
    repeats = 20

    def cropped(read: Callable[[], tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        top, left = generator.integers(0, size[1] - 512), generator.integers(0, size[0] - 512)
        box = np.s_[top : top + 512, left : left + 512]
        return [np.ascontiguousarray(array[box]) for array in read()]

    def kept() -> tuple[np.ndarray, np.ndarray]:
        return cache.array(str(image)), cache.array(str(mask))

    def decoded() -> tuple[np.ndarray, np.ndarray]:
        return decode_image(image), decode_mask(mask)

    def check() -> str:
        assert all(map(np.array_equal, kept(), decoded()))
        return "the same pixels"

    return Part(
        f"A crop of 512 px of {size[0]} x {size[1]} px",
        {
            "cache='disk', which 'auto' may take": lambda: [cropped(kept) for _ in range(repeats)],
            "cache='none', JPEG": lambda: [cropped(decoded) for _ in range(repeats)],
        },
        check, repeats, 100,
    )  # fmt: skip


def transport(small: bool) -> Part:
    """What the main process does to get batches of 8 from a worker that has them ready."""
    from mmengine.dataset import pseudo_collate
    from mmengine.structures import PixelData

    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmseg.structures import SegDataSample
    from torch.utils.data import DataLoader

    from mmseg_heritage.datasets import stacked_collate

    number, batches = (2, 3) if small else (8, 20)
    samples = _Samples([])
    for i in range(number):
        label = PixelData(data=torch.randint(0, 16, (1, CROP, CROP)))
        meta = {"img_path": f"{i}.png", "ori_shape": (CROP, CROP), "img_shape": (CROP, CROP)}
        image = torch.randint(0, 256, (3, CROP, CROP), dtype=torch.uint8)
        found = SegDataSample(metainfo=meta, gt_sem_seg=label)
        samples.append({"inputs": image, "data_samples": found})
    order = list(range(number)) * batches
    loaders = {
        name: DataLoader(
            samples, number, sampler=order, num_workers=1, persistent_workers=True,
            collate_fn=collate,
        )
        for name, collate in (("stacked_collate", stacked_collate),
                              ("mmengine pseudo_collate", pseudo_collate))
    }  # fmt: skip

    def read(name: str) -> Any:
        *_, last = loaders[name]
        return last

    def check() -> str:
        ours, stock = (read(name) for name in loaders)
        assert all(map(torch.equal, ours["inputs"], stock["inputs"]))
        for one, other in zip(ours["data_samples"], stock["data_samples"], strict=True):
            assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        return "the same batches"

    return Part(
        f"A batch of {number} x {CROP} px from a worker, the main process's time per image",
        {name: lambda name=name: read(name) for name in loaders}, check, len(order), 4,
    )  # fmt: skip


class _Samples(list[Any]):
    """A data set, which workers get by being forked."""
