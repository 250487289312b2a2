"""Tables of measured models in a document: written, found up to date, found out of date."""

import dataclasses

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.model_stats import ModelStats
from mmseg_heritage.runs.model_tables import (
    backbone_table,
    check_markers,
    check_tables,
    config_table,
    update_tables,
)

SMALL = ModelStats(
    config="unet_small",
    size=(64, 96),
    parameters={"backbone": 1_250_000, "head": 349_999, "auxiliary": 0},
    flops={"backbone": 12_340_000_000, "head": 50_000_001},
    backbone="small",
    channels=(8, 16),
    strides=(4, 8),
    image_sizes="any",
)
LARGE = dataclasses.replace(SMALL, config="a_much_longer_name_of_a_config", size=(64, 64))
DOCUMENT = """# Title
<!-- model-stats configs -->
<!-- end model-stats configs -->
between
<!-- model-stats backbones -->
| old |
<!-- end model-stats backbones -->
end"""


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "models.md"
    path.write_text(DOCUMENT)
    return path


def test_numbers_are_in_millions_and_thousand_millions():
    header, rule, row = config_table([SMALL]).splitlines()
    assert cells(row) == [
        "`unet_small`", "64 x 96", "1.6", "1.2", "0.3", "-", "12.4", "12.3", "0.1"
    ]  # fmt: skip
    assert cells(rule) == ["---"] + ["---:"] * 8 and len(cells(header)) == len(cells(row))
    rows = config_table([SMALL, LARGE]).splitlines()
    assert len(set(map(len, rows))) == 1
    assert [cells(row)[1] for row in rows[2:]] == ["64", "64 x 96"]  # ordered by name
    assert rows == config_table([LARGE, SMALL]).splitlines()


def test_a_backbone_is_listed_once():
    other = dataclasses.replace(SMALL, backbone="another", image_sizes="multiples of 32")
    rows = backbone_table([SMALL, LARGE, other]).splitlines()[2:]
    assert [cells(row) for row in rows] == [
        ["`another`", "4, 8", "8, 16", "multiples of 32", "1.2"],
        ["`small`", "4, 8", "8, 16", "any", "1.2"],
    ]


def test_a_written_document_is_up_to_date_and_otherwise_unchanged(document):
    assert update_tables(document, [SMALL])
    check_tables(document, [SMALL])
    text = document.read_text()
    assert text.startswith("# Title\n") and text.endswith("-->\nend") and "\nbetween\n" in text
    assert config_table([SMALL]) in text and backbone_table([SMALL]) in text
    assert "old" not in text
    before = document.stat().st_mtime_ns
    assert not update_tables(document, [SMALL])
    assert document.stat().st_mtime_ns == before
    assert [path.name for path in document.parent.iterdir()] == ["models.md"]


def test_what_differs_is_told(document):
    update_tables(document, [SMALL])
    grown = dataclasses.replace(SMALL, parameters={**SMALL.parameters, "head": 449_999})
    with pytest.raises(InputError, match=r"models\.md: .*--update") as caught:
        check_tables(document, [grown])
    [problem] = caught.value.problems
    assert problem.startswith("configs: expected | `unet_small` | 64 x 96 | 1.7")
    last = dataclasses.replace(SMALL, config="z_which_is_a_much_longer_name_of_a_config")
    with pytest.raises(InputError) as caught:
        check_tables(document, [SMALL, last])  # wider columns are no difference
    [problem] = caught.value.problems
    assert "a_much_longer" in problem and problem.endswith("found no row")


@pytest.mark.parametrize(
    "broken",
    [
        DOCUMENT.replace("<!-- model-stats configs -->\n", ""),
        DOCUMENT.replace("<!-- end model-stats backbones -->", ""),
        DOCUMENT + DOCUMENT,
        "<!-- end model-stats configs -->\n<!-- model-stats configs -->\n",
    ],
)
@pytest.mark.parametrize(
    "function",
    [lambda path: update_tables(path, [SMALL]), lambda path: check_tables(path, []), check_markers],
)
def test_a_document_without_its_markers_is_left_alone(function, broken, document):
    document.write_text(broken)
    with pytest.raises(InputError, match="needs the lines '<!-- model-stats"):
        function(document)
    assert document.read_text() == broken
    with pytest.raises(InputError, match="no such document"):
        function(document.with_name("absent.md"))
    document.write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="expected a document in UTF-8 text"):
        function(document)
