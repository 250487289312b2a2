"""What the values of masks may mean: a mapping to be shown to the user before it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.dataprep.class_file import IGNORE
from mmseg_heritage.dataprep.importing.coded_masks import Coder, read_coded_mask
from mmseg_heritage.dataprep.importing.label_mapping import (
    SCHEMA,
    SHIPPED,
    LabelMapping,
    load_mapping,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import image_header
from mmseg_heritage.taxonomy import ARTEFACT, CLEAN, IGNORE_INDEX, hex_color
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.text import did_you_mean
from mmseg_heritage.utils.threads import run_in_threads

MAX_CLASSES = 40
"""More values than this in hand-made masks come from soft edges, smooth resizing or JPEG."""
_MAIN = 0.001  # share of all pixels from which on a value is listed as one that was meant
_DARK, _BRIGHT = 64, 192  # between these, gray levels are the soft edges of two-valued masks
_SOFT = 0.05  # share of all pixels that such edges have at most
_SOFT = 0.05  # share of all pixels that such edges have at most

_COLOR_NAMES = {
    "black": 0x000000, "white": 0xFFFFFF, "gray": 0x808080, "red": 0xFF0000, "green": 0x00A000,
    "lime": 0x00FF00, "blue": 0x0000FF, "yellow": 0xFFFF00, "magenta": 0xFF00FF, "cyan": 0x00FFFF,
    "orange": 0xFF8000, "brown": 0x804000, "purple": 0x800080, "pink": 0xFFA0C0,
}  # fmt: skip


@dataclass(frozen=True)
class MaskValues:
    """The values that the masks of a folder hold.

    Attributes:
        in_color: Whether they are colors, red * 65536 + green * 256 + blue.
        pixels: Value -> pixels with it in all masks.
        masks: Value -> masks that have it.
    """

    in_color: bool
    pixels: Counter[int]
    masks: Counter[int]

    def text(self, value: int) -> str:
        """Returns a value as a mapping writes it."""
        return f"#{value:06x}" if self.in_color else str(value)

    def share(self, value: int) -> float:
        """Returns the share of all pixels that have a value, 0..1."""
        return self.pixels[value] / sum(self.pixels.values())


def read_values(masks: Sequence[Path], bar: Bar = no_bar) -> MaskValues:
    """Counts the values of masks.

    Args:
        masks: Images; of one kind, all with colors or all without.
        bar: Shows progress.

    Raises:
        InputError: With all masks that cannot be read.
    """
    problems: list[str] = []
    in_color = any(_mode(mask, problems) == "RGB" for mask in masks)
    anything = LabelMapping("", (), in_color, "", {})

    def count(mask: Path) -> Counter[int] | None:
        coder = Coder(anything)
        try:
            read_coded_mask(mask, None, coder)
        except InputError as error:
            problems.append(str(error))
            return None
        return coder.unmapped

    with bar("reading the masks") as report:
        found = run_in_threads(count, masks, report)
    if problems:
        raise InputError("masks cannot be read", sorted(set(problems)))
    pixels: Counter[int] = Counter()
    in_masks: Counter[int] = Counter()
    for counts in filter(None, found):
        pixels.update(counts)
        in_masks.update(dict.fromkeys(counts, 1))
    if in_color and all(value % 0x010101 == 0 for value in pixels):  # gray, stored as colors
        in_color = False
        pixels = Counter({value & 255: number for value, number in pixels.items()})
        in_masks = Counter({value & 255: number for value, number in in_masks.items()})
    return MaskValues(in_color, pixels, in_masks)


def _mode(mask: Path, problems: list[str]) -> str:
    try:
        return image_header(mask).mode
    except InputError as error:
        problems.append(str(error))
        return ""


def propose_mapping(
    values: MaskValues, name: str, names: Mapping[str, str], suffix: str = ""
) -> dict[str, Any]:
    """Says what mask values may mean.

    The value that most pixels have, 0 and black before others, is Clean; 255 beside other gray
    values is "ignore". All values that are colors of ARTeFACT's legend have its names; others are
    called after their color or number.

    Args:
        values: Of the masks.
        name: Of the data set.
        names: Value as a mapping writes it -> class, where the user has said so.
        suffix: Of the names of masks.

    Returns:
        Content of a mapping file, see :mod:`mmseg_heritage.dataprep.importing.label_mapping`.

    Raises:
        InputError: If there are too many values, none but one, or names for values that no mask
            has.
    """
    named = {text.lower(): meaning for text, meaning in names.items()}
    content: dict[str, Any] = {"schema": SCHEMA, "name": name}
    if suffix:
        content["masks"] = {"suffix": suffix}
    if len(values.pixels) > MAX_CLASSES:
        return content | _two_valued(values, named)
    texts = {values.text(value): value for value in sorted(values.pixels)}
    if unknown := [text for text in named if text not in texts]:
        raise InputError(
            "names were given for values that no mask has",
            [f"{text}{did_you_mean(text, texts)}; found {', '.join(texts)}" for text in unknown],
        )
    legend = load_mapping(SHIPPED / "artefact_colors.json").content["values"]
    if values.in_color and not named and set(texts) <= set(legend):
        return content | {"values": {text: legend[text] for text in texts}}
    if len(texts) < 2:
        raise InputError(
            f"all masks hold one value only, {', '.join(texts)}; expected at least two, one for "
            "what is not damaged"
        )
    meanings = _meanings(values, texts, named)
    return content | {"classes": _classes(meanings, values), "values": meanings}


def _two_valued(values: MaskValues, named: Mapping[str, str]) -> dict[str, Any]:
    """Proposes limits for black and white masks with soft edges; refuses others.

    Raises:
        InputError: If the values cannot be told apart.
    """
    between = sum(values.share(value) for value in values.pixels if _DARK <= value < _BRIGHT)
    if values.in_color or max(values.pixels) > IGNORE_INDEX or between > _SOFT:
        main = [v for v, _ in values.pixels.most_common(20) if values.share(v) >= _MAIN]
        raise InputError(
            f"the masks hold {len(values.pixels)} values, more than anybody paints: soft brushes, "
            "smooth resizing or JPEG make colors between those that were meant. Paint with a hard "
            "brush, save as PNG, resize without interpolation. Most pixels have these",
            [f"{values.text(v)}: {100 * values.share(v):.1f} % of the pixels" for v in main],
        )
    if unknown := [text for text in named if text not in ("0", "255")]:
        raise InputError(
            f"these masks are black and white with soft edges: names go to 0 and 255, found "
            f"{', '.join(unknown)}"
        )
    meanings = {"<128": named.get("0", CLEAN), ">=128": named.get("255", "Damage")}
    return {"classes": [{"name": n} for n in _ordered(meanings)], "values": meanings}


def _meanings(
    values: MaskValues, texts: Mapping[str, int], named: Mapping[str, str]
) -> dict[str, str]:
    """Returns value -> meaning, for those that the user has not named too."""
    meanings = dict(named)
    left = [text for text in texts if text not in named]
    if CLEAN not in meanings.values() and left:
        black = values.text(0)
        clean = black if black in left else max(left, key=lambda text: values.pixels[texts[text]])
        meanings[clean] = CLEAN
        left.remove(clean)
    outside = values.text(IGNORE_INDEX)
    if not values.in_color and outside in left and len(texts) > 2:
        meanings[outside] = IGNORE
        left.remove(outside)
    if len(left) == 1 and len(texts) == 2 and not values.in_color:
        meanings[left.pop()] = "Damage"
    for text in left:
        plain = _color_name(texts[text]) if values.in_color else f"Class {text}"
        same = sum(used == plain or used.startswith(f"{plain} ") for used in meanings.values())
        meanings[text] = f"{plain} {same + 1}" if same else plain
    return {text: meanings[text] for text in texts}


def _color_name(value: int) -> str:
    """Returns the plain name that is nearest to a color."""
    rgb = np.array([value >> 16, value >> 8 & 255, value & 255])
    distances = {
        name: float(np.linalg.norm(rgb - [c >> 16, c >> 8 & 255, c & 255]))
        for name, c in _COLOR_NAMES.items()
    }
    return min(distances, key=lambda name: distances[name]).capitalize()


def _ordered(meanings: Mapping[str, str]) -> list[str]:
    """Returns the classes, each once, Clean first, without "ignore"."""
    classes = [name for name in dict.fromkeys(meanings.values()) if name != IGNORE]
    return sorted(classes, key=lambda name: name != CLEAN)


def _classes(meanings: Mapping[str, str], values: MaskValues) -> list[dict[str, str]]:
    """Returns the classes with the colors in which they were painted; those of ARTeFACT's, its."""
    official = {c.name: hex_color(c.color) for c in ARTEFACT.classes}
    painted = {
        meaning: text for text, meaning in reversed(list(meanings.items())) if values.in_color
    }
    rows = []
    for name in _ordered(meanings):
        color = painted.get(name) or official.get(name)
        rows.append({"name": name} | ({"color": color} if color and name != CLEAN else {}))
    return rows
