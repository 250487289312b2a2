"""Two photographs of one object compared: the list of changes is that of what was drawn."""

import csv
import json
import math
import shutil

import cv2
import numpy as np
import pytest

from mmseg_heritage.apis.condition.change_files import COLUMNS, SCHEMA
from mmseg_heritage.apis.condition.comparing_photographs import compare_photographs
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.images import image_files
from mmseg_heritage.registration.homographies import moved

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that all tests share."""
    return tmp_path_factory.mktemp("compared")


@pytest.fixture
def found(pair, predicted, place):
    """JSON files of the predictions of BEFORE, AFTER and of another object."""
    folder = place / "found"
    files = [folder / f"{name}.json" for name in (EVIL, "after", "other")]
    if not folder.exists():
        maps = (*pair.maps, np.zeros(pair.images[2].shape[:2], np.uint8))
        for file, ids, image in zip(files, maps, pair.images, strict=True):
            predicted(folder, file.stem, ids, pixels=image, mm_per_pixel=0.5)
        record = json.loads(files[1].read_text(encoding="utf-8"))
        record["made_with"]["checkpoint_sha256"] = "d" * 64
        files[1].write_text(json.dumps(record), encoding="utf-8")
    return files


_DONE = {}


@pytest.fixture
def compared(found, place):
    """BEFORE and AFTER compared, into the folder ``changes``; read only."""
    if place not in _DONE:
        _DONE[place] = compare_photographs(found[0], found[1], place / "changes")
    return _DONE[place]


def rows_of(out):
    with (out / "changes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_changes_are_those_that_were_drawn(pair, compared):
    done, out = compared, compared.page.parent
    back = moved(done.registration.matrix, moved(pair.there, np.array([[50.0, 60], [250, 190]])))
    assert np.abs(back - ([50, 60], [250, 190])).max() < 1
    rows = rows_of(out)
    where = {
        (row["class"], row["change"]): (int(row["left"]) + int(row["width"]) / 2,
                                        int(row["top"]) + int(row["height"]) / 2)
        for row in rows
    }  # fmt: skip
    expected = {
        ("Peel", "new"): (150, 150), ("Peel", "grown"): (150, 60), ("Peel", "unchanged"): (60, 60),
        ("Staining", "shrunk"): (230, 70), ("Staining", "gone"): (60, 150),
        ("Cracks", "grown"): (148, 185),
    }  # fmt: skip
    assert where.keys() == expected.keys()
    for key, place in expected.items():
        assert np.abs(np.subtract(where[key], place)).max() < 2, key
    for row in rows:
        values = {key: float(row[f"{key}_px"]) for key in ("before", "after", "tolerance")}
        difference = float(row["difference_px"])
        assert difference == values["after"] - values["before"]
        if row["change"] == "unchanged":
            assert abs(difference) <= values["tolerance"]
        assert float(row["difference_mm2"]) == pytest.approx(difference / 4)
    crack = next(row for row in rows if row["class"] == "Cracks")
    assert float(crack["before_length_px"]) == pytest.approx(163, abs=4)
    assert float(crack["after_length_px"]) == pytest.approx(218, abs=5)


def test_what_is_written(compared):
    done, out = compared, compared.page.parent
    assert "different models" in done.remarks[0]
    content = json.loads((out / "changes.json").read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA
    rows = rows_of(out)
    assert tuple(rows[0]) == COLUMNS == tuple(content["changes"][0])
    assert [r["class"] for r in rows] == [c["class"] for c in content["changes"]]
    found = content["registration"]
    error = math.hypot(found["residual_px"], found["spread_px"])
    error += math.sqrt(0.5) * (1 + found["after_pixel_px"])
    assert content["error_px"] == pytest.approx(error, abs=0.002)
    assert sum(content["classes"]["Peel"][kind] for kind in ("new", "grown", "unchanged")) == 3
    page = done.page.read_text(encoding="utf-8")
    assert EVIL not in page
    assert "&lt;img src=x" in page
    before, after = (cv2.imread(str(out / f"{name}.jpg")) for name in ("before", "after"))
    assert before.shape == after.shape
    inner = np.s_[40:160, 40:240]
    gray = [image[inner].mean(axis=2).ravel() for image in (before, after)]
    assert np.corrcoef(gray)[0, 1] > 0.9  # AFTER lies where BEFORE is
    layer = cv2.imread(str(out / "before_damage.png"), cv2.IMREAD_UNCHANGED)
    assert layer[60, 60, 3] > 0 == layer[10, 10, 3]


def test_a_part_of_the_object(pair, predicted, tmp_path):
    folder = tmp_path / "found"
    predicted(folder, "before", pair.maps[0][40:, 40:], pixels=pair.images[0][40:, 40:].copy())
    predicted(folder, "after", pair.maps[0][:, :130], pixels=pair.images[0][:, :130].copy())
    done = compare_photographs(folder / "before.json", folder / "after.json", tmp_path / "out")
    kinds = {change.kind for change in done.changes}
    assert kinds == {"unchanged", "only before"}
    assert any(change.is_cut for change in done.changes)  # the crack goes on
    back = compare_photographs(folder / "after.json", folder / "before.json", tmp_path / "back")
    assert {change.kind for change in back.changes} == {"unchanged", "only after"}
    alone = [change for change in back.changes if change.kind == "only after"]
    assert sorted(change.box[:2] for change in alone) == sorted(
        change.box[:2] for change in done.changes if change.kind == "only before"
    )


def test_others_are_refused_with_the_reason(found, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["compare-photographs", str(found[0]), str(found[2]), "--out", str(out)]
    assert main(arguments) == 2
    assert "do both show the same object?" in capsys.readouterr().err
    assert not out.exists()
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_what_cannot_be_compared(pair, predicted, found, tmp_path, monkeypatch):
    out = tmp_path / "out"
    blank = np.full((200, 200, 3), 128, np.uint8)
    folder = tmp_path / "found"
    predicted(folder, "blank", np.zeros((200, 200), np.uint8), pixels=blank)
    photograph = folder.parent / "photos" / "blank.png"
    for before, after, options, said in (
        (found[0], folder / "blank.json", {}, "AFTER shows too little"),
        (folder / "blank.json", found[0], {}, "BEFORE shows too little"),
        (photograph, found[0], {}, "give --checkpoint"),
        (tmp_path, found[0], {}, "is no file"),
        (tmp_path / "nowhere.jpg", found[0], {}, "no such file"),
        (found[0], found[1], {"border_error": -1}, "--border-error -1"),
        (found[0], found[1], {"min_pixels": 0}, "--min-pixels 0"),
        (found[0], found[1], {"dpi": 0}, "--dpi 0"),
        (found[0], found[1], {"photos": "nowhere"}, "no such folder"),
    ):
        with pytest.raises(InputError) as error:
            compare_photographs(before, after, out, **options)
        assert said in str(error.value)
    (tmp_path / "text.json").write_text("{}")
    with pytest.raises(InputError, match="expected the JSON file of a prediction"):
        compare_photographs(found[0], tmp_path / "text.json", out)
    monkeypatch.setenv(image_files.MAX_MEGAPIXELS_VARIABLE, "0.01")
    with pytest.raises(InputError, match=r"cannot be registered|more than"):
        compare_photographs(found[0], found[1], out)
    assert not out.exists()


def test_other_classes_are_refused(pair, predicted, tmp_path):
    folder = tmp_path / "found"
    predicted(folder, "one", pair.maps[0], pixels=pair.images[0])
    record = json.loads((folder / "one.json").read_text(encoding="utf-8"))
    row = record["classes"][3]
    record["quantities"]["Mold"] = record["quantities"].pop(row["name"])
    row["name"] = "Mold"
    (folder / "two.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="Dust, Mold are of one only"):
        compare_photographs(folder / "one.json", folder / "two.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_earlier_comparison_is_replaced_when_asked(found, compared, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        compare_photographs(found[0], found[0], out, overwrite=True)
    shutil.rmtree(out)
    shutil.copytree(compared.page.parent, out)
    with pytest.raises(InputError, match="--overwrite"):
        compare_photographs(found[0], found[0], out)
    done = compare_photographs(found[0], found[0], out, overwrite=True)
    # The same photograph: nothing has changed.
    assert {row["change"] for row in rows_of(out)} == {"unchanged"}
    assert done.error == pytest.approx(math.sqrt(2), abs=0.15)


@pytest.mark.slow
def test_photographs_of_8_and_16_bits_are_predicted(pair, tiny_run, tmp_path, capsys):
    (tmp_path / "2020").mkdir()
    (tmp_path / "2026").mkdir()
    before, after = tmp_path / "2020" / "wall.png", tmp_path / "2026" / "wall.png"
    cv2.imwrite(str(before), pair.images[0][..., ::-1])
    cv2.imwrite(str(after), pair.images[1][..., ::-1].astype(np.uint16) * 257)
    out = tmp_path / "out"
    arguments = [str(before), str(after), "--checkpoint", str(tiny_run.checkpoint)]
    assert main(["compare-photographs", *arguments, "--out", str(out), "--dpi", "300"]) == 0
    assert "registered:" in capsys.readouterr().out
    content = json.loads((out / "changes.json").read_text(encoding="utf-8"))
    assert content["scale"]["mm_per_pixel"][0] == pytest.approx(25.4 / 300)
    for name in ("before", "after"):
        assert (out / "predicted" / name / "wall_classes.png").is_file()
