"""SVG, drawn by programs that are not ours."""

import io
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.exchange.svg.svg_writing import write_svg

SPACE = {"s": "http://www.w3.org/2000/svg", "i": "{http://www.inkscape.org/namespaces/inkscape}"}


def solid(path):
    """Makes an SVG's layers opaque and sharp, without the photograph, to compare pixels."""
    text = path.read_text("utf-8").replace('fill-opacity="0.5"', 'shape-rendering="crispEdges"')
    text = text.replace("display:none", "display:inline")
    root = ElementTree.fromstring(text)
    for group in root.findall("s:g[@id='Photograph']", SPACE):
        root.remove(group)
    path.write_bytes(ElementTree.tostring(root))


def colors_of(found):
    expected = np.full((*found.class_map.shape, 3), 255, np.uint8)
    for c in found.drawn:
        expected[found.class_map == c.id] = c.color
    return expected


def test_cairo_draws_the_map(artefact_map, outlines, tmp_path):
    cairosvg = pytest.importorskip("cairosvg", reason="draws SVG: pip install cairosvg")
    path = tmp_path / "map.svg"
    write_svg(path, artefact_map, outlines(artefact_map))
    solid(path)
    png = cairosvg.svg2png(url=str(path), background_color="white")
    drawn = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert np.array_equal(drawn, colors_of(artefact_map))


@pytest.mark.slow
def test_chromium_draws_the_map(artefact_map, outlines, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium here")
    path, shot = tmp_path / "map.svg", tmp_path / "shot.png"
    write_svg(path, artefact_map, outlines(artefact_map))
    solid(path)
    width, height = artefact_map.size
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--force-color-profile=srgb", f"--user-data-dir={tmp_path / 'profile'}",
         f"--screenshot={shot}", "--window-size=400,400", path.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    drawn = np.asarray(Image.open(shot).convert("RGB"))[:height, :width]
    assert np.array_equal(drawn, colors_of(artefact_map))


def test_each_class_is_a_layer_of_inkscape(own_map, outlines, tmp_path):
    write_svg(tmp_path / "map.svg", own_map, outlines(own_map))
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    groups = root.findall("s:g", SPACE)
    assert {g.get(SPACE["i"] + "groupmode") for g in groups} == {"layer"}
    assert [g.get(SPACE["i"] + "label") for g in groups] == ["Mold & salt", 'Grieta "fina"']
    assert [g.get("id") for g in groups] == ["Mold_salt", "Grieta_fina_"]
    assert (root.get("viewBox"), root.get("width")) == ("0 0 83 60", "20.75mm")
    assert all(len(g.findall("s:path", SPACE)) > 0 for g in groups)


def test_the_photograph_is_linked_below_and_the_surround_hidden(artefact_map, outlines, tmp_path):
    write_svg(tmp_path / "map.svg", artefact_map, outlines(artefact_map))
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    first, *others = root.findall("s:g", SPACE)
    assert first.find("s:image", SPACE).get("href") == "old%20wall.png"
    hidden = [g.get("id") for g in others if "none" in g.get("style")]
    assert hidden == ["Background"]
