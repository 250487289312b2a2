"""A legend of one's own: names of the classes in any language, colors, hatches, symbols, terms.

The file may come from anyone: it is read with limits, and what it says is shown as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.json_files import read_own_or_shipped, unknown_keys
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, BACKGROUND, CLEAN, Color, color_of_hex, hex_color
from mmseg_heritage.utils.json_reading import form_problems
from mmseg_heritage.utils.text import did_you_mean
from mmseg_heritage.visualization.condition.record_texts import PHRASES, is_line

SCHEMA = "mmseg_heritage/legend/1"
SHIPPED = Path(__file__).with_name("legends")
"""Folder of the legends that come with the package."""
HATCHES = ("diagonal", "back-diagonal", "horizontal", "vertical", "crossed", "grid", "dots")
SYMBOLS = ("circle", "square", "triangle", "diamond", "plus", "cross")
MAX_TEXT = 300
_KEYS = ("schema", "about", "language", "classes", "texts")
_SIGN_KEYS = ("name", "color", "hatch", "symbol", "term", "note")
_FORM = {
    "about": str, "language": str, "texts": {str: str},
    "classes": {str: dict.fromkeys(_SIGN_KEYS, str)},
}  # fmt: skip
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_TERM = re.compile(r"https?://[^\s<>\"'\\]+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")


@dataclass(frozen=True)
class Sign:
    """How a class is shown.

    Attributes:
        name: What it is called.
        color: sRGB, 0..255.
        hatch: One of :data:`HATCHES` that is drawn over its regions; empty for none.
        symbol: One of :data:`SYMBOLS` that is drawn on its largest regions; empty for none.
        term: Address of the term in a vocabulary, http or https; empty for none.
        note: What the class is, in a sentence; empty for nothing.
    """

    name: str
    color: Color
    hatch: str = ""
    symbol: str = ""
    term: str = ""
    note: str = ""


@dataclass(frozen=True)
class Legend:
    """What a legend file says.

    Attributes:
        classes: Name of a class -> what is said of it, keys of :class:`Sign`.
        texts: English phrase of the record -> what is written instead.
        language: Of the texts and names, a tag of BCP 47.
    """

    classes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"

    @property
    def direction(self) -> str:
        """Direction of writing, 'ltr' or 'rtl'."""
        return "rtl" if self.language.split("-")[0].lower() in _RIGHT_TO_LEFT else "ltr"

    def text(self, phrase: str) -> str:
        """Returns a phrase of the record in the words of the legend."""
        return self.texts.get(phrase, phrase)

    def sign(self, class_name: str, color: Sequence[int]) -> Sign:
        """Returns how a class is shown.

        Args:
            class_name: Its name in the predictions.
            color: What it has where the legend says none.
        """
        said: dict[str, Any] = dict(self.classes.get(class_name, {}))
        own = said.pop("color", hex_color(color))
        return Sign(**{"name": class_name, **said, "color": color_of_hex(own)})


def read_legend(source: str | Path, class_names: Sequence[str]) -> Legend:
    """Reads a legend.

    Args:
        source: File, or the name of one of :data:`SHIPPED`.
        class_names: Classes of the predictions.

    Raises:
        InputError: If there is no such legend, or with all that is wrong in it. A class that
            neither the predictions nor ARTeFACT have is wrong: it would be left out silently.
    """
    path, content = read_own_or_shipped(source, SHIPPED, SCHEMA, "a legend")
    problems = [*unknown_keys(content, _KEYS), *form_problems(content, _FORM, "legend")]
    if not problems:
        problems = [*_class_problems(content.get("classes", {}), class_names)]
        problems += _text_problems(content)
    if problems:
        raise InputError(f"{path}: the legend cannot be used", problems)
    return Legend(
        content.get("classes", {}), content.get("texts", {}), content.get("language", "en")
    )


def _class_problems(classes: Mapping[str, Any], class_names: Sequence[str]) -> Iterator[str]:
    known = dict.fromkeys([*class_names, *ARTEFACT.names])
    named: dict[str, str] = {}
    for class_name, sign in classes.items():
        place = f"classes.{class_name[:60]}"
        if class_name not in known:
            yield f"{place}: no such class{did_you_mean(class_name, known)}"
        if class_name in (CLEAN, BACKGROUND.name):
            yield f"{place}: is no damage, and not shown; leave it out"
        yield from unknown_keys(sign, _SIGN_KEYS, f"{place}.")
        name = sign.get("name", class_name)
        if (other := named.setdefault(name.casefold(), class_name)) != class_name:
            yield f"{place}.name: '{name[:60]}' is the name of {other} too"
        if "color" in sign and not _HEX.fullmatch(sign["color"]):
            yield f'{place}.color: expected "#rrggbb", found {sign["color"][:40]!r}'
        for key, values in (("hatch", HATCHES), ("symbol", SYMBOLS)):
            if (found := sign.get(key, "")) not in ("", *values):
                hint = did_you_mean(found, values)
                yield f"{place}.{key}: expected {', '.join(values)}, found {found[:40]!r}{hint}"
        if "term" in sign and not _TERM.fullmatch(sign["term"]):
            yield f"{place}.term: expected an address (https://...), found {sign['term'][:80]!r}"
        for key in ("name", "note", "term"):
            if key in sign and (problem := _line_problem(sign[key])):
                yield f"{place}.{key}: {problem}"


def _text_problems(content: Mapping[str, Any]) -> Iterator[str]:
    for phrase, text in content.get("texts", {}).items():
        if phrase not in PHRASES:
            yield f"texts: no phrase '{phrase[:80]}'{did_you_mean(phrase, PHRASES)}"
        if problem := _line_problem(text):
            yield f"texts.{phrase[:80]}: {problem}"
    language = content.get("language", "en")
    if not _LANGUAGE.fullmatch(language):
        yield f"language: expected a tag such as 'es' or 'pt-BR', found {language[:40]!r}"


def _line_problem(text: str) -> str:
    if not text.strip() or not is_line(text, MAX_TEXT):
        return f"expected a line of 1 to {MAX_TEXT} characters, found {text[:60]!r}"
    return ""
