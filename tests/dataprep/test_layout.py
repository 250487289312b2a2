"""Listing a data set: pairing by id, and every inconsistency at once."""

import csv
import random
import shutil
import unicodedata

import pytest

from mmseg_heritage.dataprep.layout import Sample, list_images, read_folder, select
from mmseg_heritage.errors import InputError


@pytest.fixture
def root(tmp_path):
    """An empty data set; no file needs content, since listing opens none."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    return tmp_path


def _add(root, *ids, image=".png", mask=".png"):
    for sample_id in ids:
        (root / "images" / f"{sample_id}{image}").touch()
        (root / "annotations" / f"{sample_id}{mask}").touch()


def _metadata(root, *rows, columns=("id", "material", "content"), encoding="utf-8"):
    with (root / "metadata.csv").open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows([columns, *rows])


def _problems(root):
    with pytest.raises(InputError) as caught:
        read_folder(root)
    return caught.value


def test_the_generated_set_is_listed_whole(sample_set):
    samples = read_folder(sample_set)
    assert [s.id for s in samples] == sorted(p.stem for p in (sample_set / "images").iterdir())
    assert all(s.image.is_file() and s.annotation.is_file() for s in samples)
    assert all(s.material and s.content and not s.is_derived for s in samples)


def test_pairing_is_by_id_whatever_suffix_and_order(root):
    # Sorted by name, the images come as B.TIF, a-2.jpg, a.png, but the masks as B.png, a-2.png,
    # a.tif; with the suffixes gone the order is B, a, a-2.
    for name in ("a.png", "B.TIF", "a-2.jpg"):
        (root / "images" / name).touch()
    for name in ("a-2.png", "a.tif", "B.png"):
        (root / "annotations" / name).touch()
    pairs = {s.id: (s.image.name, s.annotation.name) for s in read_folder(root)}
    assert pairs == {
        "a": ("a.png", "a.tif"),
        "B": ("B.TIF", "B.png"),
        "a-2": ("a-2.jpg", "a-2.png"),
    }
    assert list(pairs) == sorted(pairs)


def test_ids_may_hold_dots_and_letters_of_any_script(root):
    _add(root, "plate 1.5 x", "Größe", "写真")
    assert {s.id for s in read_folder(root)} == {"plate 1.5 x", "Größe", "写真"}


def test_the_order_of_metadata_rows_does_not_matter(root):
    rows = [(f"s{i}", f"material {i}", f"content {i}") for i in range(9)]
    _add(root, *(row[0] for row in rows))
    random.Random(0).shuffle(rows)
    _metadata(root, *rows)
    assert [(s.id, s.material, s.content) for s in read_folder(root)] == sorted(rows)


def test_metadata_is_optional(root):
    _add(root, "a")
    assert read_folder(root) == [
        Sample("a", root / "images/a.png", root / "annotations/a.png", source_id="a")
    ]


def test_other_folder_and_table_names(root):
    _add(root, "a")
    _metadata(root, ("a", "Glass", "Line art"))
    for old, new in (("images", "photos"), ("annotations", "masks"), ("metadata.csv", "t.csv")):
        shutil.move(root / old, root / new)
    (sample,) = read_folder(root, "photos", "masks", "t.csv")
    assert (sample.image, sample.material) == (root / "photos/a.png", "Glass")


def test_a_byte_order_mark_and_further_columns_do_no_harm(root):
    _add(root, "a")
    _metadata(root, ("x", "a", "Glass"), columns=("other", "id", "material"), encoding="utf-8-sig")
    _metadata(root, ("a", "Glass"), columns=("id", "material"), encoding="utf-8-sig")
    assert read_folder(root)[0].material == "Glass"


def test_hidden_files_and_folders_and_others_are_no_images(root):
    _add(root, "a")
    for name in (".a.png", "._a.png", "notes.txt", "Thumbs.db"):
        (root / "images" / name).touch()
    (root / "images" / "folder.png").mkdir()
    assert [p.name for p in list_images(root / "images")] == ["a.png"]
    assert len(read_folder(root)) == 1


@pytest.mark.usefixtures("no_optional_readers")
def test_photographs_that_are_not_read_are_named_where_they_are_missed(root):
    _add(root, "a", "b")
    (root / "images" / "b.png").rename(root / "images" / "b.HEIC")
    error = _problems(root)
    assert len(error.problems) == 1
    assert "b.png: b.HEIC is not read: HEIC; pip install" in error.problems[0]
    for name in ("images/a.png", "annotations/a.png", "annotations/b.png"):
        (root / name).unlink()
    assert "holds no images" in str(_problems(root))
    assert "not read: 1 .heic" in str(_problems(root))


def test_a_missing_root_says_what_to_set(tmp_path):
    error = _problems(tmp_path / "nowhere")
    assert "nowhere: the data root does not exist" in str(error)
    assert "data_root" in str(error)


def test_all_missing_folders_are_named(tmp_path):
    assert len(_problems(tmp_path).problems) == 2
    (tmp_path / "images").mkdir()
    assert _problems(tmp_path).problems == [f"{tmp_path / 'annotations'}: no such folder"]


def test_empty_folders(root):
    assert "holds no images" in str(_problems(root))
    _metadata(root, ("a", "", ""))
    assert "holds no images" in str(_problems(root))


def test_unpaired_files_on_both_sides_are_gathered(root):
    _add(root, "a", "b")
    (root / "annotations" / "a.png").unlink()
    (root / "images" / "b.png").unlink()
    assert _problems(root).problems == [
        f"{root}/images/a.png: no annotation with this id in annotations/",
        f"{root}/annotations/b.png: no image with this id in images/",
    ]


@pytest.mark.parametrize("folder", ["images", "annotations"])
def test_two_files_of_one_id_are_named(root, folder):
    _add(root, "a", "b")
    (root / folder / "a.jpg").touch()
    (problem,) = _problems(root).problems
    assert "the id 'a'" in problem
    assert "a.png" in problem
    assert "a.jpg" in problem


def test_everything_wrong_with_the_metadata_is_gathered(root):
    _add(root, "a", "b")
    _metadata(root, ("a", "Glass"), ("c", "Wood"), ("a", "Paper"), ("", "Wood"))
    problems = _problems(root).problems
    table = root / "metadata.csv"
    assert sorted(problems) == sorted(
        [
            f"{table}, line 4: a second row for 'a'",
            f"{table}, line 5: no id",
            f"{table}: no row for the image 'b'",
            f"{table}: row 'c' has no image in images/",
        ]
    )


def test_a_row_that_ends_before_its_id_is_a_problem_not_a_crash(root):
    _add(root, "a")
    (root / "metadata.csv").write_text("material,id\nGlass,a\nWood\n")
    assert _problems(root).problems == [f"{root}/metadata.csv, line 3: no id"]


@pytest.mark.parametrize(
    "text",
    [
        "id,material\nä,Glass\nb,Wood\n",
        "id;material\r\nä;Glass\r\nb;Wood\r\n",
        "id\tmaterial\nä\tGlass\nb\tWood\n",
        "sep=;\nid;material\nä;Glass\nb;Wood\n",
        "ID, Material\nä ,Glass \n b,Wood\n",
        "id,material\nä,Glass\nb,Wood\n,\n,\n",  # Excel's empty rows
        "id,material\na\u0308,Glass\nb,Wood\n",  # accents as macOS writes them
        'id,"material",note\r"ä",Glass,"a; b; c"\rb,Wood,12" x 5"\r',  # old Macs, loose quotes
        "id,note,material\nä,a\u2028b\x0b,Glass\nb,\x85,Wood\n",
        "id,material\nä.PNG,Glass\nb.png,Wood\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_every_program_are_read_alike(root, text, encoding):
    _add(root, unicodedata.normalize("NFD", "ä"), "b")
    (root / "metadata.csv").write_bytes(text.encode(encoding))
    assert [(s.id, s.material) for s in read_folder(root)] == [("b", "Wood"), ("ä", "Glass")]


def test_sources_are_named_by_their_files_too(root):
    _add(root, "a", "a_1", "b")
    rows = [("a.png", "a.png"), ("a_1.png", "a.png"), ("b.png", "")]
    _metadata(root, *rows, columns=("id", "source_id"))
    assert {s.id: s.source_id for s in read_folder(root)} == {"a": "a", "a_1": "a", "b": "b"}


def test_a_name_that_a_program_has_changed_is_pointed_at(root):
    _add(root, "001", "b")
    (root / "annotations" / "b.png").rename(root / "annotations" / "b_mask.png")
    _metadata(root, ("1", "Glass", ""), ("b", "Wood", ""))
    problems = _problems(root).problems
    assert len(problems) == 3
    assert "is b_mask.png its own? Then rename that to b.png" in problems[0]
    assert "see b.png" in problems[1]
    assert "no row for the image '001'; is it '1'?" in problems[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,material\na,Glass\n", "expected a column 'id', found"),
        (b"", "expected a column 'id', found"),
        (b'id,material\na,"Glass\n', "ends within quotation marks"),
        (b"id,material\na\0,Glass\n", "line 2: holds a NUL character"),
        (
            "id,material\na,Häute\n".encode("cp1252"),
            "line 2: expected text in UTF-8, found",
        ),
    ],
)
def test_metadata_that_cannot_be_read_is_gathered_with_the_rest(root, content, message):
    _add(root, "a")
    (root / "images" / "b.png").touch()
    (root / "metadata.csv").write_bytes(content)
    first, second = _problems(root).problems
    assert message in first
    assert "b.png: no annotation" in second


def test_25_problems_list_20_and_count_5(root):
    for i in range(25):
        (root / "images" / f"s{i:02}.png").touch()
    error = _problems(root)
    lines = str(error).splitlines()
    assert len(error.problems) == 25
    assert len(lines) == 1 + 20 + 1
    assert "s19.png" in lines[20]
    assert "5 more" in lines[21]


def test_copies_of_copies_belong_to_the_first_photograph(root):
    _add(root, "a", "a_flip", "a_flip_tile", "tile_of_elsewhere")
    _metadata(
        root,
        ("a", ""),
        ("a_flip", "a"),
        ("a_flip_tile", "a_flip"),
        ("tile_of_elsewhere", "not_here"),
        columns=("id", "source_id"),
    )
    samples = {s.id: s for s in read_folder(root)}
    assert {i: s.source_id for i, s in samples.items()} == {
        "a": "a",
        "a_flip": "a",
        "a_flip_tile": "a",
        "tile_of_elsewhere": "not_here",
    }
    assert [i for i, s in samples.items() if not s.is_derived] == ["a"]


def test_groups_of_near_duplicates_are_read(root):
    _add(root, "a", "b", "c")
    _metadata(root, ("a", "g"), ("b", "g"), ("c", ""), columns=("id", "group_id"))
    assert [s.group_id for s in read_folder(root)] == ["g", "g", ""]


def test_sources_in_a_circle_are_refused(root):
    _add(root, "a", "b", "c", "d")
    rows = (("a", "b"), ("b", "a"), ("c", "a"), ("d", "d"))
    _metadata(root, *rows, columns=("id", "source_id"))
    problems = _problems(root).problems
    assert len(problems) == 3
    assert all("circle" in problem for problem in problems)


def _sample(sample_id, material, content):
    return Sample(sample_id, None, None, sample_id, material, content)


SAMPLES = [
    _sample("a", "Glass", "Line art"),
    _sample("b", "Glass", "Artistic depiction"),
    _sample("c", "Paper", "Line art"),
]


@pytest.mark.parametrize(
    ("materials", "contents", "expected"),
    [
        (None, None, "abc"),
        (["Glass"], None, "ab"),
        (None, ["Line art"], "ac"),
        (["Glass"], ["Line art"], "a"),
        (["Glass", "Paper"], None, "abc"),
        (["Paper"], ["Artistic depiction"], ""),
        ([], None, ""),
        ("Glass", None, "ab"),
    ],
)
def test_filters_keep_what_matches_all(materials, contents, expected):
    assert "".join(s.id for s in select(SAMPLES, materials, contents)) == expected


def test_unknown_names_of_both_filters_are_gathered_with_the_known_ones():
    with pytest.raises(InputError) as caught:
        select(SAMPLES, ["Glas", "Paper"], "Photo")
    assert caught.value.problems == [
        "material 'Glas' occurs nowhere; found: Glass, Paper",
        "content 'Photo' occurs nowhere; found: Artistic depiction, Line art",
    ]


def test_filters_without_metadata_say_so():
    with pytest.raises(InputError, match=r"no metadata\.csv"):
        select([_sample("a", "", "")], ["Glass"])
