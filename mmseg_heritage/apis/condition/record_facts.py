"""What a condition record says of a photograph, in words and numbers, from its prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mmseg_heritage.apis.prediction_folder import (
    SHRUNK,
    damage_share,
    found_damage,
    percent,
    scale_text,
    short_number,
    size_text,
    unlike_text,
)
from mmseg_heritage.apis.reviews.applying_reviews import CHANGES_FILE
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import COUNT, LINE
from mmseg_heritage.utils.json_reading import form_problems, parse_json
from mmseg_heritage.visualization.condition.legend_file import Legend
from mmseg_heritage.visualization.condition.record_content import (
    DAMAGE_COLUMNS,
    DamageRow,
    LegendRow,
    Pair,
    ReviewerChanges,
)
from mmseg_heritage.visualization.condition.record_texts import ACTS

_SQUARED = "\N{SUPERSCRIPT TWO}"
MOST_CHANGES = 40
"""Changes of a photograph that are in its record; all are in changes.csv."""
_CHANGE_FORM = {
    "photograph": str, "region": (None, int, str), "act": str, "by": str, "at": str,
    "before": (None, str), "after": (None, str), "pixels": (None, int), "comment": (None, str),
}  # fmt: skip
_REVIEWED_FORM = {
    "by": [str], "changed_pixels": int, "conflict_pixels": int, "whole_photograph": bool,
}  # fmt: skip


def photograph_facts(record: Mapping[str, Any], legend: Legend) -> list[Pair]:
    """Returns size, scale and origin of what was found on a photograph."""
    say, scale, made_with = legend.text, record["scale"], record["made_with"]
    mm = scale_text(scale) if scale["mm_per_pixel"] else say("unknown")
    facts = [
        (say("Photograph"), Path(record["image"]).name),
        (say("Size"), size_text(record)),
        (say("Scale"), f"{mm} ({scale['source']})" if scale["source"] else mm),
        (say("About the scale"), scale["remark"] or ""),
        (say("Model"), str(made_with.get("checkpoint") or "")),
        (say("SHA-256 of the model"), str(made_with.get("checkpoint_sha256") or "")),
        (say("SHA-256 of the photograph"), record["image_sha256"]),
    ]
    return [(label, text) for label, text in facts if text]


def damage_rows(
    record: Mapping[str, Any], legend: Legend, rows: Mapping[str, LegendRow]
) -> list[DamageRow]:
    """Returns the table of damage, the largest class first, and the sum of all."""
    found = found_damage(record)
    table = [
        DamageRow(rows[name].sign.name, _cells(measured), _first(measured["kind"]), rows[name])
        for name, measured in found
    ]
    if table:
        pixels = sum(measured["pixels"] for _, measured in found)
        areas = [measured["area_mm2"] for _, measured in found]
        area = None if None in areas else sum(areas)
        share = _share(damage_share(record))
        regions = sum(measured["regions"] for _, measured in found)
        cells = [_area(pixels, area), share, "", "", "", f"{regions:,}", ""]
        table.append(DamageRow(legend.text("All damage"), cells, 0))
    return table


def _first(kind: str) -> int:
    """Returns which column has what a kind of class is measured by."""
    return DAMAGE_COLUMNS.index({LINE: "Length", COUNT: "Regions"}.get(kind, "Area"))


def _cells(measured: Mapping[str, Any]) -> list[str]:
    sure = measured.get("mean_confidence")
    return [
        _area(measured["pixels"], measured["area_mm2"]),
        _share(measured["share_of_object"]),
        *(_length(measured, name) for name in ("length", "mean_width", "largest_width")),
        f"{measured['regions']:,}",
        f"{sure:.2f}" if isinstance(sure, float) else "",
    ]


def _area(pixels: int, area_mm2: float | None) -> str:
    return (
        f"{pixels:,} px{_SQUARED}" if area_mm2 is None else f"{short_number(area_mm2)} mm{_SQUARED}"
    )


def _share(share: float | None) -> str:
    return "" if share is None else f"{percent(share)} %"


def _length(measured: Mapping[str, Any], name: str) -> str:
    """Returns a length in millimeters or, where they are not known, in pixels."""
    for unit in ("mm", "px"):
        value = measured.get(f"{name}_{unit}")
        if isinstance(value, (int, float)):
            return f"{short_number(value)} {unit}"
    return ""


def region_facts(
    region: Mapping[str, Any], record: Mapping[str, Any], legend: Legend
) -> list[Pair]:
    """Returns place, size and confidence of a region of :func:`read_regions`."""
    say, sides = legend.text, record["scale"]["mm_per_pixel"]
    left, top, width, height = region["box"]
    area = None if sides is None else region["pixels"] * sides[0] * sides[1]
    facts = [
        (say("Place"), f"x {left}\N{EN DASH}{left + width}, y {top}\N{EN DASH}{top + height} px"),
        (say("Area"), _area(region["pixels"], area)),
    ]
    if region["length"] is not None:
        # Of pixels that are not square, a length in millimeters depends on its direction.
        is_square = sides is not None and sides[0] == sides[1]
        length = {"length_mm": region["length"] * sides[0]} if is_square else {}
        facts.append((say("Length"), _length({**length, "length_px": region["length"]}, "length")))
    if region["confidence"] is not None:
        facts.append((say("Confidence"), f"{region['confidence']:.2f}"))
        facts.append((say("Likely wrong"), f"{region['wrong']:,.0f} px{_SQUARED}"))
    return facts


def unsure_facts(record: Mapping[str, Any], legend: Legend) -> list[Pair]:
    """Returns what is unsure about a photograph; a fact without a label is a sentence."""
    say, unsure = legend.text, record["unsure"]
    facts = []
    if unsure["share"] is None:
        sentence = "Without confidences: those of the machine do not hold for a corrected map."
        if record.get("reviewed"):
            facts.append(("", say(sentence)))
    else:
        text = f"{percent(unsure['share'])} % {say('of the object')}"
        facts.append((f"{say('Confidence below')} {unsure['below']:g}", text))
    if record["thinnest_line_px"] >= SHRUNK:
        label = say("Lines thinner than this are likely to be lost")
        facts.append((label, f"{record['thinnest_line_px']:.1f} px"))
    if text := unlike_text(record):
        facts.append((say("Unlike the photographs of the training"), text))
    return facts


def unread_facts(record: Mapping[str, Any], legend: Legend) -> list[Pair]:
    """Returns which parts of a photograph the record does not describe."""
    facts = [("", text) for text in record.get("unread") or []]
    if not facts:
        facts = [("", legend.text("Nothing: the whole photograph was read."))]
    pixels = record["width"] * record["height"]
    inside = record.get("object_pixels")
    outside = 1 - inside / pixels if isinstance(inside, int) and pixels else 0
    if outside > 0:
        label = legend.text("Outside the object, and not described")
        facts.append((label, f"{percent(outside)} % {legend.text('of the photograph')}"))
    return facts


def read_changes(folder: Path) -> list[dict[str, Any]]:
    """Reads the changes that apply-review has recorded in a folder; none where it has not.

    Raises:
        InputError: If the file cannot be used.
    """
    path = folder / CHANGES_FILE
    if not path.is_file():
        return []
    try:
        content = parse_json(path)
        problems = list(form_problems(content, {"changes": [_CHANGE_FORM]}, "changes"))
    except (OSError, ValueError) as error:
        problems = [str(error)]
    if not problems:
        rows = content.get("changes", [])
        problems = [f"changes[{i}]: lacks {', '.join(sorted(lacking))}" for i, row in
                    enumerate(rows) if (lacking := _CHANGE_FORM.keys() - row.keys())]  # fmt: skip
    if problems:
        raise InputError(f"{path}: expected the changes of apply-review; apply it again", problems)
    return rows


def reviewer_changes(
    name: str, record: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], legend: Legend
) -> ReviewerChanges | None:
    """Returns what reviewers have done on a photograph; None of a machine's suggestion.

    Raises:
        InputError: If the record does not say it as apply-review does.
    """
    reviewed = record.get("reviewed")
    if reviewed is None:
        return None
    problems = list(form_problems(reviewed, _REVIEWED_FORM, "reviewed"))
    if problems or _REVIEWED_FORM.keys() - reviewed.keys():
        raise InputError(f"{name}.json: 'reviewed' is not as apply-review writes it", problems)
    say = legend.text
    facts = [
        (say("By"), ", ".join(reviewed["by"])),
        (say("Changed pixels"), f"{reviewed['changed_pixels']:,}"),
        (say("Pixels in conflict"), f"{reviewed['conflict_pixels']:,}"),
        (
            say("The whole photograph was reviewed"),
            say("yes" if reviewed["whole_photograph"] else "no"),
        ),
    ]
    own = [row for row in changes if row["photograph"] == name]
    rows = [
        [
            _time(row["at"]),
            say(row["act"]) if row["act"] in ACTS else row["act"],
            row["by"],
            "" if row["region"] is None else str(row["region"]),
            *(_class_name(row[key], legend) for key in ("before", "after")),
            "" if row["pixels"] is None else f"{row['pixels']:,}",
            row["comment"] or "",
        ]
        for row in own[:MOST_CHANGES]
    ]
    return ReviewerChanges(facts, rows, max(len(own) - MOST_CHANGES, 0))


def _class_name(name: str | None, legend: Legend) -> str:
    return legend.sign(name, (0, 0, 0)).name if name else ""


def _time(text: str) -> str:
    """Returns a time to the minute, or as it is written."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text
