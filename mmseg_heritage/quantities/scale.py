"""How many millimeters of the object a pixel is, and whether that can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.dataprep.metadata_table import Row, read_metadata
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.metadata import Resolution
from mmseg_heritage.utils.text import did_you_mean

INCH = 25.4  # millimeters
_COLUMN = "photograph"
_LARGEST, _SMALLEST = 20_000.0, 2.0  # millimeters of a long side that are not questioned
_DEFAULTS = (72.0, 96.0)  # dots per inch that programs write where they know none
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": INCH}
"""Millimeters of what a person may type."""
_NEAR = 1.0  # dots per inch: 28 dots per centimeter are 71.1, and stand for 72
_MOST_UNEQUAL = 2.0  # times that a pixel of a file is longer than wide


@dataclass(frozen=True)
class Scale:
    """Millimeters of the object for each pixel, as displayed.

    Attributes:
        across: Of the width of a pixel.
        down: Of its height.
        source: Where this was found, in words.
    """

    across: float
    down: float
    source: str

    @property
    def pixel_area(self) -> float:
        """Square millimeters of a pixel."""
        return self.across * self.down

    def size(self, width: int, height: int) -> tuple[float, float]:
        """Returns width and height of a photograph in millimeters."""
        return width * self.across, height * self.down


@dataclass(frozen=True)
class FoundScale:
    """The scale of a photograph, or why it has none.

    Attributes:
        scale: None where none can be believed.
        remark: Why there is none, or what is odd about the one that was given; empty if nothing.
        in_file: Whether it was found in the file.
    """

    scale: Scale | None
    remark: str = ""
    in_file: bool = False

    def content(self) -> dict[str, Any]:
        """Returns this for JSON."""
        scale = self.scale
        return {
            "mm_per_pixel": None if scale is None else [scale.across, scale.down],
            "source": None if scale is None else scale.source,
            "in_file": self.in_file,
            "remark": self.remark or None,
        }

    @classmethod
    def of_content(cls, content: Mapping[str, Any]) -> FoundScale:
        """Returns what :meth:`content` was made from."""
        sides = content["mm_per_pixel"]
        scale = None if sides is None else Scale(sides[0], sides[1], content["source"] or "")
        return cls(scale, content["remark"] or "", content["in_file"])


def scale_of_dpi(dpi: float, source: str) -> Scale:
    """Returns the scale of so many dots for each inch of the object."""
    return Scale(INCH / dpi, INCH / dpi, source)


def given_scale(dpi: float | None, mm_per_pixel: float | None) -> Scale | None:
    """Returns the scale that was given for all photographs, None if there is none.

    Raises:
        InputError: If both are given, or one is no number above 0.
    """
    if dpi is not None and mm_per_pixel is not None:
        raise InputError("--dpi and --mm-per-pixel both give the scale; give one of them")
    for option, value in (("--dpi", dpi), ("--mm-per-pixel", mm_per_pixel)):
        if value is not None and not _is_positive(value):
            raise InputError(f"{option} {value}: expected a number above 0")
    if dpi is not None:
        return scale_of_dpi(dpi, f"--dpi {dpi:g}")
    if mm_per_pixel is not None:
        return Scale(mm_per_pixel, mm_per_pixel, f"--mm-per-pixel {mm_per_pixel:g}")
    return None


def find_scale(
    given: Scale | None, found: Sequence[Resolution], size: tuple[int, int]
) -> FoundScale:
    """Decides on the scale of a photograph.

    Args:
        given: By the user for this photograph or for all; it is taken, and questioned where it
            makes the photograph larger than 20 m or smaller than 2 mm.
        found: What the file says of its resolution; taken only where it can be believed.
        size: Width and height of the photograph in pixels.
    """
    if given is not None:
        question = why_absurd(given, size)
        return FoundScale(given, f"{question}; is that right?" if question else "")
    if not found:
        return FoundScale(None, f"the file tells no resolution; {_ADVICE}")
    believed = {}
    doubts = []
    for resolution in found:
        doubt = _doubt(resolution, size)
        if doubt:
            doubts.append(doubt)
        else:
            believed[resolution] = _scale(resolution)
    if not believed:
        return FoundScale(None, f"{'; '.join(dict.fromkeys(doubts))}; {_ADVICE}")
    first = next(iter(believed.values()))
    other = [scale for scale in believed.values() if not _is_near(scale.across, first.across)]
    if other:
        return FoundScale(
            None, f"the file tells two: {first.source} and {other[0].source}; {_ADVICE}"
        )
    return FoundScale(first, in_file=True)


def scale_of_points(
    points: Sequence[Sequence[float]], millimeters: float, before: Scale | None, source: str
) -> Scale:
    """Returns the scale at which two points, such as the ends of a scale bar, are so far apart.

    Args:
        points: Two of (x, y) in pixels, at different places.
        millimeters: Between them.
        before: Of the photograph, whose pixels need not be square; None for square ones.
        source: In words.
    """
    (left, top), (right, bottom) = points
    ratio = 1.0 if before is None else before.down / before.across
    across = millimeters / math.hypot(right - left, (bottom - top) * ratio)
    return Scale(across, across * ratio, source)


_ADVICE = "give --dpi, --mm-per-pixel or --scales"


def _scale(resolution: Resolution) -> Scale:
    return Scale(INCH / resolution.across, INCH / resolution.down, str(resolution))


def _doubt(resolution: Resolution, size: tuple[int, int]) -> str:
    """Says why the resolution in a file cannot be that of the object; empty if it can."""
    across, down = resolution.across, resolution.down
    if not (_is_positive(across) and _is_positive(down)):
        return f"{resolution} is no resolution"
    near = [d for d in _DEFAULTS if abs(across - d) <= _NEAR and abs(down - d) <= _NEAR]
    if near:
        return f"{resolution} is what programs write that know no scale"
    if max(across, down) > _MOST_UNEQUAL * min(across, down):
        return f"{resolution}: pixels so much longer than wide are not believed"
    if resolution.by_camera:
        return f"{resolution} was written by a camera, which does not know how far the object is"
    return why_absurd(_scale(resolution), size)


def why_absurd(scale: Scale, size: tuple[int, int]) -> str:
    """Says why a scale cannot be that of a photograph of a size in pixels; empty if it can."""
    width, height = scale.size(*size)
    if not _SMALLEST <= max(width, height) <= _LARGEST:
        return f"{scale.source} makes the photograph {in_words(width)} by {in_words(height)}"
    return ""


def in_words(millimeters: float) -> str:
    """Returns a length as '40.2 m', '31.5 cm' or '0.8 mm'."""
    if millimeters >= 1000:
        return (
            f"{millimeters / 1000:,.3g} m" if millimeters < 1e6 else f"{millimeters / 1000:,.0f} m"
        )
    return f"{millimeters / 10:.3g} cm" if millimeters >= 10 else f"{millimeters:.2g} mm"


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= 0.01 * max(one, other)


def _is_positive(value: float) -> bool:
    return 0 < value < 1e9


def read_scales(path: str | Path, names: Mapping[str, str]) -> tuple[dict[str, Scale], list[str]]:
    """Reads the scales of photographs from a table.

    The table is a CSV with the columns ``photograph`` (name of the file, with or without its ending
    and the folders above it) and ``mm_per_pixel`` or ``dpi``, or both, one of which is filled in.

    Args:
        path: The table.
        names: Name of each photograph in the results -> that of its file.

    Returns:
        Name in the results -> scale; and a remark for each row that is of no photograph.

    Raises:
        InputError: With all that is wrong with the table.
    """
    path, faults = Path(path), list[Fault]()
    columns, rows = read_metadata(path, faults, _COLUMN)
    problems = [fault.message for fault in faults]
    if not path.is_file():
        problems.append("no such file")
    elif rows is not None and not {"mm_per_pixel", "dpi"} & set(columns):
        problems.append(f"expected a column mm_per_pixel or dpi, found {', '.join(columns)}")
    known = {other: name for name, file in names.items() for other in _forms(name, file)}
    scales, remarks = {}, []
    for label, row in ({} if problems else rows or {}).items():
        scale, problem = _of_row(row, path)
        name = known.get(label.replace("\\", "/"))
        if problem:
            problems.append(f"{label}: {problem}")
        elif name is None:
            hint = did_you_mean(label, names.values())
            remarks.append(f"{path}: '{label}' is none of the photographs{hint}")
        elif scale is not None:
            scales[name] = scale
    if problems:
        raise InputError(
            f"{path}: expected a table of scales, such as photograph,mm_per_pixel", problems
        )
    return scales, remarks


def _forms(name: str, file: str) -> set[str]:
    """Returns what a table may call a photograph: 'a/b', 'a/b.tif', 'b.tif' or 'b'."""
    folder = name.rpartition("/")[0]
    with_ending = f"{folder}/{file}" if folder else file
    return {with_ending, name, file, Path(file).stem}


def _of_row(row: Row, path: Path) -> tuple[Scale | None, str]:
    """Returns the scale in a row, and what is wrong with it."""
    texts = {key: row.get(key) or "" for key in ("mm_per_pixel", "dpi")}
    filled = {key: text for key, text in texts.items() if text}
    if not filled:
        return None, ""
    if len(filled) == 2:
        return None, "both mm_per_pixel and dpi are given; leave one empty"
    ((key, text),) = filled.items()
    try:
        value = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        value = 0.0
    if not _is_positive(value):
        return None, f"{key}: expected a number above 0, found '{text}'"
    source = f"{path.name}, {key} {value:g}"
    if key == "dpi":
        return scale_of_dpi(value, source), ""
    return Scale(value, value, source), ""
