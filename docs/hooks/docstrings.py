"""Docstrings as Markdown: an extension of griffe, which reads them for mkdocstrings.

Docstrings follow OpenMMLab: Google style, with the roles of Sphinx (``:class:`X```, ``:math:`x```)
and its blocks (``.. math::``, ``::``). Markdown has no such roles.
"""

import re
from textwrap import dedent
from typing import Any

from griffe import Extension, Module, NameResolutionError, Object

_MATH_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. math::\n(?P<latex>(?:(?P=indent) +.*\n|\s*\n)+)", re.MULTILINE
)
_MATH = re.compile(r":math:`([^`]+)`")
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)\.?([\w.]+)`")
_LITERAL_BLOCK = re.compile(r"::$", re.MULTILINE)


class MarkdownDocstrings(Extension):
    """Rewrites every docstring of a package once all of it is read."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Called by griffe."""
        _rewrite(pkg)


def _rewrite(obj: Object) -> None:
    if obj.docstring is not None:
        obj.docstring.value = _as_markdown(obj.docstring.value, obj)
    for member in obj.members.values():
        if not member.is_alias:
            _rewrite(member)


def _as_markdown(text: str, obj: Object) -> str:
    text = _MATH_BLOCK.sub(_as_formula, text + "\n")
    text = _MATH.sub(r"$\1$", text)
    text = _ROLE.sub(lambda found: _as_link(found, obj), text)
    return _LITERAL_BLOCK.sub(":", text).rstrip("\n")


def _as_formula(found: re.Match[str]) -> str:
    indent = found["indent"]
    lines = dedent(found["latex"]).strip().splitlines()
    return "\n".join(f"{indent}{line}" for line in ["$$", *lines, "$$", "", ""])


def _as_link(found: re.Match[str], obj: Object) -> str:
    """Links a name where a page of the site describes it; elsewhere it is only set as code."""
    is_short, name = found.groups()
    try:
        path = obj.resolve(name)
    except NameResolutionError:
        path = name
    shown = name.rpartition(".")[2] if is_short else name
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'
