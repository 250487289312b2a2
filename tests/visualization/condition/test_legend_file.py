"""Legends: what they say is shown, and what is wrong in them is said at once."""

import json
import re
from pathlib import Path

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, CLEAN
from mmseg_heritage.visualization.condition import legend_file, record_content
from mmseg_heritage.visualization.condition.legend_file import SCHEMA, Legend, Sign, read_legend
from mmseg_heritage.visualization.condition.record_texts import ACTS, PHRASES

PACKAGE = Path(legend_file.__file__).parents[2]


@pytest.fixture
def write(tmp_path):
    def write(**content):
        path = tmp_path / "legend.json"
        path.write_text(json.dumps({"schema": SCHEMA, **content}), encoding="utf-8")
        return path

    return write


def test_the_spanish_one_says_everything():
    legend = read_legend("spanish", ARTEFACT.names)
    assert legend.classes.keys() == {*ARTEFACT.names} - {CLEAN}
    assert legend.texts.keys() == {*PHRASES}
    assert (legend.language, legend.direction) == ("es", "ltr")


def test_phrases_are_those_that_records_use():
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in [
            *(PACKAGE / "apis" / "condition").glob("*.py"),
            PACKAGE / "visualization" / "report" / "templates" / "condition.html",
            Path(record_content.__file__).with_name("record_docx.py"),
        ]
    )
    used = set(re.findall(r"""\b(?:t|say|text|_say|_heading)\(\s*['"]([^'"]+)['"]""", text))
    used |= {*record_content.DAMAGE_COLUMNS, *record_content.CHANGE_COLUMNS, *ACTS}
    assert used <= {*PHRASES}
    known = text + " ".join(used)
    constants = {"Object", "Inventory number", "Institution", "Reviewer", "Signature"}
    assert [p for p in PHRASES if p not in known and p not in constants] == []


def test_what_it_says_of_a_class(write):
    sign = {"name": "שבר", "color": "#102030", "hatch": "grid", "symbol": "plus",
            "term": "http://example.org/aat/1", "note": "thin"}  # fmt: skip
    path = write(language="he", classes={"Cracks": sign}, texts={"Damage": "נזק"})
    legend = read_legend(path, ["Clean", "Cracks"])
    assert legend.sign("Cracks", (1, 2, 3)) == Sign("שבר", (16, 32, 48), "grid", "plus",
                                                    "http://example.org/aat/1", "thin")  # fmt: skip
    assert legend.sign("Peel", (1, 2, 3)) == Sign("Peel", (1, 2, 3))
    assert (legend.text("Damage"), legend.text("Area")) == ("נזק", "Area")
    assert legend.direction == "rtl"
    assert Legend().text("Damage") == "Damage"


def test_joiners_are_letters(write):
    name = "\u062a\u0631\u06a9\u200c\u0647\u0627"  # cracks, in Persian
    assert (
        read_legend(write(classes={"Cracks": {"name": name}}), ()).classes["Cracks"]["name"] == name
    )
    with pytest.raises(InputError, match="name: expected a line"):
        read_legend(write(classes={"Cracks": {"name": "a\u202eb"}}), ())


def test_all_that_is_wrong_is_said(write):
    path = write(
        classes={
            "Crack": {},
            "Clean": {},
            "Peel": {"color": "red", "hatch": "diagonl", "symbol": "x", "term": "javascript:a()"},
            "Dust": {"name": "peel", "colour": "#000000", "note": "a\nb"},
        },
        texts={"Damages": "x", "Area": ""},
        language="es_ES",
    )
    with pytest.raises(InputError) as error:
        read_legend(path, ARTEFACT.names)
    found = "\n".join(error.value.problems)
    for part in (
        "Crack: no such class; did you mean Cracks", "Clean: is no damage", '"#rrggbb"',
        "did you mean diagonal", "symbol: expected circle", "term: expected an address",
        "'peel' is the name of Peel too", "unknown key 'classes.Dust.colour'", "note: expected",
        "no phrase 'Damages'; did you mean Damage", "texts.Area: expected", "language: expected",
    ):  # fmt: skip
        assert part in found
    assert len(error.value.problems) == 12


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"schema": "x"}', f'{{"schema": "{SCHEMA}", "classes": []}}',
                f'{{"schema": "{SCHEMA}", "classes": {{"Peel": {{"color": 5}}}}}}']
)  # fmt: skip
def test_files_that_are_none(tmp_path, content):
    path = tmp_path / "legend.json"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_legend(path, ARTEFACT.names)


def test_none_of_that_name():
    with pytest.raises(InputError, match="with the package come spanish"):
        read_legend("french", ARTEFACT.names)
