"""GeoJSON, read by shapely and GDAL; and files as people edit them."""

import json

import numpy as np
import pytest
import shapely

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import Legend
from mmseg_heritage.exchange.geojson import read_geojson, write_geojson
from mmseg_heritage.exchange.shapes.filling import fill
from mmseg_heritage.exchange.writers import MAP_FORMATS, Job, Settings
from mmseg_heritage.taxonomy import ARTEFACT

LEGEND = {"classes": ARTEFACT, "rest": "Clean"}


def mask_of(polygons, found, class_id):
    """Returns the pixels within polygons of shapely."""
    height, width = found.class_map.shape
    rings = [np.asarray(r.coords)[:-1] for p in polygons for r in (p.exterior, *p.interiors)]
    return fill(rings, (height, width))


def test_shapely_reads_valid_polygons_of_the_map(artefact_map, outlines, tmp_path):
    path = tmp_path / "map.geojson"
    write_geojson(path, artefact_map, outlines(artefact_map))
    content = json.loads(path.read_text("utf-8"))
    polygons = [shapely.from_geojson(json.dumps(f["geometry"])) for f in content["features"]]
    assert all(p.is_valid for p in polygons)
    for feature, polygon in zip(content["features"], polygons, strict=True):
        assert polygon.area == feature["properties"]["area_px"]
        # RFC 7946: the border counterclockwise, holes clockwise.
        assert shapely.is_ccw(polygon.exterior)
        assert not any(shapely.is_ccw(hole) for hole in polygon.interiors)
    for c in artefact_map.drawn:
        chosen = [
            p
            for f, p in zip(content["features"], polygons, strict=True)
            if f["properties"]["class"] == c.name
        ]
        found = mask_of(chosen, artefact_map, c.id)
        assert np.array_equal(found, artefact_map.class_map == c.id)


def test_gdal_reads_it_as_a_layer(own_map, outlines, tmp_path):
    pyogrio = pytest.importorskip("pyogrio", reason="GDAL: pip install pyogrio")
    path = tmp_path / "map.geojson"
    regions = outlines(own_map, 1.0)
    write_geojson(path, own_map, regions, flip_y=True)
    meta, _, geometries, columns = pyogrio.raw.read(path)
    polygons = shapely.from_wkb(geometries)
    assert shapely.is_valid(polygons).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    left, bottom, right, top = shapely.total_bounds(polygons)
    assert (left, top) == (0, 0) and (right, bottom) == (83, -60)
    areas = dict(zip(meta["fields"], columns, strict=True))
    assert np.allclose(areas["area_mm2"], [o.region.area / 16 for o in regions])


def test_y_up_comes_back_also_without_what_the_file_says(artefact_map, tmp_path):
    """GIS programs drop what they do not know."""
    job = Job(artefact_map, Settings(error=0, flip_y=True), None)
    path = tmp_path / "map.geojson"
    MAP_FORMATS["geojson"].write(path, job)
    world = [float(line) for line in (tmp_path / "old wall.pgw").read_text().split()]
    assert world == [1, 0, 0, -1, 0.5, -0.5]
    content = json.loads(path.read_text("utf-8"))
    del content["mmseg_heritage"]
    path.write_text(json.dumps(content), encoding="utf-8")
    reading = read_geojson(path, artefact_map.size, Legend(**LEGEND))
    assert np.array_equal(reading.class_map, artefact_map.class_map)


def feature(coordinates, name="Cracks", kind="Polygon", **more):
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "properties": {"class": name}, "geometry": geometry, **more}


def read(tmp_path, *features):
    path = tmp_path / "map.geojson"
    content = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_geojson(path, (20, 10), Legend(**LEGEND))


SQUARE = [[[1, 1], [9, 1], [9, 9], [1, 9], [1, 1]]]
HOURGLASS = [[[0, 0], [8, 8], [8, 0], [0, 8], [0, 0]]]


def test_later_features_lie_on_top(tmp_path):
    moved = [[[x + 4, y] for x, y in SQUARE[0]]]
    reading = read(tmp_path, feature(SQUARE), feature([moved], "Fold", "MultiPolygon"))
    assert reading.class_map[2].tolist() == [0, *[9] * 4, *[7] * 8, *[0] * 7]
    assert reading.notes == ["32 pixels in two classes: what was drawn later, on top, counts"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (feature(HOURGLASS, id=17), "feature 17: crosses itself or its holes: Self-intersection"),
        (feature([[[0, 0], [1, 1]]]), "feature 1: expected rings of at least 3 corners"),
        (feature([[[0, "a"], [1, 1], [2, 2]]]), "feature 1: expected rings of [x, y]"),
        (feature([[[0, 1e400], [1, 1], [2, 2]]]), "feature 1: has coordinates that are no pixels"),
        (feature([]), "feature 1: expected rings"),
        (feature([3], kind="Point"), "feature 1: expected a Polygon or MultiPolygon, found Point"),
        (feature(SQUARE, "Crakcs", id="x"), "feature x: 'Crakcs' is no class; did you mean Cracks"),
        (feature(SQUARE, None), "feature 1: has no property 'class'"),
    ],
)
def test_what_cannot_be_read_is_named(given, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, feature(SQUARE, id=0), given) if "1:" not in message else read(
            tmp_path, given
        )
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1
