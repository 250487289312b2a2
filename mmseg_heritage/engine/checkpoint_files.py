"""The checkpoint files of a run: written whole or not at all, and listed in the order they came."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import replacing, write_json
from mmseg_heritage.utils.json_reading import parse_json

LAST = "last_checkpoint"
"""mmengine's file with the path of the newest checkpoint."""
LIST = "checkpoints.json"
"""Names, or paths outside the run's folder, of the checkpoints that are kept, oldest first."""
WHOLE = {"backend": "mmseg_heritage.whole"}
"""``backend_args`` of :class:`WholeFileBackend`."""


@register_backend(WHOLE["backend"])
class WholeFileBackend(LocalBackend):
    """Writes local files under a temporary name and renames them when they are on the disk.

    mmengine opens the file itself, which a killed process leaves half written.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes to a file.

        Raises:
            OSError: If the disk is full; a file of this name stays as it was.
        """
        with replacing(filepath) as temporary, temporary.open("wb") as stream:
            stream.write(obj)
            stream.flush()
            os.fsync(stream.fileno())


def listed(folder: Path) -> list[Path]:
    """Returns the checkpoints that the run in a folder has kept, oldest first.

    They are looked for in the folder first, which may have been moved since.

    Raises:
        InputError: If the list was changed into something else.
    """
    record = folder / LIST
    if not record.is_file():
        return []
    try:
        return [located(folder, name) for name in parse_json(record)["checkpoints"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{record}: expected the list of this run's checkpoints ({error}). Give --resume a "
            "checkpoint file, or start again with --overwrite"
        ) from error


def located(folder: Path, written: str) -> Path:
    """Returns where a checkpoint is now: beside the record of it, or where it was written."""
    beside = folder / Path(written).name
    return beside if beside.is_file() else folder / written


def record_checkpoint(folder: Path, checkpoint: Path, keep: int) -> None:
    """Records a checkpoint that was written whole, and deletes the oldest beyond a number.

    Args:
        folder: Folder of the run.
        checkpoint: The new file.
        keep: How many are kept; -1 for all.
    """
    checkpoints = [path for path in listed(folder) if path.name != checkpoint.name]
    checkpoints.append(checkpoint)
    dropped = checkpoints[:-keep] if keep > 0 else []
    # In this order a kill between any two lines leaves no file that nobody will delete.
    _write_list(folder, checkpoints)
    with replacing(folder / LAST) as temporary:
        temporary.write_text(str(checkpoint))
    for path in dropped:
        # The list may come from someone else: only checkpoints where this run writes are its own.
        if path.resolve().parent in (folder.resolve(), checkpoint.resolve().parent):
            path.unlink(missing_ok=True)
    if dropped:
        _write_list(folder, checkpoints[len(dropped) :])


def _write_list(folder: Path, checkpoints: list[Path]) -> None:
    names = [path.name if path.parent == folder else str(path) for path in checkpoints]
    write_json(folder / LIST, {"checkpoints": names})
