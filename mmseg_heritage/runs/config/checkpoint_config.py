"""The config inside a checkpoint, read without running it.

mmengine writes the config of a run into its checkpoints as Python text, and executes that text to
read it again. Here it is parsed (:mod:`mmseg_heritage.utils.config_text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.config import RESERVED_KEYS

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.config_text import NotPlainError, parse_config


def config_of_checkpoint(checkpoint: Any, path: str | Path) -> Config:
    """Returns the config of the run that wrote a checkpoint.

    Args:
        checkpoint: From :func:`mmseg_heritage.utils.checkpoints.checkpoint.load_checkpoint_file`.
        path: Where it was read from, for messages.

    Raises:
        InputError: If the checkpoint holds no config, or one that is more than plain values.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    text = meta.get("cfg") if isinstance(meta, Mapping) else None
    if text is None:
        raise InputError(
            f"{path}: this checkpoint holds no config; give the one it was trained with: "
            "--config CONFIG"
        )
    try:
        if not isinstance(text, str):
            raise NotPlainError(f"expected text, found {type(text).__name__}")
        values = parse_config(text)
        if reserved := values.keys() & set(RESERVED_KEYS):
            raise NotPlainError(f"'{min(reserved)}' is reserved by mmengine")
        return Config(values)
    except NotPlainError as error:
        raise InputError(
            f"{path}: the config in this checkpoint cannot be read ({error}); give the one it was "
            "trained with: --config CONFIG"
        ) from error
