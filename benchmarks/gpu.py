"""Training and prediction on a GPU, beside mmsegmentation and segmentation_models.pytorch.

    python benchmarks/gpu.py [--out FOLDER] [--minutes 9] [--small] [--parts NAME ...]

Parts run one after the other and are written as they end; a second call goes on with those that are
missing. Data are generated. ``--small`` tries everything on a CPU in a minute. See README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from paired import machine
from torch import nn

REPOSITORY = Path(__file__).resolve().parents[1]
BACKBONES = {"mitb3": ("mit_b3", 32), "convnext-tiny": ("tu-convnext_tiny", 96),
             "maxvit-tiny": ("tu-maxvit_tiny_tf_384", 48)}  # fmt: skip
HEADS = {"segformer": "Segformer", "unet": "Unet", "upernet": "UPerNet"}
STOCK_HEADS = {"segformer": "SegformerHead"}  # mmsegmentation's own
SIZES = (384, 512)
CHECKS = ("float16", "bfloat16", "nccl", "resume")
SECONDS = 6  # of training that each candidate is timed for


class Place:
    """The device, and how it is waited for."""

    def __init__(self, is_small: bool) -> None:
        self.small = is_small
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def synchronize(self) -> None:
        """Waits for what was begun."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def peak(self) -> float:
        """Returns the peak of the device's memory in GB since it was last asked."""
        if self.device.type != "cuda":
            return 0.0
        found = torch.cuda.max_memory_allocated() / 1e9
        torch.cuda.reset_peak_memory_stats()
        return found

    def autocast(self) -> torch.autocast:
        """Returns bfloat16, as all candidates train."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=not self.small)


def rate(place: Place, step: Callable[[], int]) -> dict[str, float]:
    """Returns images a second over some seconds of steps, after some that do not count."""
    for _ in range(1 if place.small else 5):
        step()
    place.synchronize()
    place.peak()
    images, start, times = 0, time.perf_counter(), []
    while time.perf_counter() - start < (0.1 if place.small else SECONDS):
        began = time.perf_counter()
        images += step()
        place.synchronize()
        times.append(time.perf_counter() - began)
    return {
        "images_per_s": images / (time.perf_counter() - start),
        "median_step_s": statistics.median(times), "peak_gb": place.peak(),
    }  # fmt: skip


def training(place: Place, folder: Path, backbone: str, head: str, size: int) -> dict[str, Any]:
    """Ours, the backbone with all else of mmsegmentation, that of SMP, and the limit."""
    batch = 2 if place.small else BACKBONES[backbone][1]
    side = 64 if place.small else size
    cfg = _config(folder, backbone, head, batch, side, place)
    found: dict[str, Any] = {"batch": batch, "size": side}
    model = _model(cfg, place)
    found["ours"] = _trained(place, model, _loader(cfg, side, is_stock=False, place=place))
    inputs = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, device=place.device)
    labels = torch.randint(0, 16, (batch, 1, side, side), dtype=torch.uint8, device=place.device)
    found["limit"] = _trained(place, model, _ready(inputs, labels))
    del model
    cfg.model.decode_head.loss_decode = {"type": "CrossEntropyLoss"}
    cfg.model.decode_head.type = STOCK_HEADS.get(head, cfg.model.decode_head.type)
    cfg.model.data_preprocessor.type, cfg.model.acc_seg = "SegDataPreProcessor", True
    found["mmseg"] = _trained(
        place, _model(cfg, place), _loader(cfg, side, is_stock=True, place=place)
    )
    found["smp"] = _smp(place, backbone, head, inputs, labels)
    for name, part in list(found.items()):
        if isinstance(part, dict) and name != "ours":
            part["ours_to_it"] = found["ours"]["images_per_s"] / part["images_per_s"]
    return found


def _config(folder: Path, backbone: str, head: str, batch: int, side: int, place: Place) -> Any:
    """Returns a shipped config on the generated data, with random weights."""
    from mmseg_heritage.runs.config.config_files import load_config
    from mmseg_heritage.sample_set import make_sample_set

    root = folder / "sample"
    if not root.exists():
        make_sample_set(
            root, num_images=8 if place.small else 256, size=side if place.small else 640
        )
    options = {"data_root": str(root), "batch_size": batch, "crop_size": side, "pretrained": None,
               "cache": "ram", "num_workers": 0 if place.small else 12}  # fmt: skip
    cfg = load_config(REPOSITORY / "configs" / f"{head}_{backbone}_artefact.py", options)
    if not torch.distributed.is_initialized():  # SyncBN of one process is BN
        cfg.model.decode_head.norm_cfg = {"type": "BN"}
    if backbone == "maxvit-tiny":
        cfg.model.backbone.img_size = side
    return cfg


def _model(cfg: Any, place: Place) -> nn.Module:
    from mmseg.registry import MODELS

    return MODELS.build(cfg.model).to(place.device).train()


def _loader(cfg: Any, side: int, is_stock: bool, place: Place) -> Iterator[Mapping[str, Any]]:
    """Yields batches of the shipped pipeline, or of mmsegmentation's from its files."""
    from mmengine.runner import Runner

    loader = cfg.train_dataloader.copy()
    loader.dataset = {**loader.dataset, "split": "all"}
    loader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    loader.persistent_workers = loader.num_workers > 0
    if is_stock:
        loader.pop("collate_fn")
        loader.dataset.update(cache="none", pipeline=[
            {"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"},
            {"type": "RandomResize", "scale": (4 * side, side), "ratio_range": (0.8, 1.5),
             "keep_ratio": True},
            {"type": "RandomCrop", "crop_size": (side, side), "cat_max_ratio": 0.75},
            {"type": "RandomFlip", "prob": 0.5}, {"type": "PhotoMetricDistortion"},
            {"type": "Pad", "size": (side, side), "pad_val": {"img": 0, "seg": 255}},
            {"type": "PackSegInputs"}])  # fmt: skip
    else:
        loader.pin_memory = place.device.type == "cuda"
    return iter(Runner.build_dataloader(loader, seed=0))


def _ready(inputs: torch.Tensor, labels: torch.Tensor) -> Iterator[Mapping[str, Any]]:
    """Yields a batch that is on the device already, again and again."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    while True:
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
        yield {"inputs": inputs, "labels": labels, "data_samples": samples}


def _trained(
    place: Place, model: nn.Module, batches: Iterator[Mapping[str, Any]]
) -> dict[str, float]:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, fused=place.device.type == "cuda")

    def step() -> int:
        data = model.data_preprocessor(dict(next(batches)), True)
        with place.autocast():
            total, _ = model.parse_losses(model(**data, mode="loss"))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return len(data["inputs"])

    return rate(place, step)


def _smp(
    place: Place, backbone: str, head: str, inputs: torch.Tensor, labels: torch.Tensor
) -> dict[str, float]:
    """A plain loop over SMP's network of the same kind, on tensors that are on the device."""
    import segmentation_models_pytorch as smp

    options = {"img_size": inputs.shape[-1]} if backbone == "maxvit-tiny" else {}
    model = getattr(smp, HEADS[head])(
        BACKBONES[backbone][0], encoder_weights=None, classes=16, **options
    ).to(place.device)
    loss = smp.losses.DiceLoss("multiclass", ignore_index=255)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, fused=place.device.type == "cuda")

    def step() -> int:
        with place.autocast():
            total = loss(model(inputs.float() / 255), labels[:, 0].long())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return len(inputs)

    return rate(place, step)


def windows(place: Place, folder: Path) -> dict[str, Any]:
    """A photograph of 8000 px in windows, beside the sliding windows of mmsegmentation."""
    from parts.inference import picture, predicted, segmentors

    side = 700 if place.small else 8000
    image, found = picture(side).to(place.device), {}
    for name, model in segmentors().items():
        model.to(place.device)
        predicted(model, image[:, :600, :600])
        place.synchronize()
        place.peak()
        start = time.perf_counter()
        predicted(model, image)
        place.synchronize()
        found[name] = {"seconds": time.perf_counter() - start, "peak_gb": place.peak()}
    found["ratio"] = found["mmseg slide"]["seconds"] / found["ours"]["seconds"]
    return found


def check(place: Place, folder: Path, kind: str) -> dict[str, Any]:
    """Trains a small network by the command line, in a way that needs a GPU to be shown."""
    out = folder / kind
    shutil.rmtree(out, ignore_errors=True)  # of an earlier try
    options = ["crop_size=64", "batch_size=4", "max_epochs=2", "num_workers=0", "pretrained=none",
               f"data_root={folder / 'sample'}", "val_dataloader=None", "val_cfg=None",
               "val_evaluator=None", "default_hooks.checkpoint.save_best=None"]  # fmt: skip
    if kind in ("float16", "bfloat16"):
        options += [f"optim_wrapper.dtype={kind}"]
    if kind == "resume":
        options += ["randomness.deterministic=True"]
    if kind != "resume":
        launch = ["--nproc_per_node=1"] if kind == "nccl" else []
        _train(out, options, launch)
        return {"ended": True}
    _train(out / "whole", options)
    with _training(out / "parts", options) as process:  # killed after its first checkpoint
        while process.poll() is None and not (out / "parts" / "epoch_1.pth").is_file():
            time.sleep(0.01)
        process.kill()
    _train(out / "parts", options, resume=True)
    ends = [_digest(out / name / "epoch_2.pth") for name in ("whole", "parts")]
    return {"bit_equal": ends[0] == ends[1]}


def _train(out: Path, options: list[str], launch: Sequence[str] = (), resume: bool = False) -> None:
    with _training(out, options, launch, resume) as process:
        if process.wait():
            raise RuntimeError(f"the training in {out} ended with {process.returncode}")


def _training(
    out: Path, options: list[str], launch: Sequence[str] = (), resume: bool = False
) -> subprocess.Popen[bytes]:
    """Starts a training."""
    program = ["-m", "torch.distributed.run", *launch] if launch else []
    command = [sys.executable, *program, str(REPOSITORY / "tools" / "train.py"),
               "unet_timm_artefact", "--work-dir", str(out), "--skip-data-check",
               *(["--launcher", "pytorch"] if launch else []), *(["--resume"] if resume else []),
               "--cfg-options", *options]  # fmt: skip
    return subprocess.Popen(command, cwd=REPOSITORY)


def _digest(checkpoint: Path) -> str:
    """Returns a hash of the weights."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + np.ascontiguousarray(weights[name].numpy()).tobytes())
    return found.hexdigest()


def parts(place: Place, folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Returns what is measured, the most telling first."""
    found: dict[str, Callable[[], dict[str, Any]]] = {}
    for size in SIZES:
        for head in HEADS:
            for backbone in BACKBONES:
                found[f"train {head} {backbone} {size}"] = lambda b=backbone, h=head, s=size: (
                    training(place, folder, b, h, s)
                )
        if size == SIZES[0]:
            found["windows 8000"] = lambda: windows(place, folder)
            found |= {f"check {kind}": lambda kind=kind: check(place, folder, kind)
                      for kind in CHECKS if kind != "nccl" or not place.small}  # fmt: skip
    return found


def main() -> None:
    """Runs the parts that are missing, as long as there is time."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("work_dirs/gpu"))
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--small", action="store_true", help="tiny sizes: does everything run?")
    parser.add_argument("--parts", nargs="+", metavar="NAME")
    args = parser.parse_args()
    place = Place(args.small)
    if place.device.type != "cuda" and not args.small:
        parser.error("found no GPU; --small tries everything on a CPU")
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "gpu.json"
    results = json.loads(file.read_text()) if file.is_file() else {"machine": machine()}
    if place.device.type == "cuda":
        results["gpu"] = torch.cuda.get_device_name()
    for name, part in parts(place, args.out).items():
        if (args.parts and name not in args.parts) or "error" not in results.get(
            name, {"error": 0}
        ):
            continue
        if time.monotonic() - began > 60 * args.minutes:
            print(f"no time left for {name}; the same command goes on with it")
            break
        try:
            results[name] = part()
        except Exception as error:  # one part must not cost the others their time on the card
            results[name] = {"error": f"{type(error).__name__}: {error}"[:400]}
        finally:
            if place.device.type == "cuda":
                torch.cuda.empty_cache()
        file.write_text(json.dumps(results, indent=2) + "\n")
        print(name, json.dumps(results[name]), flush=True)
    print_table(results)


def print_table(results: Mapping[str, Any]) -> None:
    """Prints the trainings, one line each."""
    print(f"\n{'images/s':32}{'ours':>9}{'mmseg':>9}{'smp':>9}{'limit':>9}{'peak GB':>9}")
    for name, result in results.items():
        if name.startswith("train") and "ours" in result:
            rates = [result[key]["images_per_s"]
                     for key in ("ours", "mmseg", "smp", "limit")]  # fmt: skip
            print(f"{name:32}" + "".join(f"{value:9.1f}" for value in rates)
                  + f"{result['ours']['peak_gb']:9.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
