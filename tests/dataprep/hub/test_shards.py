"""Finding and reading Parquet files: the right ones, every value, and nothing of damaged ones."""

import random
import shutil

import pytest

from mmseg_heritage.dataprep.hub.shards import find_shards, read_images, read_rows, revision_of
from mmseg_heritage.errors import InputError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

OLD, NEW = "0" * 40, "f" * 40


@pytest.fixture
def cache(hub_folder, tmp_path):
    """A cache of Hugging Face with two revisions, as links to blobs."""
    folder = tmp_path / "cache" / "hub" / "datasets--danielaivanova--damaged-media"
    for revision in (OLD, NEW):
        data = folder / "snapshots" / revision / "data"
        data.mkdir(parents=True)
        for path in hub_folder.iterdir():
            blob = folder / "blobs" / f"{path.name}-{revision[0]}"
            blob.parent.mkdir(exist_ok=True)
            shutil.copy(path, blob)
            (data / path.name).symlink_to(blob)
    return folder


class TestFind:
    """Which files the sources stand for."""

    def test_a_folder_and_its_files_are_the_same_in_any_order(self, hub_folder):
        files = sorted(hub_folder.iterdir())
        (hub_folder / "._train-00000-of-00002.parquet").write_bytes(b"of macOS")
        assert find_shards([hub_folder]) == files
        assert find_shards([*files[::-1], hub_folder, files[0]]) == files

    def test_all_that_is_not_there_is_listed(self, hub_folder, tmp_path):
        (hub_folder / "train-00000-of-00002.parquet").unlink()
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="name the files") as caught:
            find_shards([hub_folder, tmp_path / "empty", tmp_path / "gone"])
        assert [problem.split(": ")[1] for problem in caught.value.problems] == [
            "train-00000-of-00002.parquet is missing",
            "holds no .parquet files",
            "no such file or folder",
        ]
        (part,) = hub_folder.iterdir()
        assert find_shards([part]) == [part]  # who names files wants these

    def test_a_cache_gives_one_revision(self, cache):
        for source in (cache, cache.parent, cache.parent.parent):
            with pytest.raises(InputError, match="expected the files of revision main") as caught:
                find_shards([source])
            assert len(caught.value.problems) == 2
            shards = find_shards([source], NEW)
            assert len(shards) == 2
            assert revision_of(shards) == NEW
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text(OLD)
        assert revision_of(find_shards([cache])) == OLD
        assert revision_of(find_shards([cache / "snapshots" / NEW])) == NEW
        with pytest.raises(InputError, match="expected the files of revision v2"):
            find_shards([cache], "v2")
        shutil.copytree(cache, cache.parent / "datasets--other--damaged-media")
        with pytest.raises(InputError, match="one copy of the data set"):
            find_shards([cache.parent])

    def test_files_elsewhere_tell_no_revision(self, hub_folder):
        assert revision_of(find_shards([hub_folder])) is None


class TestRows:
    """Texts and ids."""

    def test_all_texts_of_all_rows_come_in_order(self, row, shards_of):
        rows = [row(number) for number in range(5)]
        rows[2]["type"] = None
        folder = shards_of(rows[:3], rows[3:], row_group_size=2)
        found = read_rows(find_shards([folder]))
        assert [(r.id, r.index) for r in found] == [
            ("clj0000", 0), ("clj0001", 1), ("clj0002", 2), ("clj0003", 0), ("clj0004", 1),
        ]  # fmt: skip
        texts = [{k: v for k, v in r.items() if not isinstance(v, dict)} for r in rows]
        texts[2]["type"] = ""
        assert [r.texts for r in found] == texts

    @pytest.mark.parametrize(
        "name",
        ["", None, ".", "..", "../up", "/etc/passwd", "a/b", "a\\b", "C:", "C:\\x", "con", "NUL.x",
         "lpt1", "a.", "a ", " a", "-a", ".a", "a\n", "a\0b", "e\u0301",
         "a\u202egnp", "x" * 201],
    )  # fmt: skip
    def test_an_id_that_cannot_name_a_file_is_refused(self, name, row, shards_of):
        folder = shards_of([row(0) | {"id": name}])
        with pytest.raises(InputError, match="cannot be used") as caught:
            read_rows(find_shards([folder]))
        (problem,) = caught.value.problems
        assert "row 0: the id" in problem
        assert "cannot name a file" in problem
        assert problem.isprintable()  # an id must not write to the terminal

    @pytest.mark.parametrize("name", ["a", "cljmrkz5n341f07clcujw105j", "A-1_b.c", "x" * 128])
    def test_other_ids_are_taken(self, name, row, shards_of):
        assert read_rows(find_shards([shards_of([row(0) | {"id": name}])]))[0].id == name

    def test_two_rows_with_one_id_are_named(self, row, shards_of):
        first = [row(0), row(1), row(2) | {"id": "CLJ0000"}]
        folder = shards_of(first, [row(1)])
        with pytest.raises(InputError) as caught:
            read_rows(find_shards([folder]))
        shard = folder / "train-00000-of-00002.parquet"
        assert len(caught.value.problems) == 2
        assert f"'CLJ0000' is also that of {shard}, row 0" in caught.value.problems[0]
        assert f"'clj0001' is also that of {shard}, row 1" in caught.value.problems[1]

    def test_missing_columns_and_wrong_types_are_named(self, row, shards_of, tmp_path):
        shards = find_shards([shards_of([row(0)], [row(1)], [row(2)])])
        table = parquet.read_table(shards[0])
        parquet.write_table(table.drop_columns(["annotation", "material"]), shards[0])
        number = table.schema.get_field_index("id")
        parquet.write_table(table.set_column(number, "id", pyarrow.array([1])), shards[1])
        number = table.schema.get_field_index("image")
        texts = pyarrow.array([{"bytes": "text", "path": "a"}])
        parquet.write_table(table.set_column(number, "image", texts), shards[2])
        with pytest.raises(InputError) as caught:
            read_rows(shards)
        assert "no column 'annotation', 'material'; it has id, image" in caught.value.problems[0]
        assert "'id' is int64" in caught.value.problems[1]
        assert "'image' is struct" in caught.value.problems[2]


class TestImages:
    """Values of the image columns."""

    @pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"compression": "zstd"}])
    @pytest.mark.parametrize("group", [1, 2, 10])
    @pytest.mark.parametrize("wanted", [range(5), {0}, {4, 2}, ()])
    def test_the_wanted_values_come_in_order(self, wanted, group, options, row, shards_of):
        rows = [row(number) for number in range(5)]
        rows[2]["annotation"] = None
        folder = shards_of(rows, row_group_size=group, **options)
        (shard,) = find_shards([folder])
        found = dict(read_images(shard, "annotation", wanted))
        assert list(found) == sorted(wanted)
        for index, content in found.items():
            assert content == (None if index == 2 else rows[index]["annotation"]["bytes"])

    def test_plain_bytes_are_read_too(self, row, shards_of):
        (shard,) = find_shards([shards_of([row(0), row(1)])])
        table = parquet.read_table(shard)
        number = table.schema.get_field_index("image")
        values = pyarrow.array([b"first", b"second"], pyarrow.large_binary())
        parquet.write_table(table.set_column(number, "image", values), shard)
        assert len(read_rows([shard])) == 2
        assert list(read_images(shard, "image", {0, 1})) == [(0, b"first"), (1, b"second")]

    @pytest.mark.parametrize("text", ["dictionary", "large_string", "string_view"])
    @pytest.mark.parametrize("binary", ["binary", "large_binary", "binary_view"])
    def test_columns_of_every_text_and_binary_type_are_read(self, text, binary, row, shards_of):
        rows = [row(0), row(1)]
        (shard,) = find_shards([shards_of(rows)])
        table = parquet.read_table(shard)
        kind = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        kind = kind if text == "dictionary" else getattr(pyarrow, text)()
        image = pyarrow.struct([("bytes", getattr(pyarrow, binary)()), ("path", pyarrow.string())])
        for number, name in enumerate(table.column_names):
            if name in ("image", "annotation"):
                values = [table[name][i].as_py() for i in range(2)]
                table = table.set_column(number, name, pyarrow.array(values, image))
            elif name != "annotation_rgb":
                column = table[name]
                column = column.dictionary_encode() if text == "dictionary" else column.cast(kind)
                table = table.set_column(number, name, column)
        parquet.write_table(table, shard, store_schema=True)
        read = read_rows([shard])
        assert [found.id for found in read] == [r["id"] for r in rows]
        assert list(read_images(shard, "annotation", {0, 1})) == [
            (i, r["annotation"]["bytes"]) for i, r in enumerate(rows)
        ]

    def test_damaged_files_give_one_clear_message(self, hub_folder, tmp_path):
        whole = (hub_folder / "train-00000-of-00002.parquet").read_bytes()
        path = tmp_path / "damaged.parquet"
        rng = random.Random(0)
        refused = 0
        for trial in range(150):
            content = bytearray(whole)
            if trial % 3 == 0:
                del content[rng.randrange(len(content)) :]
            else:  # the index at the end is where bytes matter most
                start = len(content) - 3000 if trial % 3 == 1 else 0
                for _ in range(3):
                    content[rng.randrange(start, len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content)
            try:
                rows = read_rows([path])
                for column in ("image", "annotation"):
                    list(read_images(path, column, range(len(rows))))
            except InputError as error:
                refused += 1
                assert str(path) in str(error)
        assert refused > 75

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"version https://git-lfs.github.com/"])
    def test_what_is_no_parquet_file_is_named(self, content, tmp_path):
        path = tmp_path / "a.parquet"
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_rows([path])
        assert "not a whole Parquet file" in caught.value.problems[0]
        assert "download it again" in caught.value.problems[0]
