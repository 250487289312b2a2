"""Names in config files that change nothing, found before somebody waits for their effect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.variables import VARIABLES
from mmseg_heritage.utils.text import did_you_mean

FIELDS = frozenset({
    "model", "work_dir", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg",
    "val_cfg", "test_cfg", "auto_scale_lr", "optim_wrapper", "param_scheduler", "val_evaluator",
    "test_evaluator", "default_hooks", "custom_hooks", "data_preprocessor", "load_from", "resume",
    "launcher", "env_cfg", "log_processor", "log_level", "visualizer", "default_scope",
    "randomness", "experiment_name", "custom_imports", "find_unused_parameters", "sync_bn",
    "model_wrapper_cfg", "compile", "efficient_conv_bn_eval", "tta_model", "test_pipeline",
    "tta_pipeline", "class_weights_file",
})  # fmt: skip
"""Top-level names that mmengine's Runner, mmseg's tools or this package read."""


def check_names(path: Path) -> None:
    """Refuses a config whose files set names that nobody reads.

    mmengine evaluates a base file before the files that inherit from it, so that a name which a
    base has used (``crop_size = 96``) means nothing any more in a child. Refused are the variables
    of ``--cfg-options``, which are no fields, names that look like a misspelled field, and a
    ``test_pipeline`` that no data set takes; each unless the file, or one that inherits from it,
    reads the name. Any other name is the author's own affair.

    Args:
        path: A config file that mmengine can read.

    Raises:
        InputError: With every such name, its file and line, and what to write instead.
    """
    problems: list[str] = []
    for file, text, inheriting in _chain(path, ""):
        problems += _unread(file, text, inheriting)
    if problems:
        raise InputError(
            f"{path}: names in the config that change nothing. A config sets the fields that "
            "mmengine reads; short variables are for --cfg-options",
            dict.fromkeys(problems),
        )


def _chain(path: Path, inheriting: str) -> Iterator[tuple[Path, str, str]]:
    """Yields a config file and its base files: path, text, and the text that inherits from it."""
    if path.suffix != ".py":
        return
    text = path.read_text(encoding="utf-8-sig")
    yield path, text, inheriting
    for base in Config._get_base_files(str(path)):
        if "::" not in base:  # of another package: not this user's file
            yield from _chain(path.parent / base, inheriting + text)


def _unread(file: Path, text: str, inheriting: str) -> Iterator[str]:
    """Yields a message for each name that a file sets and nobody reads."""
    tree = ast.parse(text)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for name in (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)):
            if name in read or name.startswith("_") or _is_inherited(name, inheriting):
                continue
            where = f"{file}, line {statement.lineno}: {name}"
            if name in VARIABLES:
                yield f"{where}; write {VARIABLES[name].instead}"
            elif name == "test_pipeline" and inheriting == "" and "_base_" in text:
                yield f"{where}; give it to the data set too: test_dataloader = dict(dataset=...)"
            elif name not in FIELDS and (hint := did_you_mean(name, FIELDS, cutoff=0.85)):
                yield f"{where}{hint}"


def _is_inherited(name: str, text: str) -> bool:
    """Whether a file that inherits from another one reads a name of it, in any way mmengine has."""
    return bool(re.search(rf"_base_(\.|\[['\"]|\.(pop|get)\(['\"]){name}\b", text))
