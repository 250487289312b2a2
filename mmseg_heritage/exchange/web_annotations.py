"""W3C Web Annotations, and a IIIF Presentation 3 manifest with them.

Shapes are SVG selectors as the readers of others take them: one ``<path>`` of absolute M, L and Z,
filled by "evenodd", its holes running against the border.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from mmseg_heritage.exchange.damage_map import DamageMap
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.exchange.svg.svg_writing import path_data
from mmseg_heritage.images.formats import READ_FORMATS
from mmseg_heritage.utils.files import replacing

_W3C = "http://www.w3.org/ns/anno.jsonld"
_IIIF = "http://iiif.io/api/presentation/3/context.json"
BASE = "http://localhost:8000/"
"""Where files are thought to be served, unless another address is given."""


def write_annotations(
    path: Path, found: DamageMap, outlines: Sequence[Outline], base: str = BASE
) -> None:
    """Writes a list of W3C Web Annotations, as Annotorious loads it.

    Args:
        path: The file.
        found: The map.
        outlines: Its regions.
        base: Address of the folder that the photograph is served from.
    """
    image = base + quote(found.photograph_name)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, outline in enumerate(outlines):
            annotation = {
                "@context": _W3C,
                **_annotation(found, outline, f"{base}{quote(found.name)}", image),
            }
            file.write(",\n" if number else "\n")
            json.dump(annotation, file, ensure_ascii=False)
        file.write("\n]\n")


def write_manifest(
    path: Path, found: DamageMap, outlines: Sequence[Outline], base: str = BASE
) -> None:
    """Writes a IIIF Presentation 3 manifest of one canvas, with the annotations in it.

    Args:
        path: The file.
        found: The map.
        outlines: Its regions.
        base: Address of the folder that the photograph and this file are served from.
    """
    width, height = found.size
    photograph = found.photograph_name
    root = f"{base}{quote(found.name)}"
    canvas = f"{root}/canvas/1"
    suffix = PurePosixPath(photograph).suffix.lower()
    kinds = (kind for kind, endings in READ_FORMATS.items() if suffix in endings)
    painting = {
        "id": f"{root}/painting/1",
        "type": "Annotation",
        "motivation": "painting",
        "body": {
            "id": base + quote(photograph),
            "type": "Image",
            "format": f"image/{next(kinds, 'png').lower()}",
            "width": width,
            "height": height,
        },
        "target": canvas,
    }
    annotations = [
        _annotation(found, outline, root, {"id": canvas, "type": "Canvas"}) for outline in outlines
    ]
    manifest = {
        "@context": _IIIF,
        "id": base + quote(path.name),
        "type": "Manifest",
        "label": {"none": [found.name]},
        "items": [
            {
                "id": canvas,
                "type": "Canvas",
                "label": {"none": [photograph]},
                "width": width,
                "height": height,
                "items": [_page(f"{root}/page/painting", [painting])],
                "annotations": [_page(f"{root}/page/damage", annotations)],
            }
        ],
    }
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, ensure_ascii=False)


def _page(page_id: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": page_id, "type": "AnnotationPage", "items": items}


def _annotation(found: DamageMap, outline: Outline, root: str, source: Any) -> dict[str, Any]:
    c = found.class_of(outline.region.class_id)
    data = path_data(outline.rings)
    shape = f'<path fill-rule="evenodd" d="{data}"/>'
    return {
        "id": f"{root}/region/{outline.number}",
        "type": "Annotation",
        "motivation": "tagging",
        "body": [{"type": "TextualBody", "purpose": "tagging", "value": c.name}],
        "target": {
            "type": "SpecificResource",
            "source": source,
            "selector": {
                "type": "SvgSelector",
                "value": f'<svg xmlns="http://www.w3.org/2000/svg">{shape}</svg>',
            },
        },
    }
