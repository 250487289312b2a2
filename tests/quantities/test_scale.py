"""Which scales are believed, which are questioned, and what tables of them may say."""

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.metadata import Resolution
from mmseg_heritage.quantities.scale import Scale, find_scale, given_scale, read_scales

SIZE = (4000, 3000)


@pytest.mark.parametrize("dpi", [300, 600, 1200, 240, 150])
def test_a_scan_is_believed(dpi):
    found = find_scale(None, [Resolution(dpi, dpi, "TIFF")], SIZE)
    assert found.scale.across == found.scale.down == pytest.approx(25.4 / dpi)
    assert found.scale.source == f"{dpi} dpi (TIFF)"
    assert found.remark == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "the file tells no resolution"),
        ([Resolution(72, 72, "JFIF")], "72 dpi (JFIF) is what programs write that know no scale"),
        ([Resolution(72.009, 72.009, "PNG")], "know no scale"),
        ([Resolution(28 * 2.54, 28 * 2.54, "JFIF")], "know no scale"),
        ([Resolution(96, 96, "PNG")], "96 dpi (PNG) is what programs write"),
        ([Resolution(300, 300, "EXIF", True)], "was written by a camera"),
        ([Resolution(300, 1200, "TIFF")], "300 x 1200 dpi (TIFF): pixels so much longer"),
        ([Resolution(1, 1, "JFIF")], "makes the photograph 102 m by 76.2 m"),
        ([Resolution(1e8, 1e8, "TIFF")], "makes the photograph 0.001 mm"),
        ([Resolution(float("nan"), 300, "TIFF")], "is no resolution"),
        ([Resolution(300, 300, "JFIF"), Resolution(600, 600, "EXIF")], "the file tells two"),
    ],
)
def test_others_are_not_and_the_reason_is_said(found, reason):
    answer = find_scale(None, found, SIZE)
    assert answer.scale is None
    assert reason in answer.remark
    assert "give --dpi, --mm-per-pixel or --scales" in answer.remark
    assert answer.content()["mm_per_pixel"] is None


def test_of_two_the_one_that_can_be_believed_counts():
    found = find_scale(None, [Resolution(72, 72, "JFIF"), Resolution(400, 400, "EXIF")], SIZE)
    assert found.scale.source == "400 dpi (EXIF)"
    same = find_scale(None, [Resolution(300, 300, "JFIF"), Resolution(300, 300, "EXIF")], SIZE)
    assert same.scale is not None


def test_what_is_given_is_taken_and_questioned():
    found = find_scale(Scale(10, 10, "--mm-per-pixel 10"), [Resolution(300, 300, "TIFF")], SIZE)
    assert found.scale.across == 10
    assert found.remark == "--mm-per-pixel 10 makes the photograph 40 m by 30 m; is that right?"
    assert find_scale(Scale(1, 1, ""), [], SIZE).remark == ""


def test_given_scales():
    assert given_scale(None, None) is None
    assert given_scale(254, None).across == pytest.approx(0.1)
    assert given_scale(None, 0.25) == Scale(0.25, 0.25, "--mm-per-pixel 0.25")
    for dpi, mm in ((1, 1), (0, None), (None, -1), (float("nan"), None), (float("inf"), None)):
        with pytest.raises(InputError, match=r"--dpi|--mm-per-pixel"):
            given_scale(dpi, mm)


NAMES = {"a": "a.tif", "wall/b": "b.jpg", "c d": "c d.png"}


def read(tmp_path, text):
    path = tmp_path / "scales.csv"
    path.write_text(text, encoding="utf-8")
    return read_scales(path, NAMES)


def test_a_table_names_photographs_by_file_name_or_path(tmp_path):
    scales, remarks = read(
        tmp_path,
        "photograph,dpi,mm_per_pixel,remark\na.tif,254,,x\nwall/b,,0.5,\nc d,,,\ne.tif,300,,\n",
    )
    assert scales["a"].across == pytest.approx(0.1)
    assert scales["wall/b"].across == 0.5
    assert scales["a"].source == "scales.csv, dpi 254"
    assert set(scales) == {"a", "wall/b"}
    assert "'e.tif' is none of the photographs; did you mean a.tif" in remarks[0]


def test_a_table_with_semicolons_and_decimal_commas(tmp_path):
    scales, _ = read(tmp_path, "photograph;mm_per_pixel\na.tif;0,125\nwall\\b.jpg;2\n")
    assert {name: scale.down for name, scale in scales.items()} == {"a": 0.125, "wall/b": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,dpi\na,300\n", "expected a column 'photograph'"),
        ("photograph,scale\na,300\n", "expected a column mm_per_pixel or dpi"),
        ("photograph,dpi\na,fine\n", "a: dpi: expected a number above 0, found 'fine'"),
        ("photograph,dpi\na,-3\n", "found '-3'"),
        ("photograph,dpi,mm_per_pixel\na,300,1\n", "both mm_per_pixel and dpi are given"),
        ("photograph,dpi\na,300\na,300\n", "a second row for 'a'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, problem):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert problem in "\n".join(caught.value.problems)


def test_a_table_that_is_missing(tmp_path):
    with pytest.raises(InputError) as caught:
        read_scales(tmp_path / "gone.csv", NAMES)
    assert caught.value.problems == ["no such file"]
