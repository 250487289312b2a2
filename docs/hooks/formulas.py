"""Formulas as MathML: a hook of mkdocs. KaTeX and MathJax would need scripts and fonts."""

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

# As pymdownx.arithmatex writes $...$ and $$...$$.
_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(html: str, **_: Any) -> str:
    """Replaces the formulas of a page, given and returned as HTML."""
    return _FORMULA.sub(_as_mathml, html)


def _as_mathml(found: re.Match[str]) -> str:
    display = "block" if found["tag"] == "div" else "inline"
    return convert(unescape(found["latex"]), display=display)
