"""One table in five formats: the same cells, escaped as each format asks."""

import csv
import io
import json
import re
import shutil
import subprocess

import pytest

from mmseg_heritage.evaluation.score_tables import Column, Estimate, Table, latex_text

NASTY = r"a_b&50% #1 $x$ {y} ~^ \z <t> |p| *s* `c`"
TABLE = Table(
    "Scores of 2 runs",
    (
        Column("run", "run"),
        Column("images", "images"),
        Column("mIoU", "mIoU"),
        Column("gain", "gain", digits=2, signed=True),
    ),
    (
        {"run": "unet", "images": 1234, "mIoU": Estimate(45.25, 40.0, 50.06), "gain": None},
        {"run": NASTY, "images": 7, "mIoU": Estimate(3.0), "gain": -0.125},
        {"run": 'comma, "quote"', "mIoU": None, "gain": Estimate(0.5, -0.25, 1.25)},
    ),
    ("Intervals cover 95 %.",),
)


def test_cells_are_rounded_and_say_where_there_is_nothing():
    assert TABLE.texts() == [
        ["unet", "1,234", "45.2 [40.0, 50.1]", "-"],
        [NASTY, "7", "3.0", "-0.12"],
        ['comma, "quote"', "-", "-", "+0.50 [-0.25, +1.25]"],
    ]
    assert Column("x", "x").text(-0.04) == "0.0"
    assert Column("x", "x", signed=True).text(3) == "+3"


def test_records_keep_every_digit_and_the_ends_of_intervals():
    records = TABLE.records()
    assert records[0] == {
        "run": "unet",
        "images": 1234,
        "mIoU": 45.25,
        "mIoU_low": 40.0,
        "mIoU_high": 50.06,
        "gain": None,
        "gain_low": None,
        "gain_high": None,
    }
    assert {tuple(record) for record in records} == {tuple(records[0])}
    assert json.loads(json.dumps(records)) == records


def test_a_reader_of_csv_gets_the_records_back():
    text = TABLE.csv()
    assert text.count("\r\n") == 4
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for row, record in zip(rows, TABLE.records(), strict=True):
        assert row == {key: "" if v is None else str(v) for key, v in record.items()}


def test_the_terminal_shows_columns_below_their_titles():
    lines = TABLE.terminal().splitlines()
    assert lines[0] == "Scores of 2 runs"
    head, rule, *body = lines[2:7]
    assert lines[7] == "Intervals cover 95 %."
    ends = [match.end() for match in re.finditer(r"-+", rule)]
    for place, title in enumerate(("images", "mIoU", "gain"), start=1):
        assert head[: ends[place]].endswith(title)
    assert body[0].startswith("unet ")
    assert body[0][: ends[1]].endswith("1,234")
    assert body[0][: ends[2]].endswith("45.2 [40.0, 50.1]")


def test_markdown_has_as_many_cells_in_each_row():
    rows = [line for line in TABLE.markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 5
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert [cell.strip() for cell in rows[1].split("|")[1:-1]] == ["---", "---:", "---:", "---:"]
    assert r"\|p\| \*s\* \`c\`" in rows[3]
    assert r"\<t\>" in rows[3]


def test_latex_escapes_what_it_reads_as_commands():
    text = TABLE.latex()
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == 3
    assert r"a\_b\&50\% \#1 \$x\$ \{y\}" in rows[2]
    assert r"\textasciitilde{}\textasciicircum{} \textbackslash{}z" in rows[2]
    assert "$-$0.12" in rows[2]
    assert "+0.50 [$-$0.25, +1.25]" in rows[3]
    assert r"95 \%." in text
    assert latex_text("fold-1 of 2020-21") == "fold-1 of 2020-21"  # no number is negative here
    assert latex_text("-") == "--"
    assert latex_text("[x] y") == "{[}x] y"  # not an argument of the line break before it


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(tmp_path):
    document = (
        r"\documentclass{article}\usepackage{booktabs}\begin{document}"
        + TABLE.latex()
        + r"\end{document}"
    )
    (tmp_path / "t.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_a_table_without_rows():
    empty = Table("none", TABLE.columns, ())
    assert empty.csv().strip() == ""
    assert "run" in empty.terminal()
    assert empty.markdown().count("|") == 10
