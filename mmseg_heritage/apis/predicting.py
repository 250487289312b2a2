"""Damage maps of photographs that have no annotation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import IMAGE_SUFFIXES, folder_files
from mmseg_heritage.images.writing import write_class_map, write_image
from mmseg_heritage.inference.predictor import Prediction
from mmseg_heritage.runs.load_predictor import Predictor
from mmseg_heritage.runs.prepare import output_folder
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.visualization.figures.panels import overlay, panel

SCHEMA = "mmseg_heritage/prediction/2"
_SHRUNK = 1.05  # a smaller factor is not worth a word


def predict(
    checkpoint: str | Path,
    photographs: str | Path | Sequence[str | Path],
    out_dir: str | Path,
    config: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
) -> list[Path]:
    """Writes, for every photograph, its class map, an overlay and the share of each class.

    The files are ``<name>_classes.png`` (mask values with palette), ``<name>_overlay.png`` (of a
    JPEG photograph ``.jpg``), ``<name>_panel.png`` (photograph and class map with a legend) and
    ``<name>.json``; hierarchical models add ``<name>_<level>.png`` (ids with palette) for each
    level.

    Args:
        checkpoint: Checkpoint file. Nothing else of its run is needed.
        photographs: A photograph, a folder of them, or a list of these.
        out_dir: Where to write.
        config: Config file to use in place of the one inside the checkpoint.
        device: As in :class:`mmseg_heritage.Predictor`.
        cfg_options: Dotted key -> value.
        overwrite: Allows replacing files of an earlier prediction.
        trust_checkpoint: Lets the checkpoint run code.

    Returns:
        The JSON files.

    Raises:
        InputError: If inputs cannot be used. Photographs that cannot be predicted are gathered and
            reported after the others are done.
    """
    given = [photographs] if isinstance(photographs, (str, os.PathLike)) else photographs
    files, clashes = _photographs([Path(path) for path in given])
    out = output_folder(out_dir)
    if any(out == Path(path).resolve() for path in given):
        raise InputError(
            f"{out}: results among the photographs would be taken for photographs next time; "
            "choose another --out"
        )
    if not overwrite:
        _check_output(out, files)
    predictor = Predictor(checkpoint, config, device, cfg_options, trust_checkpoint)
    written, problems, shrunk = [], list(clashes), list[float]()
    with progress_bar("predicting") as report:
        for done, photograph in enumerate(files, start=1):
            try:
                found = predictor(photograph)
                written.append(_write(found, photograph, out))
                shrunk += [found.thinnest_line] if found.thinnest_line >= _SHRUNK else []
            except InputError as error:
                problems.append(str(error))
            report(done, len(files))
    if shrunk:
        print(
            f"{len(shrunk)} of {len(files)} photographs were shrunk for the network, by up to "
            f"{max(shrunk):.1f}: lines thinner than {max(shrunk):.1f} px are likely to be lost. "
            "--inference scales=native looks at them at full size, unless the checkpoint's test "
            "pipeline shrinks them"
        )
    if len(problems) == 1 and not written and not clashes:
        raise InputError(problems[0])
    if problems:
        others = f"; the results of the others are in {out}" if written else ""
        raise InputError(
            f"{len(problems)} of {len(files) + len(clashes)} photographs could not be predicted"
            f"{others}",
            problems,
        )
    return written


def _write(found: Prediction, photograph: Path, out: Path) -> Path:
    """Writes the files of one photograph."""
    name, clean = photograph.stem, None
    if "Clean" in found.classes:
        clean = found.classes.index("Clean")
    classes = out / f"{name}_classes.png"
    write_class_map(classes, found.class_map, found.palette, found.mask_values)
    tinted = overlay(found.image, found.class_map, found.palette, clean)
    # As PNG, a JPEG photograph would become several times as large.
    is_jpeg = photograph.suffix.lower() in (".jpg", ".jpeg")
    write_image(out / f"{name}_overlay{'.jpg' if is_jpeg else '.png'}", tinted)
    for level, ids in found.level_maps.items():
        write_class_map(out / f"{name}_{level}.png", ids, found.groups[level].colors)
    maps = [("Prediction", found.class_map)]
    write_image(out / f"{name}_panel.png", panel(found.image, maps, found.classes, found.palette))
    height, width = found.class_map.shape
    content = {
        "schema": SCHEMA,
        "image": str(photograph),
        "width": width,
        "height": height,
        "seen_at": [{"width": w, "height": h} for h, w in found.seen_at],
        "thinnest_line_px": round(found.thinnest_line, 2),
        "area_share": found.shares(),
        "levels": {level: found.shares(level) for level in found.groups},
        "note": "shares of all pixels of the photograph, 0 to 1, as predicted by a model; "
        "to be reviewed by a conservator",
    }
    write_json(out / f"{name}.json", content)
    return out / f"{name}.json"


def _photographs(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Returns the photographs to predict, and a line for each that shares its name with another.

    The results of these would be the same files, so that none of them is predicted.
    """
    files: list[Path] = []
    problems = []
    for path in paths:
        in_folder = folder_files(path) if path.is_dir() else None
        found = in_folder.images if in_folder else [path]
        unread = in_folder.not_read() if in_folder else ""
        if not path.exists():
            problems.append(f"{path}: no such photograph or folder")
        elif not found:
            endings = ", ".join(IMAGE_SUFFIXES)
            also = f"; {unread}" if unread else ""
            problems.append(f"{path}: the folder holds no images ({endings}){also}")
        elif unread:
            print(f"{path}: {unread}")
        files += found
    if problems or not files:
        raise InputError("there is nothing to predict", problems)
    of_name: dict[str, list[Path]] = {}
    for file in files:
        of_name.setdefault(file.stem, []).append(file)
    clashes = [
        f"{file}: has the name of {', '.join(str(other) for other in same if other is not file)}, "
        "and their results would be the same files; rename it, or give another --out"
        for same in of_name.values()
        if len(same) > 1
        for file in same
    ]
    return [same[0] for same in of_name.values() if len(same) == 1], clashes


def _check_output(out: Path, photographs: Sequence[Path]) -> None:
    """Refuses to replace the results of an earlier prediction."""
    existing = [
        str(out / f"{p.stem}.json") for p in photographs if (out / f"{p.stem}.json").exists()
    ]
    if existing:
        raise InputError(
            "results are already there; choose another --out, or replace them with --overwrite",
            existing,
        )
