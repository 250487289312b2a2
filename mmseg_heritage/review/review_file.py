"""Reading review.json, which a page wrote and anyone may have changed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.dataprep.json_files import read_json, unknown_keys
from mmseg_heritage.errors import InputError
from mmseg_heritage.quantities.scale import UNITS, Scale, scale_of_points, why_absurd
from mmseg_heritage.utils.files import sha256
from mmseg_heritage.utils.json_reading import form_problems

SCHEMA = "mmseg_heritage/review/1"
ACCEPT, REJECT, RELABEL = "accept", "reject", "relabel"
PAINT, ERASE, COMMENT, FINISH, REOPEN = "paint", "erase", "comment", "finish", "reopen"
SCALE = "scale"
DECISIONS = (ACCEPT, REJECT, RELABEL)
STROKES = (PAINT, ERASE)
KINDS = (*DECISIONS, *STROKES, COMMENT, FINISH, REOPEN, SCALE)
LEAST_SCALE = 10.0
"""Pixels between the two points of a scale: a pixel less or more is then a tenth."""
MAX_ACTS = 200_000
MAX_POINTS = 5_000_000
"""Points of all strokes of a file."""
MAX_RADIUS = 2000.0
MAX_DRAWN = 20_000_000_000
"""Pixels that are looked at to draw all strokes of a file: what a person draws is far less."""
MAX_INITIALS = 12
MAX_TEXT = 2000

_REGION_FORM = {"number": int, "class": str, "box": [int], "pixels": int}
_ACT_FORM = {
    "id": str, "photograph": str, "kind": str, "by": str, "at": str, "region": _REGION_FORM,
    "class": str, "radius": float, "points": [[float]], "text": str,
    "length": float, "unit": str,
}  # fmt: skip
_PHOTOGRAPH_FORM = {
    "image_sha256": str, "class_map_sha256": str, "checkpoint_sha256": str, "width": int,
    "height": int,
}  # fmt: skip
_FORM = {"photographs": {str: _PHOTOGRAPH_FORM}, "acts": [_ACT_FORM]}
_KEYS = ("schema", "run", "exported", "photographs", "acts")
_ID = re.compile(r"[0-9a-f]{8,40}")


@dataclass(frozen=True)
class ReviewedRegion:
    """A region of a predicted class map: no other of its class has the same box.

    Attributes:
        number: As in the table of regions.
        class_name: Predicted class.
        box: Left, top, width and height in pixels.
        pixels: Its area.
    """

    number: int
    class_name: str
    box: tuple[int, int, int, int]
    pixels: int


@dataclass(frozen=True)
class Act:
    """What a reviewer did.

    Attributes:
        id: Of this act, different from all others.
        photograph: Name of the photograph.
        kind: One of :data:`KINDS`.
        by: Initials of the reviewer.
        at: When, ISO 8601 with the offset from UTC.
        region: What was decided on or commented; None for strokes and the photograph itself.
        class_name: New class of ``relabel``, class of ``paint``; empty for others.
        radius: Of a stroke, in pixels.
        points: Of a stroke, (x, y) in pixels from the top left corner of the photograph.
        text: A comment.
        length: Of ``scale``: of the object between its two points, in its unit.
        unit: Of the length, one of :data:`mmseg_heritage.quantities.scale.UNITS`.
    """

    id: str
    photograph: str
    kind: str
    by: str
    at: str
    region: ReviewedRegion | None = None
    class_name: str = ""
    radius: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    text: str = ""
    length: float = 0.0
    unit: str = ""

    def scale(self, before: Scale | None) -> Scale:
        """Returns the scale that an act of this kind gives, see :func:`scale_of_points`."""
        millimeters = self.length * UNITS[self.unit]
        source = f"two points in the review page ({self.length:g} {self.unit}, {self.by} {self.at})"
        return scale_of_points(self.points, millimeters, before, source)


@dataclass(frozen=True)
class Review:
    """A file of a reviewer.

    Attributes:
        path: The file.
        sha256: Of the file.
        photographs: Name -> hashes and size of what was reviewed.
        acts: In the order in which they were done.
    """

    path: Path
    sha256: str
    photographs: Mapping[str, Mapping[str, Any]]
    acts: tuple[Act, ...]

    @property
    def reviewers(self) -> str:
        """Initials of those who did something."""
        return ", ".join(dict.fromkeys(act.by for act in self.acts))


def read_review(path: str | Path) -> Review:
    """Reads a file of the review page.

    Raises:
        InputError: If it is none, with all that is wrong in it.
    """
    path = Path(path)
    try:
        content = read_json(path, SCHEMA, "a review, as the review page exports it,")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a review") from error
    problems = [*unknown_keys(content, _KEYS), *form_problems(content, _FORM, "review")]
    problems += [f"'{key}' is missing" for key in ("photographs", "acts") if key not in content]
    if not problems:
        problems += list(_photograph_problems(content["photographs"]))
    if not problems:
        problems += list(_acts_problems(content["acts"], content["photographs"]))
    if problems:
        raise InputError(f"{path}: the review cannot be used", problems)
    acts = tuple(_act(entry) for entry in content["acts"])
    return Review(path, sha256(path), content["photographs"], acts)


def _photograph_problems(photographs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, facts in photographs.items():
        for key in _PHOTOGRAPH_FORM.keys() - facts.keys():
            yield f"photographs.{name}: '{key}' is missing"


def _acts_problems(
    acts: Sequence[Mapping[str, Any]], photographs: Mapping[str, Any]
) -> Iterator[str]:
    if len(acts) > MAX_ACTS:
        yield f"acts: expected at most {MAX_ACTS}, found {len(acts)}"
        return
    points = sum(len(act.get("points", ())) for act in acts)
    if points > MAX_POINTS:
        yield f"acts: expected at most {MAX_POINTS} points of strokes, found {points}"
        return
    drawn = 0.0
    seen: set[str] = set()
    for place, act in enumerate(acts):
        if act.get("id") in seen:
            yield f"acts[{place}]: the id '{act['id']}' is there twice"
        seen.add(act.get("id", ""))
        wrong = list(_act_problems(act, photographs))
        yield from (f"acts[{place}]: {problem}" for problem in wrong)
        if not wrong and act["kind"] in STROKES:
            steps = np.abs(np.diff(act["points"], axis=0, prepend=act["points"][:1]))
            drawn += float((steps + 2 * act["radius"]).prod(axis=1).sum())
    if drawn > MAX_DRAWN:
        yield f"acts: the strokes are larger than anyone draws ({drawn:.2g} pixels in all)"


def _act_problems(act: Mapping[str, Any], photographs: Mapping[str, Any]) -> Iterator[str]:
    kind = act.get("kind", "")
    if kind not in KINDS:
        yield f"kind: expected {', '.join(KINDS)}, found {kind!r}"
        return
    needed = ["id", "photograph", "by", "at"]
    needed += ["region"] if kind in DECISIONS else []
    needed += ["class"] if kind in (RELABEL, PAINT) else []
    needed += ["radius", "points"] if kind in STROKES else []
    needed += ["text"] if kind == COMMENT else []
    needed += ["points", "length", "unit"] if kind == SCALE else []
    if missing := [key for key in needed if key not in act]:
        yield f"{kind}: without {', '.join(missing)}"
        return
    yield from unknown_keys(act, list(_ACT_FORM))
    if not _ID.fullmatch(act["id"]):
        yield f"id: expected 8 to 40 hexadecimal digits, found {act['id'][:50]!r}"
    if act["photograph"] not in photographs:
        yield f"photograph: '{act['photograph'][:100]}' is not among the photographs of the file"
    by = act["by"]
    if not by.strip() or not by.isprintable() or len(by) > MAX_INITIALS:
        yield f"by: expected initials, 1 to {MAX_INITIALS} characters, found {by[:50]!r}"
    if not _is_time(act["at"]):
        yield f"at: expected a date and time with offset (ISO 8601), found {act['at'][:50]!r}"
    if len(act.get("text", "")) > MAX_TEXT:
        yield f"text: expected at most {MAX_TEXT} characters, found {len(act['text'])}"
    if "region" in act:
        yield from _region_problems(act["region"])
    if kind in STROKES and act["photograph"] in photographs:
        yield from _stroke_problems(act, photographs[act["photograph"]])
    if kind == SCALE and act["photograph"] in photographs:
        yield from _scale_problems(act, photographs[act["photograph"]])


def _region_problems(region: Mapping[str, Any]) -> Iterator[str]:
    if missing := _REGION_FORM.keys() - region.keys():
        yield f"region: without {', '.join(sorted(missing))}"
    elif len(region["box"]) != 4 or min(region["box"][:2]) < 0 or min(region["box"][2:]) < 1:
        yield f"region.box: expected left, top, width, height, found {region['box'][:6]}"


def _stroke_problems(act: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    radius, points = act["radius"], act["points"]
    if not 0.5 <= radius <= MAX_RADIUS:
        yield f"radius: expected 0.5 to {MAX_RADIUS:g} pixels, found {radius:g}"
    if not points or any(len(point) != 2 for point in points):
        yield "points: expected at least one pair of x and y"
        return
    size = (facts["width"], facts["height"])
    if any(not -MAX_RADIUS <= v <= n + MAX_RADIUS for p in points
           for v, n in zip(p, size, strict=True)):  # fmt: skip
        yield f"points: expected places on a photograph of {size[0]}x{size[1]} pixels"


def _scale_problems(act: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    points, size = act["points"], (facts["width"], facts["height"])
    if act["unit"] not in UNITS or not 0 < act["length"] < 1e9:
        yield f"scale: expected a length above 0 in {', '.join(UNITS)}"
    elif len(points) != 2 or any(len(point) != 2 for point in points):
        yield f"points: expected the two ends of a length, found {len(points)}"
    elif any(not 0 <= v <= n for p in points for v, n in zip(p, size, strict=True)):
        yield f"points: expected places on a photograph of {size[0]}x{size[1]} pixels"
    elif math.dist(*points) < LEAST_SCALE:
        yield f"points: expected two that are at least {LEAST_SCALE:g} pixels apart"
    elif why := why_absurd(_act({"by": "", "at": "", **act}).scale(None), size):
        yield f"scale: {why}, which is not believed; choose the two points and the length again"


def _is_time(text: str) -> bool:
    try:
        # Python 3.10 does not read the Z that JavaScript writes.
        return datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None
    except ValueError:
        return False


def _act(entry: Mapping[str, Any]) -> Act:
    region = entry.get("region")
    return Act(
        entry["id"],
        entry["photograph"],
        entry["kind"],
        entry["by"],
        entry["at"],
        region
        and ReviewedRegion(
            region["number"], region["class"], tuple(region["box"]), region["pixels"]
        ),
        entry.get("class", ""),
        float(entry.get("radius", 0)),
        tuple((float(x), float(y)) for x, y in entry.get("points", ())),
        entry.get("text", ""),
        float(entry.get("length", 0)),
        entry.get("unit", ""),
    )
