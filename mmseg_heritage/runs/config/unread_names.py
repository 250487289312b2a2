"""Names in config files that change nothing, found before somebody waits for their effect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

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


def unread_names(path: Path) -> list[str]:
    """Lists what the files of a config set and nobody reads.

    mmengine evaluates a base file before the files that inherit from it, so that a name which a
    base has used (``crop_size = 96``) means nothing any more in a child. Listed are the variables
    of ``--cfg-options``, which are no fields, names that look like a misspelled field, and a
    ``test_pipeline`` that no data set takes; each unless the file, or one that inherits from it,
    reads the name. Any other name is the author's own affair. A field that one file sets twice
    loses its first value, as any name in Python, and is listed too.

    Args:
        path: A config file that mmengine can read.

    Returns:
        One line for each such name: its file and line, and what to write instead.
    """
    problems: list[str] = []
    for file, text, inheriting in _chain(path, ""):
        problems += _unread(file, text, inheriting)
    return list(dict.fromkeys(problems))


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
    reads = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    read = {n.id for n in reads}
    last: dict[str, int] = {}  # where each name was set
    for statement, name in _assigned(tree):
        start, end = last.get(name), statement.end_lineno or statement.lineno
        last[name] = end
        used = any(n.id == name and start and start < n.lineno <= end for n in reads)
        if name in FIELDS and start and not used:
            yield (
                f"{file}, line {statement.lineno}: {name} is set a second time, which loses what "
                f"line {start} gave it; set it once, or change it: {name}.update(...)"
            )
        if name in read or name.startswith("_") or _is_inherited(name, inheriting):
            continue
        where = f"{file}, line {statement.lineno}: {name}"
        if name in VARIABLES:
            yield f"{where} is for --cfg-options and no field; write {VARIABLES[name].instead}"
        elif name == "test_pipeline" and inheriting == "" and "_base_" in text:
            yield (
                f"{where} changes nothing by itself; give it to the data set too: "
                "test_dataloader = dict(dataset=...)"
            )
        elif name not in FIELDS and (hint := did_you_mean(name, FIELDS, cutoff=0.85)):
            yield f"{where} is no field{hint}"


def _assigned(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yields the names that the statements of a file set, in order."""
    for statement in tree.body:
        for target in statement.targets if isinstance(statement, ast.Assign) else []:
            for node in ast.walk(target):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield statement, node.id


def _is_inherited(name: str, text: str) -> bool:
    """Whether a file that inherits from another one reads a name of it, in any way mmengine has."""
    return bool(re.search(rf"_base_(\.|\[['\"]|\.(pop|get)\(['\"]){name}\b", text))
