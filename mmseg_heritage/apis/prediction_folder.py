"""What `predict` writes for a folder of results: tables, a page, and how all was made."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.apis.prediction_files import Job, read_record
from mmseg_heritage.evaluation.baseline import no_better_than_clean
from mmseg_heritage.quantities.records import AREA_COLUMNS, REGION_COLUMNS, area_rows, write_table
from mmseg_heritage.quantities.scale import in_words
from mmseg_heritage.taxonomy import COUNT, LINE
from mmseg_heritage.utils.files import replacing, write_json
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.report.prediction_page import (
    PageClass,
    PagePhotograph,
    prediction_page,
)

RUN_SCHEMA = "mmseg_heritage/prediction_run/1"
SHRUNK = 1.05
"""A photograph that was shrunk by a smaller factor is not worth a word."""
_SHOWN_CLASSES = 4  # of a photograph, on the console
_SHOWN_PHOTOGRAPHS = 40
_WIDEST_NAME = 40
_LOOK_FIRST = 3  # regions of a photograph, on the page


@dataclass(frozen=True)
class NotPredicted:
    """A photograph without a result, or with one that is incomplete.

    Attributes:
        problem: What was wrong; it names the file.
        is_incomplete: Whether there is a result all the same.
    """

    problem: str
    is_incomplete: bool = False


def write_folder(
    job: Job, settings: Mapping[str, Any], problems: Sequence[NotPredicted]
) -> dict[str, dict[str, Any]]:
    """Writes areas.csv, regions.csv, run.json and index.html of all results in a folder.

    They are made from the results of each photograph, so that they are complete too when a command
    was killed and goes on, or when photographs are added.

    Args:
        job: What was done.
        settings: Further settings of the command, for JSON.
        problems: What was not predicted.

    Returns:
        Name of each photograph that has a result -> content of its JSON file.
    """
    records = write_tables(job.out)
    if not records:
        return {}
    write_json(job.out / "run.json", _run_content(job, settings, records, problems))
    page = prediction_page(
        [_shown(name, record) for name, record in records.items()],
        [problem.problem for problem in problems],
        job.made_with["checkpoint"],
        job.unsure_below,
        no_better_than_clean(job.made_with["validation"] or {}),
    )
    with replacing(job.out / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return records


def write_tables(out: Path) -> dict[str, dict[str, Any]]:
    """Writes areas.csv and regions.csv of all results in a folder; returns their contents."""
    records = dict(read_records(out))
    rows = (
        row
        for name, found in records.items()
        for row in area_rows(
            name, found["quantities"], found.get("undecided"), found["scale"]["source"]
        )
    )
    if records:
        write_table(out / "areas.csv", AREA_COLUMNS, rows)
        write_table(out / "regions.csv", REGION_COLUMNS, _region_rows(out, records))
    return records


def read_records(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields name and content of the JSON files of photographs in a folder and those below."""
    for place, below, names in os.walk(out):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if path.suffix == ".json" and (record := read_record(path)) is not None:
                yield path.relative_to(out).with_suffix("").as_posix(), record


def _region_rows(out: Path, records: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yields the rows of the tables of regions of all photographs."""
    for name in records:
        path = out / f"{name}_regions.csv"
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.reader(file)
                next(reader, None)
                yield from reader


def _run_content(
    job: Job,
    settings: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    problems: Sequence[NotPredicted],
) -> dict[str, Any]:
    """Returns the content of run.json."""
    return {
        "schema": RUN_SCHEMA,
        "note": "machine suggestion, to be reviewed by a conservator",
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "version": __version__,
        "made_with": job.made_with,
        "settings": {**settings, "page": job.page, "unsure_below": job.unsure_below},
        "photographs": {
            name: {
                "image": record["image"],
                "image_sha256": record["image_sha256"],
                "width": record["width"],
                "height": record["height"],
                "scale": record["scale"],
                "shrunk_by": record["thinnest_line_px"],
                "unlike_training": record.get("unlike_training"),
                "same_checkpoint_and_settings": record["made_with"] == job.made_with,
            }
            for name, record in records.items()
        },
        "shrunk": [name for name, found in records.items() if found["thinnest_line_px"] >= SHRUNK],
        "not_predicted": [p.problem for p in problems if not p.is_incomplete],
        "read_in_part": [p.problem for p in problems if p.is_incomplete],
    }


def amount(record: Mapping[str, Any]) -> str:
    """Returns how much there is of a class by what it is measured by, such as '12.5 mm'."""
    if record["kind"] == LINE:
        length = record.get("length_mm")
        return f"{record['length_px']:,.0f} px" if length is None else f"{short_number(length)} mm"
    area = record["area_mm2"]
    text = f"{record['pixels']:,} pixels" if area is None else f"{short_number(area)} mm2"
    return f"{record['regions']:,} ({text})" if record["kind"] == COUNT else text


def short_number(value: float) -> str:
    """Returns a number with about three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def found_damage(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns the classes of damage of a photograph that were found, the largest first."""
    found = [(n, r) for n, r in record["quantities"].items() if r["is_damage"] and r["pixels"]]
    return sorted(found, key=lambda pair: -pair[1]["pixels"])


def scale_text(scale: Mapping[str, Any]) -> str:
    """Returns the millimeters of a pixel, or "unknown"."""
    if scale["mm_per_pixel"] is None:
        return "unknown"
    across, down = scale["mm_per_pixel"]
    same = abs(across - down) <= 0.001 * across
    return f"{across:.4g} mm/px" if same else f"{across:.4g} x {down:.4g} mm/px"


def percent(share: float | None) -> str:
    """Returns a share, 0 to 1, in percent; "-" where it is not known."""
    return "-" if share is None else f"{100 * share:.2f}"


def size_text(record: Mapping[str, Any]) -> str:
    """Returns the size of a photograph in pixels and, where they are known, in millimeters."""
    size, sides = f"{record['width']} x {record['height']} px", record["scale"]["mm_per_pixel"]
    if sides is not None:
        pairs = zip(sides, (record["width"], record["height"]), strict=True)
        size += ", " + " by ".join(in_words(mm * pixels) for mm, pixels in pairs)
    return size


def _shown(name: str, record: Mapping[str, Any]) -> PagePhotograph:
    """Returns what the page shows of a photograph."""
    scale = record["scale"]
    return PagePhotograph(
        name=name,
        folder=name.rpartition("/")[0],
        files=record["files"],
        size=size_text(record),
        scale=scale_text(scale),
        scale_source=scale["source"] or "",
        remark=scale["remark"] or "",
        unsure=percent(record["unsure"]["share"]),
        undecided=_undecided(record),
        damage=percent(damage_share(record)),
        shrunk_by=record["thinnest_line_px"] if record["thinnest_line_px"] >= SHRUNK else None,
        unread=record.get("unread") or [],
        classes=[
            PageClass(n, r["color"], percent(r["share_of_object"]), amount(r), r["regions"])
            for n, r in found_damage(record)
        ],
        look_first=[
            _region_text(region)
            for region in record["look_first"][:_LOOK_FIRST]
            if region["expected_wrong_px"] >= 1
        ],
        unlike=unlike_text(record),
    )


def _undecided(record: Mapping[str, Any]) -> str:
    """Returns the percentage of the object without a class; empty where all of it has one."""
    found = record.get("undecided") or {}
    return percent(found["share_of_object"]) if found.get("pixels") else ""


def _region_text(region: Mapping[str, Any]) -> str:
    place = f"{region['left'] + region['width'] // 2}, {region['top'] + region['height'] // 2}"
    return (
        f"{region['class']} around {place} px (region {region['region']}): "
        f"{region['expected_wrong_px']:,.0f} of {region['pixels']:,} pixels"
    )


def is_unlike(record: Mapping[str, Any]) -> bool:
    """Whether a photograph was found to be unlike anything that the model was trained on."""
    return bool(record.get("unlike_training", {}).get("is_unlike"))


def unlike_text(record: Mapping[str, Any]) -> str:
    """Says how far a photograph is from those of the training; empty if it is not."""
    if not is_unlike(record):
        return ""
    found = record["unlike_training"]
    return (
        f"unlike anything the model was trained on ({found['distance']:.1f} times the limit); "
        f"{100 * found['false_alarm_rate']:.0f} % of photographs like those of the training are "
        "flagged too. Trust nothing here unseen"
    )


def damage_share(record: Mapping[str, Any]) -> float | None:
    """Returns the share of all damage in the object."""
    shares = [r["share_of_object"] for r in record["quantities"].values() if r["is_damage"]]
    known = [share for share in shares if share is not None]
    return sum(known) if known else None


def console_table(
    photographs: Sequence[Photograph], records: Mapping[str, Mapping[str, Any]]
) -> str:
    """Lays out what was found on photographs, for the console.

    Args:
        photographs: Those of the command; those without a record are left out.
        records: As :func:`write_folder` returns them.
    """
    shown = [p for p in photographs if p.name in records]
    rows = []
    for photograph in shown[:_SHOWN_PHOTOGRAPHS]:
        record = records[photograph.name]
        damage = found_damage(record)
        first = [
            _fitting(photograph.name),
            f"{record['width']}x{record['height']}",
            scale_text(record["scale"]),
        ]
        unsure = percent(record["unsure"]["share"])
        rows.append([*first, "all damage", percent(damage_share(record)), "", unsure])
        if undecided := _undecided(record):
            rows.append(["", "", "", "  (not decided)", undecided, "", ""])
        for name, measured in damage[:_SHOWN_CLASSES]:
            share = percent(measured["share_of_object"])
            rows.append(["", "", "", f"  {name}", share, amount(measured), ""])
        if len(damage) > _SHOWN_CLASSES:
            rows.append(["", "", "", f"  {len(damage) - _SHOWN_CLASSES} more", "", "", ""])
    header = ["photograph", "size", "scale", "damage", "percent", "amount", "unsure %"]
    text = plain_table(header, rows, labels=4)
    if len(shown) > _SHOWN_PHOTOGRAPHS:
        text += f"\n... and {len(shown) - _SHOWN_PHOTOGRAPHS} more photographs, see areas.csv"
    return text


def _fitting(name: str) -> str:
    """Returns a name that a terminal shows in one line; of a long one, the end."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= _WIDEST_NAME else f"...{shown[3 - _WIDEST_NAME :]}"
