"""Rows as plain text and as Markdown."""

import pytest

from mmseg_heritage.utils.tables import markdown_table, markdown_text, plain_table

HEADER = ("class", "class", "pixels")
ROWS = [("Cracks", "a", 12), ("Dust", "bcdefgh", 1_234_567)]


def test_words_stand_to_the_left_and_numbers_to_the_right():
    assert plain_table(HEADER, ROWS, labels=2).splitlines() == [
        "class   class     pixels",
        "------  -------  -------",
        "Cracks  a             12",
        "Dust    bcdefgh  1234567",
    ]
    assert plain_table(["fold", ""], []) == "fold\n----"


@pytest.mark.parametrize("make", [plain_table, markdown_table])
def test_a_row_of_another_length_is_no_table(make):
    with pytest.raises(ValueError, match="zip"):
        make(HEADER, [("Cracks", "a")])


def test_markdown_is_aligned_as_text_too():
    assert markdown_table(HEADER, ROWS).splitlines() == [
        "| class  |   class |  pixels |",
        "| ---    |    ---: |    ---: |",
        "| Cracks |       a |      12 |",
        "| Dust   | bcdefgh | 1234567 |",
    ]


def test_escaped_text_stays_in_its_cell():
    assert markdown_text("a|b\n*c* `d` <e> f_g") == r"a\|b \*c\* \`d\` \<e\> f\_g"
