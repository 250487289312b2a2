"""A checkpoint that is made of another one: the same but for what is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.checkpoint_config import config_of_checkpoint
from mmseg_heritage.utils.checkpoints.checkpoint import (
    checkpoint_reading,
    load_checkpoint_file,
    meta_of,
)
from mmseg_heritage.utils.files import finished_files, refuse_file, remove_temporaries, replacing

_OF_TRAINING = ("optimizer", "param_schedulers")


def check_new_file(old: Path, files: Sequence[Path], overwrite: bool) -> None:
    """Refuses to write over a checkpoint that is read, and unasked over files that are there.

    Raises:
        InputError: With all files that are in the way.
    """
    if old.exists() and any(file.exists() and file.samefile(old) for file in files):
        raise InputError(f"{old}: the new checkpoint cannot take the place of this one")
    refuse_file(files[0].absolute().parent)
    remove_temporaries(files[0].parent)
    there = list(map(str, finished_files(files[0].parent, files)))
    if there and not overwrite:
        raise InputError(
            "files are already there; choose another --out, or replace them with --overwrite",
            there,
        )


def new_content(
    old: Path, trust_checkpoint: bool, change: Callable[[Config], None]
) -> dict[str, Any]:
    """Returns what a checkpoint holds, with another config and without the state of its training.

    Args:
        old: Checkpoint file.
        trust_checkpoint: Lets it run code.
        change: Changes its config.

    Raises:
        InputError: If the file is no checkpoint, or holds no config.
    """
    with checkpoint_reading(trust_checkpoint):
        content = dict(load_checkpoint_file(old))
    cfg = config_of_checkpoint(content, old)
    change(cfg)
    content["meta"] = {**meta_of(content, old), "cfg": cfg.pretty_text}
    for name in _OF_TRAINING:
        content.pop(name, None)
    return content


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint under a temporary name and renames it when it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:  # torch ends its zip file, and so hides what the system said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        stream.flush()
        os.fsync(stream.fileno())
