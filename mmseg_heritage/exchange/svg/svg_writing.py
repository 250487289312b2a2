"""SVG with a layer for each class over the linked photograph, for Inkscape and Illustrator."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from mmseg_heritage.exchange.damage_map import FACTS, PHOTOGRAPH, DamageMap, file_name_of
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.taxonomy import IGNORE_INDEX
from mmseg_heritage.utils.files import replacing

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
    ' width="{width}" height="{height}" viewBox="0 0 {w} {h}">\n'
)


def path_data(rings: Iterable[np.ndarray]) -> str:
    """Returns rings as the data of an SVG path, of absolute M, L and Z only.

    Holes run against their border, so that both fill rules leave them out.
    """
    return "".join(f"M{'L'.join(f'{x:g} {y:g}' for x, y in ring.tolist())}Z" for ring in rings)


def write_svg(path: Path, found: DamageMap, outlines: Sequence[Outline]) -> None:
    """Writes a damage map as SVG, in pixels of the photograph; with a scale, in mm on paper.

    What is outside the object is in a layer that is hidden at first.
    """
    width, height = found.size
    unit = found.mm_per_pixel
    head = _HEAD.format(
        width=f"{width * unit:g}mm" if unit else width,
        height=f"{height * unit:g}mm" if unit else height,
        w=width,
        h=height,
    )
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(head)
        file.write(f'<metadata id="{FACTS}">{escape(json.dumps(found.facts()))}</metadata>\n')
        if found.photograph:
            link = quoteattr(quote(found.photograph))
            file.write(
                f'<g id="{PHOTOGRAPH}" inkscape:groupmode="layer" inkscape:label="{PHOTOGRAPH}">'
                f'<image x="0" y="0" width="{width}" height="{height}"'
                f' preserveAspectRatio="none" href={link} xlink:href={link}/></g>\n'
            )
        for c in found.drawn:
            color = "#" + bytes(c.color).hex()
            shown = "none" if c.id == IGNORE_INDEX else "inline"
            file.write(
                f'<g id="{file_name_of(c.name)}" inkscape:groupmode="layer"'
                f" inkscape:label={quoteattr(c.name)} fill={quoteattr(color)}"
                f' fill-opacity="0.5" fill-rule="evenodd" style="display:{shown}">\n'
                f"<title>{escape(c.name)}</title>\n"
            )
            for outline in outlines:
                if outline.region.class_id == c.id:
                    data = path_data(outline.rings)
                    file.write(f'<path id="region-{outline.number}" d="{data}"/>\n')
            file.write("</g>\n")
        file.write("</svg>\n")
