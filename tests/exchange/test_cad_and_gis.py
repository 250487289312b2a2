"""DXF read by ezdxf, GeoPackage by GDAL."""

import sys

import numpy as np
import pytest
import shapely

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.cad_and_gis import require, write_dxf, write_geopackage


def test_a_layer_of_dxf_for_each_class_in_mm_and_y_up(own_map, outlines, tmp_path):
    ezdxf = pytest.importorskip("ezdxf", reason='DXF, of the extra "all": pip install ezdxf')
    path = tmp_path / "map.dxf"
    write_dxf(path, own_map, outlines(own_map))
    document, auditor = ezdxf.recover.readfile(path) if hasattr(ezdxf, "recover") else (None, None)
    document = document or ezdxf.readfile(path)
    auditor = auditor or document.audit()
    assert not auditor.has_errors
    assert document.units == 4  # mm
    names = {"Mold_salt": 7, "Grieta_fina_": 3}
    assert {layer.dxf.name for layer in document.layers} >= set(names)
    height = own_map.class_map.shape[0]
    for name, class_id in names.items():
        lines = document.modelspace().query(f'LWPOLYLINE[layer=="{name}"]')
        assert all(line.closed for line in lines)
        # Borders run one way, holes the other: areas add up.
        rings = [np.array(line.get_points("xy")) / 0.25 for line in lines]
        areas = [shapely.Polygon(r).area * (1 if shapely.is_ccw(shapely.LinearRing(r)) else -1)
                 for r in rings]  # fmt: skip
        assert abs(sum(areas)) == np.count_nonzero(own_map.class_map == class_id)
        corners = np.concatenate(rings)
        rows, _ = np.nonzero(own_map.class_map == class_id)
        assert corners[:, 1].max() == height - rows.min()


def test_gdal_reads_the_geopackage(own_map, outlines, tmp_path):
    pyogrio = pytest.importorskip("pyogrio", reason='of the extra "all": pip install pyogrio')
    path = tmp_path / "map.gpkg"
    regions = outlines(own_map)
    write_geopackage(path, own_map, regions)
    assert [name for name, _ in pyogrio.list_layers(path)] == ["damage"]
    meta, _, geometries, columns = pyogrio.raw.read(path)
    polygons = shapely.from_wkb(geometries)
    assert shapely.is_valid(polygons).all()
    table = dict(zip(meta["fields"], columns, strict=True))
    assert np.array_equal(shapely.area(polygons), table["area_px"])
    assert set(table["class"]) == {"Mold & salt", 'Grieta "fina"'}
    assert shapely.total_bounds(polygons).tolist() == [0, -60, 83, 0]
    write_geopackage(tmp_path / "none.gpkg", own_map, [])
    assert len(pyogrio.raw.read(tmp_path / "none.gpkg")[2]) == 0


def test_what_to_install_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ezdxf", None)
    with pytest.raises(InputError, match=r"dxf needs ezdxf .*: pip install ezdxf"):
        require("ezdxf", "dxf")
