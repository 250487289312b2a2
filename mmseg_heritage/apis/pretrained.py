"""Weights to start from: a local file, a download that was asked for, or none."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger

from mmseg_heritage.errors import InputError
from mmseg_heritage.files import replacing

AUTO = "auto"

# Backbone -> file name, whose last part is the start of its SHA-256, and where OpenMMLab keeps it.
_FILES = {
    name: (f"{name}_20220624-{digest}.pth", "https://download.openmmlab.com/mmsegmentation/v0.5/"
           f"pretrain/segformer/{name}_20220624-{digest}.pth")
    for name, digest in (
        ("mit_b0", "7e0fe6dd"), ("mit_b1", "02e5a6a1"), ("mit_b2", "66e8bf70"),
        ("mit_b3", "13b1141c"), ("mit_b4", "d588d980"), ("mit_b5", "658746d9"),
    )
}  # fmt: skip


def resolve_pretrained(cfg: Config) -> None:
    """Turns the config's ``pretrained`` variable into the backbone's ``init_cfg``.

    Args:
        cfg: Config with ``pretrained`` (path, 'auto' or None) and, for 'auto', ``pretrained_name``;
            changed in place.

    Raises:
        InputError: If the file is absent, or cannot be downloaded, with what to do.
    """
    wanted = cfg.get("pretrained")
    if wanted is None:
        if not cfg.get("load_from") and "init_cfg" not in cfg.model.backbone:
            MMLogger.get_current_instance().warning(
                "training starts from random weights; --cfg-options pretrained=auto downloads "
                "ImageNet weights, pretrained=FILE takes a local file"
            )
        return
    path = _download(cfg.get("pretrained_name")) if wanted == AUTO else Path(wanted).expanduser()
    if not path.is_file():
        raise InputError(
            f"{path}: no such file of pretrained weights. {_advice(cfg.get('pretrained_name'))}"
        )
    cfg.model.backbone.init_cfg = ConfigDict(type="Pretrained", checkpoint=str(path))


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


def cache_folder() -> Path:
    """Returns where downloads are kept: torch's hub folder, ``$TORCH_HOME/hub/checkpoints``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


def _download(name: str | None) -> Path:
    """Returns the cached file, fetching it first where it is absent or damaged."""
    if name not in _FILES:
        raise InputError(f"pretrained=auto: no weights are known for '{name}'. {_advice(name)}")
    file_name, url = _FILES[name]
    path = cache_folder() / file_name
    digest = path.stem.rsplit("-", 1)[1]
    if path.is_file() and _sha256(path).startswith(digest):
        return path
    try:
        with replacing(path) as temporary:
            urllib.request.urlretrieve(url, temporary)
            if not _sha256(temporary).startswith(digest):
                raise InputError(f"{url}: the download is damaged. {_advice(name)}")
    except (urllib.error.URLError, OSError) as error:
        raise InputError(f"{file_name} cannot be downloaded ({error}). {_advice(name)}") from error
    return path


def _sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
