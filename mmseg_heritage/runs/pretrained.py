"""Weights to start from: a local file, a download that was asked for, or none."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter
from mmseg_heritage.utils.checkpoints.checkpoint import (
    cache_folder,
    load_checkpoint_file,
    weights_of,
)
from mmseg_heritage.utils.files import replacing, sha256
from mmseg_heritage.utils.progress import progress_bar

AUTO = "auto"
TIMM = "TimmBackboneAdapter"
_PREFIX = "backbone."
# Parts of the names that position tables have in mmsegmentation and mmpretrain.
_POSITION_TABLES = ("pos_embed", "relative_position", "relative_coords", "rel_pos")
_TIMEOUT = 30  # seconds without an answer

# Backbone -> file name, whose last part is the start of its SHA-256, and its address.
_FILES = {
    name: (f"{name}_20220624-{digest}.pth", "https://download.openmmlab.com/mmsegmentation/v0.5/"
           f"pretrain/segformer/{name}_20220624-{digest}.pth")
    for name, digest in (
        ("mit_b0", "7e0fe6dd"), ("mit_b1", "02e5a6a1"), ("mit_b2", "66e8bf70"),
        ("mit_b3", "13b1141c"), ("mit_b4", "d588d980"), ("mit_b5", "658746d9"),
    )
}  # fmt: skip


# MixVisionTransformer's widths and depths -> name.
_MIT = {
    (32, (2, 2, 2, 2)): "mit_b0", (64, (2, 2, 2, 2)): "mit_b1", (64, (3, 4, 6, 3)): "mit_b2",
    (64, (3, 4, 18, 3)): "mit_b3", (64, (3, 8, 27, 3)): "mit_b4", (64, (3, 6, 40, 3)): "mit_b5",
}  # fmt: skip


def set_pretrained(cfg: Config, wanted: str | None) -> None:
    """Writes the variable ``pretrained`` into the fields of the backbone.

    A :class:`TimmBackboneAdapter` reads files and timm's hub by itself; other backbones get an
    ``init_cfg``, as mmsegmentation's configs have it.

    Args:
        cfg: Config, changed in place.
        wanted: A file, 'auto' or None.

    Raises:
        InputError: If the file is damaged, or no weights are known for 'auto'. An absent one is
            that of :func:`require_pretrained_file`: a run that goes on does without.
    """
    backbone = cfg.model.backbone
    is_timm = backbone.get("type") == TIMM
    if wanted is None:
        backbone.update(
            {"pretrained": False, "checkpoint_path": None} if is_timm else {"init_cfg": None}
        )
    elif not isinstance(wanted, str):
        raise InputError(f"pretrained must be a path, 'auto' or None, found {wanted!r}")
    elif wanted == AUTO:
        backbone.update(
            {"pretrained": True} if is_timm else {"init_cfg": _known(mit_name(backbone))}
        )
    else:
        path = Path(wanted).expanduser().resolve()
        backbone.update(
            {"checkpoint_path": str(path)} if is_timm else {"init_cfg": _init_cfg(path)}
        )


def mit_name(backbone: Any) -> str | None:
    """Returns which of SegFormer's encoders a backbone's config describes: 'mit_b0' .. 'mit_b5'."""
    if backbone.get("type") != "MixVisionTransformer":
        return None
    return _MIT.get((backbone.get("embed_dims"), tuple(backbone.get("num_layers", ()))))


def _known(name: str | None) -> ConfigDict:
    """Returns the ``init_cfg`` of weights that can be downloaded."""
    if name not in _FILES:
        raise InputError(
            f"pretrained=auto: no weights are known for '{name or 'this backbone'}'. "
            f"{_advice(name)}"
        )
    return ConfigDict(type="Pretrained", checkpoint=_FILES[name][1])


def _init_cfg(path: Path) -> ConfigDict:
    """Returns the ``init_cfg`` of a file, of a backbone or of a whole segmentation model."""
    init_cfg = ConfigDict(type="Pretrained", checkpoint=str(path))
    if not path.is_file():
        return init_cfg
    weights = weights_of(load_checkpoint_file(path), path)
    if any(name.startswith(_PREFIX) for name in weights):
        init_cfg.prefix = _PREFIX
    return init_cfg


def _initial_file(backbone: Mapping[str, Any]) -> str | None:
    """Returns the file or address in the ``init_cfg`` of a backbone's config."""
    init_cfg = backbone.get("init_cfg")
    return init_cfg.get("checkpoint") if isinstance(init_cfg, dict) else None


def require_pretrained_file(cfg: Config) -> None:
    """Verifies that a local file of weights that the backbone begins with is there.

    Args:
        cfg: The config of a run that begins.

    Raises:
        InputError: If not, with what to do.
    """
    backbone = cfg.model.backbone
    path = _initial_file(backbone) or backbone.get("checkpoint_path")
    if path and "://" not in str(path) and not Path(path).expanduser().is_file():
        raise InputError(
            f"{path}: no such file of pretrained weights. {_advice(mit_name(backbone))}"
        )


def fetch_pretrained(cfg: Config) -> None:
    """Downloads weights that a config names into torch's cache, verified, before the Runner does.

    Warns where a training starts from random weights.

    Args:
        cfg: The run's config.

    Raises:
        InputError: If the file cannot be downloaded, with what to do.
    """
    backbone = cfg.model.backbone
    sources = ("init_cfg", "pretrained", "checkpoint_path")
    if not cfg.get("load_from") and not any(backbone.get(source) for source in sources):
        MMLogger.get_current_instance().warning(
            "training starts from random weights; --cfg-options pretrained=auto downloads "
            "ImageNet weights, pretrained=FILE takes a local file"
        )
    checkpoint = _initial_file(backbone)
    for name, (_, url) in _FILES.items():
        if checkpoint == url:
            _download(name)


def record_license(cfg: Config) -> None:
    """Writes the license of timm's weights into a config, and so into its checkpoints.

    Licenses such as that of DINOv3 hold for every model that begins with the weights. A license
    that the config states already (``pretrained_license``) stays. Of a file it is known where
    ``model_name`` has timm's tag of the weights.

    Args:
        cfg: The run's config, changed in place.
    """
    backbone = cfg.model.backbone
    file = backbone.get("checkpoint_path")
    is_used = backbone.get("type") == TIMM and (file or backbone.get("pretrained"))
    if not is_used or cfg.get("pretrained_license"):
        return
    name = backbone.model_name
    known = timm.get_pretrained_cfg(name) if "." in name or not file else None
    cfg.pretrained_license = getattr(known, "license", None) or "not known"


def check_pretrained(cfg: Config, backbone: torch.nn.Module) -> None:
    """Verifies that a local file of pretrained weights is of the backbone's architecture.

    Stock loading only logs what does not fit and trains on from random weights. Only position
    tables may have another shape: backbones fit them to the size of the input.

    Args:
        cfg: The run's config, after :func:`fetch_pretrained`.
        backbone: The built backbone. A :class:`TimmBackboneAdapter` loads what its arguments name.

    Raises:
        InputError: If fewer than half of the backbone's weights are in the file, or one of another
            shape, or weights that are to be downloaded cannot be had.
    """
    if isinstance(backbone, TimmBackboneAdapter):
        backbone.init_weights()
        return
    path = _initial_file(cfg.model.backbone)
    if not path:
        return
    fetched = {url: str(cache_folder() / file_name) for file_name, url in _FILES.values()}
    path = str(fetched.get(path, path))
    if "://" in str(path):
        return
    prefix = cfg.model.backbone.init_cfg.get("prefix") or ""
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    found = weights_of(load_checkpoint_file(path), path)
    expected = backbone.state_dict()
    shapes = {
        name: (tuple(found[prefix + name].shape), tuple(value.shape))
        for name, value in expected.items()
        if prefix + name in found
    }
    others = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    fitting = len(shapes) - len(others)
    if 2 * fitting < len(expected):
        raise InputError(
            f"{path}: expected pretrained weights of {type(backbone).__name__} as the config "
            f"describes it, but only {fitting} of its {len(expected)} tensors are in the file. "
            f"{_advice(mit_name(cfg.model.backbone))}"
        )
    problems = [
        f"{name}: {theirs} in the file, {ours} in the model"
        for name, (theirs, ours) in others.items()
        if not any(part in name for part in _POSITION_TABLES)
    ]
    if problems:
        raise InputError(
            f"{path}: expected pretrained weights of {type(backbone).__name__} as the config "
            "describes it, but these have other shapes and would stay random. Set the backbone's "
            "in_channels and widths to those of the file. "
            f"{_advice(mit_name(cfg.model.backbone))}",
            problems,
        )


def leave_out_initialization(model: torch.nn.Module) -> None:
    """Lets the Runner initialize nothing: a run that goes on has all weights in its checkpoint.

    The files of its beginning may be gone.

    Args:
        model: As the Runner has it, before it loads weights.
    """
    segmentor = model.module if is_model_wrapper(model) else model
    segmentor.init_weights = lambda: None


def _advice(name: str | None) -> str:
    """Says which file is wanted, from where, and how to go on without it."""
    without = "To train without: --cfg-options pretrained=None"
    if name not in _FILES:
        return f"This config names no file for pretrained=auto. {without}"
    file_name, url = _FILES[name]
    return (
        f"Fetch {file_name} from {url} on a machine with a network and give its path: "
        f"--cfg-options pretrained=PATH/{file_name}. {without}"
    )


def _download(name: str) -> Path:
    """Returns the cached file, fetching it first where it is absent or damaged."""
    file_name, url = _FILES[name]
    path = cache_folder() / file_name
    digest = path.stem.rsplit("-", 1)[1]
    if path.is_file() and sha256(path).startswith(digest):
        return path
    try:
        with replacing(path) as temporary:
            _fetch(url, temporary)
            if not sha256(temporary).startswith(digest):
                raise InputError(f"{url}: the download is damaged. {_advice(name)}")
    except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
        raise InputError(f"{file_name} cannot be downloaded ({error}). {_advice(name)}") from error
    return path


def _fetch(url: str, path: Path) -> None:
    """Downloads a file with a progress bar in bytes."""
    with (
        urllib.request.urlopen(url, timeout=_TIMEOUT) as answer,
        path.open("wb") as file,
        progress_bar(f"downloading {url.rsplit('/', 1)[-1]}") as report,
    ):
        total = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while block := answer.read(1 << 20):
            file.write(block)
            done += len(block)
            report(done, max(total, done))
