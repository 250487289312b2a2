"""Loading checkpoints without running code from them, and verifying what they hold."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as mmengine_checkpoint
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import KINDS
from mmseg_heritage.utils.checkpoints.safe_builders import Refused
from mmseg_heritage.utils.checkpoints.torch_files import MapLocation, read_torch_file
from mmseg_heritage.utils.files import replacing

_TRUST_VARIABLE = "MMSEG_HERITAGE_TRUST_CHECKPOINTS"
"""Environment variable, so that a choice made on the command line reaches other processes too."""


_MAX_STEPS = 10**8
_ELSEWHERE = "as mmengine writes it; use the checkpoint that the training wrote"


class DamagedCheckpoint(InputError):
    """A checkpoint is cut short or otherwise no whole file."""


def missing_checkpoint(path: str | Path) -> InputError:
    """Returns the error for a checkpoint that is no file, naming those that lie there."""
    file = Path(path).expanduser()
    is_folder = os.path.isdir(file)  # noqa: PTH112  Path.is_dir raises for names too long
    folder = file if is_folder else file.parent
    names = ", ".join(sorted(other.name for other in folder.glob("[!.]*.pth"))[:10])
    what = "a folder; expected a checkpoint file" if is_folder else "no such checkpoint"
    return InputError(f"{path}: {what}" + (f". In {folder}: {names}" if names else ""))


def load_checkpoint_file(path: str | Path, map_location: MapLocation | None = "cpu") -> Any:
    """Loads a checkpoint from a local file.

    Args:
        path: File made by ``torch.save``.
        map_location: As in :func:`torch.load`; None means the CPU.

    Returns:
        What was saved, usually a dict with 'state_dict' and 'meta'. A 'config' in 'meta', which
        mmengine would execute as Python when it resumes, is left out.

    Raises:
        DamagedCheckpoint: If the file is not whole.
        InputError: If the file is missing, or names code that no checkpoint needs.
    """
    file = Path(path).expanduser()
    if not os.path.isfile(file):  # noqa: PTH113  Path.is_file raises for names too long
        raise missing_checkpoint(path)
    device = "cpu" if map_location is None else map_location
    trusted = os.environ.get(_TRUST_VARIABLE) == "1"
    try:
        if trusted:
            return torch.load(file, map_location=device, weights_only=False)
        checkpoint = read_torch_file(file, device)
    except Refused as error:
        raise InputError(
            f"{path}: refused, because this checkpoint asks for '{_printable(error)}', which no "
            "weights need. If you made the file yourself or trust who did, add --trust-checkpoint"
        ) from error
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # damaged bytes read as instructions can fail in any way
        reason = _printable(error).split(". ")[0] or type(error).__name__
        raise DamagedCheckpoint(
            f"{path}: not a whole checkpoint file: {reason}. Copy or fetch it again"
        ) from error
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict):
        checkpoint["meta"].pop("config", None)
    return checkpoint


def _printable(error: Exception) -> str:
    """Returns the first line of a message, which may quote the file, as text for a terminal."""
    line = next(iter(str(error).splitlines()), "")[:200]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Loads local files in :func:`checkpoint_reading`; mmengine's log line shows the name."""
    return load_checkpoint_file(filename, map_location)


def load_from_elsewhere(filename: str, map_location: Any = None) -> Any:
    """Refuses mmengine's storage services in :func:`checkpoint_reading`."""
    raise InputError(f"{filename}: fetch this checkpoint first and give the path of the local file")


def cache_folder() -> Path:
    """Returns where downloads are kept: torch's hub folder, ``$TORCH_HOME/hub/checkpoints``."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _load_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    **_: Any,
) -> Any:
    """Loads addresses in :func:`checkpoint_reading`: torch's cache of downloads, safe loading."""
    folder = Path(model_dir) if model_dir else cache_folder()
    path = folder / url.rsplit("/", 1)[-1].split("?", 1)[0]
    if not path.is_file():
        try:
            with replacing(path) as temporary:
                torch.hub.download_url_to_file(url, str(temporary), progress=progress)
        except OSError as error:  # includes urllib's errors
            raise InputError(f"{url}: cannot be downloaded ({error})") from error
    return load_checkpoint_file(path, map_location)


@contextlib.contextmanager
def checkpoint_reading(trust: bool = False) -> Iterator[None]:
    """Makes every load of a checkpoint through mmengine safe inside the block.

    Local files and downloads go through :func:`load_checkpoint_file`, and mmengine's storage
    services are refused. At its end everything is as before.

    Args:
        trust: Whether checkpoints may run code inside the block, and in processes started in it. A
            block inside one that trusts trusts too.
    """
    schemes, load_url = CheckpointLoader._schemes, mmengine_checkpoint.load_url
    before = os.environ.get(_TRUST_VARIABLE)
    CheckpointLoader._schemes = OrderedDict(schemes)
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_local, force=True)
    services = ["pavi://", r"(\S+\:)?s3://", r"(\S+\:)?petrel://"]
    CheckpointLoader.register_scheme(prefixes=services, loader=load_from_elsewhere, force=True)
    # http, torchvision and openmmlab addresses all end in this one function.
    mmengine_checkpoint.load_url = _load_url
    if trust:
        os.environ[_TRUST_VARIABLE] = "1"
    try:
        yield
    finally:
        CheckpointLoader._schemes, mmengine_checkpoint.load_url = schemes, load_url
        os.environ.pop(_TRUST_VARIABLE, None)
        if before is not None:
            os.environ[_TRUST_VARIABLE] = before


def weights_of(checkpoint: Any, path: str | Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of a checkpoint by name, without a wrapper's 'module.' before them.

    Raises:
        InputError: If there are none.
    """
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise InputError(f"{path}: expected a checkpoint with a 'state_dict' of tensors")
    return {key.removeprefix("module."): value for key, value in state.items()}


def check_fits(model: torch.nn.Module, path: str | Path) -> Any:
    """Verifies that a checkpoint holds exactly the weights of a model.

    Stock loading only logs what does not fit and goes on with random weights.

    Args:
        model: The built model.
        path: Checkpoint file.

    Returns:
        The loaded checkpoint.

    Raises:
        InputError: With every weight that is missing, unexpected or of another shape.
    """
    checkpoint = load_checkpoint_file(path)
    check_weights_fit(model, weights_of(checkpoint, path), path)
    return checkpoint


def check_weights_fit(
    model: torch.nn.Module, state: Mapping[str, torch.Tensor], path: str | Path
) -> None:
    """Verifies that weights are exactly those of a model, see :func:`check_fits`.

    Args:
        model: The built model.
        state: Name -> tensor.
        path: Where they were read from, for messages.

    Raises:
        InputError: With every weight that is missing, unexpected or of another shape.
    """
    expected = model.state_dict()
    problems = [f"missing: {key}" for key in expected if key not in state]
    problems += [f"unexpected: {key}" for key in state if key not in expected]
    problems += [
        f"{key}: the model has {tuple(expected[key].shape)}, the file {tuple(state[key].shape)}"
        for key in expected
        if key in state and expected[key].shape != state[key].shape
    ]
    if problems:
        raise InputError(
            f"{path}: this checkpoint is of another model than the config describes; "
            "give the checkpoint alone, which holds its config",
            problems,
        )


def meta_of(checkpoint: Any, path: str | Path) -> dict[str, Any]:
    """Returns what a checkpoint says about its run; nothing if it has no 'meta'.

    Raises:
        InputError: If its 'meta' is no dict of names.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    if meta is None:
        return {}
    if not isinstance(meta, dict) or not all(isinstance(name, str) for name in meta):
        raise InputError(f"{path}: expected 'meta' to be a dict of names, {_ELSEWHERE}")
    return meta


def classes_of(checkpoint: Any, path: str | Path) -> tuple[list[str], list[list[int]]] | None:
    """Returns the class names and their RGB colors, 0 to 255; None where the file names none.

    Raises:
        InputError: With all that is wrong with them.
    """
    found = meta_of(checkpoint, path).get("dataset_meta")
    if found is None:
        return None
    classes: Any = found.get("classes") if isinstance(found, dict) else None
    palette: Any = found.get("palette") if isinstance(found, dict) else None
    problems = []
    if not _is_list(classes) or not all(isinstance(name, str) and name for name in classes):
        problems.append("classes: expected a list of names")
    elif len(set(classes)) != len(classes):
        problems.append("classes: a name is there twice")
    if not _is_list(palette) or not all(map(_is_color, palette)):
        problems.append("palette: expected a list of [red, green, blue], 0 to 255")
    elif not problems and len(palette) != len(classes):
        problems.append(f"{len(palette)} colors for {len(classes)} classes")
    values = found.get("mask_values") if isinstance(found, dict) else None
    if values is not None and not (_is_mask_values(values) and len(values) == len(classes or ())):
        problems.append("mask_values: expected a number from 0 to 255 for each class, each once")
    kinds = found.get("kinds") if isinstance(found, dict) else None
    if kinds is not None and not (
        _is_list(kinds) and len(kinds) == len(classes or ()) and all(k in KINDS for k in kinds)
    ):
        problems.append(f"kinds: expected one of {', '.join(KINDS)} for each class")
    if problems:
        raise InputError(f"{path}: 'dataset_meta' cannot be used, {_ELSEWHERE}", problems)
    return list(classes), [list(color) for color in palette]


def check_resumable(checkpoint: Any, path: str | Path) -> None:
    """Verifies that a checkpoint holds the state of a run, as mmengine's Runner saves it.

    Raises:
        InputError: With everything that is missing or of another form.
    """
    meta = meta_of(checkpoint, path)
    problems = [
        f"meta.{name}: expected a number from 0 to {_MAX_STEPS}, found {meta.get(name)!r}"
        for name in ("epoch", "iter")
        if type(meta.get(name)) is not int or not 0 <= meta[name] <= _MAX_STEPS
    ]
    state = checkpoint if isinstance(checkpoint, Mapping) else {}
    hub: Any = state.get("message_hub")
    parts = ("log_scalars", "runtime_info", "resumed_keys")
    if not isinstance(hub, dict) or not all(isinstance(hub.get(part), dict) for part in parts):
        problems.append(f"message_hub: expected a dict with {', '.join(parts)}")
    optimizer = state.get("optimizer")
    groups: Any = optimizer.get("param_groups") if isinstance(optimizer, dict) else None
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("state"), dict):
        problems.append("optimizer: expected a dict with state and param_groups")
    elif not _is_list(groups) or not all(
        isinstance(group, dict) and _is_list(group.get("params")) for group in groups
    ):
        problems.append("optimizer.param_groups: expected a list of dicts with params")
    if problems:
        raise InputError(
            f"{path}: holds weights but not the whole state of a run, so there is nothing to "
            f"resume; to start from its weights use --cfg-options load_from={path}",
            problems,
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_mask_values(value: Any) -> bool:
    numbers = _is_list(value) and all(type(v) is int and 0 <= v <= 255 for v in value)
    return numbers and len(set(value)) == len(value)


def _is_color(value: Any) -> bool:
    """Whether this is [red, green, blue], 0 to 255."""
    return (
        _is_list(value)
        and len(value) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in value)
    )
