"""Reviews applied to the predictions of a folder: maps, tables, records, and a set to train on."""

import csv
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.apis.reviews.applying_reviews import apply_review
from mmseg_heritage.apis.reviews.predicted_photographs import find_predictions
from mmseg_heritage.apis.reviews.reviewing import review
from mmseg_heritage.cli import main
from mmseg_heritage.cli.apply_review import EXIT_CONFLICTS
from mmseg_heritage.dataprep.class_file import find_classes
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_maps import write_large_class_map
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.review.review_file import SCHEMA
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.files import sha256, write_json

CRACK = {"class": "Cracks", "box": [5, 5, 20, 6], "pixels": 120, "number": 1}
PEEL = {"class": "Peel", "box": [30, 10, 6, 6], "pixels": 36, "number": 2}


@pytest.fixture
def found(tmp_path, predicted):
    """Folder with the predictions of two photographs, one in a folder below."""
    ids = np.zeros((40, 50), np.uint8)
    ids[5:11, 5:25], ids[10:16, 30:36], ids[35:] = 9, 2, 255
    folder = tmp_path / "found"
    predicted(folder, "wall/north", ids, mm_per_pixel=0.5)
    return predicted(folder, "floor", ids)


@pytest.fixture
def reviewed(found):
    """Function that writes a review of the predictions."""

    def write(name, *acts, by="AB", **facts):
        photographs = {
            one.name: {**one.hashes(), "width": 50, "height": 40, **facts}
            for one in find_predictions(found).values()
        }
        done = [
            {"id": f"{hash((name, i)) % 2**40:010x}", "by": by,
             "at": f"2026-11-28T10:00:{i:02d}+00:00", "photograph": "wall/north", **act}
            for i, act in enumerate(acts)
        ]  # fmt: skip
        path = found.parent / f"{name}.json"
        content = {"schema": SCHEMA, "run": "0", "exported": "", "photographs": photographs}
        write_json(path, {**content, "acts": done})
        return path

    return write


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_maps_tables_and_the_record_of_changes(found, reviewed, tmp_path):
    path = reviewed(
        "one",
        {"kind": "relabel", "region": CRACK, "class": "Scratch"},
        {"kind": "reject", "region": PEEL},
        {"kind": "paint", "class": "Stamp", "radius": 2, "points": [[40, 25], [44, 25]]},
        {"kind": "comment", "region": PEEL, "text": "=a reflection"},
    )
    before = read_mask(found / "wall" / "north_classes.png")
    done = apply_review([path], found, tmp_path / "new")
    after = read_mask(tmp_path / "new" / "wall" / "north_classes.png")
    expected = before.copy()
    expected[5:11, 5:25], expected[10:16, 30:36] = 4, 0
    y, x = np.mgrid[:40, :50] + 0.5
    expected[np.hypot(y - 25, x - np.clip(x, 40, 44)) <= 2] = 11
    assert np.array_equal(after, expected)
    assert done.photographs == {"wall/north": int((after != before).sum())}
    assert done.not_reviewed == ["floor"]
    areas = {row["class"]: row for row in rows_of(tmp_path / "new" / "areas.csv")}
    assert areas["Scratch"]["pixels"] == "120"
    assert float(areas["Scratch"]["area_mm2"]) == 30
    assert (areas["Peel"]["pixels"], areas["Cracks"]["regions"]) == ("0", "0")
    regions = rows_of(tmp_path / "new" / "regions.csv")
    assert [(r["class"], r["pixels"]) for r in regions] == [("Scratch", "120"), ("Stamp", "28")]
    assert {r["mean_confidence"] for r in regions} == {""}
    changes = rows_of(tmp_path / "new" / "changes.csv")
    assert [(c["act"], c["before"], c["after"], c["pixels"], c["kept"]) for c in changes] == [
        ("relabel", "Cracks", "Scratch", "120", "120"),
        ("reject", "Peel", "Clean", "36", "36"),
        ("paint", "Clean", "Stamp", "28", "28"),
        ("comment", "", "", "0", "0"),
    ]
    assert {c["by"] for c in changes} == {"AB"}
    assert changes[3]["comment"] == "'=a reflection"  # no formula
    assert changes[0]["at"] == "2026-11-28T10:00:00+00:00"
    record = json.loads((tmp_path / "new" / "changes.json").read_text("utf-8"))
    assert record["reviews"][0]["sha256"] == sha256(path)
    assert len(record["changes"]) == 4
    review(tmp_path / "new", photos=tmp_path / "photos" / "wall")  # it can be reviewed again


def test_reviews_of_other_predictions_are_refused(found, reviewed, tmp_path):
    one = reviewed("one", {"kind": "accept", "region": CRACK}, class_map_sha256="0" * 64)
    two = reviewed("two", {"kind": "accept", "region": CRACK}, width=51, image_sha256="0" * 64)
    with pytest.raises(InputError, match="is not what was reviewed") as caught:
        apply_review([one, two], found, tmp_path / "new")
    assert "with another class map" in caught.value.problems[0]
    assert "with another photograph, another size" in caught.value.problems[1]
    assert not (tmp_path / "new").exists()


def test_what_does_not_fit_is_said_at_once(found, reviewed, tmp_path):
    path = reviewed(
        "one",
        {"kind": "accept", "region": {**CRACK, "pixels": 7}},
        {"kind": "paint", "class": "Crack", "radius": 2, "points": [[4, 5]]},
        {"kind": "accept", "region": PEEL, "photograph": "floor"},
    )
    with pytest.raises(InputError) as caught:
        apply_review([path], found, tmp_path / "new", data_set=tmp_path / "set")
    assert len(caught.value.problems) == 2
    assert "did you mean Cracks or" in caught.value.problems[1]
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "set").exists()


def test_conflicts_have_a_table_and_an_exit_code(found, reviewed, tmp_path, capsys):
    paths = [
        str(reviewed("one", {"kind": "reject", "region": CRACK})),
        str(reviewed("two", {"kind": "accept", "region": CRACK}, by="CD")),
    ]
    given = ["apply-review", *paths, "--predictions", str(found)]
    assert main([*given, "--out", str(tmp_path / "new")]) == EXIT_CONFLICTS
    said = capsys.readouterr().out
    assert "1 conflict; these pixels stay as predicted" in said
    assert "AB 2026-11-28T10:00:00+00:00: reject" in said
    assert (read_mask(tmp_path / "new" / "wall" / "north_classes.png") == 9).sum() == 120
    rows = rows_of(tmp_path / "new" / "changes.csv")
    assert [(r["act"], r["pixels"], r["kept"]) for r in rows] == [
        ("reject", "120", "0"),
        ("accept", "120", "120"),
    ]
    final = str(reviewed("final", {"kind": "reject", "region": CRACK}, by="EF"))
    assert main([*given, "--final", final, "--out", str(tmp_path / "agreed")]) == 0
    assert not (read_mask(tmp_path / "agreed" / "wall" / "north_classes.png") == 9).any()


def test_an_earlier_copy_of_a_review_is_left_out(found, reviewed, tmp_path):
    acts = [{"kind": "accept", "region": CRACK}, {"kind": "reject", "region": CRACK}]
    last = reviewed("one", *acts)
    content = json.loads(last.read_text("utf-8"))
    first = tmp_path / "earlier.json"
    write_json(first, {**content, "acts": content["acts"][:1]})
    done = apply_review([last, first], found, tmp_path / "new")
    assert done.conflicts == {}
    assert done.photographs == {"wall/north": 120}
    assert "left out" in done.notes[0]


@pytest.mark.parametrize("finish", [False, True])
@pytest.mark.parametrize("unreviewed", ["keep", "ignore"])
def test_a_set_to_train_on(found, reviewed, tmp_path, unreviewed, finish):
    acts = [
        {"kind": "reject", "region": CRACK},
        {"kind": "erase", "radius": 1, "points": [[2, 30]]},
    ] + [{"kind": "finish"}] * finish
    two = reviewed("two", {"kind": "accept", "region": CRACK}, by="CD")
    one = reviewed("one", *acts)
    root = tmp_path / "set"
    apply_review([one, two], found, tmp_path / "new", data_set=root, unreviewed=unreviewed)
    (sample,) = read_folder(root)
    assert sample.id == "wall_north"
    assert sha256(sample.image) == sha256(tmp_path / "photos" / "wall" / "north.png")
    assert find_classes(root) == ARTEFACT
    mask = read_mask(sample.annotation)
    assert (mask[5:11, 5:25] == 255).all()  # of which the two say different things
    assert (mask[29:31, 1:3] == 0).all()
    is_kept = unreviewed == "keep" or finish
    assert (mask[10:16, 30:36] == (2 if is_kept else 255)).all()
    assert (mask == 255).sum() == (120 + 5 * 50 if is_kept else 2000 - 4)


def test_what_was_not_decided_stays_so_and_is_not_trained_on(tmp_path, predicted, reviewed, found):
    ids = np.zeros((40, 50), np.uint8)
    ids[5:11, 5:25], ids[:4], ids[35:] = 9, 254, 255
    found = predicted(found, "wall/north", ids)
    acts = [{"kind": "finish"}, {"kind": "paint", "class": "Peel", "radius": 1, "points": [[2, 2]]}]
    apply_review([reviewed("one", *acts)], found, tmp_path / "new", data_set=tmp_path / "set")
    (sample,) = read_folder(tmp_path / "set")
    mask = read_mask(sample.annotation)
    assert (mask[:4] == 255).sum() + (mask[:4] == 2).sum() == 200
    written = np.asarray(Image.open(tmp_path / "new" / "wall" / "north_classes.png"))
    assert (written == 254).sum() == (mask[:4] == 255).sum() < 200
    rows = {row["class"]: row for row in rows_of(tmp_path / "new" / "areas.csv")}
    assert int(rows["Not decided"]["pixels"]) == (written == 254).sum()
    assert rows_of(tmp_path / "new" / "changes.csv")[-1]["before"] == "Not decided"


BAR = {"kind": "scale", "points": [[5, 10], [35, 10]], "length": 1.5, "unit": "cm"}


def test_two_points_give_the_scale(found, reviewed, tmp_path):
    one = reviewed("one", {**BAR, "length": 9}, BAR, {"kind": "finish"})
    two = reviewed("two", {**BAR, "points": [[5, 10], [25, 10]]}, by="CD")
    done = apply_review([one], found, tmp_path / "new")
    record = json.loads((tmp_path / "new" / "wall" / "north.json").read_text())
    assert record["scale"]["mm_per_pixel"] == [0.5, 0.5]
    assert "two points in the review page (1.5 cm, AB 2026-11-28" in record["scale"]["source"]
    rows = [r for r in rows_of(tmp_path / "new" / "areas.csv") if r["class"] == "Peel"]
    assert [float(row["area_mm2"]) for row in rows] == [36 * 0.25]
    assert rows[0]["scale_source"] == record["scale"]["source"]
    changes = rows_of(tmp_path / "new" / "changes.csv")
    assert [(row["act"], row["comment"]) for row in changes[:2]] == [
        ("scale", "9 cm"), ("scale", "1.5 cm"),
    ]  # fmt: skip
    assert done.notes == []
    for final, expected in ((None, 0.5), (two, 0.75)):
        out = tmp_path / f"both {expected}"
        done = apply_review([one, two] if final is None else [one], found, out, final=final)
        assert "different scales" in done.notes[-1]
        record = json.loads((out / "wall" / "north.json").read_text())
        assert record["scale"]["mm_per_pixel"] == [expected, expected]


def test_a_set_within_the_corrected_maps_is_refused(found, reviewed, tmp_path):
    path = reviewed("one", {"kind": "accept", "region": CRACK})
    for other in (tmp_path / "new", tmp_path / "new" / "set", tmp_path):
        with pytest.raises(InputError, match=r"nor around it|holds other files"):
            apply_review([path], found, tmp_path / "new", data_set=other)
    assert not (tmp_path / "new").exists()


def test_scans_that_are_read_in_parts(tmp_path, predicted, monkeypatch):
    ids = np.zeros((700, 500), np.uint8)
    ids[5:11, 5:25] = 9
    folder = predicted(tmp_path / "found", "scan", ids)
    record = json.loads((folder / "scan.json").read_text("utf-8"))
    (folder / "scan_classes.png").unlink()
    write_large_class_map(folder / "scan_classes.tif", ids, ARTEFACT.colors)
    image = tmp_path / "photos" / "scan.tif"
    tifffile.imwrite(image, np.full((700, 500, 3), 99, np.uint8), photometric="rgb", tile=(64, 64))
    record["files"]["class_map"] = "scan_classes.tif"
    write_json(folder / "scan.json", {**record, "image": str(image), "image_sha256": sha256(image)})
    monkeypatch.setenv("MMSEG_HERITAGE_MAX_MEGAPIXELS", "0.1")
    made = review(folder)
    assert len(list((made.page.parent / "data" / "1").rglob("*.jpg"))) == 2 + 1
    (one,) = find_predictions(folder).values()
    path = tmp_path / "review.json"
    who = {"by": "AB", "at": "2026-11-28T10:00:00Z", "photograph": "scan"}
    act = {"id": "00000001", "kind": "reject", "region": CRACK, **who}
    facts = {**one.hashes(), "width": 500, "height": 700}
    write_json(path, {"schema": SCHEMA, "photographs": {"scan": facts}, "acts": [act]})
    apply_review([path], folder, tmp_path / "new")
    assert not tifffile.imread(tmp_path / "new" / "scan_classes.tif").any()


def test_own_classes_go_into_the_set(tmp_path, predicted, own_set):
    classes = find_classes(own_set)
    ids = np.zeros((30, 40), np.uint8)
    ids[5:11, 5:25] = 7
    folder = predicted(tmp_path / "found", "wall", ids, classes)
    (one,) = find_predictions(folder).values()
    path = tmp_path / "review.json"
    who = {"by": "AB", "at": "2026-11-28T10:00:00Z", "photograph": "wall"}
    region = {"class": "Mold", "box": [5, 5, 20, 6], "pixels": 120, "number": 1}
    act = {"id": "00000001", "kind": "relabel", "region": region, "class": "Salt", **who}
    facts = {**one.hashes(), "width": 40, "height": 30}
    write_json(path, {"schema": SCHEMA, "photographs": {"wall": facts}, "acts": [act]})
    apply_review([path], folder, tmp_path / "new", data_set=tmp_path / "set")
    found = find_classes(tmp_path / "set")
    assert (found.names, found.ids, found.colors) == (classes.names, classes.ids, classes.colors)
    mask = read_mask(tmp_path / "set" / "annotations" / "wall.png", classes=found)
    assert (mask == 3).sum() == 120
    assert (read_mask(tmp_path / "new" / "wall_classes.png", classes=found) == 3).sum() == 120


def test_nothing_is_written_without_acts_or_photographs(found, reviewed, tmp_path):
    with pytest.raises(InputError, match="hold no acts"):
        apply_review([reviewed("none")], found, tmp_path / "new")
    path = reviewed("one", {"kind": "accept", "region": CRACK})
    (tmp_path / "photos" / "wall" / "north.png").unlink()
    with pytest.raises(InputError, match="cannot become a data set") as caught:
        apply_review([path], found, tmp_path / "new", data_set=tmp_path / "set")
    assert "--photos" in caught.value.problems[0]
    assert not (tmp_path / "new").exists()
    apply_review([path], found, tmp_path / "new")  # maps alone need no photographs
