"""Writes a sample set to disk, all of it or nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.sample_set.plan import ImagePlan, plan_images, split_ids
from mmseg_heritage.sample_set.render import Rendered, render
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.files import making_folder
from mmseg_heritage.utils.progress import Progress
from mmseg_heritage.utils.threads import run_in_threads
from mmseg_heritage.version import __version__

COLUMNS = (
    "id",
    "material",
    "content",
    "type",
    "damage_description",
    "image_path",
    "annotation_path",
    "width",
    "height",
)
"""Columns of ``metadata.csv``."""

RECORD = "sample_set.json"
"""File that says how the set was made and of which files it consists."""

MIN_IMAGES, MAX_IMAGES, MIN_SIZE, MAX_SIZE = 3, 100_000, 64, 2048

_README = """\
Sample set of mmseg_heritage
============================

Generated, not photographed: {num_images} small pictures of heritage objects with painted damage and
their masks, made by mmseg_heritage {version} with

    make_sample_set(out_dir, num_images={num_images}, size={size}, seed={seed})

The same version and arguments make the same pictures again (with another numpy, but for roundings
in a few pixels). They are for tests and first steps; a score on them says nothing about real
objects.

images/         RGB photographs, PNG
annotations/    one 8-bit mask for each: 0 clean, 1 to 15 damage, 255 outside the object
metadata.csv    material, content, type and damage of each image
splits/         which image is for training, validation and test

License: CC0 1.0 (public domain dedication), https://creativecommons.org/publicdomain/zero/1.0/
"""


def _check_arguments(num_images: int, size: int, seed: int) -> None:
    """Gathers everything wrong with the arguments into one error."""
    problems = []
    for name, value in (("num_images", num_images), ("size", size), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            problems.append(f"{name}: {value!r} is not a whole number")
    if not problems:
        if num_images < MIN_IMAGES:
            problems.append(f"num_images: {num_images}, at least {MIN_IMAGES} (one for each part)")
        elif num_images > MAX_IMAGES:
            problems.append(f"num_images: {num_images}, at most {MAX_IMAGES}")
        if not MIN_SIZE <= size <= MAX_SIZE:
            problems.append(f"size: {size}, must be {MIN_SIZE} to {MAX_SIZE} pixels")
        if seed < 0:
            problems.append(f"seed: {seed}, must not be negative")
    if problems:
        raise InputError("Cannot make a sample set with these arguments:", problems)


def _is_complete(out_dir: Path, made_by: dict[str, Any]) -> bool:
    """Says whether a folder holds a whole sample set made in the same way."""
    try:
        record = json.loads((out_dir / RECORD).read_text(encoding="utf-8"))
        same = all(record.get(key) == value for key, value in made_by.items())
        return same and all((out_dir / name).is_file() for name in record["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _damage_names(mask: np.ndarray) -> list[str]:
    """Names of the damages in a mask, in the order of their ids."""
    present = set(np.unique(mask).tolist())
    return [row.name for row in ARTEFACT.classes if row.id != 0 and row.id in present]


def _save(folder: Path, plan: ImagePlan, made: Rendered) -> dict[str, str | int]:
    """Writes image and mask; returns their row of the metadata."""
    image_path, annotation_path = f"images/{plan.id}.png", f"annotations/{plan.id}.png"
    Image.fromarray(made.image).save(folder / image_path)
    Image.fromarray(made.mask).save(folder / annotation_path)
    height, width = made.mask.shape
    values = (
        plan.id,
        plan.material,
        plan.content,
        made.kind,
        ", ".join(_damage_names(made.mask)),
        image_path,
        annotation_path,
        width,
        height,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


def _write_set(
    folder: Path,
    plans: list[ImagePlan],
    made_by: dict[str, Any],
    progress: Progress | None,
) -> None:
    """Fills an existing empty folder."""
    for name in ("images", "annotations", "splits"):
        (folder / name).mkdir()
    seed = made_by["arguments"]["seed"]
    rows = run_in_threads(lambda plan: _save(folder, plan, render(plan, seed)), plans, progress)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    damages = {str(row["id"]): set(str(row["damage_description"]).split(", ")) for row in rows}
    split = {"schema": "mmseg_heritage/split/1", "name": "holdout", "seed": seed}
    _write_json(folder / "splits" / "holdout.json", {**split, "parts": split_ids(damages, seed)})
    readme = _README.format(version=made_by["version"], **made_by["arguments"])
    (folder / "README.txt").write_text(readme, encoding="utf-8", newline="\n")
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    _write_json(folder / RECORD, {**made_by, "files": files})


def make_sample_set(
    out_dir: str | Path,
    num_images: int = 48,
    size: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Makes a small data set of generated heritage objects with damage, in the real one's layout.

    Writes ``images/<id>.png`` (RGB, uint8), ``annotations/<id>.png`` (uint8, 0..15 and 255 around
    the object), ``metadata.csv``, ``splits/holdout.json``, ``README.txt`` and ``sample_set.json``.
    Image k depends on ``seed``, ``size`` and k only. The folder appears when it is complete; a run
    that is stopped leaves nothing under its name.

    Args:
        out_dir: Folder to make. It may exist if it is empty, or if it holds the complete set that
            this call would make: then nothing is written.
        num_images: How many images, at least 3. From 20 on, all materials and contents occur; from
            48 on, every damage in at least four images.
        size: Long edges are this to 1.25 times this many pixels, 64..2048.
        seed: Not negative; another seed gives other objects and damage.
        progress: Called with (images done, images in all) after each image.

    Returns:
        The folder.

    Raises:
        InputError: An argument is out of range, or ``out_dir`` holds something else.
    """
    _check_arguments(num_images, size, seed)
    out_dir = Path(out_dir)
    made_by = {
        "schema": "mmseg_heritage/sample_set/1",
        "version": __version__,
        "arguments": {"num_images": int(num_images), "size": int(size), "seed": int(seed)},
    }
    if out_dir.exists():
        if not out_dir.is_dir():
            raise InputError("The sample set needs a folder.", [f"{out_dir}: is a file"])
        if _is_complete(out_dir, made_by):
            return out_dir
        if any(out_dir.iterdir()):
            raise InputError(
                "The folder for the sample set is not empty, and nothing is overwritten. "
                "Choose another folder, or empty this one.",
                [f"{out_dir}: holds something other than this sample set, complete"],
            )
    with making_folder(out_dir) as folder:
        _write_set(folder, plan_images(int(num_images), int(size), int(seed)), made_by, progress)
    return out_dir
