"""Importing what was drawn or corrected in other programs."""

import json

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.importing.import_folder import import_data
from mmseg_heritage.dataprep.importing.label_mapping import load_mapping
from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import DamageMap
from mmseg_heritage.exchange.writers import COLLECTED_FORMATS, MAP_FORMATS, Job, Settings
from mmseg_heritage.taxonomy import ARTEFACT

PLACES = {"svg": "", "geojson": "", "ora": "", "layers": "", "coco": "coco.json",
          "cvat": "cvat.zip", "label_studio": "label_studio.json"}  # fmt: skip


@pytest.fixture
def photographs(tmp_path):
    """Folder of two photographs, one with a space and a point in its name; and their maps."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    maps = []
    for name in ("Sant Pere.2024 nord", "b"):
        pixels = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
        ids = np.zeros((40, 60), np.uint8)
        ids[5:20, 5:30], ids[8:12, 8:12], ids[30:, :9] = 9, 10, 255
        maps.append(DamageMap(name, ids, ARTEFACT, f"{name}.png"))
    return tmp_path, maps


def write(kind, maps, folder):
    """Writes maps, and returns what is given as masks."""
    jobs = [Job(found, Settings(error=0), None) for found in maps]
    name = kind.replace("_", "-")
    if name in MAP_FORMATS:
        for job in jobs:
            MAP_FORMATS[name].write(folder / f"{job.found.name}{MAP_FORMATS[name].ending}", job)
        return folder
    with COLLECTED_FORMATS[name].write(folder / PLACES[kind]) as writer:
        for job in jobs:
            writer.add(job.found, job.outlines)
    return folder / PLACES[kind]


@pytest.mark.parametrize("kind", PLACES)
def test_what_convert_writes_becomes_a_data_folder(kind, photographs):
    folder, maps = photographs
    masks = write(kind, maps, folder / "drawn")
    imported = import_data(kind, folder / "images", masks, folder / "out")
    assert imported.num_samples == 2
    assert imported.notes == {}
    for found in maps:
        written = np.asarray(Image.open(folder / "out" / "annotations" / f"{found.name}.png"))
        assert np.array_equal(written, found.class_map)
    counts = {
        code.meaning: n for code, n in zip(imported.mapping.codes, imported.pixels, strict=True)
    }
    assert counts["Cracks"] == 2 * (15 * 25 - 16)
    record = json.loads((folder / "out" / "import.json").read_text("utf-8"))
    assert {len(f["annotation"]["source_sha256"]) for f in record["files"]} == {64}


def mapping(folder, **more):
    path = folder / "mapping.json"
    path.write_text(json.dumps({"schema": "mmseg_heritage/mapping/1", **more}))
    return path


def test_names_of_others_partial_maps_and_notes(photographs):
    folder, maps = photographs
    masks = write("svg", maps, folder / "drawn")
    for path in masks.iterdir():
        text = path.read_text("utf-8").replace("Cracks", "Grietas")
        square = '<g id="Dirt"><rect x="4" y="5" width="2" height="1"/></g></svg>'
        path.write_text(text.replace("</svg>", square), encoding="utf-8")
    source = mapping(folder, format="svg", legend={"Grietas": "Cracks"}, rest="ignore")
    imported = import_data(source, folder / "images", masks, folder / "out")
    ids = np.asarray(Image.open(folder / "out" / "annotations" / "b.png"))
    assert set(np.unique(ids)) == {6, 9, 10, 255}
    assert imported.notes["b"] == ["1 pixel in two classes: what was drawn later, on top, counts"]


def test_all_that_is_wrong_is_said_and_can_be_left_out(photographs):
    folder, maps = photographs
    masks = write("coco", maps, folder / "drawn")
    content = json.loads(masks.read_text("utf-8"))
    content["images"][0]["file_name"] = "elsewhere.png"
    content["annotations"][-1]["segmentation"] = [[0, 0, 9, 9, 9, 0, 0, 9]]
    masks.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        import_data("coco", folder / "images", masks, folder / "out")
    assert any("no image 'elsewhere'" in problem for problem in caught.value.problems)
    with pytest.raises(InputError, match="no image is left") as caught:
        import_data("coco", folder / "images", masks, folder / "out", skip_faulty=True)
    assert any("crosses itself" in problem for problem in caught.value.problems)
    assert not (folder / "out").exists()


def test_two_photographs_of_one_name_are_refused(photographs):
    folder, maps = photographs
    masks = write("coco", maps, folder / "drawn")
    content = json.loads(masks.read_text("utf-8"))
    content["images"][0]["file_name"], content["images"][1]["file_name"] = "x/b.png", "y/b.png"
    masks.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        import_data("coco", folder / "images", masks, folder / "out")
    assert "holds two photographs named b.png" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"format": "swg"}, "format: 'swg' is none that is read; did you mean svg?"),
        ({"format": "svg", "values": {"0": "Clean"}}, "have no values"),
        ({"format": "svg", "legend": {"a": "Crack"}}, "'a' means 'Crack', which is no class; did"),
        ({"format": "svg", "rest": "clean"}, "'rest' means 'clean', which is no class"),
        ({"format": "svg", "legend": ["a"]}, "legend: expected names"),
        ({"values": {"0": "Clean"}, "rest": "Clean"}, "rest: is for masks of a 'format'"),
    ],
)
def test_wrong_mappings_are_refused(more, message, tmp_path):
    with pytest.raises(InputError) as caught:
        load_mapping(mapping(tmp_path, **more))
    assert any(message in problem for problem in caught.value.problems), caught.value.problems
