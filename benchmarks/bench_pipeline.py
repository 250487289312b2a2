"""Time of the training pipeline from a cache beside the same pipeline that decodes its files.

    python benchmarks/bench_pipeline.py [--small]

Three questions: how long the shipped training pipeline takes for one sample from 512 px PNG files
and from the caches; how long one 512 px crop of a photograph of 12 megapixels takes; how long it
takes to fill the cache in memory with one thread and with two. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = REPOSITORY / "configs" / "segformer_mitb3_artefact.py"
CROP = 512
Candidates = dict[str, Callable[[], object]]


def paired(
    candidates: Candidates, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Returns seconds of each candidate, one entry per round, after a round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for round_ in range(-1, rounds):
        # Each round begins with another candidate, so that none always runs after the same one.
        names = list(candidates)
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            start = clock()
            candidates[name]()
            if round_ >= 0:
                times[name].append(clock() - start)
    return times


def print_table(title: str, times: dict[str, list[float]], ours: str, count: int) -> None:
    """Prints milliseconds for each of ``count`` things, and how much longer than ours."""
    print(f"\n{title}\n{'':30}{'ms':>9}{'time / ours (min..max)':>30}")
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times[ours], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"{name:30}{1e3 * statistics.median(seconds) / count:9.2f}{spread:>30}")


def bench_pipeline(folder: Path, images: int, rounds: int) -> None:
    """The shipped training pipeline, from PNG files and from the caches."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    import mmseg_heritage.plugin  # noqa: F401
    from mmseg_heritage.runs.config.config_files import load_config
    from mmseg_heritage.sample_set import make_sample_set

    init_default_scope("mmseg")
    root = make_sample_set(folder / "sample", num_images=images, size=CROP)
    options = {"data_root": str(root), "cache_dir": str(folder / "cache")}
    datasets = {}
    for cache in ("ram", "disk", "none"):
        cfg = load_config(CONFIG, {**options, "cache": cache})
        datasets[cache] = DATASETS.build({**cfg.train_dataloader.dataset, "split": "all"})

    def epoch(cache: str) -> None:
        np.random.seed(0)  # all candidates cut the same crops
        for index in range(images):
            datasets[cache][index]

    labels = {"ram": "cache='ram'", "disk": "cache='disk'", "none": "512 px PNG files"}
    candidates: Candidates = {label: lambda c=c: epoch(c) for c, label in labels.items()}
    times = paired(candidates, rounds, time.process_time)
    size = cfg.crop_size
    print_table(f"Training pipeline, {size} px crops, a sample", times, labels["ram"], images)
    print_steps(datasets["ram"], images)


def print_steps(dataset: object, images: int) -> None:
    """Prints where the time of a sample from memory goes."""
    steps = dataset.pipeline.transforms
    spent = dict.fromkeys(range(len(steps)), 0.0)
    mapping = 0.0
    for index in range(images):
        start = time.process_time()
        results = dataset.get_data_info(index)
        results["cached_img"] = dataset._pixels.array(results["img_path"])
        results["cached_seg_map"] = dataset._pixels.array(results["seg_map_path"])
        mapping += time.process_time() - start
        for number, step in enumerate(steps):
            start = time.process_time()
            results = step(results)
            spent[number] += time.process_time() - start
    parts = [("mapping", mapping)]
    parts += [(type(step).__name__, spent[number]) for number, step in enumerate(steps)]
    print(
        "ms in each step, from memory:", ", ".join(f"{n} {1e3 * t / images:.2f}" for n, t in parts)
    )


def large_photograph(folder: Path, size: tuple[int, int]) -> dict[str, tuple[str, str]]:
    """Writes a noisy photograph as PNG and as JPEG, each with its mask; format -> its files."""
    rng = np.random.default_rng(0)
    width, height = size
    smooth = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), size, None, 0, 0, 2)
    image = np.clip(smooth + rng.normal(0, 3, (height, width, 1)), 0, 255).astype(np.uint8)
    blocks = rng.choice([*range(16), 255], (30, 40)).astype(np.uint8)
    mask = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
    files = {}
    for name, options in (("png", {}), ("jpg", {"quality": 92})):
        picture, annotation = folder / f"large.{name}", folder / f"mask_of_{name}.png"
        Image.fromarray(image).save(picture, **options)
        Image.fromarray(mask).save(annotation)
        files[name] = str(picture), str(annotation)
    return files


def bench_crop(folder: Path, size: tuple[int, int], rounds: int) -> None:
    """One crop of a large photograph, from its files and from the caches."""
    from mmseg_heritage.datasets.caches.disk_cache import fill_disk
    from mmseg_heritage.datasets.caches.pixel_cache import (
        decode_image,
        decode_mask,
        fill_memory,
        plan_cache,
    )

    files = large_photograph(folder, size)
    items = plan_cache([files["png"]])
    caches = {"cache='disk'": fill_disk(items, folder / "cache"), "cache='ram'": fill_memory(items)}
    generator = random.Random(0)

    def crop(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        top, left = generator.randrange(size[1] - CROP), generator.randrange(size[0] - CROP)
        box = np.s_[top : top + CROP, left : left + CROP]
        return np.ascontiguousarray(image[box]), np.ascontiguousarray(mask[box])

    def decoded(kind: str) -> None:
        image, mask = files[kind]
        crop(decode_image(image), decode_mask(mask))

    def mapped(name: str) -> None:
        image, mask = files["png"]
        for _ in range(repeats):  # so that the clock can tell
            crop(caches[name].array(image), caches[name].array(mask))

    repeats = 50
    candidates: Candidates = {name: lambda n=name: mapped(n) for name in caches}
    candidates |= {f"{kind} file": lambda k=kind: decoded(k) for kind in files}
    times = paired(candidates, rounds, time.process_time)
    for name in caches:
        times[name] = [seconds / repeats for seconds in times[name]]
    megapixels = size[0] * size[1] / 1e6
    print_table(f"One {CROP} px crop of {megapixels:g} megapixels", times, "cache='disk'", 1)


def bench_fill(folder: Path, rounds: int) -> None:
    """Filling the cache in memory from the sample set, by the clock on the wall."""
    from mmseg_heritage.dataprep.layout import read_folder
    from mmseg_heritage.datasets.caches import pixel_cache as cache

    samples = read_folder(folder / "sample")
    items = cache.plan_cache([(str(s.image), str(s.annotation)) for s in samples])

    def fill(threads: int) -> None:
        with mock.patch.object(cache, "_THREADS", threads):
            cache.fill_memory(items)

    candidates: Candidates = {"2 threads": lambda: fill(2), "1 thread": lambda: fill(1)}
    times = paired(candidates, rounds, time.perf_counter)
    print_table("Filling, a photograph of 512 px with its mask", times, "2 threads", len(samples))


def main() -> None:
    """Parses the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="few files and rounds; seconds")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    import torch

    if sys.platform != "linux":
        parser.error("the cache in memory needs Linux")
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    images, size = (8, (1200, 1000)) if options.small else (48, (4000, 3000))
    rounds = options.rounds or (3 if options.small else 15)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench_pipeline(folder, images, rounds)
        bench_crop(folder, size, rounds)
        bench_fill(folder, rounds)


if __name__ == "__main__":
    main()
