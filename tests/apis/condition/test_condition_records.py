"""Condition records of predictions and of corrected maps, in HTML and DOCX."""

import base64
import io
import json
import re
import sys
import zipfile
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis.condition.condition_records import condition_record
from mmseg_heritage.apis.condition.record_pictures import EDGE, chosen_regions
from mmseg_heritage.apis.reviews.applying_reviews import CHANGES_FILE
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import write_json

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def found(tmp_path, predicted):
    """Predictions of two photographs, of which one has a hostile name."""
    ids = np.zeros((300, 400), np.uint8)
    ids[50:56, 20:220], ids[100:160, 300:360], ids[200:204, 100:104], ids[280:] = 9, 2, 13, 255
    folder = tmp_path / "found"
    predicted(folder, f"wall/{EVIL}", ids, mm_per_pixel=0.5)
    return predicted(folder, "floor", np.zeros((40, 50), np.uint8))


class Text(HTMLParser):
    """Collects text, tags and addresses of a page."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags, self.addresses = [], [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.addresses += [values[key] for key in ("src", "href") if key in values]
        self.words += [values[key] for key in ("value",) if values.get(key)]

    def handle_data(self, data):
        self.words.append(data)


def page_of(path):
    return Text(path.read_text(encoding="utf-8"))


def test_what_a_record_says(found, tmp_path):
    legend = tmp_path / "legend.json"
    term = "http://example.org/term/1"
    sign = {"name": EVIL + "2", "term": term, "hatch": "grid", "symbol": "circle"}
    write_json(legend, {"schema": "mmseg_heritage/legend/1", "classes": {"Peel": sign}})
    made = condition_record(
        found, tmp_path / "out", legend=legend, details=4,
        fields={"inventory NUMBER": "12/3", "Room": EVIL},
    )  # fmt: skip
    assert [file.relative_to(made.out).as_posix() for file in made.files] == [
        "floor.html", f"wall/{EVIL}.html",
    ]  # fmt: skip
    page = page_of(made.files[1])
    for part in (
        "Machine suggestion, to be reviewed by a conservator", "12/3", "900 mm²", "300 mm²",
        "100 mm", "Puncture", "Cracks", "look here first", "among the largest",
        "Outside the object, and not described", "6.67 % of the photograph", "Signature", EVIL,
        "400 x 300 px, 20 cm by 15 cm", "Nothing: the whole photograph was read.",
    ):  # fmt: skip
        assert part in page.text, part
    assert page.tags.count("article") == 3  # there are no more regions
    assert "script" not in page.tags
    assert {a for a in page.addresses if not a.startswith("data:")} == {term}
    assert all(a.startswith(("data:image/", "data:,")) for a in page.addresses if a != term)
    assert "No damage was found." in page_of(made.files[0]).text


def test_pictures_are_of_the_photograph(found, tmp_path):
    made = condition_record(found, tmp_path / "out")
    page = page_of(made.files[1])
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(a.partition(",")[2]))).convert("RGB"))
        for a in page.addresses
        if a.startswith("data:image/jpeg")
    ]
    photograph = np.asarray(Image.open(next((found.parent / "photos" / "wall").iterdir())))
    assert pictures[0].shape == photograph.shape
    difference = pictures[0].astype(int).mean(axis=2) - photograph.mean(axis=2)
    assert np.abs(difference).mean() < 6  # of JPEG, which keeps colors at half the size
    changed = np.abs(pictures[1].astype(int) - pictures[0]).mean(axis=2)
    assert changed[110:150, 310:350].mean() > 20
    assert changed[170:190].mean() < 3
    assert max(pictures[0].shape) <= EDGE


def test_one_record_of_an_object_in_two_formats(found, tmp_path):
    docx = pytest.importorskip("docx")
    made = condition_record(
        found, tmp_path / "out", one_object=True, formats=["docx", "html"], legend="spanish",
        fields={"objeto": "Retablo " + 300 * "x"},
    )  # fmt: skip
    assert [file.name for file in made.files] == ["record.docx", "record.html"]
    page = page_of(made.files[1])
    assert page.tags.count("section") == 3
    document = docx.Document(str(made.files[0]))
    words = [p.text for p in document.paragraphs]
    cells = [c.text for t in document.tables for row in t.rows for c in row.cells]
    for part in (
        "Retablo",
        300 * "x",
        "Informe de estado de conservación",
        "Número de inventario: ___",
    ):
        assert any(part in text for text in words), part
    assert {"Grieta", "Desprendimiento", "Perforación", "Longitud", "100 mm"} <= set(cells)
    assert any(EVIL in text for text in words)
    with zipfile.ZipFile(made.files[0]) as file:
        pictures = [n for n in file.namelist() if n.startswith("word/media/")]
        assert "jpg" in {n.rpartition(".")[2] for n in pictures}
        assert 'TargetMode="External"' not in file.read("word/_rels/document.xml.rels").decode()


def test_without_python_docx(found, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(InputError, match="pip install python-docx"):
        condition_record(found, tmp_path / "out", formats=["docx"])
    assert not (tmp_path / "out").exists()


def test_what_reviewers_have_changed(found, tmp_path):
    name = f"wall/{EVIL}"
    path = found / f"{name}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["reviewed"] = {"by": ["AB", "CD"], "changed_pixels": 1234, "conflict_pixels": 0,
                          "whole_photograph": True}  # fmt: skip
    write_json(path, record)
    row = {"photograph": name, "region": 1, "act": "relabel", "by": "AB",
           "at": "2026-11-28T10:00:07Z", "before": "Cracks", "after": "Scratch", "pixels": 120,
           "comment": EVIL}  # fmt: skip
    write_json(found / CHANGES_FILE, {"changes": [row] * 50})
    page = page_of(condition_record(found, tmp_path / "out", legend="spanish").files[1])
    for part in (
        "Propuesta automática, corregida por AB, CD", "2026-11-28 10:00", "reclasificada",
        "Arañazo", "1,234", "Más cambios, en changes.csv: 10",
    ):  # fmt: skip
        assert part in page.text, part
    for wrong in ("[]", '{"changes": [{"act": 5}]}', '{"changes": [{}]}', "{"):
        (found / CHANGES_FILE).write_text(wrong)
        with pytest.raises(InputError, match=CHANGES_FILE):
            condition_record(found, tmp_path / "out2")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("reviewed", [], "by whom"),
        ("reviewed", {"by": [1]}, "by whom"),
        ("reviewed", {"by": ["AB"]}, "not as apply-review writes it"),
        ("object_pixels", "many", ""),
        ("width", 5, "another size|outside|size of its image"),
    ],
)
def test_records_that_others_have_changed(found, tmp_path, capsys, key, value, said):
    path = found / f"wall/{EVIL}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for measured in record["quantities"].values():
        measured |= {"color": "#-1zz-1", "mean_confidence": "sure"}
    write_json(path, {**record, key: value})
    code = main(["condition-record", str(found), "--out", str(tmp_path / "out")])
    assert code == (2 if said else 0)
    assert re.search(said, capsys.readouterr().err)


def test_regions_that_cannot_be(found, tmp_path, capsys):
    path = found / f"wall/{EVIL}_regions.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    cells[4] = "9" * 30
    path.write_text("\n".join([lines[0], ",".join(cells)]), encoding="utf-8")
    assert main(["condition-record", str(found), "--out", str(tmp_path / "out")]) == 2
    assert "outside of the photograph" in capsys.readouterr().err


def test_a_photograph_that_is_gone_does_not_end_the_others(found, tmp_path, capsys):
    (found.parent / "photos" / "floor.png").unlink()
    out = tmp_path / "out"
    assert main(["condition-record", str(found), "--out", str(out)]) == 2
    assert "floor: the photograph" in capsys.readouterr().err
    assert len(list(out.rglob("*.html"))) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "pdf"], "--format: expected a name that exists"),
        (["--object", "nothing"], "LABEL=TEXT"),
        (["--object", "a\nb=c"], "in a line"),
        (["--details", "13"], "expected 0 to 12"),
        (["--legend", "klingon"], "no such legend"),
    ],
)
def test_arguments_that_cannot_be_used(found, tmp_path, capsys, arguments, said):
    out = tmp_path / "out"
    assert main(["condition-record", str(found), "--out", str(out), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_the_doubtful_come_first():
    rows = [
        {"number": n, "pixels": p, "confidence": c, "wrong": w}
        for n, p, c, w in ((3, 50, 0.2, 40.0), (1, 900, 0.99, 9.0), (2, 400, 1.0, 0.0))
    ]
    assert [(r.letter, r.region["number"]) for r in chosen_regions(rows, 2)] == [("A", 3), ("B", 1)]
    assert [r.region["number"] for r in chosen_regions(rows, 6)] == [3, 1, 2]
    sure = [{**row, "confidence": None} for row in rows]
    assert [r.region["number"] for r in chosen_regions(sure, 2)] == [1, 2]
