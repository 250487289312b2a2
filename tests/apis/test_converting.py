"""Converting many maps: what is found, what is refused, and what goes on all the same."""

import json

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis.converting import convert
from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.writers import FORMATS, Settings
from mmseg_heritage.images.writing import write_class_map
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.files import write_json

PLAIN = [name for name in FORMATS if name not in ("dxf", "gpkg")]


def save(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)


@pytest.fixture
def maps(tmp_path):
    """Folder of two class maps of ARTeFACT, and the photograph of one in another folder."""
    ids = np.zeros((30, 40), np.uint8)
    ids[5:20, 6:30], ids[8:12, 8:12], ids[25:] = 9, 0, 255
    for name in ("a", "b b"):
        save(tmp_path / "maps" / f"{name}.png", ids)
    save(tmp_path / "photos" / "a.jpg", np.zeros((30, 40, 3), np.uint8))
    return tmp_path


def prediction(folder, of_classes, ids, **changes):
    """Writes a map and its record as predict does."""
    folder.mkdir()
    colors, values = of_classes.colors, of_classes.ids
    write_class_map(folder / "wall_classes.png", ids, colors, values)
    save(folder / "wall_overlay.png", np.zeros((8, 8, 3), np.uint8))
    record = {
        "schema": "mmseg_heritage/prediction/6",
        "image": "photos/wall.jpg",
        "width": ids.shape[1],
        "height": ids.shape[0],
        "area_share": dict.fromkeys(of_classes.names, 0.1),
        "classes": [
            {"name": c.name, "id": c.id, "color": list(c.color)} for c in of_classes.classes
        ],
        **changes,
    }
    write_json(folder / "wall.json", {k: v for k, v in record.items() if v is not None})


def test_all_formats_of_a_folder(maps):
    done, problems = convert(maps / "maps", PLAIN, maps / "out", images=maps / "photos")
    assert problems == []
    assert [(one.name, one.size, one.regions) for one in done] == [
        ("a", (40, 30), 2),
        ("b b", (40, 30), 2),
    ]
    names = {path.name for path in (maps / "out").iterdir()}
    assert {
        f"{n}{e}" for n in ("a", "b b") for e in (".svg", ".ora", ".geojson", "_layers")
    } < names
    assert {"coco.json", "cvat.zip", "region_list.csv", "label_studio.xml"} < names
    assert 'href="../photos/a.jpg"' in (maps / "out" / "a.svg").read_text("utf-8")
    lines = (maps / "out" / "region_list.csv").read_text("utf-8-sig").splitlines()
    assert lines[1].startswith("a,1,Cracks,9,344,,0.286667,6,5,30,20,")


def test_a_prediction_says_its_classes(tmp_path, own_set):
    from mmseg_heritage.dataprep.class_file import find_classes

    classes = find_classes(own_set)
    ids = np.tile(np.array([0, 1, 2], np.uint8), (4, 5))  # training ids: Mold, Clean, Salt
    scale = {"mm_per_pixel": [0.5, 0.5], "source": "--mm-per-pixel 0.5"}
    prediction(tmp_path / "found", classes, ids, scale=scale)
    done, _ = convert(tmp_path / "found", ["geojson"], tmp_path / "out")
    assert [one.name for one in done] == ["wall"]  # and not its overlay
    content = json.loads((tmp_path / "out" / "wall.geojson").read_text("utf-8"))
    assert content["mmseg_heritage"]["mm_per_pixel"] == 0.5
    found = [(f["properties"]["class"], f["properties"]["class_id"]) for f in content["features"]]
    assert found == [("Mold", 7)] * 5 + [("Salt", 3)] * 5
    assert content["features"][0]["properties"]["area_mm2"] == 1
    convert(tmp_path / "found" / "wall_classes.png", ["svg"], tmp_path / "out")
    assert (tmp_path / "out" / "wall.svg").is_file()


def test_an_older_prediction_needs_its_classes(tmp_path, own_set):
    from mmseg_heritage.dataprep.class_file import find_classes

    ids = np.zeros((4, 5), np.uint8)
    prediction(tmp_path / "own", find_classes(own_set), ids, classes=None)
    with pytest.raises(InputError, match="no map could be converted") as caught:
        convert(tmp_path / "own", ["svg"], tmp_path / "out")
    assert "give their file with --classes" in caught.value.problems[0]
    convert(tmp_path / "own", ["svg"], tmp_path / "out", classes=own_set / "classes.json")
    prediction(tmp_path / "known", ARTEFACT, ids, classes=None)
    convert(tmp_path / "known", ["geojson"], tmp_path / "out")


def test_nothing_is_replaced_unasked(maps):
    convert(maps / "maps", ["layers", "svg", "cvat"], maps / "out")
    before = (maps / "out" / "a.svg").stat().st_mtime_ns
    with pytest.raises(InputError, match="already there") as caught:
        convert(maps / "maps", ["svg", "layers", "cvat"], maps / "out")
    assert len(caught.value.problems) == 5
    assert (maps / "out" / "a.svg").stat().st_mtime_ns == before
    convert(maps / "maps", ["layers", "svg", "cvat"], maps / "out", overwrite=True)
    assert (maps / "out" / "a.svg").stat().st_mtime_ns != before
    assert not [path for path in (maps / "out").iterdir() if path.name.startswith(".")]


def test_a_bad_map_does_not_end_the_others(maps):
    (maps / "maps" / "c.png").write_bytes(b"no image")
    save(maps / "maps" / "d.png", np.full((3, 3), 77, np.uint8))
    done, problems = convert(maps / "maps", ["coco", "svg"], maps / "out")
    assert [one.name for one in done] == ["a", "b b"]
    assert len(problems) == 2
    assert str(maps / "maps" / "c.png") in problems[0]
    assert "expected class ids 0..15 or 255, found 77" in problems[1]
    assert len(json.loads((maps / "out" / "coco.json").read_text())["images"]) == 2


def test_nothing_is_left_where_no_map_can_be_read(tmp_path):
    save(tmp_path / "maps" / "d.png", np.full((3, 3), 77, np.uint8))
    with pytest.raises(InputError, match="no map could be converted"):
        convert(tmp_path / "maps", ["coco", "cvat", "svg"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_photograph_of_another_size_is_refused(maps):
    save(maps / "photos" / "a.jpg", np.zeros((10, 10, 3), np.uint8))
    done, problems = convert(maps / "maps", ["ora"], maps / "out", images=maps / "photos")
    assert [one.name for one in done] == ["b b"]
    assert "has 10x10 pixels, and the map 40x30" in problems[0]


@pytest.mark.parametrize(
    ("formats", "more", "message"),
    [
        (["swg"], {}, "did you mean svg"),
        ([], {}, "expected formats"),
        (["svg"], {"mm_per_pixel": -1}, "--mm-per-pixel: expected a number above 0"),
        (["svg"], {"mm_per_pixel": float("nan")}, "--mm-per-pixel"),
        (["svg"], {"settings": Settings(error=float("nan"))}, "--error"),
        (["svg"], {"settings": Settings(max_corners=2)}, "--max-corners: expected at least 8"),
        (["svg"], {"settings": Settings(min_area=0)}, "--min-area: expected at least 1"),
        (["svg"], {"images": "nowhere"}, "--images: nowhere: no such folder"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(formats, more, message, maps):
    with pytest.raises(InputError) as caught:
        convert(maps / "maps", formats, maps / "out", **more)
    assert message in str(caught.value)
    assert not (maps / "out").exists()


def test_what_is_no_map_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        convert([tmp_path / "empty", tmp_path / "none"], ["svg"], tmp_path / "out")
    assert [p.rpartition(": ")[2] for p in caught.value.problems] == [
        "holds no class map (PNG, TIFF)",
        "no such file or folder",
    ]


@pytest.mark.slow
def test_what_predict_writes_is_converted(tiny_run, tmp_path):
    from mmseg_heritage.apis.predicting import predict
    from mmseg_heritage.exchange.damage_map import Legend
    from mmseg_heritage.exchange.readers import find_readers

    photographs = sorted((tiny_run.data / "images").iterdir())[:2]
    predict(tiny_run.checkpoint, photographs, tmp_path / "found")
    exact = Settings(error=0)
    done, problems = convert(tmp_path / "found", PLAIN, tmp_path / "out", settings=exact)
    assert (len(done), problems) == (2, [])
    for name, (_, reader) in find_readers("svg", tmp_path / "out").items():
        ids = np.asarray(Image.open(tmp_path / "found" / f"{name}_classes.png"))
        assert np.array_equal(reader(ids.shape[::-1], Legend(ARTEFACT)).class_map, ids)
