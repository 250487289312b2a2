"""Web Annotations and manifests: what the specifications and known readers ask for."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from mmseg_heritage.exchange.web_annotations import write_annotations, write_manifest

PATH = "{http://www.w3.org/2000/svg}path"


def polygons_of(annotation):
    """Returns border and holes, by a reader that knows absolute M, L and Z only."""
    selector = annotation["target"]["selector"]
    assert selector["type"] == "SvgSelector"
    (path,) = ElementTree.fromstring(selector["value"])
    assert (path.tag, path.get("fill-rule")) == (PATH, "evenodd")
    rings = re.findall(r"M([^MZ]+)Z", path.get("d"))
    assert "".join(f"M{ring}Z" for ring in rings) == path.get("d")
    return [np.array([p.split() for p in ring.split("L")], float) for ring in rings]


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_selectors_are_read_as_polygons_with_holes(artefact_map, outlines, tmp_path, error):
    path = tmp_path / "annotations.json"
    regions = outlines(artefact_map, error)
    write_annotations(path, artefact_map, regions, "https://museum.example/")
    content = json.loads(path.read_text("utf-8"))
    assert len({annotation["id"] for annotation in content}) == len(regions)
    for annotation, outline in zip(content, regions, strict=True):
        assert annotation["@context"] == "http://www.w3.org/ns/anno.jsonld"
        assert annotation["target"]["source"] == "https://museum.example/old%20wall.png"
        border, *holes = polygons_of(annotation)
        assert shapely.Polygon(border, holes).is_valid
        assert np.allclose(border, outline.rings[0])
        assert len(holes) == len(outline.rings) - 1
        assert all(
            shapely.is_ccw(shapely.LinearRing(h)) != shapely.is_ccw(shapely.LinearRing(border))
            for h in holes
        )


def test_the_manifest_has_one_canvas_of_the_photographs_size(artefact_map, outlines, tmp_path):
    path = tmp_path / "old wall_manifest.json"
    write_manifest(path, artefact_map, outlines(artefact_map), "https://museum.example/")
    manifest = json.loads(path.read_text("utf-8"))
    assert manifest["@context"] == "http://iiif.io/api/presentation/3/context.json"
    assert manifest["id"] == "https://museum.example/old%20wall_manifest.json"
    (canvas,) = manifest["items"]
    assert (canvas["width"], canvas["height"]) == artefact_map.size
    ((painting,),) = (page["items"] for page in canvas["items"])
    assert painting["target"] == canvas["id"]
    assert painting["body"]["format"] == "image/png"
    (page,) = canvas["annotations"]
    assert all(a["target"]["source"]["id"] == canvas["id"] for a in page["items"])
    found = {a["body"][0]["value"] for a in page["items"]}
    assert found == {c.name for c in artefact_map.drawn if (artefact_map.class_map == c.id).any()}


NODE_MODULES = "MMSEG_HERITAGE_NODE_MODULES"
"""Folder with @annotorious/annotorious, @iiif/parser and jsdom of npm."""


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(NODE_MODULES) or not shutil.which("node"),
    reason=f"{NODE_MODULES} is not set, or there is no node",
)
def test_annotorious_and_a_iiif_parser_read_them(artefact_map, outlines, tmp_path):
    regions = outlines(artefact_map)
    write_annotations(tmp_path / "a.json", artefact_map, regions)
    write_manifest(tmp_path / "m.json", artefact_map, regions)
    done = subprocess.run(
        ["node", "--input-type=module", "-", tmp_path / "a.json", tmp_path / "m.json"],
        input=Path(__file__).with_name("read_annotations.mjs").read_text("utf-8"),
        cwd=Path(os.environ[NODE_MODULES]).parent,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert (read["type"], read["canvases"]) == ("Manifest", 1)
    assert read["annotations"] == len(regions) + 1  # and the photograph
    for rings, outline in zip(read["rings"], regions, strict=True):
        assert len(rings) == len(outline.rings)
        for ring, expected in zip(rings, outline.rings, strict=True):
            # Some readers repeat the first corner at the end.
            assert np.array_equal(ring[: len(expected)], expected)
