"""Tables, page and record of a folder of predictions, and the options that they depend on."""

import csv
import json
import re
import shutil
from html import unescape
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis import Predictor, convert, predict
from mmseg_heritage.apis.predicting import _Work
from mmseg_heritage.errors import InputError

ODD = "a <b> #1 (50%) \u00e9"


@pytest.fixture
def photographs(sample_set, tmp_path):
    """Photographs with a believable scale, without one, and in a folder below."""
    folder = tmp_path / "photos"
    (folder / "wall" / "north side").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    with Image.open(sample_set / "images" / "sample_0000.png") as image:
        image.save(folder / "scan.png", dpi=(254, 254))
        image.save(folder / ".hidden" / "no.png")
        image.save(folder / "wall" / "scan.png")
        image.save(folder / "wall" / "north side" / f"{ODD}.png", dpi=(72, 72))
    return folder


def tables(out):
    found = []
    for name in ("areas", "regions"):
        with (out / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            found.append(list(csv.DictReader(file)))
    return found


def test_folders_below_are_looked_into_if_asked(tiny_run, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    written = predict(tiny_run.checkpoint, photographs, out, recursive=True)
    names = ["scan", "wall/scan", f"wall/north side/{ODD}"]
    assert {path.relative_to(out).as_posix() for path in written} == {f"{n}.json" for n in names}
    areas, regions = tables(out)
    assert {row["photograph"] for row in areas} == set(names)
    assert len(areas) == 3 * 16
    for name in names:
        listed = [row for row in regions if row["photograph"] == name]
        own = [row for row in areas if row["photograph"] == name]
        assert len(listed) == sum(int(row["regions"] or 0) for row in own)
        damage = sum(int(row["pixels"]) for row in own if row["class"] != "Clean")
        assert sum(int(row["pixels"]) for row in listed) == damage
    content = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert "to be reviewed" in content["note"]
    assert set(content["photographs"]) == set(names)
    printed = capsys.readouterr().out
    assert "72 dpi (PNG) is what programs write" in printed or "72.009" in printed
    assert "254 dpi (PNG) in the file" in printed
    by_scale = {row["photograph"]: row["area_mm2"] for row in areas if row["class"] == "Clean"}
    pixels = {row["photograph"]: int(row["pixels"]) for row in areas if row["class"] == "Clean"}
    assert float(by_scale["scan"]) == pytest.approx(pixels["scan"] / 100)
    assert by_scale["wall/scan"] == ""
    with pytest.raises(InputError, match="results among the photographs"):
        predict(tiny_run.checkpoint, photographs, photographs / "wall" / "out", recursive=True)


def test_the_page_links_to_files_that_are_there(tiny_run, photographs, tmp_path):
    out = tmp_path / "out"
    (photographs / "wall" / "<script>alert(1)<").mkdir()
    (photographs / "wall" / "<script>alert(1)<" / "x.png").write_bytes(b"bad")
    with pytest.raises(InputError, match="1 of 4 photographs could not be predicted"):
        predict(tiny_run.checkpoint, photographs, out, recursive=True)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    links = re.findall(r'(?:href|src)="([^"#]+)"', page)
    files = [unquote(unescape(link)) for link in links if not link.startswith("data:")]
    assert len(files) > 3 * 6
    assert all(file.startswith("./") and (out / file).is_file() for file in files)
    assert not re.search(r"https?://", page)
    assert "to be reviewed by a conservator" in page


@pytest.mark.slow
def test_a_command_that_was_ended_has_all_rows_in_the_end(
    tiny_run, photographs, tmp_path, monkeypatch
):
    small = _Work._small

    def ended(self, file):
        if len(self.written) == 1:
            raise KeyboardInterrupt
        small(self, file)

    arguments = (tiny_run.checkpoint, photographs, tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_Work, "_small", ended)
        predict(*arguments, recursive=True)
    assert not (tmp_path / "out" / "areas.csv").exists()
    predict(*arguments, recursive=True)
    predict(tiny_run.checkpoint, photographs, tmp_path / "at_once", recursive=True)
    assert tables(tmp_path / "out") == tables(tmp_path / "at_once")


def test_another_scale_measures_the_maps_that_are_there(tiny_run, photographs, tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "scales.csv"
    table.write_text("photograph;mm_per_pixel\nwall/scan;0,5\n")
    predict(tiny_run.checkpoint, photographs, out, recursive=True)
    maps = {path: path.stat().st_mtime_ns for path in out.rglob("*_c*.png")}
    bars = {path: path.read_bytes() for path in out.rglob("*_overlay.*")}
    predict(tiny_run.checkpoint, photographs, out, recursive=True, dpi=25.4, scales=table,
            unsure_below=0.9)  # fmt: skip
    assert "3 of these were measured again" in capsys.readouterr().out
    assert maps == {path: path.stat().st_mtime_ns for path in out.rglob("*_c*.png")}
    assert len(maps) == 6
    predict(tiny_run.checkpoint, photographs, tmp_path / "anew", recursive=True, dpi=25.4,
            scales=table, unsure_below=0.9)  # fmt: skip
    assert tables(out) == tables(tmp_path / "anew")
    for path, before in bars.items():  # drawn again, with another scale bar
        drawn = path.read_bytes()
        assert before != drawn == (tmp_path / "anew" / path.relative_to(out)).read_bytes()
    for name in ("scan", "wall/scan"):
        one, other = (
            json.loads((folder / f"{name}.json").read_text()) for folder in (out, tmp_path / "anew")
        )
        assert one == other
    content = json.loads((out / "wall" / "scan.json").read_text())
    assert content["scale"]["source"] == "scales.csv, mm_per_pixel 0.5"
    assert content["unsure"]["below"] == 0.9


def test_confidences_are_a_map_and_can_be_left_out(tiny_run, photographs, tmp_path):
    photograph = photographs / "scan.png"
    predict(tiny_run.checkpoint, photograph, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "scan.json").read_text())
    sure = np.asarray(Image.open(tmp_path / "out" / "scan_confidence.png")) / 255
    assert content["unsure"] == {"below": 0.7, "share": np.mean(sure < 0.7)}
    options = {"inference.confidence": False}
    predict(tiny_run.checkpoint, photograph, tmp_path / "none", cfg_options=options)
    content = json.loads((tmp_path / "none" / "scan.json").read_text())
    assert content["unsure"]["share"] is None
    assert not (tmp_path / "none" / "scan_confidence.png").exists()
    first, other = (tmp_path / name / "scan_classes.png" for name in ("out", "none"))
    assert first.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_results_of_other_commands_stay_in_the_tables(tiny_run, photographs, tmp_path):
    out = tmp_path / "out"
    predict(tiny_run.checkpoint, photographs / "scan.png", out)
    shutil.copy(photographs / "scan.png", photographs / "other.png")
    predict(tiny_run.checkpoint, photographs / "other.png", out)
    areas, _ = tables(out)
    assert {row["photograph"] for row in areas} == {"scan", "other"}
    shutil.copy(out / "scan.json", out / "third.json")
    whole = json.loads((out / "scan.json").read_text())
    odd = [{"files": 3}, {"files": {"overlay": "../x.png"}}, {"quantities": {"Hair": {}}},
           {"scale": {}}, {"scale": {**whole["scale"], "mm_per_pixel": [1]}},
           {"quantities": {"Hair": {**whole["quantities"]["Peel"], "kind": "line"}}}]  # fmt: skip
    for number, part in enumerate(odd):
        (out / f"odd{number}.json").write_text(json.dumps(whole | part))
    predict(tiny_run.checkpoint, photographs / "other.png", out)
    assert {row["photograph"] for row in tables(out)[0]} == {"scan", "other", "third"}


def test_names_and_options_that_cannot_be_used(tiny_run, photographs, tmp_path):
    (photographs / "scan.png").rename(photographs / "run.png")
    with pytest.raises(InputError, match=r"run\.json says how all results were made"):
        predict(tiny_run.checkpoint, photographs / "run.png", tmp_path / "out")
    for options, message in (
        ({"dpi": 300, "mm_per_pixel": 1}, "give one of them"),
        ({"dpi": -1}, "expected a number above 0"),
        ({"unsure_below": 0}, "expected a probability"),
        ({"scales": tmp_path / "gone.csv"}, "expected a table of scales"),
    ):
        with pytest.raises(InputError, match=message):
            predict(tiny_run.checkpoint, photographs, tmp_path / "out", recursive=True, **options)


def test_where_nothing_is_decided_is_shown_and_counted(tiny_run, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    predictor = Predictor(tiny_run.checkpoint)
    predictor.keep_confidence()
    sure = np.median(predictor(photographs / "scan.png").confidence)
    below = {"inference.abstain_below": float(sure) / 255}
    predict(tiny_run.checkpoint, photographs / "scan.png", out, cfg_options=below)
    values = np.asarray(Image.open(out / "scan_classes.png"))
    undecided = int((values == 254).sum())
    assert 0 < undecided < values.size
    areas, _ = tables(out)
    (row,) = (row for row in areas if row["class"] == "Not decided")
    assert (int(row["pixels"]), row["kind"]) == (undecided, "area")
    assert float(row["area_mm2"]) == pytest.approx(undecided / 100)
    assert sum(int(row["pixels"]) for row in areas) == values.size
    record = json.loads((out / "scan.json").read_text(encoding="utf-8"))
    assert record["undecided"]["share_of_object"] == undecided / record["object_pixels"]
    assert "too little sure to choose a class" in (out / "index.html").read_text("utf-8")
    assert "(not decided)" in capsys.readouterr().out
    # Measured again with another scale, and in other formats, it stays what it is.
    predict(tiny_run.checkpoint, photographs / "scan.png", out, cfg_options=below, dpi=100)
    areas, _ = tables(out)
    assert [int(r["pixels"]) for r in areas if r["class"] == "Not decided"] == [undecided]
    done, problems = convert(out, ["layers"], tmp_path / "layers")
    assert (len(done), problems) == (1, [])
