"""What `predict` writes for a photograph, and how it knows what an earlier command has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.apis.prediction_pictures import write_pictures
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.resolution import resolutions_of
from mmseg_heritage.images.writing import Palette, write_class_map, write_image
from mmseg_heritage.quantities import UNSURE_BELOW
from mmseg_heritage.quantities.measure import Measurement, measure
from mmseg_heritage.quantities.records import (
    REGION_COLUMNS,
    class_records,
    region_rows,
    undecided_record,
    write_table,
)
from mmseg_heritage.quantities.review_order import look_first
from mmseg_heritage.quantities.scale import FoundScale, Scale, find_scale
from mmseg_heritage.taxonomy import BACKGROUND, LINE, clean_id, hex_color
from mmseg_heritage.utils.files import sha256, write_json
from mmseg_heritage.utils.json_reading import form_problems, parse_json
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.figures.display_colors import display_palette

if TYPE_CHECKING:  # it needs torch, and what is written does not
    from mmseg_heritage.inference.prediction import Prediction

SCHEMA = "mmseg_heritage/prediction/6"
_NOTE = (
    "machine suggestion, to be reviewed by a conservator; area_share is that of all pixels of the "
    "photograph, 0 to 1"
)
_CLASS_FORM: dict[str, Any] = {
    "kind": str, "color": str, "is_damage": bool, "pixels": int, "share_of_object": (None, float),
    "share_of_image": float, "regions": (None, int), "area_mm2": (None, float),
    "length_px": float, "length_mm": (None, float),
}  # fmt: skip
_FORM: dict[str, Any] = {
    "schema": str, "image": str, "image_sha256": str, "made_with": dict, "width": int,
    "height": int, "thinnest_line_px": float, "unread": [str], "files": {str: str},
    "classes": [{"name": str, "id": int, "color": [int]}],
    "scale": {"mm_per_pixel": (None, [float]), "source": (None, str), "in_file": bool,
              "remark": (None, str)},
    "unsure": {"below": float, "share": (None, float)}, "quantities": {str: _CLASS_FORM},
    "undecided": {"pixels": int, "share_of_object": (None, float), "share_of_image": float,
                  "area_mm2": (None, float)},
    "unlike_training": {"is_unlike": bool, "distance": float, "false_alarm_rate": float},
    "look_first": [{"region": int, "class": str, "left": int, "top": int, "width": int,
                    "height": int, "pixels": int, "expected_wrong_px": float}],
}  # fmt: skip
_PARTS = ("scale", "unsure")
_OPTIONAL = {"undecided", "unread", "length_px", "length_mm", "unlike_training"}


@dataclass(frozen=True)
class Job:
    """What all photographs of a command have in common.

    Attributes:
        out: Where to write.
        made_with: See :func:`made_with_content`.
        page: Which of the pages of a TIFF that are no previews, from 1.
        unsure_below: Confidence from which on a pixel is not unsure, 0 to 1.
        scale: Given for all photographs; None for what files say.
        scales: Given for some photographs, by their names.
        official_colors: Whether pictures have the colors of the data set, as class maps have.
    """

    out: Path
    made_with: Mapping[str, Any]
    page: int = 1
    unsure_below: float = UNSURE_BELOW
    scale: Scale | None = None
    scales: Mapping[str, Scale] = field(default_factory=dict)
    official_colors: bool = False

    def colors(self, classes: Sequence[str], palette: Palette) -> Palette:
        """Returns the colors in which classes are shown, from their names and own colors."""
        return palette if self.official_colors else display_palette(classes, palette)

    def draw(
        self,
        image: np.ndarray,
        class_map: np.ndarray,
        classes: Sequence[str],
        palette: Palette,
        photograph: Photograph,
    ) -> dict[str, Path]:
        """Writes the pictures of a photograph, see :func:`write_pictures`."""
        colors = self.colors(classes, palette)
        scale = self.scale_of(photograph, class_map.shape[::-1]).scale
        mm_per_pixel = None if scale is None else scale.across
        return write_pictures(image, class_map, classes, colors, photograph, self.out, mm_per_pixel)

    def scale_of(self, photograph: Photograph, size: tuple[int, int]) -> FoundScale:
        """Returns the scale of a photograph of a size (width, height)."""
        given = self.scales.get(photograph.name, self.scale)
        return find_scale(given, resolutions_of(photograph.path, self.page), size)


def made_with_content(
    checkpoint: Path,
    config: Path | None,
    cfg_options: Mapping[str, Any],
    page: int,
    validation: Mapping[str, Any],
    official_colors: bool,
) -> dict[str, Any]:
    """Returns what predictions are made with: commands alike in this give the same files.

    Args:
        checkpoint: Checkpoint file.
        config: Config file used in place of the one inside the checkpoint.
        cfg_options: Dotted key -> value.
        page: Of photographs with several pages.
        validation: What the checkpoint says of its validation, see
            :func:`mmseg_heritage.evaluation.baseline.scores_beside_clean`.
        official_colors: See :class:`Job`.

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
        "official_colors": official_colors,
    }


def result_file(photograph: Photograph, out: Path) -> Path:
    """Returns the JSON file of a photograph, which is written last."""
    return photograph.result(out, ".json")


def read_record(path: Path) -> dict[str, Any] | None:
    """Returns the JSON file of a photograph; None where it is none, or of another version."""
    try:
        content = parse_json(path)
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return None
    if list(form_problems(content, _FORM, "")) or not _is_whole(content):
        return None
    is_beside = all(Path(name).name == name for name in content["files"].values())
    return content if is_beside else None


def _is_whole(content: Mapping[str, Any]) -> bool:
    """Whether nothing is missing in a JSON file whose values are of the right form."""
    classes = list(content.get("quantities", {}).values())
    parts = [(_FORM, content), *((_FORM[name], content.get(name, {})) for name in _PARTS)]
    parts += [(_FORM["look_first"][0], region) for region in content.get("look_first", [])]
    if "unlike_training" in content:
        parts.append((_FORM["unlike_training"], content["unlike_training"]))
    parts += [(_CLASS_FORM, record) for record in classes]
    if not all(form.keys() - _OPTIONAL <= found.keys() for form, found in parts):
        return False
    lines = [record for record in classes if record["kind"] == LINE and record["is_damage"]]
    damages = [record for record in classes if record["is_damage"]]
    return (
        all("length_px" in record for record in lines)
        and all(record["regions"] is not None for record in damages)
        and len(content["scale"]["mm_per_pixel"] or (0, 0)) == 2
    )


def is_done(photograph: Photograph, job: Job) -> bool:
    """Whether an earlier command, with the same in every way, has predicted a photograph."""
    content = read_record(result_file(photograph, job.out))
    return (
        content is not None
        and content["made_with"] == job.made_with
        and content["image_sha256"] == sha256(photograph.path)
    )


def unread_problem(photograph: Path, unread: Sequence[str]) -> str:
    """Says what could not be read of a photograph."""
    others = f", and {len(unread) - 3} more" if len(unread) > 3 else ""
    return f"{photograph}: not read: {'; '.join(unread[:3])}{others}; there the map is 255"


def write_prediction(
    found: Prediction, photograph: Photograph, image_sha256: str, job: Job
) -> dict[str, Any]:
    """Writes the files of one photograph.

    Args:
        found: What was found.
        photograph: Its file, and the name of its results.
        image_sha256: Hash of the file before it was read.
        job: What is done.

    Returns:
        Content of the JSON file.

    Raises:
        InputError: If the photograph has changed since.
    """

    def result(ending: str) -> Path:
        return photograph.result(job.out, ending)

    maps = {"class_map": result("_classes.png")}
    write_class_map(maps["class_map"], found.class_map, found.palette, found.mask_values)
    for level, ids in found.level_maps.items():
        maps[f"level_{level}"] = result(f"_{level}.png")
        write_class_map(maps[f"level_{level}"], ids, found.groups[level].colors)
    if found.confidence is not None:
        maps["confidence"] = result("_confidence.png")
        write_image(maps["confidence"], found.confidence)
    maps |= job.draw(found.image, found.class_map, found.classes, found.palette, photograph)
    return write_record(found, photograph, image_sha256, job, maps)


def write_record(
    found: Prediction,
    photograph: Photograph,
    image_sha256: str,
    job: Job,
    files: Mapping[str, Path],
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the table of regions and the JSON file of a photograph, with ``more`` in it.

    See :func:`write_prediction`.
    """
    if sha256(photograph.path) != image_sha256:
        raise InputError(f"{photograph.path}: was changed while it was predicted; predict it again")
    height, width = found.class_map.shape
    content = {
        "schema": SCHEMA,
        "image": str(photograph.path),
        "image_sha256": image_sha256,
        "made_with": job.made_with,
        "width": width,
        "height": height,
        "seen_at": [{"width": w, "height": h} for h, w in found.seen_at],
        "classes": [
            {"name": name, "id": value, "color": list(map(int, color))}
            for name, value, color in zip(
                found.classes, found.mask_values, found.palette, strict=True
            )
        ],
        "thinnest_line_px": round(found.thinnest_line, 2),
        "area_share": found.shares(),
        "levels": {level: found.shares(level) for level in found.groups},
        **({} if found.unlikeness is None else {"unlike_training": found.unlikeness.content()}),
        **(more or {}),
        "files": {what: path.name for what, path in files.items()},
        "note": _NOTE,
    }
    return write_quantities(
        content, photograph, job, found.class_map, found.confidence,
        found.classes, found.kinds, found.palette,
    )  # fmt: skip


def write_quantities(
    content: dict[str, Any],
    photograph: Photograph,
    job: Job,
    class_map: np.ndarray,
    confidence: np.ndarray | None,
    classes: Sequence[str],
    kinds: Sequence[str],
    palette: Sequence[Sequence[int]],
    scale: FoundScale | None = None,
) -> dict[str, Any]:
    """Measures a class map; writes the table of regions, and the JSON file with the quantities.

    Args:
        content: Of the JSON file without these.
        photograph: Its file, and the name of its results.
        job: What is done.
        class_map: Positions of classes or 255, uint8 (H, W).
        confidence: As in :class:`~mmseg_heritage.inference.prediction.Prediction`.
        classes: Names of the classes.
        kinds: What each is measured by.
        palette: Color of each.
        scale: Of the photograph; None for what the job or the file says.

    Returns:
        Content of the JSON file.
    """
    scale = scale or job.scale_of(photograph, (content["width"], content["height"]))
    clean = clean_id(classes)
    outside = {i for i, name in enumerate(classes) if name == BACKGROUND.name}
    found = measure(class_map, kinds, scale.scale, confidence, clean, outside, job.unsure_below)
    table = photograph.result(job.out, "_regions.csv")
    write_table(table, REGION_COLUMNS, region_rows(photograph.name, found, classes, kinds))
    content = {
        **content,
        "files": {**content["files"], "regions": table.name},
        "scale": scale.content(),
        "object_pixels": found.object_pixels,
        "unsure": {"below": job.unsure_below, "share": found.unsure_share},
        "undecided": undecided_record(found),
        "quantities": _quantities(
            found, classes, kinds, job.colors(classes, palette), {clean, *outside}
        ),
        "look_first": look_first(found, classes),
    }
    write_json(result_file(photograph, job.out), content)
    return content


def _quantities(
    found: Measurement,
    classes: Sequence[str],
    kinds: Sequence[str],
    palette: Sequence[Sequence[int]],
    no_damage: set[int | None],
) -> dict[str, Any]:
    """Returns what was measured of each class, with its color and whether it is damage."""
    records = class_records(found, classes, kinds)
    for i, name in enumerate(classes):
        records[name] = {
            "color": hex_color(palette[i]),
            "is_damage": i not in no_damage,
            **records[name],
        }
    return records
