"""Loading a config: mmengine's own reading, then the options of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.class_weights import weights_as_numbers
from mmseg_heritage.runs.config.contradictions import check_forms, contradictions
from mmseg_heritage.runs.config.unread_names import unread_names
from mmseg_heritage.runs.config.variables import (
    VARIABLES,
    missing_place,
    names_of,
    set_variable,
    value_problems,
)
from mmseg_heritage.utils.text import did_you_mean

# Fields that a config need not have, for an option to add them.
_BYTE_ORDER_MARK = (
    "it begins with a byte order mark, which Python does not take: save it as UTF-8 without one"
)
_ADDED_FIELDS = ("work_dir", "custom_hooks", "model_wrapper_cfg", "auto_scale_lr", "compile",
                 "find_unused_parameters", "experiment_name")  # fmt: skip


def config_folder() -> Path:
    """Returns the shipped configs: those of the checkout, or those inside the installed package.

    Raises:
        InputError: If neither is there.
    """
    package = Path(str(resources.files("mmseg_heritage")))
    for folder in (package.parent / "configs", package / ".mim" / "configs"):
        if any(folder.glob("*_artefact.py")):
            return folder
    raise InputError(
        f"the shipped configs are not beside the package in {package}; "
        "install it with: pip install ."
    )


def find_config(path: str | Path) -> Path:
    """Returns a config file: the one at the path or, for a bare name, the shipped one of that name.

    An installed package has no configs/ that a path could lead to.

    Raises:
        InputError: If there is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    stem = path.name.removesuffix(".py")
    if path.parent == Path():
        folder = config_folder()
        shipped = folder / f"{stem}.py"
        if shipped.is_file():
            return shipped
        hint = did_you_mean(stem, (config.stem for config in folder.glob("*.py")))
    else:
        hint = did_you_mean(f"{stem}.py", (config.name for config in path.parent.glob("*.py")))
    raise InputError(f"{path}: no such config file{hint}")


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Loads a config file and applies ``--cfg-options``.

    Without options the result is that of ``mmengine.Config.fromfile``, but for files of class
    weights, which become numbers.

    Args:
        path: Config file, or the name of a shipped one.
        options: Dotted key -> value. A key is a variable of
            :data:`mmseg_heritage.runs.config.variables.VARIABLES` or the full name of a field; full
            names are set last.

    Raises:
        InputError: If the file is missing or cannot be evaluated, if a name in it changes nothing,
            if an option names a field that does not exist, or with all values that cannot be used
            or contradict each other.
    """
    path = find_config(path)
    try:
        cfg = Config.fromfile(path)
    except (InputError, ImportError):
        raise
    except SystemExit as error:
        raise InputError(f"{path}: the config ends the program (sys.exit)") from error
    except Exception as error:  # a config is a program: it can fail in any way
        reason = _BYTE_ORDER_MARK if "U+FEFF" in str(error) else str(error)
        raise InputError(f"{path}: the config cannot be read ({reason})") from error
    return with_options(cfg, options or {}, str(path), unread_names(path))


def with_options(
    cfg: Config, options: Mapping[str, Any], origin: str, problems: Sequence[str] = ()
) -> Config:
    """Applies ``--cfg-options`` to a config, and verifies that its values go together.

    Args:
        cfg: The config, changed in place.
        options: See :func:`load_config`.
        origin: What the config was read from, for messages.
        problems: What is already known to be wrong, to be told together with the rest.

    Returns:
        ``cfg``.

    Raises:
        InputError: See :func:`load_config`.
    """
    check_forms(cfg, origin)
    _check_names_of_options(cfg, options, origin)
    wrong = value_problems(options)
    if wrong:
        raise InputError(f"{origin}: these values cannot be used", wrong)
    short = {key: value for key, value in options.items() if key.split(".")[0] in VARIABLES}
    if missing := [p for key in short if (p := missing_place(cfg, key.split(".")[0]))]:
        raise InputError(
            f"{origin}: variables of --cfg-options reach only what the config has; set the fields "
            "of other parts by their full names",
            missing,
        )
    for key, value in short.items():
        set_variable(cfg, key, value)
    cfg.merge_from_dict({key: value for key, value in options.items() if key not in short})
    check_forms(cfg, origin)
    weights_as_numbers(cfg)
    if found := [*problems, *contradictions(cfg)]:
        raise InputError(f"{origin}: the config has no effect or no meaning in these places", found)
    return cfg


def _check_names_of_options(cfg: Config, options: Mapping[str, Any], origin: str) -> None:
    """Refuses options that name nothing.

    Raises:
        InputError: With every such option.
    """
    known = {*VARIABLES, *cfg}
    problems = [
        f"{key}: no such variable or field" + did_you_mean(key, known)
        for key in options
        if key.split(".")[0] not in VARIABLES and not _exists(cfg, key)
    ]
    if problems:
        raise InputError(
            f"{origin}: --cfg-options cannot be applied. Variables of this config: "
            f"{', '.join(names_of(cfg))}",
            problems,
        )


def _exists(cfg: Config, key: str) -> bool:
    """Whether the parent of a dotted field exists; new leaves such as 'load_from' are allowed."""
    *parents, last = key.split(".")
    node: Any = cfg
    try:
        for name in parents:
            node = node[int(name)] if isinstance(node, (list, tuple)) else node[name]
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    if isinstance(node, (list, tuple)):
        return last.isdigit() and int(last) < len(node)
    if node is cfg:
        return last in cfg or last in _ADDED_FIELDS
    return isinstance(node, Mapping)
