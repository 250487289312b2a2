"""What `predict` writes for a photograph, and how it knows what an earlier command has written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import READ_FORMATS
from mmseg_heritage.images.writing import write_class_map, write_image
from mmseg_heritage.inference.predictor import Prediction
from mmseg_heritage.taxonomy import clean_id
from mmseg_heritage.utils.files import sha256, write_json
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.figures.panels import panel, tint

SCHEMA = "mmseg_heritage/prediction/4"
_MAX_JPEG_SIDE = 65500


def made_with_content(
    checkpoint: Path,
    config: Path | None,
    cfg_options: Mapping[str, Any],
    page: int,
    validation: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns what predictions are made with: commands alike in this give the same files.

    Args:
        checkpoint: Checkpoint file.
        config: Config file used in place of the one inside the checkpoint.
        cfg_options: Dotted key -> value.
        page: Of photographs with several pages.
        validation: What the checkpoint says of its validation, see
            :func:`mmseg_heritage.evaluation.baseline.scores_beside_clean`.

    Returns:
        Content for JSON, with the SHA-256 of the files.
    """
    return {
        "version": __version__,
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256(checkpoint),
        "config": config and config.name,
        "config_sha256": sha256(config) if config else None,
        "options": {key: str(value) for key, value in cfg_options.items()},
        "page": page,
        "validation": validation or None,
    }


def result_file(photograph: Path, out: Path) -> Path:
    """Returns the JSON file of a photograph, which is written last."""
    return out / f"{photograph.stem}.json"


def is_done(photograph: Path, out: Path, made_with: Mapping[str, Any]) -> bool:
    """Whether an earlier command, with the same in every way, has predicted a photograph.

    Args:
        photograph: Its file.
        out: Where results are.
        made_with: See :func:`made_with_content`.
    """
    try:
        content = json.loads(result_file(photograph, out).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return (
        isinstance(content, dict)
        and content.get("schema") == SCHEMA
        and content.get("made_with") == made_with
        and content.get("image_sha256") == sha256(photograph)
    )


def unread_of(photograph: Path, out: Path) -> list[str]:
    """Returns what could not be read of a photograph that is done, in words."""
    content = json.loads(result_file(photograph, out).read_text(encoding="utf-8"))
    return [str(part) for part in content.get("unread") or ()]


def unread_problem(photograph: Path, unread: Sequence[str]) -> str:
    """Says what could not be read of a photograph."""
    others = f", and {len(unread) - 3} more" if len(unread) > 3 else ""
    return f"{photograph}: not read: {'; '.join(unread[:3])}{others}; there the map is 255"


def write_prediction(
    found: Prediction, photograph: Path, out: Path, image_sha256: str, made_with: Mapping[str, Any]
) -> Path:
    """Writes the files of one photograph.

    Args:
        found: What was found.
        photograph: Its file.
        out: Where to write.
        image_sha256: Hash of the file before it was read.
        made_with: See :func:`made_with_content`.

    Returns:
        The JSON file.

    Raises:
        InputError: If the photograph has changed since.
    """
    name = photograph.stem
    write_class_map(out / f"{name}_classes.png", found.class_map, found.palette, found.mask_values)
    for level, ids in found.level_maps.items():
        write_class_map(out / f"{name}_{level}.png", ids, found.groups[level].colors)
    # As PNG, the overlay of a JPEG photograph would be several times as large as that.
    is_jpeg = photograph.suffix.lower() in READ_FORMATS["JPEG"]
    is_jpeg &= max(found.class_map.shape) <= _MAX_JPEG_SIDE
    write_pictures(found, name, out, ".jpg" if is_jpeg else ".png")
    return write_record(found, photograph, out, image_sha256, made_with, {})


def write_pictures(found: Prediction, name: str, out: Path, suffix: str) -> None:
    """Writes a panel, and an overlay with this suffix; ``found.image`` becomes the overlay."""
    maps = [("Prediction", found.class_map)]
    write_image(out / f"{name}_panel.png", panel(found.image, maps, found.classes, found.palette))
    tint(found.image, found.class_map, found.palette, clean_id(found.classes))
    write_image(out / f"{name}_overlay{suffix}", found.image)


def write_record(
    found: Prediction,
    photograph: Path,
    out: Path,
    image_sha256: str,
    made_with: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Path:
    """Writes the JSON file of a photograph, with ``more`` in it; see :func:`write_prediction`."""
    if sha256(photograph) != image_sha256:
        raise InputError(f"{photograph}: was changed while it was predicted; predict it again")
    height, width = found.class_map.shape
    content = {
        "schema": SCHEMA,
        "image": str(photograph),
        "image_sha256": image_sha256,
        "made_with": made_with,
        "width": width,
        "height": height,
        "seen_at": [{"width": w, "height": h} for h, w in found.seen_at],
        "thinnest_line_px": round(found.thinnest_line, 2),
        "area_share": found.shares(),
        "levels": {level: found.shares(level) for level in found.groups},
        **more,
        "note": "shares of all pixels of the photograph, 0 to 1, as predicted by a model; "
        "to be reviewed by a conservator",
    }
    write_json(result_file(photograph, out), content)
    return result_file(photograph, out)
